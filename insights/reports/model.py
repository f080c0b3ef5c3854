"""What a report is made of, before it becomes HTML or XLSX: tables of exact values, each with the mart it comes from.

Both renderers read the same `Table`, so that the page and the workbook cannot disagree. Amounts stay exact here; the page rounds them
(`insights.reports.rounding`), the workbook does not.
Run alone: this module only declares; `insights.reports.finance.build` fills it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal

Cell = str | Decimal | int | date | None
# Folding fewer rows than this saves no space worth the loss.
LEAST_FOLDED = 4
WEIGHTY = Decimal("0.02")
Kind = Literal["text", "money", "count", "percent", "price", "small_price", "rate", "date", "exact", "status"]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        label: heading.
        kind: how a value is shown; money in the section's currency, percent as a fraction, price per million tokens,
            small_price per request, rate an exchange rate, exact as all its decimals.
        minus: (current, previous) column indexes when this column is their difference, so that a printed row adds up.
        minus_above: column index when this column is its difference to the row above, so that a printed column adds up.
    """

    label: str
    kind: Kind = "text"
    minus: tuple[int, int] | None = None
    minus_above: int | None = None


@dataclass(frozen=True)
class Table:
    """A table of exact values.

    Attributes:
        key: short name; anchor of the page.
        rows: cells in the order of the columns.
        total: the sum row over all rows; None where adding up would be wrong.
        source: which marts or ledgers the values come from.
        empty: what to say when there are no rows.
        fold_after: how many rows the page shows before it folds the rest into one (the workbook shows all); 0: all.
        sheet: name of the workbook's sheet where the title is too long for one (31 characters).
        never_fold: a column in which a row of weight (WEIGHTY of the total) is not folded away, wherever it stands.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    source: str
    empty: str
    total: tuple[Cell, ...] | None = None
    note: str = ""
    fold_after: int = 0
    never_fold: int | None = None
    sheet: str = ""

    def folded(self) -> Table:
        """The table as the page shows it: rows beyond `fold_after` summed into one 'Other' row; its ratios are left empty."""
        if not self.fold_after or len(self.rows) < self.fold_after + LEAST_FOLDED:
            return self
        head = tuple(row for index, row in enumerate(self.rows) if index < self.fold_after or self._weighs(row))
        tail = tuple(row for index, row in enumerate(self.rows) if index >= self.fold_after and not self._weighs(row))
        other: list[Cell] = [f"{len(tail)} others"]
        for index, column in enumerate(self.columns[1:], start=1):
            amounts = [cell for row in tail if isinstance(cell := row[index], Decimal | int)]
            summed = column.kind in ("money", "count") and len(amounts) == len(tail)
            other.append(sum(amounts, Decimal(0)) if summed else None)
        return replace(self, rows=(*head, tuple(other)))

    def _weighs(self, row: tuple[Cell, ...]) -> bool:
        if self.never_fold is None or self.total is None:
            return False
        amount, whole = row[self.never_fold], self.total[self.never_fold]
        return isinstance(amount, Decimal) and isinstance(whole, Decimal) and abs(amount) >= abs(whole) * WEIGHTY


@dataclass(frozen=True)
class Figure:
    """A headline figure.

    Attributes:
        amount: the exact amount; None where unknown.
        context: one line that puts it into proportion.
        minus: (current, previous) exact amounts when the figure is their difference: in print, the difference of the printed amounts.
    """

    label: str
    amount: Decimal | None
    context: str
    kind: Kind = "money"
    minus: tuple[Decimal, Decimal] | None = None


@dataclass(frozen=True)
class Chart:
    """A chart as inline SVG, with its text alternative and a caption."""

    key: str
    title: str
    svg: str
    description: str
    caption: str


@dataclass(frozen=True)
class Section:
    """Everything about one billing currency, or about all of them in the reporting currency.

    Attributes:
        currency: of every amount, save columns that say otherwise.
        name: of a section that is not a billing currency's own; its anchor.
    """

    currency: str
    headline: str
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...] = ()
    sentences: tuple[str, ...] = ()
    name: str = ""
    title: str = ""

    @property
    def anchor(self) -> str:
        """Where the page jumps to."""
        return self.name or self.currency

    @property
    def heading(self) -> str:
        """The section's title."""
        return self.title or f"Cost in {self.currency}"

    def table(self, key: str) -> Table:
        """The table of that key."""
        return next(table for table in self.tables if table.key == key)


@dataclass(frozen=True)
class Report:
    """A finance report of one billing period, ready to be rendered.

    Attributes:
        sections: one per billing currency.
        combined: all of them in the reporting currency; None where that would only say the same again.
        efficiency: what the month's model use would cost elsewhere; None where no model was used.
    """

    period: str
    month_name: str
    previous_name: str
    as_of: date
    completeness: str
    is_complete: bool
    sections: tuple[Section, ...]
    audit: tuple[Table, ...]
    checks: Literal["exact", "failed", "unchecked"]
    notes: tuple[str, ...] = ()
    combined: Section | None = None
    efficiency: Section | None = None

    @property
    def all_sections(self) -> tuple[Section, ...]:
        """In the order of reading."""
        return tuple(each for each in (self.combined, *self.sections, self.efficiency) if each is not None)
