"""One way to list and read objects, wherever they lie.

Data flow: provider's object store → `Store.fetch` → the incoming area of landing.
Every store is a small class with `list`, `read` and `fetch`; `store_for` picks one by the location's scheme. Local files
are here; S3, Google Cloud Storage and Azure Blob are further classes in this seam and no change elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlparse

from costlake.errors import ConfigError, ManifestError, MissingPart

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredObject:
    """An object in a store: its key below the store's root and its size in bytes."""

    key: str
    byte_count: int


class Store(Protocol):
    """A place with objects under slash-separated keys."""

    root: str

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects directly below a folder key (not in its subfolders), sorted by key."""
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
        """A small object's bytes (manifests)."""
        ...

    def digest(self, key: str) -> str:
        """What identifies the object's bytes (here their sha256). Raises MissingPart when it is not there."""
        ...

    def fetch(self, key: str, target: Path) -> str:
        """Copy an object to a local file; returns the digest of what was copied."""
        ...


class LocalStore:
    """Files below a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self.root = str(self._root)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See Store.list."""
        folder = self._path(prefix)
        if folder.is_dir():
            for file in sorted(path for path in folder.iterdir() if path.is_file()):
                yield StoredObject(str(file.relative_to(self._root)), file.stat().st_size)

    def folders(self, prefix: str) -> Iterator[str]:
        """See Store.folders."""
        folder = self._path(prefix)
        if folder.is_dir():
            yield from (str(path.relative_to(self._root)) for path in sorted(folder.iterdir()) if path.is_dir())

    def exists(self, key: str) -> bool:
        """See Store.exists."""
        return self._path(key).is_file()

    def stat(self, key: str) -> StoredObject:
        """See Store.stat."""
        path = self._path(key)
        if not path.is_file():
            raise MissingPart(
                "the file is not there",
                where=key,
                expected="every file that the manifest names",
                next_step="wait for the delivery to finish, or ask the provider to deliver the period again",
            )
        return StoredObject(key, path.stat().st_size)

    def read(self, key: str) -> bytes:
        """See Store.read."""
        return self._path(key).read_bytes()

    def digest(self, key: str) -> str:
        """See Store.digest."""
        self.stat(key)
        with self._path(key).open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()

    def fetch(self, key: str, target: Path) -> str:
        """See Store.fetch."""
        digest = hashlib.sha256()
        with self._path(key).open("rb") as source, target.open("wb") as sink:
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
                sink.write(chunk)
        return digest.hexdigest()

    def _path(self, key: str) -> Path:
        # Symlinks count as what they point to: a delivery must not reach outside its location (../../etc/passwd).
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root):
            raise ManifestError(
                "the key leads out of the export's location",
                where=key,
                expected=f"a key below {self._root.name}/",
                next_step="treat the delivery as hostile: look at who wrote the manifest",
            )
        return path


def store_for(location: str) -> Store:
    """The store of a location (`/folder`, `file:///folder`). ConfigError for a scheme that no store serves."""
    parsed = urlparse(location)
    if parsed.scheme in ("", "file"):
        return LocalStore(Path(unquote(parsed.path) if parsed.scheme else location))
    raise ConfigError(
        f"no store for {parsed.scheme}://",
        where=f"location {location}",
        expected="a local folder or file://",
        next_step="copy the export to a local folder, or add a store in ingest/stores.py",
    )
