"""A meter that is delivered in other blocks than before multiplies every quantity: refused until a person has looked."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import ChangedUnit, CostlakeError
from costlake.periods import SystemClock
from costlake.settings import Settings
from ingest import load
from ingest.load import ingest_file, ingest_stream
from ingest.units import block_of
from tests.ingest import cur
from tests.ingest.daily import DAILY, deliver

SKU = {"product/sku": "ABCDEFGHIJKLMNOP"}
UNIT, TEXT = "pricing/unit", "lineItem/LineItemDescription"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hrs", "hours"),
        ("GB-Mo", "GB-Month"),
        ("1K tokens", "1000_tokens"),
        ("1M Requests", "1,000,000 requests"),
        ("gibibyte hour", "GiBy.h"),
        ("Tokens", "token"),
        ("1 GB/Month", "GB-Months"),
    ],
)
def test_another_spelling_is_no_change_and_raises_no_alarm(one: str, other: str) -> None:
    assert block_of(one) == block_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1K tokens", "1M tokens"), ("Hrs", "Seconds"), ("Tokens", "1K tokens"), ("GB-Hours", "GB-Mo"), ("10K", "1M"), ("GB", "GiB")],
)
def test_other_blocks_of_one_thing_are_told_apart(one: str, other: str) -> None:
    assert block_of(one)[0] != block_of(other)[0]
    assert block_of(one)[1] == block_of(other)[1]


def _ingest(settings: Settings, bucket: Path, accept: tuple[str, ...] = ()) -> list[CostlakeError]:
    return ingest_stream(settings, Export(id="aws", source="aws_cur", location=str(bucket)), SystemClock(), accept=accept).refused


def _rows(month: str, unit: str, text: str = "") -> list[cur.Row]:
    return [*cur.rows(5, month=month, **SKU, **{UNIT: unit, TEXT: text}), cur.row(number=9, month=month, **{UNIT: ""})]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("1K tokens", ""), ("1M tokens", "")),
        (("Hrs", ""), ("Seconds", "")),
        # Marketplace models: the unit says nothing, the description does
        (("Units", "$1.00 per million input tokens"), ("Units", "$0.001 per thousand input tokens")),
    ],
    ids=["tokens", "time", "marketplace"],
)
@pytest.mark.parametrize("month", ["2026-10", "2026-11"], ids=["redelivery", "next_month"])
def test_a_sku_in_other_blocks_is_refused_until_a_person_accepts_it(
    settings: Settings, tmp_path: Path, before: tuple[str, str], after: tuple[str, str], month: str
) -> None:
    cur.deliver(tmp_path / "b", [_rows("2026-10", *before)])
    assert _ingest(settings, tmp_path / "b") == []
    version = Lake(settings).version("bronze", "aws_cur")
    cur.deliver(tmp_path / "b", [_rows(month, *after)], assembly="a2", month=month)
    [refusal] = _ingest(settings, tmp_path / "b")
    assert isinstance(refusal, ChangedUnit)
    assert "ABCDEFGHIJKLMNOP" in refusal.what
    assert "5 rows" in refusal.what
    assert Lake(settings).version("bronze", "aws_cur") == version
    assert _ingest(settings, tmp_path / "b", (refusal.next_step.rsplit(" ", 1)[-1],)) == []
    cur.deliver(tmp_path / "b", [[*_rows(month, *after), cur.row(number=7, month=month)]], assembly="a3", month=month)
    assert _ingest(settings, tmp_path / "b") == [], "what was accepted is known from then on"


@pytest.mark.parametrize(
    ("before", "after"),
    [("Hrs", "hours"), ("Hrs", "GB"), ("Hrs", ""), ("", "Hrs")],
    ids=["spelling", "another_meter", "vanished", "appeared"],
)
def test_no_alarm_where_no_quantity_is_multiplied(settings: Settings, tmp_path: Path, before: str, after: str) -> None:
    cur.deliver(tmp_path / "b", [_rows("2026-10", before)])
    assert _ingest(settings, tmp_path / "b") == []
    cur.deliver(tmp_path / "b", [_rows("2026-10", after)], assembly="a2")
    assert _ingest(settings, tmp_path / "b") == []


def test_another_exports_units_say_nothing_of_this_one(settings: Settings, tmp_path: Path) -> None:
    for payer, unit in (("000123456789", "Hrs"), ("999999999999", "Seconds")):
        path = tmp_path / f"{payer}.csv"
        path.write_bytes(cur.csv_bytes(cur.rows(3, **SKU, **{UNIT: unit, "bill/PayerAccountId": payer})))
        assert ingest_file(settings, path, SystemClock()).refused == []


def test_days_of_a_month_are_compared_with_each_other(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "source_named", {"daily": DAILY}.__getitem__)
    export = Export(id="bill", source="daily", location=str(tmp_path / "b"))
    deliver(tmp_path / "b", "1", {"2026-10-01": {"2026-10": ["1"]}}, unit="hours")
    deliver(tmp_path / "b", "2", {"2026-10-02": {"2026-10": ["1"]}}, unit="seconds")
    result = ingest_stream(settings, export, SystemClock())
    assert (len(result.loaded), [type(error) for error in result.refused]) == (1, [ChangedUnit])
