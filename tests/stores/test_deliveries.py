"""A provider's delivery in an object store: the same rows as from a folder, read once, refused or read again where it changes."""

from __future__ import annotations

import datetime as dt
import re
import traceback
from decimal import Decimal
from pathlib import Path

import pytest

from costlake import objectstores
from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import MissingPart, ObjectReplaced, RetryableError, StoreRefused, StoreUnavailable
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import IngestResult, ingest_file, ingest_stream
from ingest.source import source_named
from ingest.stores import store_for
from tests.stores.servers import Cloud, Proxy

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "aws_cur2"
WHEN = dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC)
DATA = re.compile(r"\.(csv|parquet)")


def ingest(settings: Settings, cloud: Cloud, clock: FixedClock, location: str | None = None) -> IngestResult:
    export = Export(id="aws", source="aws_cur2", location=location or cloud.location, credential=cloud.credential)
    return ingest_stream(settings, export, clock)


def totals(settings: Settings) -> list[tuple[object, ...]]:
    measures = source_named("aws_cur2").measures
    return (
        Lake(settings)
        .connect()
        .execute(
            f"SELECT _billing_period, count(*), sum({measures['billed']}), sum({measures['effective']}) "
            "FROM bronze.aws_cur2 GROUP BY 1 ORDER BY 1"
        )
        .fetchall()
    )


def is_download(method: str, path: str) -> bool:
    """Whether a data file's content is asked for. Google's metadata is a GET too; its contents carry alt=media."""
    listing = "list-type" in path or "comp=list" in path or ("/storage/v1/" in path and "alt=media" not in path)
    return method == "GET" and DATA.search(path) is not None and not listing


def downloads(proxy: Proxy) -> list[str]:
    return [path for method, path in proxy.requests if is_download(method, path)]


@pytest.fixture(scope="module")
def local_totals(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    home = tmp_path_factory.mktemp("local")
    settings = Settings.load(home=home, lake=home / "lake", config_dir=home / "config")
    ingest_stream(settings, Export(id="aws", source="aws_cur2", location=str(FIXTURE)), FixedClock(WHEN))
    return totals(settings)


def test_a_delivery_is_the_same_from_everywhere_and_downloaded_once(
    remote: Cloud, settings: Settings, clock: FixedClock, local_totals: list[tuple[object, ...]]
) -> None:
    remote.upload(FIXTURE)
    assert remote.proxy is not None
    remote.proxy.requests.clear()
    result = ingest(settings, remote, clock)
    assert result.refused == []
    assert totals(settings) == local_totals
    assert local_totals[0][2] is not None
    first = downloads(remote.proxy)
    assert len(first) == sum(1 for path in (FIXTURE / "data").rglob("*") if path.is_file())
    remote.proxy.requests.clear()
    again = ingest(settings, remote, clock)
    assert (again.loaded, again.refused, again.unchanged) == ([], [], len(result.loaded))
    assert downloads(remote.proxy) == []
    assert totals(settings) == local_totals


def test_a_redelivered_file_is_the_only_one_that_is_read_again(s3_cloud: Cloud, settings: Settings, clock: FixedClock) -> None:
    s3_cloud.upload(FIXTURE)
    ingest(settings, s3_cloud, clock)
    [manifest] = sorted(FIXTURE.glob("metadata/*/*-Manifest.json"))[:1]
    s3_cloud.put(manifest.relative_to(FIXTURE).as_posix(), manifest.read_bytes())  # the same bytes written again
    assert s3_cloud.proxy is not None
    s3_cloud.proxy.requests.clear()
    assert ingest(settings, s3_cloud, clock).loaded == []
    assert downloads(s3_cloud.proxy) == []


def test_a_file_that_is_replaced_between_the_look_and_the_copy_is_not_loaded_as_what_was_seen(
    remote: Cloud, settings: Settings, clock: FixedClock
) -> None:
    remote.upload(FIXTURE)
    [data, *_] = sorted(path for path in (FIXTURE / "data").rglob("*") if path.is_file())
    key = data.relative_to(FIXTURE).as_posix()
    replaced: list[str] = []

    def swap(method: str, path: str) -> None:
        # Just before the first byte is asked for: the digest was taken, and the store's own last look was too.
        if is_download(method, path) and not replaced:
            replaced.append(path)
            remote.put(key, data.read_bytes() + b"\n")

    assert remote.proxy is not None
    with remote.proxy.misbehaving(swap):
        [refusal, *_] = ingest(settings, remote, clock).refused
    assert replaced
    assert isinstance(refusal, ObjectReplaced)
    assert isinstance(refusal, RetryableError)
    assert list((settings.lake / ".incoming").iterdir()) == []


def test_a_broken_stream_is_taken_up_again_and_never_half_a_file(remote: Cloud, tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192  # 2 MiB
    remote.put("large.csv", content)
    store = store_for(remote.location, remote.credential)
    digest = store.digest("large.csv")
    breaks = [700_000]

    def cut(method: str, path: str, answer: bytes) -> bytes:
        return answer[: breaks.pop()] if method == "GET" and len(answer) > 1_000_000 and breaks else answer

    assert remote.proxy is not None
    with remote.proxy.misbehaving(cut=cut):
        store.fetch("large.csv", tmp_path / "copy", digest)
    assert breaks == []
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_store_is_asked_again_and_then_named_as_busy(remote: Cloud, status: int) -> None:
    remote.put("bill.csv", b"x")
    store = store_for(remote.location, remote.credential)
    assert remote.proxy is not None
    left = [1]

    def busy_once(method: str, path: str) -> tuple[int, dict[str, str], bytes] | None:
        return (status, {}, b"") if "bill.csv" in path and left and left.pop() else None

    if (remote.name, status) != ("azure", 429):  # not in Azure's vocabulary: it is busy with 503
        with remote.proxy.misbehaving(busy_once):
            assert store.stat("bill.csv").byte_count == 1
        assert left == []
    with remote.proxy.misbehaving(lambda method, path: (status, {}, b"")), pytest.raises(StoreUnavailable, match=str(status)):
        store.stat("bill.csv")


DENIED = {
    "s3": (b"<?xml version='1.0'?><Error><Code>ExpiredToken</Code><Message>The token AKIASECRET has expired</Message></Error>", 400),
    "gcs": (b'{"error": {"code": 403, "message": "AKIASECRET", "errors": [{"reason": "forbidden"}]}}', 403),
    "azure": (b"<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code><Message>AKIASECRET</Message></Error>", 403),
}


def test_a_store_that_says_no_is_not_asked_forever_and_its_text_is_not_repeated(remote: Cloud) -> None:
    body, status = DENIED[remote.name]
    store = store_for(remote.location, remote.credential)
    assert remote.proxy is not None
    headers = {"x-ms-error-code": "AuthenticationFailed", "Content-Type": "application/json" if remote.name == "gcs" else "application/xml"}
    with remote.proxy.misbehaving(lambda method, path: (status, headers, body)):
        for look in (lambda: list(store.list("")), lambda: store.digest("bill.csv"), lambda: store.read("bill.csv")):
            remote.proxy.requests.clear()
            with pytest.raises(StoreRefused) as caught:
                look()
            assert "AKIASECRET" not in "".join(traceback.format_exception(caught.value))
            # (boto3 and google-cloud-storage may look at the bucket, too.)
            assert len(set(remote.proxy.requests)) == len(remote.proxy.requests) <= 2


def test_a_bucket_that_does_not_exist_is_refused_and_recorded_nowhere_as_data(remote: Cloud, settings: Settings, clock: FixedClock) -> None:
    elsewhere = remote.location.replace("/bills/", "/nobucket/")
    [refusal] = ingest(settings, remote, clock, elsewhere).refused
    assert isinstance(refusal, StoreRefused)
    assert "nobucket" in refusal.where


def test_a_wrong_key_is_refused_by_the_real_server(azure_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG_ACCOUNT_KEY", "d3Jvbmc=")
    assert azure_cloud.proxy is not None
    monkeypatch.setenv("WRONG_ENDPOINT_URL", f"{azure_cloud.proxy.url}/finops")
    with pytest.raises(StoreRefused, match="403"):
        list(store_for(azure_cloud.location, "env:WRONG").list(""))


def test_a_server_that_is_not_there_may_come_back(remote: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectstores, "CONNECT_SECONDS", 1)
    assert remote.credential is not None
    assert remote.proxy is not None
    monkeypatch.setenv(f"{remote.credential.removeprefix('env:')}_ENDPOINT_URL", "http://127.0.0.1:9/finops")
    with pytest.raises(StoreUnavailable):
        list(store_for(remote.location, remote.credential).list(""))


def test_one_file_by_its_url_is_a_delivery_of_its_own(s3_cloud: Cloud, settings: Settings, clock: FixedClock) -> None:
    [data, *_] = sorted((FIXTURE / "data").rglob("*.parquet"))
    s3_cloud.put(f"hand over/{data.name}", data.read_bytes())
    result = ingest_file(settings, f"{s3_cloud.location}/hand over/{data.name}", clock, credential=s3_cloud.credential)
    assert result.refused == []
    assert len(result.loaded) == 1
    again = ingest_file(settings, f"{s3_cloud.location}/hand over/{data.name}", clock, credential=s3_cloud.credential)
    assert (again.export_id, again.unchanged) == (result.export_id, 1)
    with pytest.raises(MissingPart):
        ingest_file(settings, f"{s3_cloud.location}/hand over/nothing.parquet", clock, credential=s3_cloud.credential)


def test_no_secret_is_left_anywhere(s3_cloud: Cloud, settings: Settings, clock: FixedClock, caplog: pytest.LogCaptureFixture) -> None:
    """Law 10: ledger, landing, logs and errors, after a load and after a refusal."""
    caplog.set_level("INFO")
    s3_cloud.upload(FIXTURE)
    ingest(settings, s3_cloud, clock)
    assert s3_cloud.proxy is not None
    with s3_cloud.proxy.misbehaving(lambda method, path: (503, {}, b"")):
        refused = ingest(settings, s3_cloud, clock).refused
    written = [path for path in settings.lake.rglob("*") if path.is_file()]
    assert written
    assert s3_cloud.secret
    for path in written:
        assert s3_cloud.secret.encode() not in path.read_bytes(), path
    for text in (caplog.text, *("".join(traceback.format_exception(error)) for error in refused)):
        assert s3_cloud.secret not in text
    ledger = Lake(settings).connect().execute("SELECT * FROM ops.deliveries").fetchall()
    assert s3_cloud.secret not in repr(ledger)
    assert Decimal(0) not in [row[2] for row in totals(settings)]
