"""The `pull` block: what would send a key to the wrong place, or ask for what no API has, is refused before a request is made."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from typer.testing import CliRunner

from costlake.cli import app
from costlake.config import Export
from costlake.errors import ConfigError
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.pull.apis import APIS, asked
from ingest.pull.run import pull_exports
from tests.ingest.pull.api_server import KEY, ApiServer, Fault
from tests.ingest.pull.conftest import NOW, Estate

GOOD = {"api": "openai", "credential": "env:TESTED"}


@pytest.mark.parametrize(
    "changes",
    [
        {"credential": KEY},
        {"base_url": "http://example.com/v1"},
        {"base_url": "https://user:word@example.com/v1"},
        {"base_url": "https://example.com/v1?key=1"},
        {"base_url": "ftp://127.0.0.1/v1"},
        {"window_days": 0},
        {"bucket_width": "2d"},
        {"retries": 5},
    ],
    ids=lambda changes: re.sub(r"[^a-z0-9:/]", "", str(changes))[:40],
)
def test_a_block_that_would_leak_the_key_or_means_nothing_is_refused_without_quoting_it(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        Export(id="x", source="openai_usage", location="pulls", pull={**GOOD, **changes})  # type: ignore[arg-type]
    assert KEY not in str(caught.value)


def test_pages_cannot_be_written_into_a_bucket_that_we_only_read() -> None:
    with pytest.raises(ValueError, match="a folder of this machine"):
        Export(id="x", source="openai_usage", location="s3://bucket/pulls", pull=GOOD)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "changes", "said"),
    [
        ("openai_usage", {"api": "openal"}, "no API"),
        ("aws_cur", {}, "no report for the source aws_cur"),
        ("openai_usage", {"reports": ["costs"]}, "no report 'costs'"),
        ("openai_usage", {"group_by": ["colour"]}, "grouped by 'colour'"),
        ("openai_costs", {"bucket_width": "1h"}, "no buckets of 1h"),
    ],
)
def test_what_no_api_can_answer_is_not_asked(source: str, changes: dict[str, Any], said: str) -> None:
    export = Export(id="x", source=source, location="pulls", pull={**GOOD, **changes})  # type: ignore[arg-type]
    assert export.pull is not None
    with pytest.raises(ConfigError, match=said):
        asked(export, export.pull)


def test_the_check_of_the_configuration_looks_into_the_block(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSTLAKE_HOME", str(estate.settings.home))
    assert CliRunner().invoke(app, ["config", "check"]).exit_code == 0
    estate.configure(reports=["costs"])
    assert CliRunner().invoke(app, ["config", "check"]).exit_code == 1


def test_every_report_has_a_reader() -> None:
    from ingest.source import all_sources

    assert {report.source for api in APIS.values() for report in api.reports} <= set(all_sources())


@pytest.mark.parametrize("value", [None, "sk-with\nnewline", "sk-ümlaut"], ids=["missing", "newline", "umlaut"])
def test_a_key_that_is_missing_or_would_break_the_header_costs_no_request(
    estate: Estate, api: ApiServer, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("TESTED_REGION", "x")
    if value is None:
        monkeypatch.delenv("TESTED_API_KEY")
    else:
        monkeypatch.setenv("TESTED_API_KEY", value)
    (error,) = estate.pull().failed
    assert isinstance(error, ConfigError)
    assert value is None or value not in str(error)
    assert api.requests == []


def test_an_export_without_a_pull_block_is_left_alone_unless_it_is_named(settings: Settings) -> None:
    settings.config_dir.mkdir()
    (settings.config_dir / "accounts.yml").write_text("exports: [{id: aws, source: aws_cur, location: x}]", encoding="utf-8")
    assert pull_exports(settings, [], FixedClock(NOW)) == []
    (error,) = pull_exports(settings, ["aws"], FixedClock(NOW))[0].failed
    assert isinstance(error, ConfigError)


@pytest.mark.parametrize(("fault", "status"), [(None, 0), (Fault(status=403), 1), (Fault(status=429, headers={"Retry-After": "9999"}), 75)])
def test_the_command_says_what_was_pulled_and_whether_to_try_again(
    estate: Estate, api: ApiServer, monkeypatch: pytest.MonkeyPatch, fault: Fault | None, status: int
) -> None:
    estate.configure(since=dt.date(2026, 11, 1))
    api.now = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)  # the command's clock is the machine's
    api.next_fails(fault or Fault())
    for name, value in (("HOME", estate.settings.home), ("LAKE", estate.settings.lake), ("CONFIG_DIR", estate.settings.config_dir)):
        monkeypatch.setenv(f"COSTLAKE_{name}", str(value))
    done = CliRunner().invoke(app, ["pull"])
    assert done.exit_code == status, done.output
    if status == 0:
        assert "completions, 2026-11-01" in done.output
        assert estate.rows("SELECT count(*)::INT FROM ops.runs WHERE command = 'pull' AND detail LIKE '%completions%'")[0][0] >= 1
    assert KEY not in done.output
