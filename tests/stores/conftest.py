"""The clouds as session fixtures: one server each, a prefix of its own for every test."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from costlake import objectstores
from costlake.credentials import resolve
from tests.stores import servers
from tests.stores.servers import Cloud, Proxy

REMOTE = ("s3", "gcs", "azure")
Server = tuple[Proxy, dict[str, str]]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same retries as in earnest, waited for less long."""
    monkeypatch.setattr(objectstores, "FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(objectstores, "TRIES", 3)
    monkeypatch.setattr(objectstores, "READ_SECONDS", 5)


@contextlib.contextmanager
def _exported(prefix: str, values: dict[str, str]) -> Iterator[None]:
    named = {f"{prefix}_{key}": value for key, value in values.items()}
    os.environ.update(named)
    try:
        yield
    finally:
        for name in named:
            del os.environ[name]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    with servers.s3() as (proxy, values), _exported("TEST_S3", values):
        objectstores.s3_client(resolve("env:TEST_S3")).create_bucket(Bucket="bills")
        yield proxy, values


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[Server]:
    with servers.gcs() as (proxy, values), _exported("TEST_GCS", values):
        objectstores.gcs_client(resolve("env:TEST_GCS")).create_bucket("bills")
        yield proxy, values


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    missing = servers.azurite_missing()
    if missing:
        pytest.skip(missing)
    with servers.azure(tmp_path_factory.mktemp("azurite")) as (proxy, values), _exported("TEST_AZURE", values):
        place = objectstores.place_of(f"az://{servers.AZURE_ACCOUNT}/bills")
        assert place is not None
        objectstores.azure_container(place, resolve("env:TEST_AZURE")).create_container()
        yield proxy, values


@pytest.fixture
def s3_cloud(s3_server: Server) -> Cloud:
    proxy, values = s3_server
    client = objectstores.s3_client(resolve("env:TEST_S3"))
    prefix = f"t/{uuid.uuid4().hex[:8]}"

    def put(key: str, content: bytes, encoding: str | None = None) -> None:
        more = {"ContentEncoding": encoding} if encoding else {}
        client.put_object(Bucket="bills", Key=f"{prefix}/{key}", Body=content, **more)

    return Cloud("s3", f"s3://bills/{prefix}", "env:TEST_S3", put, proxy, values["SECRET_ACCESS_KEY"])


@pytest.fixture
def gcs_cloud(gcs_server: Server) -> Cloud:
    proxy, _ = gcs_server
    bucket = objectstores.gcs_client(resolve("env:TEST_GCS")).bucket("bills")
    prefix = f"t/{uuid.uuid4().hex[:8]}"

    def put(key: str, content: bytes, encoding: str | None = None) -> None:
        blob = bucket.blob(f"{prefix}/{key}")
        blob.content_encoding = encoding
        blob.upload_from_string(content)

    return Cloud("gcs", f"gs://bills/{prefix}", "env:TEST_GCS", put, proxy)


@pytest.fixture
def azure_cloud(azure_server: Server) -> Cloud:
    from azure.storage.blob import ContentSettings

    proxy, values = azure_server
    location = f"az://{servers.AZURE_ACCOUNT}/bills/t/{uuid.uuid4().hex[:8]}"
    place = objectstores.place_of(location)
    assert place is not None
    container = objectstores.azure_container(place, resolve("env:TEST_AZURE"))

    def put(key: str, content: bytes, encoding: str | None = None) -> None:
        settings = ContentSettings(content_encoding=encoding) if encoding else None
        container.upload_blob(place.full_key(key), content, overwrite=True, content_settings=settings)

    return Cloud("azure", location, "env:TEST_AZURE", put, proxy, values["ACCOUNT_KEY"])


@pytest.fixture
def local_cloud(tmp_path: Path) -> Cloud:
    root = tmp_path / "store"
    root.mkdir()

    def put(key: str, content: bytes, encoding: str | None = None) -> None:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(content)

    return Cloud("local", str(root), None, put)


@pytest.fixture(params=("local", *REMOTE))
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """Each store in turn."""
    return request.getfixturevalue(f"{request.param}_cloud")


@pytest.fixture(params=REMOTE)
def remote(request: pytest.FixtureRequest) -> Cloud:
    """Each store that is reached over the wire."""
    return request.getfixturevalue(f"{request.param}_cloud")


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cloud], Cloud]:
    """The same store past the proxy."""

    def reach(cloud: Cloud) -> Cloud:
        if cloud.proxy is None or cloud.credential is None:
            return cloud
        prefix = cloud.credential.removeprefix("env:")
        for name in [name for name in os.environ if name.startswith(f"{prefix}_")]:
            value = os.environ[name].replace(f":{cloud.proxy.port}", f":{cloud.proxy.upstream}")
            monkeypatch.setenv(name.replace(prefix, f"{prefix}_DIRECT"), value)
        return replace(cloud, credential=f"{cloud.credential}_DIRECT")

    return reach


@pytest.fixture(params=("s3", "azure"))
def tables_cloud(request: pytest.FixtureRequest, direct: Callable[[Cloud], Cloud]) -> Cloud:
    """Each store that the lake's own tables can lie in, reached directly.

    delta-rs holds Python's lock in some of its requests: a proxy in this process could never answer them.
    """
    return direct(request.getfixturevalue(f"{request.param}_cloud"))
