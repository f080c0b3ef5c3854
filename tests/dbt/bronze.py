"""Bronze tables in a scratch DuckDB, typed as the lake types them: what the dbt tests build on.

Data flow: rows written here (dicts) or a vendor file → bronze.<table> → dbt.
Alone: `create_bronze(connection)` then `insert(connection, "aws_cur2", rows)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

from costlake.delta import sql_type
from ingest.source import source_named

LINEAGE = {
    "_source_id": "VARCHAR",
    "_billing_period": "VARCHAR",
    "_slice": "VARCHAR",
    "_delivery_id": "VARCHAR",
    "_object_key": "VARCHAR",
    "_object_etag": "VARCHAR",
    "_row_number": "BIGINT",
    "_manifest_hash": "VARCHAR",
    "_schema_hash": "VARCHAR",
    "_ingested_at": "TIMESTAMPTZ",
    "_account_id": "VARCHAR",
    "_account_name": "VARCHAR",
}
MONEY = "DECIMAL(38,18)"
_AWS_MONEY = [
    "line_item_blended_cost",
    "line_item_net_unblended_cost",
    "line_item_normalization_factor",
    "line_item_normalized_usage_amount",
    "line_item_unblended_cost",
    "line_item_usage_amount",
    "discount_bundled_discount",
    "discount_total_discount",
    "pricing_public_on_demand_cost",
    "reservation_amortized_upfront_cost_for_usage",
    "reservation_amortized_upfront_fee_for_billing_period",
    "reservation_effective_cost",
    "reservation_net_amortized_upfront_cost_for_usage",
    "reservation_net_amortized_upfront_fee_for_billing_period",
    "reservation_net_effective_cost",
    "reservation_net_recurring_fee_for_usage",
    "reservation_net_unused_amortized_upfront_fee_for_billing_period",
    "reservation_net_unused_recurring_fee",
    "reservation_net_upfront_value",
    "reservation_recurring_fee_for_usage",
    "reservation_unused_amortized_upfront_fee_for_billing_period",
    "reservation_unused_normalized_unit_quantity",
    "reservation_unused_quantity",
    "reservation_unused_recurring_fee",
    "reservation_upfront_value",
    "savings_plan_amortized_upfront_commitment_for_billing_period",
    "savings_plan_net_amortized_upfront_commitment_for_billing_period",
    "savings_plan_net_recurring_commitment_for_billing_period",
    "savings_plan_net_savings_plan_effective_cost",
    "savings_plan_recurring_commitment_for_billing_period",
    "savings_plan_savings_plan_effective_cost",
    "savings_plan_savings_plan_rate",
    "savings_plan_total_commitment_to_date",
    "savings_plan_used_commitment",
    "split_line_item_actual_usage",
    "split_line_item_net_split_cost",
    "split_line_item_net_unused_cost",
    "split_line_item_public_on_demand_split_cost",
    "split_line_item_public_on_demand_unused_cost",
    "split_line_item_reserved_usage",
    "split_line_item_split_cost",
    "split_line_item_split_usage",
    "split_line_item_split_usage_ratio",
    "split_line_item_unused_cost",
]
_AWS_INSTANTS = ["bill_billing_period_end_date", "bill_billing_period_start_date", "line_item_usage_end_date", "line_item_usage_start_date"]
_AWS_TEXT = [
    "bill_bill_type",
    "bill_billing_entity",
    "bill_invoice_id",
    "bill_invoicing_entity",
    "bill_payer_account_id",
    "bill_payer_account_name",
    "capacity_reservation_capacity_reservation_arn",
    "capacity_reservation_capacity_reservation_status",
    "capacity_reservation_capacity_reservation_type",
    "identity_line_item_id",
    "identity_time_interval",
    "line_item_availability_zone",
    "line_item_blended_rate",
    "line_item_currency_code",
    "line_item_iam_principal",
    "line_item_legal_entity",
    "line_item_line_item_description",
    "line_item_line_item_type",
    "line_item_net_unblended_rate",
    "line_item_operation",
    "line_item_product_code",
    "line_item_resource_id",
    "line_item_tax_type",
    "line_item_unblended_rate",
    "line_item_usage_account_id",
    "line_item_usage_account_name",
    "line_item_usage_type",
    "line_item_user_identifier",
    "pricing_currency",
    "pricing_lease_contract_length",
    "pricing_offering_class",
    "pricing_public_on_demand_rate",
    "pricing_purchase_option",
    "pricing_rate_code",
    "pricing_rate_id",
    "pricing_term",
    "pricing_unit",
    "product_comment",
    "product_fee_code",
    "product_fee_description",
    "product_from_location",
    "product_from_location_type",
    "product_from_region_code",
    "product_instance_family",
    "product_instance_type",
    "product_instancesku",
    "product_location",
    "product_location_type",
    "product_operation",
    "product_pricing_unit",
    "product_product_family",
    "product_region_code",
    "product_servicecode",
    "product_sku",
    "product_to_location",
    "product_to_location_type",
    "product_to_region_code",
    "product_usagetype",
    "reservation_availability_zone",
    "reservation_end_time",
    "reservation_modification_status",
    "reservation_normalized_units_per_reservation",
    "reservation_number_of_reservations",
    "reservation_reservation_a_r_n",
    "reservation_start_time",
    "reservation_subscription_id",
    "reservation_total_reserved_normalized_units",
    "reservation_total_reserved_units",
    "reservation_units_per_reservation",
    "savings_plan_end_time",
    "savings_plan_instance_type_family",
    "savings_plan_offering_type",
    "savings_plan_payment_option",
    "savings_plan_purchase_term",
    "savings_plan_region",
    "savings_plan_savings_plan_a_r_n",
    "savings_plan_start_time",
    "split_line_item_parent_resource_id",
]
_AWS = dict.fromkeys(_AWS_MONEY, MONEY) | dict.fromkeys(_AWS_INSTANTS, "TIMESTAMPTZ") | dict.fromkeys(_AWS_TEXT, "VARCHAR")
_LEGACY_TEXT = ["product_product_name", "product_region", "product_vcpu", "product_memory", "product_gpu", "product_operating_system"]
_MAPS = dict.fromkeys(("cost_category", "product", "resource_tags", "tags", "discount"), "MAP(VARCHAR, VARCHAR)")
_TOKENS = [
    "input_tokens",
    "input_cached_tokens",
    "input_cache_write_tokens",
    "input_uncached_tokens",
    "output_tokens",
    "input_text_tokens",
    "output_text_tokens",
    "input_cached_text_tokens",
    "input_audio_tokens",
    "input_cached_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "input_cached_image_tokens",
    "output_image_tokens",
    "num_model_requests",
]


def _text(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), "VARCHAR")


TABLES: dict[str, dict[str, str]] = {
    "aws_cur": LINEAGE | _AWS | dict.fromkeys(_LEGACY_TEXT, "VARCHAR"),
    "aws_cur2": LINEAGE | _AWS | _MAPS,
    "openai_usage": LINEAGE
    | {"bucket_start": "TIMESTAMPTZ", "bucket_end": "TIMESTAMPTZ", "batch": "BOOLEAN"}
    | _text("endpoint group_by_signature project_id user_id api_key_id model service_tier _extra")
    | dict.fromkeys(_TOKENS, "BIGINT"),
    "openai_costs": LINEAGE
    | {"bucket_start": "TIMESTAMPTZ", "bucket_end": "TIMESTAMPTZ", "amount_value": MONEY, "quantity": MONEY}
    | _text("amount_currency line_item project_id api_key_id quantity_unit _extra"),
    "anthropic_usage": LINEAGE
    | {"starting_at": "TIMESTAMPTZ", "ending_at": "TIMESTAMPTZ"}
    | _text("account_id service_account_id api_key_id workspace_id model service_tier context_window inference_geo _extra")
    | dict.fromkeys(
        (
            "uncached_input_tokens",
            "cache_creation_5m_input_tokens",
            "cache_creation_1h_input_tokens",
            "cache_read_input_tokens",
            "output_tokens",
            "web_search_requests",
        ),
        "BIGINT",
    ),
    "anthropic_costs": LINEAGE
    | {"starting_at": "TIMESTAMPTZ", "ending_at": "TIMESTAMPTZ", "amount_cents": MONEY}
    | _text("currency cost_type description model token_type service_tier context_window inference_geo workspace_id _extra"),
    "gcp_billing": {field.name: sql_type(field.type) for field in source_named("gcp_billing").table.schema},
}


def create_bronze(connection: duckdb.DuckDBPyConnection, dynamic: Mapping[str, Sequence[str]] | None = None) -> None:
    """Create every bronze table, empty; `dynamic` adds text columns to a table (legacy CUR tags)."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE SCHEMA IF NOT EXISTS bronze")
    for table, columns in TABLES.items():
        typed = columns | dict.fromkeys((dynamic or {}).get(table, ()), "VARCHAR")
        listing = ", ".join(f'"{name}" {sql_type}' for name, sql_type in typed.items())
        connection.execute(f"CREATE OR REPLACE TABLE bronze.{table} ({listing})")


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows; a column that a row does not name is NULL."""
    for row in rows:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        connection.execute(f"INSERT INTO bronze.{table} ({names}) VALUES ({marks})", list(row.values()))


def load_legacy_file(connection: duckdb.DuckDBPyConnection, relation: str, source_id: str, period: str) -> None:
    """A vendor's legacy CUR, already with normalised names (`relation` is SQL), into bronze.aws_cur as the lake would hold it."""
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    delivered = [row[0] for row in described]
    declared = TABLES["aws_cur"]
    dynamic = [name for name in delivered if name not in declared and name.startswith(("product_", "resource_tags_", "cost_category_"))]
    create_bronze(connection, {"aws_cur": dynamic})
    types = declared | dict.fromkeys(dynamic, "VARCHAR")
    picked = {name: _cast(name, types[name]) for name in delivered if name in types}
    lineage = {
        "_source_id": f"'{source_id}'",
        "_billing_period": f"'{period}'",
        "_slice": f"'{period}'",
        "_delivery_id": "'delivery-1'",
        "_object_key": "'cur-00001'",
        "_row_number": "row_number() OVER ()",
    }
    columns = lineage | picked
    names = ", ".join(f'"{name}"' for name in columns)
    connection.execute(f"INSERT INTO bronze.aws_cur ({names}) SELECT {', '.join(columns.values())} FROM {relation}")


def _cast(name: str, sql_type: str) -> str:
    text = f"NULLIF(CAST(\"{name}\" AS VARCHAR), '')"
    if sql_type == "TIMESTAMPTZ":
        return f"CAST(CAST({text} AS TIMESTAMP) AS TIMESTAMPTZ)"
    return text if sql_type == "VARCHAR" else f"CAST({text} AS {sql_type})"
