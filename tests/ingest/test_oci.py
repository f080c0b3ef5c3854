"""Oracle's incremental cost reports: a file is added once, whenever and wherever it turns up, and nothing in it is read twice or lost."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import BadValue, ChangedUnit, ConfigError, UnreadableFile
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import IngestResult, ingest_file, ingest_stream, recognise
from ingest.sources.oci import find_reports, report_name
from ingest.stores import store_for

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "oci_cost"
Row = dict[str, str]


def row(start: str, cost: str, **more: str) -> Row:
    """A line of an hour that begins at `start`."""
    return {
        "lineItem/referenceNo": f"{start}/{cost}",
        "lineItem/tenantId": "ocid1.tenancy.oc1..aone",
        "lineItem/intervalUsageStart": start,
        "lineItem/intervalUsageEnd": start.replace("00Z", "59:59Z"),
        "product/service": "COMPUTE",
        "cost/subscriptionId": "77",
        "cost/myCost": cost,
        "cost/currencyCode": "USD",
        **more,
    }


def report(root: Path, key: str, rows: list[Row]) -> Path:
    """Put a report into a copy of Oracle's bucket."""
    names = list(dict.fromkeys(name for line in rows for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    return path


def ingest(settings: Settings, bucket: Path, clock: FixedClock) -> IngestResult:
    return ingest_stream(settings, Export(id="oci", source="oci_cost", location=str(bucket)), clock)


def months(settings: Settings, table: str = "oci_cost") -> dict[str, Decimal]:
    rows = (
        Lake(settings).connect().execute(f"SELECT _billing_period, sum(cost_my_cost) FROM bronze.{table} GROUP BY 1 ORDER BY 1").fetchall()
    )
    return dict(rows)


def test_a_later_file_adds_to_its_months_and_replaces_none(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    bucket = tmp_path / "b"
    report(
        bucket,
        "reports/cost-csv/0102.csv.gz",
        [row("2026-10-05T10:00Z", "5"), row("2026-10-31T23:00Z", "1"), row("2026-11-01T00:00Z", "2")],
    )
    assert ingest(settings, bucket, clock).refused == []
    # A file of an older number and of older hours turns up late: its name is new.
    report(bucket, "reports/cost-csv/0101.csv.gz", [row("2026-10-01T10:00Z", "7"), row("2026-09-30T10:00Z", "-3")])
    result = ingest(settings, bucket, clock)
    assert (len(result.loaded), result.unchanged) == (1, 1)
    assert months(settings) == {"2026-09": Decimal(-3), "2026-10": Decimal(13), "2026-11": Decimal(2)}
    assert ingest(settings, bucket, clock).unchanged == 2


def test_one_report_under_two_paths_is_counted_once(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    lines = [row("2026-10-05T10:00Z", "5")]
    report(tmp_path / "b", "reports/cost-csv/0001000000000101-00001.csv.gz", lines)
    ingest(settings, tmp_path / "b", clock)
    downloaded = report(tmp_path, "reports_cost-csv_0001000000000101-00001.csv.gz", lines)
    ingest_file(settings, downloaded, clock, export_id="oci")
    assert months(settings) == {"2026-10": Decimal(5)}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("reports/cost-csv/0001000000000101-00001.csv.gz", "0001000000000101-00001"),
        ("reports_cost-csv_0000000030000269.csv.gz", "0000000030000269"),
        ("cost-csv_0000000030000269.csv", "0000000030000269"),
        ("elsewhere/october.csv", "october"),
    ],
)
def test_a_report_keeps_its_name_wherever_it_is_copied_to(key: str, name: str) -> None:
    assert report_name(key) == name


def test_only_cost_reports_are_read_of_a_bucket_that_tells_each_cost_three_times() -> None:
    store, export = store_for(str(FIXTURE)), Export(id="oci", source="oci_cost", location=str(FIXTURE))
    with pytest.raises(ConfigError, match="focus_files, oci_cost"):  # the same cost twice: a person says which is read
        recognise(FIXTURE)
    days = [candidate.key for candidate in find_reports(store, export, "FOCUS Reports/2026/10/06")]
    assert days == ["FOCUS Reports/2026/10/06/0001000000000103-00001.csv.gz"]


def test_the_folder_of_reports_itself_and_downloaded_files_are_found(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    report(tmp_path, "cost-csv/0101.csv.gz", [row("2026-10-05T10:00Z", "5")])
    report(tmp_path, "flat/reports_cost-csv_0102.csv.gz", [row("2026-10-05T11:00Z", "6")])
    report(tmp_path, "flat/0103.csv.gz", [row("2026-10-05T12:00Z", "100")])
    ingest(settings, tmp_path / "cost-csv", clock)
    ingest(settings, tmp_path / "flat", clock)
    assert months(settings) == {"2026-10": Decimal(11)}


def test_tag_keys_are_kept_as_oracle_writes_them(settings: Settings, clock: FixedClock) -> None:
    ingest(settings, FIXTURE, clock)
    tags = (
        Lake(settings).connect().execute("SELECT tags FROM bronze.oci_cost WHERE line_item_reference_no IN ('a1', 'a4', 'b1') ORDER BY ALL")
    )
    found = [value for (value,) in tags.fetchall()]
    assert {"ML\\train-7.release.team": 'Research "A"', "env": "x", "Env": "y"} in found
    assert {"Oracle-Tags.CreatedBy": "default/terraform", "Billing.CostCenter": "0042"} in found
    assert {} in found, "a tag without value is no tag"


@pytest.mark.parametrize(
    "start", ["2026-10-05T10:00Z", "2026-10-05T10:00:00Z", "2026-10-05T10:00:00.000Z", "2026-10-05T12:00+02:00", "2026-10-05T10:00"]
)
def test_every_way_of_writing_an_hour_is_the_same_hour(settings: Settings, tmp_path: Path, clock: FixedClock, start: str) -> None:
    report(tmp_path / "b", "reports/cost-csv/0101.csv.gz", [row("2026-10-05T10:00Z", "1", **{"lineItem/intervalUsageStart": start})])
    assert ingest(settings, tmp_path / "b", clock).refused == []
    hours = Lake(settings).connect().execute("SELECT CAST(line_item_interval_usage_start AS VARCHAR) FROM bronze.oci_cost").fetchall()
    assert hours == [("2026-10-05 10:00:00+00",)]


@pytest.mark.parametrize(
    ("cell", "value"),
    [("cost/myCost", "1,5"), ("cost/myCost", ""), ("lineItem/intervalUsageStart", "05.10.2026"), ("usage/billedQuantity", "many")],
)
def test_a_cell_that_does_not_parse_is_named_and_nothing_is_loaded(
    settings: Settings, tmp_path: Path, clock: FixedClock, cell: str, value: str
) -> None:
    report(tmp_path / "b", "reports/cost-csv/0101.csv.gz", [row("2026-10-05T10:00Z", "1"), row("2026-10-05T11:00Z", "2", **{cell: value})])
    [error] = ingest(settings, tmp_path / "b", clock).refused
    assert isinstance(error, BadValue)
    assert "0101.csv.gz, row 2" in error.where
    assert Lake(settings).tables("bronze") == []


def test_a_sku_that_is_suddenly_billed_by_the_thousand_is_refused(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    for number, unit in ((101, "1000000 NONE NONE DATAPOINTS"), (102, "1000 NONE NONE DATAPOINTS")):
        line = row(f"2026-10-0{number - 100}T10:00Z", "1", **{"cost/productSku": "B90926", "cost/billingUnitReadable": unit})
        report(tmp_path / "b", f"reports/cost-csv/0{number}.csv.gz", [line])
    [error] = ingest(settings, tmp_path / "b", clock).refused
    assert isinstance(error, ChangedUnit)
    assert months(settings) == {"2026-10": Decimal(1)}


def test_a_usage_report_is_not_taken_for_a_bill_of_nothing(settings: Settings, tmp_path: Path, clock: FixedClock) -> None:
    line = row("2026-10-05T10:00Z", "1")
    report(tmp_path / "b", "reports/cost-csv/0101.csv.gz", [{name: value for name, value in line.items() if not name.startswith("cost/")}])
    [error] = ingest(settings, tmp_path / "b", clock).refused
    assert isinstance(error, UnreadableFile)
    assert "cost_my_cost" in error.what


def test_the_real_report_keeps_all_18_decimals(settings: Settings, clock: FixedClock, shared_path: Callable[[str], Path]) -> None:
    result = ingest_file(settings, shared_path("data/oci_cost_report/reports_cost-csv_2023-11-13.csv.gz"), clock)
    assert result.refused == []
    assert result.export_id.startswith("oci-cost-")
    rows, billed = Lake(settings).connect().execute("SELECT count(*), sum(cost_my_cost) FROM bronze.oci_cost").fetchall()[0]
    # The known total 1.4166935053433998 is a sum of floats; these are the digits of the file.
    assert (rows, billed) == (123, Decimal("1.416693505343400059"))
