"""What each report becomes in bronze: cents and dollars, currencies, endpoints beside each other, people without their addresses."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlake.config import Export
from costlake.periods import FixedClock
from ingest.load import ingest_file
from ingest.pages import pseudonym
from ingest.pull.apis import APIS
from ingest.source import source_named
from ingest.sources._openai_columns import COUNTS, DIMENSIONS, ENDPOINTS, Endpoint
from tests.ingest.pull.api_server import ApiServer, Json
from tests.ingest.pull.conftest import CLAUDE_CODE, COST_REPORT, COSTS, MESSAGES, NOW, Estate, completions

DAY = dt.date(2026, 11, 20)


def _billed(estate: Estate, source: str) -> list[tuple[Any, ...]]:
    found = source_named(source)
    return estate.rows(f"SELECT {found.currency_sql} AS code, sum({found.measures['billed']}) FROM bronze.{source} GROUP BY 1 ORDER BY 1")


def _cost(value: float | str, currency: str, **more: Any) -> Json:
    return {"object": "organization.costs.result", "amount": {"value": value, "currency": currency}, "project_id": "proj_a", **more}


def test_openai_sends_dollars_and_anthropic_cents(estate: Estate, api: ApiServer) -> None:
    estate.configure("openai_costs")
    api.results[COSTS] = {DAY: [_cost(1.2378912, "usd", line_item="gpt-4o-mini-2024-07-18, input")]}
    estate.both()
    assert _billed(estate, "openai_costs") == [("USD", Decimal("1.2378912"))]
    estate.configure("anthropic_costs", location="cost_report")
    row = {"amount": "123.78912", "currency": "USD", "description": "Sonnet", "workspace_id": None, "cost_type": "tokens"}
    api.results[COST_REPORT] = {DAY: [row]}
    estate.both()
    assert _billed(estate, "anthropic_costs") == [("USD", Decimal("1.2378912"))]
    assert [asked["group_by"] for asked in api.asked(COST_REPORT)] == [["workspace_id", "description"]]


def test_amounts_in_other_currencies_keep_them_and_are_not_added_up(estate: Estate, api: ApiServer) -> None:
    estate.configure("openai_costs")
    api.results[COSTS] = {DAY: [_cost("0.1", "usd", line_item="a"), _cost(7.5e-05, "eur", line_item="a")]}
    estate.both()
    assert _billed(estate, "openai_costs") == [("EUR", Decimal("0.000075")), ("USD", Decimal("0.1"))]


@pytest.mark.parametrize(("currency", "refused"), [("EUR", 0), ("JPY", 1), ("kwd", 1)])
def test_a_lowest_unit_that_is_no_hundredth_is_not_divided_by_100(estate: Estate, api: ApiServer, currency: str, refused: int) -> None:
    estate.configure("anthropic_costs")
    api.results[COST_REPORT] = {DAY: [{"amount": "500", "currency": currency, "description": "Sonnet", "cost_type": "tokens"}]}
    estate.pull()
    assert len(estate.ingest().refused) == refused


def test_anthropics_classes_arrive_disjoint(estate: Estate, api: ApiServer) -> None:
    estate.configure("anthropic_usage")
    creation = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}
    tokens = {"uncached_input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 5, "cache_creation": creation}
    api.results[MESSAGES] = {DAY: [{**tokens, "server_tool_use": {"web_search_requests": 6}, "model": "claude-sonnet-4-6"}]}
    estate.both()
    columns = "uncached_input_tokens, cache_read_input_tokens, cache_creation_5m_input_tokens, cache_creation_1h_input_tokens"
    assert estate.rows(f"SELECT {columns}, output_tokens, web_search_requests FROM bronze.anthropic_usage") == [(1, 2, 3, 4, 5, 6)]


_OTHERS: dict[str, Json] = {
    "embeddings": {"input_tokens": 11, "model": "text-embedding-3-small"},
    "moderations": {"input_tokens": 12, "model": "omni-moderation-latest"},
    "images": {"images": 13, "model": "dall-e-3", "size": "512x512", "source": "image.edit"},
    "audio_speeches": {"characters": 14, "model": "tts-1"},
    "audio_transcriptions": {"seconds": 15, "model": "whisper-1"},
    "vector_stores": {"usage_bytes": 16},
    "code_interpreter_sessions": {"num_sessions": 17},
    "file_search_calls": {"num_requests": 18, "vector_store_id": "vs_1"},
    "web_search_calls": {"num_requests": 19, "model": "gpt-4o-2024-08-06", "context_level": "high"},
}


def test_endpoints_of_one_day_stand_beside_each_other_and_replace_only_themselves(estate: Estate, api: ApiServer) -> None:
    estate.configure(reports=None)
    path = "organization/usage/{}"
    api.results[path.format("completions")] = {DAY: [completions(10)]}
    for name, fields in _OTHERS.items():
        own = {"file_search_calls": "file_searches", "web_search_calls": "web_searches"}.get(name, name)
        api.results[path.format(name)] = {
            DAY: [{"object": f"organization.usage.{own}.result", "num_model_requests": 2, "project_id": "proj_a", **fields}]
        }
    estate.both()
    assert len(api.requests) == len(ENDPOINTS)
    counts = "coalesce(images, characters, seconds, usage_bytes, num_sessions, num_requests, input_tokens)"
    found = dict(estate.rows(f"SELECT endpoint, {counts} FROM bronze.openai_usage"))
    assert found == {"completions": 10, **{name: n for n, name in enumerate(_OTHERS, start=11)}}
    api.results[path.format("images")][DAY][0]["images"] = 130
    estate.now += dt.timedelta(days=1)
    api.now += dt.timedelta(days=1)
    estate.both()
    again = dict(estate.rows(f"SELECT endpoint, {counts} FROM bronze.openai_usage"))
    assert again == {**found, "images": 130}


def test_results_of_another_endpoint_are_not_taken_for_the_one_asked_for(estate: Estate, api: ApiServer) -> None:
    estate.configure(reports=["embeddings"])
    api.results["organization/usage/embeddings"] = {DAY: [completions(10)]}
    estate.pull()
    (error,) = estate.ingest().refused
    assert "organization.usage.completions.result" in error.what


def _record(email: str, **more: Any) -> Json:
    return {
        "date": f"{DAY}T00:00:00Z",
        "actor": {"type": "user_actor", "email_address": email},
        "organization_id": "org",
        "customer_type": "api",
        "terminal_type": "vscode",
        "core_metrics": {"num_sessions": 3, "lines_of_code": {"added": 10, "removed": 1}},
        "tool_actions": {},
        "model_breakdown": [
            {
                "model": "claude-sonnet-4@20250514",
                "tokens": {"input": 7, "output": 2, "cache_read": 1, "cache_creation": 0},
                "estimated_cost": {"amount": 12.5, "currency": "USD"},
            }
        ],
        **more,
    }


def _everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_nobodys_address_is_anywhere_on_disk_and_a_person_keeps_one_pseudonym(estate: Estate, api: ApiServer) -> None:
    estate.configure("anthropic_claude_code", since=dt.date(2026, 11, 18))
    api.results[CLAUDE_CODE] = {
        DAY: [_record("Jane.Doe@example.com"), _record("jane.doe@example.com", terminal_type="iTerm"), _record("ö@example.com")]
    }
    api.results[CLAUDE_CODE][DAY].append(_record("x@example.com", actor={"type": "api_actor", "api_key_name": "key of bob@example.com"}))
    api.page_buckets = 2
    estate.both()
    assert [(asked["starting_at"], "page" in asked) for asked in api.asked(CLAUDE_CODE)] == [
        (["2026-11-18"], False),
        (["2026-11-19"], False),
        (["2026-11-20"], False),
        (["2026-11-20"], True),
        (["2026-11-21"], False),
    ]
    disk = _everything(estate.settings.home).lower()
    assert b"example.com" not in disk
    assert b"jane" not in disk
    assert b"20250514" in disk, "a model's version is no address"
    people = estate.rows(
        "SELECT actor_id, count(DISTINCT terminal_type) FROM bronze.anthropic_claude_code WHERE actor_type = 'user_actor' GROUP BY 1"
    )
    jane = pseudonym(Export(id="pulled", source="anthropic_claude_code", location="."), "jane.doe@example.com")
    assert dict(people)[jane] == 2
    assert len(people) == 2


def test_sessions_and_tokens_of_claude_code_are_not_multiplied_by_each_other(estate: Estate, api: ApiServer) -> None:
    estate.configure("anthropic_claude_code", since=dt.date(2026, 11, 18))
    record = _record("a@example.com")
    record["model_breakdown"] = record["model_breakdown"] * 2
    record["model_breakdown"][1] = {**record["model_breakdown"][1], "model": "claude-haiku-4-5"}
    api.results[CLAUDE_CODE] = {DAY: [record]}
    estate.both()
    assert estate.rows(
        "SELECT sum(num_sessions)::INT, sum(input_tokens)::INT, sum(estimated_cost_cents) FROM bronze.anthropic_claude_code"
    ) == [(3, 14, Decimal(25))]


def test_a_record_of_claude_code_that_comes_twice_is_refused(estate: Estate, api: ApiServer) -> None:
    estate.configure("anthropic_claude_code", since=dt.date(2026, 11, 20))
    api.results[CLAUDE_CODE] = {DAY: [_record("a@example.com"), _record("a@example.com")]}
    api.page_buckets = 1
    (error,) = estate.pull().failed
    assert "comes twice" in error.what
    assert "example.com" not in str(error)


def test_a_page_with_addresses_handed_over_does_not_enter_landing(estate: Estate, tmp_path: Path) -> None:
    page = tmp_path / "page.json"
    page.write_text(json.dumps({"data": [_record("jane.doe@example.com")], "has_more": False}), encoding="utf-8")
    (error,) = ingest_file(estate.settings, page, FixedClock(NOW)).refused
    assert type(error).__name__ == "PersonalData"
    assert "jane" not in str(error)
    assert b"jane" not in _everything(estate.settings.lake)


def test_the_clients_know_what_the_openapi_document_says(shared_path: Any) -> None:
    document = json.loads(shared_path("samples/openai/openai_usage_costs_openapi_extract.json").read_text(encoding="utf-8"))
    reports = {report.path: report for report in APIS["openai"].reports}
    assert {path.strip("/") for path in document["paths"]} == set(reports)
    for path, methods in document["paths"].items():
        report = reports[path.strip("/")]
        given = {one["name"]: one.get("schema", {}) for one in methods["get"]["parameters"]}
        assert set(report.dimensions) == set(given["group_by"]["items"]["enum"]), path
        assert set(report.limits or ()) == set(given["bucket_width"]["enum"]), path
    schemas = {str(schema["properties"]["object"]["enum"][0]): schema for schema in document["components"]["schemas"].values()}
    assert {kind for kind in schemas if ".usage." in kind} == {Endpoint.result(name) for name in ENDPOINTS}
    for name, endpoint in ENDPOINTS.items():
        schema = schemas[Endpoint.result(name)]
        assert set(endpoint.required) == set(schema["required"]) - {"object"}, name
        assert set(schema["properties"]) - {"object"} <= {*COUNTS, *DIMENSIONS}, name
