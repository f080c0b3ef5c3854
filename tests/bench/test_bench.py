"""The benchmark measures what it says: its bill is one that the vertical accepts, and its page keeps what people wrote."""

from __future__ import annotations

import gzip
from pathlib import Path

import duckdb
import pytest

from bench import generate, report, sources
from bench.__main__ import main
from costlake.periods import BillingPeriod
from ingest.demo.aws_schema import COLUMNS

PERIOD = BillingPeriod.parse("2026-10")


def _content(files: list[Path]) -> tuple[int, str, int]:
    connection = duckdb.connect()
    names = [str(file) for file in files]
    sums = "count(*), bit_xor(hash(bill))::VARCHAR, count(DISTINCT identity_line_item_id)"
    row = connection.execute(f"SELECT {sums} FROM read_parquet({names}) AS bill").fetchall()[0]
    connection.close()
    return row


def test_a_bill_has_the_rows_asked_for_and_is_the_same_each_time(tmp_path: Path) -> None:
    first = generate.write_month(tmp_path / "one", PERIOD, 2_003)
    second = generate.write_month(tmp_path / "two", PERIOD, 2_003)
    assert _content(first)[0] == _content(first)[2] == 2_003
    assert _content(first) == _content(second)
    assert _content(generate.write_month(tmp_path / "three", PERIOD, 2_003, delivery=2))[1] != _content(first)[1]


def test_a_bill_has_the_physical_types_of_an_export(tmp_path: Path) -> None:
    files = generate.write_month(tmp_path, PERIOD, 2_000)
    described = duckdb.connect().execute(f"DESCRIBE SELECT * FROM read_parquet('{files[0]}', hive_partitioning = false)").fetchall()
    names = {"timestamp": "TIMESTAMP", "map(varchar,varchar)": "MAP(VARCHAR, VARCHAR)", "map(varchar,double)": "MAP(VARCHAR, DOUBLE)"}
    assert [(name, kind) for name, kind, *_ in described] == [(name, names.get(kind, kind.upper())) for name, kind in COLUMNS]


@pytest.mark.parametrize(("ending", "text"), [(".csv", "a,b\n1,2\n3,4\n"), (".ndjson.gz", '{"a": 1}\n{"a": 2}\n')])
def test_a_fixture_is_repeated_whole_rows_only(tmp_path: Path, ending: str, text: str) -> None:
    source, target = tmp_path / f"bill{ending}", tmp_path / f"many{ending}"
    opened = gzip.open if ending.endswith(".gz") else open
    with opened(source, "wt", encoding="utf-8") as sink:
        sink.write(text)
    assert sources._repeat(source, target, ending, 7) == 6
    with opened(target, "rt", encoding="utf-8") as lines:
        assert len(lines.readlines()) == 6 + (".csv" in ending)


@pytest.mark.long
def test_the_vertical_takes_the_bill_and_the_page_keeps_what_people_wrote(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(f"# By hand\n\n{report.BEGIN}\nold figures\n{report.END}\n\n## Also by hand\n", encoding="utf-8")
    sizes = ["--rows", "2000", "--months", "2", "--rows-a-month", "1000", "--source-rows", "0", "--no-converter"]
    assert main([*sizes, "--date", "2026-11-22", "--output", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand")
    assert text.endswith("## Also by hand\n")
    assert "old figures" not in text
    # Steps, ratios and redelivery are there: the vertical reconciled and published all of it.
    assert {"### Steps", "### Against the bare copy", "### A month delivered again into 2 months of 1,000 rows"} <= set(text.splitlines())
