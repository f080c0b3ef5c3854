"""Merged files hold what their parts held, to the row and its lineage; a lake with few files is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from costlake import compact, maintain
from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import LakeError
from costlake.periods import SystemClock
from costlake.settings import Settings
from costlake.tables import LAYERS
from ingest import load
from ingest.load import ingest_stream
from quality.totals import bill_totals, bronze_totals
from tests.ingest.daily import DAILY, deliver

MONTH = "2026-10"
DAYS = 10


@pytest.fixture
def lake(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Ten days of a month, a delivery each; two months' rows in the first."""
    monkeypatch.setattr(load, "source_named", {"daily": DAILY}.__getitem__)
    for day in range(1, DAYS + 1):
        deliver(
            tmp_path / "b", f"{day:02d}", {f"{MONTH}-{day:02d}": {MONTH: [str(day), str(day)], **({"2026-09": ["5"]} if day == 1 else {})}}
        )
    ingest(settings, tmp_path)
    return Lake(settings)


def ingest(settings: Settings, tmp_path: Path) -> None:
    assert ingest_stream(settings, Export(id="bill", source="daily", location=str(tmp_path / "b")), SystemClock()).refused == []


def rows(lake: Lake) -> list[Any]:
    return lake.connect().execute("SELECT * FROM bronze.daily ORDER BY ALL").fetchall()


def versions(lake: Lake) -> dict[str, int | None]:
    return {f"{layer}.{name}": lake.version(layer, name) for layer in LAYERS for name in lake.tables(layer)}


def test_merged_files_hold_the_same_rows_with_their_lineage(settings: Settings, lake: Lake) -> None:
    before = rows(lake)
    result = maintain.run(settings, SystemClock())
    assert result.merged == {"bronze.daily": DAYS}
    assert [len(lake.files("bronze", "daily", {"_billing_period": month})) for month in ("2026-09", MONTH)] == [1, 1]
    assert rows(lake) == before
    bills = {key: total for key, total in bill_totals(settings, [DAILY], None).items() if key.measure == "billed"}
    bronze = {key: total.exact for key, total in bronze_totals(settings, [DAILY], None).items() if key.measure == "billed"}
    assert bills == bronze != {}


def test_a_second_maintenance_writes_no_version(settings: Settings, lake: Lake) -> None:
    maintain.run(settings, SystemClock())
    before = versions(lake)
    assert maintain.run(settings, SystemClock()).merged == {"bronze.daily": 0}
    assert versions(lake) == before


def test_a_day_is_still_replaced_alone_after_files_were_merged(settings: Settings, lake: Lake, tmp_path: Path) -> None:
    maintain.run(settings, SystemClock())
    deliver(tmp_path / "b", "again", {f"{MONTH}-03": {MONTH: ["30", "30"]}})
    ingest(settings, tmp_path)
    days = dict(
        lake.connect().execute("SELECT _slice, sum(cost) FROM bronze.daily WHERE _billing_period = '2026-10' GROUP BY 1").fetchall()
    )
    assert days == {f"{MONTH}-{day:02d}": 60 if day == 3 else 2 * day for day in range(1, DAYS + 1)}


def test_a_merge_that_loses_a_row_is_not_committed(settings: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before, version = rows(lake), lake.version("bronze", "daily")
    written = compact.write_parquet

    def swapping(connection: Any, select: str, path: Path) -> int:
        """As many rows as before and the same total, but one twice and another not at all."""
        return written(connection, f"SELECT * REPLACE (coalesce(nullif(_row_number, 1), 2) AS _row_number) FROM ({select})", path)

    monkeypatch.setattr(compact, "write_parquet", swapping)
    with pytest.raises(LakeError, match="contents differ"):
        maintain.run(settings, SystemClock())
    assert (rows(lake), lake.version("bronze", "daily")) == (before, version)
    assert not list(lake.path("bronze", "daily").rglob("compacted-*"))


def test_a_load_that_comes_in_between_is_not_undone(
    settings: Settings, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = compact.write_parquet

    def interrupted(connection: Any, select: str, path: Path) -> int:
        deliver(tmp_path / "b", "again", {f"{MONTH}-03": {MONTH: ["30", "30"]}})
        ingest(settings, tmp_path)
        return written(connection, select, path)

    monkeypatch.setattr(compact, "write_parquet", interrupted)
    assert maintain.run(settings, SystemClock()).merged == {"bronze.daily": 0}
    assert lake.connect().execute("SELECT sum(cost) FROM bronze.daily WHERE _slice = '2026-10-03'").fetchall() == [(60,)]
    assert not list(lake.path("bronze", "daily").rglob("compacted-*"))
