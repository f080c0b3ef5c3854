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
# A version every few seconds: years of them would be millions of files. Rows are never changed, `_ingested_at` tells what was known when.
_LOG_DAYS = 30
_REPLACED_HOURS = 48

PROCESS = pa.struct(
    [
        pa.field("pid", COUNT),
        pa.field("memory_used_bytes", COUNT),
        pa.field("sm_utilization_percent", MEASURE),
        pa.field("namespace", TEXT),
        pa.field("pod", TEXT),
        pa.field("container", TEXT),
        pa.field("job_id", TEXT),
        pa.field("allocation_ratio", MEASURE),
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
            pa.field("vendor", TEXT),
            pa.field("accelerator_kind", TEXT),
            pa.field("pci_bus_id", TEXT),
            pa.field("mig_gpu_instance_id", COUNT),
            pa.field("mig_compute_instance_id", COUNT),
            pa.field("mig_profile", TEXT),
            pa.field("gpu_utilization_percent", MEASURE),
            pa.field("memory_utilization_percent", MEASURE),
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
            pa.field("sm_clock_mhz", COUNT),
            pa.field("memory_clock_mhz", COUNT),
            pa.field("throttle_reasons", pa.list_(TEXT)),
            pa.field("xid", COUNT),
            pa.field("processes", pa.list_(PROCESS)),
            pa.field("_extra", TEXT),  # fields of newer collectors, as JSON
            pa.field("_topic", TEXT),
            pa.field("_topic_id", TEXT),  # the broker's id: a topic made anew under the same name has another
            pa.field("_partition", COUNT),
            pa.field("_offset", COUNT),
            pa.field("_ingested_at", TIMESTAMP),
            pa.field("event_hour", TEXT),  # UTC hour of interval_start, `YYYY-MM-DDTHH`
        ]
    ),
    partition_by=("event_hour",),
    # A record of Kafka comes once. A collector that sends a message again, for it never saw the answer, makes a second record of
    # the same event: readers take one row per key (`distinct_samples`).
    key=("event_id", "gpu_uuid", "mig_gpu_instance_id"),
    log_retention_days=_LOG_DAYS,
    retention_hours=_REPLACED_HOURS,
)

GPU_DEAD_LETTERS = TableSpec(
    "bronze",
    "gpu_dead_letters",
    pa.schema(
        [
            pa.field("topic", TEXT),
            pa.field("topic_id", TEXT),
            pa.field("partition", COUNT),
            pa.field("offset", COUNT),
            pa.field("offset_end", COUNT),  # exclusive; NULL where nobody knows how many records a gap had
            pa.field("step", TEXT),  # decode | version | gap
            pa.field("error_type", TEXT),
            pa.field("error", TEXT),
            pa.field("payload", pa.binary()),  # NULL for a gap, and for a record without value
            pa.field("recorded_at", TIMESTAMP),
        ]
    ),
    key=("topic", "topic_id", "partition", "offset", "step"),
    log_retention_days=_LOG_DAYS,
    retention_hours=_REPLACED_HOURS,
)


def distinct_samples(scan: str) -> str:
    """SQL for one row per accelerator and event of a scan of `gpu_telemetry`: what energy and cost may be summed over.

    Of an event that was sent twice the row that was read first stays; later ones say the same.
    """
    key = ", ".join(GPU_TELEMETRY.key)
    return f"SELECT * FROM ({scan}) QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY _ingested_at, _partition, _offset) = 1"
