"""How the jobs of this room meet the lake: Delta views → a connection on which the marts are known to be there.

Run alone: `with open_marts(Lake(Settings.load())) as con: con.sql("from marts.fct_cost_daily")`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from costlake.errors import LakeError

if TYPE_CHECKING:
    import duckdb

    from costlake.delta import Lake
    from costlake.tables import TableSpec


@contextmanager
def open_marts(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with `marts.*`, closed at the end. Raises LakeError where the cost mart is missing or empty."""
    missing = None if lake.exists("marts", "fct_cost_daily") else "the cost mart has not been published"
    con = lake.connect()
    try:
        if missing is None and con.execute("select count(*) from marts.fct_cost_daily").fetchall()[0][0] == 0:
            missing = "the cost mart is empty"
        if missing is not None:
            raise LakeError(
                missing,
                where="marts.fct_cost_daily",
                expected="at least one published day of cost",
                next_step="run `costlake ingest`, `costlake transform` and `costlake publish` first, or `costlake run` for the demo",
            )
        yield con
    finally:
        con.close()


def stored_run_id(lake: Lake, spec: TableSpec, as_of: date) -> str | None:
    """The run that wrote the rows of `as_of`; None where there are none."""
    if not lake.exists(spec.layer, spec.name):
        return None
    con = lake.connect()
    try:
        rows = con.execute(f"select max(run_id) from {spec.layer}.{spec.name} where as_of_date = ?", [as_of]).fetchall()
    finally:
        con.close()
    found: str | None = rows[0][0]
    return found
