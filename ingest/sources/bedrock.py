"""Amazon Bedrock: model invocation logs in S3, one JSON line per request, without what was asked and answered.

Data flow: `AWSLogs/<account>/BedrockModelInvocationLogs/<region>/YYYY/MM/DD/HH/*.json.gz` → redacted → bronze.bedrock_logs.

A delivery is a UTC day of an account and region, which is its slice: while the day lasts it grows, and each run loads it anew. AWS writes
no marker; an object that can be listed is complete. Objects below `data/` hold large bodies and are never fetched. A record that came
twice is one request (S3 log delivery promises no "once"): equal copies are counted in `record_count`, copies that differ refuse the day.

The log is a gateway's (usage_role): AWS bills the same tokens in its own bill. Documented (Bedrock user guide, model invocation logging):
path and fields. Documented for the Converse API and taken for the log: inputTokenCount leaves out what was read from or written to the
cache. Inferred: the lifetime of a cache write is the default, 5 minutes.

Kept is what counts and says who paid: of `identity.arn` the role, its session and an IAM user as pseudonyms; of `requestMetadata` the keys
below. Bodies, whatever they are called, are not (ingest.redaction, decision 0026).
Run alone: costlake ingest path/to/20261001T100000123Z_0a1b2c3d.json.gz
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from costlake.config import Export
from costlake.errors import BadValue
from costlake.sql import literal
from costlake.tables import COUNT, LINEAGE, TEXT, TIMESTAMP, bronze_table
from ingest.persons import stand_ins
from ingest.readers import checked_lines
from ingest.redaction import Redaction, keep_fields
from ingest.source import Candidate, Delivery, LandedObject, LoadContext, Opened, Source
from ingest.stores import Store, StoredObject
from ingest.tabular import Shape

if TYPE_CHECKING:
    import duckdb

_ROOT, _LOGS = "AWSLogs", "BedrockModelInvocationLogs"
_ENDINGS = (".json.gz", ".json")
_SCHEMA = "ModelInvocationLog"
# bronze column → AWS' field
_TEXTS = {
    "request_id": "requestId",
    "account_id": "accountId",
    "region": "region",
    "operation": "operation",
    "model_id": "modelId",
    "inference_region": "inferenceRegion",
    "identity_arn": "identity.arn",
    "error_code": "errorCode",
    "status": "status",
    "latency": "performanceConfig.latency",
    "service_tier": "serviceTier",
}
_METADATA = {
    f"metadata_{name}": f"requestMetadata.{name}" for name in ("project", "team", "application", "feature", "environment", "cost_center")
}
_COUNTS = {
    "input_tokens": "input.inputTokenCount",
    "cache_read_tokens": "input.cacheReadInputTokenCount",
    "cache_write_tokens": "input.cacheWriteInputTokenCount",
    "output_tokens": "output.outputTokenCount",
}
_KEPT = ("schemaType", "schemaVersion", "timestamp", *_TEXTS.values(), *_METADATA.values(), *_COUNTS.values())
_TABLE = bronze_table(
    "bedrock_logs",
    [
        pa.field("invoked_at", TIMESTAMP),
        *(pa.field(name, TEXT) for name in ("schema_type", "schema_version", *_TEXTS, *_METADATA)),
        *(pa.field(name, COUNT) for name in _COUNTS),
        pa.field("record_count", COUNT),
    ],
)
_SHAPE = Shape(
    _TABLE.schema,
    frozenset({"schema_type", "request_id", "account_id", "model_id", "invoked_at"}),
    "JSON lines of Bedrock's model invocation log (schemaType, timestamp, accountId, requestId, modelId)",
    day="invoked_at",
    spellings={"timestamp": "invoked_at"} | {given: name for names in (_TEXTS, _METADATA, _COUNTS) for name, given in names.items()},
)
_LINEAGE = ", ".join(field.name for field in LINEAGE if field.name in ("_object_key", "_object_etag", "_row_number", "_billing_period"))


def find(store: Store, export: Export) -> Iterator[Candidate]:
    """A day of an account and region each, oldest first; by listing the levels of the path, never by a search through the bucket."""
    for account in store.folders(_ROOT):
        for region in store.folders(f"{account}/{_LOGS}"):
            for year in store.folders(region):
                for month in store.folders(year):
                    for day in store.folders(month):
                        if any(True for _ in _logs(store, day)):  # large bodies alone are no delivery
                            yield Candidate(day, partial(_resolve, store, export, day))


def _resolve(store: Store, export: Export, day: str) -> Delivery:
    objects = tuple(_logs(store, day))
    listing = json.dumps([[stored.key, stored.byte_count] for stored in objects]).encode()
    return Delivery(export, day, objects, manifest=listing)


def _logs(store: Store, day: str) -> Iterator[StoredObject]:
    for hour in sorted(store.folders(day)):
        yield from (stored for stored in store.list(hour) if stored.key.endswith(_ENDINGS))


def open_day(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The day's requests, each once.

    Raises:
        BadValue: a request whose records differ, or a record that is no invocation log.
    """
    name = delivery.key.partition(f"{_LOGS}/")[2]
    account = delivery.key.partition(f"{_ROOT}/")[2].partition("/")[0]
    slice_ = f"{account}/{name}" if name else delivery.key.rsplit("/", 1)[-1]
    opened = replace(_SHAPE, slice_sql=literal(slice_)).open(context, delivery, objects)
    _check(context.connection, opened.select_sql, delivery.key)
    request = "PARTITION BY account_id, region, request_id"
    once = (
        f"SELECT * EXCLUDE (_copy) REPLACE (_copies AS record_count) FROM (SELECT *, row_number() OVER ({request} ORDER BY _object_key, "
        f"_row_number) AS _copy, count(*) OVER ({request}) AS _copies FROM ({opened.select_sql})) WHERE _copy = 1"
    )
    return replace(opened, select_sql=f"SELECT * EXCLUDE (_copies) FROM ({once})")


def _check(connection: duckdb.DuckDBPyConnection, select: str, key: str) -> None:
    said = f"SELECT * EXCLUDE ({_LINEAGE}) FROM ({select})"
    differ = (
        f"SELECT request_id, count(*) FROM (SELECT DISTINCT * FROM ({said})) GROUP BY account_id, region, request_id "
        "HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
    )
    strange = f"SELECT min(_row_number), count(*) FROM ({select}) WHERE schema_type IS DISTINCT FROM '{_SCHEMA}' HAVING count(*) > 0"
    differing, strangers = connection.execute(differ).fetchall(), connection.execute(strange).fetchall()
    for request, count in differing:
        raise BadValue(
            f"{count} records of one request differ",
            where=f"{key}, request {request}",
            expected="copies of a record that are equal",
            next_step="look at both records in the bucket; nothing of the day was loaded",
        )
    for row, count in strangers:
        raise BadValue(
            f"{count} record(s) are of another schemaType",
            where=f"{key}, row {row}, field schemaType",
            expected=_SCHEMA,
            next_step="check that the export's location is the bucket of Bedrock's invocation logs",
        )


def _redact(connection: duckdb.DuckDBPyConnection, path: Path, key: str, export: Export, folder: Path) -> Path:
    """The kept fields; who asked, as a pseudonym."""
    lines = checked_lines(connection, path, key)
    arn = "json_extract_string(line, '$.identity.arn')"
    person = f"CASE WHEN regexp_matches({arn}, ':(user|assumed-role|federated-user)/') THEN regexp_extract({arn}, '[^/]+$') END"
    known = stand_ins(connection, lines, [person], export)
    named = f"regexp_replace({arn}, '[^/]+$', (SELECT stand_in FROM {known} WHERE person = {person}))"
    return keep_fields(
        connection, path, key, _KEPT, {"identity.arn": f"to_json(CASE WHEN {person} IS NULL THEN {arn} ELSE {named} END)"}, folder
    )


def _recognises(path: Path) -> bool:
    """By the first line alone: a log may be large, and its lines are long."""
    if not path.name.endswith((*_ENDINGS, ".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")):
        return False
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as stream:
        first = json.loads(stream.readline())
    return isinstance(first, dict) and first.get("schemaType") == _SCHEMA


SOURCES = (
    Source(
        name="bedrock_logs",
        provider="Amazon Bedrock",
        title="Amazon Bedrock model invocation logs",
        table=_TABLE,
        feeds="tokens",
        usage_role="gateway_log",
        formats="JSON lines (.json.gz) under AWSLogs/, or a file by hand",
        documentation="Amazon Bedrock user guide, model invocation logging",
        find=find,
        open=open_day,
        recognises=_recognises,
        measures={
            "tokens": "coalesce(input_tokens, 0) + coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) "
            "+ coalesce(output_tokens, 0)"
        },
        redaction=Redaction("bedrock_logs/1", _KEPT, _redact),
    ),
)
