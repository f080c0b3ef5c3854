"""Report tables → charts as inline SVG (altair, drawn by vl-convert without a browser or a network).

Floats live here only as lengths of bars; every figure that is read as text comes from the tables.
Run alone: `trend_chart(rows, "USD")`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from insights.reports.model import Chart, Table

if TYPE_CHECKING:
    import duckdb

    from insights.reports.basis import Basis

INK, MUTED, GRID = "#1b2430", "#5b6672", "#e4e8ec"
ACCENT, RISE, FALL = "#22577a", "#b4532a", "#2f7d6b"
# Distinguishable without colour vision by lightness as well as hue; grey is for what is folded together.
PALETTE = ("#22577a", "#5fa8a0", "#c98b3c", "#7d5a86", "#9c4f4f")
OTHER = "#a3adb8"
FONT = "Inter, 'Segoe UI', system-ui, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
WIDTH = 880


def trend_chart(con: duckdb.DuckDBPyConnection, basis: Basis) -> Chart | None:
    """Effective cost by month and provider, 13 months; the largest five providers by name. None for a single month."""
    import altair as alt

    rows = con.execute(
        """
        select billing_period, provider_name, sum(effective_cost) from marts.fct_cost_daily
        where billing_currency = ? and billing_period in (
            select distinct billing_period from marts.fct_cost_daily
            where billing_currency = ? and billing_period <= ? order by 1 desc limit 13
        )
        group by all order by 1, 2
        """,
        [basis.currency, basis.currency, basis.period.label],
    ).fetchall()
    months = sorted({month for month, _, _ in rows})
    if len(months) < 2:
        return None
    order = _largest([(provider, cost) for _, provider, cost in rows])
    data = [
        {"month": f"{month}-01", "provider": provider if provider in order else "Others", "cost": float(cost)}
        for month, provider, cost in rows
    ]
    domain = [*order, "Others"] if any(point["provider"] == "Others" for point in data) else order
    chart = (
        alt.Chart(_inline(data))
        .mark_bar()
        .encode(
            x=alt.X("yearmonth(month):O", title=None, axis=alt.Axis(format="%b %y", labelAngle=0), scale=alt.Scale(paddingInner=0.3)),
            y=alt.Y("sum(cost):Q", title=None, axis=_amounts(5)),
            color=_provider_colour(domain),
            order=alt.Order("rank:O"),
        )
        .transform_calculate(rank=f"indexof({domain!r}, datum.provider)")
        .properties(width=WIDTH, height=220)
    )
    description = f"Stacked bars of effective cost in {basis.currency} by provider, {months[0]} to {months[-1]}."
    return Chart("trend_chart", "Thirteen months", _svg(chart), description, f"Effective cost in {basis.currency}.")


def daily_chart(table: Table, odd_days: Sequence[tuple[date, str]], basis: Basis) -> Chart | None:
    """Modelled usage per day with the forecast and its 80 % band, one panel per provider. None without days."""
    import altair as alt

    if not table.rows:
        return None
    order = _largest([(str(row[1]), _amount(row[2])) for row in table.rows])
    data: list[dict[str, Any]] = [
        {
            "day": str(row[0]),
            "provider": row[1],
            "actual": _length(row[2]),
            "forecast": _length(row[3]),
            "low": _length(row[4]),
            "high": _length(row[5]),
        }
        for row in table.rows
        if row[1] in order
    ]
    marked = {(str(day), provider) for day, provider in odd_days}
    panels = []
    for index, provider in enumerate(order):
        points = [point for point in data if point["provider"] == provider]
        for point in points:
            point["odd"] = point["actual"] if (point["day"], provider) in marked else None
        colour = PALETTE[index]
        base = alt.Chart(_inline(points)).encode(
            x=alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", grid=False, tickCount=8, labels=index == len(order) - 1))
        )
        scale = alt.Scale(zero=True, nice=True)
        axis = _amounts(3)
        band = base.mark_area(color=colour, opacity=0.18).encode(y=alt.Y("low:Q", title=None, scale=scale, axis=axis), y2="high:Q")
        expected = base.mark_line(color=colour, strokeDash=[4, 3], strokeWidth=1.4).encode(y="forecast:Q")
        actual = base.mark_line(color=colour, strokeWidth=1.8).encode(y="actual:Q")
        odd = base.mark_point(color=RISE, filled=True, size=60, opacity=1).encode(y="odd:Q")
        title = alt.TitleParams(provider, anchor="start", fontSize=12, fontWeight=600, color=INK, offset=4)
        panels.append((band + expected + actual + odd).properties(width=WIDTH, height=96, title=title))
    description = f"Daily usage cost in {basis.currency} by provider with the forecast and its 80 % band."
    caption = f"Usage in {basis.currency} per day: solid as charged, dashed as forecast with its 80 % band; a dot marks an anomaly."
    return Chart(
        "daily_chart",
        "Day by day, and what comes next",
        _svg(alt.vconcat(*panels, spacing=14)),
        description,
        caption,
    )


def movers_chart(table: Table, basis: Basis) -> Chart | None:
    """The eight largest changes since the month before as bars to the left and right. None without changes."""
    import altair as alt

    if not table.rows:
        return None
    data = [
        {
            "name": f"{_shortened(str(row[0]), 30)} · {_shortened(str(row[1]), 24)}",
            "rank": rank,
            "change": _length(row[5]),
            "way": "more" if _amount(row[5]) > 0 else "less",
        }
        for rank, row in enumerate(table.rows[:8])
    ]
    colour = alt.Color("way:N", legend=None, scale=alt.Scale(domain=["more", "less"], range=[RISE, FALL]))
    bars = (
        alt.Chart(_inline(data))
        .mark_bar(height=14)
        .encode(
            x=alt.X("change:Q", title=None, axis=_amounts(6, "+~s")),
            y=alt.Y("name:N", title=None, sort=alt.SortField("rank"), axis=alt.Axis(labelLimit=400, ticks=False, domain=False)),
            color=colour,
        )
        .properties(width=WIDTH - 330, height=alt.Step(24))
    )
    description = f"Bars of the largest changes in effective cost against {basis.against}, in {basis.currency}."
    return Chart(
        "movers_chart",
        "What changed",
        _svg(bars),
        description,
        f"Change against {basis.against}, {basis.currency}.",
    )


def _inline(points: Sequence[dict[str, Any]]) -> Any:
    return {"values": list(points)}


def _amounts(ticks: int, number: str = "~s") -> Any:
    """An axis of amounts with a plain 0."""
    import altair as alt

    return alt.Axis(tickCount=ticks, labelExpr=f"datum.value == 0 ? '0' : format(datum.value, '{number}')")


def _provider_colour(domain: Sequence[str]) -> Any:
    import altair as alt

    colours = [OTHER if name == "Others" else PALETTE[index % len(PALETTE)] for index, name in enumerate(domain)]
    legend = alt.Legend(title=None, orient="top", symbolType="square", direction="horizontal", labelLimit=260, offset=10)
    return alt.Color("provider:N", scale=alt.Scale(domain=list(domain), range=colours), legend=legend)


def _largest(costs: Sequence[tuple[str, Decimal]]) -> list[str]:
    sums: dict[str, Decimal] = {}
    for name, cost in costs:
        sums[name] = sums.get(name, Decimal(0)) + cost
    return sorted(sums, key=lambda name: (-sums[name], name))[: len(PALETTE)]


def _amount(cell: object) -> Decimal:
    return cell if isinstance(cell, Decimal) else Decimal(0)


def _length(cell: object) -> float | None:
    """A drawn length; not a figure anybody adds up."""
    return float(cell) if isinstance(cell, Decimal) else None


def _shortened(name: str, longest: int) -> str:
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _svg(chart: Any) -> str:
    """The drawn chart as an SVG element that scales with the page. Nothing in it is clipped or filled by reference, so it has no ids."""
    import vl_convert

    config = {
        "font": FONT,
        "background": None,
        "view": {"stroke": None},
        "axis": {
            "labelColor": MUTED, "labelFontSize": 11, "gridColor": GRID, "domainColor": GRID, "tickColor": GRID, "domain": False,
            "ticks": False, "labelPadding": 6,
        },
        "legend": {"labelColor": INK, "labelFontSize": 12, "symbolSize": 90},
    }  # fmt: skip
    drawn = vl_convert.vegalite_to_svg(chart.to_dict() | {"config": config})
    # Scales down with the page, never up: letters keep their size.
    return re.sub(r'class="marks" width="([\d.]+)" height="[\d.]+"', r'class="chart" role="img" style="max-width:\1px"', drawn, count=1)
