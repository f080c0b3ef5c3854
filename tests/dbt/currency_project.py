"""Five bills in five currencies, built to marts in a scratch warehouse: what the tests on currencies look at.

Data flow: AWS lines of five accounts → bronze.aws_cur2, the rates of `costlake.rates` → ops.exchange_rates → dbt → marts.
Every bill has the same services, models and owners, so that a sum that forgets the currency adds them up.
Alone: `build_currencies(folder)`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from costlake import rates
from costlake.delta import Lake
from costlake.periods import BillingPeriod, FixedClock
from costlake.runs import ControlTotal, DeliveryEvent, record_deliveries
from costlake.settings import Settings
from costlake.tables import TableSpec
from tests.dbt import bronze, estate
from tests.dbt.aws_project import run_dbt

# What each bill says of September and October 2026: a GPU instance and a Bedrock model, in that order.
BILLS: Mapping[str, tuple[str, str]] = {
    "USD": ("100.00", "7.50"),
    "EUR": ("90.10", "6.33"),
    "NOK": ("1000.00", "70.000000000001"),
    "CAD": ("140.00", "9.99"),
    "ARS": ("150000.00", "9000.00"),  # the ECB quotes no peso
}
MONTHS = ("2026-09", "2026-10")
CLOCK = FixedClock(dt.datetime(2026, 11, 3, 8, tzinfo=dt.UTC))  # September is locked, October is over and not locked yet
MARTS = ("fct_cost_monthly_reporting", "fct_token_economics_daily", "fct_model_economics_daily")
VARS: dict[str, Any] = {"focus_sources": ["aws_cur2"]}


@dataclass(frozen=True)
class Currencies:
    """The built warehouse, and the settings of a lake with the deliveries and rates that it was built of."""

    warehouse: Path
    settings: Settings

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """A query on the warehouse."""
        with duckdb.connect(str(self.warehouse)) as connection:
            return connection.execute(sql).fetchall()

    spec = staticmethod(TableSpec)

    def published(self) -> Lake:
        """The lake, with the marts as published tables."""
        lake = Lake(self.settings)
        if lake.tables("marts"):
            return lake
        with duckdb.connect(str(self.warehouse)) as connection:
            for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'").fetchall():
                rows = connection.execute(f"SELECT * FROM marts.{name}").to_arrow_table()
                lake.overwrite(TableSpec("marts", name, rows.schema), rows)
        return lake


def build_currencies(folder: Path) -> Currencies:
    """Write bills and rates, build the marts and run their data tests."""
    settings = Settings.load(home=folder, lake=folder / "lake", config_dir=folder / "config")
    found = Currencies(folder / "warehouse.duckdb", settings)
    totals = [
        (currency, ControlTotal(month, month, currency, 2, sum(map(Decimal, amounts)), sum(map(Decimal, amounts))))
        for currency, amounts in BILLS.items()
        for month in MONTHS
    ]
    events = [DeliveryEvent("loaded", f"aws-{code.lower()}", "aws_cur2", f"d-{code}", f"k-{code}", total) for code, total in totals]
    record_deliveries(Lake(settings), events, CLOCK)
    rates.run(settings, CLOCK)
    with duckdb.connect(str(found.warehouse)) as connection:
        bronze.create_bronze(connection)
        bronze.insert(
            connection, "aws_cur2", [row for month in MONTHS for code in BILLS for row in _bill(code, BillingPeriod.parse(month))]
        )
    load_rates(found)
    # A test that also looks at a mart not built here waits for that mart's own tests.
    options = ["--exclude-resource-type", "unit_test", "--indirect-selection", "buildable"]
    run_dbt(found.warehouse, "build", "--select", *(f"+{mart}" for mart in MARTS), *options, variables=VARS)
    return found


def load_rates(found: Currencies) -> None:
    """The lake's rates as the warehouse's table, in place of the view that the lake gives dbt."""
    with duckdb.connect(str(found.warehouse)) as connection:
        connection.execute(f"CREATE OR REPLACE TABLE ops.exchange_rates AS {Lake(found.settings).scan_sql('ops', 'exchange_rates')}")


def _bill(currency: str, month: BillingPeriod) -> list[estate.Row]:
    gpu, model = BILLS[currency]
    whose = {
        "_source_id": f"aws-{currency.lower()}",
        "_billing_period": month.label,
        "_slice": month.label,
        "bill_payer_account_id": f"1111111111{list(BILLS).index(currency):02d}",
        "bill_billing_period_start_date": month.start,
        "bill_billing_period_end_date": month.end,
        "line_item_currency_code": currency,
        "pricing_currency": currency,
        "start": month.start + dt.timedelta(days=4, hours=10),
    }
    return [
        estate.line(1, "Usage", gpu, **estate.gpu(line_item_unblended_rate=gpu, pricing_public_on_demand_rate=gpu) | whose),
        estate.line(2, "Usage", model, **estate.bedrock("USE1-NovaPro-output-tokens", "100", "0.0032") | whose),
    ]
