"""The columns of a Google Cloud billing export by type: detailed usage cost schema as of 2026-11; the standard export has no `resource`.

A nested field is named by its path with underscores (service.id → service_id). Google writes costs as FLOAT64 (older tables, Parquet
DOUBLE) or NUMERIC (text in JSON); all of them are exact decimals in bronze.
"""

from __future__ import annotations

import pyarrow as pa

from costlake.tables import BRONZE_MONEY, TEXT

TIMES = frozenset("export_time usage_end_time usage_start_time".split())

# Money, rates and quantities: DECIMAL(38,18).
AMOUNTS = frozenset(
    """
    cost cost_at_effective_price_default cost_at_list cost_at_list_consumption_model currency_conversion_rate
    price_effective_price price_effective_price_default price_list_price price_list_price_consumption_model
    price_pricing_unit_quantity price_tier_start_amount usage_amount usage_amount_in_pricing_units
    """.split()
)

TEXTS = frozenset(
    """
    adjustment_info_description adjustment_info_id adjustment_info_mode adjustment_info_type billing_account_id
    consumption_model_description consumption_model_id cost_type currency invoice_month invoice_publisher_type
    location_country location_location location_region location_zone partition_date price_unit project_ancestry_numbers
    project_id project_name project_number resource_global_name resource_name seller_name service_description service_id
    sku_description sku_id subscription_instance_id transaction_type usage_pricing_unit usage_unit
    """.split()
)

KEY_VALUE = pa.struct([pa.field("key", TEXT), pa.field("value", TEXT)])
CREDIT = pa.struct(
    [
        pa.field("id", TEXT),
        pa.field("full_name", TEXT),
        pa.field("type", TEXT),
        pa.field("name", TEXT),
        pa.field("amount", BRONZE_MONEY),
    ]
)
# What repeats inside a row stays inside it: joined to the row, its cost would count once per credit.
LISTS = {
    "credits": CREDIT,
    "labels": KEY_VALUE,
    "project_ancestors": pa.struct([pa.field("resource_name", TEXT), pa.field("display_name", TEXT)]),
    "project_labels": KEY_VALUE,
    "system_labels": KEY_VALUE,
    "tags": pa.struct([*KEY_VALUE, pa.field("inherited", TEXT), pa.field("namespace", TEXT)]),
}
