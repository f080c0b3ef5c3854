"""Token workloads of the demo company: (team's use of one model, day) → requests and tokens in disjoint classes.

Run alone: it has no output of its own; `ingest.demo.openai` and `ingest.demo.anthropic` list the workloads.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from costlake.periods import BillingPeriod
from ingest.demo.shape import Shape, days_of, stream

CHAT = Shape(weekend=0.5, yearly=2.6, noise=0.07)
AGENTS = Shape(weekend=0.62, yearly=3.4, noise=0.09)
NIGHTLY = Shape(weekend=0.95, yearly=1.7, noise=0.05)
_TOKEN_NOISE = 0.03


@dataclass(frozen=True)
class Tokens:
    """Tokens in disjoint classes: per request (in a workload) or of a day (in a result)."""

    uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0


CLASSES = ("uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output")


@dataclass(frozen=True)
class Workload:
    """One team's use of one model with one key.

    Attributes:
        owner: project (OpenAI) or workspace (Anthropic) id; None is the vendor's default one.
        requests: on a weekday at the end of the estate.
        per_request: tokens by class; searches: web searches per thousand requests.
        since, until: first and last day of use; None = the whole estate.
    """

    owner: str | None
    model: str
    api_key: str | None
    requests: int
    per_request: Tokens
    shape: Shape
    batch: bool = False
    long_context: bool = False
    searches: int = 0
    since: dt.date | None = None
    until: dt.date | None = None


@dataclass(frozen=True)
class Day:
    """What a workload used on one UTC day."""

    workload: Workload
    day: dt.date
    requests: int
    tokens: Tokens
    searches: int


def usage_of(seed: int, vendor: str, workload: Workload, period: BillingPeriod, anchor: dt.date) -> list[Day]:
    """The workload's days in a month, oldest first; days without a request are left out."""
    rng = stream(seed, vendor, workload.owner, workload.model, workload.api_key, workload.batch, workload.long_context, period)
    found = []
    for day in days_of(period):
        requests = round(workload.requests * workload.shape.factor(day, anchor, rng))
        counts = {
            name: round(requests * getattr(workload.per_request, name) * (1 + rng.uniform(-_TOKEN_NOISE, _TOKEN_NOISE))) for name in CLASSES
        }
        used = (workload.since is None or day >= workload.since) and (workload.until is None or day <= workload.until)
        if requests and used:
            found.append(Day(workload, day, requests, Tokens(**counts), requests * workload.searches // 1000))
    return found
