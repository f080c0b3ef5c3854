"""The shared DuckDB connection under Great Expectations: nothing but us decides what is in it."""

from __future__ import annotations

import duckdb
import pytest

from quality.rules import Suite, not_null

pytestmark = pytest.mark.usefixtures("great_expectations")


def test_a_handle_given_back_takes_no_view_with_it() -> None:
    """SQLAlchemy rolls back what is open when a handle is closed or collected: a view made since then vanished, now and then."""
    from quality.engine import Engine

    connection = duckdb.connect()
    engine = Engine(connection)
    try:
        connection.execute("CREATE VIEW first AS SELECT 1 AS x")
        suite = Suite("s", "bronze", "bronze.t", (not_null("x", "ask"),))
        assert [outcome.success for outcome in engine.validate("first", suite)] == [True]
        connection.execute("CREATE VIEW second AS SELECT 1 AS x")
        engine._sqlalchemy.connect().close()
        assert [outcome.success for outcome in engine.validate("second", suite)] == [True]
    finally:
        engine.close()
