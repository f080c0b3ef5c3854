"""Fireworks' billing summary: what would be lost, doubled or guessed of its money is refused before anything is written."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.load import ingest_file, recognise
from tests.ingest.test_sources_contract import FIXTURES

SUMMARY: dict[str, Any] = json.loads((FIXTURES / "fireworks_costs" / "2026-10" / "summary.json").read_text("utf-8"))


def _first(summary: dict[str, Any]) -> dict[str, Any]:
    return dict(summary["usageBuckets"][0])["lineItems"][0]


def _file(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    summary = copy.deepcopy(SUMMARY)
    change(summary)
    path = folder / "summary.json"
    path.write_text(json.dumps(summary), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s["usageBuckets"][0]["lineItems"].pop(), "the days sum to"),
        (lambda s: s["usageBuckets"].append(s["usageBuckets"][0]), "comes twice"),
        (lambda s: _first(s).pop("totalCost"), "totalCost is"),
        (lambda s: _first(s).update(totalCost={"nanos": 5}), "totalCost is"),
        (lambda s: _first(s).update(totalCost={"currencyCode": "USD", "nanos": 1_000_000_000}), "units and"),
        (lambda s: _first(s).update(totalCost={"currencyCode": "USD", "units": "1", "nanos": -1}), "units and"),
        (lambda s: _first(s).update(totalCost={"currencyCode": "EUR", "nanos": 28_000_000}), "the price is in USD"),
        (lambda s: s["usageBuckets"][0].update(endTime="2026-11-30T00:00:00Z"), "no UTC day"),
        (lambda s: s["usageBuckets"][0].pop("startTime"), "no UTC day"),
        (lambda s: s["usageBuckets"][0].update(lineItems=["x"]), "no object"),
        (lambda s: (s.pop("lineItems"), s["usageBuckets"][0]["lineItems"].append(_first(s))), "come twice in one pull"),
        (lambda s: _first(s).update(quantity="many"), "quantity is"),
    ],
)
def test_a_summary_that_does_not_add_up_is_refused(
    change: Callable[[dict[str, Any]], Any], said: str, settings: Settings, clock: FixedClock, tmp_path: Path
) -> None:
    result = ingest_file(settings, _file(tmp_path, change), clock, export_id="fireworks", source_name="fireworks_costs")
    assert [said in str(error) for error in result.refused] == [True], result.refused
    assert Lake(settings).tables("bronze") == []


def test_a_summary_without_days_is_told_how_to_ask(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    path = _file(tmp_path, lambda summary: summary.update(usageBuckets=[]))
    result = ingest_file(settings, path, clock, export_id="fireworks", source_name="fireworks_costs")
    assert "granularity=DAILY" in str(result.refused[0])


def test_a_lone_file_is_recognised_and_a_second_answer_replaces_its_days(settings: Settings, clock: FixedClock, tmp_path: Path) -> None:
    path = _file(tmp_path, lambda summary: None)
    assert recognise(path).name == "fireworks_costs"

    def later(summary: dict[str, Any]) -> None:
        del summary["lineItems"], summary["usageBuckets"][:1]
        summary["usageBuckets"][0]["lineItems"][0]["totalCost"] = {"currencyCode": "USD", "nanos": 600_000}

    assert ingest_file(settings, path, clock, export_id="fireworks").refused == []
    assert ingest_file(settings, _file(tmp_path, later), clock, export_id="fireworks").refused == []
    rows = Lake(settings).connect().execute("SELECT _slice, sum(total_cost) FROM bronze.fireworks_costs GROUP BY 1 ORDER BY 1").fetchall()
    assert rows == [("2026-10-31", Decimal("14.5378")), ("2026-11-01", Decimal("-1.2494"))]
