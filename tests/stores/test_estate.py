"""The whole way with the tables in an object store: the same totals as with everything on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from costlake import publish, transform
from costlake.config import Export
from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import ingest_stream
from quality import reconcile
from tests.stores.servers import Cloud
from tests.stores.test_tables import remote_settings

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "aws_cur2"
TOTALS = (
    "SELECT x_SourceId, x_BillingPeriod, BillingCurrency, count(*), sum(BilledCost), sum(EffectiveCost), sum(ListCost) "
    "FROM focus.cost_and_usage GROUP BY ALL ORDER BY ALL"
)


def build(settings: Settings, clock: FixedClock, location: str, credential: str | None) -> list[tuple[object, ...]]:
    result = ingest_stream(settings, Export(id="aws", source="aws_cur2", location=location, credential=credential), clock)
    assert result.refused == []
    transform.run(settings)
    reconcile.run(settings, clock)
    publish.run(settings, clock)
    return Lake(settings).connect().execute(TOTALS).fetchall()


@pytest.mark.long
def test_an_estate_whose_tables_lie_in_s3_has_the_totals_of_a_local_one(
    s3_cloud: Cloud, direct: Callable[[Cloud], Cloud], tmp_path: Path, settings: Settings, clock: FixedClock
) -> None:
    away = remote_settings(tmp_path / "away", direct(s3_cloud))
    s3_cloud.upload(FIXTURE, "bill/")
    local = build(settings, clock, str(FIXTURE), None)
    assert len(local) >= 1
    assert build(away, clock, f"{s3_cloud.location}/bill", s3_cloud.credential) == local
    assert [path for path in away.lake.iterdir() if path.name in ("bronze", "ops", "focus", "marts", "insights")] == []
    lake = Lake(away)
    versions = {(layer, name): lake.version(layer, name) for layer in ("bronze", "focus", "marts") for name in lake.tables(layer)}
    assert ("focus", "cost_and_usage") in versions
    assert transform.run(away)[0].nodes == 0
    assert publish.run(away, clock).versions == {}
    assert {(layer, name): lake.version(layer, name) for layer, name in versions} == versions
    for path in away.lake.rglob("*"):
        if path.is_file():
            assert s3_cloud.secret.encode() not in path.read_bytes(), path


def test_bronze_in_a_store_holds_what_a_local_one_holds(tables_cloud: Cloud, tmp_path: Path, settings: Settings, clock: FixedClock) -> None:
    away = remote_settings(tmp_path / "away", tables_cloud)
    export = Export(id="aws", source="aws_cur2", location=str(FIXTURE))
    sums = "SELECT _billing_period, count(*), sum(line_item_unblended_cost) FROM bronze.aws_cur2 GROUP BY 1"
    for where in (settings, away):
        assert ingest_stream(where, export, clock).refused == []
    assert Lake(away).connect().execute(sums).fetchall() == Lake(settings).connect().execute(sums).fetchall()
    assert ingest_stream(away, export, clock).unchanged == 1
