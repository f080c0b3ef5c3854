"""The state of an export's deliveries, derived from the events of `ops.deliveries`.

Data flow: ledger events, oldest first → which deliveries are active, and what each slice held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import cast

from costlake.runs import ControlTotal, DeliveryEvent
from ingest.bronze import Judged


class DeliveryState:
    """What the ledger knows of one export; kept up to date while its deliveries are loaded."""

    def __init__(self, events: list[dict[str, object]]) -> None:
        self._status: dict[str, str] = {}
        self._slices: dict[str, tuple[str, dict[str | None, ControlTotal]]] = {}
        self._refusals: dict[tuple[str, str], tuple[str | None, str | None]] = {}
        for event in events:
            self._apply(_event(event))

    def is_done(self, delivery_id: str, *, current: bool) -> bool:
        """Whether nothing is to be done: loaded and still active, or an accumulating pull that was loaded once."""
        status = self._status.get(delivery_id)
        return status == "loaded" or (status == "superseded" and not current)

    def active_totals(self) -> Mapping[tuple[str, str | None], ControlTotal]:
        """Per slice and currency what the active delivery held."""
        return {(slice_, currency): total for slice_, (_, totals) in self._slices.items() for currency, total in totals.items()}

    def loaded(self, judged: Judged, replaced: set[str]) -> list[DeliveryEvent]:
        """The events for a delivery that was written now, and for those of which nothing is left."""
        base = DeliveryEvent(
            status="loaded",
            source_id=judged.source_id,
            source=judged.source,
            delivery_id=judged.delivery_id,
            delivery_key=judged.delivery_key,
            object_count=len(judged.objects),
            byte_count=sum(landed.byte_count for landed in judged.objects),
            manifest_hash=judged.manifest_hash,
        )
        events = [replace(base, total=total) for total in judged.totals]
        gone = sorted(old for old in replaced if old != judged.delivery_id)
        events += [
            replace(base, status="superseded", delivery_id=old, delivery_key="", superseded_by=judged.delivery_id, total=None)
            for old in gone
        ]
        for event in events:
            self._apply(event)
        return events

    def refuse(self, event: DeliveryEvent) -> bool:
        """Take note of a refusal; False when the ledger's newest word on these files says the same."""
        key = (event.delivery_key, event.delivery_id)
        known = self._refusals.get(key) == (event.error_type, event.error_text)
        self._apply(event)
        return not known

    def _apply(self, event: DeliveryEvent) -> None:
        if event.status == "refused":
            self._refusals[(event.delivery_key, event.delivery_id)] = (event.error_type, event.error_text)
            return
        self._status[event.delivery_id] = event.status
        self._refusals.pop((event.delivery_key, event.delivery_id), None)
        total = event.total
        if event.status == "loaded" and total is not None:
            holder, totals = self._slices.get(total.slice, ("", {}))
            kept = totals if holder == event.delivery_id else {}
            self._slices[total.slice] = (event.delivery_id, {**kept, total.currency: total})


def _event(row: dict[str, object]) -> DeliveryEvent:
    total = None
    if row["slice"] is not None:
        total = ControlTotal(
            billing_period=str(row["billing_period"]),
            slice=str(row["slice"]),
            currency=cast("str | None", row["currency"]),
            row_count=cast(int, row["row_count"]),
            control_total=cast("Decimal | None", row["control_total"]),
            gross_total=cast("Decimal | None", row["gross_total"]),
        )
    return DeliveryEvent(
        status=str(row["status"]),
        source_id=str(row["source_id"]),
        source=str(row["source"]),
        delivery_id=str(row["delivery_id"]),
        delivery_key=str(row["delivery_key"]),
        total=total,
        error_type=cast("str | None", row["error_type"]),
        error_text=cast("str | None", row["error_text"]),
    )
