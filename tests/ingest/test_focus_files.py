"""FOCUS files of every version and layout reach bronze once and exactly; what would change money is refused with its place."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import BadValue, DeliveryError, ManifestError, MissingPart, RowCountMismatch, UnlistedPart, UnreadableFile
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import IngestResult, ingest_file, ingest_stream, recognise
from ingest.sources._focus_columns import names
from ingest.sources._focus_layouts import find
from ingest.stores import store_for
from tests.ingest.focus_rows import GOOD, charge, write_csv

Load = Callable[..., IngestResult]


@pytest.fixture
def load(settings: Settings, clock: FixedClock) -> Load:
    """Ingests a lone file, or a folder in one of the layouts."""

    def run(path: Path, **options: Any) -> IngestResult:
        if path.is_file():
            return ingest_file(settings, path, clock, **options)
        return ingest_stream(settings, Export(id="focus", source="focus_files", location=str(path)), clock, **options)

    return run


def bronze(settings: Settings, columns: str = "*", tail: str = "ORDER BY ALL") -> list[tuple[Any, ...]]:
    return Lake(settings).connect().execute(f"SELECT {columns} FROM bronze.focus_files {tail}").fetchall()


def refusal(result: IngestResult, kind: type[DeliveryError], *words: str) -> None:
    assert result.loaded == []
    assert [type(error) for error in result.refused] == [kind], [str(error) for error in result.refused]
    for word in words:
        assert word in str(result.refused[0])


# --- columns ---------------------------------------------------------------------------------------------------------------------------


def test_the_preview_vocabulary_of_oracle_is_todays(settings: Settings, load: Load, tmp_path: Path) -> None:
    """Provider, Publisher, Region, UsageQuantity, UsageUnit, InvoiceIssuer are columns of 1.0-preview; times in three formats."""
    row = {
        "Provider": "Oracle",
        "Publisher": "Oracle",
        "InvoiceIssuer": "Oracle",
        "Region": "us-phoenix-1",
        "UsageQuantity": "8",
        "UsageUnit": "OCPU Hours",
        "BilledCost": "0.24",
        "EffectiveCost": "0.24",
        "BillingAccountId": "20209880",
        "BillingCurrency": "usd",
        "BillingPeriodStart": "2026-10-01T00:00Z",
        "ChargePeriodStart": "2026-10-05T10:00Z",
        "ChargePeriodEnd": "2026-10-05T11:00:00.000Z",
        "ChargeSubcategory": "On-Demand",
        "oci_ReferenceNumber": "r1",
    }
    result = load(write_csv(tmp_path / "0001.csv", [row]))
    assert result.export_id == "focus-files-oracle-20209880"
    [found] = bronze(
        settings,
        "ProviderName, InvoiceIssuerName, RegionId, ConsumedQuantity, ConsumedUnit, BillingCurrency, ChargePeriodStart, "
        "oci_referencenumber",
    )
    instant = dt.datetime(2026, 10, 5, 10, tzinfo=dt.UTC)
    assert found == ("Oracle", "Oracle", "us-phoenix-1", Decimal(8), "OCPU Hours", "USD", instant, "r1")


def test_headers_are_matched_in_any_case_and_unknown_columns_stay() -> None:
    header = ["billedcost", "BILLING_CURRENCY", "Charge Period Start", "x_ServiceCode", "x_Foo", "Id", "x_foo", "2nd"]
    assert names(dict.fromkeys(header, "VARCHAR"), "f") == {
        "BilledCost": "billedcost",
        "BillingCurrency": "BILLING_CURRENCY",
        "ChargePeriodStart": "Charge Period Start",
        "x_ServiceCode": "x_ServiceCode",
        "x_foo": "x_Foo",
        "id": "Id",
        "x_foo__2": "x_foo",
        "column_2nd": "2nd",
    }


def test_a_former_name_gives_way_to_the_present_one() -> None:
    both = names({"Region": "VARCHAR", "RegionId": "VARCHAR"}, "f")
    assert both == {"RegionId": "RegionId", "region": "Region"}


def test_two_amounts_of_one_name_are_not_chosen_between() -> None:
    with pytest.raises(UnreadableFile, match="both BilledCost"):
        names({"BilledCost": "VARCHAR", "billed_cost": "VARCHAR"}, "f")


@pytest.mark.parametrize("text", ["NULL", r"\N", "NaN", "", "null", "[]", "{}", "N/A"])
def test_every_spelling_of_nothing_is_null(settings: Settings, load: Load, tmp_path: Path, text: str) -> None:
    load(write_csv(tmp_path / "f.csv", [charge(ContractedCost=text, Tags=text, ResourceId=text)]))
    assert bronze(settings, "ContractedCost, Tags, ResourceId") == [(None, None, None)]


@pytest.mark.parametrize(
    "text", ["2026-10-05 10:00:00", "2026-10-05T10:00Z", "10/5/2026 10:00:00", "2026-10-05 10:00:00 UTC", "2026-10-05T12:00:00+02:00"]
)
def test_an_instant_is_the_same_in_every_format(settings: Settings, load: Load, tmp_path: Path, text: str) -> None:
    load(write_csv(tmp_path / "f.csv", [charge(ChargePeriodStart=text)]))
    assert bronze(settings, "ChargePeriodStart") == [(dt.datetime(2026, 10, 5, 10, tzinfo=dt.UTC),)]


def test_parquet_of_maps_doubles_and_texts_that_say_null(settings: Settings, load: Load, tmp_path: Path) -> None:
    table = pa.table(
        {
            "billedcost": [4064.4831315379],
            "billingcurrency": ["USD"],
            "chargeperiodstart": [dt.datetime(2026, 10, 5, tzinfo=dt.UTC).replace(tzinfo=None)],
            "serviceprovidername": ["Nimbus"],
            "resourceid": ["NULL"],
            "tags": pa.array([[("team", "a")]], pa.map_(pa.string(), pa.string())),
            "x_discounts": pa.array([[("edp", 0.5)]], pa.map_(pa.string(), pa.float64())),
        }
    )
    pq.write_table(table, tmp_path / "f.parquet")
    load(tmp_path / "f.parquet")
    assert bronze(settings, "BilledCost, ResourceId, Tags, x_discounts") == [
        (Decimal("4064.4831315379"), None, '{"team":"a"}', '{"edp":0.5}')
    ]


# --- what is refused -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "NULL", "12,50", "1e", "NaN", "-"])
def test_a_billed_cost_that_is_none_never_becomes_zero(settings: Settings, load: Load, tmp_path: Path, text: str) -> None:
    refusal(load(write_csv(tmp_path / "f.csv", [GOOD, charge(BilledCost=text)])), BadValue, "BilledCost", "f.csv, row 2")
    assert Lake(settings).tables("bronze") == []


@pytest.mark.parametrize(
    ("column", "text"),
    [("EffectiveCost", "abc"), ("BillingCurrency", ""), ("ChargePeriodStart", "yesterday"), ("ChargePeriodEnd", "13/25/2026")],
)
def test_a_cell_that_does_not_parse_refuses_the_file(load: Load, tmp_path: Path, column: str, text: str) -> None:
    refusal(load(write_csv(tmp_path / "f.csv", [charge(**{column: text})])), BadValue, column, "row 1")


def test_a_billing_month_written_day_first_is_not_read_as_another_month(load: Load, tmp_path: Path) -> None:
    refusal(load(write_csv(tmp_path / "f.csv", [charge(BillingPeriodStart="1/10/2026")])), BadValue, "BillingPeriodStart")


def test_a_row_of_nobody_is_refused(load: Load, tmp_path: Path) -> None:
    refusal(
        load(write_csv(tmp_path / "f.csv", [GOOD, charge(ProviderName="", InvoiceIssuerName="")])), BadValue, "1 row(s) name no provider"
    )


def test_an_account_in_two_currencies_would_be_summed_over_them(load: Load, tmp_path: Path) -> None:
    refusal(load(write_csv(tmp_path / "f.csv", [GOOD, charge(BillingCurrency="EUR")])), BadValue, "EUR and USD", "0042")


def test_a_ragged_row_is_refused(load: Load, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "f.csv", [GOOD])
    path.write_text(path.read_text() + "only,three,fields\n")
    refusal(load(path, export_id="ragged"), UnreadableFile, "f.csv")


def test_a_file_of_another_kind_is_not_taken_for_focus(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "f.csv", [{"BilledCost": "1", "BillingCurrency": "USD", "ChargePeriodStart": "2026-10-01"}])
    with pytest.raises(Exception, match="of no known source"):
        recognise(path)


# --- slices and identity ---------------------------------------------------------------------------------------------------------------


def test_two_vendors_do_not_replace_each_other(settings: Settings, load: Load, tmp_path: Path) -> None:
    one = load(write_csv(tmp_path / "a.csv", [GOOD]))
    other = load(write_csv(tmp_path / "b.csv", [charge(ProviderName="Stratus", InvoiceIssuerName="Stratus", BilledCost="7")]))
    assert (one.export_id, other.export_id) == ("focus-files-nimbus-0042", "focus-files-stratus-0042")
    assert bronze(settings, "sum(BilledCost)") == [(Decimal(9),)]


def test_a_file_of_several_accounts_replaces_only_the_accounts_and_months_it_holds(settings: Settings, load: Load, tmp_path: Path) -> None:
    september = {"BillingPeriodStart": "2026-09-01T00:00:00Z", "ChargePeriodStart": "2026-09-05", "ChargePeriodEnd": "2026-09-06"}
    stratus = {"ProviderName": "Stratus", "InvoiceIssuerName": "Stratus", "BillingAccountId": "9"}
    first = load(write_csv(tmp_path / "a.csv", [GOOD, charge(**stratus), charge(**september)]))
    assert first.export_id == "focus-files-several-providers"
    load(write_csv(tmp_path / "b.csv", [charge(BilledCost="100"), charge(**(stratus | {"BillingAccountId": "8"}))]))
    found = bronze(settings, "_billing_period, BillingAccountId, BilledCost")
    assert found == [
        ("2026-09", "0042", Decimal(2)),
        ("2026-10", "0042", Decimal(100)),
        ("2026-10", "8", Decimal(2)),
        ("2026-10", "9", Decimal(2)),
    ]


def test_long_account_ids_that_begin_alike_stay_two_exports(load: Load, tmp_path: Path) -> None:
    profile = (
        "/providers/Microsoft.Billing/billingAccounts/11111111-2222-3333-4444-555555555555:66666666_2019-05-31/billingProfiles/AAAA-{}"
    )
    ids = {load(write_csv(tmp_path / f"{n}.csv", [charge(BillingAccountId=profile.format(n))])).export_id for n in (1, 2)}
    assert len(ids) == 2


def test_a_month_that_begins_on_the_issuers_clock_is_that_month(settings: Settings, load: Load, tmp_path: Path) -> None:
    """Google's months begin at midnight in California, others' in Berlin."""
    rows = [charge(BillingPeriodStart="2026-10-01T07:00:00Z"), charge(BillingPeriodStart="2026-09-30T22:00:00Z")]
    load(write_csv(tmp_path / "f.csv", rows))
    assert bronze(settings, "DISTINCT _billing_period") == [("2026-10",)]


# --- layouts ---------------------------------------------------------------------------------------------------------------------------


def vendor_month(folder: Path, *parts: list[dict[str, str]], **manifest: Any) -> Path:
    files = [write_csv(folder / f"part-{number}.csv", rows).name for number, rows in enumerate(parts, 1)]
    (folder / "manifest.json").write_text(json.dumps({"billing_period": folder.name, "files": files} | manifest))
    return folder.parent


def test_a_vendors_month_replaces_itself_whole(settings: Settings, load: Load, tmp_path: Path) -> None:
    load(vendor_month(tmp_path / "v" / "2026-10", [GOOD], [charge(BillingAccountId="2")], row_count=2))
    load(vendor_month(tmp_path / "v" / "2026-10", [GOOD, charge(BilledCost="5")], [charge(BilledCost="1", BillingAccountId="3")]))
    assert bronze(settings, "count(*), sum(BilledCost)") == [(3, Decimal(8))]


@pytest.mark.parametrize(
    ("manifest", "error", "words"),
    [
        ({"files": ["../../etc/passwd.csv"]}, ManifestError, "names of data files"),
        ({"files": []}, ManifestError, "no files"),
        ({"files": "part-1.csv"}, ManifestError, "no files"),
        ({"billing_period": "2026-09"}, ManifestError, "its folder of 2026-10"),
        ({"row_count": "many"}, ManifestError, "row_count"),
        ({"row_count": 7}, RowCountMismatch, "7"),
        ({"files": ["part-1.csv", "part-2.csv"]}, MissingPart, "part-2.csv"),
        ({"files": ["part-1.csv", "part-1.csv"]}, ManifestError, "twice"),
    ],
)
def test_a_manifest_that_lies_is_refused(
    load: Load, tmp_path: Path, manifest: dict[str, Any], error: type[DeliveryError], words: str
) -> None:
    refusal(load(vendor_month(tmp_path / "v" / "2026-10", [GOOD], **manifest)), error, words)


def test_a_part_that_the_manifest_does_not_name_is_half_a_delivery(load: Load, tmp_path: Path) -> None:
    location = vendor_month(tmp_path / "v" / "2026-10", [GOOD])
    write_csv(location / "2026-10" / "part-9.csv", [GOOD])
    refusal(load(location), UnlistedPart, "part-9.csv")


def test_oracles_files_add_up_and_a_file_that_comes_twice_counts_once(settings: Settings, load: Load, tmp_path: Path) -> None:
    bucket = tmp_path / "bling"
    for key in ("2026/10/05/0001.csv", "2026/10/05/0002.csv", "2026/10/06/0001.csv"):
        write_csv(bucket / "FOCUS Reports" / key, [charge(oci_ReferenceNumber=key)])
    assert len(load(bucket).loaded) == 3
    again = load(bucket)
    assert (again.loaded, again.unchanged) == ([], 3)
    write_csv(bucket / "FOCUS Reports" / "2026/10/07/0001.csv", [charge(oci_ReferenceNumber="late", BilledCost="1")])
    assert load(bucket).row_count == 1
    assert bronze(settings, "count(*), sum(BilledCost)") == [(4, Decimal(7))]


@pytest.mark.parametrize("folder", ["BILLING_PERIOD=2026-10", "billing_period=2026-10"])
def test_an_aws_focus_export_is_no_cur_and_the_other_way_round(settings: Settings, load: Load, tmp_path: Path, folder: str) -> None:
    bucket = tmp_path / "export"
    part = write_csv(bucket / "data" / folder / "focus-00001.csv", [GOOD])
    manifest = {"dataFiles": [f"s3://b/p/{part.relative_to(bucket)}"], "columns": [{"name": name, "type": "string"} for name in GOOD]}
    marker = bucket / "metadata" / folder / "focus-Manifest.json"
    marker.parent.mkdir(parents=True)
    marker.write_text(json.dumps(manifest))
    assert recognise(bucket).name == "focus_files"
    assert load(bucket).row_count == 1
    assert bronze(settings, "_billing_period, _slice") == [("2026-10", "2026-10")]
    marker.write_text(json.dumps(manifest | {"columns": [{"name": "line_item_unblended_cost", "type": "double"}]}))
    assert list(find(store_for(str(bucket)), Export(id="x", source="focus_files", location=str(bucket)))) == []


def test_of_azures_exports_only_the_focus_ones_are_read(settings: Settings, load: Load, tmp_path: Path) -> None:
    container = tmp_path / "container"
    for name, kind in (("focus", "FocusCost"), ("actual", "ActualCost")):
        run = container / name / "20261001-20261031" / "202611020600" / "11111111-2222-3333-4444-555555555555"
        part = write_csv(run / "part_0_0001.csv", [GOOD])
        blobs = [{"blobName": str(part.relative_to(container)), "byteCount": part.stat().st_size, "dataRowCount": 1}]
        config = {"exportName": name, "type": kind}
        info = {"submittedTime": "2026-11-02T06:00:00Z", "runId": run.name}
        (run / "manifest.json").write_text(
            json.dumps(
                {
                    "manifestVersion": "2024-04-01",
                    "blobCount": 1,
                    "dataRowCount": 1,
                    "exportConfig": config,
                    "runInfo": info,
                    "blobs": blobs,
                }
            )
        )
    assert load(container).row_count == 1
    assert next(key for (key,) in bronze(settings, "_object_key")).startswith("focus/")


# --- real files ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["schemas/aws_focus_1_2_columns.csv", "schemas/oci_focus_columns.csv"])
def test_every_column_of_a_clouds_own_export_finds_its_place(shared_path: Callable[[str], Path], name: str) -> None:
    """Only columns that FOCUS does not know may become text columns of their own."""
    described = duckdb.execute(f"SELECT \"column\" FROM read_csv('{shared_path('samples/' + name)}')").fetchall()
    found = names({column: "VARCHAR" for (column,) in described}, name)
    assert {"BilledCost", "EffectiveCost", "BillingAccountId", "ProviderName", "ConsumedQuantity", "RegionId"} <= set(found)
    assert all(column.startswith(("x_", "oci_")) for column in found if column == column.lower())


@pytest.mark.parametrize("version", ["1.0-preview(v1)", "1.0", "1.0r2", "1.2-preview", "1.2"])
def test_every_column_of_azures_exports_finds_its_place(shared_path: Callable[[str], Path], version: str) -> None:
    described = json.loads(shared_path(f"samples/finops_toolkit/schemas/focuscost_{version}.json").read_text())
    columns = [mapping["source"].get("path") or mapping["source"].get("name") for mapping in described["translator"]["mappings"]]
    found = names({column.strip("[']"): "VARCHAR" for column in columns}, version)
    assert {"BilledCost", "InvoiceId", "PricingCurrency", "ConsumedQuantity", "SkuMeter", "RegionId"} <= set(found)
    assert all(column.startswith("x_") for column in found if column == column.lower())
