"""The Delta tables of the stream: samples of accelerators, and messages that could not be used.

Data flow: Kafka → `streams.sink` → `bronze.gpu_telemetry`; what `streams.events.decode` refuses → `bronze.gpu_dead_letters`.

A row of telemetry is one accelerator (a whole GPU, or one MIG slice) in one interval. Ratios and watts are measurements, kept as they were
measured (double); money never is. A value that was not measured is NULL.
Run alone: python -c "from streams.tables import GPU_TELEMETRY; print(GPU_TELEMETRY.schema)"
"""

from __future__ import annotations

import pyarrow as pa

from costlake.tables import COUNT, TEXT, TIMESTAMP, TableSpec

MEASURE = pa.float64()

PROCESS = pa.struct(
    [
        pa.field("pid", COUNT),
        pa.field("memory_used_bytes", COUNT),
        pa.field("sm_utilization_percent", MEASURE),
        pa.field("namespace", TEXT),
        pa.field("pod", TEXT),
        pa.field("container", TEXT),
        pa.field("job_id", TEXT),
    ]
)

GPU_TELEMETRY = TableSpec(
    "bronze",
    "gpu_telemetry",
    pa.schema(
        [
            pa.field("event_id", TEXT),
            pa.field("schema_version", COUNT),
            pa.field("cluster", TEXT),
            pa.field("host", TEXT),
            pa.field("resource_id", TEXT),  # the machine's id on the bill, as FOCUS' x_NodeId has it
            pa.field("source", TEXT),
            pa.field("driver_version", TEXT),
            pa.field("interval_start", TIMESTAMP),
            pa.field("interval_end", TIMESTAMP),
            pa.field("gpu_uuid", TEXT),
            pa.field("gpu_index", COUNT),
            pa.field("model_name", TEXT),
            pa.field("mig_gpu_instance_id", COUNT),
            pa.field("mig_compute_instance_id", COUNT),
            pa.field("mig_profile", TEXT),
            pa.field("gpu_utilization_percent", MEASURE),
            pa.field("sm_active_ratio", MEASURE),
            pa.field("tensor_active_ratio", MEASURE),
            pa.field("gr_engine_active_ratio", MEASURE),
            pa.field("dram_active_ratio", MEASURE),
            pa.field("memory_used_bytes", COUNT),
            pa.field("memory_total_bytes", COUNT),
            pa.field("power_watts", MEASURE),
            pa.field("power_limit_watts", MEASURE),
            pa.field("energy_joules", MEASURE),
            pa.field("temperature_celsius", MEASURE),
            pa.field("xid", COUNT),
            pa.field("processes", pa.list_(PROCESS)),
            pa.field("_extra", TEXT),  # fields of newer collectors, as JSON
            pa.field("_topic", TEXT),
            pa.field("_partition", COUNT),
            pa.field("_offset", COUNT),
            pa.field("_ingested_at", TIMESTAMP),
            pa.field("event_hour", TEXT),  # UTC hour of interval_start, `YYYY-MM-DDTHH`
        ]
    ),
    partition_by=("event_hour",),
    key=("event_id", "gpu_uuid", "mig_gpu_instance_id"),
)

GPU_DEAD_LETTERS = TableSpec(
    "bronze",
    "gpu_dead_letters",
    pa.schema(
        [
            pa.field("topic", TEXT),
            pa.field("partition", COUNT),
            pa.field("offset", COUNT),
            pa.field("step", TEXT),  # decode | version
            pa.field("error", TEXT),
            pa.field("payload", pa.binary()),
            pa.field("recorded_at", TIMESTAMP),
        ]
    ),
    key=("topic", "partition", "offset"),
)


def bronze_tables() -> list[TableSpec]:
    """What dbt may read of this room, through the entry point `costlake.bronze`: typed and empty before the first message."""
    return [GPU_TELEMETRY]
