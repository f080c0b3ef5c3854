"""What caching, batch and bought throughput did, and what failed: the efficiency marts → `Table`s of a month, in US dollars at list prices.

A sum of which one part is unknown is unknown. Rates are ratios of the month's sums.
Run alone: `cache(con, BillingPeriod.parse("2026-10"))`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from insights.reports.basis import ratio
from insights.reports.model import Cell, Column, Table

if TYPE_CHECKING:
    import duckdb

    from costlake.periods import BillingPeriod

CACHE, BATCH = "fct_cache_efficiency_daily", "fct_batch_efficiency_daily"
PROVISIONED, WASTE = "fct_provisioned_throughput", "fct_llm_waste_daily"
ROUTES = {"anthropic": "Claude API", "openai": "OpenAI API", "bedrock": "Bedrock", "azure": "Azure OpenAI", "vertex": "Vertex AI"}
# A sum is known where all of its parts are.
KNOWN = "case when bool_and({0} is not null) then sum({0}) end"
NO_USE = "No model use in this month."


def cache(con: duckdb.DuckDBPyConnection, period: BillingPeriod) -> Table:
    """Cache hit rates by tokens and by dollars, with what was saved, paid for writing, never read and missed."""
    money = ("saved_by_reads_usd", "write_premium_usd", "net_saved_usd")
    rows = con.execute(
        f"""
        select
            base_model_id, route_id, sum(input_tokens_total), sum(cache_read_tokens_total),
            {KNOWN.format("cache_read_at_full_price_usd")}, {KNOWN.format("input_at_full_price_usd")},
            {", ".join(KNOWN.format(name) for name in money)},
            sum(unread_write_usd_at_least), {KNOWN.format("lost_usd_estimate")}
        from marts.{CACHE} where billing_period = ?
        group by base_model_id, route_id
        order by sum(net_saved_usd) desc nulls last, base_model_id, route_id
        """,
        [period.label],
    ).fetchall()
    shown: list[tuple[Cell, ...]] = [
        (model or "No model named", route_name(route, ""), ratio(read, tokens), ratio(read_usd, input_usd), *found)
        for model, route, tokens, read, read_usd, input_usd, *found in rows
    ]
    read, tokens = sum((row[3] for row in rows), Decimal(0)), sum((row[2] for row in rows), Decimal(0))
    dollars = ratio(known_total(rows, 4), known_total(rows, 5))
    total = ("Total", None, ratio(read, tokens), dollars, *(known_total(shown, place) for place in range(4, 9)))
    return Table(
        key="cache",
        title="What caching saved",
        columns=(
            Column("Model"),
            Column("Used on"),
            Column("Hit rate, tokens", "percent"),
            Column("Hit rate, dollars", "percent"),
            Column("Saved by reads", "money"),
            Column("Paid for writes", "money"),
            Column("Net saved", "money"),
            Column("Written, never read", "money"),
            Column("Missed, estimate", "money"),
        ),
        rows=tuple(shown),
        total=total if shown else None,
        source=f"marts.{CACHE}",
        empty=NO_USE,
        note="By tokens: cache reads over all input. By dollars: the same, weighed with each model's price of "
        "uncached input. Paid for writes: "
        "what they cost above uncached input. Written, never read: a lower bound, from days whose next day "
        "is known. Missed: at the best hit "
        "rate of the same traffic.",
    )


def batch(con: duckdb.DuckDBPyConnection, period: BillingPeriod) -> Table:
    """Share of batch among what could be batch, with what it saved and what the rest would save."""
    rows = con.execute(
        f"""
        select
            base_model_id, route_id, sum(tokens_total), sum(batch_tokens), sum(could_move_tokens), sum(no_batch_price_tokens),
            {KNOWN.format("saved_by_batch_usd")}, {KNOWN.format("could_save_usd")} as could
        from marts.{BATCH} where billing_period = ?
        group by base_model_id, route_id
        order by could desc nulls last, sum(tokens_total) desc, base_model_id, route_id
        """,
        [period.label],
    ).fetchall()
    shown: list[tuple[Cell, ...]] = [
        (
            model or "No model named",
            route_name(route, ""),
            tokens,
            ratio(moved, moved + could),
            saved,
            # where nothing has a batch price, nothing is known to be saved
            could_save if moved + could else None,
            unpriced,
        )
        for model, route, tokens, moved, could, unpriced, saved, could_save in rows
    ]
    moved, could = sum((row[3] for row in rows), Decimal(0)), sum((row[4] for row in rows), Decimal(0))
    total = (
        "Total",
        None,
        known_total(shown, 2),
        ratio(moved, moved + could),
        known_total(shown, 4),
        sum((row[7] or Decimal(0) for row in rows), Decimal(0)),
        known_total(shown, 6),
    )
    return Table(
        key="batch",
        title="Batch, and what could be",
        columns=(
            Column("Model"),
            Column("Used on"),
            Column("Tokens", "count"),
            Column("Batch share", "percent"),
            Column("Saved by batch", "money"),
            Column("Could save, at most", "money"),
            Column("Tokens without a batch price", "count"),
        ),
        rows=tuple(shown),
        total=total if shown else None,
        source=f"marts.{BATCH}",
        empty=NO_USE,
        note="Batch share: batch tokens over those and standard tokens that have a batch price. Could save: all "
        "of these in batch, whoever "
        "waits for the answer.",
    )


def provisioned(con: duckdb.DuckDBPyConnection, period: BillingPeriod) -> Table:
    """Bought throughput by route, unit and model: units, cost, utilisation, break-even."""
    rows = con.execute(
        f"""
        select
            route_id, region_scope, provisioned_unit_type, model_id, billing_currency,
            sum(provisioned_unit_hours), sum(effective_cost) as cost,
            {KNOWN.format("used_token_equivalents")}, {KNOWN.format("capacity_token_equivalents")},
            {KNOWN.format("tokens_served")}, case when billing_currency = 'USD' then {KNOWN.format("served_at_payg_usd")} end,
            max(busiest_hour_utilisation), sum(spill_over_tokens_at_most),
            string_agg(distinct replace(coalesce(break_even_reason, capacity_reason), '_', ' '), '; ')
        from marts.{PROVISIONED} where billing_period = ?
        group by route_id, region_scope, provisioned_unit_type, model_id, billing_currency
        order by cost desc, route_id, provisioned_unit_type, model_id
        """,
        [period.label],
    ).fetchall()
    shown: list[tuple[Cell, ...]] = []
    for route, scope, unit, model, currency, hours, cost, used, capacity, tokens, payg, busiest, spilled, why in rows:
        utilisation = ratio(used, capacity)
        even = None if utilisation is None or not payg else (utilisation * cost / payg).quantize(Decimal("0.000001"))
        per_million = None if not tokens else (cost * 1_000_000 / tokens).quantize(Decimal("1e-12"))
        shown.append(
            (
                route_name(route, scope or ""),
                str(unit or "not told").replace("_", " "),
                model,
                hours,
                cost,
                currency,
                utilisation,
                busiest,
                spilled,
                even,
                per_million,
                why,
            )
        )
    return Table(
        key="provisioned",
        title="Provisioned throughput",
        columns=(
            Column("Bought on"),
            Column("Unit"),
            Column("Model"),
            Column("Unit hours", "count"),
            Column("Cost", "money"),
            Column("Currency"),
            Column("Utilisation", "percent"),
            Column("Busiest hour", "percent"),
            Column("Spilled over at most", "count"),
            Column("Breaks even at", "percent"),
            Column("Per million tokens", "price"),
            Column("Why unknown"),
        ),
        rows=tuple(shown),
        source=f"marts.{PROVISIONED}",
        empty="No provisioned throughput was bought in this month.",
        note="Below the break-even utilisation pay-as-you-go is cheaper; above 100 % it always is. Utilisation needs a usage report of the "
        "provisioned tier; it averages, so the busiest hour stands beside it. Spilled over: tokens of the model that were paid by the "
        "token on the days of the units, for whatever reason.",
    )


def waste(con: duckdb.DuckDBPyConnection, period: BillingPeriod) -> Table:
    """Failed requests, of the sources that count them."""
    rows = con.execute(
        f"""
        select
            source_id, provider_name, coalesce(model_id, 'No model named') as model,
            sum(request_count), sum(failed_request_count) as failed,
            {KNOWN.format("failed_cost_usd")}, string_agg(distinct replace(failed_cost_reason, '_', ' '), '; ')
        from marts.{WASTE} where billing_period = ? and failed_request_count is not null
        group by source_id, provider_name, model
        order by failed desc, source_id, provider_name, model
        """,
        [period.label],
    ).fetchall()
    return Table(
        key="waste",
        title="Requests that failed",
        columns=(
            Column("Source"),
            Column("Provider"),
            Column("Model"),
            Column("Requests", "count"),
            Column("Failed", "count"),
            Column("Failed %", "percent"),
            Column("Their cost USD", "money"),
            Column("Why unknown"),
        ),
        rows=tuple((*row[:5], ratio(Decimal(row[4]), None if row[3] is None else Decimal(row[3])), *row[5:]) for row in rows),
        source=f"marts.{WASTE}",
        empty="No source of this month counts failed requests; that is not to say that none failed.",
        fold_after=16,
    )


def route_name(route: str | None, scope: str) -> str:
    """A route as people call it, with its scope where it has several."""
    name = ROUTES.get(route or "", route or "not told")
    return f"{name}, {scope.replace('_', ' ')}" if scope else name


def known_total(rows: Sequence[tuple[Cell, ...]], place: int) -> Decimal | None:
    """The sum of a column, or None when a part of it is unknown."""
    amounts = [row[place] for row in rows]
    known = [Decimal(amount) for amount in amounts if isinstance(amount, Decimal | int)]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None
