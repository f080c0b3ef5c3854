"""The anomaly job: finds and explains what was planted, keeps quiet otherwise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from costlake.delta import Lake
from costlake.errors import LakeError
from costlake.settings import Settings
from insights import anomalies
from insights.detector import Rules, judge
from insights.series import prepare_signal

Publish = Callable[..., Settings]


def _stored(settings: Settings) -> list[dict[str, Any]]:
    con = Lake(settings).connect()
    try:
        found: list[dict[str, Any]] = con.execute("select * from insights.anomalies order by anomaly_date").to_arrow_table().to_pylist()
    finally:
        con.close()
    return found


def test_the_planted_spike_is_found_and_its_service_account_and_owner_are_named(estate_settings: Settings, make: Any) -> None:
    result = anomalies.run(estate_settings)
    (row,) = _stored(estate_settings)
    assert row["anomaly_date"] == make.spike_day
    assert (row["provider_name"], row["cause_service_name"], row["cause_sub_account_name"], row["cause_owner"]) == (
        "AWS", "Amazon SageMaker", "research", "research",
    )  # fmt: skip
    assert row["direction"] == "up"
    assert row["excess_cost"] == row["actual_cost"] - row["expected_cost"]
    assert Decimal("0.9") < row["cause_share"] < Decimal("1.1")
    assert row["lower_bound"] <= row["expected_cost"] <= row["upper_bound"] < row["actual_cost"]
    assert row["message"] == result.messages[0]
    for part in ("2026-10-09", "AWS", "more than expected", "Amazon SageMaker", "account research", "owner research"):
        assert part in row["message"]


def test_a_second_run_writes_no_new_version(estate_settings: Settings) -> None:
    anomalies.run(estate_settings)
    before = Lake(estate_settings).version("insights", "anomalies")
    assert not anomalies.run(estate_settings).written
    assert Lake(estate_settings).version("insights", "anomalies") == before


def test_money_is_stored_as_exact_decimals(estate_settings: Settings) -> None:
    anomalies.run(estate_settings)
    schema = Lake(estate_settings).schema("insights", "anomalies")
    money = [name for name in schema.names if name.endswith(("_cost", "_bound"))]
    assert len(money) == 6
    assert all(schema.field(name).type == pa.decimal128(38, 12) for name in money)


@pytest.mark.parametrize("factor", [6.0, 10.0])
def test_spikes_of_six_to_ten_times_are_found(publish: Publish, make: Any, factor: float) -> None:
    settings = publish(make.estate(seed=11, spike=factor), with_economics=False)
    found = anomalies.run(settings)
    assert [(f.day, f.cause.service_name) for f in found.findings if f.cause] == [(make.spike_day, "Amazon SageMaker")]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_thirteen_clean_months_raise_at_most_three_alarms_per_provider(publish: Publish, make: Any, seed: int) -> None:
    result = anomalies.run(publish(make.estate(seed=seed, spike=None), with_economics=False), lookback_days=400)
    for provider in ("AWS", "OpenAI", "Anthropic"):
        assert len([one for one in result.findings if one.series.provider_name == provider]) <= 3


def test_a_finding_that_was_corrected_by_a_restatement_disappears(publish: Publish, make: Any) -> None:
    settings = publish(make.estate(seed=5), with_economics=False)
    assert len(anomalies.run(settings).findings) == 1
    publish(make.estate(seed=5, spike=None), with_economics=False)
    assert anomalies.run(settings).written
    assert _stored(settings) == []
    assert not anomalies.run(settings).written


def test_a_spike_that_drowns_in_its_provider_is_found_at_the_service(publish: Publish, make: Any) -> None:
    rows = make.days(date(2026, 5, 1), 92, cost="1000")
    rows += [
        row | {"effective_cost": Decimal(300 if row["charge_date"] == date(2026, 7, 8) else 60)}
        for row in make.days(date(2026, 5, 1), 92, service="Amazon Bedrock", model_id="claude", sub_account_name="chat")
    ]
    (finding,) = anomalies.run(publish(rows, with_economics=False)).findings
    assert finding.cause is not None
    assert finding.cause.service_name == "Amazon Bedrock"
    assert finding.excess == 240
    assert "model claude" in anomalies.message(finding)


def test_a_drop_is_reported_as_a_drop(publish: Publish, make: Any) -> None:
    rows = [
        row | {"effective_cost": Decimal(8)} if row["charge_date"] == date(2026, 7, 8) else row
        for row in make.days(date(2026, 5, 1), 92, cost="500")
    ]
    (finding,) = anomalies.run(publish(rows, with_economics=False)).findings
    assert finding.excess < 0
    assert "cost 8 USD, 492 less than expected" in anomalies.message(finding)


def test_small_money_raises_no_alarm_however_odd(publish: Publish, make: Any) -> None:
    rows = [
        row | {"effective_cost": Decimal(15)} if row["charge_date"] == date(2026, 7, 8) else row
        for row in make.days(date(2026, 5, 1), 92, cost="0.1")
    ]
    assert anomalies.run(publish(rows, with_economics=False)).findings == ()


def test_a_lasting_increase_is_reported_three_days_and_then_accepted() -> None:
    verdicts = judge([Decimal(53)] * 30 + [Decimal(106)] * 40, Rules())
    assert [verdict.index for verdict in verdicts] == [30, 31, 32]


def test_the_return_from_a_short_excursion_is_no_second_alarm() -> None:
    verdicts = judge([Decimal(50)] * 40 + [Decimal(150)] * 6 + [Decimal(50)] * 40, Rules())
    assert [verdict.index for verdict in verdicts] == [40, 41, 42]


def test_a_fee_on_the_same_day_of_each_month_alarms_once_not_every_month() -> None:
    first = date(2026, 1, 1)
    values = [Decimal(1000) if (first + timedelta(days=day)).day == 15 else Decimal(50) for day in range(300)]
    assert len(judge(values, Rules())) == 1


def test_unknown_days_are_no_drops() -> None:
    values: list[Decimal | None] = [Decimal(500)] * 90
    values[60:70] = [None] * 10
    assert judge(values, Rules()) == []


def test_an_empty_lake_says_what_to_run_first(settings: Settings) -> None:
    with pytest.raises(LakeError) as caught:
        anomalies.run(settings)
    assert "costlake" in caught.value.next_step


def test_the_glue_doubling_of_a_real_bill_is_found_on_its_first_day(shared_path: Callable[[str], Path]) -> None:
    bill = shared_path("data/aws_cur_workshop_2018") / "Oct2018-WorkshopCUR-00001.snappy.parquet"
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'; create schema marts")
    con.execute(
        """
        create table marts.fct_cost_daily as
        select
            'AWS' as provider_name, line_item_currency_code as billing_currency, product_product_name as service_name,
            line_item_usage_account_id as sub_account_id, null::varchar as sub_account_name, null::varchar as model_id,
            resource_tags_user_department as owner, 'Usage' as charge_category, line_item_usage_start_date::date as charge_date,
            if(line_item_line_item_type = 'DiscountedUsage', 'Committed', 'Standard') as pricing_category,
            case line_item_line_item_type when 'RIFee' then 'Unused' when 'DiscountedUsage' then 'Used' end as commitment_discount_status,
            sum(
                case line_item_line_item_type
                    when 'DiscountedUsage' then reservation_effective_cost
                    when 'RIFee' then 0 else line_item_unblended_cost
                end::varchar::decimal(38, 12)
            ) as effective_cost
        from read_parquet(?)
        group by all
        """,
        [str(bill)],
    )
    prepare_signal(con)
    found = anomalies.find(con, date(2018, 10, 31), 90, Rules())
    con.close()
    first = found[0]
    assert first.day == date(2018, 10, 10)
    assert first.cause is not None
    assert first.cause.service_name == "AWS Glue"
    assert first.cause.sub_account_id == "836060457634"
    assert Decimal(50) < first.excess < Decimal(56)
    assert all(finding.cause is not None and finding.cause.service_name == "AWS Glue" for finding in found)
