"""A SKU that is suddenly measured in another unit: the same meter in blocks of another size, which multiplies every quantity and price.

Data flow: (sku, unit) of a delivery (temp table `delivery_totals`, see ingest.bronze) and of the export's bronze rows of the same and the
latest earlier month → nothing, or ChangedUnit.

Two units are one meter when they count the same thing (tokens, GB × hours); their blocks differ when one counts it by the thousand and
the other by the million, or one in hours and the other in seconds. Another spelling ("Hrs", "hours") is no change, and a unit of
another kind ("Hrs", "GB") is another meter of the SKU, which FOCUS rows show as such.
Run alone: python -c "from ingest.units import block_of; print(block_of('1K tokens'), block_of('GB-Mo'))"
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from costlake.delta import Lake
from costlake.errors import ChangedUnit
from costlake.sql import empty_select, literal

if TYPE_CHECKING:
    import duckdb

    from ingest.bronze import Judged
    from ingest.source import Source

_WORDS = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|[a-z]+")
_AFTER_A_NUMBER = {"k": 10**3, "m": 10**6, "b": 10**9}
_MULTIPLES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("mo", "month", "months"), 2_628_000),
    **dict.fromkeys(("yr", "year", "years"), 31_536_000),
}
_PREFIXES = ("kilo", "mega", "giga", "tera", "peta")
_BINARY = ("kibi", "mebi", "gibi", "tebi", "pebi")
_BYTES = {
    **dict.fromkeys(("byte", "bytes", "by"), 1),
    **{f"{letter}{end}": 1000 ** (n + 1) for n, letter in enumerate("kmgtp") for end in ("b", "by")},
    **{f"{letter}i{end}": 1024 ** (n + 1) for n, letter in enumerate("kmgtp") for end in ("b", "by")},
    **{f"{prefix}byte{end}": 1000 ** (n + 1) for n, prefix in enumerate(_PREFIXES) for end in ("", "s")},
    **{f"{prefix}byte{end}": 1024 ** (n + 1) for n, prefix in enumerate(_BINARY) for end in ("", "s")},
}

Block = tuple[Decimal, tuple[str, ...]]


def block_of(unit: str) -> Block:
    """How much of what a unit counts: "1K tokens" → (1000, ("token",)), "GB-Mo" → (10⁹ × 2,628,000, ("byte", "second"))."""
    size, things, number_before = Decimal(1), [], False
    for word in _WORDS.findall(unit.lower()):
        is_number = word[0].isdigit()
        if is_number:
            size *= Decimal(word.replace(",", "")) or 1
        elif number_before and word in _AFTER_A_NUMBER:
            size *= _AFTER_A_NUMBER[word]
        elif word in _MULTIPLES:
            size *= _MULTIPLES[word]
        elif word in _SECONDS:
            size *= _SECONDS[word]
            things.append("second")
        elif word in _BYTES:
            size *= _BYTES[word]
            things.append("byte")
        elif word != "per":
            things.append(word.removesuffix("s"))
        number_before = is_number
    return size, tuple(sorted(things))


def changes_block(known: list[str], unit: str) -> str | None:
    """The known unit of the same meter of which `unit` has other blocks; None when one has the same blocks, or none is alike."""
    size, things = block_of(unit)
    alike = [other for other in known if block_of(other)[1] == things]
    if not alike or any(block_of(other)[0] == size for other in alike):
        return None
    return alike[0]


def check_units_kept(connection: duckdb.DuckDBPyConnection, lake: Lake, source: Source, judged: Judged) -> None:
    """Refuse a delivery in which a known SKU is measured in blocks of another size.

    Raises:
        ChangedUnit: with both units, the first SKU and the number of rows; `--accept` lets the delivery in.
    """
    known = _known_sql(lake, source, judged)
    if source.unit_sql is None or known is None:
        return
    rows = connection.execute(
        f"WITH known AS (SELECT sku, list_sort(list(DISTINCT unit)) AS units FROM ({known}) WHERE sku <> '' AND unit <> '' GROUP BY sku) "
        "SELECT new.unit, known.units, min(new.sku), count(DISTINCT new.sku), sum(new.row_count) FROM delivery_totals new "
        "JOIN known USING (sku) WHERE new.unit <> '' AND NOT list_contains(known.units, new.unit) GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    for unit, units, sku, skus, count in rows:
        before = changes_block(units, unit)
        if before is not None:
            raise ChangedUnit(
                f"SKU {sku} was measured in {before!r} and is in {unit!r} now ({skus} SKU(s), {count} rows)",
                where=f"{judged.delivery_key}, SKU {sku}",
                expected=f"{before!r}: in the export's earlier rows the same meter has blocks of {block_of(before)[0]:f}, "
                f"here of {block_of(unit)[0]:f}",
                next_step="compare quantities and prices with the provider's price list; if the new unit is right: "
                f"costlake ingest --accept {judged.delivery_id}",
            )


def _known_sql(lake: Lake, source: Source, judged: Judged) -> str | None:
    """(sku, unit) of the export's bronze rows in the delivery's months and the latest one before; None where there are none."""
    if source.unit_sql is None or not lake.exists("bronze", source.table.name):
        return None
    files = lake.snapshot("bronze", source.table.name, {"_source_id": judged.source_id}).files
    months = {total.billing_period for total in judged.totals}
    earlier = {file.partition["_billing_period"] for file in files if file.partition["_billing_period"] < min(months)}
    looked_at = {*months, max(earlier, default="")}
    paths = [file.path for file in files if file.partition["_billing_period"] in looked_at]
    if not paths:
        return None
    listing = ", ".join(literal(path) for path in paths)
    scan = f"SELECT * FROM read_parquet([{listing}], union_by_name = true, hive_partitioning = false)"
    sku, unit = source.unit_sql
    return f"SELECT DISTINCT {sku} AS sku, {unit} AS unit FROM ({empty_select(source.table.schema)} UNION ALL BY NAME {scan})"
