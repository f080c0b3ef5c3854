"""The demo through the real ingest: bronze must hold the control totals of `expected.json`, before and after the restated month."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.demo import write_demo
from ingest.demo.estate import EXPORTS
from ingest.load import ingest_exports
from ingest.source import source_named

MONTH = "2026-10"
USAGE = {"openai-usage": "openai_usage", "anthropic-usage": "anthropic_usage", "gateway": "litellm_requests"}
BILLS = {export["id"]: source_named(export["source"]) for export in EXPORTS if export["id"] not in USAGE}


def bronze_totals(settings: Settings, expected: dict[str, Any]) -> dict[str, dict[str, object]]:
    """Rows and money, or rows and tokens, that bronze holds of each export."""
    found: dict[str, dict[str, object]] = {}
    with Lake(settings).connect() as connection:
        for export, source in BILLS.items():
            rows, amount = connection.execute(f"select count(*), sum({source.measures['billed']}) from bronze.{source.name}").fetchall()[0]
            found[export] = {"rows": rows, "billed": f"{amount.normalize():f}"}
        for export, table in USAGE.items():
            names = list(expected[export][MONTH]["tokens"])
            sums = ", ".join(f"sum({name})::bigint" for name in names)
            rows, *tokens = connection.execute(f"select count(*), {sums} from bronze.{table}").fetchall()[0]
            found[export] = {"rows": rows, "tokens": dict(zip(names, tokens, strict=True))}
    return found


def test_bronze_holds_what_the_generator_wrote_and_then_what_aws_restated(tmp_path: Path, clock: FixedClock) -> None:
    root = tmp_path / "estate"
    settings = Settings.load(home=tmp_path, lake=tmp_path / "lake", config_dir=root)
    expected = write_demo(root, months=1).totals["deliveries"]

    def ingest() -> set[str]:
        results = ingest_exports(settings, [], clock)
        for result in results:
            result.raise_if_refused()
        return {result.export_id for result in results if result.loaded}

    def kept(export: str, totals: dict[str, Any]) -> dict[str, object]:
        return {key: totals[key] for key in (("rows", "billed") if export in BILLS else ("rows", "tokens"))}

    first = {export: kept(export, months[MONTH]) for export, months in expected["1"].items()}
    assert ingest() == set(first)
    assert bronze_totals(settings, expected["1"]) == first
    assert ingest() == set(), "a second run changes nothing"

    write_demo(root, months=1, delivery=2)
    assert ingest() == {"aws-main"}
    assert bronze_totals(settings, expected["1"]) == first | {"aws-main": kept("aws-main", expected["2"]["aws-main"][MONTH])}
