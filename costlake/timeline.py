"""A price over time, and what happens to it when another one becomes known: the past stays as it was priced.

Data flow: the known timelines of a price + those that lists and config give now → the timelines to write (`costlake.prices`).

A price that depends on the hour has a timeline per window of the UTC day. Windows are disjoint on each day. Where lists and book cut the
day differently, both are compared in cells that neither cuts; cells with one price become windows again.
Run alone: it has no output of its own; python -m pytest tests/costlake/test_prices.py
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import chain, pairwise
from typing import Any

from costlake.money import at_scale
from costlake.periods import BillingPeriod
from costlake.pricelist import DAY_MINUTES, WHOLE_DAY, Segment, Window


@dataclass(frozen=True, order=True)
class Key:
    """What a price is of, and in which minutes of the UTC day it holds (from incl., to excl.)."""

    provider: str
    model_id: str
    token_class: str
    service_tier: str
    context_from_tokens: int
    region_scope: str
    from_minute_utc: int = 0
    to_minute_utc: int = DAY_MINUTES

    @property
    def window(self) -> Window:
        """Its minutes."""
        return self.from_minute_utc, self.to_minute_utc

    def during(self, window: Window) -> Key:
        """The same price in other minutes."""
        return replace(self, from_minute_utc=window[0], to_minute_utc=window[1])


@dataclass(frozen=True)
class Entry:
    """The price of a key from one day (incl.) to another (excl.); see PRICE_BOOK for what the fields mean."""

    price: Decimal | None
    reason: str | None
    valid_from: dt.date | None
    valid_to: dt.date | None
    origin: str
    note: str | None
    listed_model: str | None
    held: bool = False
    held_price: Decimal | None = None
    held_origin: str | None = field(default=None, compare=False)  # of this run only; the log keeps the price
    restated: Decimal | None = None
    active: bool = True
    revision: int = field(default=0, compare=False)

    @classmethod
    def of_segment(cls, segment: Segment, listed_model: str | None) -> Entry:
        """What a list or an override says."""
        price = None if segment.price_usd_per_million is None else at_scale(segment.price_usd_per_million)
        return cls(price, segment.price_reason, segment.valid_from, segment.valid_to, segment.origin, segment.note, listed_model)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Entry:
        """What `ops.price_book` says."""
        return cls(
            row["price_usd_per_million"],
            row["price_reason"],
            row["valid_from"],
            row["valid_to"],
            row["origin"],
            row["note"],
            row["listed_model"],
            row["held_price_usd_per_million"] is not None,
            row["held_price_usd_per_million"],
            restated=row["restated_price_usd_per_million"],
            active=row["active"],
            revision=row["revision"],
        )

    def segment(self, key: Key) -> Segment:
        """As a price list would say it."""
        what = (key.token_class, key.service_tier, key.context_from_tokens, key.region_scope)
        return Segment(*what, self.price, self.valid_from, self.valid_to, self.reason, self.origin, self.note, *key.window)

    def row(self) -> dict[str, Any]:
        """As columns of `ops.price_book`."""
        return {
            "listed_model": self.listed_model,
            "price_usd_per_million": self.price,
            "price_reason": self.reason,
            "held_price_usd_per_million": self.held_price,
            "restated_price_usd_per_million": self.restated,
            "valid_from": self.valid_from,
            "valid_to": self.valid_to,
            "origin": self.origin,
            "note": self.note,
            "active": self.active,
        }

    def covers(self, day: dt.date) -> bool:
        """Whether the entry is of this day."""
        return (self.valid_from or dt.date.min) <= day < (self.valid_to or dt.date.max)


Timelines = Mapping[Window, Sequence[Entry]]


def merged_windows(
    known: Timelines, wanted: Timelines, today: dt.date, restate: Sequence[BillingPeriod]
) -> dict[Window, tuple[Entry, ...]]:
    """The timelines to write of one price, per window of the day; arguments as for `merged`."""
    grid = list(pairwise(sorted({*WHOLE_DAY, *chain.from_iterable((*known, *wanted))})))
    return in_windows({cell: merged(_during(known, cell), _during(wanted, cell), today, restate) for cell in grid})


def in_windows(cells: Timelines) -> dict[Window, tuple[Entry, ...]]:
    """Neighbours of the day that have one price as one window, in those days in which they do."""
    if len(cells) == 1:
        return {window: tuple(entries) for window, entries in cells.items()}
    found: dict[Window, list[Entry]] = {}
    for start, end in _spans(chain.from_iterable(cells.values())):
        runs: list[tuple[Window, Entry]] = []
        for cell, entries in sorted(cells.items()):
            entry = _at(entries, start)
            if entry is None:
                continue
            entry = replace(entry, valid_from=None if start == dt.date.min else start, valid_to=end)
            if runs and runs[-1][0][1] == cell[0] and runs[-1][1] == entry:
                runs[-1] = (runs[-1][0][0], cell[1]), entry
            else:
                runs.append((cell, entry))
        for window, entry in runs:
            found.setdefault(window, []).append(entry)
    return {window: _joined(entries) for window, entries in found.items()}


def _during(timelines: Timelines, cell: Window) -> tuple[Entry, ...]:
    """The timeline of a cell that no window cuts."""
    found = [each for window, entries in timelines.items() if window[0] <= cell[0] and cell[1] <= window[1] for each in entries]
    return tuple(sorted(found, key=lambda each: each.valid_from or dt.date.min))


def _spans(entries: Iterable[Entry], *more: dt.date) -> list[tuple[dt.date, dt.date | None]]:
    """Days from (incl.) to (excl.) in which no entry begins or ends; the last one is open."""
    bounds = {day for each in entries for day in (each.valid_from, each.valid_to) if day is not None}
    days = [dt.date.min, *sorted(bounds | set(more))]
    return list(zip(days, [*days[1:], None], strict=True))


def merged(known: Sequence[Entry], wanted: Sequence[Entry], today: dt.date, restate: Sequence[BillingPeriod]) -> tuple[Entry, ...]:
    """The timeline to write.

    Args:
        known: the newest revision; empty for a key that is new, which then is what is wanted, in the past, too.
        wanted: what lists and config say now.
        today: the first day on which a changed price may hold.
        restate: months whose days are priced anew.
    """
    if not known or _says(known) == _says(wanted):
        return tuple(known or wanted)
    months = [day for month in restate for day in (month.start.date(), month.end.date())]
    pieces = []
    for start, end in _spans((*known, *wanted), today, *months):
        piece = _decided(_at(known, start), _at(wanted, start), is_past=start < today, restate=_is_in(start, restate))
        if piece is not None:
            pieces.append(replace(piece, valid_from=None if start == dt.date.min else start, valid_to=end))
    return _joined(pieces)


def _decided(old: Entry | None, new: Entry | None, *, is_past: bool, restate: bool) -> Entry | None:
    """What holds in days in which neither timeline changes."""
    if old is None or not old.active:
        return new
    if new is None or _same(old, new):
        # nothing else is said any more: what was held back is settled, what was restated stays on record
        return replace(old, held=False, held_price=None)
    if not is_past or old.price is None:
        return new
    if restate:
        return replace(new, restated=old.price)
    return replace(old, held=new.price is not None, held_price=new.price, held_origin=new.origin)


def _same(old: Entry, new: Entry) -> bool:
    return (old.price, old.reason) == (new.price, new.reason)


def _says(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    return [(each.price, each.reason, each.valid_from, each.valid_to, each.active, each.held) for each in entries]


def _at(entries: Sequence[Entry], day: dt.date) -> Entry | None:
    return next((each for each in entries if each.covers(day)), None)


def _is_in(day: dt.date, months: Sequence[BillingPeriod]) -> bool:
    return any(month.start.date() <= day < month.end.date() for month in months)


def _joined(pieces: Sequence[Entry]) -> tuple[Entry, ...]:
    done: list[Entry] = []
    for each in pieces:
        last = done[-1] if done else None
        if (
            last is not None
            and last.valid_to == each.valid_from
            and replace(each, valid_from=last.valid_from, valid_to=last.valid_to) == last
        ):
            done[-1] = replace(last, valid_to=each.valid_to)
        else:
            done.append(each)
    return tuple(done)
