"""Landing → bronze: judge a delivery, then replace exactly its slices in one Delta commit.

Data flow: config/accounts.yml → Source.find → guards → landing → bronze.<source> → ops.deliveries.

A second run changes nothing: a delivery is known by its content, and one that is active already is left alone. Order of
writing: landing, bronze (one commit), ledger. A crash in between is mended by the next run: it loads the same rows into
the same slices again.
Run alone: costlake ingest aws-main
"""

from __future__ import annotations

import csv
import re
import tempfile
import uuid
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from costlake.config import Export, load_accounts, load_known_models
from costlake.delta import Lake, open_duckdb
from costlake.errors import ConfigError, CostlakeError, DeliveryError, ManifestError, ObjectReplaced
from costlake.periods import Clock
from costlake.runs import DeliveryEvent, delivery_events, record_deliveries
from costlake.settings import Settings
from ingest import containers, guards, landing, units
from ingest.bronze import Judged, judge, write_bronze
from ingest.ledger import DeliveryState
from ingest.manifests import check_once, part_names
from ingest.readers import unreadable
from ingest.source import Candidate, Delivery, LandedObject, LoadContext, Opened, Source, all_sources, source_named
from ingest.stores import Store, split_file, store_for

if TYPE_CHECKING:
    import duckdb

Progress = Callable[[str], None]


@dataclass
class IngestResult:
    """What became of an export's deliveries.

    Attributes:
        export_id: which export.
        loaded: delivery ids written to bronze now.
        unchanged: number of deliveries that were there already.
        present: ids of the deliveries that are active after this call: loaded now or there already.
        replaced: ids of earlier deliveries of which nothing is left.
        refused: one error per refused delivery; nothing of those was written.
        row_count: rows loaded now.
    """

    export_id: str
    loaded: list[str] = field(default_factory=list)
    unchanged: int = 0
    present: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    refused: list[CostlakeError] = field(default_factory=list)
    row_count: int = 0

    def raise_if_refused(self) -> None:
        """Raise the first refusal, with the others as notes."""
        if self.refused:
            first, *others = self.refused
            for other in others:
                first.add_note(f"also refused: {other.what} ({other.where})")
            raise first


def ingest_export(
    settings: Settings, export_id: str, clock: Clock, *, accept: Sequence[str] = (), progress: Progress = lambda _: None
) -> IngestResult:
    """Ingest one configured export; raises its first refusal after all its deliveries were tried."""
    result = ingest_stream(settings, configured_export(settings, export_id), clock, accept=accept, progress=progress)
    result.raise_if_refused()
    return result


def ingest_exports(
    settings: Settings,
    export_ids: Sequence[str],
    clock: Clock,
    *,
    accept: Sequence[str] = (),
    progress: Progress = lambda _: None,
) -> list[IngestResult]:
    """Ingest several exports (all configured ones for an empty list); a refusal in one does not stop the others."""
    exports = [configured_export(settings, name) for name in export_ids] or list(configured_exports(settings))
    return [ingest_stream(settings, export, clock, accept=accept, progress=progress) for export in exports]


def ingest_file(
    settings: Settings,
    path: Path | str,
    clock: Clock,
    *,
    source_name: str | None = None,
    export_id: str | None = None,
    credential: str | None = None,
    accept_partial: bool = False,
    accept: Sequence[str] = (),
    parts: Sequence[Path | str] = (),
    beside: Collection[str] = (),
    progress: Progress = lambda _: None,
) -> IngestResult:
    """Ingest one data file handed over without a manifest, or a folder laid out as the provider does.

    A later file of the same export id and month replaces an earlier one. Without a given id it is made of the source and the billing
    account (a file) or the folder's name, so that two organisations' bills never replace each other. The file may lie in an object store
    (`s3://bucket/file.parquet`), opened by the credential reference; a folder there needs an export id in config/accounts.yml.

    Args:
        parts: further files of the same delivery, in the same folder.
        beside: delivery ids that this file must not replace: those of the same command.
    """
    location = str(path.resolve()) if isinstance(path, Path) else path
    with _at_hand(settings, path, credential) as local, _readable(settings, local) as readable:
        source = source_named(source_name) if source_name else recognise(readable)
        name = export_id or _default_id(source, readable)
    export = Export(id=name, source=source.name, location=location, credential=credential)
    together = tuple(part_names(location, [str(part.resolve()) if isinstance(part, Path) else part for part in parts]))
    return ingest_stream(
        settings, export, clock, accept=accept, accept_partial=accept_partial, parts=together, beside=beside, progress=progress
    )


@contextmanager
def _at_hand(settings: Settings, path: Path | str, credential: str | None) -> Iterator[Path]:
    """The path; of a file in an object store a copy, for as long as its source is being found out."""
    if isinstance(path, Path):
        yield path
        return
    file = split_file(path)
    if file is None:
        raise ConfigError(
            "the URL is not that of a data file",
            where=path.partition("?")[0],
            expected="a URL that ends in the name of a CSV, Parquet or JSON file",
            next_step="make the folder an export of config/accounts.yml",
        )
    store, name = store_for(file[0], credential), file[1]
    area = settings.lake / ".incoming"
    area.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=area) as folder:
        copy = Path(folder) / name
        store.fetch(name, copy, store.digest(name))
        yield copy


@contextmanager
def _readable(settings: Settings, path: Path) -> Iterator[Path]:
    """The path, or the only member of a zip file, unpacked for as long as its source is being found out."""
    if not (path.is_file() and path.name.endswith(".zip")):
        yield path
        return
    area = settings.lake / ".incoming"
    area.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=area) as folder:
        yield containers.opened(path, path.name, Path(folder), landing.limits(settings)).path


def _default_id(source: Source, path: Path) -> str:
    owner = source.account_of(path) if path.is_file() else path.resolve().name
    slug = re.sub(r"[^a-z0-9]+", "-", f"{source.name} {owner or ''}".lower()).strip("-")
    return slug[:63].rstrip("-")


def ingest_stream(
    settings: Settings,
    export: Export,
    clock: Clock,
    *,
    accept: Sequence[str] = (),
    accept_partial: bool = False,
    parts: Sequence[str] = (),
    beside: Collection[str] = (),
    progress: Progress = lambda _: None,
) -> IngestResult:
    """Try every delivery of an export; refusals are collected, recorded in the ledger, and never stop the next one."""
    result = IngestResult(export.id)
    lake = Lake(settings)
    try:
        source = source_named(export.source)
        store, candidates = _candidates(source, export, parts, accept_partial=accept_partial)
    except CostlakeError as error:
        result.refused.append(error)
        return result
    state = DeliveryState(delivery_events(lake, export.id))
    ingest_id = uuid.uuid4().hex
    for candidate in candidates:
        loader = _Loader(settings, lake, source, export, store, state, clock, frozenset(accept), frozenset(beside), ingest_id)
        try:
            loader.load(candidate, result)
            progress(f"{export.id}: {candidate.key}")
        except CostlakeError as error:
            result.refused.append(error)
            loader.record_refusal(candidate, error)
            progress(f"{export.id}: REFUSED {candidate.key}: {error.what}")
    return result


def configured_exports(settings: Settings) -> Iterator[Export]:
    """The exports of config/accounts.yml; ConfigError when there are none."""
    path = settings.config_dir / "accounts.yml"
    exports = load_accounts(path).exports
    if not exports:
        raise ConfigError(
            "no export is configured",
            where=f"{path.parent.name}/{path.name}",
            expected="at least one entry under exports",
            next_step="copy an entry of config/accounts.example.yml, or run `costlake run` for the demo estate",
        )
    yield from exports


def configured_export(settings: Settings, export_id: str) -> Export:
    """The configured export of that id; ConfigError names those that exist."""
    exports = {export.id: export for export in configured_exports(settings)}
    if export_id not in exports:
        raise ConfigError(
            f"there is no export {export_id!r}",
            where="config/accounts.yml",
            expected=f"one of {', '.join(exports)}",
            next_step="correct the id, or add the export",
        )
    return exports[export_id]


def recognise(path: Path) -> Source:
    """The source that a lone file or an export's folder belongs to, by its content."""
    if not path.exists():
        raise ConfigError("no such file", where=str(path), expected="a data file or an export's folder", next_step="check the path")
    sources = list(all_sources().values())
    if path.is_file():
        matching = [source for source in sources if _recognises(source, path)]
    else:
        matching = [s for s in sources if next(_found(s, path), None) is not None]
    if len(matching) != 1:
        raise ConfigError(
            "the file is of no known source" if not matching else f"the file could be {', '.join(s.name for s in matching)}",
            where=path.name,
            expected=f"a file of one of {', '.join(s.name for s in sources)}",
            next_step="name its source with --source",
        )
    return matching[0]


def _opened(source: Source, context: LoadContext, delivery: Delivery, objects: tuple[LandedObject, ...]) -> Opened:
    """The source's own reading; what DuckDB finds wrong with a file while a source looks into it is a refusal, as in `judge`."""
    import duckdb

    try:
        return source.open(context, delivery, objects)
    except duckdb.Error as error:
        raise unreadable(delivery.key, error) from error


def _recognises(source: Source, path: Path) -> bool:
    import duckdb

    try:
        return source.recognises(path)
    # What a stranger's bytes do to a reader of text, gzip, JSON, CSV or Parquet: then the file is not of its kind.
    except (ValueError, EOFError, OSError, RecursionError, csv.Error, zlib.error, duckdb.Error):
        return False


def _found(source: Source, folder: Path) -> Iterator[Candidate]:
    export = Export(id="probe", source=source.name, location=str(folder))
    return source.find(store_for(str(folder)), export)


def _candidates(source: Source, export: Export, parts: Sequence[str], *, accept_partial: bool) -> tuple[Store, list[Candidate]]:
    file = split_file(export.location)
    if file is not None:
        folder, name = file
        store = store_for(folder, export.credential)
        lone = Delivery(export, name, tuple(store.stat(part) for part in (name, *parts)), partial=accept_partial)
        return store, [Candidate(name, lambda: lone)]
    store = store_for(export.location, export.credential)
    candidates = list(source.find(store, export))
    if not candidates:
        raise ManifestError(
            "no delivery was found",
            where=f"export {export.id}, location {export.location}",
            expected=f"the folder into which {source.title} is written, with its commit markers",
            next_step="check the location in config/accounts.yml, or hand over single files: costlake ingest FILE",
        )
    return store, candidates


def _check_in_force(candidate: Candidate, delivery: Delivery) -> None:
    """The marker still says what it said before the files were fetched: otherwise they may be of two deliveries."""
    try:
        now = candidate.resolve()
        same = (now.manifest, now.objects) == (delivery.manifest, delivery.objects)
    except DeliveryError:
        same = False
    if not same:
        raise ObjectReplaced(
            "the delivery was replaced while it was read",
            where=delivery.key,
            expected="the manifest and the files that were there at the first look",
            next_step="run the ingest again: the provider was writing a new delivery",
        )


class _Loader:
    """One delivery on its way into bronze."""

    def __init__(
        self,
        settings: Settings,
        lake: Lake,
        source: Source,
        export: Export,
        store: Store,
        state: DeliveryState,
        clock: Clock,
        accept: frozenset[str],
        beside: frozenset[str],
        ingest_id: str,
    ) -> None:
        self._settings, self._lake, self._source, self._export = settings, lake, source, export
        self._store, self._state, self._clock, self._accept = store, state, clock, accept
        self._beside, self._ingest_id = beside, ingest_id
        self._identity = ""

    def load(self, candidate: Candidate, result: IngestResult) -> None:
        """Judge and write one delivery; leaves everything as it was when it is active already."""
        delivery = candidate.resolve()
        check_once((stored.key for stored in delivery.objects), delivery.key)
        digests = tuple(self._store.digest(stored.key) for stored in delivery.objects)
        self._identity = landing.delivery_id(delivery, digests)
        if self._state.is_done(self._identity, current=delivery.current):
            result.unchanged += 1
            result.present.append(self._identity)
            return
        with landing.incoming(self._settings, self._store, delivery, digests, self._source.redaction) as objects:
            _check_in_force(candidate, delivery)
            connection = open_duckdb(self._settings)
            try:
                known = load_known_models(self._settings.config_dir / "prices" / "models.yml").models
                opened = _opened(self._source, LoadContext(connection, known), delivery, objects)
                judged = judge(connection, self._source, delivery, self._identity, opened, objects)
                self._guard(judged, delivery, connection)
                settle = partial(landing.settle, self._settings, delivery, self._identity, objects)
                vacated = write_bronze(self._lake, connection, self._source, judged, self._clock, settle)
            finally:
                connection.close()
        events = self._state.loaded(judged, vacated)
        record_deliveries(self._lake, events, self._clock, self._ingest_id)
        result.loaded.append(self._identity)
        result.present.append(self._identity)
        result.replaced += [event.delivery_id for event in events if event.status == "superseded"]
        result.row_count += sum(total.row_count for total in judged.totals)

    def record_refusal(self, candidate: Candidate, error: CostlakeError) -> None:
        """Put a refusal into the ledger, once: the same refusal of the same files is not repeated."""
        event = DeliveryEvent(
            status="refused",
            source_id=self._export.id,
            source=self._source.name,
            delivery_id=self._identity,
            delivery_key=candidate.key,
            error_type=type(error).__name__,
            error_text=str(error),
        )
        if self._state.refuse(event):
            record_deliveries(self._lake, [event], self._clock, self._ingest_id)

    def _guard(self, judged: Judged, delivery: Delivery, connection: duckdb.DuckDBPyConnection) -> None:
        active = self._state.active_totals()
        guards.check_announced_rows(judged.totals, delivery.announced_rows, delivery.key)
        if delivery.announced_rows != 0:
            guards.check_not_empty(judged.totals, active, delivery.key)
        guards.check_period(judged.totals, delivery.billing_period, delivery.key)
        if self._identity not in self._accept:
            guards.check_not_over(judged.totals, self._state.holders() if self._beside else {}, self._beside, delivery.key)
            guards.check_not_shrunken(
                judged.totals,
                active,
                self._settings.shrink_tolerance_percent,
                delivery.key,
                self._identity,
            )
            units.check_units_kept(connection, self._lake, self._source, judged)
