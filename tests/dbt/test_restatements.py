"""What was reported, what replaced it and why: real deliveries over three months of ledger time, through the real project, once.

Data flow: CUR in two modes of time, daily LLM pulls, incremental OCI files → bronze, ledger → dbt → marts.fct_restatements, FOCUS.
Alone: `pytest tests/dbt/test_restatements.py`.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from costlake import transform
from costlake.config import Export
from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import ingest_stream
from tests.ingest import cur

pytestmark = pytest.mark.slow  # one dbt build of everything

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
REPORTS = "reports/cost-csv"
OCTOBER_FIRST = 1790812800


class Story:
    """A lake to which deliveries come at told times; `seen` keeps the real instant after each step, for time travel."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings.load(home=home, lake=home / "lake", config_dir=home / "config")
        self.home = home
        self.seen: list[dt.datetime] = []

    def ingest(self, source: str, export_id: str, day: str) -> None:
        """Ingest an export as of noon of a day."""
        clock = FixedClock(dt.datetime.fromisoformat(f"{day}T12:00:00+00:00"))
        export = Export(id=export_id, source=source, location=str(self.home / export_id), billing_account_id="org")
        result = ingest_stream(self.settings, export, clock)
        assert [str(error) for error in result.refused] == []
        self.seen.append(dt.datetime.now(tz=dt.UTC))

    def oci(self, *numbers: int) -> None:
        """Let Oracle write these reports of the fixture."""
        for number in numbers:
            name = f"{REPORTS}/0001000000000{number}-00001.csv.gz"
            target = self.home / "oci" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(FIXTURES / "oci_cost" / name, target)

    def llm(self, name: str, days: dict[int, str]) -> None:
        """A pull of OpenAI's costs: day of October → dollars."""
        buckets = []
        for day, dollars in days.items():
            start = OCTOBER_FIRST + (day - 1) * 86400
            line = {
                "object": "organization.costs.result", "amount": {"value": float(dollars), "currency": "usd"},
                "line_item": "web search tool calls", "project_id": "p", "quantity": None, "quantity_unit": None,
            }  # fmt: skip
            buckets.append({"object": "bucket", "start_time": start, "end_time": start + 86400, "results": [line]})
        folder = self.home / "llm" / name
        folder.mkdir(parents=True)
        (folder / "page-001.json").write_text(json.dumps({"object": "page", "data": buckets, "has_more": False}), encoding="utf-8")
        (folder / "pull.json").write_text(json.dumps({"pages": ["page-001.json"]}), encoding="utf-8")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The deliveries of October 2026, and what came after it was closed."""
    told = Story(tmp_path_factory.mktemp("restatements"))
    bucket = told.home / "aws"
    for day, rows in (
        ("2026-10-10", cur.rows(10)),
        ("2026-10-20", cur.rows(20)),  # cumulative: the month to date again
        ("2026-11-03", cur.rows(22)),  # over, not closed yet
        ("2026-11-20", [*cur.rows(22), cur.row("-3", 23, **{"lineItem/LineItemType": "Credit"})]),
    ):
        cur.deliver(bucket, [rows], assembly=day)
        told.ingest("aws_cur", "aws", day)
    told.ingest("aws_cur", "aws", "2026-11-21")  # nothing new
    told.llm("2026-10-03", {1: "1", 2: "2", 3: "0.5"})
    told.ingest("openai_costs", "llm", "2026-10-03")
    told.llm("2026-10-05", {3: "3", 4: "4"})
    told.ingest("openai_costs", "llm", "2026-10-05")
    told.oci(101, 102)
    told.ingest("oci_cost", "oci", "2026-10-06")
    told.oci(103)
    told.ingest("oci_cost", "oci", "2026-11-20")
    transform.run(told.settings)
    return told


def rows(story: Story, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(story.settings.warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def changes(story: Story, source: str, period: str) -> list[tuple[Any, ...]]:
    return rows(
        story,
        "SELECT billed_then, billed_now, row_count_now, was_closed, cause FROM marts.fct_restatements "
        f"WHERE source_id = '{source}' AND billing_period = '{period}' ORDER BY change_number",
    )


def test_an_open_month_grows_and_a_closed_one_is_reopened(story: Story) -> None:
    assert changes(story, "aws", "2026-10") == [
        (None, 15, 10, False, "first_report"),
        (15, 30, 20, False, "open_month_grew"),
        (30, 33, 22, False, "open_month_grew"),
        (33, 30, 23, True, "credits_or_refunds"),
    ]


def test_a_pull_of_days_replaces_its_days_and_adds_the_others(story: Story) -> None:
    assert changes(story, "llm", "2026-10") == [
        (None, Decimal("3.5"), 3, False, "first_report"),
        (Decimal("3.5"), 10, 4, False, "open_month_grew"),
    ]


def test_files_that_add_to_two_months_restate_each_of_them(story: Story) -> None:
    assert changes(story, "oci", "2026-09") == [
        (None, Decimal("0.2"), 2, True, "first_report"),
        (Decimal("0.2"), Decimal("0.1"), 3, True, "credits_or_refunds"),
    ]
    first, then = Decimal("92.512750000000333333"), Decimal("82.612750000000333333")
    assert changes(story, "oci", "2026-10") == [(None, first, 9, False, "first_report"), (first, then, 11, True, "late_rows")]


def test_deliveries_of_a_change_are_named_on_both_sides(story: Story) -> None:
    found = rows(
        story,
        "SELECT source_id, delivery_id_then, delivery_id_now, reported_at, replaced_at FROM marts.fct_restatements "
        "WHERE change_number = 2 AND billing_period = '2026-10' ORDER BY source_id",
    )
    lake = Lake(story.settings).connect()
    loaded = dict(lake.execute("SELECT DISTINCT delivery_id, source_id FROM ops.deliveries WHERE status = 'loaded'").fetchall())
    assert [(source, loaded.get(then), loaded[now]) for source, then, now, *_ in found] == [
        ("aws", "aws", "aws"), ("llm", "llm", "llm"), ("oci", None, "oci"),
    ]  # fmt: skip
    assert all(reported < replaced for *_, reported, replaced in found)


def test_what_was_reported_then_is_still_in_the_table_of_then(story: Story) -> None:
    """The query of docs/runbooks/restatement.md, on bronze."""
    lake = Lake(story.settings)
    for seen, (_, billed, count, *_) in zip(story.seen, changes(story, "aws", "2026-10"), strict=False):
        then = lake.scan_sql("bronze", "aws_cur", as_of=seen)
        assert lake.connect().execute(f"SELECT sum(line_item_unblended_cost), count(*) FROM ({then})").fetchall() == [(billed, count)]


def test_oracle_lines_keep_their_meaning_under_focus(story: Story) -> None:
    found = rows(
        story,
        "SELECT SkuId, x_LineItemType, ChargeClass, BilledCost, ListCost, PricingUnit, ConsumedQuantity, x_InstanceType, x_Owner "
        "FROM focus.cost_and_usage WHERE x_SourceId = 'oci' AND BilledCost NOT IN (0.1, 0.01275) AND BilledCost <> 0 ORDER BY BilledCost",
    )
    assert found == [
        ("B98415", "Correction", None, -10, -10, "GPU-Hours", -1, "GPU - H100", None),
        ("B93113", "Correction", "Correction", Decimal("-0.1"), Decimal("-0.1"), "OCPU-Hours", -4, None, None),
        ("B93113", "Overage", None, Decimal("0.2"), Decimal("0.2"), "OCPU-Hours", 8, None, None),
        ("B99999", "Usage", None, Decimal("0.3"), Decimal("0.3"), "Units", 3, None, None),
        ("B108077", "Usage", None, Decimal("3.9"), Decimal("3.9"), "10000 Transactions", 2_500_000, None, None),
        ("B95909", "Usage", None, 8, 8, "GPU-Hours", 4, "BM.GPU.A10.4", None),
        ("B98415", "Usage", None, 80, 80, "GPU-Hours", 8, "GPU - H100", 'Research "A"'),
    ]
    machines = rows(story, "SELECT DISTINCT x_NodeId FROM focus.cost_and_usage WHERE x_SourceId = 'oci' AND x_NodeId IS NOT NULL")
    assert len(machines) == 3
    assert all(node.startswith("ocid1.instance.") for (node,) in machines)


SABOTAGE = [
    ("assert_restatements_end_at_focus", "UPDATE focus.cost_and_usage SET BilledCost = BilledCost + 0.000000001 WHERE BilledCost = 80"),
    ("assert_restatements_end_at_focus", "DELETE FROM focus.cost_and_usage WHERE x_BillingPeriod = '2026-09'"),
    ("assert_restatements_end_at_focus", "DELETE FROM marts.fct_restatements WHERE source_id = 'llm'"),
    ("assert_restatements_end_at_focus", "DELETE FROM marts.fct_restatements WHERE cause = 'credits_or_refunds'"),
    ("assert_restatements_form_a_chain", "DELETE FROM marts.fct_restatements WHERE change_number = 2 AND source_id = 'aws'"),
    ("assert_restatements_form_a_chain", "UPDATE marts.fct_restatements SET billed_then = billed_then + 1 WHERE change_number = 4"),
    ("assert_restatements_form_a_chain", "INSERT INTO marts.fct_restatements FROM marts.fct_restatements WHERE source_id = 'llm'"),
]


@pytest.mark.parametrize(("test", "sabotage"), SABOTAGE, ids=range(len(SABOTAGE)))
def test_a_history_that_is_not_true_is_caught(story: Story, tmp_path: Path, test: str, sabotage: str) -> None:
    compiled = story.settings.lake / ".dbt" / "target" / "compiled" / "costlake" / "tests" / f"{test}.sql"
    sql = compiled.read_text(encoding="utf-8").replace('"warehouse".', "")
    shutil.copy(story.settings.warehouse, tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        assert connection.execute(sql).fetchall() == [], "sound before"
        connection.execute(sabotage)
        assert connection.execute(sql).fetchall(), "nobody would have noticed"
