"""The Delta tables of this room: marts → `insights.forecast_daily`, `insights.anomalies`.

Both hold one row set per `as_of_date` (the last charge date the model was allowed to see), so that what we said then stays answerable.
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

TABLES = (FORECAST_DAILY, ANOMALIES)
