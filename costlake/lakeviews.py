"""dbt-duckdb plugin: bronze tables and ledgers as views in the warehouse, each over the exact files of one Delta version.

Data flow: bronze and ops Delta tables → `bronze.<table>`, `ops.deliveries`, `ops.exchange_rates`, `ops.price_book` views → dbt sources.

Every table that a source declares gets a view, typed and empty until its first delivery, so that a lake with one
provider builds the whole project. Named in dbt/profiles.yml; not for direct use.
"""

from __future__ import annotations

from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from costlake.delta import Lake
from costlake.prices import PRICE_BOOK
from costlake.rates import EXCHANGE_RATES
from costlake.runs import DELIVERIES
from costlake.settings import Settings
from costlake.tables import TableSpec
from costlake.tablestore import table_store


class Plugin(BasePlugin):  # type: ignore[misc]  # dbt-duckdb ships no types
    """Creates the views each time dbt opens the warehouse."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Take the lake's folder from the profile, so that a test's lake and the real one never mix."""
        self._lake = Lake(Settings.load(lake=plugin_config["lake"]))

    def configure_connection(self, conn: Any) -> None:
        """Replace the views of the schemas `bronze` and `ops` by today's."""
        conn.execute("SET TimeZone = 'UTC'")
        table_store(self._lake.settings).attach(conn)
        for spec in (*declared_bronze_tables(), DELIVERIES, EXCHANGE_RATES, PRICE_BOOK):
            conn.execute(f"CREATE SCHEMA IF NOT EXISTS {spec.layer}")
            conn.execute(f"CREATE OR REPLACE VIEW {spec.layer}.{spec.name} AS {self._lake.scan_sql(spec.layer, spec.name, spec)}")


def declared_bronze_tables() -> list[TableSpec]:
    """The bronze tables of all installed sources, found through the `costlake.bronze` entry point."""
    from importlib.metadata import entry_points

    return [spec for entry in entry_points(group="costlake.bronze") for spec in entry.load()()]
