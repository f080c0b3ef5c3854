"""The fixtures of this room: an estate by hand, and one shared import of Great Expectations."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlake.settings import Settings
from tests.quality.handmade import CLOUD, MODEL, RIVAL, WAREHOUSE, Estate


@pytest.fixture
def estate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Estate:
    """An empty lake with an empty warehouse, and three made-up sources in place of the real ones."""
    sources = {source.name: source for source in (CLOUD, RIVAL, MODEL)}
    monkeypatch.setattr("quality.checks.all_sources", lambda: sources)
    monkeypatch.setattr("quality.reconcile.all_sources", lambda: sources)
    settings = Settings.load(home=tmp_path, lake=tmp_path / "lake", threads=1)
    settings.lake.mkdir()
    made = Estate(settings)
    made.sql(WAREHOUSE)
    return made


@pytest.fixture(scope="session")
def great_expectations() -> None:
    """The one slow import (9 s) that all suites of a session share."""
    import quality.engine  # noqa: F401
