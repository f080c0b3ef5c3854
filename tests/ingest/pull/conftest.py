"""An API server of one's own, and an export that is pulled from it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import IngestResult, configured_export, ingest_stream
from ingest.pull.client import Manners
from ingest.pull.run import PullResult, pull_exports
from tests.ingest.pull.api_server import KEY, ApiServer, Json, serving

NOW = dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC)
COMPLETIONS = "organization/usage/completions"
COSTS = "organization/costs"
MESSAGES = "organizations/usage_report/messages"
COST_REPORT = "organizations/cost_report"
CLAUDE_CODE = "organizations/usage_report/claude_code"


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with serving(NOW) as server:
        yield server


class Estate:
    """One lake with one pulled export; `slept` are the pauses that the client would have made."""

    def __init__(self, settings: Settings, api: ApiServer) -> None:
        self.settings, self.api, self.slept = settings, api, []
        self.now, self.root = NOW, Path()

    def configure(self, source: str = "openai_usage", location: str = "pulls", **pull: Any) -> None:
        """The only export, called `pulled`."""
        self.root = self.settings.config_dir / location
        defaults = {"api": source.split("_", 1)[0], "credential": "env:TESTED", "base_url": self.api.url, "since": dt.date(2026, 10, 23)}
        if source == "openai_usage":
            defaults["reports"] = ["completions"]
        export = {"id": "pulled", "source": source, "location": location, "billing_account_id": "org-example", "pull": {**defaults, **pull}}
        self.settings.config_dir.mkdir(exist_ok=True)
        (self.settings.config_dir / "accounts.yml").write_text(yaml.safe_dump({"exports": [export]}), encoding="utf-8")

    def folders(self) -> list[str]:
        return sorted(path.name for path in self.root.iterdir() if path.is_dir())

    def pull(self, **manners: Any) -> PullResult:
        patience = Manners(**{"read_seconds": 5, "sleep": self.slept.append, "pause_seconds": 0, **manners})
        return pull_exports(self.settings, ["pulled"], FixedClock(self.now), manners=patience)[0]

    def ingest(self) -> IngestResult:
        return ingest_stream(self.settings, configured_export(self.settings, "pulled"), FixedClock(self.now))

    def both(self) -> IngestResult:
        """Pull and ingest, nothing going wrong."""
        assert self.pull().failed == []
        result = self.ingest()
        assert result.refused == []
        return result

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = Lake(self.settings).connect()
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()


@pytest.fixture
def estate(settings: Settings, api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Estate:
    monkeypatch.setenv("TESTED_API_KEY", KEY)
    made = Estate(settings, api)
    made.configure()
    return made


def completions(tokens: int, **changes: Any) -> Json:
    """A result of OpenAI's completions usage."""
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": tokens,
        "output_tokens": 1,
        "num_model_requests": 1,
        "input_cached_tokens": 0,
        "project_id": "proj_a",
        "model": "gpt-4o-mini-2024-07-18",
        **changes,
    }


@pytest.fixture
def month(api: ApiServer) -> Callable[[], None]:
    """Thirty days of completions, day n with n tokens."""

    def fill() -> None:
        first = dt.date(2026, 10, 23)
        api.results[COMPLETIONS] = {first + dt.timedelta(days=n): [completions(n + 1)] for n in range(30)}

    fill()
    return fill
