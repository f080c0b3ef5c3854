"""The whole demo estate: seed → vendor files, `accounts.yml` that declares the exports, `expected.json` with control totals.

Layout: `aws/` (plays the bucket), `openai/{usage,costs}/YYYY-MM/`, `anthropic/{usage,costs}/YYYY-MM/`, `azure/exports/{actual,amortized}/`,
`gcp/partition_date=…/`, `oci/reports/cost-csv/`, `gateway/YYYY-MM/` (LiteLLM's log), `nimbus/YYYY-MM/` (a vendor's FOCUS files, in
euros). The same seed gives the same bytes; nothing here reads a clock. `delivery=2` plays AWS's restatement of one closed month and
touches nothing else.

Run alone: python -c "from pathlib import Path; from ingest.demo import write_demo; print(write_demo(Path('demo'), progress=print).root)"
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from costlake.errors import ConfigError
from costlake.periods import BillingPeriod
from ingest.demo import anthropic, aws, azure, gateway, gcp, neocloud, oci, openai
from ingest.demo.aws_bill import bill_lines
from ingest.demo.aws_catalog import ACCOUNTS, PAYER, SPIKE_ACCOUNT, SPIKE_SERVICE
from ingest.demo.shape import periods_until, redelivered_period, spike_date
from ingest.demo.totals import Totals

FIRST, SECOND = 1, 2
AWS_EXPORT = "aws-main"
ACCOUNTS_FILE, EXPECTED_FILE = "accounts.yml", "expected.json"
EXPORTS: tuple[dict[str, Any], ...] = (
    {
        "id": AWS_EXPORT,
        "source": "aws_cur2",
        "location": f"aws/{aws.PREFIX}/{aws.EXPORT}",
        "owner": "platform",
        "billing_account_id": PAYER[0],
        "billing_account_name": PAYER[1],
    },
    {
        "id": "openai-usage",
        "source": "openai_usage",
        "location": "openai/usage",
        "owner": "product",
        "billing_account_id": openai.ORGANIZATION,
        "billing_account_name": "costlake-demo on OpenAI",
    },
    {
        "id": "openai-costs",
        "source": "openai_costs",
        "location": "openai/costs",
        "owner": "product",
        "billing_account_id": openai.ORGANIZATION,
        "billing_account_name": "costlake-demo on OpenAI",
    },
    {
        "id": "anthropic-usage",
        "source": "anthropic_usage",
        "location": "anthropic/usage",
        "owner": "product",
        "billing_account_id": anthropic.ORGANIZATION,
        "billing_account_name": "costlake-demo on Anthropic",
    },
    {
        "id": "anthropic-costs",
        "source": "anthropic_costs",
        "location": "anthropic/costs",
        "owner": "product",
        "billing_account_id": anthropic.ORGANIZATION,
        "billing_account_name": "costlake-demo on Anthropic",
    },
    {
        "id": "azure-actual",
        "source": "azure_actual",
        "location": "azure/exports/actual",
        "owner": "platform",
        "amortized_by": "azure-amortized",
    },
    {"id": "azure-amortized", "source": "azure_amortized", "location": "azure/exports/amortized", "owner": "platform"},
    {"id": "gcp-billing", "source": "gcp_billing", "location": "gcp", "owner": "research"},
    {"id": "oci-cost", "source": "oci_cost", "location": "oci/reports/cost-csv", "owner": "research"},
    {
        "id": "gateway",
        "source": "litellm_requests",
        "location": "gateway",
        "owner": "product",
        "provisioned_deployments": [gateway.PROVISIONED],
    },
    {"id": "nimbus", "source": "focus_files", "location": "nimbus", "owner": "research"},
)


@dataclass(frozen=True)
class DemoEstate:
    """Where the demo lies and what it adds up to.

    Attributes:
        root: the folder that holds everything; accounts, expected: the two files in it.
        periods: the months, oldest first; redelivered: the one that the second delivery restates.
        totals: content of `expected.json`: deliveries → export id → month → rows, billed, effective (decimal text in the bill's
            currency), plus the spike.
    """

    root: Path
    accounts: Path
    expected: Path
    periods: tuple[BillingPeriod, ...]
    redelivered: BillingPeriod
    totals: dict[str, Any]


def write_demo(
    root: Path,
    *,
    seed: int = 7,
    last_month: str = "2026-10",
    months: int = 13,
    delivery: int = FIRST,
    progress: Callable[[str], None] | None = None,
) -> DemoEstate:
    """Write the estate's first deliveries, or with `delivery=2` the restated month on top of them.

    Raises ConfigError when a second delivery is asked for where there is no first one of the same seed and months.
    """
    say = progress or _silent
    periods = periods_until(last_month, months)
    settings = {"seed": seed, "last_month": last_month, "months": months}
    again = redelivered_period(periods)
    if delivery == SECOND:
        totals = _totals_of_first(root, settings)
        say(f"AWS restates {again}")
        aws.write_month(root / "aws", seed, again, last_month, delivery=SECOND)
    else:
        totals = settings | _write_all(root, seed, periods, last_month, say)
        _write_accounts(root / ACCOUNTS_FILE)
        (root / EXPECTED_FILE).write_text(json.dumps(totals, indent=1) + "\n", encoding="utf-8")
    return DemoEstate(root, root / ACCOUNTS_FILE, root / EXPECTED_FILE, tuple(periods), again, totals)


def _write_all(root: Path, seed: int, periods: list[BillingPeriod], last_month: str, say: Callable[[str], None]) -> dict[str, Any]:
    first: dict[str, dict[str, object]] = {str(export["id"]): {} for export in EXPORTS}
    for number, period in enumerate(periods, 1):
        where = (seed, period, last_month)
        written = (
            aws.write_month(root / "aws", *where, delivery=FIRST),
            *openai.write_month(root / "openai", *where),
            *anthropic.write_month(root / "anthropic", *where),
            *azure.write_month(root / "azure", *where),
            gcp.write_month(root / "gcp", *where),
            oci.write_month(root / "oci", *where),
            gateway.write_month(root / "gateway", *where),
            neocloud.write_month(root / "nimbus", *where),
        )
        for export, total in zip(first, written, strict=True):
            if total is not None:  # of a vendor that was there
                first[export][period.label] = total.as_json()
        say(f"{period}: {_said(written[:-1])}, {_said(written[-1:], currency='EUR')} ({number} of {len(periods)})")
    again = redelivered_period(periods)
    restated = aws.month_totals(bill_lines(seed, again, last_month, restated=True))
    return {
        "deliveries": {str(FIRST): first, str(SECOND): {AWS_EXPORT: {again.label: restated.as_json()}}},
        "redelivered": {"export": AWS_EXPORT, "month": again.label},
        "spike": {
            "date": spike_date(last_month).isoformat(),
            "provider": "AWS",
            "service": SPIKE_SERVICE,
            "account_id": ACCOUNTS[SPIKE_ACCOUNT][0],
            "account_name": ACCOUNTS[SPIKE_ACCOUNT][1],
        },
    }


def _said(totals: Iterable[Totals | None], currency: str = "USD") -> str:
    bills = [total for total in totals if total is not None and total.billed is not None]
    billed = sum(total.billed or 0 for total in bills)
    return f"{sum(total.rows for total in bills):,} cost rows, {billed:,.2f} {currency}"


def _silent(_: str) -> None:
    """Progress that nobody asked for."""


def _totals_of_first(root: Path, settings: dict[str, object]) -> dict[str, Any]:
    """The totals written with the first deliveries; they already hold the restated month's."""
    path = root / EXPECTED_FILE
    totals: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if {key: totals.get(key) for key in settings} != settings:
        raise ConfigError(
            "A second delivery needs the first one of the same estate",
            where=str(path),
            expected=f"an estate written with {settings}",
            next_step="Write the first deliveries there, with the same seed and months.",
        )
    return totals


def _write_accounts(path: Path) -> None:
    text = "# The exports of the demo estate; locations are relative to this file.\n" + yaml.safe_dump(
        {"exports": list(EXPORTS)}, sort_keys=False
    )
    path.write_text(text, encoding="utf-8")
