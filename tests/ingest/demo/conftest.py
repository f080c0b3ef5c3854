"""A small demo estate, written once per test session: seed → files under a temporary folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ingest.demo import write_demo

MONTHS = 4


def _digests(root: Path) -> dict[str, str]:
    """sha256 of every file, by its path below the root."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Four months, restated once: `estate`, and the bytes of every file after the `first` and after the `second` delivery."""
    root = tmp_path_factory.mktemp("demo-estate")
    said: list[str] = []
    estate = write_demo(root, months=MONTHS, progress=said.append)
    first = _digests(root)
    write_demo(root, months=MONTHS, delivery=2)
    return SimpleNamespace(estate=estate, said=said, first=first, second=_digests(root))


@pytest.fixture(scope="session")
def digests() -> Callable[[Path], dict[str, str]]:
    """The function that fingerprints a folder."""
    return _digests
