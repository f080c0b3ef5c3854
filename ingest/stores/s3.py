"""Objects in Amazon S3, and in stores that speak its protocol, through boto3.

Needs s3:ListBucket on the bucket and s3:GetObject on the prefix (docs/runbooks/object-stores.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from costlake import objectstores
from costlake.credentials import Credential
from costlake.errors import MissingPart, StoreUnavailable
from costlake.objectstores import Place, answering, s3_client
from ingest.stores import base
from ingest.stores.base import CHUNK_BYTES, Sink, StoredObject, check_digest, check_marker_size, checked_key, folder_key


class S3Store:
    """Objects below a prefix of a bucket. An object's digest is its ETag, which S3 checks again when it is read (If-Match)."""

    def __init__(self, place: Place, credential: Credential) -> None:
        self._place = place
        self.root = place.url
        with answering(place):
            self._client = s3_client(credential)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See Store.list."""
        folder = folder_key(prefix, self.root)
        for page in self._pages(folder):
            for entry in page.get("Contents", ()):
                key = entry["Key"][len(self._place.full_key("")) :]
                # A key that ends in a slash is a folder that a console made.
                if not key.endswith("/") and key != "":
                    yield StoredObject(key, entry["Size"])

    def folders(self, prefix: str) -> Iterator[str]:
        """See Store.folders."""
        folder = folder_key(prefix, self.root)
        for page in self._pages(folder):
            for entry in page.get("CommonPrefixes", ()):
                key = entry["Prefix"][len(self._place.full_key("")) :].removesuffix("/")
                if key != folder.removesuffix("/") and not key.endswith("/"):
                    yield key

    def exists(self, key: str) -> bool:
        """See Store.exists."""
        try:
            self._head(key)
        except MissingPart:
            return False
        return True

    def stat(self, key: str) -> StoredObject:
        """See Store.stat."""
        return StoredObject(key, self._head(key)["ContentLength"])

    def read(self, key: str) -> bytes:
        """See Store.read."""
        with answering(self._place, checked_key(key, self.root)):
            answer = self._client.get_object(**self._named(key))
            check_marker_size(answer["ContentLength"], key)
            return bytes(answer["Body"].read())

    def digest(self, key: str) -> str:
        """See Store.digest."""
        return _digest(self._head(key))

    def fetch(self, key: str, target: Path, digest: str) -> str:
        """See Store.fetch. A stream that breaks off is taken up again where it broke, of the same object."""
        head = self._head(key)
        check_digest(_digest(head), digest, key)
        with Sink(target) as sink:
            for tried in range(1, objectstores.TRIES + 1):
                try:
                    self._stream(key, head["ETag"], head["ContentLength"], sink)
                    break
                except StoreUnavailable:
                    if tried == objectstores.TRIES:
                        raise
        return sink.sha256

    def _stream(self, key: str, etag: str, byte_count: int, sink: Sink) -> None:
        if byte_count == 0:
            return
        with answering(self._place, key):
            rest = f"bytes={sink.byte_count}-"
            body = self._client.get_object(**self._named(key), IfMatch=etag, Range=rest)["Body"]
            for chunk in body.iter_chunks(CHUNK_BYTES):
                sink.write(chunk)

    def _pages(self, folder: str) -> Iterator[dict[str, Any]]:
        paginator = self._client.get_paginator("list_objects_v2")
        pages = paginator.paginate(
            Bucket=self._place.bucket,
            Prefix=self._place.full_key(folder),
            Delimiter="/",
            PaginationConfig={"PageSize": base.PAGE_KEYS},
        )
        with answering(self._place):
            yield from pages

    def _head(self, key: str) -> dict[str, Any]:
        with answering(self._place, checked_key(key, self.root)):
            return dict(self._client.head_object(**self._named(key)))

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self._place.bucket, "Key": self._place.full_key(key)}


def _digest(head: dict[str, Any]) -> str:
    return f"etag:{head['ETag'].strip(chr(34))}"
