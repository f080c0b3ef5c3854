"""What the command line says of a run's result: totals, reconciliation, anomalies, where the files are.

Data flow: VerticalResult → lines for people. Nothing is computed here but sums of what the reconciliation has proved.
Run alone: costlake run
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlake.console import console

if TYPE_CHECKING:
    from costlake.vertical import VerticalResult
    from quality.ledger import Reconciliation


def print_result(result: VerticalResult) -> None:
    """What a whole run came to: totals, reconciliation, anomalies, where to look."""
    console.print()
    console.print("What AI infrastructure cost", style="bold")
    for provider, currency, months, first, last, billed, effective in result.totals:
        console.print(
            f"  {provider:<16} {months:>3} months  {first} … {last}  "
            f"billed {billed:>16,.2f} {currency}  effective {effective:>16,.2f} {currency}",
            highlight=False,
            soft_wrap=True,
        )
    print_reconciliation(result.reconciliations)
    if result.anomalies:
        console.print("Anomalies", style="bold")
    for message in result.anomalies:
        console.print(f"  {message}", markup=False, highlight=False, soft_wrap=True)
    if result.idle_gpus:
        console.print("Idle GPUs", style="bold")
    for message in result.idle_gpus:
        console.print(f"  {message}", markup=False, highlight=False, soft_wrap=True)
    console.print("Where to look", style="bold")
    for name, path in (
        ("finance report", result.report),
        ("workbook", result.workbook),
        ("quality page", result.quality_page),
        ("BI file", result.serving),
    ):
        console.print(f"  {name:<15} {path}", highlight=False, soft_wrap=True)
    console.print(f"Took {sum(seconds for _, seconds in result.seconds):.0f} s", style="dim", highlight=False)


def print_reconciliation(rows: list[Reconciliation]) -> None:
    """One line per source, measure and currency: the sums of all its periods, and whether every period is exact."""
    console.print("Reconciliation: bill = bronze = FOCUS = marts", style="bold")
    groups: dict[tuple[str, str, str], list[Reconciliation]] = {}
    for row in rows:
        if row.measure != "rows":
            groups.setdefault((row.source_id, row.measure, row.billing_currency or ""), []).append(row)
    for (source_id, measure, currency), members in sorted(groups.items()):
        failed = sum(member.status == "failed" for member in members)
        status = f"[red]{failed} of {len(members)} periods differ[/]" if failed else f"[green]exact[/] in {len(members)} periods"
        layers = [
            f"{layer} {total}"
            for layer, name in (("bill", "bill_total"), ("bronze", "bronze_total"), ("FOCUS", "focus_total"), ("marts", "mart_total"))
            if (total := _sum(members, name)) is not None
        ]
        sums = {layer.split(" ", 1)[1] for layer in layers}
        shown = f"{' = '.join(layer.split(' ', 1)[0] for layer in layers)} = {sums.pop()}" if len(sums) == 1 else ", ".join(layers)
        console.print(f"  {source_id:<16} {measure:<9} {status}: {shown} {currency}", highlight=False, soft_wrap=True)


def _sum(rows: list[Reconciliation], name: str) -> str | None:
    known = [value for row in rows if (value := getattr(row, name)) is not None]
    if not known:
        return None
    text = f"{sum(known):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
