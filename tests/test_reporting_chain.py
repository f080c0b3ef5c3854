"""A Norwegian bill through the whole chain with US dollars as reporting currency, and what a relocked rate rebuilds and publishes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest

from costlake import publish, rates, transform
from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from costlake.slices import Slice
from costlake.tables import LAYERS
from ingest.load import ingest_file
from quality import reconcile

pytestmark = pytest.mark.slow
CLOCK = FixedClock(dt.datetime(2026, 11, 22, 8, tzinfo=dt.UTC))
BILLS = {"koku-nok": "koku_cur_2023-06_final_NOK.csv.gz", "koku-usd": "koku_test_cur_2018-06.csv.gz"}
# Per euro on 30 June 2023, as the ECB published it: 1.0866 USD, 11.7040 NOK.
CROWN = Fraction("1.0866") / Fraction("11.7040")


def _through(settings: Settings, relock: tuple[str, ...] = ()) -> list[transform.TransformResult]:
    rates.run(settings, CLOCK, relock)
    built = transform.run(settings)
    reconcile.run(settings, CLOCK)
    publish.run(settings, CLOCK)
    return built


def _crowns(settings: Settings) -> tuple[Any, ...]:
    """What the BI file says of the bill in crowns."""
    with duckdb.connect(str(settings.serving), read_only=True) as connection:
        ((*row,),) = connection.execute(
            "SELECT sum(billed_cost), sum(billed_cost_reporting), any_value(exchange_rate), any_value(exchange_rate_date), "
            "bool_and(exchange_rate_locked), any_value(reporting_currency), any_value(exchange_rate_origin) "
            "FROM marts.fct_cost_monthly_reporting WHERE billing_currency = 'NOK'"
        ).fetchall()
    return tuple(row)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, shared_path: Callable[[str], Path]) -> Lake:
    """Both bills published."""
    home = tmp_path_factory.mktemp("reporting")
    settings = Settings.load(home=home, lake=home / "lake", config_dir=home / "config")
    for export, name in BILLS.items():
        result = ingest_file(settings, shared_path(f"data/aws_cur_small/{name}"), CLOCK, export_id=export)
        assert result.refused == []
    _through(settings)
    return Lake(settings)


def test_thirty_crowns_are_thirty_crowns_and_their_dollars(lake: Lake) -> None:
    billed, reporting, rate, day, locked, target, origin = _crowns(lake.settings)
    assert (billed, day, locked, target, origin) == (Decimal(30), dt.date(2023, 6, 30), True, "USD", "ecb")
    assert abs(Fraction(rate) - CROWN) <= Fraction(1, 2 * 10**18)
    assert abs(Fraction(reporting) - 30 * Fraction(rate)) <= Fraction(3, 2 * 10**12), "three rows, each rounded once"


def test_a_second_run_writes_no_version(lake: Lake) -> None:
    before = {f"{layer}.{name}": lake.version(layer, name) for layer in LAYERS for name in lake.tables(layer)}
    assert [(built.changed, built.dead) for built in _through(lake.settings)] == [((), ()), ((), ())]
    assert {f"{layer}.{name}": lake.version(layer, name) for layer in LAYERS for name in lake.tables(layer)} == before
    assert "ops.exchange_rates" in before


def test_a_relocked_rate_rebuilds_and_publishes_its_month_alone(lake: Lake) -> None:
    other_files = lake.files("marts", "fct_cost_daily", {"source_id": "koku-usd", "billing_period": "2018-06"})
    settings = lake.settings
    settings.config_dir.mkdir(exist_ok=True)
    entry = "{month: 2023-06, from: NOK, to: USD, rate: 0.1, reason: contract}"
    (settings.config_dir / "currency.yml").write_text(f"overrides:\n  - {entry}\n", encoding="utf-8")

    assert [built.changed for built in _through(settings)] == [(), ()], "a locked rate does not move by itself"
    assert _crowns(settings)[1] != Decimal(3)

    focus, marts = _through(settings, relock=("2023-06",))
    assert focus.changed == ()
    assert marts.changed == (Slice("koku-nok", "2023-06"),)
    assert _crowns(settings)[:3] == (Decimal(30), Decimal(3), Decimal("0.1"))
    assert lake.files("marts", "fct_cost_daily", {"source_id": "koku-usd", "billing_period": "2018-06"}) == other_files
    rate = rates.newest(lake)["2023-06", "NOK", "USD"]
    assert (rate.revision, rate.note, abs(Fraction(rate.restated_rate or 0) - CROWN) <= Fraction(1, 2 * 10**18)) == (2, "contract", True)
    connection = lake.connect()
    assert connection.execute("SELECT sum(billed_cost_reporting) FROM marts.fct_cost_daily WHERE billing_currency = 'NOK'").fetchall() == [
        (Decimal(3),)
    ]
    connection.close()
