"""Files that somebody broke or wrote to do harm: a typed refusal that names the file, and nothing read, unpacked or written beyond it."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import (
    BadValue,
    CostlakeError,
    DeliveryError,
    EmptyDelivery,
    ManifestError,
    OversizedFile,
    TruncatedFile,
    UnreadableFile,
)
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.containers import Limits, opened
from ingest.load import IngestResult, ingest_file, ingest_stream
from tests.ingest import cur

PERIOD = "20261001-20261101"


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    return tmp_path / "bucket"


def ingest(settings: Settings, bucket: Path, clock: FixedClock, source: str = "aws_cur") -> IngestResult:
    return ingest_stream(settings, Export(id="aws", source=source, location=str(bucket)), clock)


def refused(settings: Settings, bucket: Path, clock: FixedClock, *kinds: type[CostlakeError], source: str = "aws_cur") -> CostlakeError:
    """The one refusal, of one of these types; bronze, landing and the incoming area are as if nothing had come."""
    result = ingest(settings, bucket, clock, source)
    assert (result.loaded, len(result.refused)) == ([], 1)
    assert isinstance(result.refused[0], kinds), repr(result.refused[0])
    assert Lake(settings).tables("bronze") == []
    assert not settings.landing.exists()
    assert not list((settings.lake / ".incoming").glob("*"))
    return result.refused[0]


def deliver(bucket: Path, content: bytes, name: str = "report-00001.csv.zip") -> None:
    """A legacy CUR of one file with these bytes."""
    folder = bucket / PERIOD / "a1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    (bucket / PERIOD / "report-Manifest.json").write_text(json.dumps({"reportKeys": [f"p/{PERIOD}/a1/{name}"]}), encoding="utf-8")


def zipped(*members: tuple[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


BILL = cur.csv_bytes(cur.rows(10))


def billed(settings: Settings) -> list[object]:
    return Lake(settings).connect().execute("SELECT count(*), sum(line_item_unblended_cost) FROM bronze.aws_cur").fetchall()


def test_a_zip_is_read_like_the_csv_in_it_and_landed_untouched(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    content = zipped(("report-00001.csv", BILL))
    deliver(bucket, content)
    assert ingest(settings, bucket, clock).refused == []
    assert billed(settings) == [(10, 15)]
    landed = [path for path in (settings.landing / "objects").rglob("*") if path.is_file()]
    assert [(path.name.split(".", 1)[1], path.read_bytes()) for path in landed] == [("csv.zip", content)]


def test_a_zip_by_hand_is_recognised_and_belongs_to_its_payer(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    path = tmp_path / "bill.csv.zip"
    path.write_bytes(zipped(("bill.csv", BILL)))
    assert ingest_file(settings, path, clock).export_id == "aws-cur-000123456789"
    assert billed(settings) == [(10, 15)]
    assert list(tmp_path.glob("*.csv")) == [], "unpacked beside the user's file"


def _encrypted() -> bytes:
    content = bytearray(zipped(("bill.csv", BILL)))
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + offset] |= 1
    return bytes(content)


def _lying_about_its_size() -> bytes:
    content = bytearray(zipped(("bill.csv", BILL)))
    for header, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(header) + offset
        content[at : at + 4] = (100).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (zipped(("a.csv", BILL), ("b.csv", BILL)), "2 members"),
        (zipped(), "0 members"),
        (zipped(("../../etc/cron.d/x.csv", BILL)), "plain file name"),
        (zipped(("/etc/x.csv", BILL)), "plain file name"),
        (zipped(("folder/x.csv", BILL)), "plain file name"),
        (zipped(("..\\x.csv", BILL)), "plain file name"),
        (zipped((".hidden.csv", BILL)), "plain file name"),
        (zipped(("in.zip", zipped(("x.csv", BILL)))), "packed itself"),
        (zipped(("in.csv.gz", gzip.compress(BILL))), "packed itself"),
        (_encrypted(), "encrypted"),
        (_lying_about_its_size(), "not a valid zip"),
        (zipped(("x.csv", BILL))[:-30], "not a valid zip"),
        (BILL, "not a valid zip"),
        (zipped(("x.csv", BILL)).replace(BILL[:1], b"?", 1), "zip"),
    ],
    ids="two none climbing absolute folder backslash hidden nested packed encrypted lying cut no_zip damaged".split(),
)
def test_a_zip_that_is_no_plain_bill_is_refused(settings: Settings, bucket: Path, clock: FixedClock, content: bytes, says: str) -> None:
    deliver(bucket, content)
    if says == "zip":  # the byte may lie in a part of the archive that nothing depends on
        result = ingest(settings, bucket, clock)
        assert billed(settings) == [(10, 15)] if result.loaded else isinstance(result.refused[0], UnreadableFile)
        return
    assert says in refused(settings, bucket, clock, UnreadableFile).what


def test_an_empty_member_is_no_empty_month(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    deliver(bucket, zipped(("report.csv", b"")))
    refused(settings, bucket, clock, EmptyDelivery)


@pytest.mark.parametrize(
    ("name", "pack"),
    [("bomb.csv.zip", lambda content: zipped(("bomb.csv", content))), ("bomb.csv.gz", gzip.compress)],
    ids=["zip", "gzip"],
)
def test_a_bomb_stops_at_the_limit_and_leaves_no_file(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    """A few kilobytes that unpack to terabytes would fill the disk, or keep the loader busy for days."""
    packed = tmp_path / name
    packed.write_bytes(pack(b"0" * (100 << 20)))
    assert packed.stat().st_size < 1 << 20
    for limits in (Limits(), Limits(unpacked_bytes=1 << 20, ratio=10_000)):
        folder = tmp_path / f"unpacked-{limits.ratio}"
        folder.mkdir()
        with pytest.raises(OversizedFile, match="unpack to more than"):
            opened(packed, name, folder, limits)
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 64 << 20
    assert opened(packed, name, tmp_path, Limits(ratio=10_000)).path.exists(), "a limit can be raised"


def test_the_limits_are_settings(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    deliver(bucket, zipped(("report.csv", BILL)))
    refused(settings.model_copy(update={"unpack_limit_bytes": 100}), bucket, clock, OversizedFile)


def test_an_empty_part_among_full_ones_would_shrink_the_month(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    folder = cur.deliver(bucket, [cur.rows(3), cur.rows(2)])
    (folder / "report-00002.csv.gz").write_bytes(b"")
    refused(settings, bucket, clock, EmptyDelivery)


def _csv(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


LINES = BILL.decode().splitlines()


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        (_csv([*LINES[:4], LINES[4].rsplit(",", 1)[0], *LINES[5:]]), UnreadableFile),
        (_csv([*LINES[:4], LINES[4] + ",7", *LINES[5:]]), UnreadableFile),
        (_csv([*LINES[:4], LINES[0], *LINES[4:]]), BadValue),
        (_csv([LINES[0] + ",lineItem/UnblendedCost", *(line + ",9" for line in LINES[1:])]), UnreadableFile),
        (_csv([LINES[0] + ",LINEITEM/unblendedcost", *(line + ",9" for line in LINES[1:])]), UnreadableFile),
        (_csv([LINES[0] + ',"a""b"', *(line + ",9" for line in LINES[1:])]), UnreadableFile),
        (_csv([LINES[0] + ",", *(line + ",9" for line in LINES[1:])]), UnreadableFile),
        (_csv([LINES[0], LINES[0].replace("lineItem", "x"), *LINES[1:]]), BadValue),
        (_csv([LINES[0], *LINES[1:], LINES[-1][: len(LINES[-1]) // 2]]), UnreadableFile),
        (_csv([*LINES[:3], LINES[3].replace("line-3", '"line-3'), *LINES[4:]]), UnreadableFile),
        (_csv([*LINES[:3], LINES[3].replace("line-3", 'li"ne'), LINES[4].replace("line-4", '"line-4'), *LINES[5:]]), UnreadableFile),
        (BILL[:-1].replace(b"line-10", b'"line-10'), UnreadableFile),
        (BILL.replace(b"line-5", b'"line\n5"'), None),
        (BILL.replace(b"\n", b"\r\n").replace(b"line-5", b'"line, ""5"""'), None),
        (BILL.replace(b"\n", b"\n\n"), None),
        (BILL[:-1], None),
        (BILL.decode().encode("utf-16"), UnreadableFile),
        (BILL.decode().encode("utf-16-le"), UnreadableFile),
        (BILL.replace(b"line-5", "Zürich".encode("latin-1")), UnreadableFile),
        (BILL.replace(b"lineItem/LineItemType", "lineItem/Gebühr".encode("latin-1")), UnreadableFile),
        (BILL.replace(b",", b";"), UnreadableFile),
        (BILL.replace(b"line-5", b"li\0ne"), None),
    ],
    ids=(
        "short_row long_row header_again header_twice header_twice_in_other_case quote_in_name no_name second_header last_row_cut "
        "open_quote two_open_quotes cut_in_a_quote "
        "line_break_in_cell quotes_in_cell empty_lines no_last_newline utf16_bom utf16 "
        "latin1 latin1_header semicolons nul"
    ).split(),
)
@pytest.mark.parametrize("packing", ["csv.gz", "csv.zip"])
def test_a_csv_that_is_not_as_promised_is_not_half_read(
    settings: Settings, bucket: Path, clock: FixedClock, content: bytes, kinds: type[DeliveryError] | None, packing: str
) -> None:
    packed = gzip.compress(content) if packing == "csv.gz" else zipped(("report.csv", content))
    deliver(bucket, packed, f"report-00001.{packing}")
    if kinds is None:
        assert ingest(settings, bucket, clock).refused == []
        assert billed(settings) == [(10, 15)]
        return
    refused(settings, bucket, clock, kinds)


@pytest.mark.parametrize(
    "content", [BILL.decode().encode("utf-16"), b"\xff\xfe\x00", b"PAR1", b"\x1f\x8b\x08", b"[" * 100_000, b'{"data": 7}', b"\0"]
)
@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.json", "x.parquet", "x.csv.zip", "x.json.gz"])
def test_a_stray_file_by_hand_is_named_not_a_crash(
    settings: Settings, tmp_path: Path, clock: FixedClock, content: bytes, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CostlakeError):
        ingest_file(settings, path, clock).raise_if_refused()


def _manifest(bucket: Path, content: bytes | str) -> None:
    cur.deliver(bucket, [cur.rows(1)])
    data = content if isinstance(content, bytes) else content.encode()
    (bucket / PERIOD / "report-Manifest.json").write_bytes(data)


PART = f"prefix/report/{PERIOD}/a1/report-00001.csv.gz"


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"reportKeys": [PART, PART]}),
        json.dumps({"reportKeys": ["/etc/passwd"]}),
        json.dumps({"reportKeys": ["../../etc/passwd"]}),
        json.dumps({"reportKeys": ["s3://another-bucket/secret/bill-00001.csv.gz"]}),
        json.dumps({"reportKeys": ["https://example.org/bill-00001.csv.gz"]}),
        json.dumps({"reportKeys": ["file:///etc/hostname"]}),
        json.dumps({"reportKeys": [""]}),
        json.dumps({"reportKeys": ["a\0b"]}),
        json.dumps({"reportKeys": {"a": 1}}),
        f'{{"reportKeys": ["{PART}"], "reportKeys": ["{PART}"]}}',
        '{"reportKeys": ' + "[" * 200_000 + "]" * 200_000 + "}",
        '{"a": ' * 200_000 + "1" + "}" * 200_000,
        '{"reportKeys": [' + "9" * 10_000 + "]}",
        b'\xff\xfe{"reportKeys": []}',
        b"",
        "null",
    ],
    ids=(
        "named_twice absolute climbing other_bucket web file_url empty_name nul no_list field_twice deep_list deep_object huge_number "
        "utf16 empty null"
    ).split(),
)
def test_a_hostile_manifest_reads_nothing_but_what_lies_in_the_export(
    settings: Settings, bucket: Path, clock: FixedClock, content: bytes | str
) -> None:
    _manifest(bucket, content)
    assert isinstance(refused(settings, bucket, clock, DeliveryError), DeliveryError)


def test_a_link_to_a_file_outside_is_not_followed(settings: Settings, bucket: Path, clock: FixedClock, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv.gz"
    outside.write_bytes(gzip.compress(BILL))
    folder = cur.deliver(bucket, [cur.rows(1)])
    (folder / "report-00001.csv.gz").unlink()
    (folder / "report-00001.csv.gz").symlink_to(outside)
    refused(settings, bucket, clock, ManifestError)


def test_two_manifests_of_one_period_would_replace_each_other_at_every_run(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    cur.deliver(bucket, [cur.rows(1)])
    first = (bucket / PERIOD / "report-Manifest.json").read_bytes()
    cur.deliver(bucket, [cur.rows(2)], assembly="a2")
    (bucket / PERIOD / "copy-Manifest.json").write_bytes(first)
    assert "2 manifests" in refused(settings, bucket, clock, ManifestError).what


@pytest.mark.parametrize("content", ["[" * 200_000, '{"data": ' * 100_000, '{"object": "page", "data": [' + "[" * 200_000 + "]}"])
def test_a_page_nested_without_end_is_refused(settings: Settings, tmp_path: Path, clock: FixedClock, content: str) -> None:
    folder = tmp_path / "bucket" / "2026-10"
    folder.mkdir(parents=True)
    (folder / "page-001.json").write_text(content, encoding="utf-8")
    (folder / "pull.json").write_text(json.dumps({"pages": ["page-001.json"]}), encoding="utf-8")
    refused(settings, tmp_path / "bucket", clock, UnreadableFile, source="openai_usage")


def test_a_parquet_file_cut_in_the_middle_has_no_footer(settings: Settings, bucket: Path, clock: FixedClock) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = BytesIO()
    pq.write_table(pa.Table.from_pylist(cur.rows(50)), buffer)
    deliver(bucket, buffer.getvalue()[:-100], "report-00001.snappy.parquet")
    refused(settings, bucket, clock, TruncatedFile)
