"""Pulls the reports of exports: which days, what was begun before, page after page, until the pull is a delivery.

Data flow: `Export.pull`, the pulls in its folder, the clock → requests → a new pull folder per report, or none when nothing has changed.

A pull covers whole UTC days: the last ends at the latest midnight, because a day that is not over looks like a cheap one. It begins
`window_days` before the end of what was landed, so that what came late replaces what was there; older days are not asked for again. A pull
that was refused is not landed: the next one has its days again, and overtakes it.
Run alone: costlake pull [EXPORT …]
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Set
from collections.abc import Sequence as Listed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from costlake.config import Export, Pull
from costlake.credentials import resolve
from costlake.errors import ConfigError, CostlakeError, IncompletePull, RequestRefused
from costlake.periods import UTC, Clock
from costlake.settings import Settings
from ingest.landing import landed_keys
from ingest.load import configured_export, configured_exports
from ingest.personal import without_emails
from ingest.pull.apis import Api, Ask, Report, asked, grouping
from ingest.pull.client import ApiClient, Manners
from ingest.pull.folders import PullFolder, finished, only_one, unfinished
from ingest.pull.sequence import Sequence

_FIRST_PULL_DAYS = 30
# A begun pull is continued for so long; a provider promises of a cursor nothing, and its pages should be of one time.
_CONTINUED_FOR = dt.timedelta(hours=6)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Pulled:
    """One report that was pulled: [start, end), its pages, and whether they are other than last time (then there is a delivery)."""

    report: str
    start: dt.datetime
    end: dt.datetime
    page_count: int
    result_count: int
    changed: bool

    def __str__(self) -> str:
        state = f"{self.page_count} pages, {self.result_count} results" if self.changed else "unchanged"
        return f"{self.report}, {self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}: {state}"


@dataclass
class PullResult:
    """What became of an export's reports."""

    export_id: str
    pulled: list[Pulled] = field(default_factory=list)
    failed: list[CostlakeError] = field(default_factory=list)


def pull_export(settings: Settings, export_id: str, clock: Clock) -> PullResult:
    """Pull all reports of one configured export; raises its first failure after all were tried, the others as notes.

    Raises:
        ConfigError: the export has no `pull`, or one that does not fit. ProviderRefused: key or request (fatal).
        ProviderUnavailable, IncompletePull, ConcurrentWrite: try again.
    """
    result = pull_exports(settings, [export_id], clock)[0]
    if result.failed:
        first, *others = result.failed
        for other in others:
            first.add_note(f"also failed: {other.what} ({other.where})")
        raise first
    return result


def pull_exports(
    settings: Settings,
    export_ids: Listed[str],
    clock: Clock,
    *,
    since: dt.date | None = None,
    manners: Manners | None = None,
    progress: Progress = lambda _: None,
) -> list[PullResult]:
    """Pull several exports (all that have a `pull` block for an empty list); a failure in one does not stop the others.

    `since` asks for everything from that UTC day on again, instead of the re-pull window.
    """
    exports = [configured_export(settings, name) for name in export_ids] or [e for e in configured_exports(settings) if e.pull is not None]
    results = []
    for export in exports:
        result = PullResult(export.id)
        results.append(result)
        try:
            _pull(export, landed_keys(settings, export.id), clock, since, manners or Manners(), result, progress)
        except CostlakeError as error:
            result.failed.append(error)
    return results


def _pull(
    export: Export,
    landed: Set[str],
    clock: Clock,
    since: dt.date | None,
    manners: Manners,
    result: PullResult,
    progress: Progress,
) -> None:
    if export.pull is None:
        raise ConfigError(
            f"the export {export.id} is not pulled",
            where=f"config/accounts.yml, export {export.id}",
            expected="a pull block (docs/runbooks/pull-from-an-api.md)",
            next_step="add one, or load what was delivered: costlake ingest",
        )
    api, reports = asked(export, export.pull)
    key = resolve(export.pull.credential).get("API_KEY")
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigError(
            "the credential reference holds no key" if not key else "the key has characters that no header may have",
            where=f"config/accounts.yml, export {export.id}, key pull.credential",
            expected="API_KEY behind the reference (env:PREFIX reads PREFIX_API_KEY)",
            next_step="set it where the task runs (docs/runbooks/pull-from-an-api.md)",
        )
    root = Path(export.location)
    base_url = export.pull.base_url or api.base_url
    with only_one(root), ApiClient(base_url, api.headers(key), key, manners) as client:
        for report in reports:
            one = _OneReport(export, export.pull, root, api, report, client, base_url, clock, landed)
            try:
                for pulled in one.run(since):
                    result.pulled.append(pulled)
                    progress(f"{export.id}: {pulled}")
            except CostlakeError as error:
                result.failed.append(error)
                progress(f"{export.id}: FAILED {report.name}: {error.what}")


@dataclass(frozen=True)
class _OneReport:
    """One report of one export."""

    export: Export
    pull: Pull
    root: Path
    api: Api
    report: Report
    client: ApiClient
    base_url: str
    clock: Clock
    landed: Set[str]

    def run(self, since: dt.date | None) -> list[Pulled]:
        """Finish what was begun, then pull up to the latest midnight."""
        made = []
        midnight = self.clock.now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        continued = self._continued()
        if continued is not None:
            with suppress(RequestRefused, IncompletePull):  # its cursor or its pages do not hold any more: the pull below begins anew
                made.append(self._complete(continued))
            if made and made[-1].end >= midnight and since is None:
                return made
        window = self._window(midnight, since)
        if window is not None:
            made.append(self._complete(PullFolder.begin(self.root, self.report.name, self._question(*window))))
        return made

    def _window(self, midnight: dt.datetime, since: dt.date | None) -> tuple[dt.datetime, dt.datetime] | None:
        landed = [done for done in finished(self.root, self.report.name) if done.key in self.landed]
        ends = [end for done in landed if (end := _instant(done.asked.get("ending_at"))) is not None]
        first = _midnight(self.pull.since) if self.pull.since else midnight - dt.timedelta(days=_FIRST_PULL_DAYS)
        if since is not None:
            start = _midnight(since)
        elif ends:
            again = min(max(ends), midnight) - dt.timedelta(days=self.pull.window_days)
            start = max(again, _midnight(self.pull.since)) if self.pull.since else again
        else:
            start = first
        return (start, midnight) if start < midnight else None

    def _question(self, start: dt.datetime, end: dt.datetime) -> dict[str, Any]:
        return {
            "api": self.api.name,
            "base_url": self.base_url,
            "endpoint": self.report.name,
            "bucket_width": "1d" if self.report.daily else self.pull.bucket_width,
            "group_by": list(grouping(self.report, self.pull)),
            "starting_at": start.isoformat(),
            "ending_at": end.isoformat(),
            "begun_at": self.clock.now().isoformat(),
        }

    def _continued(self) -> PullFolder | None:
        """The newest begun pull, if it asked what would be asked today and is young enough; what else was begun is removed."""
        begun = unfinished(self.root, self.report.name)
        for folder in begun[:-1]:
            folder.discard()
        if not begun:
            return None
        folder = begun[-1]
        start, end, since = (_instant(folder.asked.get(name)) for name in ("starting_at", "ending_at", "begun_at"))
        if start is not None and end is not None and since is not None:
            same = {**self._question(start, end), "begun_at": folder.asked["begun_at"]} == folder.asked
            if same and dt.timedelta(0) <= self.clock.now() - since <= _CONTINUED_FOR:
                return folder
        folder.discard()
        return None

    def _complete(self, folder: PullFolder) -> Pulled:
        """All pages that are still missing, then the marker. What is broken is removed; what breaks off stays for the next pull."""
        start, end = (dt.datetime.fromisoformat(folder.asked[name]) for name in ("starting_at", "ending_at"))
        ask = Ask(self.report, start, end, folder.asked["bucket_width"], tuple(folder.asked["group_by"]))
        sequence = Sequence(self.api, ask, self.pull.accept_gaps)
        try:
            for page in folder.pages:
                sequence.accept(page.read_bytes(), f"{folder.path.name}/{page.name}")
            while not sequence.done:
                content = self.client.get(self.report.path, sequence.params())
                self._check_clock(end)
                kept = without_emails(self.export, content)
                sequence.accept(kept, f"{folder.path.name}/{folder.next_name()}")
                folder.add(kept)
        except (IncompletePull, RequestRefused):
            folder.discard()
            raise
        page_count = len(folder.pages)
        changed = self._differs(folder)
        if changed:
            before = finished(self.root, self.report.name)
            folder.commit(self._facts(sequence))
            for older in before:
                days = [_instant(older.asked.get(name)) for name in ("starting_at", "ending_at")]
                if older.key not in self.landed and all(day is not None and start <= day <= end for day in days):
                    older.overtake()
        else:
            folder.discard()
        return Pulled(self.report.name, start, end, page_count, sequence.result_count, changed)

    def _facts(self, sequence: Sequence) -> dict[str, Any]:
        facts: dict[str, Any] = {"pulled_at": self.clock.now().isoformat(), "result_count": sequence.result_count}
        # A row per result, save of Claude Code; an announced 0 is a quiet time and no lost delivery.
        if not self.report.daily or sequence.result_count == 0:
            facts["row_count"] = sequence.result_count
        return facts

    def _differs(self, folder: PullFolder) -> bool:
        """Whether the newest finished pull of the report asked the same and got other pages (or there is none)."""
        done = finished(self.root, self.report.name)
        last = done[-1].asked if done else {}
        same_question = all(last.get(name) == value for name, value in folder.asked.items() if name != "begun_at")
        return not (same_question and last.get("sha256") == folder.digests())

    def _check_clock(self, end: dt.datetime) -> None:
        there = self.client.server_time
        if there is not None and there < end:
            raise IncompletePull(
                f"on the provider's clock it is {there:%Y-%m-%dT%H:%M:%SZ}, before the end of the last day asked for",
                where=f"export {self.export.id}, {self.report.name}",
                expected=f"{end:%Y-%m-%dT%H:%MZ} or later: a day that is not over would look cheap",
                next_step="set this machine's clock (NTP), then pull again",
            )


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), tzinfo=UTC)


def _instant(text: object) -> dt.datetime | None:
    """An instant of a marker that we wrote; None for anything else (a marker written by hand)."""
    try:
        instant = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return instant.astimezone(UTC) if instant.tzinfo else None
