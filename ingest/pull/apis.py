"""What can be asked of which API: paths, dimensions, limits and the words of its parameters.

Data flow: export's source and `pull:` block → `Report`s of an `Api` → the parameters of one request; a bucket → its two instants.
Documents: OpenAI OpenAPI v2.3.0 (/organization/usage/*, /organization/costs); Anthropic Admin API (usage_report/messages,
cost_report, usage_report/claude_code).
Run alone: python -c "from ingest.pull.apis import APIS; print(APIS['openai'].reports)"
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from costlake.config import Export, Pull
from costlake.errors import ConfigError

Params = list[tuple[str, str]]
# The most buckets that one page may hold, by their width; both providers have the same.
_LIMITS = {"1d": 31, "1h": 168, "1m": 1440}
_COSTS_LIMIT = {"1d": 180}
_RECORDS_PER_PAGE = 1000


@dataclass(frozen=True)
class Report:
    """One kind of answer.

    Attributes:
        name: ours and, in `pull.json`, the endpoint's. path: below the API's base URL. source: who reads it (`costlake sources`).
        dimensions: what it can be grouped by. group_by: what it is grouped by when nobody says otherwise.
        limits: bucket width → most buckets per page. daily: records of one UTC day per request, without buckets.
    """

    name: str
    path: str
    source: str
    dimensions: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    limits: Mapping[str, int] | None = None
    daily: bool = False


@dataclass(frozen=True)
class Ask:
    """One question, whatever number of pages its answer has: [start, end) in whole UTC days, and in what detail."""

    report: Report
    start: dt.datetime
    end: dt.datetime
    bucket_width: str
    group_by: tuple[str, ...]

    @property
    def limit(self) -> int:
        """Buckets (or records) per page: the most that is allowed, so that there are few requests."""
        return _RECORDS_PER_PAGE if self.report.daily else (self.report.limits or _LIMITS)[self.bucket_width]


@dataclass(frozen=True)
class Api:
    """A provider's API.

    Attributes:
        base_url: where it is unless the export says otherwise. headers: key → request headers.
        params: question → parameters of its first page; later pages add `page`. times: bucket → start, end (UTC).
    """

    name: str
    base_url: str
    headers: Callable[[str], dict[str, str]]
    params: Callable[[Ask], Params]
    times: Callable[[Mapping[str, Any]], tuple[dt.datetime, dt.datetime]]
    reports: tuple[Report, ...]


def _openai_params(ask: Ask) -> Params:
    times = [("start_time", str(int(ask.start.timestamp()))), ("end_time", str(int(ask.end.timestamp())))]
    return [*times, ("bucket_width", ask.bucket_width), ("limit", str(ask.limit)), *(("group_by", name) for name in ask.group_by)]


def _openai_times(bucket: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    start, end = (dt.datetime.fromtimestamp(int(bucket[name]), tz=dt.UTC) for name in ("start_time", "end_time"))
    return start, end


def _anthropic_params(ask: Ask) -> Params:
    if ask.report.daily:
        return [("starting_at", ask.start.date().isoformat()), ("limit", str(ask.limit))]
    times = [("starting_at", f"{ask.start:%Y-%m-%dT%H:%M:%SZ}"), ("ending_at", f"{ask.end:%Y-%m-%dT%H:%M:%SZ}")]
    return [*times, ("bucket_width", ask.bucket_width), ("limit", str(ask.limit)), *(("group_by[]", name) for name in ask.group_by)]


def _anthropic_times(bucket: Mapping[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    start, end = (dt.datetime.fromisoformat(bucket[name]) for name in ("starting_at", "ending_at"))
    if start.tzinfo is None or end.tzinfo is None:
        raise ValueError("an instant without its zone")
    return start.astimezone(dt.UTC), end.astimezone(dt.UTC)


_WHO = ("project_id", "user_id", "api_key_id")
_OPENAI_USAGE = {
    "completions": (*_WHO, "model", "batch", "service_tier"),
    "embeddings": (*_WHO, "model"),
    "moderations": (*_WHO, "model"),
    "images": (*_WHO, "model", "size", "source"),
    "audio_speeches": (*_WHO, "model"),
    "audio_transcriptions": (*_WHO, "model"),
    "vector_stores": ("project_id",),
    "code_interpreter_sessions": ("project_id",),
    "file_search_calls": (*_WHO, "vector_store_id"),
    "web_search_calls": (*_WHO, "model", "context_level"),
}
_ANTHROPIC_USAGE = ("api_key_id", "workspace_id", "model", "service_tier", "context_window", "inference_geo")

APIS = {
    "openai": Api(
        "openai",
        "https://api.openai.com/v1",
        lambda key: {"Authorization": f"Bearer {key}"},
        _openai_params,
        _openai_times,
        (
            *(Report(name, f"organization/usage/{name}", "openai_usage", own, own, _LIMITS) for name, own in _OPENAI_USAGE.items()),
            # Not by key: older keys have no costs of their own, and the usage report knows the keys.
            Report(
                "costs",
                "organization/costs",
                "openai_costs",
                ("project_id", "line_item", "api_key_id"),
                ("project_id", "line_item"),
                _COSTS_LIMIT,
            ),
        ),
    ),
    "anthropic": Api(
        "anthropic",
        "https://api.anthropic.com/v1",
        lambda key: {"x-api-key": key, "anthropic-version": "2023-06-01"},
        _anthropic_params,
        _anthropic_times,
        (
            Report(
                "messages",
                "organizations/usage_report/messages",
                "anthropic_usage",
                (*_ANTHROPIC_USAGE, "account_id", "service_account_id"),
                _ANTHROPIC_USAGE,
                _LIMITS,
            ),
            Report(
                "cost_report",
                "organizations/cost_report",
                "anthropic_costs",
                ("workspace_id", "description"),
                ("workspace_id", "description"),
                {"1d": 31},
            ),
            Report("claude_code", "organizations/usage_report/claude_code", "anthropic_claude_code", daily=True),
        ),
    ),
}


def asked(export: Export, pull: Pull) -> tuple[Api, tuple[Report, ...]]:
    """The API of an export and those of its reports that the export's source reads. ConfigError for what does not fit together."""
    api = APIS.get(pull.api)
    if api is None:
        raise _wrong(export, "api", f"there is no API {pull.api!r}", f"one of {', '.join(APIS)}")
    own = [report for report in api.reports if report.source == export.source]
    if not own:
        known = ", ".join(sorted({report.source for report in api.reports}))
        raise _wrong(export, "api", f"{pull.api} has no report for the source {export.source}", f"an export whose source is one of {known}")
    unknown = sorted(set(pull.reports or ()) - {report.name for report in own})
    if unknown:
        raise _wrong(export, "reports", f"{export.source} has no report {unknown[0]!r}", f"some of {', '.join(r.name for r in own)}")
    chosen = tuple(report for report in own if pull.reports is None or report.name in pull.reports)
    strange = sorted(set(pull.group_by or ()) - {name for report in chosen for name in report.dimensions})
    if strange:
        allowed = ", ".join(sorted({name for report in chosen for name in report.dimensions}))
        raise _wrong(export, "group_by", f"nothing can be grouped by {strange[0]!r}", f"some of {allowed or 'nothing'}")
    for report in chosen:
        if report.limits is not None and pull.bucket_width not in report.limits:
            raise _wrong(
                export, "bucket_width", f"{report.name} has no buckets of {pull.bucket_width}", f"one of {', '.join(report.limits)}"
            )
    return api, chosen


def grouping(report: Report, pull: Pull) -> tuple[str, ...]:
    """What a report is grouped by: the export's wish, as far as the report can, or the report's default."""
    return report.group_by if pull.group_by is None else tuple(name for name in report.dimensions if name in pull.group_by)


def _wrong(export: Export, key: str, what: str, expected: str) -> ConfigError:
    return ConfigError(
        what, where=f"config/accounts.yml, export {export.id}, key pull.{key}", expected=expected, next_step="correct config/accounts.yml"
    )
