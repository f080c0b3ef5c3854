"""Charts of the section on provider comparison and efficiency: its tables → inline SVG, drawn as the other charts are.

Run alone: `cache_chart(table)`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from insights.reports.charts import ACCENT, FALL, OTHER, RISE, WIDTH, _amounts, _inline, _length, _shortened, _svg
from insights.reports.model import Chart, Table

_SHOWN = 10


def offers_chart(table: Table) -> Chart | None:
    """The offers that would save most, as bars: the same model apart from successors. None without offers."""
    import altair as alt

    data = [
        {
            "name": f"{_shortened(str(row[0]), 24)} → {_shortened(_offer(row), 38)}",
            "rank": rank,
            "saves": -(_length(row[6]) or 0.0),
            "what": "same model" if row[3] == "same model" else "its maker's successor",
        }
        for rank, row in enumerate(table.rows[:_SHOWN])
    ]
    if not data:
        return None
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=["same model", "its maker's successor"], range=[ACCENT, OTHER]),
        legend=alt.Legend(title=None, orient="top", symbolType="square", direction="horizontal", offset=10),
    )
    return Chart(
        "offers_chart",
        table.title,
        _svg(_bars(data, "saves", colour)),
        "Bars of what the cheapest offers would save at list, in USD.",
        "Saved at list in USD, each offer by itself.",
    )


def cache_chart(table: Table) -> Chart | None:
    """Net saved and missed by model, side by side. None where nothing was saved or missed."""
    import altair as alt

    rows = [row for row in table.rows if _worth(row[6]) or _worth(row[8])][:_SHOWN]
    data = [
        {"name": _named(row), "rank": 2 * rank + place, "usd": _length(row[column]) or 0.0, "what": what, "row": rank}
        for rank, row in enumerate(rows)
        for place, (column, what) in enumerate(((6, "net saved"), (8, "missed, estimate")))
        if row[column] is not None
    ]
    if not data:
        return None
    bars = (
        alt.Chart(_inline(data))
        .mark_bar(height=9)
        .encode(
            x=alt.X("usd:Q", title=None, axis=_amounts(6, "~s")),
            y=alt.Y("name:N", title=None, sort=alt.SortField("row"), axis=alt.Axis(labelLimit=400, ticks=False, domain=False)),
            yOffset=alt.YOffset("what:N", sort=["net saved", "missed, estimate"]),
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=["net saved", "missed, estimate"], range=[FALL, RISE]),
                legend=alt.Legend(title=None, orient="top", symbolType="square", direction="horizontal", offset=10),
            ),
        )
        .properties(width=WIDTH - 330, height=alt.Step(13))
    )
    return Chart(
        "cache_chart",
        table.title,
        _svg(bars),
        "Bars of what caching saved net and of what it missed, by model, in USD.",
        "Net saved and missed in USD, at list prices.",
    )


def _bars(data: list[dict[str, Any]], length: str, colour: Any) -> Any:
    import altair as alt

    return (
        alt.Chart(_inline(data))
        .mark_bar(height=14)
        .encode(
            x=alt.X(f"{length}:Q", title=None, axis=_amounts(6, "~s")),
            y=alt.Y("name:N", title=None, sort=alt.SortField("rank"), axis=alt.Axis(labelLimit=400, ticks=False, domain=False)),
            color=colour,
        )
        .properties(width=WIDTH - 330, height=alt.Step(24))
    )


def _offer(row: tuple[object, ...]) -> str:
    return str(row[2]) if row[3] == "same model" else f"{str(row[3]).removeprefix('successor ')}, {row[2]}"


def _named(row: tuple[object, ...]) -> str:
    return f"{_shortened(str(row[0]), 28)} · {_shortened(str(row[1]), 18)}"


def _worth(cell: object) -> bool:
    return isinstance(cell, Decimal) and abs(cell) >= 1
