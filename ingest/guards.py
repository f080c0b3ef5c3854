"""What is judged before anything of a delivery is written: refuse, with both numbers and the next step.

Data flow: incoming files, parsed totals, the ledger's totals of the active delivery → nothing, or a DeliveryError.
Sources: provider-formats §0.3 (control totals, shrink alarm), AWS CUR guide (the manifest lists every file).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from costlake.errors import BadValue, EmptyDelivery, ManifestError, RowCountMismatch, ShrunkenDelivery, UnlistedPart, WrongPeriod
from costlake.runs import ControlTotal
from ingest.stores import StoredObject

Active = Mapping[tuple[str, str, str | None], ControlTotal]
_AGAIN = "wait for the next delivery, or ask the provider to deliver the period again"


def check_no_unlisted(listed: Iterable[str], found: Iterable[StoredObject], manifest_key: str, suffixes: tuple[str, ...]) -> None:
    """No data file lies beside the listed ones that the manifest does not name: half of a delivery, or a stale copy."""
    known = set(listed)
    stray = sorted(stored.key for stored in found if stored.key.endswith(suffixes) and stored.key not in known)
    if stray:
        raise UnlistedPart(
            f"{len(stray)} data file(s) lie beside the delivery that the manifest does not name",
            where=stray[0],
            expected=f"exactly the {len(known)} file(s) listed in {manifest_key}",
            next_step="if the file belongs to an older delivery delete it, otherwise wait until the manifest lists it",
        )


def check_not_empty(totals: list[ControlTotal], active: Active, key: str) -> None:
    """There is at least one row. A month without any charge is delivered as no file, never as an empty one.

    A pull that says a day which had rows is empty now is judged as shrunken, so that a person can accept it.
    """
    known = {slice_ for _, slice_, _ in active}
    if sum(total.row_count for total in totals) == 0 and not any(total.slice in known for total in totals):
        raise EmptyDelivery("the delivery has no rows", where=key, expected="at least one row", next_step=_AGAIN)


def check_announced_rows(totals: list[ControlTotal], announced: int | None, key: str) -> None:
    """As many rows came as the manifest counts: fewer are a loss, more are rows of another run."""
    found = sum(total.row_count for total in totals)
    if announced is not None and found != announced:
        raise RowCountMismatch(
            f"the manifest announces {announced} rows, the files hold {found}",
            where=key,
            expected=f"{announced} rows",
            next_step="wait for the copy to finish, or ask the provider to deliver the period again; nothing of it was loaded",
        )


def check_period(totals: list[ControlTotal], announced: str | None, key: str) -> None:
    """All rows are of the billing period that the manifest announces."""
    strangers = sorted({total.billing_period for total in totals} - {announced}) if announced else []
    if strangers:
        raise WrongPeriod(
            f"rows of billing period {', '.join(strangers)}",
            where=key,
            expected=f"rows of {announced} only, the period that the manifest announces",
            next_step="ask the provider for a correct delivery; loading it would count these rows in two months",
        )


def check_not_over(totals: list[ControlTotal], holders: Mapping[tuple[str, str], str], beside: Collection[str], key: str) -> None:
    """Of files handed over together none replaces another: parts of one bill, read as versions of it, would leave the last part only.

    Args:
        totals: what is to be loaded. key: its name, for the error.
        holders: (billing period, slice) → id of the delivery in force.
        beside: ids of the deliveries that were handed over in the same command.
    """
    slices = {total.slice for total in totals}
    taken = sorted(slice_ for (_, slice_), holder in holders.items() if slice_ in slices and holder in beside)
    if taken:
        raise ManifestError(
            "the file would replace another one of the same command",
            where=f"{key}, slice {taken[0]}",
            expected="files of different months or accounts, or all parts of one delivery",
            next_step="parts of one bill: costlake ingest --parts FILE FILE; a later version of it: a command of its own",
        )


@dataclass(frozen=True)
class _SliceSum:
    """What a slice holds in one currency, over all billing periods."""

    row_count: int = 0
    gross: Decimal | None = None

    def plus(self, total: ControlTotal) -> _SliceSum:
        gross = total.gross_total if self.gross is None else self.gross + (total.gross_total or 0)
        return _SliceSum(self.row_count + total.row_count, gross)


def check_not_shrunken(new: list[ControlTotal], active: Active, tolerance_percent: int, key: str, delivery_id: str) -> None:
    """A redelivery is not much smaller than the active delivery of the same slice, in rows or in gross cost.

    Gross cost is the sum of the positive cells: credits and refunds, which rightly lower a month, do not count. A slice is
    compared over all billing periods: a provider may book rows of a day into another month (Google Cloud does), but a
    vanished half shows in the sum wherever it stood.
    """
    keep = Decimal(100 - tolerance_percent) / 100
    slices = {total.slice for total in new}
    now = _by_slice(new)
    was = _by_slice(total for total in active.values() if total.slice in slices)
    for (slice_, currency), before in sorted(was.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        after = now.get((slice_, currency))
        if before.row_count == 0:
            continue
        if after is None:
            what = f"{before.row_count} rows in {currency} have vanished"
            _refuse_shrunken(what, slice_, before.row_count, 0, keep, key, delivery_id)
        elif after.row_count < before.row_count * keep:
            _refuse_shrunken("the delivery has far fewer rows", slice_, before.row_count, after.row_count, keep, key, delivery_id)
        elif before.gross and after.gross is not None and after.gross < before.gross * keep:
            _refuse_shrunken("the delivery has far less cost", slice_, before.gross, after.gross, keep, key, delivery_id)


def _by_slice(totals: Iterable[ControlTotal]) -> dict[tuple[str, str | None], _SliceSum]:
    sums: dict[tuple[str, str | None], _SliceSum] = {}
    for total in totals:
        sums[(total.slice, total.currency)] = sums.get((total.slice, total.currency), _SliceSum()).plus(total)
    return sums


def bad_value(key: str, row_number: int, column: str, value: object, count: int, expected: str) -> BadValue:
    """The error for cells that do not parse, naming the first of them."""
    return BadValue(
        f"{count} cell(s) of column {column} do not parse; the first is {value!r}",
        where=f"{key}, row {row_number}, column {column}",
        expected=expected,
        next_step="ask the provider to deliver the period again; nothing of it was loaded",
    )


def _refuse_shrunken(what: str, slice_: str, before: object, after: object, keep: Decimal, key: str, delivery_id: str) -> None:
    raise ShrunkenDelivery(
        f"{what}: {after} now, {before} in the active delivery",
        where=f"{key}, slice {slice_}",
        expected=f"at least {keep * 100:.0f} % of what it replaces",
        next_step=f"compare with the provider's console; if the smaller one is right: costlake ingest --accept {delivery_id}",
    )
