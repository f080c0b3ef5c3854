"""Prices that depend on the hour of the UTC day: each window has its own, the past keeps its windows, and no time has two prices.

Data flow: genai-prices' list of DeepSeek, and lists made of it → `costlake.prices.run` in a lake of its own → `ops.price_book`.
Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pytest

from costlake import prices
from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.pricelist import Listing, Segment, Window, listing
from costlake.prices import PRICE_BOOK
from costlake.settings import Settings
from costlake.timeline import Entry, Key, in_windows, merged_windows

REASONER = ("deepseek", "deepseek-reasoner")
OUTPUT = Key(*REASONER, "output", "standard", 0, "global")
AUGUST, SEPTEMBER = (FixedClock(dt.datetime(2026, month, 10, 9, tzinfo=dt.UTC)) for month in (8, 9))
# 16:30 to 00:30 UTC is half past an hour twice, and wraps midnight
NIGHT, DAY, EVENING = (0, 30), (30, 990), (990, 1440)
DEAR, CHEAP = Decimal("2.19"), Decimal("0.55")


@pytest.fixture(autouse=True)
def only_the_reasoner(monkeypatch: pytest.MonkeyPatch) -> None:
    """One model was used, and no route offers others."""
    monkeypatch.setattr(prices, "seen_models", lambda settings: {REASONER})
    monkeypatch.setattr(prices, "ROUTES", ())


def book(settings: Settings, day: dt.date, key: Key = OUTPUT) -> dict[Window, tuple[Decimal | None, str | None]]:
    """The prices of a day by window; none of them overlaps another."""
    timelines = prices.newest(Lake(settings))[key.provider, key.model_id]
    found: dict[Window, Entry] = {}
    for each, entries in timelines.items():
        if each.during((0, 1440)) == key:
            active = [entry for entry in entries if entry.active and entry.covers(day)]
            assert len(active) <= 1
            found |= dict(zip([each.window], active, strict=False))
    windows = sorted(found)
    assert all(one[1] == other[0] for one, other in pairwise(windows)), windows
    return {window: (found[window].price, found[window].reason) for window in windows}


def with_windows(*windows: tuple[Window, Decimal]) -> Callable[..., Listing]:
    """A list that cuts the day otherwise."""
    cells = tuple(
        Segment("output", "standard", 0, "global", price, from_minute_utc=window[0], to_minute_utc=window[1]) for window, price in windows
    )
    return lambda provider, model, rules=(): Listing(provider, model, cells)


@pytest.mark.parametrize(
    ("time", "price"),
    [("00:29", CHEAP), ("00:30", DEAR), ("12:00", DEAR), ("16:29", DEAR), ("16:30", CHEAP), ("23:59", CHEAP), ("00:00", CHEAP)],
)
def test_a_request_costs_what_its_own_minute_does(time: str, price: Decimal) -> None:
    found = listing(*REASONER)
    assert found is not None
    at = found.price("output", dt.date(2026, 7, 30), at=dt.time.fromisoformat(time))
    assert at is not None
    assert (at.price_usd_per_million, at.price_reason) == (price, None)


def test_the_book_has_the_windows_of_the_list_and_a_second_run_writes_nothing(settings: Settings) -> None:
    prices.run(settings, AUGUST)
    assert book(settings, dt.date(2026, 7, 1)) == {NIGHT: (CHEAP, None), DAY: (DEAR, None), EVENING: (CHEAP, None)}
    version = Lake(settings).version("ops", "price_book")
    assert prices.run(settings, SEPTEMBER).written == ()
    assert Lake(settings).version("ops", "price_book") == version


def test_a_price_by_the_hour_is_not_older_than_the_dated_price_that_it_follows() -> None:
    """The list says since when off-peak costs what it does, and not since when there is a peak: before that, it may have been any price."""
    found = listing("deepseek", "deepseek-v4-flash")
    assert found is not None

    def at(day: dt.date, hour: int) -> tuple[Decimal | None, str | None]:
        price = found.price("output", day, at=dt.time(hour))
        assert price is not None
        return price.price_usd_per_million, price.price_reason

    before, since = dt.date(2026, 9, 9), dt.date(2026, 9, 10)
    assert (at(before, 0), at(since, 0)) == ((Decimal("0.66"), None), (Decimal("0.6"), None))
    assert (at(before, 1), at(since, 1)) == ((None, "price_by_hour_has_no_first_day"), (Decimal("1.2"), None))
    assert (at(since, 3), at(since, 4), at(since, 6), at(since, 10)) == tuple(
        (Decimal(each), None) for each in ("1.2", "0.6", "1.2", "0.6")
    )


def test_prices_that_were_unknown_because_of_the_hour_are_filled_in(settings: Settings) -> None:
    """A book of before there were windows: its table has no such columns, and the whole day has no price."""
    older = replace(PRICE_BOOK, schema=pa.schema([field for field in PRICE_BOOK.schema if "minute" not in field.name]), key=())
    row = {
        "provider": "deepseek", "model_id": "deepseek-reasoner", "token_class": "output", "service_tier": "standard",
        "context_from_tokens": 0, "region_scope": "global", "unit": "Tokens", "price_reason": "price_depends_on_the_hour", "revision": 1,
        "active": True, "origin": "genai-prices", "listed_model": "deepseek-reasoner",
    }  # fmt: skip
    Lake(settings).append(older, pa.Table.from_pylist([row], schema=older.schema))
    assert book(settings, dt.date(2026, 7, 1)) == {(0, 1440): (None, "price_depends_on_the_hour")}
    assert prices.month_fingerprints(Lake(settings), ["2026-07"])

    result = prices.run(settings, AUGUST)
    assert (result.held, result.restated) == ((), ())
    assert book(settings, dt.date(2026, 7, 1)) == {NIGHT: (CHEAP, None), DAY: (DEAR, None), EVENING: (CHEAP, None)}
    assert prices.run(settings, AUGUST).written == ()


def test_hours_that_change_do_not_change_the_days_that_were_priced(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    prices.run(settings, AUGUST)
    monkeypatch.setattr(prices, "listing", with_windows(((0, 60), DEAR), ((60, 1440), CHEAP)))
    result = prices.run(settings, SEPTEMBER)
    past, now = dt.date(2026, 9, 9), dt.date(2026, 9, 10)
    assert {window: price for window, (price, _) in book(settings, now).items()} == {(0, 60): DEAR, (60, 1440): CHEAP}
    by_minute = {minute: price for window, (price, _) in book(settings, past).items() for minute in range(*window)}
    assert {minute: by_minute[minute] for minute in (0, 29, 30, 59, 60, 989, 990, 1439)} == {
        0: CHEAP, 29: CHEAP, 30: DEAR, 59: DEAR, 60: DEAR, 989: DEAR, 990: CHEAP, 1439: CHEAP,
    }  # fmt: skip
    # what the list says of the past by now is held beside it: midnight to 00:30 would be dear, 01:00 to 16:30 cheap
    assert {key.window for key in result.held} == {(0, 30), (60, 990)}
    assert prices.run(settings, SEPTEMBER).written == ()

    restated = prices.run(settings, SEPTEMBER, restate=["2026-09"])
    assert restated.restated
    assert {window: price for window, (price, _) in book(settings, past).items()} != {NIGHT: CHEAP, DAY: DEAR, EVENING: CHEAP}
    assert {minute: price for window, (price, _) in book(settings, past).items() for minute in range(*window)} == {
        minute: DEAR if minute < 60 else CHEAP for minute in range(1440)
    }
    assert prices.run(settings, SEPTEMBER).written == ()


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_windows_the_past_stays_and_the_rest_is_as_the_list_says(seed: int) -> None:
    """Random timelines over random windows: each minute of each day has at most one price, before and after any change."""
    chance = random.Random(seed)
    days = [dt.date(2026, 8, 1) + dt.timedelta(days=number) for number in range(0, 40, 3)]
    today = dt.date(2026, 8, 20)

    def some() -> dict[Window, tuple[Entry, ...]]:
        cuts = sorted({0, 1440, *chance.sample(range(1, 1440), chance.choice((0, 0, 1, 2, 4)))})
        turns = [None, *sorted(chance.sample(days, 2)), None]
        return in_windows({
            window: tuple(
                Entry(price, None if price else "nobody_knows", since, until, "list", None, None)
                for since, until in pairwise(turns)
                for price in [chance.choice((Decimal(1), Decimal(2), None))]
            )
            for window in pairwise(cuts)
        })  # fmt: skip

    def at(timelines: dict[Window, tuple[Entry, ...]], day: dt.date, minute: int) -> Decimal | None:
        found = [each for window, entries in timelines.items() if window[0] <= minute < window[1] for each in entries if each.covers(day)]
        assert len(found) == 1
        return found[0].price

    known = some()
    for _ in range(3):
        wanted = some()
        merged = merged_windows(known, wanted, today, ())
        minutes = sorted(
            {minute for window in (*known, *wanted, *merged) for bound in window for minute in (bound - 1, bound)} - {-1, 1440}
        )
        for day in [dt.date(2026, 7, 1), *days, today - dt.timedelta(days=1), today]:
            for minute in minutes:
                before, now = at(known, day, minute), at(wanted, day, minute)
                assert at(merged, day, minute) == (before if day < today and before is not None else now)
        assert merged_windows(merged, wanted, today, ()) == merged
        known = merged


def test_a_contracts_price_is_for_the_whole_day(settings: Settings) -> None:
    folder = settings.config_dir / "prices"
    folder.mkdir(parents=True)
    (folder / "llm.yml").write_text(
        "llm_prices:\n  - {provider: deepseek, model: deepseek-reasoner, token_class: output, usd_per_million: '1.5', "
        "valid_from: 2026-09-01, note: contract 9}\n",
        encoding="utf-8",
    )
    prices.run(settings, AUGUST)
    assert book(settings, dt.date(2026, 8, 31)) == {NIGHT: (CHEAP, None), DAY: (DEAR, None), EVENING: (CHEAP, None)}
    assert book(settings, dt.date(2026, 9, 1)) == {(0, 1440): (Decimal("1.5"), None)}
    assert prices.run(settings, AUGUST).written == ()
