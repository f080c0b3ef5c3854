"""Unit economics as report tables: marts.fct_token_economics_daily, marts.fct_model_economics_daily → `Table`s.

A rate of a month is the month's cost over the month's units, never an average of daily rates, and only days count on which both are known.
Run alone: `token_prices(con, basis)`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from insights.reports.basis import Basis, ratio
from insights.reports.model import Column, Table

if TYPE_CHECKING:
    import duckdb

UNIT_MART = "marts.fct_token_economics_daily"
MODEL_MART = "marts.fct_model_economics_daily"
CLASS_NAMES = {
    "input_uncached": "input, not cached",
    "input_cache_read": "input, read from cache",
    "input_cache_write_5m": "input, written to cache for 5 min",
    "input_cache_write_1h": "input, written to cache for 1 h",
    "output": "output",
    "input_audio": "input, audio",
    "input_audio_cache_read": "input, audio read from cache",
    "output_audio": "output, audio",
    "input_image": "input, images",
    "input_image_cache_read": "input, images read from cache",
    "output_image": "output, images",
}
_MILLION = Decimal(1_000_000)
_SOLD_BY = "case when host_provider_name <> provider_name then provider_name || ' on ' || host_provider_name else provider_name end"


def token_prices(con: duckdb.DuckDBPyConnection, basis: Basis) -> Table:
    """Cost per million tokens by model and token class, beside the month before."""
    rows = con.execute(
        f"""
        select
            coalesce(base_model_id, 'No model named') as model, {_SOLD_BY} as sold_by, token_class,
            sum(tokens) filter (where billing_period = $period),
            sum(effective_cost) filter (where billing_period = $period),
            sum(effective_cost) filter (where billing_period = $period and tokens > 0),
            sum(tokens) filter (where billing_period = $period and effective_cost is not null),
            sum(effective_cost) filter (where billing_period = $previous and tokens > 0),
            sum(tokens) filter (where billing_period = $previous and effective_cost is not null),
            string_agg(distinct replace(cost_reason, '_', ' '), '; ') filter (where billing_period = $period)
        from marts.fct_token_economics_daily
        where (billing_currency = $currency or billing_currency is null) and billing_period in ($period, $previous)
        group by model, sold_by, token_class
        having bool_or(billing_period = $period)
        order by bool_and(token_class is null), 5 desc nulls last, model, sold_by, token_class
        """,
        {"currency": basis.currency, "period": basis.period.label, "previous": basis.previous.label},
    ).fetchall()
    shown = []
    for model, provider, token_class, tokens, cost, priced, counted, before_cost, before_tokens, reasons in rows:
        name = CLASS_NAMES.get(token_class, token_class) if token_class else "not metered in tokens"
        now, before = per_million(priced, counted), per_million(before_cost, before_tokens)
        change = ratio(now - before, before) if now is not None and before is not None else None
        shown.append((model, name, provider, tokens, cost, now, before, change, reasons))
    return Table(
        key="token_prices",
        title="Cost per million tokens",
        columns=(
            Column("Model"), Column("Token class"), Column("Provider"), Column("Tokens", "count"),
            Column(f"Cost {basis.currency}", "money"),
            Column(f"{basis.currency} per million", "price"), Column("Month before", "price"), Column("Change %", "percent"),
            Column("Why unknown"),
        ),
        rows=tuple(shown),
        source=UNIT_MART,
        empty="No usage metered in tokens in this month.",
        note="Classes are disjoint: the cost of a model is the sum of its rows.",
        fold_after=24,
    )  # fmt: skip


def per_million(cost: Decimal | None, tokens: Decimal | None) -> Decimal | None:
    """Cost of a million tokens to 12 places; None where either is unknown or no token was used."""
    if cost is None or not tokens:
        return None
    return (cost * _MILLION / tokens).quantize(Decimal("1e-12"))


def model_units(con: duckdb.DuckDBPyConnection, basis: Basis) -> Table:
    """Requests, tokens, cost per request and per million tokens, and cache hit rate by model."""
    rows = con.execute(
        f"""
        select
            coalesce(base_model_id, 'No model named') as model, {_SOLD_BY} as sold_by,
            sum(request_count), sum(input_tokens_total), sum(output_tokens_total), sum(effective_cost) as cost,
            sum(effective_cost) filter (where request_count > 0), sum(request_count) filter (where effective_cost is not null),
            sum(effective_cost) filter (where input_tokens_total + output_tokens_total > 0),
            sum(input_tokens_total + output_tokens_total) filter (where effective_cost is not null),
            sum(cache_read_tokens_total) filter (where input_tokens_total is not null)
        from marts.fct_model_economics_daily
        where (billing_currency = ? or billing_currency is null) and billing_period = ?
        group by model, sold_by
        order by bool_and(base_model_id is null), cost desc nulls last, model, sold_by
        """,
        [basis.currency, basis.period.label],
    ).fetchall()
    shown = []
    for model, provider, requests, tokens_in, tokens_out, cost, request_cost, costed_requests, token_cost, costed_tokens, cached in rows:
        per_request = (request_cost / costed_requests).quantize(Decimal("1e-12")) if request_cost is not None and costed_requests else None
        shown.append(
            (
                model,
                provider,
                requests,
                tokens_in,
                tokens_out,
                cost,
                per_request,
                per_million(token_cost, costed_tokens),
                ratio(cached, tokens_in),
            )
        )
    return Table(
        key="model_units",
        title="Models at work",
        columns=(
            Column("Model"), Column("Provider"), Column("Requests", "count"), Column("Input tokens", "count"),
            Column("Output tokens", "count"), Column(f"Cost {basis.currency}", "money"), Column("Per request", "small_price"),
            Column("Per million tokens", "price"), Column("Cache hit rate", "percent"),
        ),
        rows=tuple(shown),
        source=MODEL_MART,
        empty="No model usage in this month.",
        note="Cache hit rate: input tokens read from cache over all input tokens. '–': the provider does not report it.",
    )  # fmt: skip
