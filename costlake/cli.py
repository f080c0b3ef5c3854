"""The `costlake` command: one command per function, the same functions that the Airflow tasks call.

Exit status: 0 done; 1 refused or failed for good (somebody has to act); 75 failed for now (try again), as sysexits says.
Run alone: costlake --help
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from costlake.delta import Lake
from costlake.errors import CostlakeError, LakeError, RetryableError
from costlake.periods import SystemClock
from costlake.runs import RunRecord, recorded_run
from costlake.settings import Settings

if TYPE_CHECKING:
    from costlake.vertical import VerticalResult
    from quality.ledger import Reconciliation

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0])
config_app = typer.Typer(no_args_is_help=True, help="The files of config/.")
app.add_typer(config_app, name="config")
console = Console()
errors = Console(stderr=True)

FATAL, TRY_AGAIN = 1, 75


@contextmanager
def _reported(command: str) -> Iterator[RunRecord]:
    """Deliberate errors as text and exit status; anything else is a bug and keeps its traceback.

    The command puts what it changed into the record's `detail`, which then goes to `ops.runs`, as every failure does.
    """
    try:
        with recorded_run(Lake(Settings.load()), command, SystemClock()) as record:
            yield record
    except CostlakeError as error:
        _print_error(error)
        raise typer.Exit(TRY_AGAIN if isinstance(error, RetryableError) else FATAL) from error


def _print_error(error: CostlakeError) -> None:
    errors.print(f"{type(error).__name__}: {error}", style="red", markup=False, highlight=False)
    for note in getattr(error, "__notes__", ()):
        errors.print(f"  {note}", style="red", markup=False, highlight=False)


def _step(text: str) -> None:
    console.print(f"• {text}", markup=False, highlight=False)


@app.command()
def run(
    configured: Annotated[bool, typer.Option("--configured", help="Your config/accounts.yml instead of the demo estate.")] = False,
) -> None:
    """Everything, in order: demo files (or your exports) → bronze → FOCUS → marts → forecast, anomalies → report."""
    from costlake import vertical

    settings, clock = Settings.load(), SystemClock()
    with _reported("run") as record:
        if not configured:
            settings = vertical.write_demo_estate(settings, clock, settings.home / "demo", _step)
        result = vertical.run(settings, clock, _step)
        loaded = {ingested.export_id: ingested.loaded for ingested in result.ingested if ingested.loaded}
        record.detail.update({"loaded": loaded} if loaded else {})
    _print_result(result)
    refused = [error for ingested in result.ingested for error in ingested.refused]
    for error in (*refused, *result.held_rates):
        _print_error(error)
    if refused or result.held_rates:
        raise typer.Exit(FATAL)


@app.command()
def demo(
    root: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    last_month: Annotated[str, typer.Option(help="YYYY-MM")] = "2026-10",
    months: Annotated[int, typer.Option()] = 13,
    delivery: Annotated[int, typer.Option(help="2 delivers one closed month again.")] = 1,
) -> None:
    """Write the demo estate: AWS, OpenAI and Anthropic files in the vendors' real layouts."""
    from ingest.demo import write_demo

    with _reported("demo"):
        estate = write_demo(root, seed=seed, last_month=last_month, months=months, delivery=delivery, progress=_step)
    console.print(f"written below {estate.root}")


@app.command()
def ingest(
    what: Annotated[list[str] | None, typer.Argument(help="Export ids, or files, folders, URLs of files. Nothing: all exports.")] = None,
    source: Annotated[str | None, typer.Option(help="The files' source, when they are not recognised.")] = None,
    as_id: Annotated[str | None, typer.Option("--as", help="The export id that files are loaded under.")] = None,
    accept: Annotated[list[str] | None, typer.Option(help="Delivery ids to load though they shrank.")] = None,
    accept_partial: Annotated[bool, typer.Option(help="Load a page whose successors are missing.")] = False,
    credential: Annotated[str | None, typer.Option(help="Reference to what opens a URL's store: env:PREFIX, file:/path.")] = None,
) -> None:
    """Provider files → landing → bronze. A delivery that is there already is left alone."""
    from ingest import load

    settings, clock, accepted = Settings.load(), SystemClock(), accept or []
    names = what or []
    paths = [name if "://" in name else Path(name) for name in names if "://" in name or Path(name).exists()]
    ids = [name for name in names if not ("://" in name or Path(name).exists())]
    results: list[load.IngestResult] = []
    with _reported("ingest") as record:
        for path in paths:
            results.append(
                load.ingest_file(
                    settings,
                    path,
                    clock,
                    source_name=source,
                    export_id=as_id,
                    credential=credential,
                    accept_partial=accept_partial,
                    accept=accepted,
                )
            )
        if ids or not paths:
            results += load.ingest_exports(settings, ids, clock, accept=accepted)
        changed = {each.export_id: each.loaded for each in results if each.loaded}
        record.detail.update({"loaded": changed} if changed else {})
    refused = 0
    for result in results:
        console.print(
            f"{result.export_id}: {len(result.loaded)} loaded ({result.row_count} rows), {result.unchanged} unchanged, "
            f"{len(result.refused)} refused",
            highlight=False,
        )
        refused += len(result.refused)
        for error in result.refused:
            _print_error(error)
    if refused:
        only_retryable = all(isinstance(error, RetryableError) for result in results for error in result.refused)
        raise typer.Exit(TRY_AGAIN if only_retryable else FATAL)


@app.command()
def rates(
    relock: Annotated[list[str] | None, typer.Option(help="YYYY-MM: take this locked month's rates anew, as a restatement.")] = None,
) -> None:
    """Exchange rates into the reporting currency, per month and currency billed; locked when the month is over."""
    from costlake import rates as room

    with _reported("rates") as record:
        result = room.run(Settings.load(), SystemClock(), relock or [])
        changed = [f"{rate.month} {rate.from_currency} {rate.rate} {rate.to_currency}" for rate in result.written]
        record.detail.update({"rates": changed} if changed else {})
    restated = sum(rate.restated_rate is not None for rate in result.written)
    console.print(f"{len(result.written)} rates written, {restated} of them restate a locked one")
    for month, currency in result.missing:
        console.print(f"  {month} {currency}: no rate; amounts stay empty until config/currency.yml overrides it", highlight=False)
    for error in result.held:
        _print_error(error)
    if result.held:
        raise typer.Exit(FATAL)


@app.command()
def transform(
    layer: Annotated[str, typer.Argument(help="focus, marts or all")] = "all",
    full_refresh: Annotated[bool, typer.Option(help="Rebuild every slice.")] = False,
) -> None:
    """Bronze → FOCUS 1.4 → marts: dbt builds the slices that changed."""
    from costlake import transform as room

    if layer not in ("focus", "marts", "all"):
        raise typer.BadParameter("focus, marts or all")
    with _reported("transform") as record:
        for result in room.run(Settings.load(), layer, full_refresh):  # type: ignore[arg-type]
            console.print(f"{result.layer}: {len(result.changed)} slices rebuilt, {len(result.dead)} removed")
            if result.changed or result.dead:
                record.detail[result.layer] = [str(slice_) for slice_ in (*result.changed, *result.dead)]


@app.command()
def quality(layer: Annotated[str, typer.Argument(help="bronze or marts")]) -> None:
    """Great Expectations on bronze or on the marts; every result goes into ops.quality_results."""
    from quality import checks

    if layer not in ("bronze", "marts"):
        raise typer.BadParameter("bronze or marts")
    with _reported("quality"):
        results = checks.run(Settings.load(), layer, SystemClock())  # type: ignore[arg-type]
    warned = sum(not result.success for result in results)
    console.print(f"{len(results)} expectations, {warned} warnings")


@app.command()
def reconcile() -> None:
    """Bill = bronze = FOCUS = marts, per source and billing period, exactly."""
    from quality import reconcile as room

    with _reported("reconcile"):
        rows = room.run(Settings.load(), SystemClock())
    _print_reconciliation(rows)


@app.command()
def publish() -> None:
    """FOCUS and marts → Delta tables and the DuckDB file for BI tools (run reconcile first)."""
    from costlake import publish as room

    with _reported("publish") as record:
        result = room.run(Settings.load(), SystemClock())
        record.detail.update(result.versions)
    for name, version in result.versions.items():
        console.print(f"{name}: version {version}", highlight=False)
    console.print(f"BI file: {result.serving}", highlight=False)


@app.command()
def insights() -> None:
    """Forecast and anomalies from the published marts."""
    from costlake import publish as publishing
    from insights import anomalies, forecast

    settings = Settings.load()
    with _reported("insights") as record:
        made = forecast.run(settings)
        found = anomalies.run(settings)
        publishing.serve(settings)
        record.detail.update({"forecast": made.written} if made.written else {})
    reached = f"as of {made.as_of}" if made.as_of else "no provider has a complete day yet"
    console.print(f"forecast ({reached}): {len(made.outlooks)} series; anomalies: {len(found.messages)}", highlight=False)
    for message in found.messages:
        console.print(f"  {message}", highlight=False, markup=False)


@app.command()
def report(period: Annotated[str | None, typer.Option(help="YYYY-MM; default: the latest.")] = None) -> None:
    """The finance report as HTML and XLSX, and the quality page."""
    from insights.reports import finance
    from quality import page

    settings = Settings.load()
    with _reported("report"):
        built = finance.build(settings, period)
        quality_page = page.build(settings)
    for path in (built.html, built.xlsx, quality_page):
        console.print(str(path), highlight=False, soft_wrap=True)


@app.command()
def maintain(retention_days: Annotated[int, typer.Option(help="How long replaced files stay.")] = 400) -> None:
    """Small files merged, checkpoints, vacuum, left-overs of killed writers."""
    from costlake import maintain as room

    with _reported("maintain") as record:
        result = room.run(Settings.load(), SystemClock(), retention_days)
        record.detail.update(result.vacuumed)
    merged, vacuumed = sum(result.merged.values()), sum(result.vacuumed.values())
    console.print(f"{merged} small files merged, {vacuumed} files vacuumed, {result.swept} left-overs removed")


@app.command()
def deliveries(export: Annotated[str | None, typer.Argument(help="Export id; default: all.")] = None) -> None:
    """The delivery ledger, newest first."""
    lake = Lake(Settings.load())
    with _reported("deliveries"):
        _require_ledger(lake)
        connection = lake.connect()
        rows = connection.execute(
            "SELECT recorded_at, status, source_id, billing_period, currency, row_count, control_total, delivery_id, "
            "coalesce(error_type, superseded_by, '') FROM ops.deliveries WHERE $export IS NULL OR source_id = $export "
            "ORDER BY recorded_at DESC, source_id, billing_period LIMIT 200",
            {"export": export},
        ).fetchall()
    connection.close()
    table = Table("recorded", "status", "export", "period", "currency", "rows", "billed", "delivery", "note")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(table)


@app.command()
def sources() -> None:
    """What can be read."""
    from ingest.source import all_sources

    table = Table("source", "what", "formats", "feeds")
    for source in all_sources().values():
        table.add_row(source.name, source.title, source.formats, source.feeds)
    console.print(table)


@config_app.command("check")
def config_check() -> None:
    """Validate config/accounts.yml, config/currency.yml and config/prices/models.yml."""
    from costlake.config import load_currency, load_known_models
    from ingest.load import configured_exports
    from ingest.source import source_named

    settings = Settings.load()
    with _reported("config check"):
        for export in configured_exports(settings):
            source_named(export.source)
            console.print(f"{export.id}: {export.source} at {export.location}", highlight=False, soft_wrap=True)
        load_known_models(settings.config_dir / "prices" / "models.yml")
        load_currency(settings.config_dir / "currency.yml")


def main() -> None:
    """Entry point of the console script."""
    # Third-party chatter that says nothing about costs; our own messages go through rich.
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    logging.getLogger("prophet.plot").disabled = True
    logging.getLogger("cmdstanpy").disabled = True
    app()


def _require_ledger(lake: Lake) -> None:
    if not lake.exists("ops", "deliveries"):
        raise LakeError(
            "no delivery was ever ingested", where="ops.deliveries", expected="a ledger", next_step="run `costlake ingest` first"
        )


def _print_result(result: VerticalResult) -> None:
    console.print()
    console.print("What AI infrastructure cost", style="bold")
    for provider, currency, months, first, last, billed, effective in result.totals:
        console.print(
            f"  {provider:<16} {months:>3} months  {first} … {last}  "
            f"billed {billed:>16,.2f} {currency}  effective {effective:>16,.2f} {currency}",
            highlight=False,
            soft_wrap=True,
        )
    _print_reconciliation(result.reconciliations)
    if result.anomalies:
        console.print("Anomalies", style="bold")
    for message in result.anomalies:
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


def _print_reconciliation(rows: list[Reconciliation]) -> None:
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


if __name__ == "__main__":
    main()
