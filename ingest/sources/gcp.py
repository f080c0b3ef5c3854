"""Google Cloud bills: the BigQuery billing export (standard or detailed), extracted to JSON lines, Parquet or flattened CSV.

Data flow: partition_date=YYYY-MM-DD/run_id=<id>/manifest.json → the files it lists → bronze.gcp_billing.

Google appends: late usage and corrections are new rows of the day they are exported, for any invoice month. So what a delivery replaces
is an export day (the partition of the BigQuery table), in every invoice month that it has rows of; the billing period of a row is its
invoice month. EXPORT DATA writes no commit marker and leaves stale shards behind: the extraction writes into a folder of its own and then
manifest.json, {"files": [...], "row_count": n, "max_export_time": "..."}. Of a day the run with the greatest id that has a manifest is in
force (docs/decisions/0017).
A lone file replaces what it holds: its export days, each in its invoice months.
Documents: Cloud Billing "Structure of Detailed data export", "Standard data export"; BigQuery "EXPORT DATA".
Run alone: costlake ingest path/to/export.ndjson.gz
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa

from costlake.config import Export
from costlake.errors import ManifestError, MissingPart, UnreadableFile
from costlake.sql import empty_select, identifier, literal
from costlake.tables import BRONZE_MONEY, TEXT, TIMESTAMP, bronze_table
from ingest.guards import check_no_unlisted
from ingest.lone_files import looking_into, the_only
from ingest.parts import Layout, Part, opened
from ingest.readers import NDJSON_SUFFIXES, csv_header, scan_file
from ingest.source import Candidate, Delivery, LandedObject, LoadContext, Opened, Source
from ingest.sources._gcp_cells import PARSERS, register_functions
from ingest.sources._gcp_columns import AMOUNTS, LISTS, TEXTS, TIMES
from ingest.stores import Store, StoredObject

_MARKER = "manifest.json"
_DATA_SUFFIXES = (*NDJSON_SUFFIXES, ".parquet", ".csv", ".csv.gz", ".avro")
_DAY_FOLDER = re.compile(r"partition_date=(\d{4}-\d{2}-\d{2})")
_REQUIRED = frozenset(
    {"billing_account_id", "cost", "currency", "export_time", "invoice_month", "sku_description", "usage_end_time", "usage_start_time"}
)
_RECOGNISED = _REQUIRED - {"sku_description"} | {"service_description"}

_TABLE = bronze_table(
    "gcp_billing",
    [
        *(pa.field(name, TEXT) for name in sorted(TEXTS)),
        *(pa.field(name, TIMESTAMP) for name in sorted(TIMES)),
        *(pa.field(name, BRONZE_MONEY) for name in sorted(AMOUNTS)),
        *(pa.field(name, pa.list_(kind)) for name, kind in sorted(LISTS.items())),
    ],
)
# Google: "cost + credits" is what the invoice asks for. A fee and what it covers are rows of the same bill and no fee is paid upfront
# for several months, so the amortised cost of a month is its billed cost, moved between rows (docs/decisions/0017).
_BILLED = "cost + coalesce(list_sum(list_transform(credits, lambda credit: credit.amount)), 0)"


def find(store: Store, export: Export) -> Iterator[Candidate]:
    """The newest complete run of each export day; a run without manifest.json is an extraction in progress and left alone."""
    for folder in store.folders(""):
        match = _DAY_FOLDER.fullmatch(folder)
        if match is None:
            continue
        runs = [run for run in store.folders(folder) if "run_id=" in run and store.exists(f"{run}/{_MARKER}")]
        if runs:
            yield Candidate(f"{runs[-1]}/{_MARKER}", partial(_resolve, store, export, runs[-1]))


def _resolve(store: Store, export: Export, run: str) -> Delivery:
    marker = f"{run}/{_MARKER}"
    manifest = store.read(marker)
    _, names = _promised(manifest, marker)
    objects = [_listed(store, f"{run}/{name}", marker) for name in names]
    check_no_unlisted([*(stored.key for stored in objects), marker], store.list(run), marker, _DATA_SUFFIXES)
    # A shard of JSON lines without a row has 0 bytes; the manifest's row count says whether that is right.
    filled = [stored for stored in objects if stored.byte_count or not stored.key.endswith(NDJSON_SUFFIXES)]
    return Delivery(export, marker, tuple(filled), manifest)


def _promised(manifest: bytes, marker: str) -> tuple[int, list[str]]:
    try:
        content = json.loads(manifest)
        names, row_count = content["files"], content["row_count"]
        if not isinstance(names, list) or not all(isinstance(name, str) and name and "/" not in name for name in names):
            raise KeyError("files")
        if isinstance(row_count, bool) or not isinstance(row_count, int):
            raise KeyError("row_count")
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(
            "the manifest is not JSON, or lacks files or row_count",
            where=marker,
            expected='{"files": ["shard-000.ndjson.gz", …], "row_count": 1234, "max_export_time": "2026-10-06T05:12:33Z"}',
            next_step="let the extraction write its manifest again, after its files",
        ) from error
    return row_count, names


def _listed(store: Store, key: str, marker: str) -> StoredObject:
    if not store.exists(key):
        raise MissingPart(
            "the manifest names a file that is not there",
            where=f"{marker}: {key.rpartition('/')[2]}",
            expected="every listed file in the folder of its manifest",
            next_step="wait for the copy to finish, or extract the day again under a new run_id",
        )
    return store.stat(key)


def open_delivery(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The delivery's rows with bronze's columns and types; of a run, no row more or less than its manifest says."""
    register_functions(context.connection)
    parts = []
    for landed in objects:
        scan = scan_file(context.connection, landed.path, landed.key)
        if scan.columns:  # JSON lines without a line have no columns
            parts.append(_with_credits(Part(scan, landed, _LAYOUT), landed.key))
    match = _DAY_FOLDER.match(delivery.key)
    if match is None:
        return opened(parts, [_lone_select(part) for part in parts]) if parts else Opened(_no_rows())
    _check_row_count(context, delivery, parts)
    if not parts:
        return Opened(_no_rows(), empty_slices=((match[1][:7], match[1]),))
    return opened(parts, [part.select_sql(_period(part), literal(match[1])) for part in parts])


def _with_credits(part: Part, key: str) -> Part:
    if not part.has("credits") and not key.endswith(NDJSON_SUFFIXES):  # JSON lines may leave out what is empty
        raise UnreadableFile(
            "the file has no column credits",
            where=key,
            expected="the credits of every row, for the invoice asks for cost + credits",
            next_step="extract the export again with the column credits",
        )
    return part


def _period(part: Part) -> str:
    month = part.typed("invoice_month")
    return f"left({month}, 4) || '-' || right({month}, 2)"


def _lone_select(part: Part) -> str:
    """A lone file may hold some invoice months of an export day only, so it replaces the day's rows of just those."""
    day = f"strftime({part.typed('export_time')}, '%Y-%m-%d')"
    if part.has("partition_date"):
        day = f"coalesce({part.typed('partition_date')}, {day})"
    return part.select_sql(_period(part), f"{day} || ' of ' || {_period(part)}")


def _no_rows() -> str:
    lineage = ("_billing_period", "_slice", "_object_key", "_object_etag", "_row_number")
    return empty_select(pa.schema([_TABLE.schema.field(name) for name in lineage]))


def _check_row_count(context: LoadContext, delivery: Delivery, parts: list[Part]) -> None:
    promised, _ = _promised(delivery.manifest, delivery.key)
    counts = " UNION ALL ".join(f"SELECT count(*) AS n FROM {part.from_sql}" for part in parts)
    found = int(context.connection.execute(f"SELECT sum(n) FROM ({counts})").fetchall()[0][0]) if parts else 0
    if found != promised:
        raise ManifestError(
            f"the files hold {found} rows, the manifest says {promised}",
            where=delivery.key,
            expected="as many rows in the listed files as BigQuery counted",
            next_step="extract the day again under a new run_id",
        )


def _named(columns: Mapping[str, str], key: str) -> dict[str, str]:
    """Bronze name → name in the file: service.id and service_id are service_id."""
    names: dict[str, str] = {}
    for raw in columns:
        name = re.sub(r"[^a-z0-9]+", "_", raw.lower()).strip("_")
        broken = next((each for each in LISTS if "." in raw and name.startswith(f"{each}_")), None)
        if broken is not None:
            raise UnreadableFile(
                f"{broken} is a record, not a list",
                where=f"{key}: {raw!r}",
                expected="a list of records, as BigQuery extracts it",
                next_step="extract the export again with lists as lists; credits that are not read would be missing in the bill",
            )
        if name in names:
            raise UnreadableFile(
                f"two columns are both {name}",
                where=f"{key}: {raw!r} and {names[name]!r}",
                expected="every column once",
                next_step="extract the export again without the column that was added",
            )
        names[name] = raw
    return names


_LAYOUT = Layout(_TABLE.schema, _REQUIRED, _named, "the columns of a BigQuery billing export", PARSERS)


def _recognises(path: Path) -> bool:
    try:
        return set(_named(dict.fromkeys(_column_names(path), ""), path.name)) >= _RECOGNISED
    except (UnreadableFile, ValueError, OSError):
        return False  # not readable as one of ours: some other source may know it


def _column_names(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    if path.name.endswith(NDJSON_SUFFIXES):
        return list(_first_line(path))
    if ".parquet" in path.name:
        return [name for field in pq.read_schema(path) for name in _dotted(field)]
    return csv_header(path)[0] if ".csv" in path.name else []


def _dotted(field: pa.Field) -> list[str]:
    return [f"{field.name}.{child.name}" for child in field.type] if pa.types.is_struct(field.type) else [field.name]


def _first_line(path: Path) -> Iterator[str]:
    import gzip

    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig") as lines:
        first = next((line for line in lines if line.strip()), "{}")
    record = json.loads(first)
    for name, value in record.items() if isinstance(record, dict) else ():
        yield from (f"{name}.{child}" for child in value) if isinstance(value, dict) else (name,)


def _account_of(path: Path) -> str | None:
    """The billing account of a lone file; ConfigError when it holds bills of several."""
    import tempfile

    with looking_into(path) as connection, tempfile.TemporaryDirectory() as folder:
        # a reader may write beside the file that it reads: not into the folder of the person who hands it over
        beside = Path(folder) / path.name
        beside.symlink_to(path.resolve())
        scan = scan_file(connection, beside, path.name)
        if not scan.columns:
            return None
        raw = identifier(_named(scan.columns, path.name)["billing_account_id"])
        found = connection.execute(f"SELECT DISTINCT {raw} FROM {scan.from_sql} WHERE {raw} IS NOT NULL LIMIT 2").fetchall()
    return the_only([str(account) for (account,) in found], "billing account", path)


SOURCES = (
    Source(
        name="gcp_billing",
        provider="Google Cloud",
        title="Google Cloud billing export",
        table=_TABLE,
        feeds="focus",
        formats="JSON lines, JSON lines.gz, Parquet, flattened CSV; standard and detailed; one folder per extraction",
        documentation="Cloud Billing, structure of the standard and detailed usage cost data export",
        find=find,
        open=open_delivery,
        recognises=_recognises,
        measures={"billed": _BILLED, "effective": _BILLED},
        currency_sql="currency",
        account_of=_account_of,
    ),
)
