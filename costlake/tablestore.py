"""Where the lake's Delta tables lie: a folder of this machine, a bucket of S3, or a container of Azure Blob.

Data flow: settings.tables, settings.tables_credential → `TableStore` → what delta-rs, DuckDB and an upload need to get there.

Everything else of the lake (landing, the warehouse, the BI file, reports) is local. New Parquet files are written to a local
workplace first and uploaded whole, then committed: a commit is one conditional put of the log's next file, which S3 and Azure
grant to one writer only. Google Cloud Storage is read as a provider's store and not offered here: no server for a test speaks the
part of its protocol that delta-rs needs.

Run alone: COSTLAKE_TABLES=s3://bucket/lake costlake deliveries
"""

from __future__ import annotations

import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from costlake import objectstores
from costlake.credentials import Credential, resolve
from costlake.errors import ConfigError, CostlakeError
from costlake.objectstores import Place, answering, aws_session, azure_container, place_of, refused, s3_client, unavailable
from costlake.settings import Settings
from costlake.sql import literal

if TYPE_CHECKING:
    import duckdb

_SAFE_PREFIX = re.compile(r"[A-Za-z0-9._/-]*")
# How delta-rs quotes a store, and what a refusal looks like there; it has no types for either.
_QUOTES_STORE = re.compile(r"Generic \w+ error|error sending request|Error performing")
_SAYS_NO = re.compile(
    r"\b40[0134] [A-Z]\w+|AccessDenied|NoSuchBucket|ContainerNotFound|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|Unauthenticated"
)


class TableStore(ABC):
    """A place for Delta tables at `<root>/<layer>/<name>`.

    Attributes:
        root: what delta-rs opens tables below.
        options: delta-rs' storage options; they hold the credential, so they are neither printed nor kept.
    """

    root: str

    @property
    @abstractmethod
    def options(self) -> dict[str, str] | None:
        """Storage options for delta-rs."""

    @abstractmethod
    def workplace(self, layer: str, name: str) -> Path:
        """The local folder in which a table's new files are written, at the places that they will have in the table."""

    @abstractmethod
    def has_log(self, layer: str, name: str) -> bool:
        """Whether the table has at least one commit."""

    @abstractmethod
    def names(self, layer: str) -> list[str]:
        """The tables of a layer, sorted."""

    @abstractmethod
    def bring(self, layer: str, name: str, path: Path) -> None:
        """Put a file of the workplace into the table's folder; it is not part of the table before a commit names it."""

    @abstractmethod
    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let a DuckDB connection read the tables' files."""

    @abstractmethod
    def leftovers(self) -> Iterator[Path]:
        """Local files that a killed writer may have left."""

    def uri(self, layer: str, name: str) -> str:
        """A table's folder."""
        return f"{self.root}/{layer}/{name}"


class LocalTables(TableStore):
    """Tables in a folder of this machine; new files are written where they stay."""

    options = None

    def __init__(self, root: Path) -> None:
        self._root = root
        self.root = str(root)

    def workplace(self, layer: str, name: str) -> Path:
        """See TableStore.workplace."""
        return self._root / layer / name

    def has_log(self, layer: str, name: str) -> bool:
        """See TableStore.has_log."""
        return any((self._root / layer / name / "_delta_log").glob("*.json"))

    def names(self, layer: str) -> list[str]:
        """See TableStore.names."""
        return sorted(log.parent.name for log in (self._root / layer).glob("*/_delta_log"))

    def bring(self, layer: str, name: str, path: Path) -> None:
        """See TableStore.bring: the file is there already."""

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """See TableStore.attach: DuckDB reads local files by itself."""

    def leftovers(self) -> Iterator[Path]:
        """Staging files of delta-rs (of data, checkpoints and the log), which vacuum never removes."""
        from costlake.tables import LAYERS

        for layer in LAYERS:
            for pattern in ("*.parquet#*", "*.json#*", "_last_checkpoint#*"):
                yield from (self._root / layer).rglob(pattern)


class _RemoteTables(TableStore):
    """What the tables of all object stores share."""

    def __init__(self, settings: Settings, place: Place, credential: Credential) -> None:
        self._workplace = settings.lake / ".outgoing"
        self._place, self._credential = place, credential
        # DuckDB and delta-rs address an Azure account by their options, not by the URL.
        self.root = "/".join(part for part in (f"{place.scheme}:/", place.bucket, place.prefix) if part)

    def workplace(self, layer: str, name: str) -> Path:
        """See TableStore.workplace."""
        return self._workplace / layer / name

    def leftovers(self) -> Iterator[Path]:
        """Files that were on their way."""
        yield from self._workplace.rglob("*.parquet")

    def has_log(self, layer: str, name: str) -> bool:
        """See TableStore.has_log."""
        with answering(self._place):
            return self._any(self._place.full_key(f"{layer}/{name}/_delta_log/"))

    def names(self, layer: str) -> list[str]:
        """See TableStore.names."""
        with answering(self._place):
            found = [name.rstrip("/").rpartition("/")[2] for name in self._folders(self._place.full_key(f"{layer}/"))]
        return sorted(name for name in found if self.has_log(layer, name))

    def bring(self, layer: str, name: str, path: Path) -> None:
        """See TableStore.bring; the local file goes."""
        key = f"{layer}/{name}/{path.relative_to(self.workplace(layer, name)).as_posix()}"
        with answering(self._place, key):
            self._upload(path, self._place.full_key(key))
        path.unlink()

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """See TableStore.attach. The secret lives in the connection's memory and goes with it."""
        connection.execute(f"LOAD {literal(str(_extension(self._duckdb_extension)))}")
        # Data files are never changed in place, so what was learnt of one stays true.
        connection.execute("SET enable_http_metadata_cache = true")
        settings = ", ".join(f"{name} {value}" for name, value in self._duckdb_secret().items())
        done = True
        try:
            connection.execute(f"CREATE OR REPLACE SECRET costlake_tables ({settings}, SCOPE {literal(self.root + '/')})")
        except Exception:
            done = False  # the statement, which DuckDB quotes in its errors, holds the credential
        if not done:
            raise refused("DuckDB does not take the credential", self._place.url)

    _duckdb_extension: str

    @abstractmethod
    def _any(self, prefix: str) -> bool: ...

    @abstractmethod
    def _folders(self, prefix: str) -> Iterator[str]: ...

    @abstractmethod
    def _upload(self, path: Path, key: str) -> None: ...

    @abstractmethod
    def _duckdb_secret(self) -> Mapping[str, str]: ...


class S3Tables(_RemoteTables):
    """Tables in S3, or in a store that speaks its protocol and honours If-None-Match."""

    _duckdb_extension = "httpfs"

    @cached_property
    def _client(self) -> Any:
        return s3_client(self._credential)

    @cached_property
    def _keys(self) -> dict[str, str]:
        """Frozen for the life of this object, a step: boto3 knows all the places that keys may come from."""
        with answering(self._place):
            session = aws_session(self._credential)
            found = session.get_credentials()
            if found is None:
                raise refused("no credential was found", self._place.url)
            frozen = found.get_frozen_credentials()
        keys = {"access_key_id": frozen.access_key, "secret_access_key": frozen.secret_key, "region": session.region_name or "us-east-1"}
        return {**keys, **({"session_token": frozen.token} if frozen.token else {})}

    @property
    def options(self) -> dict[str, str]:
        """See TableStore.options. The log's next file is put on the condition that it is not there (the default, made explicit)."""
        options = {f"aws_{name}": value for name, value in self._keys.items()} | {"aws_conditional_put": "etag"} | _patience()
        endpoint = self._credential.get("ENDPOINT_URL")
        if endpoint:
            options |= {"aws_endpoint_url": endpoint, "aws_allow_http": str(endpoint.startswith("http://")).lower()}
        return options

    def _duckdb_secret(self) -> Mapping[str, str]:
        keys = self._keys
        secret = {"TYPE": "s3", "KEY_ID": literal(keys["access_key_id"]), "SECRET": literal(keys["secret_access_key"])}
        secret["REGION"] = literal(keys["region"])
        if "session_token" in keys:
            secret["SESSION_TOKEN"] = literal(keys["session_token"])
        endpoint = self._credential.get("ENDPOINT_URL")
        if endpoint:
            parts = urlsplit(endpoint)
            secret |= {"ENDPOINT": literal(parts.netloc), "USE_SSL": str(parts.scheme == "https").lower(), "URL_STYLE": "'path'"}
        return secret

    def _any(self, prefix: str) -> bool:
        return bool(self._client.list_objects_v2(Bucket=self._place.bucket, Prefix=prefix, MaxKeys=1).get("Contents"))

    def _folders(self, prefix: str) -> Iterator[str]:
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._place.bucket, Prefix=prefix, Delimiter="/"):
            yield from (entry["Prefix"] for entry in page.get("CommonPrefixes", ()))

    def _upload(self, path: Path, key: str) -> None:
        self._client.upload_file(str(path), self._place.bucket, key)


class AzureTables(_RemoteTables):
    """Tables in a container of Azure Blob Storage."""

    _duckdb_extension = "azure"

    @cached_property
    def _container(self) -> Any:
        return azure_container(self._place, self._credential)

    @cached_property
    def _access(self) -> dict[str, str]:
        """account, endpoint and key or sas, wherever the credential has them."""
        connection = self._credential.get("CONNECTION_STRING") or ""
        fields = dict(part.split("=", 1) for part in connection.split(";") if "=" in part)
        key = fields.get("AccountKey") or self._credential.get("ACCOUNT_KEY")
        sas = fields.get("SharedAccessSignature") or self._credential.get("SAS_TOKEN")
        if not (key or sas):
            raise refused("no credential was found", self._place.url)
        endpoint = str(self._container.url).partition("?")[0].rpartition("/")[0]
        return {"account": self._place.account, "endpoint": endpoint} | ({"key": key} if key else {"sas": (sas or "").lstrip("?")})

    @property
    def options(self) -> dict[str, str]:
        """See TableStore.options."""
        access = self._access
        options = {"azure_storage_account_name": access["account"], "azure_endpoint": access["endpoint"]}
        options |= {"azure_storage_account_key": access["key"]} if "key" in access else {"azure_storage_sas_key": access["sas"]}
        return options | _patience() | {"allow_http": str(access["endpoint"].startswith("http://")).lower()}

    def _duckdb_secret(self) -> Mapping[str, str]:
        access = self._access
        parts = [f"BlobEndpoint={access['endpoint']}", f"AccountName={access['account']}"]
        parts.append(f"AccountKey={access['key']}" if "key" in access else f"SharedAccessSignature={access['sas']}")
        parts.append(f"DefaultEndpointsProtocol={access['endpoint'].partition('://')[0]}")
        return {"TYPE": "azure", "CONNECTION_STRING": literal(";".join(parts))}

    def _any(self, prefix: str) -> bool:
        return next(iter(self._container.list_blobs(prefix, results_per_page=1)), None) is not None

    def _folders(self, prefix: str) -> Iterator[str]:
        yield from (entry.name for entry in self._container.walk_blobs(prefix, delimiter="/") if entry.name.endswith("/"))

    def _upload(self, path: Path, key: str) -> None:
        with path.open("rb") as source:
            self._container.upload_blob(key, source, overwrite=True, validate_content=True)


def table_store(settings: Settings) -> TableStore:
    """Where these settings have the tables. ConfigError for a place that cannot hold them; no request is made yet."""
    place = place_of(settings.tables)
    if place is None:
        return LocalTables(Path(settings.tables))
    if place.scheme == "gs" or _SAFE_PREFIX.fullmatch(place.prefix) is None:
        raise ConfigError(
            "the tables cannot lie there",
            where=f"COSTLAKE_TABLES={place.url}",
            expected="a local folder, s3://bucket/prefix or az://account/container/prefix, of letters, digits, dots, dashes and slashes",
            next_step="choose another place (docs/runbooks/object-stores.md)",
        )
    credential = resolve(settings.tables_credential)
    return (S3Tables if place.scheme == "s3" else AzureTables)(settings, place, credential)


def _patience() -> dict[str, str]:
    """delta-rs' own ten tries within three minutes, brought down to those of the other clients."""
    seconds = objectstores.READ_SECONDS
    tries = {"max_retries": str(objectstores.TRIES), "retry_timeout": f"{2 * seconds}s"}
    return {**tries, "timeout": f"{seconds}s", "connect_timeout": f"{objectstores.CONNECT_SECONDS}s"}


def store_error(error: Exception, where: str) -> CostlakeError | None:
    """What an exception of delta-rs says of an object store; None where it is about something else.

    Its own text may hold a signed URL and is not passed on.
    """
    if _QUOTES_STORE.search(str(error)) is None:
        return None
    said = _SAYS_NO.search(str(error))
    return refused(f"the answer was {said[0]}", where) if said else unavailable("no answer, or too busy", where)


def _extension(name: str) -> Path:
    """DuckDB's signed extension as its wheel brings it: nothing is downloaded."""
    import duckdb

    folder = Path(str(importlib.import_module(f"duckdb_extension_{name}").__file__)).parent
    file = folder / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not file.exists():
        raise ConfigError(
            f"DuckDB's extension {name} is not that of this DuckDB",
            where=f"package duckdb-extension-{name}",
            expected=f"version {duckdb.__version__}",
            next_step="install the package from requirements.lock",
        )
    return file
