"""LiteLLM: the proxy's table `LiteLLM_SpendLogs`, one row per request, dumped to Parquet.

Data flow: `<dump>/manifest.json` and its Parquet files → redacted (below) → bronze.litellm_requests.

A dump holds whole UTC days: a day in it replaces that day (`_slice` is the day of `startTime`). `request_id` is the table's primary key; a
dump that has one twice overlaps itself and is refused. Rows are read and aggregated by SQL alone.

Documented (LiteLLM 1.109.1, schema.prisma; `Usage` of its types): the columns; that prompt_tokens contains cache reads and writes, whatever
the provider's own semantics (its Anthropic adapter adds them); that `spend` is the proxy's estimate out of its price map; that `api_key`
is a hash; that `cache_hit` = 'True' is an answer out of the proxy's own cache, which no provider has been asked for.
Inferred: that times without zone are UTC; that a row whose cache tokens exceed its prompt_tokens was written by something that logs
Anthropic's own numbers, which are disjoint (staging; bronze keeps what was sent). No column tells how a deployment is paid for:
which ones are provisioned throughput is declared in config (`provisioned_deployments`).

Prompts: `messages`, `response`, `proxy_server_request` and all of `metadata` but the token counts never reach landing, and users are
pseudonyms there already (ingest.redaction, decision 0026).
Run alone: costlake ingest path/to/spend_logs.parquet
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from costlake.config import Export
from costlake.errors import UnreadableFile
from costlake.sql import identifier, literal
from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, bronze_table
from ingest.handovers import find_handovers
from ingest.persons import stand_ins
from ingest.redaction import Redaction, keep_columns
from ingest.source import Delivery, LandedObject, LoadContext, Opened, Source
from ingest.tabular import Shape

if TYPE_CHECKING:
    import duckdb

# bronze column → LiteLLM's; kept as they are
_TEXTS = {
    "request_id": "request_id",
    "litellm_call_id": "litellm_call_id",
    "session_id": "session_id",
    "call_type": "call_type",
    "custom_llm_provider": "custom_llm_provider",
    "model": "model",
    "model_group": "model_group",
    "deployment_id": "model_id",
    "api_key": "api_key",
    "team_id": "team_id",
    "organization_id": "organization_id",
    "agent_id": "agent_id",
    "mcp_namespaced_tool_name": "mcp_namespaced_tool_name",
    "status": "status",
    "cache_hit": "cache_hit",
    "request_tags": "request_tags",
}
_PEOPLE = {"user_id": "user", "end_user_id": "end_user"}
_TIMES = {"start_time": "startTime", "end_time": "endTime", "completion_start_time": "completionStartTime"}
_COUNTS = {name: name for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
_USAGE = "metadata.usage_object"
_OLDER = "metadata.additional_usage_values"
# bronze column → path in the row's metadata
_OF_METADATA = {
    "usage_cached_tokens": f"{_USAGE}.prompt_tokens_details.cached_tokens",
    "usage_cache_read_tokens": f"{_USAGE}.cache_read_input_tokens",
    "usage_cache_creation_tokens": f"{_USAGE}.cache_creation_input_tokens",
    "usage_cache_write_tokens": f"{_USAGE}.prompt_tokens_details.cache_creation_tokens",
    "usage_cache_write_1h_tokens": f"{_USAGE}.prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
    "usage_audio_tokens": f"{_USAGE}.prompt_tokens_details.audio_tokens",
    "usage_image_tokens": f"{_USAGE}.prompt_tokens_details.image_tokens",
    "usage_output_audio_tokens": f"{_USAGE}.completion_tokens_details.audio_tokens",
    "usage_output_image_tokens": f"{_USAGE}.completion_tokens_details.image_tokens",
    "usage_reasoning_tokens": f"{_USAGE}.completion_tokens_details.reasoning_tokens",
    "usage_web_search_requests": f"{_USAGE}.server_tool_use.web_search_requests",
    "older_cache_read_tokens": f"{_OLDER}.cache_read_input_tokens",
    "older_cache_creation_tokens": f"{_OLDER}.cache_creation_input_tokens",
}
_TEXTS_OF_METADATA = {"usage_service_tier": f"{_USAGE}.service_tier", "metadata_status": "metadata.status"}
_REQUIRED = frozenset({"request_id", "model", "prompt_tokens", "completion_tokens", "spend", "start_time"})
_EXPECTED = "the columns of LiteLLM_SpendLogs (request_id, startTime, model, prompt_tokens, completion_tokens, spend at least), in Parquet"

_TABLE = bronze_table(
    "litellm_requests",
    [
        *(pa.field(name, TEXT) for name in (*_TEXTS, *_PEOPLE, *_TEXTS_OF_METADATA, "declared_service_tier")),
        *(pa.field(name, TIMESTAMP) for name in _TIMES),
        pa.field("spend", BRONZE_MONEY),
        *(pa.field(name, COUNT) for name in (*_COUNTS, *_OF_METADATA)),
    ],
)
_SHAPE = Shape(
    _TABLE.schema,
    _REQUIRED,
    _EXPECTED,
    day="start_time",
    spellings={given: name for names in (_TEXTS, _PEOPLE, _TIMES, _OF_METADATA, _TEXTS_OF_METADATA) for name, given in names.items()},
    identity=("request_id",),
)
_CACHED = (
    "(coalesce(greatest(usage_cached_tokens, usage_cache_read_tokens, older_cache_read_tokens), 0) "
    "+ coalesce(greatest(usage_cache_creation_tokens, usage_cache_write_tokens, older_cache_creation_tokens), 0))"
)
# Answers out of the proxy's own cache used no tokens; cache tokens beyond prompt_tokens are beside them.
_TOKENS = (
    "CASE WHEN lower(coalesce(cache_hit, '')) = 'true' THEN 0 "
    f"ELSE completion_tokens + prompt_tokens + CASE WHEN {_CACHED} > prompt_tokens THEN {_CACHED} ELSE 0 END END"
)
_KEPT = (*_TEXTS.values(), *_PEOPLE.values(), *_TIMES.values(), "spend", *_COUNTS)
_PATHS = (*_OF_METADATA.values(), *_TEXTS_OF_METADATA.values())


def open_dump(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The dump's requests; those of deployments that config calls provisioned say so in `declared_service_tier`."""
    opened = _SHAPE.open(context, delivery, objects)
    listed = ", ".join(literal(name) for name in delivery.export.provisioned_deployments)
    if not listed:
        return opened
    tier = f"CASE WHEN deployment_id IN ({listed}) THEN 'provisioned' END"
    return replace(opened, select_sql=f"SELECT * REPLACE ({tier} AS declared_service_tier) FROM ({opened.select_sql})")


def _redact(connection: duckdb.DuckDBPyConnection, path: Path, key: str, export: Export, folder: Path) -> Path:
    """The dump with the kept columns alone, users as pseudonyms, and of the metadata the token counts, each a column."""
    if ".parquet" not in path.name:
        raise UnreadableFile("not a Parquet file", where=key, expected=_EXPECTED, next_step="dump the table to Parquet; nothing was loaded")
    rows = f"read_parquet({literal(str(path))})"
    given = {name.lower(): (name, kind) for name, kind, *_ in connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}
    present = {name: given[name.lower()] for name in _KEPT if name.lower() in given}
    people = {name: f"CAST({identifier(present[name][0])} AS VARCHAR)" for name in _PEOPLE.values() if name in present}
    known = stand_ins(connection, rows, people.values(), export)
    columns, joins = [], []
    for name, (column, kind) in present.items():
        if name in people:
            joins.append(f"LEFT JOIN {known} AS {name}_known ON {people[name]} = {name}_known.person")
            columns.append(f"{name}_known.stand_in AS {identifier(name)}")
        elif name == "request_tags":
            columns.append(f"{_as_json(column, kind)} AS request_tags")
        elif name == "api_key":  # a key that was never hashed is a secret: LiteLLM's own hash of it is SHA-256
            columns.append("CASE WHEN starts_with(api_key, 'sk-') THEN sha256(api_key) ELSE CAST(api_key AS VARCHAR) END AS api_key")
        else:
            columns.append(f"{identifier(column)} AS {identifier(name)}")
    if "metadata" in given:
        listing = ", ".join(literal("$." + at.removeprefix("metadata.")) for at in _PATHS)
        rows = f"(SELECT *, json_extract_string({_as_json(*given['metadata'])}, [{listing}]) AS _said FROM {rows})"
        columns += [f"_said[{number}] AS {identifier(at)}" for number, at in enumerate(_PATHS, 1)]
    if not columns:
        raise UnreadableFile("the file has none of the columns", where=key, expected=_EXPECTED, next_step="check the export's source")
    return keep_columns(connection, f"SELECT {', '.join(columns)} FROM {rows} AS dump {' '.join(joins)}", folder)


def _as_json(column: str, kind: str) -> str:
    """A JSON column as JSON text, however it was dumped: as text, or as a record or list."""
    name = identifier(column)
    if kind.startswith(("STRUCT", "MAP")) or kind.endswith("]"):
        return f"CAST(to_json({name}) AS VARCHAR)"
    return f"nullif(CAST({name} AS VARCHAR), '')"


SOURCES = (
    Source(
        name="litellm_requests",
        provider="LiteLLM",
        title="LiteLLM spend logs (requests through the gateway)",
        table=_TABLE,
        feeds="tokens",
        usage_role="gateway_log",
        formats="Parquet dump of LiteLLM_SpendLogs with manifest.json, or a file by hand",
        documentation="LiteLLM 1.109.1, schema.prisma and proxy documentation (spend logs)",
        find=find_handovers,
        open=open_dump,
        recognises=_SHAPE.recognises,
        measures={"tokens": _TOKENS},
        redaction=Redaction("litellm_requests/2", (*_KEPT, *_PATHS), _redact),
    ),
)
