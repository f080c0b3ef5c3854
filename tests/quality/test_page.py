"""The quality page is read by people who trust it: it escapes, it fetches nothing, and it never shows half of itself."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from costlake.errors import ReconciliationError
from quality import page, reconcile
from quality.ledger import CheckResult, write_checks
from tests.quality.handmade import CLOUD, NOON, Estate, row

HOSTILE = "<script>alert('x')</script>\"&{{ 7*7 }}"


def result(**changes: object) -> CheckResult:
    values: dict[str, object] = {
        "run_id": "r1", "checked_at": NOON, "layer": "bronze", "table_name": "bronze.cloud_bill", "source_id": "cloud-main",
        "suite": "bronze_cloud_bill", "expectation": "has_rows", "column_name": None, "severity": "fail", "success": True,
        "unexpected_count": 0, "element_count": 1234, "observed": "1234 rows", "next_step": "none",
    }  # fmt: skip
    return CheckResult(**{**values, **changes})  # type: ignore[arg-type]


class _Requests(HTMLParser):
    """Collects whatever would make a browser fetch something or run a script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe", "object", "embed", "video", "audio", "source", "base", "form"}:
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "srcset", "action"} or name.startswith("on")]


def test_hostile_names_are_text_not_markup(estate: Estate) -> None:
    write_checks(
        estate.settings,
        [result(source_id=HOSTILE, table_name=HOSTILE, expectation=HOSTILE, observed=HOSTILE, next_step=HOSTILE, success=False)],
    )
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("1", currency=HOSTILE)])
    with pytest.raises(ReconciliationError):
        reconcile.run(estate.settings, estate.clock)
    html = page.build(estate.settings).read_text(encoding="utf-8")
    assert "<script" not in html.lower()
    assert "&lt;script&gt;" in html
    assert "{{ 7*7 }}" in html
    assert "&lt;SCRIPT&gt;" in html


def test_the_page_asks_nobody_for_anything(estate: Estate) -> None:
    write_checks(estate.settings, [result(), result(expectation="x", success=False)])
    html = page.build(estate.settings).read_text(encoding="utf-8")
    parser = _Requests()
    parser.feed(html)
    assert parser.found == []
    assert "default-src 'none'" in html
    assert not re.search(r"https?://|@import|url\(", html)


def test_a_failure_is_said_in_words_on_top_not_by_colour_alone(estate: Estate) -> None:
    estate.deliver(CLOUD, "cloud-main", "2026-10", [row("10.25")])
    estate.focus("cloud-main", "2026-10", [("10.24", "10.25")])
    with pytest.raises(ReconciliationError):
        reconcile.run(estate.settings, estate.clock)
    html = page.build(estate.settings).read_text(encoding="utf-8")
    assert "Not to be published: 0 expectations failed, 1 totals are not exact." in html
    assert "✕ not exact" in html
    assert "✓ exact" in html
    assert "10.250000000000 against 10.240000000000" in html


def test_the_newest_run_is_on_top_and_decides_the_verdict(estate: Estate) -> None:
    write_checks(estate.settings, [result(run_id="marts", layer="marts"), result(run_id="old", success=False)])
    write_checks(estate.settings, [result(run_id="new", checked_at=NOON + dt.timedelta(hours=1), severity="warn", success=False)])
    html = page.build(estate.settings).read_text(encoding="utf-8")
    assert html.index("run new") < html.index("run old")
    assert "Nothing failed, 1 expectations warn" in html


def test_an_empty_lake_does_not_look_green(estate: Estate) -> None:
    html = page.build(estate.settings).read_text(encoding="utf-8")
    assert "Nothing has been checked yet" in html
    assert "✓ passed" not in html


def test_a_layer_nobody_checked_does_not_look_green(estate: Estate) -> None:
    write_checks(estate.settings, [result()])
    assert "marts have not been checked yet" in page.build(estate.settings).read_text(encoding="utf-8")


def test_a_page_that_cannot_be_finished_leaves_the_former_one(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    path = page.build(estate.settings)
    before = path.read_bytes()

    def breaks(_: object) -> str:
        raise RuntimeError("mid-way")

    monkeypatch.setattr("quality.page._instant", breaks)
    write_checks(estate.settings, [result()])
    with pytest.raises(RuntimeError, match="mid-way"):
        page.build(estate.settings)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (Decimal("0.000000000000000000"), "0"),
        (Decimal("1234567.500000000000000000"), "1,234,567.50"),
        (Decimal("-0.000000000000400000"), "-0.0000000000004"),
    ],
)
def test_no_digit_of_a_total_is_lost_on_the_page(value: Decimal | None, shown: str) -> None:
    assert page.amount(value) == shown
