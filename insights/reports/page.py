"""Report → one self-contained HTML page: inline style, inline SVG, no script, no request to anywhere.

Amounts are rounded here, to cents that add up (`insights.reports.rounding`).
Run alone: `render(report)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import pairwise

from insights.reports.audit import exact_text
from insights.reports.model import Cell, Column, Figure, Kind, Report, Table
from insights.reports.rounding import cents, to_cents

UNKNOWN = "–"
_SIX_DIGITS = Context(prec=6, rounding=ROUND_HALF_UP)
_NUMERIC = frozenset({"money", "count", "percent", "price", "small_price", "rate", "exact"})


@dataclass(frozen=True)
class ShownCell:
    """A cell as text with its CSS classes."""

    text: str
    css: str


@dataclass(frozen=True)
class ShownTable:
    """A table as text; `table` keeps title, note and source."""

    table: Table
    heads: tuple[ShownCell, ...]
    rows: tuple[tuple[ShownCell, ...], ...]
    total: tuple[ShownCell, ...] | None
    folded: int


def render(report: Report) -> str:
    """The page as text. Names from bills are escaped: a service called `<script>` stays a name."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("insights.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown_table
    environment.filters["figure"] = figure_text
    style = environment.loader.get_source(environment, "finance.css")[0] if environment.loader else ""
    return environment.get_template("finance.html.j2").render(report=report, style=style)


def shown_table(table: Table) -> ShownTable:
    """Fold, round and format a table for the page."""
    folded = table.folded()
    rounded = _rounded(folded)
    body, total = (rounded[:-1], rounded[-1]) if folded.total is not None else (rounded, None)
    heads = tuple(ShownCell(column.label, _css(column)) for column in table.columns)
    return ShownTable(
        table=table,
        heads=heads,
        rows=tuple(_shown_row(row, table.columns) for row in body),
        total=_shown_row(total, table.columns) if total is not None else None,
        folded=len(table.rows) - len(folded.rows) + 1 if folded is not table else 0,
    )


def _rounded(table: Table) -> list[list[Cell]]:
    """All rows, the total last where there is one, money in cents that add up down the columns and, for differences, along the rows."""
    rows: list[list[Cell]] = [list(row) for row in table.rows]
    if table.total is not None:
        rows.append(list(table.total))
    for index, column in enumerate(table.columns):
        if column.kind != "money":
            continue
        amounts = [row[index] for row in rows]
        known = [amount for amount in amounts if isinstance(amount, Decimal)]
        adds_up = table.total is not None and len(known) == len(amounts)
        in_cents = iter([*to_cents(known[:-1], known[-1]), cents(known[-1])] if adds_up else [cents(amount) for amount in known])
        for row in rows:
            row[index] = next(in_cents) if isinstance(row[index], Decimal) else row[index]
    for index, column in enumerate(table.columns):
        if column.minus is not None:
            for row in rows:
                now, before = row[column.minus[0]], row[column.minus[1]]
                row[index] = now - before if isinstance(now, Decimal) and isinstance(before, Decimal) else None
        if column.minus_above is not None:
            for above, row in pairwise(rows):
                now, before = row[column.minus_above], above[column.minus_above]
                row[index] = now - before if isinstance(now, Decimal) and isinstance(before, Decimal) else None
    return rows


def _shown_row(row: list[Cell], columns: tuple[Column, ...]) -> tuple[ShownCell, ...]:
    return tuple(ShownCell(cell_text(cell, column), _css(column, cell)) for cell, column in zip(row, columns, strict=True))


def cell_text(cell: Cell, column: Column) -> str:
    """A cell as text; unknown values are a dash, never 0."""
    if cell is None:
        return "" if column.kind == "text" else UNKNOWN
    if isinstance(cell, date):
        return f"{cell:%-d %b %Y}"
    if isinstance(cell, str):
        return cell
    amount = Decimal(cell)
    signed = column.label.startswith(("Change", "Difference"))
    return _number_text(amount, column.kind, signed=signed)


def _number_text(amount: Decimal, kind: Kind, *, signed: bool) -> str:
    if kind == "exact":
        return exact_text(amount)
    if kind == "rate":
        return f"{_SIX_DIGITS.plus(amount):f}"
    if kind == "percent":
        text = f"{amount * 100:,.1f} %"
    elif kind == "count":
        text = f"{amount:,.0f}"
    elif kind == "price":
        text = f"{amount:,.4f}"
    elif kind == "small_price":
        text = f"{amount:,.6f}"
    else:
        text = f"{cents(amount):,.2f}"
    if not any(digit in text for digit in "123456789"):
        text = text.removeprefix("-")
    elif signed and amount > 0:
        text = "+" + text
    # A true minus sign is as wide as the plus and the digits.
    return text.replace("-", "−")


def figure_text(figure: Figure) -> str:
    """A headline amount as text."""
    if figure.amount is None:
        return UNKNOWN
    amount = cents(figure.minus[0]) - cents(figure.minus[1]) if figure.minus else figure.amount
    return _number_text(amount, figure.kind, signed=figure.label.startswith(("Against", "Change")))


def _css(column: Column, cell: Cell = None) -> str:
    classes = ["n"] if column.kind in _NUMERIC else []
    if column.label.startswith(("Change", "Difference")) and column.kind == "money" and isinstance(cell, Decimal) and cell != 0:
        classes.append("up" if cell > 0 else "down")
    if column.kind == "status" and isinstance(cell, str):
        classes.append(f"status {cell}" if cell in ("exact", "failed", "unchecked") else "status")
    return " ".join(classes)
