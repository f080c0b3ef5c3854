"""What one provider promises of its rows, on its real bronze table: a broken promise is caught, a legal oddity is not."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from costlake.errors import QualityError
from ingest.source import all_sources
from quality import checks
from quality.ledger import newest_checks
from tests.quality.handmade import Estate

pytestmark = pytest.mark.usefixtures("great_expectations")


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


AWS = {
    "line_item_line_item_type": "Usage",
    "bill_payer_account_id": "1",
    "line_item_usage_account_id": "1",
    "line_item_currency_code": "USD",
    "line_item_unblended_cost": Decimal(1),
    "bill_billing_period_start_date": at("2026-10-01"),
    "line_item_usage_start_date": at("2026-10-05"),
    "line_item_usage_end_date": at("2026-10-06"),
}
OPENAI_DAY = {"_slice": "2026-10-05", "bucket_start": at("2026-10-05"), "bucket_end": at("2026-10-06")}
OPENAI = {**OPENAI_DAY, "model": "m", "input_tokens": 100, "input_cached_tokens": 60, "output_tokens": 5}
OPENAI_COST = {**OPENAI_DAY, "amount_value": Decimal("1.5"), "amount_currency": "usd"}
ANTHROPIC = {
    "_slice": "2026-10-05",
    "starting_at": at("2026-10-05"),
    "ending_at": at("2026-10-06"),
    "model": "m",
    "uncached_input_tokens": 1,
    "output_tokens": 1,
}
GOOGLE = {
    "_slice": "2026-11-03",
    "billing_account_id": "0A1B2C",
    "service_description": "Compute Engine",
    "invoice_month": "202610",
    "currency": "USD",
    "cost": Decimal(1),
    "credits": [{"id": "p", "full_name": None, "type": "PROMOTION", "name": None, "amount": Decimal("-0.5")}],
    # after midnight UTC, before midnight in California
    "usage_start_time": at("2026-11-01T05:00:00"),
    "usage_end_time": at("2026-11-01T06:00:00"),
}
OCI = {
    "_slice": "0101",
    "line_item_reference_no": "r1",
    "line_item_interval_usage_start": at("2026-10-05"),
    "cost_my_cost": Decimal(1),
    "cost_currency_code": "EUR",
}
GOOD: dict[str, dict[str, Any]] = {
    "aws_cur": AWS,
    "aws_cur2": AWS,
    "oci_cost": OCI,
    "openai_usage": OPENAI,
    "openai_costs": OPENAI_COST,
    "anthropic_usage": ANTHROPIC,
    "gcp_billing": GOOGLE,
}


def found(estate: Estate, monkeypatch: pytest.MonkeyPatch, name: str, changes: dict[str, Any]) -> set[tuple[str, str]]:
    source = all_sources()[name]
    monkeypatch.setattr("quality.checks.all_sources", lambda: {name: source})
    estate.deliver(source, "main", "2026-10", [{**GOOD[name], **changes}], ledger=False)
    try:
        checks.run(estate.settings, "bronze", estate.clock)
    except QualityError:
        assert any(result.status == "fail" for result in newest_checks(estate.settings))
    return {(result.expectation, result.status) for result in newest_checks(estate.settings) if not result.success}


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        *((name, {}, set()) for name in GOOD),
        ("aws_cur2", {"bill_billing_period_start_date": at("2026-09-01")}, {("bill_is_of_the_slice", "fail")}),
        ("aws_cur2", {"line_item_usage_start_date": at("2026-08-05")}, {("usage_is_in_the_period", "fail")}),
        (
            "aws_cur2",
            {"line_item_line_item_type": "Credit", "line_item_usage_start_date": at("2026-08-05")},
            {("charges_are_in_the_period", "warn")},
        ),
        ("aws_cur2", {"line_item_usage_end_date": at("2026-10-04")}, {("usage_ends_after_it_starts", "fail")}),
        ("aws_cur", {"line_item_line_item_type": "DiscountedUsage"}, {("covered_usage_has_an_effective_cost", "warn")}),
        ("aws_cur", {"line_item_currency_code": "DOLLAR"}, {("currency_is_iso_4217", "fail")}),
        ("openai_usage", {"input_cached_tokens": 101}, {("cached_tokens_are_part_of_input", "fail")}),
        ("openai_usage", {"input_uncached_tokens": 50}, {("input_tokens_are_the_sum_of_their_parts", "warn")}),
        ("openai_usage", {"output_tokens": -1}, {("output_tokens_is_in_range", "fail")}),
        ("openai_usage", {"bucket_start": at("2026-10-04"), "bucket_end": at("2026-10-05")}, {("bucket_is_in_the_slice", "fail")}),
        ("openai_costs", {"amount_value": None}, {("billed_is_known", "fail"), ("effective_is_known", "fail")}),
        ("oci_cost", {"line_item_interval_usage_start": at("2026-09-30")}, {("usage_is_in_the_period", "fail")}),
        ("oci_cost", {"line_item_reference_no": None}, {("line_item_reference_no_is_not_null", "warn")}),
        ("anthropic_usage", {"ending_at": at("2026-10-12")}, {("bucket_is_at_most_a_day", "fail")}),
        ("gcp_billing", {"invoice_month": "202611"}, {("bill_is_of_the_slice", "fail")}),
        (
            "gcp_billing",
            {"usage_start_time": at("2026-11-01T08:00:00"), "usage_end_time": at("2026-11-01T09:00:00")},
            {("usage_is_not_after_its_invoice_month", "fail")},
        ),
        (
            "gcp_billing",
            {"credits": [{"id": None, "full_name": None, "type": "NEW", "name": None, "amount": Decimal(-1)}]},
            {("credits_are_of_known_types", "warn")},
        ),
    ],
)
def test_a_broken_promise_is_caught(
    estate: Estate, monkeypatch: pytest.MonkeyPatch, name: str, changes: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert found(estate, monkeypatch, name, changes) == expected


def test_a_report_that_lies_there_twice_is_caught(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    source = all_sources()["oci_cost"]
    monkeypatch.setattr("quality.checks.all_sources", lambda: {source.name: source})
    lines = [{**OCI, "_slice": name, "_object_key": f"{name}.csv.gz", "_delivery_id": name} for name in ("0101", "0101 (1)")]
    estate.deliver(source, "main", "2026-10", lines, ledger=False)
    with pytest.raises(QualityError, match="no_line_came_in_two_files"):
        checks.run(estate.settings, "bronze", estate.clock)
