"""A small estate by hand: bronze Delta tables, the delivery ledger and a warehouse, without any reader or dbt."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

import duckdb
import pyarrow as pa

from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.runs import ControlTotal, DeliveryEvent, record_deliveries
from costlake.settings import Settings
from costlake.tables import BRONZE_MONEY, COUNT, TEXT, bronze_table
from ingest.source import Source

NOON = dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)
CLOCK = FixedClock(NOON)


def _unused(*_: object) -> Any:
    raise AssertionError("quality must not read provider files")


def _source(name: str, provider: str, fields: list[pa.Field], **settings: Any) -> Source:
    return Source(
        name=name,
        provider=provider,
        title=name,
        table=bronze_table(name, fields),
        formats="",
        documentation="",
        find=_unused,
        open=_unused,
        recognises=_unused,
        **settings,
    )


MONEY = [pa.field("amount", BRONZE_MONEY), pa.field("amortised", BRONZE_MONEY), pa.field("currency", TEXT)]
MEASURES = {"billed": "amount", "effective": "amortised"}
CLOUD = _source("cloud_bill", "Cloud", MONEY, feeds="focus", measures=MEASURES, currency_sql="upper(currency)")
RIVAL = _source("rival_bill", "Rival", MONEY, feeds="focus", measures=MEASURES, currency_sql="upper(currency)")
MODEL = _source("model_usage", "Model", [pa.field("tokens", COUNT)], feeds="tokens", measures={"tokens": "tokens"})

WAREHOUSE = """
CREATE SCHEMA focus; CREATE SCHEMA marts; CREATE SCHEMA intermediate;
CREATE TABLE focus.cost_and_usage (
    x_SourceId VARCHAR, x_BillingPeriod VARCHAR, x_DeliveryId VARCHAR, x_ObjectKey VARCHAR, x_RowNumber BIGINT,
    BillingCurrency VARCHAR, BilledCost DECIMAL(38,12), EffectiveCost DECIMAL(38,12), ChargePeriodStart TIMESTAMPTZ,
    ChargeCategory VARCHAR, ServiceCategory VARCHAR, ServiceName VARCHAR, x_Owner VARCHAR, x_OwnerReason VARCHAR,
    x_ModelId VARCHAR, x_ModelReason VARCHAR,
    HostProviderName VARCHAR DEFAULT 'Cloud', ServiceProviderName VARCHAR DEFAULT 'Cloud', ChargeDescription VARCHAR, SkuId VARCHAR,
    SkuMeter VARCHAR, ListUnitPrice DECIMAL(38,12), PricingUnit VARCHAR, x_UsageType VARCHAR, x_InstanceType VARCHAR, x_TokenClass VARCHAR,
    x_AiUsageKind VARCHAR, x_AiReason VARCHAR
);
CREATE TABLE marts.fct_ai_cost_daily (
    source_id VARCHAR, billing_period VARCHAR, charge_date DATE, service_name VARCHAR, usage_kind VARCHAR, ai_reason VARCHAR,
    billed_cost DECIMAL(38,12), effective_cost DECIMAL(38,12), accelerator_hours DECIMAL(38,12), line_count BIGINT
);
CREATE TABLE marts.fct_node_cost_daily (
    source_id VARCHAR, billing_period VARCHAR, charge_date DATE, node_id VARCHAR, owner VARCHAR, owner_reason VARCHAR,
    billing_currency VARCHAR, effective_cost DECIMAL(38,12)
);
CREATE TABLE marts.fct_cost_daily (
    source_id VARCHAR, billing_period VARCHAR, charge_date DATE, provider_name VARCHAR, service_category VARCHAR,
    service_name VARCHAR, charge_category VARCHAR, owner VARCHAR, owner_reason VARCHAR, billing_currency VARCHAR,
    billed_cost DECIMAL(38,12), effective_cost DECIMAL(38,12), line_count BIGINT, exchange_rate DECIMAL(38,18),
    exchange_rate_reason VARCHAR
);
CREATE TABLE marts.fct_token_economics_daily (
    billing_period VARCHAR, charge_date DATE, provider_name VARCHAR, model_id VARCHAR, token_class VARCHAR,
    billing_currency VARCHAR, tokens DECIMAL(38,0), effective_cost DECIMAL(38,12), cost_per_million_tokens DECIMAL(38,12),
    cost_reason VARCHAR, host_provider_name VARCHAR
);
CREATE TABLE marts.fct_model_economics_daily (
    billing_period VARCHAR, charge_date DATE, provider_name VARCHAR, model_id VARCHAR, billing_currency VARCHAR,
    request_count BIGINT, input_tokens_total DECIMAL(38,0), output_tokens_total DECIMAL(38,0), cost_per_million_tokens DECIMAL(38,12),
    cache_hit_rate DECIMAL(38,12)
);
CREATE TABLE marts.fct_restatements (
    source_id VARCHAR, billing_period VARCHAR, billing_currency VARCHAR, change_number BIGINT, replaced_at TIMESTAMPTZ, cause VARCHAR,
    billed_then DECIMAL(38,18), billed_now DECIMAL(38,18), row_count_now BIGINT, delivery_id_now VARCHAR, difference DECIMAL(38,18)
);
CREATE TABLE marts.fct_token_usage (
    source_id VARCHAR, billing_period VARCHAR, charge_date DATE, provider_name VARCHAR, model_id VARCHAR, service_tier VARCHAR,
    token_class VARCHAR, quantity DECIMAL(38,0), list_cost_usd DECIMAL(38,12), price_reason VARCHAR
);
CREATE TABLE marts.fct_llm_reconciliation_daily (
    billing_period VARCHAR, charge_date DATE, provider_name VARCHAR, billing_currency VARCHAR, billed_cost_usd DECIMAL(38,12),
    residual_usd DECIMAL(38,12), capture_rate DECIMAL(38,12), capture_reason VARCHAR, residual_unexplained_usd DECIMAL(38,12),
    residual_price_learnt_late_usd DECIMAL(38,12), residual_not_billed_usd DECIMAL(38,12)
);
CREATE TABLE marts.fct_focus_faults (
    source_id VARCHAR, billing_period VARCHAR, rule_id VARCHAR, focus_rule VARCHAR, severity VARCHAR, row_count BIGINT,
    example_object_key VARCHAR, example_row_number BIGINT, example_value VARCHAR
);
CREATE TABLE marts.fct_gpu_hours (
    billing_period VARCHAR, charge_date DATE, hour_start TIMESTAMPTZ, node_id VARCHAR, host VARCHAR, gpu_uuid VARCHAR, row_kind VARCHAR,
    row_reason VARCHAR, effective_cost DECIMAL(38,12), cost_reason VARCHAR, activity_ratio DECIMAL(18,12), memory_used_ratio DECIMAL(18,12),
    observed_seconds DECIMAL(38,6), billing_currency VARCHAR DEFAULT 'USD'
);
CREATE TABLE marts.fct_gpu_allocation_hourly (
    billing_period VARCHAR, charge_date DATE, hour_start TIMESTAMPTZ, node_id VARCHAR, pod VARCHAR, usage_state VARCHAR,
    gpu_hours DECIMAL(38,12), owner VARCHAR, owner_reason VARCHAR
);
CREATE TABLE marts.fct_gpu_waste_daily (
    billing_period VARCHAR, charge_date DATE, node_id VARCHAR, usage_state VARCHAR, idle_gpu_hours DECIMAL(38,12), gpu_count BIGINT,
    wasted_cost DECIMAL(38,12), cost_reason VARCHAR
);
CREATE TABLE marts.fct_cache_efficiency_daily (
    billing_period VARCHAR, charge_date DATE, route_id VARCHAR, model_id VARCHAR, input_tokens_total DECIMAL(38,0),
    cache_read_tokens_total DECIMAL(38,0), cache_hit_rate DECIMAL(38,12), cache_hit_rate_dollar_weighted DECIMAL(38,12),
    saved_by_reads_usd DECIMAL(38,12), net_saved_usd DECIMAL(38,12), unread_write_tokens_at_least DECIMAL(38,0),
    lost_usd_estimate DECIMAL(38,12), lost_basis VARCHAR, price_reason VARCHAR
);
CREATE TABLE marts.fct_batch_efficiency_daily (
    billing_period VARCHAR, charge_date DATE, route_id VARCHAR, model_id VARCHAR, tokens_total DECIMAL(38,0), batch_tokens DECIMAL(38,0),
    could_move_tokens DECIMAL(38,0), no_batch_price_tokens DECIMAL(38,0), other_tier_tokens DECIMAL(38,0), batch_share DECIMAL(38,12)
);
CREATE TABLE marts.fct_provisioned_throughput (
    billing_period VARCHAR, period_start TIMESTAMPTZ, period_end TIMESTAMPTZ, route_id VARCHAR, provisioned_unit_type VARCHAR,
    model_id VARCHAR, provisioned_unit_hours DECIMAL(38,12), effective_cost DECIMAL(38,12), utilisation DECIMAL(38,12),
    break_even_utilisation DECIMAL(38,12), break_even_reason VARCHAR
);
CREATE TABLE marts.fct_llm_waste_daily (
    source_id VARCHAR, billing_period VARCHAR, charge_date DATE, failed_request_count BIGINT, failed_request_share DECIMAL(38,12),
    failed_request_reason VARCHAR
);
CREATE TABLE marts.fct_provider_comparison (
    billing_period VARCHAR, used_route_id VARCHAR, model_id VARCHAR, project_id VARCHAR, route_id VARCHAR, region_scope VARCHAR,
    is_current BOOLEAN, tokens_total DECIMAL(38,0), unpriced_tokens DECIMAL(38,0), list_cost_usd DECIMAL(38,12), list_reason VARCHAR,
    actual_cost DECIMAL(38,12)
);
CREATE TABLE intermediate.int_token_usage (
    source_id VARCHAR, billing_period VARCHAR, provider_name VARCHAR, is_counted BOOLEAN,
    input_uncached_tokens DECIMAL(38,0), input_cache_read_tokens DECIMAL(38,0),
    input_cache_write_5m_tokens DECIMAL(38,0), input_cache_write_1h_tokens DECIMAL(38,0), output_tokens DECIMAL(38,0),
    input_audio_tokens DECIMAL(38,0), input_audio_cache_read_tokens DECIMAL(38,0), output_audio_tokens DECIMAL(38,0),
    input_image_tokens DECIMAL(38,0), input_image_cache_read_tokens DECIMAL(38,0), output_image_tokens DECIMAL(38,0)
);
CREATE TABLE intermediate.int_ai_charges (
    provider_name VARCHAR, billing_period VARCHAR, consumed_tokens DECIMAL(38,0), host_provider_name VARCHAR
);
"""


@dataclass
class Estate:
    """What the tests write into; each method puts one layer in place."""

    settings: Settings
    clock: FixedClock = CLOCK
    deliveries: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        """The lake of this test."""
        return Lake(self.settings)

    def deliver(
        self, source: Source, source_id: str, period: str, rows: list[dict[str, Any]], *, announced: str | None = None, ledger: bool = True
    ) -> str:
        """Replace a slice of bronze and note it in the ledger; `announced` is what the bill says if it lies."""
        number = self.deliveries[(source_id, period)] = self.deliveries.get((source_id, period), 0) + 1
        delivery_id = f"{source_id}-{period}-{number}"
        lineage = {
            "_source_id": source_id, "_billing_period": period, "_slice": period, "_delivery_id": delivery_id,
            "_object_key": "part-1", "_object_etag": "e", "_manifest_hash": "m", "_schema_hash": "s", "_ingested_at": NOON,
        }  # fmt: skip
        full = [{**lineage, "_row_number": n, **row} for n, row in enumerate(rows, 1)]
        table = pa.Table.from_pylist(full, schema=source.table.schema)
        self.lake.replace(source.table, table, {"_source_id": source_id, "_billing_period": period})
        if ledger:
            total = None
            if source.feeds == "focus":
                total = Decimal(announced) if announced else _sum(row["amount"] for row in rows)
            said = ControlTotal(period, period, "USD" if total is not None else None, len(rows), total, total)
            moment = FixedClock(NOON + dt.timedelta(seconds=number))
            record_deliveries(
                self.lake, [DeliveryEvent("loaded", source_id, source.name, delivery_id, f"{period}/manifest", total=said)], moment
            )
        return delivery_id

    def sql(self, statement: str) -> None:
        """Change the warehouse behind dbt's back."""
        connection = duckdb.connect(str(self.settings.warehouse))
        try:
            connection.execute(statement)
        finally:
            connection.close()

    def focus(self, source_id: str, period: str, amounts: list[tuple[str, str]], *, copies: int = 1) -> None:
        """Write FOCUS rows (billed, effective) and the mart that sums them."""
        for billed, effective in amounts * copies:
            self.sql(
                "INSERT INTO focus.cost_and_usage (x_SourceId, x_BillingPeriod, x_DeliveryId, x_ObjectKey, x_RowNumber, BillingCurrency,"
                " BilledCost, EffectiveCost, ChargePeriodStart, ChargeCategory, ServiceCategory, ServiceName, x_Owner)"
                f" VALUES ('{source_id}', '{period}', 'd', 'part-1', 1, 'USD', {billed}, {effective},"
                f" '{period}-01 00:00:00+00', 'Usage', 'Compute', 'Machines', 'team-a')"
            )
        self.sql(
            f"DELETE FROM marts.fct_cost_daily WHERE (source_id, billing_period) = ('{source_id}', '{period}');"
            "INSERT INTO marts.fct_cost_daily SELECT x_SourceId, x_BillingPeriod, ChargePeriodStart::DATE, 'Cloud', ServiceCategory,"
            " ServiceName, ChargeCategory, x_Owner, x_OwnerReason, BillingCurrency, sum(BilledCost), sum(EffectiveCost), count(*), 1, NULL"
            f" FROM focus.cost_and_usage WHERE (x_SourceId, x_BillingPeriod) = ('{source_id}', '{period}') GROUP BY ALL"
        )


def row(amount: str, amortised: str | None = None, currency: str | None = "USD") -> dict[str, Any]:
    """A bronze row of the made-up bills."""
    return {"amount": Decimal(amount), "amortised": Decimal(amortised if amortised is not None else amount), "currency": currency}


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    with localcontext(prec=76):
        return sum((amount for amount in amounts if amount is not None), Decimal(0))
