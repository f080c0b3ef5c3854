"""Provider comparison and efficiency: marts.fct_provider_comparison and the efficiency marts → a `Section` of its own, in US dollars.

All amounts are list prices of the day, so that routes can be compared, save the column that says what was paid. A sum of which one part is
unknown is unknown. Rates are ratios of the month's sums.
Run alone: `section(con, BillingPeriod.parse("2026-10"), frozenset({"fct_provider_comparison"}))`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from insights.reports import efficiency_charts
from insights.reports.basis import month_name, ratio
from insights.reports.efficiency_tables import (
    BATCH,
    CACHE,
    KNOWN,
    NO_USE,
    PROVISIONED,
    ROUTES,
    WASTE,
    batch,
    cache,
    known_total,
    provisioned,
    route_name,
    waste,
)
from insights.reports.model import Cell, Chart, Column, Figure, Section, Table
from insights.reports.rounding import cents

if TYPE_CHECKING:
    import duckdb

    from costlake.periods import BillingPeriod

COMPARISON = "fct_provider_comparison"


def section(con: duckdb.DuckDBPyConnection, period: BillingPeriod, marts: frozenset[str]) -> Section | None:
    """What the month's model use would cost elsewhere, and what caching, batch and bought throughput did.

    None before the marts are published, and in a month without model use.
    """
    if not {COMPARISON, CACHE, BATCH, PROVISIONED, WASTE} <= marts:
        return None
    routes, cheaper, possible = _routes(con, period), _cheaper(con, period), _possible(con, period)
    saved, moved = cache(con, period), batch(con, period)
    if not routes.rows:
        return None
    drawn: list[Chart | None] = [efficiency_charts.offers_chart(cheaper), efficiency_charts.cache_chart(saved)]
    return Section(
        currency="USD",
        name="efficiency",
        title="Provider comparison and efficiency",
        headline=_headline(period, routes, saved, moved),
        figures=_figures(routes, saved, moved),
        tables=(routes, cheaper, possible, saved, moved, provisioned(con, period), waste(con, period)),
        charts=tuple(chart for chart in drawn if chart is not None),
    )


def _routes(con: duckdb.DuckDBPyConnection, period: BillingPeriod) -> Table:
    """A row per model and used route: the same tokens at list on every route that has the same model, at its cheapest scope."""
    per_route = ", ".join(f"min(list_cost) filter (where route_id = '{route}')" for route in ROUTES)
    rows = con.execute(
        f"""
        with offers as (
            select
                model_id, used_route_id, used_scope, route_id, region_scope, is_current,
                {KNOWN.format("list_cost_usd")} as list_cost, sum(actual_cost) as paid, any_value(billing_currency) as currency
            from marts.{COMPARISON}
            where billing_period = ? and equivalence = 'same' and tokens_total > 0
            group by all
        )
        select
            model_id, used_route_id, used_scope,
            max(paid) filter (where is_current and currency = 'USD'), max(list_cost) filter (where is_current) as used, {per_route}
        from offers
        group by model_id, used_route_id, used_scope
        order by used desc nulls last, model_id, used_route_id, used_scope
        """,
        [period.label],
    ).fetchall()
    shown: list[tuple[Cell, ...]] = [
        (model or "No model named", route_name(route, scope), paid, used, *elsewhere)
        for model, route, scope, paid, used, *elsewhere in rows
    ]
    return Table(
        key="routes",
        title="The same tokens on each route",
        columns=(
            Column("Model"),
            Column("Used on"),
            Column("Paid USD", "money"),
            Column("List, as used", "money"),
            *(Column(name, "money") for name in ROUTES.values()),
        ),
        rows=tuple(shown),
        total=("Total", None, known_total(shown, 2), None, *(None for _ in ROUTES)) if shown else None,
        source=f"marts.{COMPARISON}",
        empty=NO_USE,
        note="Own tokens at list prices of each day, caching and batch as used, at the cheapest scope of a route. "
        "A dash: the route does not offer the model, "
        "or the price of some token class is not known there. Quality, latency and data residency are not compared.",
        fold_after=16,
        never_fold=2,
    )


def _cheaper(con: duckdb.DuckDBPyConnection, period: BillingPeriod) -> Table:
    """Offers that would have cost less at list, the largest saving first."""
    rows = con.execute(
        f"""
        select
            model_id, used_route_id, used_scope, route_id, region_scope, equivalence, any_value(route_model_id),
            {KNOWN.format("list_cost_usd - list_difference_usd")} as used, {KNOWN.format("list_cost_usd")} as offered,
            {KNOWN.format("list_difference_usd")} as difference
        from marts.{COMPARISON}
        where billing_period = ? and not is_current and tokens_total > 0
        group by model_id, used_route_id, used_scope, route_id, region_scope, equivalence
        having difference < 0
        order by difference, model_id, route_id, region_scope, equivalence
        """,
        [period.label],
    ).fetchall()
    shown: list[tuple[Cell, ...]] = []
    for model, used_route, used_scope, route, scope, equivalence, offered_model, used, offered, difference in rows:
        what = "same model" if equivalence == "same" else f"successor {_plain(offered_model)}"
        shown.append(
            (model, route_name(used_route, used_scope), route_name(route, scope), what, used, offered, difference, ratio(-difference, used))
        )
    return Table(
        key="offers",
        title="Cheaper at list",
        columns=(
            Column("Model"),
            Column("Used on"),
            Column("Offered on"),
            Column("What"),
            Column("List, as used", "money"),
            Column("List there", "money"),
            Column("Difference", "money", minus=(5, 4)),
            Column("Saves", "percent"),
        ),
        rows=tuple(shown),
        source=f"marts.{COMPARISON}",
        empty="No route offers what was used for less at list, as far as prices are known.",
        note="Offers exclude each other: never add them up. A successor is what the maker names; whether it does "
        "the work is not said here.",
        sheet="Cheaper offers",
    )


def _possible(con: duckdb.DuckDBPyConnection, period: BillingPeriod) -> Table:
    """The used route with caching and batch as they were and as they could be."""
    costs = ("list_cost_usd", "list_cost_without_cache_usd", "list_cost_best_cache_usd", "list_cost_all_batch_usd")
    rows = con.execute(
        f"""
        select model_id, used_route_id, used_scope, {", ".join(KNOWN.format(cost) for cost in costs)}
        from marts.{COMPARISON}
        where billing_period = ? and is_current and tokens_total > 0
        group by model_id, used_route_id, used_scope
        order by 4 desc nulls last, model_id, used_route_id, used_scope
        """,
        [period.label],
    ).fetchall()
    shown: list[tuple[Cell, ...]] = [(model or "No model named", route_name(route, scope), *found) for model, route, scope, *found in rows]
    return Table(
        key="possible",
        title="As used, and as possible",
        columns=(
            Column("Model"),
            Column("Used on"),
            Column("List, as used", "money"),
            Column("Without any caching", "money"),
            Column("At the best hit rate", "money"),
            Column("All in batch", "money"),
        ),
        rows=tuple(shown),
        total=("Total", None, *(known_total(shown, place) for place in range(2, 6))) if shown else None,
        source=f"marts.{COMPARISON}",
        empty=NO_USE,
        note="The best hit rate is one that the same traffic has reached this month; more cache writes are not "
        "in it. All in batch is a bound: somebody "
        "may wait for the answer. A dash: not known, no batch price or no cache read to take a rate from.",
        fold_after=16,
        never_fold=2,
    )


def _headline(period: BillingPeriod, routes: Table, saved: Table, moved: Table) -> str:
    used, best = _used_and_best(routes)
    text = f"The models used in {month_name(period)} cost {cents(used):,.2f} USD at list where every price is known."
    if best < used:
        text += f" The cheapest route for each would have cost {cents(used - best):,.2f} USD less."
    elif used:
        text += " No other route offers the same model for less."
    net = saved.total[6] if saved.total else None
    if isinstance(net, Decimal):
        text += f" Caching saved {cents(net):,.2f} USD net."
    could = moved.total[5] if moved.total else None
    if isinstance(could, Decimal) and could > 0:
        text += f" Batch would save {cents(could):,.2f} USD more at most."
    return text


def _figures(routes: Table, saved: Table, moved: Table) -> tuple[Figure, ...]:
    used, best = _used_and_best(routes)
    hits, dollars = (saved.total[2], saved.total[3]) if saved.total else (None, None)
    weighed = f"{dollars * 100:,.1f} % weighed by dollars" if isinstance(dollars, Decimal) else "not known by dollars"
    return (
        Figure("Cache hit rate", hits if isinstance(hits, Decimal) else None, weighed, kind="percent"),
        Figure("Net saved by caching, USD", _decimal(saved.total and saved.total[6]), "reads less what writes cost more"),
        Figure("Batch could save, USD", _decimal(moved.total and moved.total[5]), "at most, where a batch price is known"),
        Figure("Cheapest routes, USD", best - used, "against the used ones, same models, at list"),
    )


def _used_and_best(routes: Table) -> tuple[Decimal, Decimal]:
    """List cost of the used routes and of the cheapest ones, over the models whose used route is priced."""
    used = best = Decimal(0)
    for row in routes.rows:
        here = row[3]
        if isinstance(here, Decimal):
            used += here
            best += min([here, *(cost for cost in row[4:] if isinstance(cost, Decimal))])
    return used, best


def _plain(model: str) -> str:
    """A route's id of a model as people say it: global.anthropic.claude-sonnet-4-6-v1:0 → claude-sonnet-4-6."""
    return model.rsplit(".", 1)[-1].removesuffix(":0").removesuffix("-v1") if ":" in model else model


def _decimal(cell: object) -> Decimal | None:
    return cell if isinstance(cell, Decimal) else None
