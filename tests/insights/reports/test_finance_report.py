"""The finance report: its totals are the marts' totals, it loads nothing, and no name from a bill can act in it."""

from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from costlake.delta import Lake
from costlake.errors import ConfigError, LakeError
from costlake.runs import DELIVERIES
from costlake.settings import Settings
from insights import anomalies, forecast
from insights.reports import finance
from insights.reports.finance import FinanceReport
from insights.reports.model import Report

Publish = Callable[..., Settings]
SHEETS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATIONS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


class _Tables(HTMLParser):
    """The page's tables by the heading above them, as rows of texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self._heading, self._text, self._open = "", "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("h3", "td", "th"):
            self._text, self._open = "", True
        if tag == "tr":
            self.tables.setdefault(self._heading, []).append([])

    def handle_data(self, data: str) -> None:
        if self._open:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "h3":
            self._heading = self._text
        if tag in ("td", "th"):
            self.tables[self._heading][-1].append(self._text)
        if tag in ("h3", "td", "th"):
            self._open = False


def _cents(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("−", "-").replace("+", ""))


def _sheet(path: Path, name: str) -> dict[str, tuple[str, str]]:
    """Cells of a sheet as reference → (type, value), read from the file's XML."""
    with zipfile.ZipFile(path) as book:
        strings = ["".join(t.text or "" for t in item.iter(f"{SHEETS}t")) for item in ET.fromstring(book.read("xl/sharedStrings.xml"))]
        sheets = {
            sheet.attrib["name"]: sheet.attrib[f"{RELATIONS}id"]
            for sheet in ET.fromstring(book.read("xl/workbook.xml")).iter(f"{SHEETS}sheet")
        }
        targets = {rel.attrib["Id"]: rel.attrib["Target"] for rel in ET.fromstring(book.read("xl/_rels/workbook.xml.rels"))}
        root = ET.fromstring(book.read("xl/" + targets[sheets[name]]))
    cells = {}
    for cell in root.iter(f"{SHEETS}c"):
        kind, value = cell.attrib.get("t", "n"), cell.find(f"{SHEETS}v")
        assert cell.find(f"{SHEETS}f") is None, f"formula in {name}!{cell.attrib['r']}"
        if value is not None and value.text is not None:
            cells[cell.attrib["r"]] = (kind, strings[int(value.text)] if kind == "s" else value.text)
    return cells


def _mart(settings: Settings, sql: str) -> Any:
    con = Lake(settings).connect()
    try:
        return con.execute(sql).fetchall()
    finally:
        con.close()


@pytest.fixture(scope="module")
def built(estate_settings: Settings) -> tuple[Settings, FinanceReport, str]:
    forecast.run(estate_settings)
    anomalies.run(estate_settings)
    report = finance.build(estate_settings)
    return estate_settings, report, report.html.read_text(encoding="utf-8")


def test_page_totals_are_the_mart_totals_to_the_cent_and_their_parts_add_up(built: tuple[Settings, FinanceReport, str]) -> None:
    settings, _, page = built
    ((billed, effective),) = _mart(
        settings,
        "select round(sum(billed_cost), 2), round(sum(effective_cost), 2) from marts.fct_cost_daily where billing_period = '2026-10'",
    )
    tables = _Tables(page).tables
    for heading, first in (
        ("By provider", 1),
        ("By service", 2),
        ("By model", 2),
        ("By owner", 1),
        ("By account", 3),
        ("By kind of charge", 1),
    ):
        _, *body, total = tables[heading]
        assert (_cents(total[first]), _cents(total[first + 1])) == (billed, effective), heading
        for column in (first, first + 1, first + 2, first + 3):
            assert sum((_cents(row[column]) for row in body), Decimal(0)) == _cents(total[column]), (heading, column)
        for row in [*body, total]:
            assert _cents(row[first + 1]) - _cents(row[first + 2]) == _cents(row[first + 3]), (heading, row)


def test_workbook_totals_are_the_mart_totals_and_the_exact_text_loses_nothing(built: tuple[Settings, FinanceReport, str]) -> None:
    settings, report, _ = built
    rows = _mart(
        settings,
        "select provider_name, sum(billed_cost), sum(effective_cost) from marts.fct_cost_daily where billing_period = '2026-10' "
        "group by 1 order by 3 desc",
    )
    cells = _sheet(report.xlsx, "By provider")
    assert cells["A4"] == ("s", "Provider")
    for index, (provider, billed, effective) in enumerate(rows, start=5):
        assert cells[f"A{index}"] == ("s", provider)
        assert cells[f"B{index}"][0] == "n"
        assert abs(Decimal(cells[f"B{index}"][1]) - billed) < Decimal("0.0001")
        assert Decimal(cells[f"C{index}"][1].replace(",", "")) == billed
        assert Decimal(cells[f"E{index}"][1].replace(",", "")) == effective
    total = len(rows) + 5
    assert Decimal(cells[f"E{total}"][1].replace(",", "")) == sum((row[2] for row in rows), Decimal(0))


def test_every_table_of_the_page_is_a_sheet_with_its_source(built: tuple[Settings, FinanceReport, str]) -> None:
    _, report, page = built
    for name in (
        "Thirteen months",
        "By owner",
        "Commitments",
        "Cost per million tokens",
        "Anomalies",
        "Reconciliation",
        "Deliveries",
        "Day by day",
        "Restated months",
    ):
        assert "Source: " in _sheet(report.xlsx, name)["A2"][1]
    assert page.count("<section aria-label=") == page.count("Source: ") - 1


def test_the_page_asks_the_network_for_nothing(built: tuple[Settings, FinanceReport, str]) -> None:
    page = built[2]
    without_namespaces = re.sub(r'xmlns(:\w+)?="http://www\.w3\.org/[^"]+"', "", page)
    assert "http://" not in without_namespaces
    assert "https://" not in without_namespaces
    assert not re.search(r"<(script|link|iframe|img|object|embed|base|form)\b", page)
    assert not re.search(r"@import|@font-face|\bsrc=|url\((?!#)", page)
    assert not re.search(r'href="(?!#)', page)
    assert "default-src 'none'" in page


def test_charts_share_the_page_without_sharing_ids(built: tuple[Settings, FinanceReport, str]) -> None:
    page = built[2]
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(re.findall("<svg ", page)) == 3
    assert len(ids) == len(set(ids))
    for used in re.findall(r"url\(#([^)]+)\)", page) + re.findall(r'href="#([^"]+)"', page):
        assert used in ids


def test_the_planted_spike_reaches_the_reader_with_its_cause(built: tuple[Settings, FinanceReport, str]) -> None:
    page = built[2]
    assert "more than expected. All of it is Amazon SageMaker in account research" in page
    assert "Forecast from data up to 30 September 2026" in page
    assert "The month is complete" in page


def test_the_same_lake_gives_the_same_files(built: tuple[Settings, FinanceReport, str]) -> None:
    settings, report, page = built
    workbook = report.xlsx.read_bytes()
    again = finance.build(settings)
    assert again.html.read_text(encoding="utf-8") == page
    assert again.xlsx.read_bytes() == workbook


HOSTILE = '<script>alert("x")</script>'


def test_hostile_names_stay_names_in_the_page_and_its_charts(publish: Publish, make: Any) -> None:
    rows = [
        row for provider in ("AWS", HOSTILE) for row in make.days(date(2026, 1, 1), 59, provider=provider, service=HOSTILE, owner=HOSTILE)
    ]
    settings = publish(rows + make.days(date(2026, 2, 1), 28, cost="400", service="</svg><img src=x>"), with_economics=False)
    page = finance.build(settings).html.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") > 4


@pytest.mark.parametrize("tag", ["=cmd|'/c calc'!A0", "+1+1", "-2+3", "@SUM(A1:A9)"])
def test_a_formula_in_a_tag_value_is_text_in_the_workbook(publish: Publish, make: Any, tag: str) -> None:
    report = finance.build(publish(make.days(date(2026, 1, 1), 31, owner=tag), with_economics=False))
    cells = _sheet(report.xlsx, "By owner")
    assert cells["A5"] == ("s", tag)


def test_currencies_have_their_own_sections_and_no_common_total(publish: Publish, make: Any) -> None:
    rows = make.days(date(2026, 1, 1), 31, cost="100") + make.days(date(2026, 1, 1), 31, cost="7", billing_currency="EUR")
    report = finance.build(publish(rows, with_economics=False))
    page = report.html.read_text(encoding="utf-8")
    assert "Cost in USD" in page
    assert "Cost in EUR" in page
    assert "3,100.00" in page
    assert "217.00" in page
    assert "3,317.00" not in page
    assert _sheet(report.xlsx, "By provider EUR")["C5"] == ("s", "217")


def test_a_single_month_without_insights_and_ledgers_says_so_instead_of_failing(publish: Publish, make: Any) -> None:
    page = finance.build(publish(make.days(date(2026, 1, 1), 31), with_economics=False)).html.read_text(encoding="utf-8")
    for sentence in (
        "There is no bill of December 2025 to compare with.", "No forecast yet: run `costlake insights`.", "Not looked for yet",
        "No Savings Plans or reservations in this month.", "The delivery ledger is empty.",
        "Not every source of this month has been reconciled",
    ):  # fmt: skip
        assert sentence in page


def test_an_open_month_is_compared_with_the_same_days_only(publish: Publish, make: Any) -> None:
    settings = publish(make.days(date(2026, 1, 1), 31) + make.days(date(2026, 2, 1), 10, cost="20"), with_economics=False)
    forecast.run(settings)
    report = finance.build(settings)
    tables = _Tables(report.html.read_text(encoding="utf-8")).tables
    assert tables["By provider"][1][:5] == ["AWS", "200.00", "200.00", "100.00", "+100.00"]
    heading = tables["Where the month is heading"][1]
    assert heading[:3] == ["AWS", "200.00", "18"]
    assert heading[-1] == "forecast"


def test_an_unknown_unit_cost_is_a_dash_never_zero(publish: Publish, make: Any, token_rows: Callable[..., None]) -> None:
    settings = publish(make.days(date(2026, 1, 1), 31, provider="OpenAI", model_id="gpt-5"), with_economics=False)
    token_rows(settings, tokens=Decimal(5_000_000), cost=None, reason="no price for this model")
    row = _Tables(finance.build(settings).html.read_text(encoding="utf-8")).tables["Cost per million tokens"][1]
    assert row == ["gpt-5", "output", "OpenAI", "5,000,000", "–", "–", "–", "–", "no price for this model"]


def test_a_failed_reconciliation_heads_the_report(publish: Publish, make: Any) -> None:
    settings = publish(make.days(date(2026, 1, 1), 31), with_economics=False)
    check = {name: Decimal("310.000000000001") for name in make.reconciliation.schema.names if name.endswith("_total")} | {
        "run_id": "r", "source_id": "aws-main", "billing_period": "2026-01", "billing_currency": "USD", "measure": "billed",
        "rounding_residual": Decimal(0), "difference": Decimal("0.000000000001"), "status": "failed", "named_residuals": "{}",
        "checked_at": dt.datetime(2026, 2, 1, tzinfo=dt.UTC),
    }  # fmt: skip
    Lake(settings).append(make.reconciliation, pa.Table.from_pylist([check], schema=make.reconciliation.schema))
    report = finance.build(settings)
    page = report.html.read_text(encoding="utf-8")
    assert report.checks == "failed"
    assert "A source does not reconcile. Do not use these figures" in page
    assert _Tables(page).tables["Reconciliation"][1][3:9] == ["310.000000000001"] * 4 + ["0", "0.000000000001"]


def test_a_restated_month_is_listed_with_both_totals_and_a_refused_delivery_with_its_reason(publish: Publish, make: Any) -> None:
    settings = publish(make.days(date(2026, 1, 1), 31), with_economics=False)
    base = dict.fromkeys(DELIVERIES.schema.names) | {
        "source_id": "aws-main", "source": "aws_cur2", "billing_period": "2025-12", "slice": "2025-12", "currency": "USD", "row_count": 5,
    }  # fmt: skip
    moments = [dt.datetime(2026, 1, 3, hour, tzinfo=dt.UTC) for hour in (1, 2, 3)]
    events = [
        base | {"event_id": "1", "recorded_at": moments[0], "status": "loaded", "delivery_id": "a", "control_total": Decimal("10.5")},
        base | {"event_id": "2", "recorded_at": moments[1], "status": "loaded", "delivery_id": "b", "control_total": Decimal("12.25")},
        # The ledger's line about the replaced delivery names neither month nor total.
        dict.fromkeys(DELIVERIES.schema.names)
        | {"event_id": "3", "recorded_at": moments[1], "status": "superseded", "source_id": "aws-main", "delivery_id": "a"},
        dict.fromkeys(DELIVERIES.schema.names)
        | {
            "event_id": "4",
            "recorded_at": moments[2],
            "status": "refused",
            "source_id": "aws-main",
            "delivery_id": "c",
            "error_text": "cut off\nx",
        },
    ]
    Lake(settings).append(DELIVERIES, pa.Table.from_pylist(events, schema=DELIVERIES.schema))
    refused, restated = _Tables(finance.build(settings).html.read_text(encoding="utf-8")).tables["Deliveries"][1:]
    assert restated == ["aws-main", "2025-12", "USD", "1", "1", "0", "5", "12.25", "10.5", "restated by the provider"]
    assert refused == ["aws-main", "–", "", "0", "0", "1", "0", "–", "–", "refused: cut off"]


def test_a_file_that_lies_in_two_months_is_listed_with_each_months_own_total(publish: Publish, make: Any) -> None:
    settings = publish(make.days(date(2026, 1, 1), 31), with_economics=False)
    base = dict.fromkeys(DELIVERIES.schema.names) | {
        "recorded_at": dt.datetime(2026, 1, 3, tzinfo=dt.UTC), "status": "loaded", "source_id": "oci", "source": "oci_cost",
        "delivery_id": "a", "slice": "0101", "currency": "USD",
    }  # fmt: skip
    later = base | {"slice": "0102", "delivery_id": "b"}
    events = [
        base | {"event_id": "1", "billing_period": "2025-12", "row_count": 2, "control_total": Decimal("1.5")},
        base | {"event_id": "2", "billing_period": "2026-01", "row_count": 3, "control_total": Decimal("4")},
        later | {"event_id": "3", "billing_period": "2026-01", "row_count": 1, "control_total": Decimal(2)},
        later | {"event_id": "4", "billing_period": "2025-12", "row_count": 1, "control_total": Decimal(9)},
    ]
    Lake(settings).append(DELIVERIES, pa.Table.from_pylist(events, schema=DELIVERIES.schema))
    [row] = _Tables(finance.build(settings).html.read_text(encoding="utf-8")).tables["Deliveries"][1:]
    assert row == ["oci", "2026-01", "USD", "2", "0", "0", "4", "6", "–", ""]


def _change(number: int, month: str, at: str, then: str | None, now: str, cause: str, closed: bool = False) -> dict[str, Any]:
    return {
        "source_id": "aws-main", "billing_period": month, "billing_currency": "USD", "change_number": number,
        "replaced_at": dt.datetime.fromisoformat(f"{at}T06:00:00+00:00"), "closed_month_reopened": closed, "cause": cause,
        "billed_then": Decimal(then) if then else None, "billed_now": Decimal(now), "difference": Decimal(now) - Decimal(then or 0),
    }  # fmt: skip


def test_a_closed_month_that_changed_is_told_with_both_totals_and_why(publish: Publish, make: Any) -> None:
    settings = publish(make.days(date(2026, 1, 1), 31), with_economics=False)
    changes = [
        _change(1, "2025-11", "2025-11-02", None, "10.00", "first_report"),
        _change(2, "2025-11", "2025-11-30", "10.00", "300.00", "open_month_grew"),
        _change(3, "2025-11", "2026-01-20", "300.00", "280.004", "credits_or_refunds", closed=True),
        _change(1, "2025-12", "2025-12-02", None, "5.00", "first_report"),
        _change(2, "2025-12", "2025-12-31", "5.00", "7.00", "open_month_grew"),
        _change(1, "2026-01", "2026-01-02", None, "10.00", "first_report"),
        _change(2, "2026-01", "2026-01-31", "10.00", "310.00", "open_month_grew"),
    ]
    Lake(settings).append(make.restatements, pa.Table.from_pylist(changes, schema=make.restatements.schema))
    report = finance.build(settings)
    _, january, november = _Tables(report.html.read_text(encoding="utf-8")).tables["What changed since it was first reported"]
    assert january[1:8] == ["2026-01", "2 Jan 2026", "10.00", "310.00", "+300.00", "1", "0"]
    assert november[1:8] == ["2025-11", "2 Nov 2025", "10.00", "280.00", "+270.00", "2", "1"]
    assert november[8:] == ["−20.00", "20 Jan 2026", "credits or refunds, the open month grew"]
    cells = _sheet(report.xlsx, "Restated months")
    assert "280.004" in {value for _, value in cells.values()}, "the workbook rounds nothing"


def test_months_that_never_changed_are_no_restatements(publish: Publish, make: Any) -> None:
    settings = publish(make.days(date(2026, 1, 1), 31), with_economics=False)
    first = [_change(1, "2026-01", "2026-02-20", None, "310.00", "first_report")]
    Lake(settings).append(make.restatements, pa.Table.from_pylist(first, schema=make.restatements.schema))
    assert "has changed since it was first reported" in finance.build(settings).html.read_text(encoding="utf-8")


def test_an_older_period_can_be_asked_for_and_an_unknown_one_is_refused(publish: Publish, make: Any) -> None:
    settings = publish(make.days(date(2026, 1, 1), 59), with_economics=False)
    assert finance.build(settings, period="2026-01").html.name == "finance-2026-01.html"
    with pytest.raises(ConfigError, match="2031-01") as caught:
        finance.build(settings, period="2031-01")
    assert "2026-01, 2026-02" in caught.value.expected


def test_an_empty_lake_says_what_to_run_first_and_writes_no_report(settings: Settings) -> None:
    with pytest.raises(LakeError) as caught:
        finance.build(settings)
    assert "costlake" in caught.value.next_step
    assert not settings.reports.exists()


def test_long_tables_fold_on_the_page_and_stay_whole_in_the_workbook(publish: Publish, make: Any) -> None:
    rows = [row for index in range(30) for row in make.days(date(2026, 1, 1), 31, cost=f"{index + 1}.333", owner=f"team-{index:02}")]
    report = finance.build(publish(rows, with_economics=False))
    _, *body, total = _Tables(report.html.read_text(encoding="utf-8")).tables["By owner"]
    assert body[-1][0] == "9 others"
    assert sum((_cents(row[2]) for row in body), Decimal(0)) == _cents(total[2])
    assert _sheet(report.xlsx, "By owner")["A34"] == ("s", "team-00")


def test_report_is_gathered_exact_and_rounded_only_in_print(estate_settings: Settings) -> None:
    report: Report = finance.gather(Lake(estate_settings), "2026-09", None)
    effective = report.sections[0].table("providers").rows[0][2]
    assert isinstance(effective, Decimal)
    assert effective != effective.quantize(Decimal("0.01"))


@pytest.mark.parametrize("category", ["Usage", "Tax"])
def test_a_bill_of_one_unfinished_day_gives_a_report_without_a_forecast(publish: Publish, make: Any, category: str) -> None:
    settings = publish(make.days(date(2026, 1, 5), 1, charge_category=category), with_economics=False)
    assert forecast.run(settings).as_of is None
    assert anomalies.run(settings).as_of is None
    page = finance.build(settings).html.read_text(encoding="utf-8")
    assert "The month is in progress: AWS ends on 05 January." in page
    assert "No forecast yet" in page


def test_folding_never_hides_a_big_invoice_without_use(publish: Publish, make: Any) -> None:
    rows = [row for index in range(30) for row in make.days(date(2026, 1, 1), 31, owner=f"team-{index:02}")]
    bought = make.charge(date(2026, 1, 1), "AWS", "Savings Plans", Decimal(0), owner="treasury", charge_category="Purchase")
    report = finance.build(publish([*rows, bought | {"billed_cost": Decimal(9000)}], with_economics=False))
    _, *body, total = _Tables(report.html.read_text(encoding="utf-8")).tables["By owner"]
    assert ["treasury", "9,000.00", "0.00"] in [row[:3] for row in body]
    assert sum((_cents(row[1]) for row in body), Decimal(0)) == _cents(total[1])
