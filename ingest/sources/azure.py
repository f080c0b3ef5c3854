"""Azure bills: Cost Management exports of actual and of amortized cost, CSV or Parquet, in every header dialect.

Data flow: newest run of each period (ingest.azure_exports) → its files → bronze.azure_actual or bronze.azure_amortized.

Both kinds have the same columns and nearly the same rows, so one billing account must not be counted from both. An actual export whose
`amortized_by` names the amortized one (config/accounts.yml) contributes what only it has: the purchases and refunds of reservations and
savings plans; its other rows lie in bronze and measure 0. Alone it contributes everything, on a cash basis (docs/decisions/0016).
Documents: Microsoft Learn, "Understand the cost details file fields", "Charges and amortized costs".
Run alone: costlake ingest path/to/part_0_0001.csv.gz
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import pyarrow as pa

from costlake.errors import UnreadableFile
from costlake.sql import empty_select
from costlake.tables import BRONZE_MONEY, TEXT, TIMESTAMP, TableSpec, bronze_table
from ingest.azure_exports import find_runs
from ingest.lone_files import looking_into, the_only
from ingest.parts import Layout, Part, opened
from ingest.readers import csv_header, scan_file
from ingest.source import Delivery, LandedObject, LoadContext, Opened, Source
from ingest.sources._azure_columns import AMOUNTS, DAYS, DROPPED, SYNONYMS, TEXTS

if TYPE_CHECKING:
    import duckdb

Kind = Literal["actual", "amortized"]
Answer = TypeVar("Answer")

_REQUIRED = frozenset({"billing_currency", "cost_in_billing_currency", "date"})
# what makes a file one of cost details, among all files with a date and a cost
_TELLING = frozenset({"cost_in_billing_currency", "date", "meter_category"})

_FIELDS = [
    *(pa.field(name, TEXT) for name in sorted(TEXTS)),
    *(pa.field(name, TIMESTAMP) for name in sorted(DAYS)),
    *(pa.field(name, BRONZE_MONEY) for name in sorted(AMOUNTS)),
    pa.field("_amortized_by", TEXT),
]
_ACTUAL = bronze_table("azure_actual", _FIELDS)
_AMORTIZED = bronze_table("azure_amortized", _FIELDS)

_COMMITMENT = """(lower(replace(pricing_model, ' ', '')) IN ('reservation', 'savingsplan')
 OR (pricing_model IS NULL AND (reservation_id IS NOT NULL OR benefit_id IS NOT NULL)))"""
_CHARGE = "coalesce(lower(replace(charge_type, ' ', '')), 'usage')"
_IS_TRADE = f"({_CHARGE} IN ('purchase', 'refund') AND {_COMMITMENT})"
_IS_COVERED = f"({_CHARGE} LIKE 'unused%' OR ({_CHARGE} = 'usage' AND {_COMMITMENT}))"

# FOCUS 1.4 BilledCost-C-010, EffectiveCost-C-020: the purchase of a commitment is billed and has no effective cost, what it covers the
# other way round. An actual export without its amortized one cannot say what was covered: effective is what was billed (0016).
_ACTUAL_MEASURES = {
    "billed": f"CASE WHEN _amortized_by IS NULL OR {_IS_TRADE} THEN cost_in_billing_currency ELSE 0 END",
    "effective": "CASE WHEN _amortized_by IS NULL THEN cost_in_billing_currency ELSE 0 END",
}
_AMORTIZED_MEASURES = {
    "billed": f"CASE WHEN {_IS_COVERED} THEN 0 ELSE cost_in_billing_currency END",
    "effective": f"CASE WHEN {_IS_TRADE} THEN 0 ELSE cost_in_billing_currency END",
}


def open_delivery(kind: Kind, context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The delivery's rows with bronze's columns and types, part after part. UnreadableFile for an amortized file in an actual export."""
    layout = _layout(_ACTUAL if kind == "actual" else _AMORTIZED)
    parts = [Part(scan_file(context.connection, landed.path, landed.key), landed, layout) for landed in objects]
    if kind == "actual":
        for part, landed in zip(parts, objects, strict=True):
            if _is_amortized(context.connection, part):
                raise UnreadableFile(
                    "the file holds amortized cost",
                    where=landed.key,
                    expected="actual cost: no unused commitments, and usage that a commitment covers at 0",
                    next_step="name the source azure_amortized (config/accounts.yml, or --source)",
                )
    # the unit in which a pair is switched on is the delivery: `landing.delivery_id` knows the pair
    constants = {"_amortized_by": delivery.export.amortized_by} if delivery.export.amortized_by else {}
    # a month that the manifest says is empty replaces what was there
    empty = ((delivery.billing_period, delivery.billing_period),) if delivery.announced_rows == 0 and delivery.billing_period else ()
    if not parts:
        return Opened(empty_select(layout.schema), empty_slices=empty)
    return replace(opened(parts, [_select(part, constants) for part in parts]), empty_slices=empty)


def _select(part: Part, constants: Mapping[str, str]) -> str:
    """The rows with their billing month: the period's where the row has one and lies in or before it, else the day's.

    Old pay-as-you-go accounts are invoiced from one day of a month to the day before in the next: such rows are in the month of their day,
    and each invoice's part of a month is a slice of its own, which a delivery of the next invoice leaves alone.
    """
    day = part.typed("date")
    if not part.has("billing_period_start_date"):
        return part.select_sql(f"strftime({day}, '%Y-%m')", constants=constants)
    start = part.typed("billing_period_start_date")
    whole = f"day({start}) = 1 AND {day} < date_trunc('month', {start}) + INTERVAL 1 MONTH"
    period = f"CASE WHEN {whole} THEN strftime({start}, '%Y-%m') ELSE strftime({day}, '%Y-%m') END"
    slice_ = f"{period} || CASE WHEN day({start}) <> 1 THEN strftime({start}, '@%Y-%m-%d') ELSE '' END"
    return part.select_sql(period, f"CASE WHEN {start} IS NULL THEN {period} ELSE {slice_} END", constants)


def _day(column: str, kind: str) -> str:
    """SQL of a day as Azure writes it; the time of day, which some exports add, is dropped. Month first, as Azure writes everywhere."""
    if kind != "VARCHAR":
        return f"date_trunc('day', CAST({column} AS TIMESTAMPTZ))"
    text = f"trim({column})"
    slashed = f"try_strptime(split_part({text}, ' ', 1), '%m/%d/%Y')"
    return (
        f"CAST(CASE WHEN regexp_full_match({text}, '\\d{{1,2}}/\\d{{1,2}}/\\d{{4}}( .*)?') THEN {slashed} "
        f"WHEN regexp_full_match({text}, '\\d{{4}}-\\d{{2}}-\\d{{2}}([ T].*)?') THEN try_cast(left({text}, 10) AS TIMESTAMP) "
        "END AS TIMESTAMPTZ)"
    )


def plain_name(header: str) -> str:
    """What is compared of a header: `Abonnement-GUID (SubscriptionGuid)` → subscriptionguid."""
    bracketed = re.search(r"\(([A-Za-z][A-Za-z0-9_ ]*)\)\s*$", header)
    return re.sub(r"[^a-z0-9]", "", (bracketed[1] if bracketed else header).lower())


def _snake(header: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", header)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "column"


def _normalised(columns: Mapping[str, str], key: str) -> dict[str, str]:
    """Bronze name → name in the file; what no synonym takes stays as an extra text column."""
    by_plain: dict[str, str] = {}
    for raw in columns:
        plain = plain_name(raw)
        if plain in by_plain:
            raise UnreadableFile(
                f"two columns are both {plain}",
                where=f"{key}: header, {raw!r} and {by_plain[plain]!r}",
                expected="every column once, whatever its language",
                next_step="export the period again; nothing of it was loaded",
            )
        by_plain[plain] = raw
    names: dict[str, str] = {}
    for name in (*sorted(TEXTS), *sorted(DAYS), *sorted(AMOUNTS)):
        found = next((by_plain[plain] for plain in SYNONYMS.get(name, (name.replace("_", ""),)) if plain in by_plain), None)
        if found is not None:
            names[name] = found
    taken = set(names.values())
    for plain, raw in by_plain.items():
        if raw in taken or plain in DROPPED:
            continue
        name, number = _snake(raw), 2
        while name in names or name in _ACTUAL.schema.names:
            name, number = f"{_snake(raw)}__{number}", number + 1
        names[name] = raw
    return names


def _layout(table: TableSpec) -> Layout:
    return Layout(table.schema, _REQUIRED, _normalised, "the columns of an Azure cost details file", dict.fromkeys(DAYS, _day))


def _is_amortized(connection: duckdb.DuckDBPyConnection, part: Part) -> bool:
    """Whether the rows prove it: an unused commitment, or usage that a commitment covers and that costs something."""
    # every column that the condition names, NULL where the file lacks it
    names = ("charge_type", "pricing_model", "reservation_id", "benefit_id", "cost_in_billing_currency")
    columns = ", ".join(f"{part.typed(name) if part.has(name) else 'NULL'} AS {name}" for name in names)
    covered = f"({_CHARGE} LIKE 'unused%' OR ({_IS_COVERED} AND cost_in_billing_currency <> 0))"
    found = connection.execute(f"SELECT count(*) FROM (SELECT {columns} FROM {part.from_sql}) WHERE {covered}").fetchall()
    return bool(found[0][0])


def _column_names(path: Path) -> dict[str, str]:
    if ".csv" in path.name:
        raw = csv_header(path)[0]
    elif ".parquet" in path.name:
        import pyarrow.parquet as pq

        raw = pq.read_schema(path).names
    else:
        return {}
    return {plain_name(name): name for name in raw}


def _is_cost_details(path: Path) -> bool:
    names = _column_names(path)
    return all(any(plain in names for plain in SYNONYMS.get(name, (name.replace("_", ""),))) for name in _TELLING)


def _recognises(kind: Kind, path: Path) -> bool:
    """A lone file: amortized when its rows prove it, else actual."""
    if not _is_cost_details(path):
        return False
    found = _ask(path, lambda connection, part: _is_amortized(connection, part))
    return found == (kind == "amortized")


def _account_of(path: Path) -> str | None:
    """The billing profile or account of a lone file, else its subscription; ConfigError when it holds bills of several."""

    def owners(connection: duckdb.DuckDBPyConnection, part: Part) -> list[str]:
        names = ("billing_profile_id", "billing_account_id", "subscription_id")
        present = [part.typed(name) for name in names if part.has(name)]
        if not present:
            return []
        query = f"SELECT DISTINCT coalesce({', '.join(present)}) AS owner FROM {part.from_sql} ORDER BY owner NULLS LAST LIMIT 2"
        return [str(owner) for (owner,) in connection.execute(query).fetchall() if owner is not None]

    return the_only(_ask(path, owners), "billing account", path)


def _ask(path: Path, question: Callable[[duckdb.DuckDBPyConnection, Part], Answer]) -> Answer:
    """What a lone file says, in a connection of its own."""
    with looking_into(path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        any_columns = replace(_layout(_ACTUAL), required=frozenset())
        part = Part(scan_file(connection, path, path.name), LandedObject(path.name, "", path, path.stat().st_size), any_columns)
        return question(connection, part)


def _source(kind: Kind, table: TableSpec, types: frozenset[str], measures: Mapping[str, str]) -> Source:
    return Source(
        name=table.name,
        provider="Microsoft",
        title=f"Azure Cost Management export, {kind} cost",
        table=table,
        feeds="focus",
        formats="CSV, CSV.gz, Parquet; EA, MCA, pay-as-you-go; several parts; overwritten or a folder per run",
        documentation="Understand the cost details file fields",
        find=partial(find_runs, types=types),
        open=partial(open_delivery, kind),
        recognises=partial(_recognises, kind),
        measures=measures,
        currency_sql="billing_currency",
        unit_sql=("meter_id", "unit_of_measure"),
        account_of=_account_of,
    )


SOURCES = (
    _source("actual", _ACTUAL, frozenset({"ActualCost", "Usage"}), _ACTUAL_MEASURES),
    _source("amortized", _AMORTIZED, frozenset({"AmortizedCost"}), _AMORTIZED_MEASURES),
)
