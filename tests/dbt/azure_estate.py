"""The Azure estate of the dbt tests: the fixtures as a pair, an MCA account, every unit of measure, and exports that do not add up.

Data flow: rows written here and tests/fixtures/azure_* → export folders → `tests.dbt.azure_project.build_azure`.
Alone: `build_estate(folder)`.
"""

from __future__ import annotations

from pathlib import Path

from tests.dbt.azure_project import Azure, Delivered, build_azure
from tests.ingest.azure_files import EA, MCA, csv_text, write_run

FIXTURES = Path(__file__).parents[1] / "fixtures"
PROFILE = {
    "billingAccountId": "7e1f:2019-05-31",
    "billingProfileId": "BG-PROFILE",
    "billingProfileName": "Example EU",
    "billingPeriodStartDate": "10/01/2026",
    "billingPeriodEndDate": "10/31/2026",
    "date": "10/03/2026",
    "SubscriptionId": "0F1E2D3C-0000-4000-8000-000000000009",
    "billingCurrency": "EUR",
    "pricingCurrency": "USD",
    "exchangeRatePricingToBilling": "0.8",
    "chargeType": "Usage",
    "frequency": "UsageBased",
    "publisherType": "Azure",
}
MCA_ROWS = [
    {
        "meterCategory": "Foundry Models",
        "meterSubCategory": "Azure OpenAI GPT5",
        "meterName": "GPT 5 Inpt Glbl",
        "meterId": "m-1",
        "unitOfMeasure": "1K",
        "quantity": "3000",
        "unitPrice": "0.00125",
        "PayGPrice": "0.00125",
        "effectivePrice": "0.00125",
        "costInBillingCurrency": "3",
        "costInPricingCurrency": "3.75",
        "ResourceId": "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/A",
        "consumedService": "Microsoft.CognitiveServices",
        "invoiceId": "G012",
    },
    {
        "meterCategory": "SQL Database",
        "unitOfMeasure": "100000000",
        "quantity": "0.5",
        "unitPrice": "0.00045",
        "effectivePrice": "0.00045",
        "costInBillingCurrency": "0.00018",
        "costInPricingCurrency": "0.000225",
        "consumedService": "Microsoft.Sql",
    },
    {"meterCategory": "Teleportation", "unitOfMeasure": "10 Leaps", "quantity": "2", "unitPrice": "1", "costInBillingCurrency": "1.6"},
]

UNITS = {
    "1 Hour": (1, "Hours"), "100 Hours": (100, "Hours"), "1 GB/Month": (1, "GB-Months"), "10K": (10_000, "Units"), "1M": (10**6, "Units"),
    "1K": (1000, "Units"), "1B": (10**9, "Units"), "1 Million": (10**6, "Units"), "1/Month": (1, "Unit-Months"), "1 /Hour": (1, "Unit-Hours"),
    "10K/Month": (10_000, "Unit-Months"), "1 GiB Hour": (1, "GiB-Hours"), "100 GB Seconds": (100, "GB-Seconds"), "1 Gb": (1, "GB"),
    "10K Transactions": (10_000, "Transactions"), "1 API Calls": (1, "Calls"), "1 1 Hour": (1, "Hours"), "Gb / Month": (1, "GB-Months"),
    "1 MB": (1, "MB"), "128 MB": (128, "MB"), "1 Minute": (1, "Minutes"), "1 Hourly Unit": (1, "Unit-Hours"), "1 IOPS/Month": (1, "IOPS-Months"),
    "1 GB/Monat": (1, None), "1 GB/mes": (1, "GB-Months"), "1 小时": (1, "Hours"), "1000 Core Hrs": (1000, "Core-Hours"), "1 Daily Unit": (1, "Unit-Days"),
    "1 Queries": (1, "Queries"), "0 Unassigned": (1, None), "": (1, "Units"), "Units": (1, "Units"), "5 Bananas": (5, None), "1 TiB/Hour": (1, "TiB-Hours"),
}  # fmt: skip


def build_estate(folder: Path) -> Azure:
    """Write the exports below `folder`, ingest them, build FOCUS."""
    one, two = {"CostInBillingCurrency": "1"}, {"CostInBillingCurrency": "1", "Date": "10/04/2026"}
    trade = {**two, "ChargeType": "Purchase", "PricingModel": "Reservation", "CostInBillingCurrency": "9", "benefitId": "/x/reservations/r"}

    def run(name: str, account: str, *rows: dict[str, str], kind: str = "ActualCost") -> Path:
        of_account = [{"BillingProfileId": account, "BillingAccountId": account, **row} for row in rows]
        write_run(folder / name, "20261001-20261031/202611020415/run", [csv_text(EA, of_account)], kind=kind)
        return folder / name

    units = [
        {"ProductName": f"{number}", "UnitOfMeasure": text, "Quantity": "1", "EffectivePrice": "1", "CostInBillingCurrency": "1"}
        for number, text in enumerate(UNITS)
    ]
    mca = folder / "mca"
    write_run(mca, "20261001-20261031/202611020415/run", [csv_text(MCA, MCA_ROWS, PROFILE)], kind="ActualCost")
    exports = {
        "pair-actual": Delivered("azure_actual", FIXTURES / "azure_actual", amortized_by="pair-amortized"),
        "pair-amortized": Delivered("azure_amortized", FIXTURES / "azure_amortized"),
        "mca": Delivered("azure_actual", mca),
        "alone": Delivered("azure_actual", run("alone", "a1", one, trade)),
        "lost": Delivered("azure_actual", run("lost", "a2", one, two), amortized_by="nowhere"),
        "short": Delivered("azure_actual", run("short", "a3", one, one, two), amortized_by="short-amortized"),
        "short-amortized": Delivered("azure_amortized", run("short-amortized", "a3", one, two, kind="AmortizedCost")),
        "double": Delivered("azure_actual", run("double", "a4", one)),
        "units": Delivered("azure_actual", run("units", "a5", *units)),
        "double-amortized": Delivered("azure_amortized", run("double-amortized", "a4", one, kind="AmortizedCost")),
    }
    return build_azure(folder, exports)
