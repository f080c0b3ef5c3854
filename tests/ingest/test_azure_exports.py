"""Of all runs that an Azure export leaves behind exactly the newest counts, and a manifest that lies is refused.

Data flow: folders written by azure_files → find_runs → ingest → bronze.azure_*.
Alone: `pytest tests/ingest/test_azure_exports.py`.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import CostlakeError, ManifestError, MissingPart, RowCountMismatch, ShrunkenDelivery, UnlistedPart, WrongPeriod
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.azure_exports import find_runs
from ingest.load import IngestResult, ingest_stream, recognise
from ingest.stores import store_for
from tests.ingest.azure_files import EA, csv_text, write_run

OCTOBER, SEPTEMBER = "20261001-20261031", "20260901-20260930"


def part(*costs: str, month: str = "10") -> str:
    """A part with one row per cost."""
    period = {"BillingPeriodStartDate": f"{month}/01/2026", "BillingPeriodEndDate": f"{month}/30/2026", "Date": f"{month}/03/2026"}
    return csv_text(EA, [{**period, "CostInBillingCurrency": cost} for cost in costs])


def ingest(settings: Settings, clock: FixedClock, root: Path, source: str = "azure_actual", accept: tuple[str, ...] = ()) -> IngestResult:
    """What becomes of everything below `root`."""
    return ingest_stream(settings, Export(id="azure", source=source, location=str(root)), clock, accept=accept)


def costs(settings: Settings, table: str = "azure_actual") -> dict[str, Decimal]:
    """Billing month → cost in bronze."""
    found = Lake(settings).connect().execute(f"SELECT _billing_period, sum(cost_in_billing_currency) FROM bronze.{table} GROUP BY 1")
    return dict(found.fetchall())


def found(root: Path, *types: str) -> list[str]:
    """The manifests of the runs that are taken."""
    export = Export(id="azure", source="azure_actual", location=str(root))
    return [candidate.key for candidate in find_runs(store_for(str(root)), export, frozenset(types or ("ActualCost",)))]


def refusal(result: IngestResult) -> CostlakeError:
    """The one refusal of an ingest that loaded nothing."""
    assert result.loaded == []
    assert len(result.refused) == 1
    return result.refused[0]


def test_of_the_daily_runs_of_a_month_the_newest_folder_counts(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"{OCTOBER}/202610020415/run-b", [part("1")])
    write_run(tmp_path, f"{OCTOBER}/202610030415/run-a", [part("1", "2"), part("4")])
    write_run(tmp_path, f"{SEPTEMBER}/202610030400/run-c", [part("8", month="09")])
    assert ingest(settings, clock, tmp_path).refused == []
    assert costs(settings) == {"2026-10": Decimal(7), "2026-09": Decimal(8)}


def test_without_time_folders_the_time_in_the_manifest_decides(tmp_path: Path) -> None:
    write_run(tmp_path, f"{OCTOBER}/run-z", [part("1")], submitted="2026-10-02T04:15:00.1234567Z")
    write_run(tmp_path, f"{OCTOBER}/run-a", [part("2")], submitted="2026-10-03T04:15:00Z")
    assert found(tmp_path) == [f"{OCTOBER}/run-a/manifest.json"]


def test_a_run_without_manifest_is_in_progress(tmp_path: Path) -> None:
    write_run(tmp_path, f"{OCTOBER}/202610020415/run-b", [part("1")])
    (write_run(tmp_path, f"{OCTOBER}/202610030415/run-a", [part("2")]) / "manifest.json").unlink()
    assert found(tmp_path) == [f"{OCTOBER}/202610020415/run-b/manifest.json"]


def test_two_runs_that_nothing_puts_in_order_are_refused(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"{OCTOBER}/run-a", [part("1")])
    write_run(tmp_path, f"{OCTOBER}/run-b", [part("2")])
    assert isinstance(refusal(ingest(settings, clock, tmp_path)), ManifestError)


def test_each_source_takes_its_own_kind_of_export_from_a_shared_container(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"root/actual/{OCTOBER}/202610020415/run-a", [part("1")])
    write_run(tmp_path, f"root/amortized/{OCTOBER}/202610020415/run-b", [part("2")], kind="AmortizedCost")
    write_run(tmp_path, f"root/focus/{OCTOBER}/202610020415/run-c", [part("4")], kind="FocusCost")
    assert ingest(settings, clock, tmp_path).refused == []
    assert costs(settings) == {"2026-10": Decimal(1)}
    assert found(tmp_path, "AmortizedCost") == [f"root/amortized/{OCTOBER}/202610020415/run-b/manifest.json"]
    assert found(tmp_path, "FocusCost") == [f"root/focus/{OCTOBER}/202610020415/run-c/manifest.json"]
    assert recognise(tmp_path / "root" / "amortized").name == "azure_amortized"


def test_a_manifest_of_2021_names_no_type_and_is_no_focus_export(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"{OCTOBER}/202610020415/run-a", [part("1")], kind=None, manifest="_manifest.json")
    assert found(tmp_path, "FocusCost") == []
    assert ingest(settings, clock, tmp_path, "azure_amortized").refused == []
    assert costs(settings, "azure_amortized") == {"2026-10": Decimal(1)}


def test_two_exports_below_one_location_do_not_replace_each_other(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"east/{OCTOBER}/202610020415/run-a", [part("1")])
    write_run(tmp_path, f"west/{OCTOBER}/202610030415/run-b", [part("2")])
    assert "two exports" in refusal(ingest(settings, clock, tmp_path)).what


@pytest.mark.parametrize("period", ["20261005-20261011", "20261015-20261114", "20260915-20261031", "20261031-20261001"])
def test_a_part_of_a_month_does_not_replace_the_month(period: str, settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"{period}/202611020415/run-a", [part("1")])
    assert "whole billing month" in refusal(ingest(settings, clock, tmp_path)).what


def test_months_that_two_folders_deliver_are_refused(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"{OCTOBER}/202611020415/run-a", [part("1")])
    write_run(tmp_path, "20260901-20261031/202611020415/run-b", [part("1"), part("8", month="09")])
    result = ingest(settings, clock, tmp_path)
    assert len(result.refused) == 2
    assert Lake(settings).tables("bronze") == []


def test_a_redelivery_replaces_its_month_only(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"{OCTOBER}/202610020415/run-a", [part("1")])
    write_run(tmp_path, f"{SEPTEMBER}/202610020400/run-b", [part("8", month="09")])
    ingest(settings, clock, tmp_path).raise_if_refused()
    write_run(tmp_path, f"{OCTOBER}/202610030415/run-c", [part("1", "2")])
    again = ingest(settings, clock, tmp_path)
    assert (len(again.loaded), again.unchanged, again.refused) == (1, 1, [])
    assert costs(settings) == {"2026-10": Decimal(3), "2026-09": Decimal(8)}


def test_rows_of_another_month_than_the_folder_says_are_refused(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"{OCTOBER}/202610020415/run-a", [part("1"), part("8", month="09")])
    assert isinstance(refusal(ingest(settings, clock, tmp_path)), WrongPeriod)


BLOB = f"exports/finance/{OCTOBER}/202610020415/run-a/part_0_0001.csv"
LIES: dict[str, tuple[dict[str, Any], type[CostlakeError]]] = {
    "a path that climbs out": ({"blobs": [{"blobName": "../../etc/passwd", "dataRowCount": 2}]}, ManifestError),
    "a climbing path in the folder's guise": ({"blobs": [{"blobName": f"{BLOB}/../../../../../etc/passwd"}]}, ManifestError),
    "an absolute path": ({"blobs": [{"blobName": "/etc/passwd", "dataRowCount": 2}]}, ManifestError),
    "a file of another run": ({"blobs": [{"blobName": BLOB.replace("run-a", "run-b"), "dataRowCount": 2}]}, ManifestError),
    "a file without name": ({"blobs": [{"dataRowCount": 2}]}, ManifestError),
    "a file that is not there": ({"blobs": [{"blobName": BLOB.replace("part_0", "part_9"), "dataRowCount": 2}]}, MissingPart),
    "a file twice": ({"blobs": [{"blobName": BLOB, "dataRowCount": 2}] * 2, "dataRowCount": 4}, ManifestError),
    "no list of files": ({"blobs": "all"}, ManifestError),
    "fewer rows than came": ({"blobs": [{"blobName": BLOB, "dataRowCount": 1}], "dataRowCount": 1}, RowCountMismatch),
    "more rows than came": ({"blobs": [{"blobName": BLOB, "dataRowCount": 3}], "dataRowCount": 3}, RowCountMismatch),
    "a total that is not the files'": ({"dataRowCount": 3}, ManifestError),
    "an empty month that is not": ({"blobs": [{"blobName": BLOB, "dataRowCount": 0}], "dataRowCount": 0}, RowCountMismatch),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_manifest_that_lies_is_refused_and_nothing_is_written(lie: str, settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    change, error = LIES[lie]
    write_run(tmp_path, f"{OCTOBER}/202610020415/run-a", [part("1", "2")], change=change)
    assert type(refusal(ingest(settings, clock, tmp_path))) is error
    assert Lake(settings).tables("bronze") == []


def test_a_manifest_that_is_cut_off_is_refused_and_not_passed_over(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"{OCTOBER}/202610010415/run-a", [part("1")])
    newest = write_run(tmp_path, f"{OCTOBER}/202610020415/run-b", [part("1", "2")]) / "manifest.json"
    newest.write_text(newest.read_text()[:100])
    assert isinstance(refusal(ingest(settings, clock, tmp_path)), ManifestError)


def test_a_stale_part_beside_the_listed_ones_is_refused(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    place = write_run(tmp_path, f"{OCTOBER}/202610020415/run-a", [part("1")])
    (place / "part_1_0001.csv").write_text(part("2"))
    assert isinstance(refusal(ingest(settings, clock, tmp_path)), UnlistedPart)


@pytest.mark.parametrize("parts", [[part()], []], ids=["a header alone", "no file"])
def test_a_month_that_azure_says_is_empty_is_loaded_as_empty(
    parts: list[str], settings: Settings, clock: FixedClock, tmp_path: Path
) -> None:
    write_run(tmp_path, f"{OCTOBER}/202610010415/run-a", parts)
    write_run(tmp_path, f"{SEPTEMBER}/202610010415/run-b", parts)
    first, again = ingest(settings, clock, tmp_path), ingest(settings, clock, tmp_path)
    assert (len(first.loaded), first.refused) == (2, [])
    assert (again.unchanged, again.loaded, again.refused) == (2, [], [])
    write_run(tmp_path, f"{OCTOBER}/202610020415/run-c", [part("1")])
    ingest(settings, clock, tmp_path).raise_if_refused()
    assert costs(settings) == {"2026-10": Decimal(1)}


def test_a_month_does_not_become_empty_unseen(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    write_run(tmp_path, f"{OCTOBER}/202610010415/run-a", [part("1")])
    ingest(settings, clock, tmp_path).raise_if_refused()
    write_run(tmp_path, f"{OCTOBER}/202610020415/run-b", [part()])
    held = refusal(ingest(settings, clock, tmp_path))
    assert isinstance(held, ShrunkenDelivery)
    assert costs(settings) == {"2026-10": Decimal(1)}
    ingest(settings, clock, tmp_path, accept=(held.next_step.rpartition(" ")[2],)).raise_if_refused()
    assert costs(settings) == {}


def test_the_location_may_be_the_run_itself(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    place = write_run(tmp_path, f"{OCTOBER}/202610020415/run-a", [part("1")])
    ingest(settings, clock, place).raise_if_refused()
    assert costs(settings) == {"2026-10": Decimal(1)}
