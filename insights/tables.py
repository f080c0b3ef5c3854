"""The Delta tables of this room: marts → `insights.forecast_daily`, `insights.anomalies`; the stream's table → `insights.idle_gpus`.

The first two hold one row set per `as_of_date` (the last charge date the model was allowed to see), the last one per hour, so that what we
said then stays answerable.
Money is DECIMAL(38,12); a band that cannot be known is NULL, and `method_reason` says why.
"""

from __future__ import annotations

import pyarrow as pa

from costlake.tables import TableSpec

MONEY = pa.decimal128(38, 12)
RATIO = pa.decimal128(18, 6)

FORECAST_DAILY = TableSpec(
    layer="insights",
    name="forecast_daily",
    schema=pa.schema(
        [
            pa.field("run_id", pa.string(), nullable=False),
            pa.field("as_of_date", pa.date32(), nullable=False),
            pa.field("provider_name", pa.string(), nullable=False),
            pa.field("billing_currency", pa.string(), nullable=False),
            pa.field("forecast_date", pa.date32(), nullable=False),
            pa.field("horizon_days", pa.int32(), nullable=False),
            pa.field("method", pa.string(), nullable=False),
            pa.field("method_reason", pa.string(), nullable=False),
            pa.field("effective_cost", MONEY, nullable=False),
            pa.field("effective_cost_lower_80", MONEY),
            pa.field("effective_cost_upper_80", MONEY),
        ]
    ),
    key=("as_of_date", "provider_name", "billing_currency", "forecast_date"),
)

ANOMALIES = TableSpec(
    layer="insights",
    name="anomalies",
    schema=pa.schema(
        [
            pa.field("run_id", pa.string(), nullable=False),
            pa.field("as_of_date", pa.date32(), nullable=False),
            pa.field("anomaly_date", pa.date32(), nullable=False),
            pa.field("provider_name", pa.string(), nullable=False),
            pa.field("billing_currency", pa.string(), nullable=False),
            pa.field("expected_cost", MONEY, nullable=False),
            pa.field("lower_bound", MONEY, nullable=False),
            pa.field("upper_bound", MONEY, nullable=False),
            pa.field("actual_cost", MONEY, nullable=False),
            pa.field("excess_cost", MONEY, nullable=False),
            pa.field("score", RATIO, nullable=False),
            pa.field("direction", pa.string(), nullable=False),
            pa.field("cause_service_name", pa.string()),
            pa.field("cause_sub_account_id", pa.string()),
            pa.field("cause_sub_account_name", pa.string()),
            pa.field("cause_model_id", pa.string()),
            pa.field("cause_owner", pa.string()),
            pa.field("cause_excess_cost", MONEY),
            pa.field("cause_share", RATIO),
            pa.field("message", pa.string(), nullable=False),
        ]
    ),
    key=("as_of_date", "anomaly_date", "provider_name", "billing_currency", "cause_service_name", "cause_sub_account_id"),
)

IDLE_GPUS = TableSpec(
    layer="insights",
    name="idle_gpus",
    schema=pa.schema(
        [
            pa.field("run_id", pa.string(), nullable=False),
            pa.field("as_of_hour", pa.string(), nullable=False),  # UTC, YYYY-MM-DDTHH; one row set per hour
            pa.field("as_of", pa.timestamp("us", tz="UTC"), nullable=False),
            pa.field("gpu_uuid", pa.string(), nullable=False),
            pa.field("mig_gpu_instance_id", pa.int64()),
            pa.field("mig_profile", pa.string()),
            pa.field("gpu_index", pa.int64()),
            pa.field("model_name", pa.string()),
            pa.field("cluster", pa.string()),
            pa.field("host", pa.string()),
            pa.field("node_id", pa.string()),
            pa.field("idle_kind", pa.string(), nullable=False),  # unallocated | allocated_idle | warm_unused
            pa.field("idle_since", pa.timestamp("us", tz="UTC"), nullable=False),
            pa.field("idle_since_is_known", pa.bool_(), nullable=False),  # false: idle for at least so long
            pa.field("idle_hours", RATIO, nullable=False),
            pa.field("activity_ratio", RATIO, nullable=False),
            pa.field("memory_used_ratio", RATIO),
            pa.field("power_watts", RATIO),
            pa.field("namespace", pa.string()),
            pa.field("pod", pa.string()),
            pa.field("job_id", pa.string()),
            pa.field("holder_count", pa.int64()),  # NULL: the source does not list processes
            pa.field("owner", pa.string()),
            pa.field("owner_reason", pa.string()),
            pa.field("cost_per_day", MONEY),
            pa.field("billing_currency", pa.string()),
            pa.field("cost_basis", pa.string()),  # bill | owned_rate
            pa.field("cost_reason", pa.string()),  # why there is no cost
            pa.field("message", pa.string(), nullable=False),
        ]
    ),
    key=("as_of_hour", "gpu_uuid", "mig_gpu_instance_id"),
)

TABLES = (FORECAST_DAILY, ANOMALIES, IDLE_GPUS)
