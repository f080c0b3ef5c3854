"""The state of an export's deliveries, derived from the events of `ops.deliveries`.

Data flow: ledger events, oldest first → which deliveries are active, and what each slice held in each billing month.

A slice may have rows in several months. A redelivery that has none of them in one of those months says so with an event of 0 rows,
so that the newest event of every (month, slice) is what is in force there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import cast

from costlake.runs import ControlTotal, DeliveryEvent
from ingest.bronze import Judged


class DeliveryState:
    """What the ledger knows of one export; kept up to date while its deliveries are loaded."""

    def __init__(self, events: list[dict[str, object]]) -> None:
        self._loaded: set[str] = set()
        self._slices: dict[tuple[str, str], tuple[str, dict[str | None, ControlTotal]]] = {}
        self._refusals: dict[tuple[str, str], tuple[str | None, str | None]] = {}
        for event in events:
            self._apply(_event(event))

    def is_done(self, delivery_id: str, *, current: bool) -> bool:
        """Whether nothing is to be done: loaded and still active, or an accumulating pull that was loaded once."""
        return delivery_id in self._loaded and (not current or delivery_id in self._holders())

    def active_totals(self) -> Mapping[tuple[str, str, str | None], ControlTotal]:
        """Per billing period, slice and currency what the active delivery held."""
        return {
            (period, slice_, currency): total
            for (period, slice_), (_, totals) in self._slices.items()
            for currency, total in totals.items()
        }

    def holders(self) -> Mapping[tuple[str, str], str]:
        """Per billing period and slice the delivery that is in force."""
        return {key: holder for key, (holder, _) in self._slices.items()}

    def loaded(self, judged: Judged, vacated: Collection[tuple[str, str]]) -> list[DeliveryEvent]:
        """The events for a delivery that was written now, and for those of which nothing is left.

        Args:
            judged: the delivery.
            vacated: (billing period, slice) pairs of which bronze held rows and the delivery has none.
        """
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
        delivered = {(total.billing_period, total.slice) for total in judged.totals}
        slices = {slice_ for _, slice_ in delivered}
        # The ledger also knows months that bronze lost already: by a load that died before it came to its entry.
        gone = sorted({*vacated, *(key for key in self._slices if key[1] in slices)} - delivered)
        before = self._holders()
        events = [replace(base, total=total) for total in judged.totals]
        events += [replace(base, total=ControlTotal(period, slice_, None, 0, None, None)) for period, slice_ in gone]
        for event in events:
            self._apply(event)
        superseded = [
            replace(base, status="superseded", delivery_id=old, delivery_key="", superseded_by=judged.delivery_id, total=None)
            for old in sorted(before - self._holders())
        ]
        return events + superseded

    def refuse(self, event: DeliveryEvent) -> bool:
        """Take note of a refusal; False when the ledger's newest word on these files says the same."""
        key = (event.delivery_key, event.delivery_id)
        known = self._refusals.get(key) == (event.error_type, event.error_text)
        self._apply(event)
        return not known

    def _holders(self) -> set[str]:
        return {holder for holder, _ in self._slices.values()}

    def _apply(self, event: DeliveryEvent) -> None:
        if event.status == "refused":
            self._refusals[(event.delivery_key, event.delivery_id)] = (event.error_type, event.error_text)
            return
        self._refusals.pop((event.delivery_key, event.delivery_id), None)
        total = event.total
        if event.status == "loaded" and total is not None:
            self._loaded.add(event.delivery_id)
            key = (total.billing_period, total.slice)
            holder, totals = self._slices.get(key, ("", {}))
            kept = totals if holder == event.delivery_id else {}
            self._slices[key] = (event.delivery_id, {**kept, total.currency: total})


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
