"""Oracle Cloud bills: the legacy cost reports (`reports/cost-csv/`), CSV.

Data flow: the listing of one folder → each object is a delivery of its own → bronze.oci_cost.

Oracle writes several files a day. A file is never changed and never cumulative: it holds the hours since the one before it, late hours and
corrections of earlier ones as new rows. So a file is a slice (`_slice` is its name without folder and ending), a month is the sum of its
files, and a file may lie in two months. An object that can be listed is complete: object stores show it when its upload has ended. A file
that comes late is found by its name being new, whatever the dates in it.
Column names become snake case (`cost/myCost` → cost_my_cost); the columns `tags/<namespace.key>` come and go and are gathered in the map
`tags` under the key as Oracle writes it.
Documents: Oracle "Cost and Usage Reports Overview" and "Cost report schema".
Run alone: costlake ingest path/to/reports_cost-csv_0000000030000269.csv.gz
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa

from costlake.config import Export
from costlake.errors import ConfigError, UnreadableFile
from costlake.sql import identifier, literal
from costlake.tables import BRONZE_MONEY, TEXT, TEXT_MAP, TIMESTAMP, bronze_table
from ingest.lone_files import looking_into
from ingest.parts import Layout, Part, opened
from ingest.readers import csv_header, scan_file
from ingest.source import Candidate, Delivery, LandedObject, LoadContext, Opened, Source
from ingest.stores import Store, StoredObject

_REPORTS = "reports/cost-csv"
_ENDINGS = (".csv.gz", ".csv")
# The tool that downloads a bucket writes the folder into the name: reports_cost-csv_0000000030000269.csv.gz
_FLAT_NAME = re.compile(r"(?:reports_)?cost-csv_(.+)")
_TAGS = "tags/"
_AMOUNTS = (
    "cost_attributed_cost",
    "cost_my_cost",
    "cost_my_cost_overage",
    "cost_unit_price",
    "cost_unit_price_overage",
    "usage_attributed_usage",
    "usage_billed_quantity",
    "usage_billed_quantity_overage",
)
_TIMES = ("line_item_interval_usage_end", "line_item_interval_usage_start")
_TEXTS = (
    "cost_billing_unit_readable",
    "cost_currency_code",
    "cost_overage_flag",
    "cost_product_sku",
    "cost_sku_unit_description",
    "cost_subscription_id",
    "line_item_backreference_no",
    "line_item_is_correction",
    "line_item_reference_no",
    "line_item_tenant_id",
    "product_availability_domain",
    "product_compartment_id",
    "product_compartment_name",
    "product_description",
    "product_region",
    "product_resource_id",
    "product_service",
)
_REQUIRED = frozenset(
    {
        "cost_currency_code",
        "cost_my_cost",
        "line_item_interval_usage_end",
        "line_item_interval_usage_start",
        "line_item_tenant_id",
    }
)
_TABLE = bronze_table(
    "oci_cost",
    [
        *(pa.field(name, TEXT) for name in _TEXTS),
        *(pa.field(name, TIMESTAMP) for name in _TIMES),
        *(pa.field(name, BRONZE_MONEY) for name in _AMOUNTS),
        pa.field("tags", TEXT_MAP),
    ],
)
# The documents write iscorrection and backReference where the files have isCorrection and backreferenceNo: letters alone tell a column.
_KNOWN = {name.replace("_", ""): name for name in (*_TEXTS, *_TIMES, *_AMOUNTS)} | {"lineitembackreference": "line_item_backreference_no"}


def find(store: Store, export: Export) -> Iterator[Candidate]:
    """The reports of `reports/cost-csv`; where the location has no such folder, those that lie in the location itself.

    A folder is not searched further, and usage and FOCUS reports beside it are not read: they carry the same cost again.
    """
    reports = list(find_reports(store, export, _REPORTS))
    if reports:
        yield from reports
        return
    own_folder = store.root.rstrip("/").rsplit("/", 1)[-1] == "cost-csv"
    for candidate in find_reports(store, export, ""):
        if own_folder or _FLAT_NAME.match(candidate.key):
            yield candidate


def find_reports(store: Store, export: Export, folder: str) -> Iterator[Candidate]:
    """One delivery per CSV file that lies directly in a folder of Oracle's bucket, oldest name first.

    Args:
        store: where the bucket, or a copy of it, is.
        export: what the deliveries belong to.
        folder: key below the store's root; also used for the days of `FOCUS Reports/`.
    """
    for stored in store.list(folder):
        if stored.key.endswith(_ENDINGS):
            yield Candidate(stored.key, partial(_delivery, export, stored))


def _delivery(export: Export, stored: StoredObject) -> Delivery:
    # The entry in the listing is the commit marker.
    entry = json.dumps({"object": stored.key, "byte_count": stored.byte_count}).encode()
    return Delivery(export, stored.key, (stored,), manifest=entry)


def report_name(key: str) -> str:
    """What Oracle calls a report, wherever it was copied to: its number, without folder, download prefix and ending.

    One file under two paths is one slice, so that it never counts twice.
    """
    name = key.rsplit("/", 1)[-1]
    name = next((name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)), name)
    flat = _FLAT_NAME.fullmatch(name)
    return flat[1] if flat else name


def open_delivery(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The file's rows with bronze's columns; their billing period is the UTC month in which their hour begins."""
    parts = [Part(scan_file(context.connection, landed.path, landed.key), landed, _LAYOUT) for landed in objects]
    selects = [
        part.select_sql(f"strftime({part.typed('line_item_interval_usage_start')}, '%Y-%m')", literal(report_name(landed.key)))
        for part, landed in zip(parts, objects, strict=True)
    ]
    return opened(parts, selects)


def _instant(column: str, _: str) -> str:
    """Times come as 2023-11-13T10:00Z and 2023-11-13T11:00:00Z in one row; DuckDB reads the second form only."""
    text = f"trim(CAST({column} AS VARCHAR))"
    with_seconds = f"regexp_replace({text}, '^(\\d{{4}}-\\d\\d-\\d\\dT\\d\\d:\\d\\d)(Z|[+-]\\d\\d:?\\d\\d)?$', '\\1:00\\2')"
    return f"try_cast({with_seconds} AS TIMESTAMPTZ)"


def _bronze_name(column: str) -> str:
    letters = re.sub(r"[^a-z0-9]", "", column.lower())
    return _KNOWN.get(letters) or re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).lower()).strip("_")


def _names(columns: Mapping[str, str], key: str) -> dict[str, str]:
    """Bronze name → name in the file, tags left out. Columns that we do not know are kept as text."""
    names: dict[str, str] = {}
    for raw in columns:
        if raw.startswith(_TAGS):
            continue
        name = _bronze_name(raw)
        if name in names:
            raise UnreadableFile(
                f"two columns are both {name}",
                where=f"{key}: header, {raw!r} and {names[name]!r}",
                expected="every column once",
                next_step="ask Oracle for the report again; nothing of it was loaded",
            )
        names[name] = raw
    return names


_LAYOUT = Layout(
    schema=_TABLE.schema,
    required=_REQUIRED,
    names=_names,
    expected="the columns of an OCI cost report (reports/cost-csv); usage reports carry no cost",
    parsers=dict.fromkeys(_TIMES, _instant),
    maps={"tags": _TAGS},
)


def _is_report(path: Path) -> bool:
    return path.name.endswith(_ENDINGS) and {_bronze_name(name) for name in csv_header(path)[0]} >= _REQUIRED


def _account_of(path: Path) -> str | None:
    """The subscription of a lone file, or its tenancy; ConfigError when it holds several of both."""
    with looking_into(path) as connection:
        scan = scan_file(connection, path, path.name)
        names = _names(scan.columns, path.name)
        for column in (name for name in ("cost_subscription_id", "line_item_tenant_id") if name in names):
            raw = identifier(names[column])
            found = connection.execute(f"SELECT DISTINCT {raw} FROM {scan.from_sql} WHERE {raw} IS NOT NULL LIMIT 2").fetchall()
            if len(found) == 1:
                # The last part of an OCID is what tells it from others; the rest would fill the export's id.
                return str(found[0][0]).rsplit(".", 1)[-1]
    raise ConfigError(
        "the file holds cost of several subscriptions and tenancies, or of none",
        where=path.name,
        expected="one subscription or one tenancy, whose id names the export",
        next_step="name the export yourself: costlake ingest FILE --as ID",
    )


SOURCES = (
    Source(
        name="oci_cost",
        provider="Oracle",
        title="OCI cost report (legacy)",
        table=_TABLE,
        feeds="focus",
        formats="CSV, CSV.gz; incremental files",
        documentation="Oracle Cloud Infrastructure documentation, Cost and Usage Reports",
        find=find,
        open=open_delivery,
        recognises=_is_report,
        # Quantity, price and cost of a row include its overage (Oracle, "Cost report schema"): the overage columns add nothing.
        measures={"billed": "cost_my_cost", "effective": "cost_my_cost"},
        currency_sql="cost_currency_code",
        unit_sql=("cost_product_sku", "coalesce(cost_billing_unit_readable, cost_sku_unit_description)"),
        account_of=_account_of,
    ),
)
