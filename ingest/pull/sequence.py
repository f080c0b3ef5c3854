"""Whether the pages of a pull make a whole: none twice, none missing, no bucket twice, no cursor that leads back.

Data flow: question, page bytes in the order of arrival → the next cursor, or IncompletePull before the page is written.

Buckets have to follow each other without a gap from the window's start to its end: both providers also send buckets without data, so
that a gap is a lost page. Reports of a day (Claude Code) have records instead, of which none may come twice.
Not for direct use.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from costlake.errors import IncompletePull
from ingest.pull.apis import Api, Ask

_AGAIN = "pull again; nothing of this pull was kept, and the lake was not touched"


@dataclass
class Sequence:
    """The state of a pull while its pages come in; replaying the stored pages brings it back.

    Attributes:
        result_count: results (or records) so far. done: the last page is here. day: the UTC day that is asked for, of daily reports.
        cursor: of the next page; None for the first one (of a day).
    """

    api: Api
    ask: Ask
    accept_gaps: bool = False
    result_count: int = 0
    done: bool = False
    cursor: str | None = None
    day: dt.datetime = field(init=False)
    _reached: dt.datetime = field(init=False)
    _cursors: set[str] = field(default_factory=set)
    _records: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.day = self._reached = self.ask.start

    def params(self) -> list[tuple[str, str]]:
        """The parameters of the next request."""
        ask = self.ask if not self.ask.report.daily else Ask(self.ask.report, self.day, self.day + _DAY, "1d", ())
        return [*self.api.params(ask), *([("page", self.cursor)] if self.cursor is not None else [])]

    def accept(self, content: bytes, name: str) -> None:
        """Judge one page; raises IncompletePull, which names what is missing or double, and then takes no note of it."""
        page = _page(content, name)
        if self.ask.report.daily:
            self._accept_records(page["data"], name)
        else:
            self._accept_buckets(page["data"], name)
        if page["has_more"]:
            self._turn(page.get("next_page"), bool(page["data"]), name)
        else:
            self._finish(name)

    def _turn(self, cursor: object, has_data: bool, name: str) -> None:
        if not isinstance(cursor, str) or not cursor:
            raise _broken("the page says has_more and gives no cursor", name, "next_page, the cursor of the page after it")
        if cursor in self._cursors:
            raise _broken("the cursor of the next page came before: the pages lead round in a circle", name, "each cursor once")
        if not has_data:
            raise _broken("the page is empty and says has_more", name, "pages that lead on")
        self._cursors.add(cursor)
        self.cursor = cursor

    def _finish(self, name: str) -> None:
        self.cursor = None
        if self.ask.report.daily:
            self._cursors.clear()
            self.day += _DAY
            self.done = self.day >= self.ask.end
            return
        if self._reached != self.ask.end and not self.accept_gaps:
            raise _broken(f"the last page ends at {self._reached:%Y-%m-%dT%H:%MZ}", name, f"buckets until {self.ask.end:%Y-%m-%dT%H:%MZ}")
        self.done = True

    def _accept_buckets(self, buckets: list[Any], name: str) -> None:
        reached, results = self._reached, 0
        for bucket in buckets:
            try:
                start, end = self.api.times(bucket)
                results += len(bucket["results"])
            except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
                raise _broken(f"a bucket has no readable times or results ({error})", name, "the documented bucket") from error
            if start < reached:
                raise _broken(
                    f"the bucket of {start:%Y-%m-%dT%H:%MZ} comes twice or out of order", name, f"one from {reached:%Y-%m-%dT%H:%MZ} on"
                )
            if start > reached and not self.accept_gaps:
                raise _broken(
                    f"buckets are missing from {reached:%Y-%m-%dT%H:%MZ} to {start:%Y-%m-%dT%H:%MZ}",
                    name,
                    "every bucket, also without data",
                )
            if not start < end <= self.ask.end:
                raise _broken(
                    f"a bucket ends at {end:%Y-%m-%dT%H:%MZ}", name, f"an end after its start, until {self.ask.end:%Y-%m-%dT%H:%MZ}"
                )
            reached = end
        self._reached = reached
        self.result_count += results

    def _accept_records(self, records: list[Any], name: str) -> None:
        fresh: set[bytes] = set()
        for record in records:
            said = str(record.get("date") if isinstance(record, dict) else None)
            if said[:10] != self.day.date().isoformat():
                raise _broken(f"a record is of {said[:40]!r}", name, f"records of {self.day.date()}")
            print_ = hashlib.sha256(json.dumps(record, sort_keys=True, default=str).encode()).digest()
            if print_ in self._records or print_ in fresh:
                raise _broken("a record comes twice", name, "each record once")
            fresh.add(print_)
        self._records |= fresh
        self.result_count += len(records)


_DAY = dt.timedelta(days=1)


def _page(content: bytes, name: str) -> dict[str, Any]:
    try:
        page = json.loads(content.decode("utf-8"), parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise _broken(f"the answer is not JSON ({error})", name, "a page") from error
    if not isinstance(page, dict) or not isinstance(page.get("data"), list) or not isinstance(page.get("has_more"), bool):
        raise _broken("the answer is no page", name, "a JSON object with data (a list) and has_more (true or false)")
    return page


def _broken(what: str, name: str, expected: str) -> IncompletePull:
    return IncompletePull(what, where=name, expected=expected, next_step=_AGAIN)
