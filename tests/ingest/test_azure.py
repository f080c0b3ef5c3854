"""Azure cost details in bronze: every dialect gives the same money, a pair is not counted twice, and a damaged file is refused.

Data flow: rows written by azure_files → ingest → bronze.azure_*. The layout of exports is tested in test_azure_exports.py.
Alone: `pytest tests/ingest/test_azure.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import BadValue, ConfigError, EmptyDelivery, UnreadableFile
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import ingest_file, ingest_stream, recognise
from ingest.source import source_named
from tests.ingest.azure_files import EA, MCA, csv_text

V1 = (
    "SubscriptionGuid UsageDateTime MeterCategory MeterName UsageQuantity ResourceRate PreTaxCost InstanceId Currency UnitOfMeasure".split()
)
V1_ROW = ["0f1e", "2026-10-03", "Storage", "Hot", "2", "0.5", "1", "/subscriptions/0f1e/x", "USD", "10K"]
GERMAN = [
    "Abonnement-GUID (SubscriptionGuid)",
    "UsageDateTime (UsageDateTime)",
    "Kategorie der Verbrauchseinheit (MeterCategory)",
    "Name der Verbrauchseinheit (MeterName)",
    "UsageQuantity (UsageQuantity)",
    "Ressourcensatz (ResourceRate)",
    "PreTaxCost (PreTaxCost)",
    "InstanceId (InstanceId)",
    "Currency",
    "Maßeinheit (UnitOfMeasure)",
]
C360 = "SubscriptionId Date MeterCategory MeterName Quantity EffectivePrice Cost ResourceId BillingCurrency UnitOfMeasure".split()


def _csv(header: list[str], *rows: list[str]) -> str:
    return "".join(",".join(row) + "\n" for row in (header, *rows))


def _file(folder: Path, text: str, name: str = "part_0_0001.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def _ingest(settings: Settings, clock: FixedClock, path: Path, **options: Any) -> None:
    ingest_file(settings, path, clock, **options).raise_if_refused()


def _rows(settings: Settings, columns: str, table: str = "azure_actual") -> list[tuple[Any, ...]]:
    return Lake(settings).connect().execute(f"SELECT {columns} FROM bronze.{table} ORDER BY ALL").fetchall()


@pytest.mark.parametrize(
    "text",
    [
        _csv(V1, V1_ROW),
        "\ufeff" + _csv(V1, V1_ROW),
        _csv(GERMAN, V1_ROW),
        _csv([name[0].lower() + name[1:] for name in V1], V1_ROW),
        _csv(C360, V1_ROW),
        _csv([name.upper() for name in C360], V1_ROW),
        _csv(V1, V1_ROW).replace("\n", "\r\n"),
    ],
    ids=["v1", "bom", "german", "camelCase", "c360", "upper", "crlf"],
)
def test_every_header_dialect_gives_the_same_row(text: str, settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    _ingest(settings, clock, _file(tmp_path, text))
    wanted = "_billing_period, subscription_id, cost_in_billing_currency, quantity, effective_price, resource_id, billing_currency"
    found = _rows(settings, f"{wanted}, unit_of_measure, _source_id")
    assert found == [
        ("2026-10", "0f1e", Decimal(1), Decimal(2), Decimal("0.5"), "/subscriptions/0f1e/x", "USD", "10K", "azure-actual-0f1e")
    ]


def test_a_day_is_read_month_first_in_every_form(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    days = ["10/3/2026", "10/03/2026", "2026-10-03", "2026-10-03 00:00:00", "2026-10-03T00:00:00Z", "10/3/2026 0:00", " 2026-10-03 "]
    _ingest(settings, clock, _file(tmp_path, _csv(V1, *([*V1_ROW[:1], day, *V1_ROW[2:]] for day in days))))
    assert [row[0].isoformat() for row in _rows(settings, "date")] == ["2026-10-03T00:00:00+00:00"] * len(days)


@pytest.mark.parametrize("day", ["13/10/2026", "3.10.2026", "26-10-03", "3/1/26", "2026-02-30", "46298"])
def test_a_day_that_cannot_be_month_first_is_not_guessed(day: str, settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="column date"):
        _ingest(settings, clock, _file(tmp_path, _csv(V1, [*V1_ROW[:1], day, *V1_ROW[2:]])))


def _with_costs(*costs: str) -> str:
    return _csv(V1, V1_ROW, *([*V1_ROW[:6], cost, *V1_ROW[7:]] for cost in costs))


def test_a_cost_in_any_notation_is_exact(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    _ingest(settings, clock, _file(tmp_path, _with_costs("5.64902E-05", "-1e2", "0000.10")))
    found = {row[0] for row in _rows(settings, "cost_in_billing_currency")}
    assert found == {Decimal(1), Decimal("0.0000564902"), Decimal(-100), Decimal("0.1")}


@pytest.mark.parametrize("cost", ["", "n/a", "1,5", '"1,234.00"', "NaN", "1.2.3", "€1"])
def test_a_cost_that_is_no_number_is_not_lost(cost: str, settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    with pytest.raises((BadValue, UnreadableFile)) as refusal:
        _ingest(settings, clock, _file(tmp_path, _with_costs(cost)))
    assert "cost_in_billing_currency" in str(refusal.value) or "fields" in str(refusal.value) or "Error" in str(refusal.value)
    assert Lake(settings).tables("bronze") == []


DAMAGED: Mapping[str, tuple[str, type[Exception]]] = {
    "a row too long": (_csv(V1, V1_ROW, [*V1_ROW, "x"]), UnreadableFile),
    "a row too short": (_csv(V1, V1_ROW, V1_ROW[:-2]), UnreadableFile),
    "a column twice in two languages": (_csv([*V1, "Ressource (InstanceId)"], [*V1_ROW, "other"]), UnreadableFile),
    "a column twice": (_csv([*V1, "PreTaxCost"], [*V1_ROW, "9"]), UnreadableFile),
    "a quote that stays open": (_csv(V1, V1_ROW, [*V1_ROW[:-1], '"10K']), UnreadableFile),
    "no currency": (_csv(V1[:-2], V1_ROW[:-2]), UnreadableFile),
    "a row without currency": (_csv(V1, V1_ROW, [*V1_ROW[:8], "", "10K"]), BadValue),
    "a header alone": (_csv(V1), EmptyDelivery),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_refused_and_nothing_is_written(damage: str, settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    text, error = DAMAGED[damage]
    with pytest.raises(error):
        _ingest(settings, clock, _file(tmp_path, text), source_name="azure_actual")
    assert Lake(settings).tables("bronze") == []


def test_another_encoding_is_refused_and_not_read_as_mojibake(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        _ingest(settings, clock, _file(tmp_path, _csv(GERMAN, V1_ROW), encoding="latin-1"), source_name="azure_actual")
    with pytest.raises(UnreadableFile):
        _ingest(
            settings, clock, _file(tmp_path, _csv(V1, [*V1_ROW[:3], "Größe", *V1_ROW[4:]]), encoding="latin-1"), source_name="azure_actual"
        )


def test_a_file_whose_last_line_ends_otherwise_loses_no_row(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    text = _csv(V1, V1_ROW, V1_ROW).replace("\n", "\r\n") + ",".join([*V1_ROW[:6], "3", *V1_ROW[7:]]) + "\n"
    _ingest(settings, clock, _file(tmp_path, text))
    assert _rows(settings, "_row_number, cost_in_billing_currency") == [(1, Decimal(1)), (2, Decimal(1)), (3, Decimal(3))]


def test_an_mca_export_in_parquet_keeps_its_amounts(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    texts: dict[str, list[str | None]] = {name: [None] for name in MCA}
    texts |= {"billingCurrency": ["EUR"], "date": ["10/03/2026"], "chargeType": ["Usage"], "billingProfileId": ["ABCD-EFGH"]}
    table = pa.table({**texts, "costInBillingCurrency": [1234.5678901234], "quantity": [0.1]})
    pq.write_table(table, tmp_path / "part_0_0001.snappy.parquet")
    _ingest(settings, clock, tmp_path / "part_0_0001.snappy.parquet")
    found = _rows(settings, "_source_id, cost_in_billing_currency, quantity")
    assert found == [("azure-actual-abcd-efgh", Decimal("1234.5678901234"), Decimal("0.1"))]


def test_the_account_owner_is_nowhere_in_bronze(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    _ingest(settings, clock, _file(tmp_path, csv_text(EA, [{"CostInBillingCurrency": "1", "MeterCategory": "Storage"}])))
    assert "owner@example.com" not in str(_rows(settings, "*"))


def test_bills_of_two_accounts_do_not_share_a_made_up_export(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    row = {"CostInBillingCurrency": "1"}
    path = _file(tmp_path, csv_text(EA, [row, {**row, "BillingProfileId": "other"}]))
    with pytest.raises(ConfigError, match="several billing accounts"):
        _ingest(settings, clock, path)
    _ingest(settings, clock, path, export_id="both")
    assert len(_rows(settings, "1")) == 2


COVERED = {"PricingModel": "Reservation", "ReservationId": "r-1", "CostInBillingCurrency": "3"}


@pytest.mark.parametrize(
    ("row", "source"),
    [
        (COVERED, "azure_amortized"),
        ({"ChargeType": "UnusedSavingsPlan", "PricingModel": "SavingsPlan", "CostInBillingCurrency": "1"}, "azure_amortized"),
        ({**COVERED, "CostInBillingCurrency": "0"}, "azure_actual"),
        ({**COVERED, "ChargeType": "Purchase"}, "azure_actual"),
        ({"CostInBillingCurrency": "3"}, "azure_actual"),
    ],
    ids=["covered usage that costs", "unused commitment", "covered usage at 0", "purchase", "neither"],
)
def test_a_lone_file_is_amortized_where_its_rows_prove_it(row: dict[str, str], source: str, tmp_path: Path) -> None:
    path = _file(tmp_path, csv_text(EA, [{"CostInBillingCurrency": "1"}, row]))
    assert recognise(path).name == source


def test_amortized_cost_is_not_taken_for_the_bill(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    path = _file(tmp_path, csv_text(EA, [COVERED]))
    with pytest.raises(UnreadableFile, match="amortized"):
        _ingest(settings, clock, path, source_name="azure_actual")


def _billed(settings: Settings, table: str = "azure_actual") -> tuple[Decimal, Decimal]:
    measures = source_named(table).measures
    return _rows(settings, f"sum({measures['billed']}), sum({measures['effective']})", table)[0]  # type: ignore[return-value]


def test_a_pair_in_the_configuration_reaches_what_is_loaded_already(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    trade = {**COVERED, "ChargeType": "Purchase", "CostInBillingCurrency": "120"}
    path = _file(tmp_path, csv_text(EA, [{"CostInBillingCurrency": "5"}, trade, {**trade, "ChargeType": "Refund", "Quantity": "-1"}]))
    for pair, measured in ((None, (245, 245)), ("amortized", (240, 0)), (None, (245, 245))):
        export = Export(id="actual", source="azure_actual", location=str(path), amortized_by=pair)
        ingest_stream(settings, export, clock).raise_if_refused()
        assert _billed(settings) == measured, pair


def test_an_invoice_that_crosses_months_keeps_each_of_its_parts(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    """Old pay-as-you-go accounts: the invoice of 15 November replaces nothing of the one of 15 October, though both have November days."""

    def invoice(start: str, end: str, *days: tuple[str, str]) -> str:
        period = {"BillingPeriodStartDate": start, "BillingPeriodEndDate": end}
        return csv_text(EA, [{**period, "Date": day, "CostInBillingCurrency": cost} for day, cost in days])

    october = invoice("10/15/2026", "11/14/2026", ("10/20/2026", "1"), ("11/10/2026", "2"))
    november = invoice("11/15/2026", "12/14/2026", ("11/20/2026", "4"), ("12/10/2026", "8"))
    restated = invoice("10/15/2026", "11/14/2026", ("10/20/2026", "1.5"), ("11/10/2026", "2.5"))
    for text in (october, november, restated):
        _ingest(settings, clock, _file(tmp_path, text), export_id="payg")
    assert _rows(settings, "_billing_period, _slice, cost_in_billing_currency") == [
        ("2026-10", "2026-10@2026-10-15", Decimal("1.5")),
        ("2026-11", "2026-11@2026-10-15", Decimal("2.5")),
        ("2026-11", "2026-11@2026-11-15", Decimal(4)),
        ("2026-12", "2026-12@2026-11-15", Decimal(8)),
    ]


SAMPLES = {
    "data/azure_cost_export_small/ea_sample_anonymous_2023-09_CAD.csv.gz": ("1.26136926505726", 14, "CAD", 27),
    "data/azure_cost_export_small/koku_azure_v1_2019-07.csv.gz": ("0.00011016", 8, "USD", 3),
    "data/azure_cost_export_small/koku_azure_v1_camelCase_2019-07.csv.gz": ("0.00011016", 8, "USD", 3),
    "data/nise_azure/costreport_298fd915-cddc-4c36-bebd-6229594a1c84.csv.gz": ("64.615555101624", 12, "USD", 434),
    "data/nise_azure/costreport_fa5717db-0b8a-4619-93f2-8b455ecde06f.csv.gz": ("65.183048023741", 12, "USD", 434),
    "samples/koku/azure/camel_azure_version_2.csv": ("0.0000262412", 12, "USD", 4),
    "samples/opencost_azure/German.csv": ("0.075", 12, "USD", 1),
    "samples/opencost_azure/YA.csv": ("0.075", 12, "USD", 1),
}


@pytest.mark.parametrize("name", SAMPLES, ids=lambda name: Path(name).name)
def test_a_real_file_has_its_known_total(name: str, settings: Settings, clock: FixedClock, shared_path: Callable[[str], Path]) -> None:
    billed, places, currency, rows = SAMPLES[name]
    _ingest(settings, clock, shared_path(name), export_id="sample")
    found = _rows(settings, f"round(sum(cost_in_billing_currency), {places}), any_value(billing_currency), count(*)")
    assert found == [(Decimal(billed), currency, rows)]
