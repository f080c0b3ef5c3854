"""The columns of FOCUS 1.0-preview to 1.4 as bronze keeps them, and how the header of any FOCUS file is matched with them.

Data flow: header of a FOCUS file → `names` → bronze column → name in the file.

Column names are those of the FinOps Open Cost and Usage Specification 1.0, 1.1, 1.2, 1.3 and 1.4 (CC-BY-4.0). A name is its letters and
digits: `BilledCost`, `billedcost` (a Glue crawler), `BILLED_COST` (a warehouse) and `Billed Cost` are one column.
Not for direct use; see `ingest.sources.focus`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from costlake.errors import UnreadableFile

TIMES = frozenset({"BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"})
AMOUNTS = frozenset(
    """
    BilledCost CommitmentDiscountQuantity ConsumedQuantity ContractedCost ContractedUnitPrice EffectiveCost ListCost ListUnitPrice
    PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice PricingQuantity
    """.split()
)
# ProviderName and PublisherName ended with 1.4, ChargeSubcategory with 1.0. The x_ columns are those of AWS and Azure that staging reads.
TEXTS = frozenset(
    """
    AllocatedMethodDetails AllocatedMethodId AllocatedResourceId AllocatedResourceName AllocatedTags AvailabilityZone BillingAccountId
    BillingAccountName BillingAccountType BillingCurrency CapacityReservationId CapacityReservationStatus ChargeCategory ChargeClass
    ChargeDescription ChargeFrequency ChargeSubcategory CommitmentDiscountCategory CommitmentDiscountId CommitmentDiscountName
    CommitmentDiscountStatus CommitmentDiscountType CommitmentDiscountUnit CommitmentProgramEligibilityDetails ConsumedUnit
    ContractApplied HostProviderName InvoiceDetailId InvoiceId InvoiceIssuerName PricingCategory PricingCurrency PricingUnit
    ProviderName PublisherName RegionId RegionName ResourceId ResourceName ResourceType ServiceCategory ServiceName
    ServiceProviderName ServiceSubcategory SkuId SkuMeter SkuPriceDetails SkuPriceId SubAccountId SubAccountName SubAccountType Tags
    x_Operation x_ServiceCode x_SkuDetails x_UsageType
    """.split()
)
REQUIRED = frozenset({"BilledCost", "BillingCurrency", "ChargePeriodStart"})
PROVIDERS = ("ServiceProviderName", "ProviderName", "InvoiceIssuerName", "PublisherName")
# Seen where FOCUS wants nothing: the foundation's sample writes NULL, Athena \N, pandas NaN, BigQuery [] and {}.
NULL_TEXTS = ("", r"\N", "NULL", "null", "NaN", "nan", "N/A", "[]", "{}")

# What a column was called before, or what Azure called it before FOCUS had it → its name now.
_FORMER = {
    "amortizedcost": "EffectiveCost",
    "chargetype": "ChargeCategory",
    "invoiceissuer": "InvoiceIssuerName",
    "provider": "ProviderName",
    "publisher": "PublisherName",
    "region": "RegionId",
    "usagequantity": "ConsumedQuantity",
    "usageunit": "ConsumedUnit",
    "xinvoiceid": "InvoiceId",
    "xpricingcurrency": "PricingCurrency",
    "xskumetername": "SkuMeter",
}


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_KNOWN = {_letters(name): name for name in TIMES | AMOUNTS | TEXTS}


def names(columns: Mapping[str, str], key: str) -> dict[str, str]:
    """Bronze name → name in the file.

    A column by its present name wins over one by a former name. What FOCUS does not know becomes a text column by its own name in lower
    case, so that the same column of another file, however spelt, is the same in bronze. Raises UnreadableFile where two columns of the
    file are one FOCUS column.
    """
    found: dict[str, str] = {}
    others: list[str] = []
    for raw in columns:
        name = _KNOWN.get(_letters(raw))
        if name is None:
            others.append(raw)
        elif name in found:
            raise UnreadableFile(
                f"two columns are both {name}",
                where=f"{key}: header, {raw!r} and {found[name]!r}",
                expected="every FOCUS column once",
                next_step="ask the provider for a file with one of them; which of two amounts is right cannot be known",
            )
        else:
            found[name] = raw
    taken = {name.lower() for name in _KNOWN.values()}
    for raw in others:
        former = _FORMER.get(_letters(raw))
        if former is not None and former not in found:
            found[former] = raw
            continue
        stem = re.sub(r"[^a-z0-9]+", "_", raw.lower()).strip("_") or "column"
        stem = f"column_{stem}" if stem[0].isdigit() else stem
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}__{number}", number + 1
        taken.add(name)
        found[name] = raw
    return found


def is_focus(columns: set[str]) -> bool:
    """Whether a header is that of a FOCUS CostAndUsage file."""
    found = set(names(dict.fromkeys(columns, ""), "header"))
    return found >= REQUIRED and not found.isdisjoint(PROVIDERS)
