"""AWS bills: legacy Cost and Usage Reports (CUR) and CUR 2.0 Data Exports, CSV or Parquet.

Data flow: <report>-Manifest.json → the files it lists → bronze.aws_cur (legacy) or bronze.aws_cur2.

Every delivery holds the whole month to date, so a delivery replaces its month. The manifest is written last and names
the files; nothing else is read. Legacy column names become Athena's snake case (lineItem/UnblendedCost →
line_item_unblended_cost); product, tag and cost-category columns come and go from month to month and are kept as text.
Documents: AWS "Cost and Usage Reports user guide" and "Data Exports, CUR 2.0 table dictionary".
Run alone: costlake ingest path/to/cur.parquet
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa

from costlake.config import Export
from costlake.errors import UnreadableFile
from costlake.tables import BRONZE_MONEY, TEXT, TEXT_MAP, TIMESTAMP, TableSpec, bronze_table
from ingest.aws_exports import find_exports, manifests
from ingest.lone_files import looking_into, the_only
from ingest.parts import Layout, Part, opened
from ingest.readers import csv_header, scan_file
from ingest.source import Candidate, Delivery, LandedObject, LoadContext, Opened, Source
from ingest.sources._aws_columns import AMOUNTS, LEGACY_PRODUCT_TEXTS, MAPS, TEXTS, TIMES
from ingest.stores import Store

_REQUIRED = frozenset(
    {
        "bill_billing_period_start_date",
        "bill_payer_account_id",
        "line_item_line_item_type",
        "line_item_unblended_cost",
        "line_item_currency_code",
        "line_item_usage_start_date",
    }
)
_PERIOD_FOLDER = re.compile(r"(\d{4})(\d{2})01-\d{8}")

_FIELDS = [
    *(pa.field(name, TEXT) for name in sorted(TEXTS)),
    *(pa.field(name, TIMESTAMP) for name in sorted(TIMES)),
    *(pa.field(name, BRONZE_MONEY) for name in sorted(AMOUNTS)),
    pa.field("_cost_basis", TEXT),
]
_LEGACY = bronze_table("aws_cur", [*_FIELDS, *(pa.field(name, TEXT) for name in sorted(LEGACY_PRODUCT_TEXTS))])
_CUR2 = bronze_table("aws_cur2", [*_FIELDS, *(pa.field(name, TEXT_MAP) for name in sorted(MAPS))])


def _filled(net: str, gross: str) -> str:
    """A net column where it says something. Accounts without private prices have none; some exports write 0.0 then, and a
    net 0 beside a gross cost that no discount explains would lose the charge.
    """
    return f"CASE WHEN {net} <> 0 OR coalesce({gross}, 0) = 0 OR abs(discount_total_discount) >= abs({gross}) THEN {net} END"


def _net_or(net: str, gross: str) -> str:
    return f"coalesce({_filled(net, gross)}, {gross}, 0)"


# What is billed is the unblended cost, private discounts being lines of their own; where a delivery has net costs and no
# discount lines, it is the net cost (AWS CUR guide, "Discount details" and lineItem/NetUnblendedCost).
_BILLED = (
    f"CASE WHEN _cost_basis = 'net' THEN coalesce({_filled('line_item_net_unblended_cost', 'line_item_unblended_cost')}, "
    "line_item_unblended_cost) ELSE line_item_unblended_cost END"
)
_UNUSED_UPFRONT = "reservation_{}unused_amortized_upfront_fee_for_billing_period"
# FOCUS 1.4 CAU-EffectiveCost: what a covering purchase paid is spread over what it covers and what it left unused.
_EFFECTIVE = f"""CASE
 WHEN line_item_line_item_type = 'SavingsPlanCoveredUsage'
   THEN {_net_or("savings_plan_net_savings_plan_effective_cost", "savings_plan_savings_plan_effective_cost")}
 WHEN line_item_line_item_type IN ('SavingsPlanNegation', 'SavingsPlanUpfrontFee') THEN 0
 WHEN line_item_line_item_type = 'SavingsPlanRecurringFee'
   THEN coalesce(savings_plan_total_commitment_to_date - savings_plan_used_commitment, 0)
 WHEN line_item_line_item_type = 'DiscountedUsage'
   THEN {_net_or("reservation_net_effective_cost", "reservation_effective_cost")}
 WHEN line_item_line_item_type = 'RIFee'
   THEN {_net_or(_UNUSED_UPFRONT.format("net_"), _UNUSED_UPFRONT.format(""))}
      + {_net_or("reservation_net_unused_recurring_fee", "reservation_unused_recurring_fee")}
 WHEN line_item_line_item_type = 'Fee' AND reservation_reservation_a_r_n IS NOT NULL THEN 0
 ELSE {_BILLED} END"""

# Marketplace models are priced in "Units", and only the description says of how many tokens (provider-formats §7.1).
_TOKENS = "regexp_extract(lower(line_item_line_item_description), '(thousand|million|1k|1m)[a-z ]* tokens?')"
_UNIT = ("product_sku", f"CASE WHEN pricing_unit ILIKE 'unit%' THEN coalesce(nullif({_TOKENS}, ''), pricing_unit) ELSE pricing_unit END")


def find_legacy(store: Store, export: Export) -> Iterator[Candidate]:
    """The manifest of each `yyyymmdd-yyyymmdd` folder: AWS overwrites it to point to the newest assembly."""
    for folder in store.folders(""):
        match = _PERIOD_FOLDER.fullmatch(folder)
        if match:
            yield from manifests(store, export, folder, f"{match[1]}-{match[2]}")


def open_delivery(layout: Layout, context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The delivery's rows with bronze's columns and types, part after part."""
    parts = [Part(scan_file(context.connection, landed.path, landed.key), landed, layout) for landed in objects]
    basis = _cost_basis(context, parts)
    selects = []
    for part in parts:
        period = f"strftime({part.typed('bill_billing_period_start_date')}, '%Y-%m')"
        selects.append(part.select_sql(period, constants={"_cost_basis": basis}))
    return opened(parts, selects)


def _cost_basis(context: LoadContext, parts: list[Part]) -> str:
    """`net` where net costs are given and discounts are not lines of their own, else `unblended`."""
    queries = [
        f"SELECT bool_or({part.typed('line_item_net_unblended_cost')} <> 0) AS has_net, "
        f"bool_or({part.typed('line_item_line_item_type')} LIKE '%Discount') AS has_lines FROM {part.from_sql}"
        for part in parts
        if part.has("line_item_net_unblended_cost")
    ]
    if not queries:
        return "unblended"
    has_net, has_lines = context.connection.execute(
        f"SELECT bool_or(has_net), bool_or(has_lines) FROM ({' UNION ALL '.join(queries)})"
    ).fetchall()[0]
    return "net" if has_net and not has_lines else "unblended"


def snake_name(column: str) -> str:
    """Athena's name of a CUR column: lineItem/UnblendedCost → line_item_unblended_cost (AWS CUR guide, "Column names")."""
    spaced = re.sub(r"(?<!^)(?=[A-Z])", "_", column.replace("/", "_"))
    return re.sub(r"_+", "_", re.sub(r"[^a-z0-9]+", "_", spaced.lower())).strip("_")


def _normalised(columns: Mapping[str, str], key: str) -> dict[str, str]:
    """Bronze name → name in the file. Two tags that fall together get a number; other columns must not."""
    names: dict[str, str] = {}
    for raw in columns:
        name = snake_name(raw) if "/" in raw else raw.strip().lower()
        if name in names and name in TEXTS | TIMES | AMOUNTS:
            raise UnreadableFile(
                f"two columns are both {name}",
                where=f"{key}: header, {raw!r} and {names[name]!r}",
                expected="every column once",
                next_step="ask AWS to deliver the period again",
            )
        number = 2
        while name in names:
            name, number = f"{name.rstrip('0123456789_')}__{number}", number + 1
        names[name] = raw
    return names


def _layout(table: TableSpec) -> Layout:
    return Layout(table.schema, _REQUIRED, _normalised, "the columns of a Cost and Usage Report")


def _column_names(path: Path) -> set[str]:
    if ".csv" in path.name:
        raw = csv_header(path)[0]
    elif ".parquet" in path.name:
        import pyarrow.parquet as pq

        raw = pq.read_schema(path).names
    else:
        return set()
    return {snake_name(name) if "/" in name else name.lower() for name in raw}


def _is_legacy(path: Path) -> bool:
    names = _column_names(path)
    return names >= _REQUIRED and "resource_tags" not in names


def _is_cur2(path: Path) -> bool:
    names = _column_names(path)
    return names >= _REQUIRED and "resource_tags" in names


def _payer_of(path: Path) -> str | None:
    """The payer account of a lone file; ConfigError when it holds bills of several."""
    with looking_into(path) as connection:
        scan = scan_file(connection, path, path.name)
        raw = _normalised(scan.columns, path.name)["bill_payer_account_id"]
        found = connection.execute(f'SELECT DISTINCT "{raw}" FROM {scan.from_sql} LIMIT 2').fetchall()
    return the_only([str(payer) for (payer,) in found], "payer account", path)


SOURCES = (
    Source(
        name="aws_cur",
        provider="AWS",
        title="AWS Cost and Usage Report (legacy)",
        table=_LEGACY,
        feeds="focus",
        formats="CSV, CSV.gz, CSV.zip, Parquet; several parts; create-new and overwrite",
        documentation="AWS Cost and Usage Reports user guide",
        find=find_legacy,
        open=partial(open_delivery, _layout(_LEGACY)),
        recognises=_is_legacy,
        measures={"billed": _BILLED, "effective": _EFFECTIVE},
        currency_sql="line_item_currency_code",
        unit_sql=_UNIT,
        account_of=_payer_of,
    ),
    Source(
        name="aws_cur2",
        provider="AWS",
        title="AWS Data Exports, CUR 2.0",
        table=_CUR2,
        feeds="focus",
        formats="Parquet and CSV.gz; map columns; create-new and overwrite",
        documentation="AWS Data Exports user guide, CUR 2.0 table dictionary",
        find=partial(find_exports, focus=False),
        open=partial(open_delivery, _layout(_CUR2)),
        recognises=_is_cur2,
        measures={"billed": _BILLED, "effective": _EFFECTIVE},
        currency_sql="line_item_currency_code",
        unit_sql=_UNIT,
        account_of=_payer_of,
    ),
)
