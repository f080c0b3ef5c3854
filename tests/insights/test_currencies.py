"""Two currencies never meet in a sum: what is said of one does not change when bills in another come, and no query forgets to ask."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlake.delta import Lake
from costlake.settings import PROJECT_ROOT, Settings
from insights import anomalies, forecast
from insights.reports import finance
from insights.reports.model import Section

Row = dict[str, Any]
SPIKE = date(2026, 2, 20)


def _bill(make: Any, scale: int, currency: str) -> list[Row]:
    """59 days of the same services, accounts, models and owners, with a spike; only amounts and currency differ."""
    rows = []
    for offset in range(59):
        day = date(2026, 1, 1) + timedelta(days=offset)
        for service, base, more in (
            ("Amazon EC2", 400 + offset % 5, {}),
            ("Amazon Bedrock", 120 + offset % 3, {"model_id": "claude-opus-4-5", "owner": "research"}),
        ):
            amount = Decimal(base * (9 if day == SPIKE and service == "Amazon EC2" else 1) * scale)
            rows.append(make.charge(day, "AWS", service, amount, billing_currency=currency, **more))
    return rows


def _said(settings: Settings, currency: str) -> tuple[Any, ...]:
    """Everything that is published about one currency."""
    outlooks = [one for one in forecast.run(settings).outlooks if one.billing_currency == currency]
    findings = [one for one in anomalies.run(settings).findings if one.series.billing_currency == currency]
    report = finance.gather(Lake(settings), None, None)
    sections = [replace(section, charts=()) for section in report.sections if section.currency == currency]
    return outlooks, findings, sections


def test_bills_in_another_currency_change_no_number_of_the_first(
    tmp_path: Path, make: Any, publish: Callable[..., Settings], settings: Settings
) -> None:
    alone = tmp_path / "alone"
    make.write_marts(Settings.load(home=alone), _bill(make, 1, "USD"))
    publish(_bill(make, 1, "USD") + _bill(make, 11, "NOK"))
    outlooks, findings, sections = _said(settings, "USD")
    assert (outlooks, findings, sections) == _said(Settings.load(home=alone), "USD")
    assert [len(outlooks), len(sections)] == [1, 1]
    assert [finding.day for finding in findings] == [SPIKE]


# A sum or an order of money: cost, total or amount inside an aggregate.
_AGGREGATE = re.compile(r"\b(?:sum|avg|median|min|max|list)\(\s*(?:abs\()?(?![\w.]*tokens)[\w.]*(?:cost|total)\w*", re.IGNORECASE)
_TABLES = re.compile(r"\b(?:marts|focus|insights|ops|bronze)\.\w+|usage_signal", re.IGNORECASE)
_READERS = ("costlake", "insights", "quality", "dags")


def _texts(path: Path) -> list[str]:
    """The string literals of a module, each f-string as one; the code cells of a notebook."""
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        trees = [ast.parse("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    else:
        trees = [ast.parse(path.read_text(encoding="utf-8"))]
    found = []
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) if isinstance(part, ast.Constant) else ast.unparse(part) for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def _forgetful(sql: str) -> bool:
    """Whether a query adds money up and names no currency; sums of reporting amounts and of prices in dollars have one by contract."""
    aggregates = [found for found in _AGGREGATE.findall(sql) if not found.endswith("_reporting") and "_usd" not in found]
    return bool(aggregates) and bool(_TABLES.search(sql)) and "currency" not in sql.lower()


@pytest.mark.parametrize(
    "path",
    [
        *(path for folder in _READERS for path in sorted((PROJECT_ROOT / folder).rglob("*.py"))),
        *sorted((PROJECT_ROOT / "notebooks").glob("*.ipynb")),
    ],
    ids=lambda path: str(path.relative_to(PROJECT_ROOT)),
)
def test_no_query_adds_money_without_asking_for_its_currency(path: Path) -> None:
    assert [sql for sql in _texts(path) if _forgetful(sql)] == []


def test_a_forgetful_query_is_noticed() -> None:
    assert _forgetful("select provider_name, sum(effective_cost) from marts.fct_cost_daily group by 1")
    assert _forgetful("select max(abs(control_total)) from ops.deliveries")
    assert not _forgetful("select sum(billed_cost_reporting) from marts.fct_cost_monthly_reporting")
    assert not _forgetful("select billing_currency, sum(effective_cost) from marts.fct_cost_daily group by 1")


@pytest.fixture(scope="module")
def together(currencies: Any) -> tuple[Settings, Section, finance.FinanceReport]:
    """The report of October 2026 over five currencies: its section over all of them."""
    lake = currencies.published()
    section = finance.gather(lake, "2026-10", None).combined
    assert section is not None
    return lake.settings, section, finance.build(lake.settings, "2026-10")


def test_each_currency_stands_apart_and_the_total_has_its_rates_dates_and_states(together: Any) -> None:
    _, section, report = together
    by_currency = {row[0]: row[1:] for row in section.table("currencies").rows}
    assert set(by_currency) == {"USD", "EUR", "NOK", "CAD", "ARS"}
    assert by_currency["NOK"][0] == Decimal("1070.000000000001")
    assert by_currency["NOK"][2] == Decimal("108.339798293251") + Decimal("7.583785880528")
    rates = {row[0]: row[1:] for row in section.table("exchange_rates").rows}
    assert rates["NOK"][:3] == (Decimal("0.108339798293250582"), date(2026, 10, 30), "provisional")
    assert rates["USD"][:3] == (Decimal(1), None, "locked")
    assert rates["ARS"][:3] == (None, None, "no rate")
    page = report.html.read_text(encoding="utf-8")
    for text in ("All currencies in USD", "0.108340", "30 Oct 2026", "provisional", "no exchange rate for ARS", "Cost in NOK", "1,070.00"):
        assert text in page, text


def test_without_one_rate_there_is_no_total_and_the_rest_does_not_pass_for_it(together: Any) -> None:
    _, section, _ = together
    assert [figure.amount for figure in section.figures] == [None, None, None]
    assert section.table("currencies").total[3:6] == (None, None, None)
    assert [row[3] for row in section.table("all_providers").rows] == [None]
    assert "without ARS" in section.headline
    assert {row[6] for row in section.table("all_months").rows} == {"no rate"}


def test_with_all_rates_the_total_is_the_monthly_mart(currencies: Any, tmp_path: Path) -> None:
    source, settings = currencies.published(), Settings.load(home=tmp_path)
    lake = Lake(settings)
    for name in source.tables("marts"):
        connection = source.connect()
        rows = connection.execute(f"SELECT * FROM marts.{name} WHERE billing_currency IS DISTINCT FROM 'ARS'").to_arrow_table()
        connection.close()
        lake.overwrite(currencies.spec("marts", name, rows.schema), rows)
    section = finance.gather(lake, "2026-10", None).combined
    assert section is not None
    ((wanted,),) = currencies.rows(
        "SELECT sum(effective_cost_reporting) FROM marts.fct_cost_monthly_reporting WHERE billing_period = '2026-10'"
    )
    assert section.figures[0].amount == wanted == section.table("currencies").total[4] == section.table("all_providers").total[3]
    assert "provisional" in section.headline
    assert "CAD, EUR, NOK, USD" in section.table("all_providers").rows[0]


def test_one_currency_that_is_the_reporting_one_needs_no_second_section(currencies: Any, tmp_path: Path) -> None:
    source, lake = currencies.published(), Lake(Settings.load(home=tmp_path))
    connection = source.connect()
    for name in ("fct_cost_daily", "fct_cost_monthly_reporting"):
        rows = connection.execute(f"SELECT * FROM marts.{name} WHERE billing_currency = 'USD'").to_arrow_table()
        lake.overwrite(currencies.spec("marts", name, rows.schema), rows)
    connection.close()
    report = finance.gather(lake, None, None)
    assert report.combined is None
    assert [section.currency for section in report.sections] == ["USD"]
