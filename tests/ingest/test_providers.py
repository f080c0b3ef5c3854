"""What is special about the smaller providers' files: requests that come twice, a day in two formats, list prices and their time."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import IngestResult, ingest_file, ingest_stream, recognise
from tests.ingest.test_sources_contract import FIXTURES


def _stream(settings: Settings, clock: FixedClock, source: str, folder: Path) -> IngestResult:
    return ingest_stream(settings, Export(id="own", source=source, location=str(folder)), clock)


def _copied(source: str, target: Path) -> Path:
    shutil.copytree(FIXTURES / source, target)
    return target


def _rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    return Lake(settings).connect().execute(sql).fetchall()


def test_a_dump_that_overlaps_itself_would_count_requests_twice(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    folder = _copied("litellm_requests", tmp_path / "dumps")
    day = folder / "2026-11-02"
    shutil.copy(day / "spend_logs-1.parquet", day / "spend_logs-3.parquet")
    (day / "manifest.json").write_text('{"files": ["spend_logs-1.parquet", "spend_logs-2.parquet", "spend_logs-3.parquet"]}')
    result = _stream(settings, clock, "litellm_requests", folder)
    assert [type(error).__name__ for error in result.refused] == ["BadValue"]
    assert "comes 2 times (request_id)" in result.refused[0].what
    assert Lake(settings).tables("bronze") == []


def test_a_day_that_is_dumped_again_replaces_itself(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    folder = _copied("litellm_requests", tmp_path / "dumps")
    assert _stream(settings, clock, "litellm_requests", folder).refused == []
    again = folder / "2026-11-03"
    again.mkdir()
    files = [folder / "2026-11-02" / f"spend_logs-{number}.parquet" for number in (1, 2)]
    requests = [row for file in files for row in pq.read_table(file).to_pylist()][:5]  # the first of October, with one request more
    pq.write_table(pa.Table.from_pylist([*requests, requests[0] | {"request_id": "req-late"}]), again / "a.parquet")
    (again / "manifest.json").write_text('{"files": ["a.parquet"]}')
    assert _stream(settings, clock, "litellm_requests", folder).refused == []
    assert _rows(settings, "SELECT _slice, count(*) FROM bronze.litellm_requests GROUP BY 1 ORDER BY 1") == [
        ("2026-10-01", 6),
        ("2026-10-02", 1),
        ("2026-11-01", 1),
    ]


def test_audio_and_images_of_a_gateways_requests_are_kept_of_its_metadata(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    request = pq.read_table(FIXTURES / "litellm_requests" / "2026-11-02" / "spend_logs-1.parquet").to_pylist()[0]
    usage = {
        "prompt_tokens_details": {"audio_tokens": 7, "image_tokens": 5, "text_tokens": 3},
        "completion_tokens_details": {"audio_tokens": 2},
    }
    request |= {"metadata": json.dumps({"usage_object": usage}), "prompt_tokens": 15, "completion_tokens": 2}
    pq.write_table(pa.Table.from_pylist([request]), tmp_path / "spend_logs.parquet")
    assert ingest_file(settings, tmp_path / "spend_logs.parquet", clock, source_name="litellm_requests").refused == []
    kept = "usage_audio_tokens, usage_image_tokens, usage_output_audio_tokens, usage_output_image_tokens"
    assert _rows(settings, f"SELECT {kept} FROM bronze.litellm_requests") == [(7, 5, 2, None)]


def test_openrouters_day_as_csv_replaces_the_same_day_of_the_api(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    """Both files tell the day's dollars: together they would be billed twice."""
    item = {"model_permaslug": "a/b", "usage": 1.5, "requests": 1, "prompt_tokens": 1, "completion_tokens": 1, "endpoint_id": "e"}
    api = tmp_path / "activity.json"
    api.write_text(json.dumps({"data": [{"date": "2026-10-05", **item}]}))
    csv = tmp_path / "activity.csv"
    csv.write_text(
        "generation_id,created_at,cost_total,tokens_prompt,tokens_completion,model_permaslug\ng1,2026-10-05T09:00:00Z,1.5,1,1,a/b\n"
    )
    for path in (api, csv):
        assert recognise(path).name == "openrouter_activity"
        assert ingest_file(settings, path, clock, export_id="openrouter").refused == []
    assert _rows(settings, "SELECT sum(usage), count(*) FROM bronze.openrouter_activity") == [(Decimal("1.5"), 1)]


def test_copies_of_a_bedrock_record_that_differ_are_not_one_request(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    line = {"schemaType": "ModelInvocationLog", "timestamp": "2026-10-05T10:00:00Z", "accountId": "1", "region": "r", "requestId": "q"}
    path = tmp_path / "log.ndjson"
    path.write_text("".join(json.dumps(line | {"modelId": "m", "input": {"inputTokenCount": count}}) + "\n" for count in (5, 6)))
    assert recognise(path).name == "bedrock_logs"
    result = ingest_file(settings, path, clock)
    assert [error.what for error in result.refused] == ["2 records of one request differ"]
    assert Lake(settings).tables("bronze") == []


def test_a_databricks_sku_without_a_price_is_not_listed_at_nothing(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    folder = _copied("databricks_usage", tmp_path / "export")
    prices = folder / "2026-10" / "list_prices.jsonl"
    prices.write_text("".join(line + "\n" for line in prices.read_text().splitlines() if "REAL_TIME_INFERENCE" not in line))
    result = _stream(settings, clock, "databricks_usage", folder)
    assert [type(error).__name__ for error in result.refused] == ["BadValue"]
    assert "REAL_TIME_INFERENCE" in result.refused[0].what
    assert Lake(settings).tables("bronze") == []


def test_databricks_usage_is_priced_as_of_its_end(settings: Settings, clock: FixedClock) -> None:
    """A record that ends at the instant of a new price has the new one; a price of tomorrow changes nothing before."""
    _stream(settings, clock, "databricks_usage", FIXTURES / "databricks_usage")
    assert _rows(settings, "SELECT record_id, list_price FROM bronze.databricks_usage ORDER BY 1") == [
        ("r-1", Decimal("0.07")),
        ("r-2", Decimal("0.40")),
        ("r-3", Decimal("0.30")),
    ]


def test_negative_tokens_are_refused_and_a_count_with_a_point_is_one(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    head = "email,start_time,end_time,usage_type,accelerator_seconds,base_model_name,prompt_tokens,completion_tokens\n"
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text(head + "a@example.com,2026-10-20 17:16:48 UTC,2026-10-20 17:16:48 UTC,T,,m,3.0,2\n")
    bad.write_text(head + "a@example.com,2026-10-21 17:16:48 UTC,2026-10-21 17:16:48 UTC,T,,m,-3,2\n")
    assert ingest_file(settings, good, clock, export_id="own").refused == []
    assert [type(error).__name__ for error in ingest_file(settings, bad, clock, export_id="own").refused] == ["BadValue"]
    found = _rows(settings, "SELECT prompt_tokens, user_id FROM bronze.fireworks_metrics")
    assert [tokens for tokens, _ in found] == [3]
    assert found[0][1].startswith("user-")


def test_every_fixture_file_is_recognised_as_its_own_source() -> None:
    """A file handed over alone must not be taken for another provider's."""
    by_hand = {"cursor_events", "deepseek_costs", "deepseek_usage", "fireworks_metrics", "github_billing", "litellm_requests"}
    for source in sorted(by_hand | {"openrouter_activity"}):
        for path in sorted((FIXTURES / source).rglob("*")):
            if path.is_file() and path.name not in ("manifest.json", "expected.yml"):
                assert recognise(path).name == source, path.name


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"value": 10**18, "timestamp": "2026-10-05"}, "value_paid × price"),
        (7, "no object"),
        ({"timestamp": "2026-10-05"}, "counts nothing"),
    ],
    ids=["an amount beyond the column", "a lane that is no list", "no count"],
)
def test_a_month_of_mistral_that_cannot_be_billed_is_refused(
    entries: Any, said: str, settings: Settings, clock: FixedClock, tmp_path: Path
) -> None:
    lanes = {"input": [{"value": 1, "timestamp": "2026-10-05"}], "output": entries if isinstance(entries, int) else [entries]}
    month = {"currency": "EUR", "prices": [{"price": "1000"}], "completion": {"models": {"m": lanes}}}
    path = tmp_path / "month.json"
    path.write_text(json.dumps(month))
    result = ingest_file(settings, path, clock, export_id="mistral", source_name="mistral_usage")
    assert [said in str(error) for error in result.refused] == [True], result.refused
    assert Lake(settings).tables("bronze") == []


@pytest.mark.parametrize("odd", ["claude-sonnet-4.6", "", 7, [1], False], ids=repr)
def test_an_event_whose_usage_is_no_record_does_not_take_the_money_of_the_others(
    odd: Any, settings: Settings, clock: FixedClock, tmp_path: Path
) -> None:
    """DuckDB gives a field of two kinds no fields of its own: $0.20 of another event were loaded as nothing (fuzz, case 5000123)."""
    event = {"timestamp": "1791021600854", "model": "m", "kind": "Usage-based", "requestsCosts": 5, "tokenUsage": {"totalCents": 20.18232}}
    path = tmp_path / "events.json"
    path.write_text(json.dumps({"usageEvents": [event, event | {"timestamp": "1791021700000", "tokenUsage": odd}]}))
    result = ingest_file(settings, path, clock, export_id="cursor", source_name="cursor_events")
    assert ["tokenUsage is a record in 1 other lines" in str(error) for error in result.refused] == [True], result.refused
    path.write_text(json.dumps({"usageEvents": [event, event | {"timestamp": "1791021700000", "tokenUsage": None, "kind": "Included"}]}))
    assert ingest_file(settings, path, clock, export_id="cursor", source_name="cursor_events").refused == []
    assert _rows(settings, "SELECT sum(total_cents) FROM bronze.cursor_events") == [(Decimal("20.18232"),)]


@pytest.mark.parametrize("more", [{}, {"tokenUsage": {"inputTokens": 3}}, {"tokenUsage": None, "chargedCents": None}], ids=repr)
def test_a_billed_event_that_says_no_amount_is_not_free(more: Any, settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    event = {"timestamp": "1791021600854", "model": "m", "kind": "Usage-based", "requestsCosts": 5}
    path = tmp_path / "events.json"
    path.write_text(json.dumps({"usageEvents": [event | {"chargedCents": 8}, event | {"timestamp": "1791021700000"} | more]}))
    result = ingest_file(settings, path, clock, export_id="cursor", source_name="cursor_events")
    assert ["1 rows are billed and do not say how much" in str(error) for error in result.refused] == [True], result.refused
