"""Objects in Google Cloud Storage, through google-cloud-storage.

Needs storage.objects.list and storage.objects.get on the bucket, as in the role Storage Object Viewer (docs/runbooks/object-stores.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlake import objectstores
from costlake.credentials import Credential
from costlake.errors import MissingPart
from costlake.objectstores import Place, answering, gcs_client
from ingest.stores import base
from ingest.stores.base import Sink, StoredObject, check_digest, check_marker_size, checked_key, folder_key

if TYPE_CHECKING:
    from google.cloud.storage import Blob  # type: ignore[import-untyped]


class GcsStore:
    """Objects below a prefix of a bucket.

    An object's digest is the MD5 that the store computed; composed objects have none and are known by their generation. What is
    read is pinned to the generation that was looked at.
    """

    def __init__(self, place: Place, credential: Credential) -> None:
        self._place = place
        self.root = place.url
        with answering(place):
            self._bucket = gcs_client(credential).bucket(place.bucket)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See Store.list."""
        start = len(self._place.full_key(""))
        for page in self._pages(folder_key(prefix, self.root)):
            for blob in page:
                key = blob.name[start:]
                if key and not key.endswith("/"):
                    yield StoredObject(key, blob.size)

    def folders(self, prefix: str) -> Iterator[str]:
        """See Store.folders."""
        start = len(self._place.full_key(""))
        folder = folder_key(prefix, self.root)
        found: set[str] = set()
        for page in self._pages(folder):
            found |= set(page.prefixes)
        for name in sorted(found):
            key = name[start:].removesuffix("/")
            if key != folder.removesuffix("/") and not key.endswith("/"):
                yield key

    def exists(self, key: str) -> bool:
        """See Store.exists."""
        try:
            self._look(key)
        except MissingPart:
            return False
        return True

    def stat(self, key: str) -> StoredObject:
        """See Store.stat."""
        return StoredObject(key, self._look(key).size)

    def read(self, key: str) -> bytes:
        """See Store.read."""
        blob = self._look(key)
        check_marker_size(blob.size, key)
        with answering(self._place, key):
            return bytes(blob.download_as_bytes(raw_download=True, **_patience()))

    def digest(self, key: str) -> str:
        """See Store.digest."""
        return _digest(self._look(key))

    def fetch(self, key: str, target: Path, digest: str) -> str:
        """See Store.fetch. The SDK checks the MD5 of what came and takes a broken stream up again."""
        blob = self._look(key)
        check_digest(_digest(blob), digest, key)
        seen = self._bucket.blob(blob.name, generation=blob.generation)
        try:
            with Sink(target) as sink, answering(self._place, key):
                # Raw: an object with Content-Encoding gzip would be unpacked on its way, and be another one than was delivered.
                seen.download_to_file(sink, raw_download=True, **_patience())
        except MissingPart:
            check_digest("another generation", digest, key)  # it was there a moment ago
        return sink.sha256

    def _pages(self, folder: str) -> Iterator[Any]:
        with answering(self._place):
            listing = self._bucket.list_blobs(
                prefix=self._place.full_key(folder),
                delimiter="/",
                page_size=base.PAGE_KEYS,
                fields="items(name,size),prefixes,nextPageToken",
                **_patience(),
            )
            yield from listing.pages

    def _look(self, key: str) -> Blob:
        blob = self._bucket.blob(self._place.full_key(checked_key(key, self.root)))
        with answering(self._place, key):
            blob.reload(**_patience())
        return blob


def _digest(blob: Blob) -> str:
    return f"md5:{blob.md5_hash}" if blob.md5_hash else f"generation:{blob.generation}"


def _patience() -> dict[str, Any]:
    from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]

    waits = objectstores.FIRST_WAIT_SECONDS * 2**objectstores.TRIES
    retry = DEFAULT_RETRY.with_timeout(waits).with_delay(objectstores.FIRST_WAIT_SECONDS, waits, 2)
    return {"timeout": (objectstores.CONNECT_SECONDS, objectstores.READ_SECONDS), "retry": retry}
