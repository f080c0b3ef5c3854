"""The price book: every day at the price of its time, history never rewritten in silence, unknown never free.

Data flow: lists and config → `costlake.prices.run` in a lake of its own → `ops.price_book`. Alone: pytest on this file.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import duckdb
import pytest

from costlake import prices
from costlake.delta import Lake
from costlake.errors import ConfigError
from costlake.periods import FixedClock
from costlake.pricelist import Listing, listing
from costlake.pricerules import PriceRule, load_overrides, load_rules
from costlake.settings import Settings
from costlake.timeline import Entry, Key

TERRA = Key("openai", "gpt-5.6-terra", "input_uncached", "standard", 0, "global")
CUT = dt.date(2026, 7, 30)
JULY, AUGUST = FixedClock(dt.datetime(2026, 7, 20, 9, tzinfo=dt.UTC)), FixedClock(dt.datetime(2026, 8, 10, 9, tzinfo=dt.UTC))


def before_the_cut(provider: str, model: str, rules: tuple[PriceRule, ...] = ()) -> Listing | None:
    """The list as it was when nobody knew of the cut of 30 July 2026."""
    found = listing(provider, model, rules)
    if found is None or model != TERRA.model_id:
        return found
    old = [each for each in found.segments if each.valid_from is None]
    return Listing(found.provider, found.model, tuple(replace(each, valid_to=None) for each in old))


def override(settings: Settings, *lines: str, name: str = "llm.yml") -> None:
    folder = settings.config_dir / "prices"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("llm_prices:\n" + "".join(f"  - {{{line}}}\n" for line in lines), encoding="utf-8")


def terra(price: str, since: str, until: str = "") -> str:
    end = f", valid_to: {until}" if until else ""
    return (
        f"provider: openai, model: gpt-5.6-terra, token_class: input_uncached, usd_per_million: {price}, "
        f"valid_from: {since}{end}, note: contract 7"
    )


def price_on(settings: Settings, day: dt.date, key: Key = TERRA) -> Entry:
    return next(each for each in prices.newest(Lake(settings))[key.provider, key.model_id][key] if each.covers(day))


@pytest.mark.parametrize(
    ("model", "token_class", "before", "after"),
    [
        ("gpt-5.6-luna", "input_uncached", "1", "0.2"),
        ("gpt-5.6-luna", "output", "6", "1.2"),
        ("gpt-5.6-terra", "input_uncached", "2.5", "2"),
        ("gpt-5.6-terra", "output", "15", "12"),
        ("gpt-5.6-terra", "input_cache_read", "0.25", "0.2"),
    ],
)
def test_days_before_and_after_a_cut_have_their_own_prices(model: str, token_class: str, before: str, after: str) -> None:
    found = listing("openai", model)
    assert found is not None
    days = (CUT - dt.timedelta(days=1), CUT)
    assert [found.price(token_class, day).price_usd_per_million for day in days] == [Decimal(before), Decimal(after)]  # type: ignore[union-attr]


def test_a_price_learnt_tomorrow_does_not_rewrite_yesterday(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as known_then:
        known_then.setattr(prices, "listing", before_the_cut)
        prices.run(settings, JULY)
    assert price_on(settings, dt.date(2026, 8, 30)).price == Decimal("2.5")

    result = prices.run(settings, AUGUST)  # the list has learnt of the cut, eleven days late
    assert TERRA in result.held
    assert result.refused == ()
    for day in (dt.date(2026, 6, 1), CUT, dt.date(2026, 8, 9)):
        assert price_on(settings, day).price == Decimal("2.5"), day
    assert price_on(settings, dt.date(2026, 8, 10)).price == 2
    # what the list says of the days between is kept, for the reconciliation
    assert (price_on(settings, CUT - dt.timedelta(days=1)).held_price, price_on(settings, CUT).held_price) == (None, 2)

    version = Lake(settings).version("ops", "price_book")
    again = prices.run(settings, FixedClock(AUGUST.moment + dt.timedelta(days=40)))
    assert (again.written, Lake(settings).version("ops", "price_book")) == ((), version)
    assert price_on(settings, dt.date(2026, 8, 9)).price == Decimal("2.5")


def test_a_restatement_is_asked_for_by_month_and_recorded(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as known_then:
        known_then.setattr(prices, "listing", before_the_cut)
        prices.run(settings, JULY)
    prices.run(settings, AUGUST)
    result = prices.run(settings, AUGUST, restate=["2026-08"])
    assert TERRA in result.restated
    july, august = price_on(settings, CUT), price_on(settings, dt.date(2026, 8, 1))
    assert (july.price, july.held_price) == (Decimal("2.5"), 2)  # of another month: stays
    assert (august.price, august.held_price, august.restated) == (2, None, Decimal("2.5"))
    version = Lake(settings).version("ops", "price_book")
    assert prices.run(settings, AUGUST).written == ()
    assert Lake(settings).version("ops", "price_book") == version
    with pytest.raises(ConfigError, match="not a billing period"):
        prices.run(settings, AUGUST, restate=["August"])


def test_a_second_run_writes_no_version(settings: Settings) -> None:
    assert len(prices.run(settings, AUGUST).written) > 4_000
    assert prices.run(settings, FixedClock(AUGUST.moment + dt.timedelta(days=3))).written == ()
    assert Lake(settings).version("ops", "price_book") == 1


def test_an_unknown_model_is_null_with_a_reason_until_somebody_gives_a_price(settings: Settings) -> None:
    key = Key("openai", "gpt-99", "output", "standard", 0, "global")
    with warehouse(settings, "gpt-99"):
        result = prices.run(settings, AUGUST)
    assert result.unknown == (("openai", "gpt-99"),)
    (line,) = (entry for entries in prices.newest(Lake(settings))["openai", "gpt-99"].values() for entry in entries)
    assert (line.price, line.reason) == (None, "model_not_in_price_list")

    override(
        settings, "provider: openai, model: gpt-99, token_class: output, usd_per_million: '7', valid_from: 2026-07-01, note: price page"
    )
    result = prices.run(settings, AUGUST)
    assert (result.unknown, result.held) == ((), ())
    assert price_on(settings, dt.date(2026, 7, 15), key).price == 7  # nobody had a price for that day
    assert not any(
        entry.active for k, entries in prices.newest(Lake(settings))["openai", "gpt-99"].items() for entry in entries if k != key
    )


def test_an_override_of_days_that_were_priced_is_held_and_told_until_it_is_a_restatement(settings: Settings) -> None:
    prices.run(settings, AUGUST)
    override(settings, terra("'1.9'", "2026-08-01"))
    result = prices.run(settings, AUGUST)
    assert "was not followed before 2026-08-10" in str(result.refused[0])
    assert [price_on(settings, dt.date(2026, 8, day)).price for day in (1, 9, 10)] == [2, 2, Decimal("1.9")]
    assert prices.run(settings, AUGUST).refused, "it is told every time, not once"
    assert prices.run(settings, AUGUST, restate=["2026-08"]).refused == ()
    assert price_on(settings, dt.date(2026, 8, 1)).price == Decimal("1.9")


def test_an_override_ends_and_the_list_goes_on(settings: Settings) -> None:
    override(settings, terra("0.123456789012345678", "2026-09-01", "2026-10-01"))
    prices.run(settings, AUGUST)
    days = [price_on(settings, dt.date(2026, month, day)) for month, day in ((8, 31), (9, 1), (9, 30), (10, 1))]
    assert [each.price for each in days] == [2, Decimal("0.123456789012345678"), Decimal("0.123456789012345678"), 2]
    assert [each.origin for each in days] == ["genai-prices", "override", "override", "genai-prices"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (terra("cheap", "2026-09-01"), "'cheap' is no price"),
        (terra("-1", "2026-09-01"), "is no price"),
        (terra("1e-19", "2026-09-01"), "more than 18 decimals"),
        (terra("1", "2026-09-31"), "valid date"),
        (terra("1", "2026-09-02", "2026-09-02"), "is not after"),
        (terra("1", "2026-09-02") + ", colour: red", "Extra inputs"),
        (terra("1", "2026-01-01"), "two prices of openai gpt-5.6-terra"),
    ],
)
def test_a_wrong_override_names_file_and_line_and_writes_nothing(settings: Settings, line: str, said: str) -> None:
    override(settings, terra("3", "2026-01-01"), line)
    with pytest.raises(ConfigError, match=said) as caught:
        prices.run(settings, AUGUST)
    assert "llm.yml:" in str(caught.value)
    if "two prices" not in said:
        assert "llm.yml:3" in str(caught.value)
    assert not Lake(settings).exists("ops", "price_book")


def test_two_files_with_a_price_for_one_day_are_refused(settings: Settings) -> None:
    override(settings, terra("3", "2026-01-01"))
    override(settings, terra("4", "2026-03-01"), name="llm-more.yml")
    with pytest.raises(ConfigError, match="two prices"):
        load_overrides(settings.config_dir)


def test_a_model_that_the_list_drops_keeps_its_price(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    prices.run(settings, JULY)
    monkeypatch.setattr(
        prices, "listing", lambda provider, model, rules=(): None if model == TERRA.model_id else listing(provider, model, rules)
    )
    assert prices.run(settings, AUGUST).written == (Key("openai", "gpt-5.6-terra", "*", "*", 0, "*"),)
    assert price_on(settings, dt.date(2026, 8, 11)).price == 2


def test_only_months_with_another_price_are_built_again(settings: Settings) -> None:
    months = ["2026-07", "2026-08", "2026-09"]
    prices.run(settings, AUGUST)
    before = prices.month_fingerprints(Lake(settings), months)
    override(settings, terra("1", "2026-09-05"))
    prices.run(settings, AUGUST)
    after = prices.month_fingerprints(Lake(settings), months)
    assert [after[month] == before[month] for month in months] == [True, True, False]


def test_batch_is_half_the_price_of_its_day_before_the_list_took_note_of_it(settings: Settings) -> None:
    rules = load_rules(settings)
    for provider, model in (("openai", "gpt-5.6-terra"), ("anthropic", "claude-sonnet-4-6"), ("openai", "o3")):
        found = listing(provider, model, rules)
        assert found is not None
        for day in (dt.date(2026, 7, 29), CUT, dt.date(2026, 11, 1)):
            for token_class in ("input_uncached", "output"):
                standard, batch = found.price(token_class, day), found.price(token_class, day, "batch")
                assert standard is not None
                assert batch is not None
                assert batch.price_usd_per_million == standard.price_usd_per_million / 2  # type: ignore[operator]


def test_cached_input_in_a_batch_keeps_the_price_that_the_provider_publishes(settings: Settings) -> None:
    found = listing("openai", "gpt-4.1", load_rules(settings))
    assert found is not None
    assert {found.price("input_cache_read", day, "batch").price_usd_per_million for day in (CUT, dt.date(2026, 11, 1))} == {Decimal("0.5")}  # type: ignore[union-attr]


@pytest.mark.parametrize(("prompt", "price"), [(0, 3), (200_000, 3), (200_001, 6), (900_000, 6)])
def test_a_long_prompt_has_the_long_price_for_all_its_tokens(prompt: int, price: int) -> None:
    found = listing("anthropic", "claude-sonnet-4-5")
    assert found is not None
    assert found.price("input_uncached", CUT, prompt_tokens=prompt).price_usd_per_million == price  # type: ignore[union-attr]


def test_data_that_stay_in_a_region_cost_a_tenth_more_where_the_provider_says_so(settings: Settings) -> None:
    rules = load_rules(settings)
    opus, older = listing("anthropic", "claude-opus-4-6", rules), listing("anthropic", "claude-haiku-4-5", rules)
    assert opus is not None
    assert older is not None
    assert opus.price("output", CUT, region="us").price_usd_per_million == Decimal("27.5")  # type: ignore[union-attr]
    assert opus.price("output", CUT, "batch", "us").price_usd_per_million == Decimal("13.75")  # type: ignore[union-attr]
    assert older.price("output", CUT, region="us") is None


def test_a_price_that_depends_on_the_hour_is_not_guessed_for_a_day() -> None:
    found = listing("deepseek", "deepseek-reasoner")
    assert found is not None
    price = found.price("output", CUT)
    assert price is not None
    assert (price.price_usd_per_million, price.price_reason) == (None, "price_depends_on_the_hour")


def test_a_book_price_is_exact_to_the_digit_in_the_lake(settings: Settings) -> None:
    prices.run(settings, AUGUST)
    rows = Lake(settings).connect().execute("SELECT typeof(price_usd_per_million), count(*) FROM ops.price_book GROUP BY 1").fetchall()
    assert [kind for kind, _ in rows] == ["DECIMAL(38,18)"]


class warehouse:  # noqa: N801  # reads as a statement of the test
    """A warehouse whose usage names one model."""

    def __init__(self, settings: Settings, model: str) -> None:
        self._path, self._model = settings.warehouse, model

    def __enter__(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(self._path)) as connection:
            connection.execute("CREATE SCHEMA staging")
            connection.execute(
                f"CREATE VIEW staging.stg_openai_usage__tokens AS SELECT 'OpenAI' AS provider_name, '{self._model}' AS model_id"
            )

    def __exit__(self, *_: object) -> None:
        """The file stays, as it does in the lake."""
