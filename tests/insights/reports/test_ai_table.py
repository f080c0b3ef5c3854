"""The AI section of the finance report: sums that add up, a cost per hour that is a ratio of sums, unexplained usage in plain sight."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest

from costlake.periods import BillingPeriod
from insights.reports import ai
from insights.reports.basis import Basis

BASIS = Basis("USD", BillingPeriod.parse("2026-10"), 31, ())
COLUMNS = """
    billing_period VARCHAR, host_provider_name VARCHAR, provider_name VARCHAR, service_name VARCHAR, usage_kind VARCHAR, ai_reason VARCHAR,
    model_id VARCHAR, accelerator_type VARCHAR, capacity_reservation_status VARCHAR, billing_currency VARCHAR, billed_cost DECIMAL(38,12),
    effective_cost DECIMAL(38,12), tokens DECIMAL(38,0), accelerator_hours DECIMAL(38,12)
"""
ROWS = [
    ("2026-10", "AWS", "AWS", "EC2", "accelerator_compute", None, None, "H100", None, "USD", "100", "60", None, "8"),
    ("2026-10", "AWS", "AWS", "EC2", "accelerator_compute", None, None, "H100", "Unused", "USD", "20", "20", None, "2"),
    ("2026-10", "AWS", "AWS", "EC2", "accelerator_compute", None, None, "H100", None, "USD", "500", "0", None, None),
    ("2026-10", "AWS", "AWS", "Bedrock", "token", None, "nova-pro", None, None, "USD", "1.5", "1.5", "375000", None),
    ("2026-10", "AWS", "AWS", "Bedrock", "token", None, "nova-pro", None, None, "USD", "0.5", "0.5", "25000", None),
    ("2026-10", "AWS", "AWS", "Bedrock", None, "no_rule_for_this_usage", None, None, None, "USD", "3", "3", None, None),
    ("2026-10", "AWS", "AWS", "Bedrock", "token", None, "nova-pro", None, None, "EUR", "7", "7", "1", None),
    ("2026-09", "AWS", "AWS", "Bedrock", "token", None, "nova-pro", None, None, "USD", "9", "9", "1", None),
]


@pytest.fixture
def marts() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(f"CREATE SCHEMA marts; CREATE TABLE marts.fct_ai_cost_daily ({COLUMNS})")
    connection.executemany(f"INSERT INTO marts.fct_ai_cost_daily VALUES ({', '.join('?' * 14)})", ROWS)
    return connection


def test_kinds_models_and_machines_sum_to_the_ai_cost_of_the_month(marts: duckdb.DuckDBPyConnection) -> None:
    table = ai.inside(marts, BASIS)
    assert [row[:3] for row in table.rows] == [
        ("accelerator compute", "H100", "AWS"),
        ("unexplained: no rule for this usage", "Bedrock", "AWS"),
        ("token", "nova-pro", "AWS"),
    ]
    assert table.rows[2][3:6] == (2, 2, 400_000)
    assert table.total is not None
    assert table.total[3:5] == (625, 85)


def test_cost_of_an_hour_leaves_out_fees_without_hours_and_names_idle_ones(marts: duckdb.DuckDBPyConnection) -> None:
    accelerators = ai.inside(marts, BASIS).rows[0]
    assert accelerators[4] == 80
    assert accelerators[6:] == (10, Decimal("8.000000000000"), 2)


def test_a_month_without_ai_has_no_total(marts: duckdb.DuckDBPyConnection) -> None:
    marts.execute("DELETE FROM marts.fct_ai_cost_daily")
    table = ai.inside(marts, BASIS)
    assert (table.rows, table.total) == ((), None)
