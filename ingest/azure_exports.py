"""Where an Azure Cost Management export keeps its runs, whatever it exports: the newest run of each period, by its manifest.

Data flow: `<location>/…/<yyyyMMdd-yyyyMMdd>/[<yyyyMMddHHmm>/]<run id>/manifest.json` → `find_runs` → `Candidate` → `Delivery`.

Every run holds its whole period to date. Without "overwrite" the runs of a month lie side by side, so exactly one is taken: the one
submitted last. The manifest (`_manifest.json` in old exports) is written after the data and names the files relative to the container,
of which the location may be any folder. A run folder without manifest is a delivery in progress and left alone.
Documents: Microsoft Learn, "Tutorial: create and manage Cost Management exports" (folder structure, manifest file).
Run alone: costlake ingest path/to/export --source azure_actual
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from costlake.config import Export
from costlake.errors import ManifestError, MissingPart
from ingest.guards import check_no_unlisted
from ingest.manifests import json_object
from ingest.source import Candidate, Delivery
from ingest.stores import Store, StoredObject

MANIFEST_NAMES = ("manifest.json", "_manifest.json")
DATA_SUFFIXES = (".csv", ".csv.gz", ".parquet", ".zip")
_PERIOD = re.compile(r"(\d{8})-(\d{8})")
_SUBMITTED = re.compile(r"\d{12}")
_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)
# root folders above the export, its own, the period's, the time's, the run's
_DEEPEST = 7


@dataclass(frozen=True)
class _Run:
    """A run folder with its manifest; `content` is None where the manifest is not a JSON object."""

    key: str
    content: Mapping[str, Any] | None
    text: bytes
    first: dt.date | None
    last: dt.date | None

    @property
    def folder(self) -> str:
        return self.key.rpartition("/")[0]

    @property
    def export_type(self) -> str | None:
        """`ActualCost`, `AmortizedCost`, `FocusCost`, …; None where the manifest (before 2023) does not say it."""
        config = (self.content or {}).get("exportConfig")
        name = config.get("type") if isinstance(config, dict) else None
        return name if isinstance(name, str) else None

    @property
    def submitted(self) -> dt.datetime | None:
        """When the run was asked for: the manifest's word, else the folder's; None where neither says it."""
        info = (self.content or {}).get("runInfo")
        text = str(info.get("submittedTime")) if isinstance(info, dict) else ""
        times = [f"{part[:8]}T{part[8:]}" for part in self.folder.split("/") if _SUBMITTED.fullmatch(part)]
        for candidate in (text, *times):
            try:
                moment = dt.datetime.fromisoformat(candidate)
            except ValueError:
                continue
            return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return None

    def months(self) -> frozenset[str]:
        """The billing months (YYYY-MM) that the period folder names."""
        if self.first is None or self.last is None or self.last < self.first:
            return frozenset()
        numbers = range(self.first.year * 12 + self.first.month - 1, self.last.year * 12 + self.last.month)
        return frozenset(f"{number // 12:04d}-{number % 12 + 1:02d}" for number in numbers)


def find_runs(store: Store, export: Export, types: frozenset[str]) -> Iterator[Candidate]:
    """The newest run of each period whose manifest is of one of `types` (`ActualCost`, `AmortizedCost`, `Usage`, `FocusCost`).

    A manifest that does not name its type is taken unless only `FocusCost` is asked for: those manifests are older than FOCUS. Each
    delivery carries the rows that its manifest announces; `ingest.guards` compares them with the rows that came.
    The candidates refuse (ManifestError): an unreadable manifest, two runs that cannot be put in order, two exports below one location,
    a period that starts inside a month or whose months another folder delivers too, paths that leave the run's folder.
    """
    wanted = {name.lower() for name in types}
    runs: dict[tuple[dt.date | None, dt.date | None], list[_Run]] = {}
    for run in _runs(store, "", wanted, 0):
        runs.setdefault((run.first, run.last), []).append(run)
    folders_of_month: dict[str, int] = {}
    for newest, *_ in runs.values():
        for month in newest.months():
            folders_of_month[month] = folders_of_month.get(month, 0) + 1
    for period in sorted(runs, key=lambda days: tuple(str(day) for day in days)):
        found = runs[period]
        newest = max(found, key=lambda run: run.submitted or _LONG_AGO)
        shared = sorted(month for month in newest.months() if folders_of_month[month] > 1)
        yield Candidate(newest.key, partial(_resolve, store, export, newest, found, shared))


def _runs(store: Store, folder: str, wanted: set[str], depth: int) -> Iterator[_Run]:
    """The runs below a folder; of folders named by a time only the newest that has a complete run of the wanted type."""
    for stored in store.list(folder):
        if stored.key.rpartition("/")[2] in MANIFEST_NAMES:
            run = _read(store, stored.key)
            if _is_wanted(run, wanted):
                yield run
            return
    if depth == _DEEPEST:
        return
    timed: list[str] = []
    for child in store.folders(folder):
        if _SUBMITTED.fullmatch(child.rpartition("/")[2]):
            timed.append(child)
        else:
            yield from _runs(store, child, wanted, depth + 1)
    for child in sorted(timed, reverse=True):
        below = list(_runs(store, child, wanted, depth + 1))
        yield from below
        if below:
            return


def _is_wanted(run: _Run, wanted: set[str]) -> bool:
    if run.content is None:
        return run.first is not None  # a broken manifest in an export's layout is refused; elsewhere it is no business of ours
    if run.export_type is None:
        return wanted != {"focuscost"} and "blobs" in run.content
    return run.export_type.lower() in wanted


def _read(store: Store, key: str) -> _Run:
    text, content = b"", None
    with suppress(ManifestError):  # refused when it is resolved, so that one broken marker does not hide the other periods
        text = store.read(key)
        content = json_object(text, key, "a JSON object with blobs")
    first, last = _period_of(key, content)
    return _Run(key, content, text, first, last)


def _period_of(key: str, content: Mapping[str, Any] | None) -> tuple[dt.date | None, dt.date | None]:
    """First and last day by the folder's name; where the location lies below it, by the path in the manifest."""
    blobs = (content or {}).get("blobs")
    names = [str(blob.get("blobName")) for blob in blobs if isinstance(blob, dict)] if isinstance(blobs, list) else []
    for part in [*reversed(key.split("/")), *(part for name in names[:1] for part in reversed(name.split("/")))]:
        match = _PERIOD.fullmatch(part)
        if match:
            try:
                return dt.date.fromisoformat(match[1]), dt.date.fromisoformat(match[2])
            except ValueError:
                continue
    return None, None


def _resolve(store: Store, export: Export, run: _Run, rivals: list[_Run], shared: list[str]) -> Delivery:
    _check_order(run, rivals)
    period = _check_period(run, shared)
    content = run.content
    if content is None or not isinstance(content.get("blobs"), list):
        raise _manifest_error("the manifest is not JSON or lists no files", run.key, "a JSON object with blobs")
    blobs = [blob if isinstance(blob, dict) else {} for blob in content["blobs"]]
    objects = tuple(_locate(store, run, blob.get("blobName")) for blob in blobs)
    keys = [stored.key for stored in objects]
    if len(set(keys)) != len(keys):
        raise _manifest_error("the manifest names a file twice", run.key, "every file once; its rows would count twice")
    check_no_unlisted(keys, store.list(run.folder), run.key, DATA_SUFFIXES)
    return Delivery(export, run.key, objects, run.text, period, announced_rows=_announced_rows(run, content, blobs))


def _announced_rows(run: _Run, content: Mapping[str, Any], blobs: list[dict[str, Any]]) -> int | None:
    """Data rows by the manifest, headers not counted; None where it does not say."""
    counts = [blob.get("dataRowCount") for blob in blobs]
    known = [count for count in counts if type(count) is int]
    total = content.get("dataRowCount")
    if type(total) is not int:
        return sum(known) if blobs and len(known) == len(blobs) else None
    if len(known) == len(blobs) and sum(known) != total:
        raise _manifest_error(
            f"the manifest announces {total} rows, its files together {sum(known)}", run.key, "dataRowCount to be the sum of the files'"
        )
    return total


def _locate(store: Store, run: _Run, name: object) -> StoredObject:
    """A listed file. It lies beside its manifest, whatever container the location was copied from."""
    if not isinstance(name, str) or not name:
        raise _manifest_error("the manifest lists a file without a name", run.key, "blobs with blobName")
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    own = run.folder.split("/") if run.folder else []
    # from the period's folder on the path is the same in every copy; above it a location may have been renamed
    starts = [index for index, part in enumerate(own) if _PERIOD.fullmatch(part)]
    tail = own[starts[-1] :] if starts else own[-1:]
    if not parts or ".." in parts or "\0" in name or parts[-1 - len(tail) : -1] != tail:
        raise ManifestError(
            "the manifest names a path outside its run's folder",
            where=f"{run.key}: {name}",
            expected=f"a file in {run.folder or 'the same folder'}",
            next_step="treat the delivery as hostile: look at who wrote the manifest",
        )
    key = "/".join([*own, parts[-1]])
    if not store.exists(key):
        raise MissingPart(
            "the manifest names a file that is not there",
            where=f"{run.key}: {name}",
            expected="every listed file beside the manifest",
            next_step="wait for the copy to finish, or run the export again for the period",
        )
    return store.stat(key)


def _check_order(run: _Run, rivals: list[_Run]) -> None:
    others = [rival for rival in rivals if rival is not run]
    exports = {_above_period(rival.folder) for rival in rivals}
    if len(exports) > 1:
        raise _manifest_error(
            f"two exports below one location deliver the same period: {', '.join(sorted(exports))}",
            run.key,
            "one export per location; otherwise one would replace the other",
            "give each its own entry and location in config/accounts.yml",
        )
    if others and (run.submitted is None or any(other.submitted in (None, run.submitted) for other in others)):
        raise _manifest_error(
            f"{len(rivals)} runs of one period, and nothing says which is the newest",
            run.key,
            "runInfo.submittedTime, or folders named by the time of the run",
            "delete the older run, or export the period again",
        )


def _above_period(folder: str) -> str:
    parts = folder.split("/")
    at = [index for index, part in enumerate(parts) if _PERIOD.fullmatch(part)]
    return "/".join(parts[: at[-1]]) if at else ""


def _check_period(run: _Run, shared: list[str]) -> str | None:
    """The one billing month of the run; None where its folder spans several or the path names none."""
    if run.first is None or run.last is None:
        return None
    ends_whole = run.last.day == calendar.monthrange(run.last.year, run.last.month)[1]
    months = sorted(run.months())
    if not months or run.first.day != 1 or (len(months) > 1 and not ends_whole):
        raise _manifest_error(
            f"the export covers {run.first} to {run.last}, which is not a whole billing month",
            run.key,
            "periods that start on the first day of a month: a delivery replaces its whole month",
            "export month to date (or the whole last month) instead of single days or weeks",
        )
    if shared:
        raise _manifest_error(
            f"{', '.join(shared)} is delivered by this period folder and by another one",
            run.key,
            "each month in one period folder; otherwise they would replace each other",
            "give the one-time export its own entry and location in config/accounts.yml, or delete the folder that is out of date",
        )
    return months[0] if len(months) == 1 else None


def _manifest_error(what: str, where: str, expected: str, next_step: str = "run the export again for the period") -> ManifestError:
    return ManifestError(what, where=where, expected=expected, next_step=next_step)
