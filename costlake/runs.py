"""The ledgers: what was delivered (`ops.deliveries`) and what was run (`ops.runs`).

Both are append-only logs of events. The state of a delivery is its newest event; bronze itself stays the truth of which
rows are active, so a crash between the bronze commit and the ledger entry loses nothing: the next run writes the entry.

Run alone: costlake deliveries
"""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa

from costlake.delta import Lake
from costlake.money import at_scale
from costlake.periods import Clock
from costlake.tables import BRONZE_MONEY, COUNT, TEXT, TIMESTAMP, TableSpec

DELIVERIES = TableSpec(
    "ops",
    "deliveries",
    pa.schema(
        [
            pa.field("event_id", TEXT),
            pa.field("recorded_at", TIMESTAMP),
            pa.field("status", TEXT),  # loaded | superseded | refused
            pa.field("source_id", TEXT),
            pa.field("source", TEXT),
            pa.field("delivery_id", TEXT),
            pa.field("delivery_key", TEXT),
            pa.field("billing_period", TEXT),
            pa.field("slice", TEXT),
            pa.field("currency", TEXT),
            pa.field("row_count", COUNT),
            pa.field("control_total", BRONZE_MONEY),
            pa.field("gross_total", BRONZE_MONEY),
            pa.field("object_count", COUNT),
            pa.field("byte_count", COUNT),
            pa.field("manifest_hash", TEXT),
            pa.field("superseded_by", TEXT),
            pa.field("error_type", TEXT),
            pa.field("error_text", TEXT),
            pa.field("ingest_id", TEXT),  # what one ingest of an export wrote: together it is one new state of its bills
        ]
    ),
    key=("event_id",),
)
RUNS = TableSpec(
    "ops",
    "runs",
    pa.schema(
        [
            pa.field("run_id", TEXT),
            pa.field("command", TEXT),
            pa.field("status", TEXT),  # ok | failed
            pa.field("started_at", TIMESTAMP),
            pa.field("ended_at", TIMESTAMP),
            pa.field("detail", TEXT),
        ]
    ),
    key=("run_id",),
)


@dataclass(frozen=True)
class ControlTotal:
    """What a delivery says of one slice before it is loaded: the bill's side of the reconciliation.

    Attributes:
        billing_period: YYYY-MM.
        slice: the unit that a redelivery replaces (the month of a bill, the UTC day of an LLM API).
        currency: ISO 4217 code; None where the source carries no money.
        row_count: rows in the files.
        control_total: sum of the billed column; None where the source carries no money.
        gross_total: sum of its positive cells: credits cannot make it shrink.
    """

    billing_period: str
    slice: str
    currency: str | None
    row_count: int
    control_total: Decimal | None
    gross_total: Decimal | None


@dataclass(frozen=True)
class DeliveryEvent:
    """One line of the delivery ledger, before it gets its id and time."""

    status: str
    source_id: str
    source: str
    delivery_id: str
    delivery_key: str
    total: ControlTotal | None = None
    object_count: int | None = None
    byte_count: int | None = None
    manifest_hash: str | None = None
    superseded_by: str | None = None
    error_type: str | None = None
    error_text: str | None = None


@dataclass
class RunRecord:
    """A run in progress; fill `detail` with what the reader of the ledger wants to know."""

    run_id: str
    started_at: dt.datetime
    detail: dict[str, object] = field(default_factory=dict)


def record_deliveries(lake: Lake, events: list[DeliveryEvent], clock: Clock, ingest_id: str | None = None) -> None:
    """Append events to `ops.deliveries` in one commit; does nothing for an empty list.

    Args:
        lake: where the ledger is.
        events: what happened, in this order.
        clock: gives the time that is recorded.
        ingest_id: the same for all events of one ingest of an export; None for an event on its own.
    """
    if not events:
        return
    moment = clock.now()
    rows = [{**_delivery_row(event, moment), "ingest_id": ingest_id} for event in events]
    lake.append(DELIVERIES, pa.Table.from_pylist(rows, schema=DELIVERIES.schema))


def delivery_events(lake: Lake, source_id: str) -> list[dict[str, object]]:
    """All events of one export, oldest first."""
    if not lake.exists("ops", "deliveries"):
        return []
    connection = lake.connect()
    try:
        result = connection.execute("SELECT * FROM ops.deliveries WHERE source_id = ? ORDER BY event_id", [source_id])
        return list(result.to_arrow_table().to_pylist())
    finally:
        connection.close()


@contextmanager
def recorded_run(lake: Lake, command: str, clock: Clock) -> Iterator[RunRecord]:
    """Write one row to `ops.runs` when the block has failed or put something into `detail`; an exception goes on.

    A run that changed nothing leaves no trace: a second run of anything writes no Delta version.
    """
    run = RunRecord(run_id=uuid.uuid4().hex, started_at=clock.now())
    status = "failed"
    try:
        yield run
        status = "ok"
    except Exception as error:
        run.detail.setdefault("error", f"{type(error).__name__}: {error}")
        raise
    finally:
        if run.detail:
            record_run(lake, run.run_id, command, status, run.started_at, clock.now(), run.detail)


def record_run(
    lake: Lake,
    run_id: str,
    command: str,
    status: str,
    started_at: dt.datetime,
    ended_at: dt.datetime,
    detail: Mapping[str, object],
) -> None:
    """Append one row to `ops.runs`; `detail` becomes JSON text."""
    row = {
        "run_id": run_id,
        "command": command,
        "status": status,
        "started_at": started_at,
        "ended_at": ended_at,
        "detail": json.dumps(detail, default=str, sort_keys=True),
    }
    lake.append(RUNS, pa.Table.from_pylist([row], schema=RUNS.schema))


def _ordered_id() -> str:
    """Unique, and sorting in the order of writing (as UUIDv7 does): events of one instant keep their order."""
    return f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}"


def _delivery_row(event: DeliveryEvent, moment: dt.datetime) -> dict[str, object]:
    total = event.total
    return {
        "event_id": _ordered_id(),
        "recorded_at": moment,
        "status": event.status,
        "source_id": event.source_id,
        "source": event.source,
        "delivery_id": event.delivery_id,
        "delivery_key": event.delivery_key,
        "billing_period": total.billing_period if total else None,
        "slice": total.slice if total else None,
        "currency": total.currency if total else None,
        "row_count": total.row_count if total else None,
        "control_total": _at_bronze_scale(total.control_total) if total else None,
        "gross_total": _at_bronze_scale(total.gross_total) if total else None,
        "object_count": event.object_count,
        "byte_count": event.byte_count,
        "manifest_hash": event.manifest_hash,
        "superseded_by": event.superseded_by,
        "error_type": event.error_type,
        "error_text": event.error_text,
    }


def _at_bronze_scale(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else at_scale(amount)
