"""Google Cloud's export from files to bronze: every format the same rows, export days that replace each other, damage refused.

Data flow: tests/fixtures/gcp_billing and rows made of it → ingest → bronze.gcp_billing.
Alone: `pytest tests/ingest/test_gcp.py`.
"""

from __future__ import annotations

import copy
import gzip
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from costlake.delta import Lake
from costlake.errors import BadValue, CostlakeError, EmptyDelivery, ManifestError, MissingPart, TruncatedFile, UnlistedPart, UnreadableFile
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import IngestResult, ingest_file, recognise
from tests.ingest import gcp_files

BILLED = "cost + coalesce(list_sum(list_transform(credits, lambda credit: credit.amount)), 0)"
Ingest = Callable[..., IngestResult]


@pytest.fixture
def ingest(settings: Settings, clock: FixedClock) -> Ingest:
    """Ingests a file or folder as the export `gcp`."""

    def run(path: Path, *accept: str) -> IngestResult:
        return ingest_file(settings, path, clock, source_name="gcp_billing", export_id="gcp", accept=accept)

    return run


def query(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    """Rows of bronze."""
    return Lake(settings).connect().execute(sql).fetchall()


def totals(settings: Settings) -> dict[str, Decimal]:
    """Billed by billing period."""
    return dict(query(settings, f"SELECT _billing_period, sum({BILLED}) FROM bronze.gcp_billing GROUP BY 1"))


def one(**changes: object) -> gcp_files.Row:
    """The fixture's Gemini row, changed."""
    return {**copy.deepcopy(gcp_files.rows(0)[10]), **changes}


FORMATS: dict[str, Callable[[list[gcp_files.Row], Path], None]] = {
    "doubles.parquet": lambda rows, path: gcp_files.write_parquet(rows, path, pa.float64()),
    "decimals.parquet": lambda rows, path: gcp_files.write_parquet(rows, path, pa.decimal128(38, 18)),
    "json:lists.csv": gcp_files.write_csv,
    "python:lists.csv": lambda rows, path: gcp_files.write_csv(rows, path, gcp_files.python_text),
    "lines.ndjson.gz": lambda rows, path: path.write_bytes(gzip.compress(gcp_files.json_lines(rows).encode())) and None,
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_loses_no_cell_that_another_one_has(name: str, settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    rows = gcp_files.rows()
    # a double does not hold the fixture's 18th decimal
    rows[10]["cost"] = "0.45"
    (tmp_path / "lines.ndjson").write_text(gcp_files.json_lines(rows), encoding="utf-8")
    FORMATS[name](rows, tmp_path / name)
    for file in ("lines.ndjson", name):
        ingest_file(settings, tmp_path / file, clock, export_id=file.split(".")[0].split(":")[0] + "-x").raise_if_refused()
    columns = "COLUMNS(c -> c NOT LIKE '\\_%' ESCAPE '\\'), _billing_period, _slice, _row_number"
    content = f"SELECT {columns} FROM bronze.gcp_billing WHERE _source_id {{}} 'lines-x'"
    if name.startswith("lines"):
        assert query(settings, "SELECT count(*) FROM bronze.gcp_billing") == [(21,)]
    else:
        # a list that is absent and one that is empty say the same
        for left, right in (("=", "<>"), ("<>", "=")):
            assert query(settings, f"({content.format(left)}) EXCEPT ({content.format(right)})") == []


@pytest.mark.parametrize(
    "written",
    ["2026-10-05 10:00:00 UTC", "2026-10-05T10:00:00Z", "2026-10-05T10:00:00", "2026-10-05 12:00:00+02:00", "1791194400", "1.7911944E9",
     1791194400, 1791194400000, "1791194400000000"],
)  # fmt: skip
def test_a_time_is_the_same_instant_however_it_is_written(written: object, ingest: Ingest, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text(gcp_files.json_lines([one(usage_start_time=written)]), encoding="utf-8")
    ingest(tmp_path / "x.ndjson").raise_if_refused()
    assert query(settings, "SELECT epoch(usage_start_time)::BIGINT FROM bronze.gcp_billing") == [(1791194400,)]


def _line(**changes: object) -> str:
    return gcp_files.json_lines([one(**changes)])


def _second(line: str) -> bytes:
    return (_line() + line).encode()


HEADER = b"billing_account_id,cost,currency,export_time,invoice.month,sku.description,usage_end_time,usage_start_time"
DAMAGE: dict[str, tuple[str, bytes, type[CostlakeError], str]] = {
    "a line breaks off": ("x.ndjson", _second('{"cost": 1'), UnreadableFile, "row 2"),
    "a line is no object": ("x.ndjson", _second("[1, 2]\n"), UnreadableFile, "row 2"),
    "a key comes twice": ("x.ndjson", _second(_line().replace('"cost":', '"cost": 1, "cost":')), UnreadableFile, "twice"),
    "a number that a double would cut": (
        "x.ndjson", _second(_line().replace('"0.450000000000000001"', "0.450000000000000001")), UnreadableFile, "17 digits"),
    "a list where the cost belongs": ("x.ndjson", _line(cost=[1]).encode(), BadValue, "column cost"),
    "a cost that is text": ("x.ndjson", _line(cost="1,5").encode(), BadValue, "column cost"),
    "no cost": ("x.ndjson", _second(_line(cost=None)), BadValue, "row 2, column cost"),
    "a credit without an amount": ("x.ndjson", _line(credits=[{"type": "PROMOTION"}]).encode(), BadValue, "column credits"),
    "a credit's amount is a list": (
        "x.ndjson", _line(credits=[{"amount": [1]}]).encode(), BadValue, "column credits"),
    "credits are one record": (
        "x.ndjson", _line(credits={"amount": -1}).encode(), UnreadableFile, "credits is a record"),
    "a month that is none": (
        "x.ndjson", _line(invoice={"month": "202613"}).encode(), BadValue, "column invoice_month"),
    "a time that is none": ("x.ndjson", _line(export_time="soon").encode(), BadValue, "column export_time"),
    "another encoding": ("x.ndjson", _line(seller_name="é").replace("\\u00e9", "é").encode("latin-1"), UnreadableFile, ""),
    "sixteen bits": ("x.ndjson", _line().encode("utf-16"), UnreadableFile, ""),
    "gzip breaks off": ("x.ndjson.gz", gzip.compress(gcp_files.json_lines(gcp_files.rows()).encode())[:-20], TruncatedFile, "end marker"),
    "no rows": ("x.csv", HEADER + b",credits\n", EmptyDelivery, "no rows"),
    "no credits column": ("x.csv", HEADER + b"\na,1,USD,2026-10-06,202610,s,2026-10-05,2026-10-04\n", UnreadableFile, "no column credits"),
    "no cost column": ("x.csv", b"billing_account_id,currency\na,USD\n", UnreadableFile, "no column cost"),
    "credits that are neither JSON nor Python": (
        "x.csv", HEADER + b",credits\na,1,USD,2026-10-06,202610,s,2026-10-05,2026-10-04,[{'amount': \n", BadValue, "column credits"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_refused_and_named_before_anything_is_written(case: str, ingest: Ingest, settings: Settings, tmp_path: Path) -> None:
    name, content, error, text = DAMAGE[case]
    (tmp_path / name).write_bytes(content)
    (refused,) = ingest(tmp_path / name).refused
    assert isinstance(refused, error)
    assert text in str(refused)
    assert not Lake(settings).exists("bronze", "gcp_billing")


def test_a_price_credit_and_promotion_are_part_of_the_bill_once(ingest: Ingest, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text(gcp_files.json_lines([one()]), encoding="utf-8")
    ingest(tmp_path / "x.ndjson").raise_if_refused()
    assert totals(settings) == {"2026-10": Decimal("0.280000000000000001")}


def test_only_the_newest_complete_run_of_a_day_is_read(ingest: Ingest, settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(gcp_files.FIXTURE, tmp_path / "export")
    unfinished = tmp_path / "export/partition_date=2026-11-03/run_id=20261105T031500Z"
    unfinished.mkdir()
    (unfinished / "shard-000.ndjson").write_text(gcp_files.json_lines([one()]), encoding="utf-8")
    assert ingest(tmp_path / "export").row_count == 21
    assert ingest(tmp_path / "export").unchanged == 2
    assert query(settings, "SELECT DISTINCT _slice FROM bronze.gcp_billing ORDER BY 1") == [("2026-10-06",), ("2026-11-03",)]


def test_a_day_extracted_again_leaves_a_month_that_it_has_no_rows_of_any_more(ingest: Ingest, settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(gcp_files.FIXTURE, tmp_path / "export")
    ingest(tmp_path / "export").raise_if_refused()
    assert totals(settings) == {"2026-10": Decimal("102.328000000000000001"), "2026-11": Decimal(98)}
    moved = [{**row, "invoice": {"month": "202611"}} for row in gcp_files.rows(1)]
    gcp_files.write_run(tmp_path / "export", "2026-11-03", "20261106T031500Z", moved)
    ingest(tmp_path / "export").raise_if_refused()
    assert totals(settings) == {"2026-10": Decimal("102.276000000000000001"), "2026-11": Decimal("98.052")}


def test_a_day_that_lost_its_rows_is_refused_until_a_person_accepts_it(ingest: Ingest, settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(gcp_files.FIXTURE, tmp_path / "export")
    ingest(tmp_path / "export").raise_if_refused()
    gcp_files.write_run(tmp_path / "export", "2026-11-03", "20261106T031500Z", [])
    (refused,) = ingest(tmp_path / "export").refused
    accept = str(refused).split("--accept ")[1].split()[0]
    ingest(tmp_path / "export", accept).raise_if_refused()
    assert totals(settings) == {"2026-10": Decimal("102.276000000000000001")}


BROKEN_RUNS: dict[str, tuple[Callable[[Path], object], type[CostlakeError]]] = {
    "a shard of an older run beside it": (lambda run: shutil.copy(run / "shard-000.ndjson", run / "shard-009.ndjson"), UnlistedPart),
    "a listed file is missing": (lambda run: (run / "shard-000.ndjson").unlink(), MissingPart),
    "a row is missing": (lambda run: (run / "shard-000.ndjson").write_text(gcp_files.json_lines([one()])), ManifestError),
    "the manifest is half written": (lambda run: (run / "manifest.json").write_text('{"files": ["shard'), ManifestError),
    "the manifest climbs": (lambda run: (run / "manifest.json").write_text('{"files": ["../x.ndjson"], "row_count": 1}'), ManifestError),
    "the manifest counts nothing": (lambda run: (run / "manifest.json").write_text('{"files": []}'), ManifestError),
}


@pytest.mark.parametrize("case", BROKEN_RUNS)
def test_a_run_that_is_not_what_its_manifest_says_is_refused(case: str, ingest: Ingest, settings: Settings, tmp_path: Path) -> None:
    breaking, error = BROKEN_RUNS[case]
    breaking(gcp_files.write_run(tmp_path / "export", "2026-11-03", "20261104T031500Z", gcp_files.rows(1)))
    (refused,) = ingest(tmp_path / "export").refused
    assert isinstance(refused, error)
    assert not Lake(settings).exists("bronze", "gcp_billing")


def test_two_months_handed_over_side_by_side_do_not_replace_each_other(ingest: Ingest, settings: Settings, tmp_path: Path) -> None:
    """Both were exported on the same day: a month's late rows and the first ones of the next."""
    october, november = one(export_time="2026-11-01 12:00:00 UTC"), one(export_time="2026-11-01 12:00:00 UTC", invoice={"month": "202611"})
    for name, rows in (("202610:a.ndjson", [october]), ("202611:b.ndjson", [november, november])):
        (tmp_path / name).write_text(gcp_files.json_lines(rows), encoding="utf-8")
        ingest(tmp_path / name).raise_if_refused()
    share = Decimal("0.280000000000000001")
    assert totals(settings) == {"2026-10": share, "2026-11": 2 * share}
    assert [ingest(tmp_path / name).unchanged for name in ("202610:a.ndjson", "202611:b.ndjson")] == [1, 1]
    (tmp_path / "202611:again.ndjson").write_text(gcp_files.json_lines([november, november, november]), encoding="utf-8")
    ingest(tmp_path / "202611:again.ndjson").raise_if_refused()
    assert totals(settings) == {"2026-10": share, "2026-11": 3 * share}


def test_a_lone_file_is_known_by_its_columns_and_named_by_its_account(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    for name, write in FORMATS.items():
        write(gcp_files.rows(1), tmp_path / name)
        assert recognise(tmp_path / name).name == "gcp_billing"
    assert ingest_file(settings, tmp_path / "lines.ndjson.gz", clock).export_id == "gcp-billing-0a1b2c-3d4e5f-678901"
    assert recognise(gcp_files.FIXTURE).name == "gcp_billing"
    assert list(tmp_path.glob("*.rows.parquet")) == []


def test_columns_that_appear_are_kept_as_text(ingest: Ingest, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_text(gcp_files.json_lines([one(), one(fresh={"field": 7}, lists=[{"a": 1}])]), encoding="utf-8")
    ingest(tmp_path / "x.ndjson").raise_if_refused()
    assert query(settings, "SELECT fresh_field, lists FROM bronze.gcp_billing ORDER BY _row_number") == [(None, None), ("7", '[{"a":1}]')]


# the decimals that the files spell out: TOTALS.json has them as sums of doubles, right to 13 digits
REAL = {
    "data/nise_gcp/202607_8957c8cd-1ef3-4138-8850-324f14d7e9bd_2026-07-01_2026-08-01.csv.gz": (11_904, "308277.468644136000000744", "0"),
    "data/nise_gcp/202608_df3ab11a-16ef-4ddb-b04d-3049e972c4ea_2026-08-01_2026-08-31.csv.gz": (11_520, "298333.036909880000000720", "0"),
    "data/gcp_billing_export_small/koku_gcp_2020-11-08_11.csv.gz": (25, "0.000032", "-0.000032"),
    "samples/koku/gcp/2022-08-01_5.csv": (9, "0.000012", "0"),
    "samples/constructed/gcp/detailed_export.ndjson": (5, "78.08", "-2.2"),
}


def test_real_files_keep_the_totals_of_their_own_text(shared_path: Callable[[str], Path], settings: Settings, clock: FixedClock) -> None:
    found = {}
    for name in REAL:
        path = shared_path(name)
        result = ingest_file(settings, path, clock)
        assert result.refused == []
        credit = "sum(coalesce(list_sum(list_transform(credits, lambda credit: credit.amount)), 0))"
        key = path.name.replace("'", "")
        found[name] = query(settings, f"SELECT count(*), sum(cost), {credit} FROM bronze.gcp_billing WHERE _object_key = '{key}'")[0]
    assert found == {name: (count, Decimal(cost), Decimal(credits)) for name, (count, cost, credits) in REAL.items()}
