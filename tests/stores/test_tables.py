"""The lake's Delta tables in an object store: the same commits, the same rows, one winner per slice."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import traceback
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from costlake.datafiles import NewFile
from costlake.delta import Lake, open_duckdb, write_parquet
from costlake.errors import ConcurrentWrite, LakeError, StoreRefused, StoreUnavailable
from costlake.settings import Settings
from costlake.tables import TableSpec
from tests.stores.servers import Cloud

NOW = dt.datetime(2026, 11, 22, 8, 0, tzinfo=dt.UTC)
SPEC = TableSpec("ops", "notes", pa.schema([pa.field("day", pa.string()), pa.field("cost", pa.decimal128(38, 18))]), ("day",))


@pytest.fixture
def away(tables_cloud: Cloud, tmp_path: Path) -> Settings:
    """Settings with the tables in the store and everything else below tmp_path."""
    return remote_settings(tmp_path, tables_cloud)


def remote_settings(home: Path, cloud: Cloud) -> Settings:
    return Settings.load(
        home=home, lake=home / "lake", config_dir=home / "config", tables=f"{cloud.location}/lake", tables_credential=cloud.credential
    )


def rows(*pairs: tuple[str, str]) -> pa.Table:
    days, costs = zip(*pairs, strict=True)
    return pa.table({"day": list(days), "cost": [Decimal(cost) for cost in costs]}, schema=SPEC.schema)


def read(lake: Lake) -> list[tuple[str, Decimal]]:
    return lake.connect().execute("SELECT day, cost FROM ops.notes ORDER BY ALL").fetchall()


def new_file(lake: Lake, day: str, cost: str) -> NewFile:
    path = lake.new_path(SPEC, {"day": day}, f"{os.getpid()}-{day}-{cost}")
    connection = open_duckdb(lake.settings)
    count = write_parquet(connection, f"SELECT CAST({cost} AS DECIMAL(38,18)) AS cost", path)
    return NewFile(path, count, {"day": day})


def replace_day(lake: Lake, day: str, cost: str) -> int:
    seen = lake.snapshot("ops", "notes", {"day": day})
    return lake.commit_files(SPEC, seen, [new_file(lake, day, cost)], seen.files, {"why": "test"}, NOW)


def test_every_way_of_writing_and_reading_works_where_the_tables_are(away: Settings) -> None:
    lake = Lake(away)
    assert (lake.exists("ops", "notes"), lake.tables("ops"), lake.version("ops", "notes")) == (False, [], None)
    assert lake.files("ops", "notes") == []
    assert lake.partitions("ops", "notes") == []
    lake.append(SPEC, rows(("a", "1.000000000000000001"), ("b", "2")))
    lake.append(SPEC, rows(("c", "3")))
    assert read(lake) == [("a", Decimal("1.000000000000000001")), ("b", Decimal(2)), ("c", Decimal(3))]
    lake.replace(SPEC, rows(("b", "7")), {"day": "b"})
    replace_day(lake, "a", "5")
    assert read(Lake(away)) == [("a", Decimal(5)), ("b", Decimal(7)), ("c", Decimal(3))]
    assert lake.tables("ops") == ["notes"]
    assert {values["day"] for values in lake.partitions("ops", "notes")} == {"a", "b", "c"}
    assert len(lake.files("ops", "notes", {"day": "a"})) == 1
    assert lake.history("ops", "notes", 1)[0]["why"] == "test"
    lake.overwrite(SPEC, read_back := rows(("a", "5"), ("b", "7"), ("c", "3")))
    assert len(read(lake)) == read_back.num_rows
    lake.ensure(SPEC, [pa.field("later", pa.string())])
    assert "later" in lake.schema("ops", "notes").names
    assert lake.connect().execute("SELECT count(*), count(later) FROM ops.notes").fetchall() == [(3, 0)]
    before = lake.version("ops", "notes")
    lake.maintain("ops", "notes", 24)
    assert lake.version("ops", "notes") is not None
    assert read(Lake(away)) == [("a", Decimal(5)), ("b", Decimal(7)), ("c", Decimal(3))]
    assert before is not None
    assert list((away.lake / ".outgoing").rglob("*.parquet")) == []
    assert not (away.lake / "ops").exists()


def test_a_stream_advances_with_its_rows_and_only_from_where_it_was(away: Settings) -> None:
    lake = Lake(away)
    lake.ensure(SPEC)
    lake.advance(SPEC, [new_file(lake, "a", "1")], {"stream": (None, 5), "other": (None, 2)}, {})
    assert lake.positions("ops", "notes", ["stream", "other", "third"]) == {"stream": 5, "other": 2}
    for before in (None, 4):
        with pytest.raises(ConcurrentWrite, match="it is at 5"):
            lake.advance(SPEC, [new_file(lake, "b", "2")], {"stream": (before, 6)}, {})
    lake.advance(SPEC, [], {"stream": (5, 9)}, {})
    assert Lake(away).positions("ops", "notes", ["stream"]) == {"stream": 9}
    assert read(lake) == [("a", Decimal(1))]
    assert list((away.lake / ".outgoing").rglob("*.parquet")) == []


def test_a_table_without_files_reads_as_typed_and_empty(away: Settings) -> None:
    lake = Lake(away)
    lake.ensure(SPEC)
    assert lake.connect().execute("SELECT count(*), sum(cost) FROM ops.notes").fetchall() == [(0, None)]
    with pytest.raises(LakeError, match="does not exist"):
        lake.scan_sql("marts", "nothing")


def _write(home: str, tables: str, credential: str, day: str, cost: str, meeting: Any, answers: Any) -> None:
    try:
        lake = Lake(Settings.load(home=home, lake=f"{home}/lake-{cost}", tables=tables, tables_credential=credential))
        seen = lake.snapshot("ops", "notes")
        gone = [file for file in seen.files if file.partition["day"] == day]
        new = new_file(lake, day, cost)
        meeting.wait(120)
        try:
            lake.commit_files(SPEC, seen, [new], gone, {}, NOW)
            answers.put((day, "won"))
        except ConcurrentWrite:
            answers.put((day, "lost"))
    except BaseException:
        answers.put((day, traceback.format_exc()))  # else the parent would wait for an answer that never comes
        raise


@pytest.mark.slow
def test_of_two_processes_that_replace_one_slice_one_wins_and_other_slices_do_not_mind(away: Settings) -> None:
    """Law 2: the store's conditional put is the only thing that decides; both writers saw the same version."""
    lake = Lake(away)
    lake.append(SPEC, rows(("same", "1"), ("own", "2")))
    context = multiprocessing.get_context("spawn")  # delta-rs dies in a forked child whose parent used it
    meeting, answers = context.Barrier(3), context.Queue()
    jobs = (("same", "10"), ("same", "20"), ("own", "30"))
    fixed = (str(away.home), away.tables, str(away.tables_credential))
    writers = [context.Process(target=_write, args=(*fixed, day, cost, meeting, answers)) for day, cost in jobs]
    for writer in writers:
        writer.start()
    outcomes = sorted(answers.get(timeout=300) for _ in writers)
    for writer in writers:
        writer.join()
    assert outcomes == [("own", "won"), ("same", "lost"), ("same", "won")]
    own, same = read(Lake(away))
    assert own == ("own", Decimal(30))
    assert same in [("same", Decimal(10)), ("same", Decimal(20))]


def test_a_store_that_says_no_or_nothing_is_named_without_the_key(tables_cloud: Cloud, tmp_path: Path) -> None:
    Lake(remote_settings(tmp_path, tables_cloud)).append(SPEC, rows(("a", "1")))
    proxy, secret = tables_cloud.proxy, tables_cloud.secret
    assert proxy is not None
    lake = Lake(remote_settings(tmp_path, replace(tables_cloud, credential=str(tables_cloud.credential).removesuffix("_DIRECT"))))
    denied = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    with proxy.misbehaving(lambda method, path: (403, {"x-ms-error-code": "AuthorizationFailure"}, denied)):
        for look in (lambda: lake.exists("ops", "notes"), lambda: lake.schema("ops", "notes"), lambda: lake.append(SPEC, rows(("b", "2")))):
            with pytest.raises(StoreRefused) as caught:
                look()
            assert secret not in "".join(traceback.format_exception(caught.value))
    gone = remote_settings(
        tmp_path, Cloud("x", tables_cloud.location.replace("/bills", "/nobucket"), tables_cloud.credential, lambda: None)
    )
    with pytest.raises((StoreRefused, StoreUnavailable)):
        Lake(gone).append(SPEC, rows(("a", "1")))
    assert read(Lake(remote_settings(tmp_path, tables_cloud))) == [("a", Decimal(1))]
