"""Law 2 for slices that are no months: each day once, in whatever month the newest delivery books it, and nothing else rewritten."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import ConcurrentWrite, LakeError, ShrunkenDelivery
from costlake.periods import SystemClock
from costlake.settings import Settings
from ingest import bronze, load
from ingest.load import IngestResult, ingest_stream
from quality.totals import Key, bill_totals
from tests.ingest.daily import DAILY, Costs, deliver

SEPTEMBER, OCTOBER = "2026-09", "2026-10"


@pytest.fixture(autouse=True)
def daily_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "source_named", {"daily": DAILY}.__getitem__)


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


def ingest(settings: Settings, bucket: Path, *, accept: tuple[str, ...] = ()) -> IngestResult:
    return ingest_stream(settings, Export(id="bill", source="daily", location=str(bucket)), SystemClock(), accept=accept)


def load_all(settings: Settings, bucket: Path) -> None:
    assert [str(error) for error in ingest(settings, bucket).refused] == []


def held(settings: Settings) -> dict[tuple[str, str], Decimal]:
    rows = Lake(settings).connect().execute("SELECT _billing_period, _slice, sum(cost) FROM bronze.daily GROUP BY ALL").fetchall()
    return {(period, slice_): total for period, slice_, total in rows}


def files(settings: Settings) -> set[str]:
    return set(Lake(settings).files("bronze", "daily"))


def version(settings: Settings) -> int:
    return Lake(settings).version("bronze", "daily") or 0


def test_rows_that_move_to_another_month_are_not_counted_in_both(settings: Settings, bucket: Path) -> None:
    deliver(bucket, "1", {"2026-10-01": {SEPTEMBER: ["1", "2"], OCTOBER: ["4"]}})
    load_all(settings, bucket)
    before = version(settings)
    deliver(bucket, "2", {"2026-10-01": {OCTOBER: ["1", "2", "4"]}})
    load_all(settings, bucket)
    assert held(settings) == {(OCTOBER, "2026-10-01"): Decimal(7)}
    assert version(settings) == before + 1, "a reader between two commits would see the rows twice or not at all"


def test_a_month_that_a_slice_has_left_is_empty_in_the_bill_too(settings: Settings, bucket: Path) -> None:
    """The reconciliation reads the ledger by month: an old entry left there would be a bill that bronze lacks."""
    deliver(bucket, "1", {"2026-10-01": {SEPTEMBER: ["1", "2"], OCTOBER: ["4"]}})
    deliver(bucket, "2", {"2026-10-01": {OCTOBER: ["1", "2", "4"]}})
    load_all(settings, bucket)
    rows = {(key.billing_period, key.measure): total for key, total in bill_totals(settings, [DAILY], None).items() if total}
    assert rows == {(OCTOBER, "rows"): Decimal(3), (OCTOBER, "billed"): Decimal(7)}
    assert Key("bill", SEPTEMBER, "billed", "USD") not in bill_totals(settings, [DAILY], None)


def test_a_crash_after_rows_left_a_month_leaves_no_bill_behind(settings: Settings, bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(bucket, "1", {"2026-10-01": {SEPTEMBER: ["1", "2"], OCTOBER: ["4"]}})
    load_all(settings, bucket)
    deliver(bucket, "2", {"2026-10-01": {OCTOBER: ["1", "2", "4"]}})

    def power_cut(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(load, "record_deliveries", power_cut)
        with pytest.raises(KeyboardInterrupt):
            ingest(settings, bucket)
    load_all(settings, bucket)
    assert held(settings) == {(OCTOBER, "2026-10-01"): Decimal(7)}
    rows = {key.billing_period: total for key, total in bill_totals(settings, [DAILY], None).items() if total and key.measure == "rows"}
    assert rows == {OCTOBER: Decimal(3)}
    statuses = Lake(settings).connect().execute("SELECT count(*) FROM ops.deliveries WHERE status = 'superseded'").fetchall()
    assert statuses == [(1,)]
    assert ingest(settings, bucket).unchanged == 2


def test_a_new_day_rewrites_none_of_the_month(settings: Settings, bucket: Path) -> None:
    """A month of several deliveries a day would be written anew hundreds of times."""
    for day in range(1, 6):
        before = files(settings)
        deliver(bucket, f"{day}", {f"2026-10-{day:02d}": {OCTOBER: ["1"]}})
        load_all(settings, bucket)
        assert before < files(settings)
    assert len(files(settings)) == 5


def test_a_redelivered_day_rewrites_only_the_file_that_held_it(settings: Settings, bucket: Path) -> None:
    deliver(bucket, "1", {f"2026-10-{day:02d}": {OCTOBER: [str(day)], SEPTEMBER: ["100"]} for day in (1, 2, 3)})
    deliver(bucket, "2", {"2026-10-04": {OCTOBER: ["4"]}})
    deliver(bucket, "3", {"2026-10-05": {SEPTEMBER: ["5"]}})
    load_all(settings, bucket)
    before = files(settings)
    assert len(before) == 4
    deliver(bucket, "4", {"2026-10-02": {OCTOBER: ["20"], SEPTEMBER: ["100"]}})
    load_all(settings, bucket)
    assert len(before & files(settings)) == 2, "the files of the 4th and 5th stay"
    assert held(settings) == {
        (OCTOBER, "2026-10-01"): Decimal(1),
        (OCTOBER, "2026-10-02"): Decimal(20),
        (OCTOBER, "2026-10-03"): Decimal(3),
        (OCTOBER, "2026-10-04"): Decimal(4),
        (SEPTEMBER, "2026-10-01"): Decimal(100),
        (SEPTEMBER, "2026-10-02"): Decimal(100),
        (SEPTEMBER, "2026-10-03"): Decimal(100),
        (SEPTEMBER, "2026-10-05"): Decimal(5),
    }


def test_a_rewritten_file_keeps_the_lineage_of_what_stayed(settings: Settings, bucket: Path) -> None:
    deliver(bucket, "1", {"2026-10-01": {OCTOBER: ["1"]}, "2026-10-02": {OCTOBER: ["2"]}})
    load_all(settings, bucket)
    kept = "SELECT * FROM bronze.daily WHERE _slice = '2026-10-01'"
    before = Lake(settings).connect().execute(kept).fetchall()
    deliver(bucket, "2", {"2026-10-02": {OCTOBER: ["3"]}})
    load_all(settings, bucket)
    assert Lake(settings).connect().execute(kept).fetchall() == before


def test_what_does_not_read_back_as_it_was_is_not_committed(settings: Settings, bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(bucket, "1", {"2026-10-01": {OCTOBER: ["1"]}, "2026-10-02": {OCTOBER: ["2"]}})
    load_all(settings, bucket)
    before, there = files(settings), set(Lake(settings).path("bronze", "daily").rglob("*.parquet"))
    deliver(bucket, "2", {"2026-10-02": {OCTOBER: ["3"]}})
    written = bronze.write_parquet

    def losing(connection: Any, select: str, path: Path) -> int:
        return written(connection, f"SELECT * FROM ({select}) WHERE _slice <> '2026-10-01'", path)

    monkeypatch.setattr(bronze, "write_parquet", losing)
    [refusal] = ingest(settings, bucket).refused
    assert isinstance(refusal, LakeError)
    assert files(settings) == before
    assert set(Lake(settings).path("bronze", "daily").rglob("*.parquet")) == there


@pytest.mark.parametrize(
    "smaller",
    [{OCTOBER: ["10"] * 5}, {SEPTEMBER: ["10"] * 2, OCTOBER: ["10"] * 3}, {SEPTEMBER: ["1"] * 5, OCTOBER: ["1"] * 5}],
    ids=["a_month_gone", "half_of_each", "less_cost"],
)
def test_a_day_that_loses_half_is_refused_wherever_the_half_stood(settings: Settings, bucket: Path, smaller: Costs) -> None:
    deliver(bucket, "1", {"2026-10-01": {SEPTEMBER: ["10"] * 5, OCTOBER: ["10"] * 5}})
    load_all(settings, bucket)
    deliver(bucket, "2", {"2026-10-01": smaller})
    [refusal] = ingest(settings, bucket).refused
    assert isinstance(refusal, ShrunkenDelivery)
    assert sum(held(settings).values()) == 100
    assert ingest(settings, bucket, accept=(refusal.next_step.rsplit(" ", 1)[-1],)).refused == []
    assert sum(held(settings).values()) == sum(Decimal(cost) for costs in smaller.values() for cost in costs)


def test_a_vanished_half_is_seen_again_after_rows_have_moved(settings: Settings, bucket: Path) -> None:
    """What the ledger says of a month that the day has left must not hide or invent a shrinking."""
    deliver(bucket, "1", {"2026-10-01": {SEPTEMBER: ["1"] * 10}})
    deliver(bucket, "2", {"2026-10-01": {OCTOBER: ["1"] * 10}})
    deliver(bucket, "3", {"2026-10-01": {SEPTEMBER: ["1"] * 10}})
    load_all(settings, bucket)
    deliver(bucket, "4", {"2026-10-01": {SEPTEMBER: ["1"] * 5}})
    assert [type(error) for error in ingest(settings, bucket).refused] == [ShrunkenDelivery]


def test_two_loads_of_one_day_into_different_months_never_both_stay(
    settings: Settings, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(bucket / "a", "1", {"2026-10-01": {SEPTEMBER: ["7"]}})
    deliver(bucket / "b", "2", {"2026-10-01": {OCTOBER: ["7"]}})
    met: list[IngestResult] = []
    ensured = Lake.snapshot

    def meanwhile(lake: Lake, *names: Any) -> Any:
        seen = ensured(lake, *names)
        if not met:
            met.append(IngestResult("guard"))
            met.append(ingest(settings, bucket / "b"))
        return seen

    monkeypatch.setattr(Lake, "snapshot", meanwhile)
    [late] = ingest(settings, bucket / "a").refused
    assert met[1].refused == []
    assert isinstance(late, ConcurrentWrite)
    assert held(settings) == {(OCTOBER, "2026-10-01"): Decimal(7)}
