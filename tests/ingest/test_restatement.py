"""Restatement as it happens: the provider writes while we read, in place or anew; a month is one delivery of it, never parts of two."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import ObjectReplaced
from costlake.periods import SystemClock
from costlake.settings import Settings
from ingest.load import IngestResult, ingest_stream
from ingest.stores import LocalStore
from tests.ingest import cur

PERIOD = "20261001-20261101"


def ingest(settings: Settings, bucket: Path) -> IngestResult:
    return ingest_stream(settings, Export(id="aws", source="aws_cur", location=str(bucket)), SystemClock())


def held(settings: Settings) -> list[tuple[int, Decimal, int]]:
    """Rows, cost and number of deliveries in bronze."""
    sql = "SELECT count(*), sum(line_item_unblended_cost), count(DISTINCT _delivery_id) FROM bronze.aws_cur"
    return Lake(settings).connect().execute(sql).fetchall() if Lake(settings).exists("bronze", "aws_cur") else []


def overwrite(bucket: Path, parts: list[list[cur.Row]]) -> None:
    """A delivery in overwrite mode: the same names every time, the manifest last."""
    folder = bucket / PERIOD
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"report-{number:05d}.csv.gz" for number in range(1, len(parts) + 1)]
    for name, part in zip(names, parts, strict=True):
        (folder / name).write_bytes(gzip.compress(cur.csv_bytes(part), mtime=0))
    manifest = {"assemblyId": str(len(parts[0])), "reportKeys": [f"prefix/report/{PERIOD}/{name}" for name in names]}
    (folder / "report-Manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.fixture
def while_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Lets the provider act after the first file was copied, once."""

    def arrange(act: Callable[[], object]) -> None:
        fetch, acted = LocalStore.fetch, []

        def copy_then_act(store: LocalStore, key: str, target: Path, digest: str) -> str:
            sha256 = fetch(store, key, target, digest)
            if not acted:
                acted.append(key)
                act()
            return sha256

        monkeypatch.setattr(LocalStore, "fetch", copy_then_act)

    return arrange


def refused_for_now(result: IngestResult) -> None:
    assert result.loaded == []
    assert [type(error) for error in result.refused] == [ObjectReplaced], "a retry helps, so the type must say so"


def test_a_month_rewritten_in_place_is_counted_once(settings: Settings, tmp_path: Path) -> None:
    for count in (10, 12, 9):  # it grows, then shrinks by less than a guard refuses
        overwrite(tmp_path / "b", [cur.rows(count), cur.rows(20)])
        result = ingest(settings, tmp_path / "b")
        assert result.refused == []
        assert held(settings) == [(count + 20, Decimal(count + 20) * Decimal("1.5"), 1)]


def test_a_new_delivery_that_appears_while_the_old_one_is_copied_waits_for_the_next_run(
    settings: Settings, tmp_path: Path, while_reading: Callable[[Callable[[], object]], None]
) -> None:
    cur.deliver(tmp_path / "b", [cur.rows(10), cur.rows(10)])
    while_reading(lambda: cur.deliver(tmp_path / "b", [cur.rows(11), cur.rows(11)], assembly="a2"))
    refused_for_now(ingest(settings, tmp_path / "b"))
    assert held(settings) == [], "the old delivery is not loaded as if it were in force"
    assert ingest(settings, tmp_path / "b").refused == []
    assert held(settings) == [(22, Decimal(33), 1)]


def test_files_rewritten_between_two_copies_never_make_a_mix(
    settings: Settings, tmp_path: Path, while_reading: Callable[[Callable[[], object]], None]
) -> None:
    overwrite(tmp_path / "b", [cur.rows(10), cur.rows(10)])
    while_reading(lambda: overwrite(tmp_path / "b", [cur.rows(11), cur.rows(11)]))
    refused_for_now(ingest(settings, tmp_path / "b"))
    assert held(settings) == []
    ingest(settings, tmp_path / "b")
    assert held(settings) == [(22, Decimal(33), 1)]


@pytest.mark.parametrize("text", ["", '{"reportKeys": ["prefix/report/20261001-20261101/a1/report-00009.csv.gz"]}'])
def test_a_manifest_that_is_being_written_stops_the_load_for_now(
    settings: Settings, tmp_path: Path, while_reading: Callable[[Callable[[], object]], None], text: str
) -> None:
    cur.deliver(tmp_path / "b", [cur.rows(10)])
    manifest = tmp_path / "b" / PERIOD / "report-Manifest.json"
    whole = manifest.read_text(encoding="utf-8")
    while_reading(lambda: manifest.write_text(text, encoding="utf-8"))
    refused_for_now(ingest(settings, tmp_path / "b"))
    manifest.write_text(whole, encoding="utf-8")
    assert ingest(settings, tmp_path / "b").refused == []
    assert held(settings) == [(10, Decimal(15), 1)]
