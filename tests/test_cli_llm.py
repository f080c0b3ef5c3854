"""The commands about LLM prices, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costlake.cli import app

BODY = {
    "model": "gpt-5.6-terra",
    "usage": {"prompt_tokens": 2_000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 1_500}},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "LAKE", "CONFIG_DIR"):
        monkeypatch.setenv(f"COSTLAKE_{name}", str(tmp_path if name == "HOME" else tmp_path / name.lower()))
    return tmp_path


def typed(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_a_response_is_priced_as_of_its_day(home: Path) -> None:
    (home / "body.json").write_text(json.dumps(BODY), encoding="utf-8")
    for day, dollars in (("2026-07-29", "0.003125 USD"), ("2026-07-30", "0.0025 USD")):
        status, said = typed("price-usage", str(home / "body.json"), "--provider", "openai", "--date", day)
        assert status == 0, said
        assert dollars in said
    status, said = typed("price-usage", str(home / "body.json"), "--provider", "openai", "--model", "gpt-99")
    assert status == 0
    assert "not known: a price is missing" in said


def test_a_price_by_the_hour_needs_the_time_of_the_request(home: Path) -> None:
    body = {"model": "deepseek-reasoner", "usage": {"prompt_tokens": 0, "completion_tokens": 1_000_000}}
    (home / "body.json").write_text(json.dumps(body), encoding="utf-8")
    asked = ("price-usage", str(home / "body.json"), "--provider", "deepseek", "--date", "2026-07-29")
    for time, dollars in (("16:29", "2.19 USD"), ("16:30", "0.55 USD")):
        status, said = typed(*asked, "--time", time)
        assert (status, f": {dollars}" in said) == (0, True), said
    status, said = typed(*asked)
    assert (status, "price_depends_on_the_hour" in said) == (0, True), said
    assert typed(*asked, "--time", "noon")[0] == 1


def test_a_file_that_is_no_response_is_refused_with_its_name(home: Path) -> None:
    (home / "body.json").write_text("[", encoding="utf-8")
    status, said = typed("price-usage", str(home / "body.json"), "--provider", "openai")
    assert status == 1
    assert "body.json" in said


def test_the_book_is_written_once(home: Path) -> None:
    assert home.exists()
    status, said = typed("prices")
    assert (status, "0 of them restate" in said) == (0, True), said
    assert typed("prices") == (0, "0 prices written, 0 of them restate days that were priced\n")
