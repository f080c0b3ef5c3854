"""One contract for every source: a fixture folder with hand-computed totals, loaded exactly, lineage whole, reruns idle."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from costlake.config import Export
from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import ingest_stream
from ingest.source import Source, all_sources

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SOURCES = sorted(all_sources().values(), key=lambda source: source.name)


@pytest.fixture(params=SOURCES, ids=lambda source: source.name)
def source(request: pytest.FixtureRequest) -> Source:
    return request.param


def _load(source: Source, settings: Settings, clock: FixedClock) -> Any:
    export = Export(id="fixture", source=source.name, location=str(FIXTURES / source.name), billing_account_id="acc-1")
    return ingest_stream(settings, export, clock)


def _expected(source: Source) -> dict[str, Any]:
    return dict(yaml.safe_load((FIXTURES / source.name / "expected.yml").read_text(encoding="utf-8")))


def test_a_source_without_fixture_would_be_untested(source: Source) -> None:
    assert (FIXTURES / source.name / "expected.yml").is_file(), f"add tests/fixtures/{source.name} (CONTRIBUTING, Add a provider)"


def test_rows_and_totals_are_those_computed_by_hand(source: Source, settings: Settings, clock: FixedClock) -> None:
    result = _load(source, settings, clock)
    expected = _expected(source)
    assert [str(error) for error in result.refused] == []
    connection = Lake(settings).connect()
    measure = "billed" if "billed" in source.measures else "tokens"
    rows, total, periods = connection.execute(
        f"SELECT count(*), sum({source.measures[measure]}), list_sort(list_distinct(list(_billing_period))) FROM bronze.{source.name}"
    ).fetchall()[0]
    assert rows == expected["rows"]
    assert Decimal(total) == Decimal(expected[measure])
    assert periods == expected["periods"]
    if source.currency_sql:
        assert connection.execute(f"SELECT DISTINCT {source.currency_sql} FROM bronze.{source.name}").fetchall() == [
            (expected["currency"],)
        ]


def test_every_row_can_be_traced_to_its_place_in_the_delivery(source: Source, settings: Settings, clock: FixedClock) -> None:
    _load(source, settings, clock)
    connection = Lake(settings).connect()
    rows, identities, lost = connection.execute(
        "SELECT count(*), count(DISTINCT (_delivery_id, _object_key, _row_number)), "
        "count(*) FILTER (WHERE _object_etag IS NULL OR _ingested_at IS NULL OR _schema_hash IS NULL OR _manifest_hash IS NULL) "
        f"FROM bronze.{source.name}"
    ).fetchall()[0]
    assert rows == identities
    assert lost == 0
    etags = connection.execute(f"SELECT DISTINCT _object_etag FROM bronze.{source.name}").fetchall()
    landed = {path.name.split(".")[0] for path in (settings.landing / "objects").rglob("*") if path.is_file()}
    assert {etag for (etag,) in etags} <= landed


def test_a_second_run_writes_no_version(source: Source, settings: Settings, clock: FixedClock) -> None:
    _load(source, settings, clock)
    lake = Lake(settings)
    before = {(layer, name): lake.version(layer, name) for layer in ("bronze", "ops") for name in lake.tables(layer)}
    again = _load(source, settings, clock)
    assert (again.loaded, again.refused) == ([], [])
    assert again.unchanged >= 1
    assert {(layer, name): lake.version(layer, name) for layer in ("bronze", "ops") for name in lake.tables(layer)} == before


def test_bronze_has_the_declared_columns_with_their_types(source: Source, settings: Settings, clock: FixedClock) -> None:
    _load(source, settings, clock)
    schema = Lake(settings).schema("bronze", source.name)
    for field in source.table.schema:
        assert schema.field(field.name).type == field.type, field.name
