"""Pulls as folders: pages one by one, and `pull.json` last, which makes a delivery of them.

Data flow: pages → <location>/pull-000042-<report>/page-00001.json …; `pull.json.partial` says what was asked until `pull.json` says that
all of it is there.

A pull that was never landed (refused, or not ingested yet) when a newer one covers its days is overtaken: `pull.json.overtaken`. Loaded
after the newer one it would bring old numbers back.
A killed pull leaves a folder without `pull.json`, which no ingest reads and the next pull continues or removes. Folders are numbered:
deliveries come into the lake in the order of their names, whatever a machine's clock says.
Not for direct use.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costlake.errors import ConcurrentWrite

MARKER = "pull.json"
_STATE = f"{MARKER}.partial"
_OVERTAKEN = f"{MARKER}.overtaken"
_LOCK = ".pull.lock"
_NAME = re.compile(r"pull-(\d{6,})-([a-z0-9_]+)")


@dataclass(frozen=True)
class PullFolder:
    """A pull on disk; `asked` is what `pull.json` will say beside the pages."""

    path: Path
    asked: dict[str, Any]

    @classmethod
    def begin(cls, root: Path, report: str, asked: dict[str, Any]) -> PullFolder:
        """A new folder, numbered after all others."""
        numbers = [int(match[1]) for path in root.iterdir() if (match := _NAME.fullmatch(path.name))]
        path = root / f"pull-{max(numbers, default=0) + 1:06d}-{report}"
        path.mkdir()
        _write(path / _STATE, json.dumps(asked, indent=1).encode())
        return cls(path, asked)

    @property
    def pages(self) -> list[Path]:
        """The pages that are whole, in order."""
        return sorted(self.path.glob("page-*.json"))

    def next_name(self) -> str:
        """The name of the page to come."""
        return _page_name(len(self.pages) + 1)

    def add(self, content: bytes) -> None:
        """One more page; it is there whole or not at all."""
        _write(self.path / self.next_name(), content)

    def digests(self) -> list[str]:
        """sha256 of each page."""
        return [hashlib.sha256(page.read_bytes()).hexdigest() for page in self.pages]

    def commit(self, facts: dict[str, Any]) -> None:
        """Make a delivery of it."""
        content = {**self.asked, **facts, "pages": [page.name for page in self.pages], "sha256": self.digests()}
        _write(self.path / MARKER, json.dumps(content, indent=1).encode())
        (self.path / _STATE).unlink(missing_ok=True)

    @property
    def key(self) -> str:
        """What the ingest calls it."""
        return f"{self.path.name}/{MARKER}"

    def overtake(self) -> None:
        """A newer pull has all its days: no ingest shall load it any more. Its pages stay, for people."""
        (self.path / MARKER).replace(self.path / _OVERTAKEN)

    def discard(self) -> None:
        """Remove what is no delivery; killed half way, it has lost its question and is not continued."""
        (self.path / _STATE).unlink(missing_ok=True)
        shutil.rmtree(self.path)


def finished(root: Path, report: str) -> list[PullFolder]:
    """The finished pulls of a report with what their `pull.json` says, oldest first; {} where it says nothing readable."""
    return [PullFolder(path, _said(path / MARKER)) for path in _folders(root, report) if (path / MARKER).is_file()]


def unfinished(root: Path, report: str) -> list[PullFolder]:
    """Pulls of a report that were killed or broke off, oldest first; one that has lost its question is removed."""
    found = []
    for path in _folders(root, report):
        if (path / MARKER).is_file() or (path / _OVERTAKEN).is_file():
            continue
        try:
            folder = PullFolder(path, dict(json.loads((path / _STATE).read_bytes())))
            if [page.name for page in folder.pages] != [_page_name(number) for number in range(1, len(folder.pages) + 1)]:
                raise ValueError("a page has gone")
            found.append(folder)
        except (FileNotFoundError, ValueError, TypeError):
            shutil.rmtree(path)  # killed before it was begun or while it was removed, or changed by hand
    return found


@contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Nobody else pulls into the folder meanwhile; ConcurrentWrite at once if somebody does. A killed process holds nothing."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / _LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConcurrentWrite(
                "another pull into this folder is running", where=root.name, expected="one at a time", next_step="wait until it has ended"
            ) from None
        yield


def _folders(root: Path, report: str) -> list[Path]:
    named = [(int(match[1]), path) for path in root.iterdir() if (match := _NAME.fullmatch(path.name)) and match[2] == report]
    return [path for _, path in sorted(named)]


def _page_name(number: int) -> str:
    return f"page-{number:05d}.json"


def _said(marker: Path) -> dict[str, Any]:
    try:
        content = json.loads(marker.read_bytes())
    except ValueError:
        return {}  # changed by hand: the ingest refuses the delivery and says so
    return content if isinstance(content, dict) else {}


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(content)
    partial.replace(path)
