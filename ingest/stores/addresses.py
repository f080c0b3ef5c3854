"""From the addresses that a manifest lists to objects below the export's location.

Data flow: `s3://bucket/prefix/file` → key below the store's root → StoredObject.

In an object store each look is a request, so the address itself is asked first: bucket and prefix of the location tell the key.
"""

from __future__ import annotations

from contextlib import suppress

from costlake.errors import ConfigError, ManifestError, MissingPart
from costlake.objectstores import place_of
from ingest.stores.base import Store, StoredObject


def located(store: Store, uris: list[str], manifest_key: str) -> tuple[StoredObject, ...]:
    """The files that a manifest lists by their addresses, as objects below the store's root, in its order: one look per file.

    An address is `s3://bucket/prefix/file` or the key in the bucket. The location may be a copy of the provider's bucket or a folder
    of it: then the longest part of the address that is there counts. ManifestError for a path that climbs, MissingPart.
    """
    found: list[StoredObject] = []
    # How many leading parts of the address lie above the location: the same for all files of a delivery.
    above = 0
    for uri in uris:
        stored, above = _locate(store, uri, manifest_key, above)
        found.append(stored)
    return tuple(found)


def _locate(store: Store, uri: str, manifest_key: str, above: int) -> tuple[StoredObject, int]:
    """A listed file where the provider wrote it, or, in a copy of the bucket, the longest part of its key there."""
    parts = uri.rpartition("://")[2].split("/")
    if ".." in parts:
        raise ManifestError(
            "the manifest names a path that climbs out of its folder",
            where=f"{manifest_key}: {uri}",
            expected="object keys without ..",
            next_step="treat the delivery as hostile: look at who wrote the manifest",
        )
    original = key_in(store, uri)
    starts = [len(parts) - original.count("/") - 1] if original else []
    if not (original and "://" in uri):  # else it lies in this very bucket, and there only
        starts += [above, *range(len(parts))]
    for start in dict.fromkeys(starts):
        key = "/".join(parts[start:])
        if key and not key.startswith("/"):
            with suppress(MissingPart):
                return store.stat(key), start
    raise MissingPart(
        "the manifest names a file that is not there",
        where=f"{manifest_key}: {uri}",
        expected="every listed file below the export's location",
        next_step="wait for the copy to finish, or ask the provider to deliver the period again",
    )


def key_in(store: Store, uri: str) -> str | None:
    """The key below the store's root of what a provider's manifest names by its full address; None when it lies elsewhere.

    Providers write `s3://bucket/prefix/file` or the key in the bucket, `prefix/file`; nothing is asked of the store.
    """
    place = place_of(store.root)
    if place is None:
        return None
    if "://" in uri:
        try:
            named = place_of(uri)
        except ConfigError:
            return None
        if named is None or (named.scheme, named.account, named.bucket) != (place.scheme, place.account, place.bucket):
            return None
        uri = named.prefix
    if place.prefix and not uri.startswith(f"{place.prefix}/"):
        return None
    key = uri.removeprefix(f"{place.prefix}/") if place.prefix else uri
    return key or None
