"""One way to list and read objects, wherever they lie.

Data flow: provider's object store → `Store.fetch` → the incoming area of landing.
`store_for` picks the store by the location's scheme and opens it with what the credential reference stands for:

    /folder, file:///folder                                      local.py
    s3://bucket/prefix                                           s3.py     (boto3)
    gs://bucket/prefix                                           gcs.py    (google-cloud-storage)
    az://account/container/prefix, abfss://…, https://<account>.blob.core.windows.net/container/prefix   azure.py

Run alone: python -c "from ingest.stores import store_for; print(*store_for('s3://bucket/prefix', 'env:BILLS').list(''))"
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from costlake.credentials import resolve
from costlake.objectstores import place_of
from ingest.stores.addresses import key_in, located
from ingest.stores.base import Store, StoredObject
from ingest.stores.local import LocalStore

__all__ = ["LocalStore", "Store", "StoredObject", "key_in", "located", "split_file", "store_for"]

_DATA_ENDINGS = (".csv", ".csv.gz", ".parquet", ".ndjson", ".ndjson.gz", ".json", ".json.gz", ".zip")


def store_for(location: str, credential: str | None = None) -> Store:
    """The store of a location, opened with the credential that `credential` refers to; no request is made yet.

    Raises:
        ConfigError: no store serves the scheme, or the reference leads to nothing.
        StoreRefused: the SDK's default chain has no credential.
    """
    place = place_of(location)
    if place is None:
        return LocalStore(Path(unquote(urlsplit(location).path) if "://" in location else location))
    opened = resolve(credential)
    if place.scheme == "s3":
        from ingest.stores.s3 import S3Store

        return S3Store(place, opened)
    if place.scheme == "gs":
        from ingest.stores.gcs import GcsStore

        return GcsStore(place, opened)
    from ingest.stores.azure import AzureStore

    return AzureStore(place, opened)


def split_file(location: str) -> tuple[str, str] | None:
    """Folder and name of a location that is a lone data file; None for a folder. Costs a request only for a name that looks like one."""
    if "://" not in location:
        path = Path(location)
        return (str(path.parent), path.name) if path.is_file() else None
    folder, _, name = location.rpartition("/")
    return (folder, name) if name.lower().endswith(_DATA_ENDINGS) else None
