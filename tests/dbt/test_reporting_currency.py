"""Amounts in the reporting currency: exact, of their month's rate, unknown where there is none, and never added across currencies."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from costlake.settings import PROJECT_ROOT
from tests.dbt.currency_project import BILLS, MONTHS, Currencies

DBT = PROJECT_ROOT / "dbt"
# Units of each currency per euro, as the ECB published them on 30 September and 30 October 2026.
PER_EURO = {
    "2026-09": {"USD": "1.1355", "EUR": "1", "NOK": None, "CAD": None},
    "2026-10": {"USD": "1.1172", "EUR": "1", "NOK": "10.312", "CAD": "1.5606"},
}
COSTS = ("billed_cost", "effective_cost", "list_cost", "contracted_cost")


def twelve(amount: Fraction) -> Decimal:
    """Rounded to 12 decimals, half away from zero."""
    scaled = abs(amount) * 10**12
    units = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(f"{units if amount >= 0 else -units}e-12")  # scaleb would round to 28 digits


def test_every_amount_is_the_billed_one_at_the_rate_of_its_month(currencies: Currencies) -> None:
    found = currencies.rows(
        "SELECT billing_period, billing_currency, exchange_rate, billed_cost, billed_cost_reporting, reporting_currency FROM marts.fct_cost_daily"
    )
    assert len(found) == 2 * len(BILLS) * len(MONTHS)
    for month, currency, rate, billed, reporting, target in found:
        assert target == "USD"
        per_euro = PER_EURO[month].get(currency)
        if per_euro is not None:
            exact = Fraction(str(PER_EURO[month]["USD"])) / Fraction(per_euro)
            assert abs(Fraction(rate) - exact) <= Fraction(1, 2 * 10**18)
        if currency == "ARS":
            assert (rate, reporting) == (None, None)
        else:
            assert reporting == twelve(Fraction(billed) * Fraction(rate))
    by_hand = currencies.rows(
        "SELECT billed_cost_reporting FROM marts.fct_cost_daily WHERE billing_currency = 'NOK' AND billing_period = '2026-10' ORDER BY 1"
    )
    assert by_hand == [(Decimal("7.583785880528"),), (Decimal("108.339798293251"),)]


def test_a_bill_in_the_reporting_currency_is_itself(currencies: Currencies) -> None:
    rows = currencies.rows(
        f"SELECT exchange_rate, exchange_rate_locked, {', '.join(f'{c} = {c}_reporting' for c in COSTS)} "
        "FROM marts.fct_cost_daily WHERE billing_currency = 'USD'"
    )
    assert set(rows) == {(Decimal(1), True, True, True, True, True)}


def test_without_a_rate_amounts_are_null_with_a_reason_and_never_0_or_the_same_number(currencies: Currencies) -> None:
    for mart in ("fct_cost_daily", "fct_cost_monthly_reporting"):
        rows = currencies.rows(
            f"SELECT DISTINCT exchange_rate_reason, reporting_currency, {', '.join(f'{cost}_reporting' for cost in COSTS)} "
            f"FROM marts.{mart} WHERE billing_currency = 'ARS'"
        )
        assert rows == [("no_rate_for_month", "USD", None, None, None, None)], mart
        assert currencies.rows(f"SELECT count(*) FROM marts.{mart} WHERE (exchange_rate IS NULL) <> (billing_currency = 'ARS')") == [(0,)]


def test_september_is_locked_and_october_provisional(currencies: Currencies) -> None:
    states = currencies.rows(
        "SELECT DISTINCT billing_period, exchange_rate_origin, exchange_rate_date, exchange_rate_locked FROM marts.fct_cost_monthly_reporting "
        "WHERE billing_currency = 'EUR' ORDER BY 1"
    )
    assert [(month, origin, f"{day}", locked) for month, origin, day, locked in states] == [
        ("2026-09", "ecb", "2026-09-30", True),
        ("2026-10", "ecb", "2026-10-30", False),
    ]


def test_the_monthly_mart_can_be_added_up_over_everything(currencies: Currencies) -> None:
    assert currencies.rows("SELECT count(DISTINCT reporting_currency) FROM marts.fct_cost_monthly_reporting") == [(1,)]
    for cost in COSTS:
        sums = [
            currencies.rows(f"SELECT sum({cost}_reporting) FROM marts.{mart}") for mart in ("fct_cost_daily", "fct_cost_monthly_reporting")
        ]
        assert sums[0] == sums[1] != [(None,)]


def test_no_published_mart_row_stands_for_two_currencies(currencies: Currencies) -> None:
    bills = {f"aws-{code.lower()}": code for code in BILLS}
    assert dict(currencies.rows("SELECT DISTINCT source_id, billing_currency FROM marts.fct_cost_daily")) == bills
    for mart in ("fct_cost_monthly_reporting", "fct_token_economics_daily", "fct_model_economics_daily"):
        sums = currencies.rows(
            f"SELECT billing_currency, sum(effective_cost) FROM marts.{mart} WHERE billing_currency IS NOT NULL GROUP BY 1"
        )
        part = slice(0 if mart == "fct_cost_monthly_reporting" else 1, 2)
        assert dict(sums) == {code: len(MONTHS) * sum(map(Decimal, amounts[part])) for code, amounts in BILLS.items()}, mart


SABOTAGE = [
    "UPDATE marts.fct_cost_daily SET billed_cost_reporting = 0 WHERE billing_currency = 'ARS'",
    "UPDATE marts.fct_cost_daily SET effective_cost_reporting = effective_cost, exchange_rate = 1, exchange_rate_reason = NULL "
    "WHERE billing_currency = 'ARS'",
    "UPDATE marts.fct_cost_daily SET list_cost_reporting = list_cost_reporting + 0.000000001 WHERE billing_currency = 'NOK'",
    "UPDATE marts.fct_cost_daily SET exchange_rate_reason = NULL",
    "UPDATE marts.fct_cost_monthly_reporting SET billed_cost_reporting = billed_cost_reporting + 0.000000000001",
    "DELETE FROM marts.fct_cost_monthly_reporting WHERE billing_currency = 'CAD'",
    "UPDATE ops.exchange_rates SET rate = rate * 1.01 WHERE from_currency = 'NOK'",
    "UPDATE ops.exchange_rates SET locked = NOT locked",
]


@pytest.mark.parametrize("sabotage", SABOTAGE)
def test_the_conservation_test_sees_the_damage(currencies: Currencies, tmp_path: Path, sabotage: str) -> None:
    with _copy(currencies, tmp_path) as connection:
        sql = _compiled(currencies, "tests/assert_reporting_cost_is_cost_at_the_rate.sql")
        assert connection.execute(sql).fetchall() == []
        connection.execute(sabotage)
        assert connection.execute(sql).fetchall() != []


def test_two_reporting_currencies_in_one_mart_are_seen(currencies: Currencies, tmp_path: Path) -> None:
    found = next((currencies.warehouse.parent / "target" / "compiled").rglob("fct_cost_monthly_reporting_can_be_added_up.sql"))
    with _copy(currencies, tmp_path) as connection:
        sql = found.read_text().replace('"warehouse".', "")
        assert connection.execute(sql).fetchall() == []
        connection.execute("UPDATE marts.fct_cost_monthly_reporting SET reporting_currency = 'EUR' WHERE billing_period = '2026-09'")
        assert connection.execute(sql).fetchall() != []


def _compiled(currencies: Currencies, name: str) -> str:
    return (currencies.warehouse.parent / "target/compiled/costlake" / name).read_text().replace('"warehouse".', "")


def _copy(currencies: Currencies, folder: Path) -> duckdb.DuckDBPyConnection:
    with duckdb.connect(str(currencies.warehouse)) as connection:
        connection.execute("FORCE CHECKPOINT")
    copy = folder / "warehouse.duckdb"
    copy.write_bytes(currencies.warehouse.read_bytes())
    return duckdb.connect(str(copy))


def test_a_rate_of_two_revisions_counts_once(currencies: Currencies, tmp_path: Path) -> None:
    """Two runs at once write the same revision twice; a join over both would double the month."""
    with _copy(currencies, tmp_path) as connection:
        connection.execute("INSERT INTO ops.exchange_rates FROM ops.exchange_rates")
        connection.execute("INSERT INTO ops.exchange_rates SELECT * REPLACE (revision + 1 AS revision, 2 AS rate) FROM ops.exchange_rates")
        sql = _compiled(currencies, "models/intermediate/int_exchange_rates.sql")
        rows = connection.execute(f"SELECT billing_period, billing_currency, exchange_rate FROM ({sql})").fetchall()
    assert sorted(rows) == sorted((month, code, Decimal(2)) for month in MONTHS for code in BILLS)


@pytest.fixture(scope="module")
def converted() -> Iterator[Any]:
    """The project's own SQL for cost x rate, on a DuckDB of its own."""
    source = (DBT / "macros" / "reporting.sql").read_text() + "{{ in_reporting_currency('cost', 'rate') }}"
    sql = jinja2.Environment().from_string(source).render()
    with duckdb.connect() as connection:
        yield lambda pairs: [
            connection.execute(
                f"SELECT {sql} FROM (SELECT CAST(? AS DECIMAL(38,12)) AS cost, CAST(? AS DECIMAL(38,18)) AS rate)",
                [f"{cost:f}", f"{rate:f}"],
            ).fetchall()[0][0]
            for cost, rate in pairs
        ]


COST = st.integers(-(10**28), 10**28).map(lambda units: Decimal(f"{units}e-12"))
RATE = st.one_of(st.integers(1, 10**18), st.integers(10**18, 9 * 10**21)).map(lambda units: Decimal(f"{units}e-18"))


@settings(max_examples=40, deadline=None, phases=[Phase.generate])
@given(pairs=st.lists(st.tuples(COST, RATE), min_size=20, max_size=20))
def test_a_cost_at_a_rate_is_the_exact_product_rounded_once(converted: Any, pairs: list[tuple[Decimal, Decimal]]) -> None:
    assert converted(pairs) == [twelve(Fraction(cost) * Fraction(rate)) for cost, rate in pairs]


@pytest.mark.parametrize(
    ("cost", "rate", "product"),
    [
        ("0.5", "0.000000000001", "0.000000000001"),  # half a unit: away from zero
        ("-0.5", "0.000000000001", "-0.000000000001"),
        ("0.499999999999", "0.000000000001", "0"),
        ("1.5", "0.000000000000333333", "0"),
        ("1000000", "157.251879699248120301", "157251879.699248120301"),  # a day of a million dollars in yen
        ("99999999999999", "12345.678901234567890123", "1234567890123444443.333398765432"),
    ],
)
def test_rounding_and_size_by_hand(converted: Any, cost: str, rate: str, product: str) -> None:
    assert twelve(Fraction(cost) * Fraction(rate)) == Decimal(product)
    assert converted([(Decimal(cost), Decimal(rate))]) == [Decimal(product)]


def _marts() -> list[dict[str, Any]]:
    files = sorted((DBT / "models" / "marts").rglob("*.yml"))
    return [model for file in files for model in yaml.safe_load(file.read_text()).get("models", [])]


@pytest.mark.parametrize("model", _marts(), ids=lambda model: model["name"])
def test_a_mart_with_money_has_its_currency_in_the_grain(model: dict[str, Any]) -> None:
    names = {column["name"] for column in model["columns"]}
    # a list price's currency is in the column's name; a bill's is in the grain
    words = {name: name.split("_") for name in names if not name.endswith("_reason")}
    money = {name for name, said in words.items() if "cost" in said and "usd" not in said}
    if money:
        grain_test = "".join(path.read_text() for path in (DBT / "tests").rglob("assert_*_grain_is_unique.sql"))
        assert "currency" in model["config"]["meta"]["grain"], "the grain of a mart with money names its currency"
        assert "billing_currency" in names
        assert f"'{model['name']}'" in grain_test, "add its grain, with the currency, to an assert_…_grain_is_unique"
    if any(name.endswith("_reporting") for name in names):
        assert {"reporting_currency", "exchange_rate", "exchange_rate_reason"} <= names
        assert any("one_currency_per_group" in test for test in model["data_tests"] if isinstance(test, dict))
