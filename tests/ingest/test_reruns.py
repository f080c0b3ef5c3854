"""Law 2 and 9: a second run changes nothing, a redelivery replaces its slice and only that, two runs at once lose nothing."""

from __future__ import annotations

import json
import multiprocessing
import traceback
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import ConcurrentWrite, ShrunkenDelivery
from costlake.periods import FixedClock, SystemClock
from costlake.settings import Settings
from ingest import load
from ingest.load import IngestResult, ingest_stream
from ingest.source import all_sources
from tests.ingest import cur


def ingest(settings: Settings, bucket: Path, source: str = "aws_cur", export_id: str = "aws") -> IngestResult:
    result = ingest_stream(settings, Export(id=export_id, source=source, location=str(bucket)), SystemClock())
    assert [str(error) for error in result.refused] == []
    return result


def months(settings: Settings, table: str = "aws_cur", amount: str = "line_item_unblended_cost") -> dict[str, tuple[int, Decimal]]:
    rows = (
        Lake(settings)
        .connect()
        .execute(f"SELECT _billing_period, count(*), sum({amount}) FROM bronze.{table} GROUP BY 1 ORDER BY 1")
        .fetchall()
    )
    return {period: (count, total) for period, count, total in rows}


def test_a_redelivered_month_replaces_its_month_and_only_that(settings: Settings, tmp_path: Path) -> None:
    for month in ("2026-08", "2026-09", "2026-10"):
        cur.deliver(tmp_path / "b", [cur.rows(10, month=month)], month=month)
    ingest(settings, tmp_path / "b")
    lake = Lake(settings)
    before = {month: lake.files("bronze", "aws_cur", {"_billing_period": month}) for month in ("2026-08", "2026-10")}
    version = lake.version("bronze", "aws_cur")
    cur.deliver(tmp_path / "b", [cur.rows(12, cost="2", month="2026-09")], assembly="a2", month="2026-09")
    result = ingest(settings, tmp_path / "b")
    assert (len(result.loaded), result.unchanged) == (1, 2)
    assert months(settings)["2026-09"] == (12, Decimal(24))
    assert {month: lake.files("bronze", "aws_cur", {"_billing_period": month}) for month in before} == before
    assert lake.version("bronze", "aws_cur") == (version or 0) + 1


def test_a_provider_that_goes_back_to_an_earlier_delivery_is_followed(settings: Settings, tmp_path: Path) -> None:
    first, second = cur.rows(10), cur.rows(10, cost="1.6")
    for parts, total in ((first, 15), (second, 16), (first, 15)):
        cur.deliver(tmp_path / "b", [parts])
        ingest(settings, tmp_path / "b")
        assert months(settings)["2026-10"][1] == total


def test_what_was_reported_before_a_restatement_can_still_be_answered(settings: Settings, tmp_path: Path) -> None:
    cur.deliver(tmp_path / "b", [cur.rows(10)])
    ingest(settings, tmp_path / "b")
    cur.deliver(tmp_path / "b", [cur.rows(11)], assembly="a2")
    ingest(settings, tmp_path / "b")
    connection = Lake(settings).connect()
    ledger = connection.execute(
        "SELECT status, row_count, control_total FROM ops.deliveries ORDER BY status, row_count NULLS LAST"
    ).fetchall()
    assert ledger == [("loaded", 10, Decimal(15)), ("loaded", 11, Decimal("16.5")), ("superseded", None, None)]
    assert len(list((settings.landing / "deliveries" / "aws").glob("*.json"))) == 2


def test_columns_that_come_and_go_are_kept_and_read_as_null(settings: Settings, tmp_path: Path) -> None:
    cur.deliver(tmp_path / "b", [cur.rows(2, month="2026-09", **{"resourceTags/user:team": "red"})], month="2026-09")
    ingest(settings, tmp_path / "b")
    cur.deliver(tmp_path / "b", [cur.rows(2, month="2026-10", **{"product/newThing": "x"})], month="2026-10")
    ingest(settings, tmp_path / "b")
    rows = (
        Lake(settings)
        .connect()
        .execute("SELECT DISTINCT _billing_period, resource_tags_user_team, product_new_thing FROM bronze.aws_cur ORDER BY 1")
        .fetchall()
    )
    assert rows == [("2026-09", "red", None), ("2026-10", None, "x")]


def test_two_tags_that_fall_together_are_both_kept(settings: Settings, tmp_path: Path) -> None:
    cur.deliver(tmp_path / "b", [[cur.row(**{"resourceTags/user:cost-center": "a", "resourceTags/user:cost_center": "b"})]])
    ingest(settings, tmp_path / "b")
    row = Lake(settings).connect().execute("SELECT resource_tags_user_cost_center, resource_tags_user_cost_center__2 FROM bronze.aws_cur")
    assert row.fetchall() == [("a", "b")]


def test_two_tags_that_differ_in_case_only_are_both_kept(settings: Settings, tmp_path: Path) -> None:
    cur.deliver(tmp_path / "b", [[cur.row(**{"resourceTags/user:Team": "a", "resourceTags/user:team": "b"})]])
    ingest(settings, tmp_path / "b")
    row = Lake(settings).connect().execute("SELECT resource_tags_user_team, resource_tags_user_team_2 FROM bronze.aws_cur")
    assert row.fetchall() == [("a", "b")]


def test_account_ids_keep_their_leading_zeros(settings: Settings, tmp_path: Path) -> None:
    cur.deliver(tmp_path / "b", [cur.rows(1)])
    ingest(settings, tmp_path / "b")
    assert Lake(settings).connect().execute("SELECT bill_payer_account_id FROM bronze.aws_cur").fetchall() == [("000123456789",)]


def _pull(root: Path, name: str, days: dict[int, list[int]]) -> None:
    """A usage pull: UTC day of October 2026 → input tokens of its results."""
    buckets = []
    for day, tokens in days.items():
        start = 1790812800 + (day - 1) * 86400
        results = [
            {
                "object": "organization.usage.completions.result",
                "input_tokens": count,
                "output_tokens": 0,
                "num_model_requests": 1,
                "model": "gpt-4o-mini-2024-07-18",
                "project_id": f"proj_{number}",
            }
            for number, count in enumerate(tokens)
        ]
        buckets.append({"object": "bucket", "start_time": start, "end_time": start + 86400, "results": results})
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "page-001.json").write_text(json.dumps({"object": "page", "data": buckets, "has_more": False}), encoding="utf-8")
    (folder / "pull.json").write_text(json.dumps({"pages": ["page-001.json"]}), encoding="utf-8")


def test_a_later_pull_replaces_its_days_and_an_older_one_never_comes_back(settings: Settings, tmp_path: Path) -> None:
    _pull(tmp_path / "p", "2026-10-03", {1: [100], 2: [100], 3: [100]})
    ingest(settings, tmp_path / "p", "openai_usage")
    _pull(tmp_path / "p", "2026-10-05", {3: [130, 5], 4: [100]})
    for _ in range(2):
        ingest(settings, tmp_path / "p", "openai_usage")
        assert months(settings, "openai_usage", "input_tokens") == {"2026-10": (5, Decimal(435))}


def test_a_day_that_has_become_empty_loses_its_rows_once_a_person_accepts_it(settings: Settings, tmp_path: Path) -> None:
    _pull(tmp_path / "p", "a", {1: [100], 2: [100]})
    ingest(settings, tmp_path / "p", "openai_usage")
    _pull(tmp_path / "p", "b", {2: []})
    export = Export(id="aws", source="openai_usage", location=str(tmp_path / "p"))
    [refusal] = ingest_stream(settings, export, SystemClock()).refused
    assert isinstance(refusal, ShrunkenDelivery)
    assert months(settings, "openai_usage", "input_tokens") == {"2026-10": (2, Decimal(200))}
    accepted = refusal.next_step.rsplit(" ", 1)[-1]
    assert ingest_stream(settings, export, SystemClock(), accept=(accepted,)).refused == []
    assert months(settings, "openai_usage", "input_tokens") == {"2026-10": (1, Decimal(100))}


def test_a_user_is_nowhere_in_bronze_under_his_own_id(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    fixture = Path(__file__).resolve().parents[1] / "fixtures" / "openai_usage"
    ingest_stream(settings, Export(id="llm", source="openai_usage", location=str(fixture)), clock)
    users = Lake(settings).connect().execute("SELECT DISTINCT user_id FROM bronze.openai_usage WHERE user_id IS NOT NULL").fetchall()
    assert len(users) == 1
    assert users[0][0].startswith("user-")
    assert users != [("user-xyz",)]


def test_a_crash_between_bronze_and_ledger_is_mended_by_the_next_run(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cur.deliver(tmp_path / "b", [cur.rows(10)])

    def power_cut(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(load, "record_deliveries", power_cut)
        with pytest.raises(KeyboardInterrupt):
            ingest(settings, tmp_path / "b")
    assert months(settings) == {"2026-10": (10, Decimal(15))}
    ingest(settings, tmp_path / "b")
    assert months(settings) == {"2026-10": (10, Decimal(15))}
    assert ingest(settings, tmp_path / "b").unchanged == 1


def _race(home: str, bucket: str, queue: Any) -> None:
    try:
        settings = Settings.load(home=home, lake=f"{home}/lake", config_dir=f"{home}/config")
        result = ingest_stream(settings, Export(id="aws", source="aws_cur", location=bucket), SystemClock())
        queue.put([type(error).__name__ for error in result.refused])
    except BaseException:
        # Else the parent would wait for an answer that never comes.
        queue.put(traceback.format_exc())
        raise


def test_two_ingests_at_once_never_count_a_month_twice(settings: Settings, tmp_path: Path) -> None:
    cur.deliver(tmp_path / "b", [cur.rows(500)])
    # delta-rs dies in a forked child whose parent used it, hence spawn.
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    racers = [context.Process(target=_race, args=(str(settings.home), str(tmp_path / "b"), queue)) for _ in range(3)]
    for racer in racers:
        racer.start()
    # Three interpreters that import pyarrow and compile bytecode on two busy cores took more than a minute in CI once.
    outcomes = [queue.get(timeout=600) for _ in racers]
    for racer in racers:
        racer.join()
    assert all(refused in ([], [ConcurrentWrite.__name__]) for refused in outcomes), outcomes
    assert [] in outcomes
    assert months(settings) == {"2026-10": (500, Decimal(750))}


def _billed(settings: Settings) -> Decimal:
    measure = all_sources()["aws_cur"].measures["billed"]
    return Decimal(Lake(settings).connect().execute(f"SELECT sum({measure}) FROM bronze.aws_cur").fetchall()[0][0])


@pytest.mark.parametrize(
    ("lines", "billed"),
    [
        # private prices without discount lines: the bill is the net cost
        ([("100", "90", "Usage"), ("50", "45", "Usage")], "135"),
        # some exports write 0.0 where there is no private price: that is a blank, not a gift
        ([("100", "90", "Usage"), ("50", "0", "Usage")], "140"),
        # discounts as lines of their own: net costs repeat what the lines take off already
        ([("100", "90", "Usage"), ("-10", "0", "EdpDiscount")], "90"),
        # no net costs at all
        ([("100", "", "Usage"), ("-10", "", "EdpDiscount")], "90"),
    ],
    ids=["net", "net_zero_is_blank", "discount_lines", "no_net"],
)
def test_private_discounts_are_neither_lost_nor_taken_twice(
    settings: Settings, tmp_path: Path, lines: list[tuple[str, str, str]], billed: str
) -> None:
    rows = [
        cur.row(cost, number, **{"lineItem/NetUnblendedCost": net, "lineItem/LineItemType": kind})
        for number, (cost, net, kind) in enumerate(lines, 1)
    ]
    cur.deliver(tmp_path / "b", [rows])
    ingest(settings, tmp_path / "b")
    assert _billed(settings) == Decimal(billed)


def test_two_organisations_bills_by_hand_do_not_replace_each_other(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    for payer in ("000123456789", "999999999999"):
        path = tmp_path / f"{payer}.csv"
        path.write_bytes(cur.csv_bytes(cur.rows(10, **{"bill/PayerAccountId": payer})))
        assert load.ingest_file(settings, path, clock).row_count == 10
    assert months(settings)["2026-10"] == (20, Decimal(30))
    again = tmp_path / "provisional.csv"
    again.write_bytes(cur.csv_bytes(cur.rows(11, **{"bill/PayerAccountId": "999999999999"})))
    load.ingest_file(settings, again, clock)
    assert months(settings)["2026-10"] == (21, Decimal("31.5"))


def test_row_numbers_are_the_lines_of_the_file(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    """Bronze files are written in any order; the lineage must still point to the right line."""
    path = tmp_path / "many.csv"
    path.write_bytes(cur.csv_bytes(cur.rows(150_000)))
    load.ingest_file(settings, path, clock)
    wrong = (
        Lake(settings)
        .connect()
        .execute("SELECT count(*) FROM bronze.aws_cur WHERE identity_line_item_id <> 'line-' || CAST(_row_number AS VARCHAR)")
    )
    assert wrong.fetchall() == [(0,)]
