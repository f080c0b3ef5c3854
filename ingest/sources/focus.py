"""FOCUS 1.0-preview to 1.4 cost and usage files of whoever writes them: clouds, SaaS vendors, tools; CSV or Parquet.

Data flow: a delivery of one of four layouts (`_focus_layouts`), or a lone file → bronze.focus_files, one row per row of the file.

Tolerant in: columns in any case and under their former names, unknown ones kept as text, NULL in all its spellings, times in several
formats, tags as text, map or list. What is refused is what would change money or lose it: a BilledCost that is empty or no number, no
currency, no charge period, no provider, an account with two currencies in a month. What is wrong but harmless is repaired, or kept and
listed, by staging (dbt/models/staging/focus_files, docs/decisions/0019).

The slice is the billing month where a delivery holds the whole month; the file where files only add up (Oracle); and (month, billing
account) for a lone file, which may hold several of both: so a file replaces what it holds anew and nothing else.
Document: FinOps Open Cost and Usage Specification 1.4 and its predecessors.
Run alone: costlake ingest path/to/focus.csv.gz
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pyarrow as pa

from costlake.errors import BadValue
from costlake.sql import empty_select, identifier, literal
from costlake.tables import BRONZE_MONEY, TEXT, TIMESTAMP, bronze_table
from ingest.lone_files import looking_into
from ingest.parts import Layout, Part, opened
from ingest.readers import Scan, csv_header, scan_file, unreadable
from ingest.source import Delivery, LandedObject, LoadContext, Opened, Source
from ingest.sources._focus_columns import AMOUNTS, NULL_TEXTS, PROVIDERS, REQUIRED, TEXTS, TIMES, is_focus, names
from ingest.sources._focus_layouts import ORACLE_DAY, find

_TABLE = bronze_table(
    "focus_files",
    [
        *(pa.field(name, TEXT) for name in sorted(TEXTS)),
        *(pa.field(name, TIMESTAMP) for name in sorted(TIMES)),
        *(pa.field(name, BRONZE_MONEY) for name in sorted(AMOUNTS)),
    ],
)
# Azure and US tools write the month first. A file that means the day first is found out by the first day after the 12th.
_SLASHED = "['%m/%d/%Y', '%m/%d/%Y %H:%M:%S', '%m/%d/%Y %H:%M', '%m/%d/%Y %I:%M:%S %p', '%m/%d/%Y %I:%M %p']"
_NO_SECONDS = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2})(Z|[+-][0-9]{2}:?[0-9]{2})$"
# Oracle's files only add up, so one of them must not replace another.
_ORACLE_MARK = "oci_referencenumber"
_LONG_ACCOUNT = 40


def _instant(column: str, kind: str) -> str:
    """SQL of an instant; a time without zone is UTC."""
    if kind != "VARCHAR":
        return f"try_cast({column} AS TIMESTAMPTZ)"
    text = f"trim({column})"
    return (
        f"coalesce(try_cast({text} AS TIMESTAMPTZ), try_cast(regexp_replace({text}, '{_NO_SECONDS}', '\\1:00\\2') AS TIMESTAMPTZ), "
        f"CAST(try_strptime({text}, {_SLASHED}) AS TIMESTAMPTZ))"
    )


def _month_start(column: str, kind: str) -> str:
    """The same for the start of a billing period: `1/10/2026` read as the tenth of January would be the wrong month, so it is no date."""
    instant = _instant(column, kind)
    if kind != "VARCHAR":
        return instant
    return f"CASE WHEN {column} NOT LIKE '%/%' OR day({instant}) = 1 THEN {instant} END"


_LAYOUT = Layout(
    _TABLE.schema,
    REQUIRED,
    names,
    "a FOCUS CostAndUsage file (BilledCost, BillingCurrency, ChargePeriodStart and the provider at least)",
    parsers=dict.fromkeys(TIMES, _instant)
    | {"BillingPeriodStart": _month_start, "BillingCurrency": lambda column, _: f"nullif(upper(trim(CAST({column} AS VARCHAR))), '')"},
)


def open_delivery(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The delivery's rows with bronze's columns and types, part after part.

    Raises:
        BadValue: a row without any provider, or an account that is billed in two currencies in one month (FOCUS BillingCurrency-C-005).
    """
    if not objects:  # a manifest that announces a month without charges
        period = delivery.billing_period or ""
        return Opened(empty_select(_TABLE.schema), empty_slices=((period, period),) if period else ())
    parts = [Part(_scan(context.connection, landed.path, landed.key), landed, _LAYOUT) for landed in objects]
    for part, landed in zip(parts, objects, strict=True):
        _refuse_unbookable(context, part, landed.key)
    return opened(
        parts, [part.select_sql(_period(part), _slice(part, delivery, landed)) for part, landed in zip(parts, objects, strict=True)]
    )


def _scan(connection: object, path: Path, key: str) -> Scan:
    return scan_file(connection, path, key, NULL_TEXTS)  # type: ignore[arg-type]  # duckdb is imported late


def _period(part: Part) -> str:
    """SQL of the billing month; that of the charge where the file names no billing period.

    A month begins at midnight of the issuer's clock, which is up to 14 hours before and 12 after that of UTC (Google: Pacific time).
    """
    charged = f"strftime({part.typed('ChargePeriodStart')}, '%Y-%m')"
    if not part.has("BillingPeriodStart"):
        return charged
    return f"coalesce(strftime({part.typed('BillingPeriodStart')} + INTERVAL 14 HOUR, '%Y-%m'), {charged})"


def _slice(part: Part, delivery: Delivery, landed: LandedObject) -> str:
    if delivery.manifest:
        return _period(part)
    day = ORACLE_DAY.search(landed.key)
    if day is not None or part.has(_ORACLE_MARK):
        return literal(day[1] if day is not None else landed.key.rsplit("/", 1)[-1])
    account = part.typed("BillingAccountId") if part.has("BillingAccountId") else "NULL"
    return f"{_period(part)} || '/' || coalesce({account}, '')"


def _refuse_unbookable(context: LoadContext, part: Part, key: str) -> None:
    import duckdb

    given = [part.typed(name) for name in PROVIDERS if part.has(name)]
    account = part.typed("BillingAccountId") if part.has("BillingAccountId") else "NULL"
    found = f"list_sort(list_distinct(list({part.typed('BillingCurrency')})))"
    nameless = f"count(*) FILTER (WHERE coalesce({', '.join(given) or 'NULL'}, NULL) IS NULL)"
    bill = f"{_period(part)} AS period, {account} AS account"
    bills = f"SELECT {bill}, {found} AS found, {nameless} AS nameless FROM {part.from_sql} GROUP BY ALL"
    try:
        rows = context.connection.execute(f"SELECT * FROM ({bills}) WHERE nameless > 0 OR len(found) > 1 ORDER BY ALL").fetchall()
    except duckdb.Error as error:
        raise unreadable(key, error) from error
    unnamed = sum(nameless for *_, nameless in rows)
    mixed = [(period, billed, currencies) for period, billed, currencies, _ in rows if len(currencies) > 1]
    if unnamed:
        raise BadValue(
            f"{unnamed} row(s) name no provider",
            where=f"{key}, columns {', '.join(PROVIDERS)}",
            expected="a provider or at least an invoice issuer in each row",
            next_step="ask the vendor for a file with ServiceProviderName (ProviderName before 1.3); nothing of it was loaded",
        )
    if mixed:
        period, billed, currencies = mixed[0]
        raise BadValue(
            f"account {billed} is billed in {' and '.join(currencies)} in {period}",
            where=f"{key}, column BillingCurrency",
            expected="one currency per billing account and period (FOCUS BillingCurrency-C-005)",
            next_step="ask the vendor for a file per currency and ingest each with an id of its own: costlake ingest FILE --as ID",
        )


def _column_names(path: Path) -> set[str]:
    if ".csv" in path.name:
        return set(csv_header(path)[0])
    if ".parquet" in path.name:
        import pyarrow.parquet as pq

        return set(pq.read_schema(path).names)
    return set()


def _recognises(path: Path) -> bool:
    return is_focus(_column_names(path))


def _account_of(path: Path) -> str | None:
    """Provider and billing account of a lone file, as far as it holds one of them: what its export is called by.

    Where it holds several the slices keep them apart; a provider is named by who issues the invoice when the services are of many.
    """
    with looking_into(path) as connection:
        scan = _scan(connection, path, path.name)
        raw = names(scan.columns, path.name)

        def single(column: str) -> str | None:
            if column not in raw:
                return None
            found = connection.execute(f"SELECT DISTINCT {identifier(raw[column])} FROM {scan.from_sql} LIMIT 2").fetchall()
            return str(found[0][0]) if len(found) == 1 and found[0][0] is not None else None

        provider = next((name for column in ("ProviderName", "InvoiceIssuerName", "ServiceProviderName") if (name := single(column))), None)
        account = single("BillingAccountId")
    return f"{provider or 'several providers'} {_short(account) if account else ''}".strip()


def _short(account: str) -> str:
    """An account id that fits into an export's; a long one by its end and a hash, so that two stay two."""
    last = account.rstrip("/").rsplit("/", 1)[-1]
    if len(account) <= _LONG_ACCOUNT:
        return last if re.search(r"[a-z0-9]", last.lower()) else account
    return f"{last[:20]} {hashlib.sha256(account.encode()).hexdigest()[:8]}"


SOURCES = (
    Source(
        name="focus_files",
        provider="FOCUS",
        title="FOCUS 1.0–1.4 files of any vendor",
        table=_TABLE,
        feeds="focus",
        formats="CSV, CSV.gz, Parquet; AWS, Azure and Oracle exports, monthly folders, lone files",
        documentation="FinOps Open Cost and Usage Specification (FOCUS) 1.0 to 1.4",
        find=find,
        open=open_delivery,
        recognises=_recognises,
        # an effective cost that is not given is the billed one (FOCUS EffectiveCost-C-015..C-017)
        measures={"billed": "BilledCost", "effective": "coalesce(EffectiveCost, BilledCost)"},
        currency_sql="BillingCurrency",
        account_of=_account_of,
    ),
)
