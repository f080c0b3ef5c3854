"""What every store promises, and the rules on keys that hold in all of them.

One suite, tests/ingest/stores/test_contract.py, runs over every store; a store that passes it can be read by every source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from costlake.errors import ManifestError, ObjectReplaced

CHUNK_BYTES = 1 << 20
# A manifest of a thousand parts has about 200 KB; what is larger is none, and must not fill the memory.
MARKER_BYTES = 64 << 20
# Keys per page of a listing; the clouds' own limit.
PAGE_KEYS = 1000


@dataclass(frozen=True)
class StoredObject:
    """An object in a store: its key below the store's root and its size in bytes."""

    key: str
    byte_count: int


class Store(Protocol):
    """A place with objects under slash-separated keys below `root`, its location.

    Every method takes keys below the root, refuses those that lead out of it (ManifestError), and raises StoreUnavailable
    when the store does not answer and StoreRefused when it will not.
    """

    root: str

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects directly below a folder key (not in its subfolders), sorted by key. A missing folder has none."""
        ...

    def folders(self, prefix: str) -> Iterator[str]:
        """Keys of the folders directly below a folder key, sorted."""
        ...

    def exists(self, key: str) -> bool:
        """Whether the object is there."""
        ...

    def stat(self, key: str) -> StoredObject:
        """The object's size. Raises MissingPart when it is not there."""
        ...

    def read(self, key: str) -> bytes:
        """A small object's bytes (commit markers). MissingPart when it is not there, ManifestError beyond MARKER_BYTES."""
        ...

    def digest(self, key: str) -> str:
        """What identifies the object's present bytes, without reading them where the store can tell. MissingPart if there is none.

        Local: their sha256. S3: the ETag. Google: the MD5 that the store computed, else the generation. Azure: the ETag. Other
        bytes always have another digest; the same bytes written again may have another one too, and are then read again.
        """
        ...

    def fetch(self, key: str, target: Path, digest: str) -> str:
        """Copy an object to a local file in bounded memory; returns the sha256 of what was copied.

        Raises ObjectReplaced, which is retryable, when the object has not (or no longer) the given digest.
        """
        ...


class Sink:
    """A new local file that is hashed while it is written. `write` is all that the SDKs ask for."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._digest = hashlib.sha256()
        self.byte_count = 0

    def __enter__(self) -> Sink:
        self._file: IO[bytes] = self._target.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> int:
        """Append bytes."""
        self._digest.update(chunk)
        self.byte_count += len(chunk)
        return self._file.write(chunk)

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        self._file.flush()

    @property
    def sha256(self) -> str:
        """Of all that was written."""
        return self._digest.hexdigest()


def checked_key(key: str, root: str) -> str:
    """The key, if it names something below the root in every store."""
    parts = key.split("/")
    if key.startswith("/") or ".." in parts or "." in parts or "\0" in key:
        raise hostile_key(key, root)
    return key


def hostile_key(key: str, root: str) -> ManifestError:
    """The refusal of a key that leads out of the export's location."""
    return ManifestError(
        "the key leads out of the export's location",
        where=key.replace("\0", "\\0"),
        expected=f"a key below {root.rstrip('/').rpartition('/')[2]}/, without . and .. and no slash first",
        next_step="treat the delivery as hostile: look at who wrote the manifest",
    )


def folder_key(prefix: str, root: str) -> str:
    """A folder's key as what its objects' keys begin with."""
    folder = checked_key(prefix.rstrip("/"), root)
    return f"{folder}/" if folder else ""


def check_digest(found: str, expected: str, key: str) -> None:
    """Refuse an object that is not the one that was looked at before."""
    if found != expected:
        raise ObjectReplaced(
            "the file was replaced while it was read",
            where=key,
            expected=f"the object with digest {expected}",
            next_step="run the ingest again: the provider was writing a new delivery",
        )


def check_marker_size(byte_count: int, key: str) -> None:
    """Refuse to take something huge for a commit marker."""
    if byte_count > MARKER_BYTES:
        raise ManifestError(
            f"the commit marker has {byte_count} bytes",
            where=key,
            expected=f"a manifest of at most {MARKER_BYTES} bytes",
            next_step="look at what was written there; nothing of it was read",
        )
