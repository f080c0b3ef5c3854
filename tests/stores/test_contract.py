"""One contract for every store: what a source may rely on, wherever a provider wrote its files."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from costlake.errors import ManifestError, MissingPart, ObjectReplaced
from ingest.stores import Store, base, located, store_for
from tests.stores.servers import Cloud

ODD_KEYS = (
    "plain.csv",
    "with space/and+plus.csv",
    "a:b=c/Übersicht 日本.csv",
    "100%25 sure%2F.csv",
    "BILLING_PERIOD=2026-10/x&y;z'q\".csv",
    "question?mark#hash.csv",
)


def opened(cloud: Cloud, below: str = "") -> Store:
    return store_for(cloud.location + below, cloud.credential)


def test_a_folder_lists_its_own_objects_and_folders_and_nothing_deeper(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PAGE_KEYS", 3)  # every listing here takes several pages
    files = [f"data/part-{number:02d}.csv" for number in range(8)]
    deeper = [f"data/month={number:02d}/deep.csv" for number in range(7)]
    for key in (*files, *deeper, "data2/other.csv", "top.csv"):
        cloud.put(key, key.encode())
    store = opened(cloud)
    for folder in ("data", "data/"):
        assert [stored.key for stored in store.list(folder)] == files
        assert list(store.folders(folder)) == [f"data/month={number:02d}" for number in range(7)]
    assert [stored.byte_count for stored in store.list("data")] == [len(key) for key in files]
    assert [stored.key for stored in store.list("")] == ["top.csv"]
    assert list(store.folders("")) == ["data", "data2"]
    assert [stored.key for stored in opened(cloud, "/data/").list("month=03")] == ["month=03/deep.csv"]


def test_a_listing_never_walks_the_whole_bucket(remote: Cloud) -> None:
    for number in range(30):
        remote.put(f"metadata/deep/er/{number}.csv", b"x")
    remote.put("metadata/one.json", b"x")
    store = opened(remote)
    assert remote.proxy is not None
    remote.proxy.requests.clear()
    assert [stored.key for stored in store.list("metadata")] == ["metadata/one.json"]
    assert list(store.folders("metadata")) == ["metadata/deep"]
    listings = [path for _, path in remote.proxy.requests if "prefix=" in path]
    assert len(listings) == 2
    assert len(remote.proxy.requests) <= 3  # google-cloud-storage looks at the bucket once


def test_what_is_not_there_is_empty_or_named(cloud: Cloud, tmp_path: Path) -> None:
    store = opened(cloud)
    assert list(store.list("nowhere")) == []
    assert list(store.folders("nowhere")) == []
    assert not store.exists("nowhere/file.csv")
    for look in (store.stat, store.read, store.digest, lambda key: store.fetch(key, tmp_path / "copy", "etag:x")):
        with pytest.raises(MissingPart, match=r"nowhere/file\.csv"):
            look("nowhere/file.csv")


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_of_any_letters_is_the_object_of_that_name_and_no_other(cloud: Cloud, key: str, tmp_path: Path) -> None:
    content = f"what is in {key}".encode()
    cloud.put(key, content)
    cloud.put("decoy.csv", b"decoy")
    store = opened(cloud)
    folder = key.rpartition("/")[0]
    assert key in [stored.key for stored in store.list(folder)]
    if folder:
        assert folder in list(store.folders(""))
    assert store.exists(key)
    assert store.stat(key).byte_count == len(content)
    assert store.read(key) == content
    assert store.fetch(key, tmp_path / "copy", store.digest(key)) == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "copy").read_bytes() == content


@pytest.mark.parametrize("key", ["../secret.csv", "a/../../secret.csv", "a/../b.csv", "/etc/passwd", "..", "./a.csv", "a\0.csv"])
def test_a_key_that_leads_out_of_the_location_is_hostile(cloud: Cloud, key: str, tmp_path: Path) -> None:
    store = opened(cloud)
    looks = (store.exists, store.stat, store.read, store.digest, lambda key: store.fetch(key, tmp_path / "copy", ""))
    for look in looks:
        with pytest.raises(ManifestError, match="hostile"):
            look(key)
    for listing in (store.list, store.folders):
        with pytest.raises(ManifestError, match="hostile"):
            list(listing(key))


def test_other_bytes_have_another_digest_and_are_not_copied_for_those_judged(cloud: Cloud, tmp_path: Path) -> None:
    cloud.put("bill.csv", b"first bytes")
    store = opened(cloud)
    before = store.digest("bill.csv")
    assert store.digest("bill.csv") == before
    cloud.put("bill.csv", b"other bytes")  # the same length
    assert store.digest("bill.csv") != before
    with pytest.raises(ObjectReplaced):
        store.fetch("bill.csv", tmp_path / "copy", before)
    assert store.fetch("bill.csv", tmp_path / "copy", store.digest("bill.csv")) == hashlib.sha256(b"other bytes").hexdigest()


def test_an_empty_object_is_copied_as_one(cloud: Cloud, tmp_path: Path) -> None:
    cloud.put("empty.csv", b"")
    store = opened(cloud)
    assert store.read("empty.csv") == b""
    assert store.fetch("empty.csv", tmp_path / "copy", store.digest("empty.csv")) == hashlib.sha256(b"").hexdigest()
    assert (tmp_path / "copy").stat().st_size == 0


def test_what_was_stored_as_gzip_is_not_unpacked_on_its_way(remote: Cloud, tmp_path: Path) -> None:
    packed = gzip.compress(b"cost\n1.5\n" * 50, mtime=0)
    remote.put("bill.csv.gz", packed, "gzip")
    store = opened(remote)
    assert store.read("bill.csv.gz") == packed
    assert store.fetch("bill.csv.gz", tmp_path / "copy", store.digest("bill.csv.gz")) == hashlib.sha256(packed).hexdigest()
    assert (tmp_path / "copy").read_bytes() == packed


def test_a_digest_costs_no_download(remote: Cloud) -> None:
    remote.put("bill.csv", b"x" * 100_000)
    store = opened(remote)
    assert remote.proxy is not None
    remote.proxy.requests.clear()
    store.digest("bill.csv")
    assert len(remote.proxy.requests) == 1
    assert not any("alt=media" in path or (method == "GET" and remote.name != "gcs") for method, path in remote.proxy.requests)


def test_a_huge_file_is_not_taken_for_a_manifest(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MARKER_BYTES", 1000)
    cloud.put("report-Manifest.json", b"x" * 1001)
    with pytest.raises(ManifestError, match="1001 bytes"):
        opened(cloud).read("report-Manifest.json")


def test_a_large_object_is_copied_in_bounded_memory(cloud: Cloud, tmp_path: Path, direct: Callable[[Cloud], Cloud]) -> None:
    content = bytes(range(256)) * (64 << 12)  # 64 MiB, beyond every SDK's first block
    cloud.put("large.parquet", content)
    store = opened(direct(cloud))
    digest, expected = store.digest("large.parquet"), hashlib.sha256(content).hexdigest()
    size = len(content)
    del content
    store.digest("large.parquet")  # what the SDK allocates once
    tracemalloc.start()
    try:
        assert store.fetch("large.parquet", tmp_path / "copy", digest) == expected
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "copy").stat().st_size == size
    if cloud.name != "gcs":  # whose SDK follows the address that the server gives: the proxy, which holds the answer in this process
        assert peak < 48 << 20


def test_a_manifests_address_is_found_with_one_look_per_file(s3_cloud: Cloud) -> None:
    keys = [f"data/BILLING_PERIOD=2026-10/part-{number}.parquet" for number in range(5)]
    for key in keys:
        s3_cloud.put(key, b"x")
    store = opened(s3_cloud)
    assert s3_cloud.proxy is not None
    s3_cloud.proxy.requests.clear()
    in_bucket = s3_cloud.location.removeprefix("s3://bills/")
    for addresses in ([f"{s3_cloud.location}/{key}" for key in keys], [f"{in_bucket}/{key}" for key in keys]):
        s3_cloud.proxy.requests.clear()
        assert [stored.key for stored in located(store, addresses, "m.json")] == keys
        assert len(s3_cloud.proxy.requests) == len(keys)


def test_a_copied_bucket_is_searched_for_the_first_file_only(s3_cloud: Cloud) -> None:
    keys = [f"data/part-{number}.parquet" for number in range(5)]
    for key in keys:
        s3_cloud.put(key, b"x")
    assert s3_cloud.proxy is not None
    s3_cloud.proxy.requests.clear()
    store = opened(s3_cloud)
    assert [stored.key for stored in located(store, [f"s3://original/finops/cur2/{key}" for key in keys], "m.json")] == keys
    assert len(s3_cloud.proxy.requests) <= 3 + len(keys)


def test_a_file_missing_from_its_own_bucket_is_not_found_elsewhere_in_it(s3_cloud: Cloud) -> None:
    """The address says `old/part.parquet`; a `part.parquet` nearer to the root is another file."""
    s3_cloud.put("part.parquet", b"another")
    with pytest.raises(MissingPart):
        located(opened(s3_cloud), [f"{s3_cloud.location}/old/part.parquet"], "m.json")
