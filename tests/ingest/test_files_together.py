"""Files handed over by hand in one command: parts of one bill are a delivery, and none replaces another in silence."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costlake.cli import app
from costlake.delta import Lake
from costlake.errors import ConfigError
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import ingest_file
from tests.ingest import cur


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """October's bill in two files of one folder; the command line's lake is that of `settings`."""
    monkeypatch.setenv("COSTLAKE_HOME", str(tmp_path))
    monkeypatch.setenv("COSTLAKE_LAKE", str(tmp_path / "lake"))
    for number, cost in ((1, "1"), (2, "20")):
        (tmp_path / f"part-{number}.csv").write_bytes(cur.csv_bytes(cur.rows(10, cost=cost)))
    return str(tmp_path / "part-1.csv"), str(tmp_path / "part-2.csv")


def billed(settings: Settings) -> Decimal:
    [(total,)] = Lake(settings).connect().execute("SELECT sum(line_item_unblended_cost) FROM bronze.aws_cur").fetchall()
    assert isinstance(total, Decimal)
    return total


def costlake(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == status, done.output
    return " ".join(done.output.split())


def test_the_second_half_of_a_bill_does_not_replace_the_first_in_silence(settings: Settings, parts: tuple[str, str]) -> None:
    for _ in range(2):  # the same when the first file is there already
        printed = costlake("ingest", *parts, "--as", "x", status=1)
        assert "would replace another one of the same command" in printed
        assert "--parts" in printed
        assert billed(settings) == 10


def test_parts_of_one_bill_are_summed_and_replaced_as_one(settings: Settings, parts: tuple[str, str]) -> None:
    assert "1 loaded (20 rows)" in costlake("ingest", "--parts", *parts, "--as", "x")
    assert billed(settings) == 210
    assert "1 unchanged" in costlake("ingest", "--parts", *parts, "--as", "x")
    Path(parts[0]).write_bytes(cur.csv_bytes(cur.rows(10, cost="2")))
    assert "1 earlier replaced" in costlake("ingest", "--parts", *parts, "--as", "x")
    assert billed(settings) == 220


def test_months_and_accounts_of_one_command_stand_side_by_side(settings: Settings, parts: tuple[str, str], tmp_path: Path) -> None:
    september = tmp_path / "september.csv"
    september.write_bytes(cur.csv_bytes(cur.rows(5, month="2026-09")))
    costlake("ingest", parts[0], str(september), "--as", "x")
    costlake("ingest", parts[0], parts[1], "--as", "y", status=1)
    assert billed(settings) == 10 + Decimal("7.5") + 10


def test_a_part_that_comes_twice_is_not_counted_twice(settings: Settings, parts: tuple[str, str]) -> None:
    printed = costlake("ingest", "--parts", parts[0], parts[0], "--as", "x", status=1)
    assert "named twice" in printed
    assert Lake(settings).tables("bronze") == []


def test_parts_in_two_folders_are_refused(settings: Settings, parts: tuple[str, str], clock: FixedClock, tmp_path: Path) -> None:
    other = tmp_path / "other" / "part-2.csv"
    other.parent.mkdir()
    other.write_bytes(Path(parts[1]).read_bytes())
    with pytest.raises(ConfigError, match="two folders"):
        ingest_file(settings, Path(parts[0]), clock, parts=[other])
