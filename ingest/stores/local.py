"""Files below a folder of this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from costlake.errors import MissingPart
from ingest.stores.base import CHUNK_BYTES, Sink, StoredObject, check_digest, check_marker_size, checked_key, hostile_key


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
                yield StoredObject(file.relative_to(self._root).as_posix(), file.stat().st_size)

    def folders(self, prefix: str) -> Iterator[str]:
        """See Store.folders."""
        folder = self._path(prefix)
        if folder.is_dir():
            yield from (path.relative_to(self._root).as_posix() for path in sorted(folder.iterdir()) if path.is_dir())

    def exists(self, key: str) -> bool:
        """See Store.exists."""
        return self._path(key).is_file()

    def stat(self, key: str) -> StoredObject:
        """See Store.stat."""
        return StoredObject(key, self._file(key).stat().st_size)

    def read(self, key: str) -> bytes:
        """See Store.read."""
        check_marker_size(self.stat(key).byte_count, key)
        return self._path(key).read_bytes()

    def digest(self, key: str) -> str:
        """See Store.digest."""
        with self._file(key).open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()

    def fetch(self, key: str, target: Path, digest: str) -> str:
        """See Store.fetch."""
        with self._file(key).open("rb") as source, Sink(target) as sink:
            while chunk := source.read(CHUNK_BYTES):
                sink.write(chunk)
        check_digest(sink.sha256, digest, key)
        return sink.sha256

    def _file(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise MissingPart(
                "the file is not there",
                where=key,
                expected="every file that the manifest names",
                next_step="wait for the delivery to finish, or ask the provider to deliver the period again",
            )
        return path

    def _path(self, key: str) -> Path:
        # Symlinks count as what they point to: a delivery must not reach outside its location (../../etc/passwd).
        path = (self._root / checked_key(key, self.root)).resolve()
        if not path.is_relative_to(self._root):
            raise hostile_key(key, self.root)
        return path
