"""Report → XLSX with the same tables: real numbers with number formats, native charts, one sheet per table.

Excel calculates with 15 significant digits. Each amount is therefore written twice: as a number for work, and, in a folded column
beside it, as text with all its decimals; the text is the amount of the mart. Exchange rates likewise.
Text from bills is always written as text: a tag value that begins with `=` is never a formula.
Run alone: `write(report, path)`.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from insights.reports.audit import exact_text
from insights.reports.model import Cell, Column, Report, Section, Table

if TYPE_CHECKING:
    import xlsxwriter
    from xlsxwriter.worksheet import Worksheet

NUMBER_FORMATS = {
    "money": "#,##0.00;[Red]-#,##0.00", "count": "#,##0", "percent": "0.0%", "price": "#,##0.0000", "small_price": "#,##0.000000",
    "rate": "0.000000000000", "date": "yyyy-mm-dd", "exact": "@",
}  # fmt: skip
DIGITS_NOTE = (
    "Excel keeps 15 significant digits. Number columns are for calculation; the folded columns marked 'exact' beside them (open them with "
    "the + above the sheet) hold the amount of the mart as text with all its decimals."
)
_WITH_EXACT_TEXT = frozenset({"money", "rate"})
# Excel and LibreOffice treat a cell that starts with one of these as a formula when it is edited or re-imported.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_HEAD_ROW = 3


def write(report: Report, path: Path) -> None:
    """Write the workbook; the same report gives the same bytes (its creation time is the as-of date)."""
    import xlsxwriter

    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "nan_inf_to_errors": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        created = dt.datetime.combine(report.as_of, dt.time(), tzinfo=dt.UTC).replace(tzinfo=None)
        book.set_properties({"title": f"AI infrastructure cost, {report.month_name}", "created": created})
        formats = _formats(book)
        _summary(book, report, formats)
        several = len(report.sections) > 1
        for section in report.all_sections:
            for table in section.tables:
                title = table.sheet or table.title
                name = f"{title[:26]} {section.currency}" if several and not section.name else title[:31]
                sheet = _sheet(book, name, table, formats)
                _chart(book, sheet, name, table, section)
        for table in report.audit:
            _sheet(book, table.title, table, formats)


def _formats(book: xlsxwriter.Workbook) -> dict[str, Any]:
    base = {"font_name": "Calibri", "font_size": 11, "font_color": "#1b2430"}
    found = {kind: book.add_format(base | {"num_format": code}) for kind, code in NUMBER_FORMATS.items()}
    found |= {
        f"{kind}_total": book.add_format(base | {"num_format": code, "bold": True, "top": 1}) for kind, code in NUMBER_FORMATS.items()
    }
    found["text"] = found["status"] = book.add_format(base)
    found["text_total"] = found["status_total"] = book.add_format(base | {"bold": True, "top": 1})
    found["guarded"] = book.add_format(base | {"quote_prefix": True})
    found["exact"] = book.add_format(base | {"num_format": "@", "align": "right"})
    found["exact_total"] = book.add_format(base | {"num_format": "@", "align": "right", "bold": True, "top": 1})
    found["head"] = book.add_format(base | {"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom", "font_color": "#4f5b67"})
    found["head_right"] = book.add_format(
        base | {"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom", "align": "right", "font_color": "#4f5b67"}
    )
    found["title"] = book.add_format(base | {"bold": True, "font_size": 15})
    found["soft"] = book.add_format(base | {"font_color": "#4f5b67", "italic": True})
    found["wrapped"] = book.add_format(base | {"text_wrap": True, "valign": "top"})
    return found


def _summary(book: xlsxwriter.Workbook, report: Report, formats: dict[str, Any]) -> None:
    sheet = book.add_worksheet("Summary")
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 1, 20)
    sheet.set_column(2, 2, 34)
    sheet.set_column(3, 3, 80)
    sheet.write_string(0, 0, f"AI infrastructure cost, {report.month_name}", formats["title"])
    sheet.write_string(
        1, 0, f"{report.completeness} Data up to {report.as_of.isoformat()}. Reconciliation: {report.checks}.", formats["soft"]
    )
    row = 3
    for section in report.all_sections:
        for column, text in enumerate((section.heading, "Number", "Exact", "In proportion")):
            sheet.write_string(row, column, text, formats["head"])
        for figure in section.figures:
            row += 1
            sheet.write_string(row, 0, figure.label, formats["text"])
            if figure.amount is not None:
                sheet.write_number(row, 1, float(figure.amount), formats[figure.kind])
                sheet.write_string(row, 2, exact_text(figure.amount), formats["exact"])
            sheet.write_string(row, 3, figure.context, formats["text"])
        row += 1
        sheet.write_string(row, 0, section.headline, formats["text"])
        for sentence in section.sentences:
            row += 1
            sheet.write_string(row, 0, sentence, formats["text"])
        row += 2
    for note in (DIGITS_NOTE, *report.notes):
        sheet.merge_range(row, 0, row, 3, note, formats["wrapped"])
        sheet.set_row(row, 30)
        row += 1


def _sheet(book: xlsxwriter.Workbook, name: str, table: Table, formats: dict[str, Any]) -> Worksheet:
    sheet = book.add_worksheet(name)
    sheet.hide_gridlines(2)
    sheet.write_string(0, 0, table.title, formats["title"])
    note = " ".join(part for part in (table.note, f"Source: {table.source}.") if part)
    sheet.write_string(1, 0, note if table.rows else f"{table.empty} Source: {table.source}.", formats["soft"])
    sheet.freeze_panes(_HEAD_ROW + 1, 1)
    for place, column in zip(_places(table), table.columns, strict=True):
        is_number = column.kind not in ("text", "status")
        sheet.write_string(_HEAD_ROW, place, column.label, formats["head_right" if is_number else "head"])
        sheet.set_column(place, place, 16 if is_number else 28 if place == 0 else 20)
        if column.kind in _WITH_EXACT_TEXT:
            sheet.write_string(_HEAD_ROW, place + 1, f"{column.label}, exact", formats["head_right"])
            sheet.set_column(place + 1, place + 1, 26, None, {"level": 1, "hidden": True})
    rows = [(row, "") for row in table.rows] + ([(table.total, "_total")] if table.total is not None else [])
    for index, (row, suffix) in enumerate(rows, start=_HEAD_ROW + 1):
        for place, column, cell in zip(_places(table), table.columns, row, strict=True):
            _write_cell(sheet, index, place, cell, column, formats, suffix)
    return sheet


def _places(table: Table) -> list[int]:
    """The sheet column of each table column: every amount and rate is followed by its exact text."""
    places, at = [], 0
    for column in table.columns:
        places.append(at)
        at += 2 if column.kind in _WITH_EXACT_TEXT else 1
    return places


def _write_cell(sheet: Worksheet, row: int, place: int, cell: Cell, column: Column, formats: dict[str, Any], suffix: str) -> None:
    if cell is None:
        # A blank cell, not 0: the amount is unknown or has no meaning here.
        sheet.write_blank(row, place, None, formats[column.kind + suffix])
    elif isinstance(cell, str):
        guarded = cell.startswith(_FORMULA_STARTS) and not suffix
        sheet.write_string(row, place, cell, formats["guarded" if guarded else "text" + suffix])
    elif isinstance(cell, dt.date):
        sheet.write_datetime(row, place, dt.datetime.combine(cell, dt.time()), formats["date" + suffix])  # Excel has no zones
    elif column.kind == "exact":
        sheet.write_string(row, place, exact_text(cell), formats["exact" + suffix])
    else:
        sheet.write_number(row, place, float(cell), formats[column.kind + suffix])
        if column.kind in _WITH_EXACT_TEXT and isinstance(cell, Decimal):
            sheet.write_string(row, place + 1, exact_text(cell), formats["exact" + suffix])


def _chart(book: xlsxwriter.Workbook, sheet: Worksheet, name: str, table: Table, section: Section) -> None:
    """A native chart right of the trend and of the provider and service tables."""
    drawn = {"trend": ("column", 2), "providers": ("bar", 2), "services": ("bar", 3), "models": ("bar", 3), "owners": ("bar", 2)}
    if table.key not in drawn or not table.rows:
        return
    kind, column = drawn[table.key]
    places = _places(table)
    first, last = _HEAD_ROW + 1, _HEAD_ROW + min(len(table.rows), 15)
    chart = book.add_chart({"type": kind})
    chart.add_series(
        {
            "name": f"Effective cost {section.currency}",
            "categories": [name, first, 0, last, 0],
            "values": [name, first, places[column], last, places[column]],
            "fill": {"color": "#22577a"},
            "gap": 60,
        }
    )
    chart.set_title({"name": f"{table.title}, effective cost {section.currency}", "name_font": {"size": 12, "bold": False}})
    chart.set_legend({"none": True})
    amounts = {"num_format": "#,##0", "major_gridlines": {"visible": True, "line": {"color": "#dde3e8"}}, "line": {"none": True}}
    names = {"reverse": kind == "bar", "line": {"color": "#dde3e8"}}
    # In a bar chart Excel still calls the axis of the names x.
    chart.set_x_axis(names)
    chart.set_y_axis(amounts)
    chart.set_size({"width": 620, "height": 340})
    sheet.insert_chart(_HEAD_ROW, max(places) + 3, chart)
