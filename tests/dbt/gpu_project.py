"""GPU samples and bills by hand → the project's own SQL → shares of cost: what the tests of the GPU marts run on.

Data flow: `Sample`s and charges → bronze.gpu_telemetry, focus.cost_and_usage → compiled models, in order → intermediate.*, marts.*.
dbt compiles them once per session; every test then runs that SQL in a DuckDB of its own, which takes tenths of a second.
Alone: `Gpus(compiled(folder), "memory").build([sample(...)])`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from costlake.gpu_rates import GPU_RATES
from costlake.sql import empty_select
from streams.tables import GPU_TELEMETRY, PROCESS
from tests.dbt.aws_project import run_dbt

BASES = ("allocation", "memory", "engine_activity")
MODELS = (
    ("int_gpu_hours", "intermediate"),
    ("int_gpu_shares", "intermediate"),
    ("int_gpu_rates", "intermediate"),
    ("fct_node_cost_daily", "marts"),
    ("int_gpu_rated", "intermediate"),
    ("int_gpu_owned", "intermediate"),
    ("int_gpu_charges", "intermediate"),
    ("fct_gpu_hours", "marts"),
    ("fct_gpu_allocation_hourly", "marts"),
    ("fct_gpu_waste_daily", "marts"),
)
# As newer collectors write it: with the part of the accelerator that the scheduler gave to a pod.
_KNOWN = {
    "processes": pa.list_(pa.struct([*(f for f in PROCESS if f.name != "allocation_ratio"), pa.field("allocation_ratio", pa.float64())]))
}
TELEMETRY = pa.schema([pa.field(field.name, _KNOWN.get(field.name, field.type)) for field in GPU_TELEMETRY.schema])
START = dt.datetime(2026, 10, 5, 10, tzinfo=dt.UTC)
GIB = 1 << 30
FOCUS = """
CREATE TABLE focus.cost_and_usage (
    x_SourceId VARCHAR, x_BillingPeriod VARCHAR, ChargePeriodStart TIMESTAMPTZ, ChargePeriodEnd TIMESTAMPTZ, x_NodeId VARCHAR,
    BillingCurrency VARCHAR, HostProviderName VARCHAR, ServiceProviderName VARCHAR, SubAccountId VARCHAR, RegionId VARCHAR,
    x_InstanceType VARCHAR, x_AcceleratorType VARCHAR, x_AcceleratorCount DECIMAL(38,12), x_AcceleratorHours DECIMAL(38,12),
    x_Owner VARCHAR, x_OwnerReason VARCHAR, BilledCost DECIMAL(38,12), EffectiveCost DECIMAL(38,12), ListCost DECIMAL(38,12))
"""
Row = dict[str, Any]


def process(pod: str | None = None, **more: Any) -> Row:
    """A process (or pod) on an accelerator."""
    return {"pid": 1, "namespace": "ml" if pod else None, "pod": pod} | more


def sample(start: float = 0, seconds: float = 3600, gpu: str = "GPU-0", **more: Any) -> Row:
    """One sample of a whole GPU of machine i-0a, `start` seconds after START."""
    begins = START + dt.timedelta(seconds=start)
    ends = begins + dt.timedelta(seconds=seconds)
    row: Row = {
        "schema_version": 1, "cluster": "prod", "host": "node-a", "resource_id": "i-0a", "source": "dcgm", "interval_start": begins,
        "interval_end": ends, "gpu_uuid": gpu, "model_name": "NVIDIA H100 80GB HBM3", "gr_engine_active_ratio": 0.5,
        "memory_used_bytes": 40 * GIB, "memory_total_bytes": 80 * GIB, "processes": [process("train")], "_topic": "t", "_partition": 0,
        "_offset": 0, "_ingested_at": ends + dt.timedelta(seconds=2), "event_hour": f"{begins:%Y-%m-%dT%H}",
    }  # fmt: skip
    row |= more
    return {"event_id": f"{row['host']}-{row['source']}-{begins.isoformat()}-{ends.isoformat()}"} | row


def charge(cost: str = "8", hour: int = 0, hours: int = 1, node: str | None = "i-0a", **more: Any) -> Row:
    """A charge of a machine with one H100, `hour` hours after START."""
    begins = START + dt.timedelta(hours=hour)
    count = more.pop("gpus", 1)
    row: Row = {
        "x_SourceId": "aws-main", "x_BillingPeriod": f"{begins:%Y-%m}", "ChargePeriodStart": begins,
        "ChargePeriodEnd": begins + dt.timedelta(hours=hours), "x_NodeId": node, "BillingCurrency": "USD", "HostProviderName": "AWS",
        "ServiceProviderName": "AWS", "x_InstanceType": "p5.4xlarge", "x_AcceleratorType": "H100", "x_AcceleratorCount": count,
        "x_AcceleratorHours": None if count is None else Decimal(count) * hours, "x_Owner": "research", "BilledCost": Decimal(cost),
        "EffectiveCost": Decimal(cost), "ListCost": Decimal(cost),
    }  # fmt: skip
    return row | more


class Gpus:
    """A DuckDB with the GPU models built of what a test gives."""

    def __init__(self, models: Mapping[str, str], basis: str = "allocation") -> None:
        chosen = "select 'allocation' as chosen_basis"
        assert chosen in models["int_gpu_shares"]
        self._models = {**models, "int_gpu_shares": models["int_gpu_shares"].replace(chosen, f"select '{basis}' as chosen_basis")}
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'America/New_York'")

    def build(self, samples: Iterable[Row] = (), charges: Iterable[Row] = (), rates: Sequence[Row] = ()) -> Gpus:
        """Replace everything and build all models."""
        for schema in ("bronze", "ops", "focus", "intermediate", "marts"):
            self.connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")
        self.connection.execute(FOCUS)
        self._fill("bronze.gpu_telemetry", TELEMETRY, list(samples))
        self._fill("ops.gpu_rates", GPU_RATES.schema, list(rates))
        for row in charges:
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            self.connection.execute(f"INSERT INTO focus.cost_and_usage ({names}) VALUES ({marks})", list(row.values()))
        for model, schema in MODELS:
            self.connection.execute(f"CREATE TABLE {schema}.{model} AS {self._models[model]}")
        return self

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.connection.execute(sql).fetchall()

    def one(self, sql: str) -> tuple[Any, ...]:
        """The only row of a query."""
        (found,) = self.rows(sql)
        return tuple(found)

    def states(self, what: str = "effective_cost") -> dict[tuple[str | None, str], Any]:
        """(pod, state) → cost of all hours."""
        rows = self.rows(f"SELECT pod, usage_state, sum({what}) FROM marts.fct_gpu_allocation_hourly GROUP BY ALL")
        return {(pod, state): amount for pod, state, amount in rows}

    def faults(self, name: str | None = None) -> dict[str, list[tuple[Any, ...]]]:
        """What the project's own conservation tests find (or one of them); empty when all hold."""
        found = {test: self.rows(sql) for test, sql in self._models.items() if test.startswith("assert_gpu") and name in (None, test)}
        return {test: rows for test, rows in found.items() if rows}

    def _fill(self, table: str, schema: pa.Schema, rows: list[Row]) -> None:
        self.connection.execute(f"CREATE TABLE {table} AS {empty_select(schema)}")
        if rows:
            given = pa.Table.from_pylist(rows, schema=schema)
            self.connection.register("given", given)
            self.connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM given")
            self.connection.unregister("given")


def compiled(folder: Path) -> dict[str, str]:
    """Name → SQL of the GPU models and their conservation tests, under the basis `allocation`."""
    warehouse = folder / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("CREATE SCHEMA bronze; CREATE SCHEMA ops")
        connection.execute(f"CREATE TABLE bronze.gpu_telemetry AS {empty_select(TELEMETRY)}")
    names = [name for name, _ in MODELS]
    run_dbt(warehouse, "compile", "--select", *names, "assert_gpu_*")
    nodes = json.loads((folder / "target" / "manifest.json").read_text())["nodes"].values()
    found = {node["name"]: node["compiled_code"] for node in nodes if node.get("compiled_code")}
    return {
        name: sql.replace('"warehouse".', "").replace("main.", "")
        for name, sql in found.items()
        if name.startswith(("int_gpu", "fct_", "assert_gpu"))
    }
