"""The benchmark measures what it says: its bill is one that the vertical accepts, and its page keeps what people wrote."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import duckdb
import pytest

from bench import generate, ledger, report, sources
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
    sizes = ["--rows", "2000", "--months", "2", "--rows-a-month", "1000", "--source-rows", "0", "--ledger-rows", "0", "--no-converter"]
    assert main([*sizes, "--date", "2026-11-22", "--output", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand")
    assert text.endswith("## Also by hand\n")
    assert "old figures" not in text
    # Steps, ratios and redelivery are there: the vertical reconciled and published all of it.
    assert {"### Steps", "### Against the bare copy", "### A month delivered again into 2 months of 1,000 rows"} <= set(text.splitlines())


def test_a_dump_of_requests_is_the_same_each_time_and_as_long_as_asked(tmp_path: Path) -> None:
    (first,), (second,) = ledger.write_dump(tmp_path / "one", 3_000), ledger.write_dump(tmp_path / "two", 3_000)
    told = "SELECT count(*), count(DISTINCT request_id), bit_xor(hash(dump))::VARCHAR, sum(prompt_tokens) FROM read_parquet(?) AS dump"
    found = [duckdb.execute(told, [str(part)]).fetchall() for part in (first, second)]
    assert found[0] == found[1]
    assert found[0][0][:2] == (3_000, 3_000)
    assert json.loads((first.parent / "manifest.json").read_text(encoding="utf-8")) == {"files": [first.name], "row_count": 3_000}


def test_the_slow_tail_is_the_95th_percentile_not_the_mean() -> None:
    assert ledger.p95([*[1.0] * 19, 1000.0]) == 1.0
    assert ledger.p95([*[1.0] * 18, 500.0, 1000.0]) == 500.0


@pytest.mark.long
@pytest.mark.skipif(ledger.missing() is not None, reason=f"the ledger's bench needs the source: {ledger.missing()}")
def test_requests_of_a_dump_become_a_priced_ledger(tmp_path: Path) -> None:
    speed = ledger.measure(tmp_path, 4_000)
    assert 0 < speed.priced_rows < speed.ledger_rows, "one model of the dump has no price: its rows stay, without one"
    assert {name for name, values in speed.query_ms.items() if len(values) == ledger.REPEATS} == set(ledger.QUERIES)
    assert "dump → priced ledger" in str(ledger.lines(speed))
