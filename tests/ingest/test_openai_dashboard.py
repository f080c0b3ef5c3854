"""CSV exports of OpenAI's dashboard, handed over: the same rows as the API's, and a broken line is no smaller bill."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlake.delta import Lake
from costlake.errors import BadValue, ConfigError, ManifestError, PersonalData, UnreadableFile
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import IngestResult, ingest_file

USAGE = "completions_usage_2026-10-05_2026-10-06.csv"
COST = "cost_2026-10-05_2026-10-06.csv"
TIMES = "start_time,end_time,start_time_iso,end_time_iso"
DAY = "1791158400,1791244800,2026-10-05T00:00:00+00:00,2026-10-06T00:00:00+00:00"
NEXT = "1791244800,1791331200,2026-10-06T00:00:00+00:00,2026-10-07T00:00:00+00:00"
HEADER = f"{TIMES},project_id,num_model_requests,user_id,api_key_id,model,batch,service_tier,input_tokens,output_tokens,input_cached_tokens"
ROW = f"{DAY},proj_a,3.0,user-AbC,key_1,gpt-4o-mini-2024-07-18,False,default,30.0,3.0,10.0"
COST_HEADER = (
    f"{TIMES},amount_value,amount_currency,quantity,quantity_unit,line_item,user_id,api_key_id,project_id,organization_id,user_email"
)


def _load(settings: Settings, clock: FixedClock, path: Path, *lines: str, **more: Any) -> IngestResult:
    path.write_bytes((gzip.compress if path.suffix == ".gz" else bytes)("".join(f"{line}\n" for line in lines).encode()))
    return ingest_file(settings, path, clock, **more)


def _rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    return Lake(settings).connect().execute(sql).fetchall()


@pytest.mark.parametrize("name", [USAGE, f"{USAGE}.gz", "renamed.csv"])
def test_counts_with_a_point_are_counts_and_an_empty_period_covers_its_day(
    settings: Settings, clock: FixedClock, tmp_path: Path, name: str
) -> None:
    result = _load(settings, clock, tmp_path / name, HEADER, ROW, NEXT, f"{NEXT},,,,,,,,,,")
    assert result.refused == []
    found = _rows(
        settings, "SELECT endpoint, input_tokens, output_tokens, num_model_requests, batch, model, _slice FROM bronze.openai_usage"
    )
    assert found == [("completions", 30, 3, 3, False, "gpt-4o-mini-2024-07-18", "2026-10-05")]
    assert _rows(settings, "SELECT user_id LIKE 'user-%' AND user_id <> 'user-AbC' FROM bronze.openai_usage") == [(True,)]
    assert _rows(settings, "SELECT DISTINCT slice, row_count::INT FROM ops.deliveries ORDER BY 1") == [("2026-10-05", 1), ("2026-10-06", 0)]


def test_an_export_of_images_is_not_taken_for_completions(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    header = f"{TIMES},project_id,num_model_requests,user_id,api_key_id,model,size,source,images"
    assert (
        _load(settings, clock, tmp_path / "images_usage_a_b.csv", header, f"{DAY},proj_a,2.0,,,dall-e-3,512x512,image.edit,5.0").refused
        == []
    )
    assert _rows(settings, "SELECT endpoint, images, size, input_tokens FROM bronze.openai_usage") == [("images", 5, "512x512", None)]


def test_costs_of_the_dashboard_are_exact_dollars_by_line_and_user(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    line = f"{DAY},0.8958740000000000,usd,100.0,tokens,gpt-4o-mini-2024-07-18 input,%s,,proj_a,org-example,"
    tiny = f"{DAY},5.64902e-05,usd,,,gpt-4o-mini-2024-07-18 output,,,proj_a,org-example,"
    result = _load(settings, clock, tmp_path / COST, COST_HEADER, line % "user-a", line % "user-b", tiny, NEXT)
    assert result.refused == []
    assert _rows(settings, "SELECT count(*)::INT, sum(amount_value) FROM bronze.openai_costs") == [(3, Decimal("1.7918044902"))]
    assert _rows(settings, "SELECT count(*)::INT FROM bronze.openai_costs WHERE _extra LIKE '%user-a\"%'") == [(0,)]


def test_a_file_of_a_configured_export_finds_the_exports_account(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    settings.config_dir.mkdir()
    export = "{id: openai, source: openai_usage, location: x, billing_account_id: org-example}"
    (settings.config_dir / "accounts.yml").write_text(f"exports: [{export}]", encoding="utf-8")
    assert _load(settings, clock, tmp_path / USAGE, HEADER, ROW, export_id="openai").refused == []
    assert _rows(settings, "SELECT _account_id FROM bronze.openai_usage") == [("org-example",)]
    with pytest.raises(ConfigError, match="the file is of openai_costs"):
        _load(settings, clock, tmp_path / COST, COST_HEADER, NEXT, export_id="openai")


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([HEADER, ROW, ROW], ManifestError),
        ([HEADER, ROW[:-12]], UnreadableFile),
        ([HEADER, ROW, f'{DAY},"proj_b'], UnreadableFile),
        ([HEADER, ROW.replace("30.0", "-30.0")], BadValue),
        ([HEADER, ROW.replace("30.0", "3.5")], BadValue),
        ([HEADER, ROW.replace("10.0", "31.0")], BadValue),
        ([HEADER, ROW.replace("False", "maybe")], BadValue),
        ([HEADER, ROW.replace("1791158400", "yesterday")], BadValue),
        ([HEADER, ROW.replace("1791158400", "1791244800")], BadValue),
        ([f"{HEADER},model", f"{ROW},x"], UnreadableFile),
        ([f"{HEADER},user_email", f"{ROW},jane@example.com"], PersonalData),
    ],
    ids=["twice", "cut", "open quote", "negative", "half", "cached", "flag", "time", "no interval", "column twice", "address"],
)
def test_a_damaged_export_is_refused_and_leaves_nothing(
    settings: Settings, clock: FixedClock, tmp_path: Path, lines: list[str], kind: type[Exception]
) -> None:
    (error,) = _load(settings, clock, tmp_path / USAGE, *lines, source_name="openai_usage").refused
    assert type(error) is kind, error
    assert "jane" not in str(error)
    assert not settings.landing.exists()
    assert not Lake(settings).exists("bronze", "openai_usage")
