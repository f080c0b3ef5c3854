"""Objects in Azure Blob Storage (also with a hierarchical namespace), through azure-storage-blob.

Needs list and read on the container, as in the role Storage Blob Data Reader (docs/runbooks/object-stores.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlake.credentials import Credential
from costlake.errors import MissingPart
from costlake.objectstores import Place, answering, azure_container
from ingest.stores import base
from ingest.stores.base import Sink, StoredObject, check_digest, check_marker_size, checked_key, folder_key

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties


class AzureStore:
    """Blobs below a prefix of a container.

    A blob's digest is its ETag, which changes with every write; the MD5 beside it is only what its writer claimed. What is read is
    pinned to the ETag that was looked at.
    """

    def __init__(self, place: Place, credential: Credential) -> None:
        self._place = place
        self.root = place.url
        with answering(place):
            self._container = azure_container(place, credential)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See Store.list."""
        start = len(self._place.full_key(""))
        for entry in self._entries(folder_key(prefix, self.root)):
            key = entry.name[start:]
            # Folders of a hierarchical namespace are listed as empty blobs with this mark.
            folder = key.endswith("/") or (getattr(entry, "metadata", None) or {}).get("hdi_isfolder") == "true"
            if key and not folder:
                yield StoredObject(key, entry.size)

    def folders(self, prefix: str) -> Iterator[str]:
        """See Store.folders."""
        start = len(self._place.full_key(""))
        folder = folder_key(prefix, self.root)
        for entry in self._entries(folder):
            key = entry.name[start:]
            if key.endswith("/") and key != folder and not key.endswith("//"):
                yield key.removesuffix("/")

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
        with answering(self._place, checked_key(key, self.root)):
            stream = self._container.download_blob(self._place.full_key(key), decompress=False)
            check_marker_size(stream.size, key)
            return bytes(stream.readall())

    def digest(self, key: str) -> str:
        """See Store.digest."""
        return _digest(self._look(key))

    def fetch(self, key: str, target: Path, digest: str) -> str:
        """See Store.fetch. The SDK reads block after block, each pinned to the ETag, and asks again for a broken one."""
        from azure.core import MatchConditions

        properties = self._look(key)
        check_digest(_digest(properties), digest, key)
        with Sink(target) as sink, answering(self._place, key):
            stream = self._container.download_blob(
                self._place.full_key(key), etag=properties.etag, match_condition=MatchConditions.IfNotModified, decompress=False
            )
            for chunk in stream.chunks():
                sink.write(chunk)
        return sink.sha256

    def _entries(self, folder: str) -> Iterator[Any]:
        with answering(self._place):
            listing = self._container.walk_blobs(
                self._place.full_key(folder), include=["metadata"], delimiter="/", results_per_page=base.PAGE_KEYS
            )
            yield from listing

    def _look(self, key: str) -> BlobProperties:
        with answering(self._place, checked_key(key, self.root)):
            return self._container.get_blob_client(self._place.full_key(key)).get_blob_properties()


def _digest(properties: BlobProperties) -> str:
    return f"etag:{properties.etag.strip(chr(34))}"
