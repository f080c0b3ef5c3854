"""The endpoints of OpenAI's usage API and the columns of its two bronze tables.

Documents: OpenAI OpenAPI v2.3.0, /organization/usage/* and /organization/costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, bronze_table


@dataclass(frozen=True)
class Endpoint:
    """One usage endpoint: the counts that its results must have, and whether they are tokens (then the model must be known)."""

    required: tuple[str, ...]
    counts_tokens: bool = False

    @staticmethod
    def result(name: str) -> str:
        """What the endpoint's results say in `object`: two of them call themselves otherwise than their address."""
        return f"organization.usage.{_OWN_NAMES.get(name, name)}.result"


_OWN_NAMES = {"file_search_calls": "file_searches", "web_search_calls": "web_searches"}
_REQUESTS = "num_model_requests"
ENDPOINTS = {
    "completions": Endpoint(("input_tokens", "output_tokens", _REQUESTS), counts_tokens=True),
    "embeddings": Endpoint(("input_tokens", _REQUESTS), counts_tokens=True),
    "moderations": Endpoint(("input_tokens", _REQUESTS), counts_tokens=True),
    "images": Endpoint(("images", _REQUESTS)),
    "audio_speeches": Endpoint(("characters", _REQUESTS)),
    "audio_transcriptions": Endpoint(("seconds", _REQUESTS)),
    "vector_stores": Endpoint(("usage_bytes",)),
    "code_interpreter_sessions": Endpoint(("num_sessions",)),
    "file_search_calls": Endpoint(("num_requests",)),
    "web_search_calls": Endpoint(("num_requests", _REQUESTS)),
}
# A column that only the results of one endpoint have; embeddings and moderations look the same.
TELLING = {
    "output_tokens": "completions",
    "images": "images",
    "characters": "audio_speeches",
    "seconds": "audio_transcriptions",
    "usage_bytes": "vector_stores",
    "num_sessions": "code_interpreter_sessions",
    "vector_store_id": "file_search_calls",
    "context_level": "web_search_calls",
}

DIMENSIONS = ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "size", "source", "vector_store_id", "context_level")
COUNTS = (
    "input_tokens",
    "input_cached_tokens",
    "input_cache_write_tokens",
    "input_uncached_tokens",
    "output_tokens",
    "input_text_tokens",
    "output_text_tokens",
    "input_cached_text_tokens",
    "input_audio_tokens",
    "input_cached_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "input_cached_image_tokens",
    "output_image_tokens",
    "num_model_requests",
    "images",
    "characters",
    "seconds",
    "usage_bytes",
    "num_sessions",
    "num_requests",
)
COST_RESULT = "organization.costs.result"
COST_TEXTS = ("line_item", "project_id", "api_key_id", "quantity_unit")

USAGE = bronze_table(
    "openai_usage",
    [
        pa.field("bucket_start", TIMESTAMP),
        pa.field("bucket_end", TIMESTAMP),
        pa.field("endpoint", TEXT),
        pa.field("group_by_signature", TEXT),
        *(pa.field(name, pa.bool_() if name == "batch" else TEXT) for name in DIMENSIONS),
        *(pa.field(name, COUNT) for name in COUNTS),
        pa.field("_extra", TEXT),
    ],
)
COSTS = bronze_table(
    "openai_costs",
    [
        pa.field("bucket_start", TIMESTAMP),
        pa.field("bucket_end", TIMESTAMP),
        pa.field("amount_value", BRONZE_MONEY),
        pa.field("amount_currency", TEXT),
        pa.field("line_item", TEXT),
        pa.field("project_id", TEXT),
        pa.field("api_key_id", TEXT),
        pa.field("quantity", BRONZE_MONEY),
        pa.field("quantity_unit", TEXT),
        pa.field("_extra", TEXT),
    ],
)
