"""GitHub: the billing usage report, with Copilot's seats, premium requests and AI credits among all metered products.

Data flow: `<export>/manifest.json` with CSV files or JSON of the API, or a lone file → bronze.github_billing.

It is a bill: net_amount is what the account is charged, gross_amount what it would be without included usage and discounts.
Documented (GitHub, billing reports reference; REST API, billing usage): the columns, gross - discount = net, times in UTC, US dollars. A
row has no id: two equal rows are two charges. The slice is the UTC day, so that a summarised and a detailed report of a day never add up.
Users become pseudonyms in bronze. Lists of Copilot seats (the seats API) say who has one and not what it costs: they are not read.
Run alone: costlake ingest path/to/usage_report.csv
"""

from __future__ import annotations

import pyarrow as pa

from costlake.tables import BRONZE_MONEY, TEXT, TIMESTAMP, bronze_table
from ingest.handovers import find_handovers
from ingest.source import Source
from ingest.tabular import Shape

_TEXTS = ("product", "sku", "unit_type", "user_id", "organization", "repository", "workflow_path", "cost_center_name", "model")
_AMOUNTS = ("quantity", "price_per_unit", "gross_amount", "discount_amount", "net_amount")
_TABLE = bronze_table(
    "github_billing",
    [
        pa.field("used_on", TIMESTAMP),
        *(pa.field(name, TEXT) for name in _TEXTS),
        *(pa.field(name, BRONZE_MONEY) for name in _AMOUNTS),
    ],
)
_SHAPE = Shape(
    _TABLE.schema,
    frozenset({"used_on", "product", "sku", "quantity", "unit_type", "gross_amount", "net_amount"}),
    "GitHub's billing usage report (date, product, sku, quantity, unit_type, gross_amount, net_amount)",
    day="used_on",
    spellings={
        "date": "used_on",
        "unitType": "unit_type",
        "applied_cost_per_quantity": "price_per_unit",
        "username": "user_id",
        "organizationName": "organization",
        "repositoryName": "repository",
        "costCenterName": "cost_center_name",
    },
    people=("user_id",),
    lists=("usageItems",),
)

SOURCES = (
    Source(
        name="github_billing",
        provider="GitHub",
        title="GitHub billing usage (Copilot and all metered products)",
        table=_TABLE,
        feeds="focus",
        formats="CSV or JSON with manifest.json, or a file by hand",
        documentation="GitHub, billing reports reference; REST API, billing usage",
        find=find_handovers,
        open=_SHAPE.open,
        recognises=_SHAPE.recognises,
        measures={"billed": "net_amount", "effective": "net_amount"},
        currency_sql="'USD'",
        unit_sql=("sku", "unit_type"),
    ),
)
