"""`TableSpec`: the one place where a Delta table's name, Arrow schema, partitioning and key are written.

Run alone: python -c "from ingest.source import all_sources; print(next(iter(all_sources())).table.schema)"
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from costlake.money import BRONZE_SCALE, FOCUS_SCALE

TEXT = pa.string()
TIMESTAMP = pa.timestamp("us", tz="UTC")
DATE = pa.date32()
COUNT = pa.int64()
BRONZE_MONEY = pa.decimal128(38, BRONZE_SCALE)
MONEY = pa.decimal128(38, FOCUS_SCALE)
TEXT_MAP = pa.map_(TEXT, TEXT)

# Delta's own table property, in whole hours: `maintain` reads it back.
OWN_RETENTION = "delta.deletedFileRetentionDuration"

LAYERS = ("bronze", "ops", "focus", "marts", "insights")

# Who delivered a row and where in the delivery it stands: (_delivery_id, _object_key, _row_number) is the only row
# identity that holds for every provider (0.1 of the provider formats).
LINEAGE = (
    pa.field("_source_id", TEXT),
    pa.field("_billing_period", TEXT),
    pa.field("_slice", TEXT),
    pa.field("_delivery_id", TEXT),
    pa.field("_object_key", TEXT),
    pa.field("_object_etag", TEXT),
    pa.field("_row_number", COUNT),
    pa.field("_manifest_hash", TEXT),
    pa.field("_schema_hash", TEXT),
    pa.field("_ingested_at", TIMESTAMP),
    pa.field("_account_id", TEXT),
    pa.field("_account_name", TEXT),
)
SLICE_PARTITION = ("_source_id", "_billing_period")


@dataclass(frozen=True)
class TableSpec:
    """A Delta table of the lake, at `<lake>/<layer>/<name>`.

    Attributes:
        layer: one of LAYERS.
        name: table name inside the layer.
        schema: the columns that are always there, in order. Bronze tables may have more (columns come and go).
        partition_by: Hive partition columns.
        key: the columns that identify a row, for tests and documentation; empty where nothing does.
        log_retention_days: how long old versions stay in the log. What we reported then must stay answerable (law 7): ten years,
            but for a table that gets a version every few seconds and never loses a row.
        retention_hours: how long replaced files stay, where that is less than `costlake maintain` keeps others.
    """

    layer: str
    name: str
    schema: pa.Schema
    partition_by: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    log_retention_days: int = 3650
    retention_hours: int | None = None

    @property
    def configuration(self) -> dict[str, str]:
        """Delta's table properties."""
        own = {} if self.retention_hours is None else {OWN_RETENTION: f"interval {self.retention_hours} hours"}
        return {"delta.logRetentionDuration": f"interval {self.log_retention_days} days", **own}

    def __post_init__(self) -> None:
        if self.layer not in LAYERS:
            raise ValueError(f"layer {self.layer!r} is not one of {LAYERS}")
        missing = {*self.partition_by, *self.key} - set(self.schema.names)
        if missing:
            raise ValueError(f"{self.layer}.{self.name}: partition or key columns not in the schema: {sorted(missing)}")


def bronze_table(name: str, fields: list[pa.Field]) -> TableSpec:
    """A bronze table: the source's own columns, then lineage; partitioned by slice."""
    return TableSpec("bronze", name, pa.schema([*fields, *LINEAGE]), SLICE_PARTITION, ("_delivery_id", "_object_key", "_row_number"))
