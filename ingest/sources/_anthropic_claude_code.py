"""Anthropic's Claude Code report: who used the tool, how much, and with which models; a record per day, actor and terminal.

Data flow: pages of records → bronze.anthropic_claude_code: a row of `row_kind` activity per record, and one of kind model per model in it.

Its tokens are counted elsewhere: those of API customers stand in the messages usage report too, those of subscribers are covered by
their seat. So they never enter the token ledger, and `estimated_cost` never a bill. Sessions and lines stand in the activity row alone,
tokens in the model rows alone: neither is multiplied by the other.
A person is known by an e-mail address; `costlake pull` has put a pseudonym in its place, and a page with an address is refused.
Document: Anthropic Admin API, usage_report/claude_code.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa

from costlake.errors import BadValue
from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, bronze_table
from ingest import pages
from ingest.pages import Json, Place
from ingest.personal import check_no_email, stand_in
from ingest.source import Delivery, LandedObject, LoadContext, Opened

_TEXTS = ("actor_type", "actor_id", "organization_id", "customer_type", "subscription_type", "terminal_type")
_TOOLS = ("edit_tool", "multi_edit_tool", "write_tool", "notebook_edit_tool")
_ACTIVITY = (
    "num_sessions",
    "lines_added",
    "lines_removed",
    "commits",
    "pull_requests",
    *(f"{tool}_{verdict}" for tool in _TOOLS for verdict in ("accepted", "rejected")),
)
_TOKENS = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cache_read",
    "cache_creation_tokens": "cache_creation",
}
_KNOWN = frozenset(
    {"date", "actor", "core_metrics", "tool_actions", "model_breakdown", "organization_id", "customer_type", "subscription_type"}
    | {"terminal_type"}
)
_DAY = dt.timedelta(days=1)
_EXPECTED = "a record of usage_report/claude_code"
_AGAIN = "pull the days again; nothing of them was loaded"

TABLE = bronze_table(
    "anthropic_claude_code",
    [
        pa.field("starting_at", TIMESTAMP),
        pa.field("ending_at", TIMESTAMP),
        pa.field("row_kind", TEXT),
        *(pa.field(name, TEXT) for name in _TEXTS),
        *(pa.field(name, COUNT) for name in _ACTIVITY),
        pa.field("model", TEXT),
        *(pa.field(name, COUNT) for name in _TOKENS),
        pa.field("estimated_cost_cents", BRONZE_MONEY),
        pa.field("estimated_cost_currency", TEXT),
        pa.field("_extra", TEXT),
    ],
)


def open_claude_code(context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """Activity and models of each record; the rows of a file are numbered in the order of reading."""
    rows: list[Json] = []
    days = _announced_days(pages.marked(delivery))
    for landed, read in pages.read_pages(delivery, objects):
        number = 0
        for record in (record for page in read for record in page["data"]):
            place = Place(landed.key, number + 1)
            for row in _rows(record, place, delivery):
                number += 1
                rows.append({**dict.fromkeys(TABLE.schema.names), **row, "_place": Place(landed.key, number)})
    days |= {row["_slice"] for row in rows}
    identity = ("starting_at", "row_kind", *_TEXTS, "model")
    return pages.opened_rows(context, TABLE.schema, identity, objects, rows, days)


def _rows(record: Any, place: Place, delivery: Delivery) -> list[Json]:
    if not isinstance(record, dict):
        raise _bad(f"the record is {str(record)[:40]!r}", place, "")
    start = _day(record, place)
    who: Json = {"starting_at": start, "ending_at": start + _DAY, "_slice": start.date().isoformat(), **_who(record, place, delivery)}
    metrics, tools = pages.inner(record, "core_metrics", place), pages.inner(record, "tool_actions", place)
    lines = pages.inner(metrics, "lines_of_code", place)
    activity = {
        "num_sessions": pages.count(metrics, "num_sessions", place),
        "lines_added": pages.count(lines, "added", place),
        "lines_removed": pages.count(lines, "removed", place),
        "commits": pages.count(metrics, "commits_by_claude_code", place),
        "pull_requests": pages.count(metrics, "pull_requests_by_claude_code", place),
    }
    for tool in _TOOLS:
        said = pages.inner(tools, tool, place)
        activity |= {f"{tool}_{verdict}": pages.count(said, verdict, place) for verdict in ("accepted", "rejected")}
    models = record.get("model_breakdown") or []
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise _bad("model_breakdown is no list of objects", place, "model_breakdown")
    extra = pages.extra_json(record, _KNOWN)
    check_no_email(extra, str(place))
    return [{**who, "row_kind": "activity", **activity, "_extra": extra}, *(_model_row(model, who, place) for model in models)]


def _model_row(model: Json, who: Json, place: Place) -> Json:
    tokens, cost = pages.inner(model, "tokens", place), pages.inner(model, "estimated_cost", place)
    name = pages.text(model, "model")
    if name is None:
        raise _bad("a model has no name", place, "model_breakdown.model")
    row: Json = {**who, "row_kind": "model", "model": name}
    row |= {column: pages.count(tokens, field, place) for column, field in _TOKENS.items()}
    if cost.get("amount") is not None:
        row["estimated_cost_cents"] = pages.amount(cost["amount"], "estimated_cost.amount", place)
        row["estimated_cost_currency"] = pages.text(cost, "currency")
    row["_extra"] = pages.extra_json(model, frozenset({"model", "tokens", "estimated_cost"}))
    return row


def _who(record: Json, place: Place, delivery: Delivery) -> Json:
    actor = pages.inner(record, "actor", place)
    kind, email, key = (pages.text(actor, name) for name in ("type", "email_address", "api_key_name"))
    if (email is None) == (key is None):
        raise _bad("the actor has neither or both of e-mail address and key", place, "actor")
    for value in (email, key):
        check_no_email(value, f"{place}, field actor")
    # What stands there is a pseudonym already; anything else that names a person gets one.
    person = email if email is None or email.startswith("user-") else stand_in(delivery.export, email)
    texts = {name: pages.text(record, name) for name in ("organization_id", "customer_type", "subscription_type", "terminal_type")}
    return {"actor_type": kind, "actor_id": person or key, **texts}


def _day(record: Json, place: Place) -> dt.datetime:
    said = str(record.get("date"))
    try:
        day = dt.datetime.fromisoformat(said)
        day = day.replace(tzinfo=dt.UTC) if day.tzinfo is None else day.astimezone(dt.UTC)
        if day.time() != dt.time() or not 2000 < day.year < 9000:
            raise ValueError("not the start of a UTC day")
        return day
    except (ValueError, OverflowError) as error:
        raise _bad(f"date is {said[:40]!r} ({error})", place, "date") from error


def _announced_days(marked: Json) -> set[str]:
    """The UTC days that a pull covers, also those on which nobody worked; none where no marker says so."""
    try:
        start, end = (dt.datetime.fromisoformat(str(marked.get(name))) for name in ("starting_at", "ending_at"))
        count = (end - start).days
    except (ValueError, TypeError):
        return set()  # a marker written by hand: the records say their days themselves
    return {(start + number * _DAY).date().isoformat() for number in range(count)} if 0 < count <= 4000 else set()


def _bad(what: str, place: Place, field: str) -> BadValue:
    return BadValue(what, where=f"{place}, field {field}" if field else str(place), expected=_EXPECTED, next_step=_AGAIN)
