"""The demo through the real ingest: bronze must hold the control totals of `expected.json`, before and after the restated month."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from costlake.delta import Lake
from costlake.periods import FixedClock
from costlake.settings import Settings
from ingest.demo import write_demo
from ingest.load import ingest_exports

MONTH = "2026-10"
# bronze table, its money column, and how many of its units make a dollar
MONEY = {
    "aws-main": ("aws_cur2", "line_item_unblended_cost", 1),
    "openai-costs": ("openai_costs", "amount_value", 1),
    "anthropic-costs": ("anthropic_costs", "amount_cents", 100),
}
USAGE = {"openai-usage": "openai_usage", "anthropic-usage": "anthropic_usage"}


def bronze_totals(settings: Settings, expected: dict[str, Any]) -> dict[str, dict[str, object]]:
    """Rows and dollars, or rows and tokens, that bronze holds of each export."""
    found: dict[str, dict[str, object]] = {}
    with Lake(settings).connect() as connection:
        for export, (table, column, units) in MONEY.items():
            rows, amount = connection.execute(f"select count(*), sum({column}) from bronze.{table}").fetchall()[0]
            found[export] = {"rows": rows, "billed": f"{(amount / Decimal(units)).normalize():f}"}
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

    def ingest() -> list[int]:
        results = ingest_exports(settings, [], clock)
        for result in results:
            result.raise_if_refused()
        return [len(result.loaded) for result in results]

    def kept(export: str, totals: dict[str, Any]) -> dict[str, object]:
        return {key: totals[key] for key in (("rows", "billed") if export in MONEY else ("rows", "tokens"))}

    first = {export: kept(export, months[MONTH]) for export, months in expected["1"].items()}
    assert ingest() == [1, 1, 1, 1, 1]
    assert bronze_totals(settings, expected["1"]) == first
    assert ingest() == [0, 0, 0, 0, 0], "a second run changes nothing"

    write_demo(root, months=1, delivery=2)
    assert ingest() == [1, 0, 0, 0, 0]
    assert bronze_totals(settings, expected["1"]) == first | {"aws-main": kept("aws-main", expected["2"]["aws-main"][MONTH])}
