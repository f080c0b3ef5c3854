"""The `costlake` command: one command per function, the same functions that the Airflow tasks call.

Exit status: 0 done; 1 refused or failed for good (somebody has to act); 75 failed for now (try again), as sysexits says.
Run alone: costlake --help
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from costlake.cli_llm import app as llm_app
from costlake.cli_telemetry import telemetry_app
from costlake.console import FATAL, TRY_AGAIN, console, print_error, reported, step
from costlake.delta import Lake
from costlake.errors import LakeError, RetryableError
from costlake.periods import SystemClock
from costlake.settings import Settings
from costlake.summary import print_reconciliation, print_result

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0])
config_app = typer.Typer(no_args_is_help=True, help="The files of config/.")
app.add_typer(config_app, name="config")
app.add_typer(llm_app)
app.add_typer(telemetry_app, name="telemetry")


@app.command()
def run(
    configured: Annotated[bool, typer.Option("--configured", help="Your config/accounts.yml instead of the demo estate.")] = False,
) -> None:
    """Everything, in order: demo files (or your exports) → bronze → FOCUS → marts → forecast, anomalies → report."""
    from costlake import vertical

    settings, clock = Settings.load(), SystemClock()
    with reported("run") as record:
        if not configured:
            settings = vertical.write_demo_estate(settings, clock, settings.home / "demo", step)
            vertical.stream_demo_telemetry(settings, clock, step)
        result = vertical.run(settings, clock, step)
        loaded = {ingested.export_id: ingested.loaded for ingested in result.ingested if ingested.loaded}
        record.detail.update({"loaded": loaded} if loaded else {})
    print_result(result)
    refused = [error for ingested in result.ingested for error in ingested.refused]
    held = [*result.held_rates, *result.held_prices]
    refused += [error for pulled in result.pulled for error in pulled.failed]
    for error in (*refused, *held):
        print_error(error)
    if refused or held:
        raise typer.Exit(FATAL)


@app.command()
def demo(
    root: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    last_month: Annotated[str, typer.Option(help="YYYY-MM")] = "2026-10",
    months: Annotated[int, typer.Option()] = 13,
    delivery: Annotated[int, typer.Option(help="2 delivers one closed month again.")] = 1,
) -> None:
    """Write the demo estate: bills of seven vendors and LLM usage in the vendors' real layouts."""
    from ingest.demo import write_demo

    with reported("demo"):
        estate = write_demo(root, seed=seed, last_month=last_month, months=months, delivery=delivery, progress=step)
    console.print(f"written below {estate.root}")


@app.command()
def ingest(
    what: Annotated[list[str] | None, typer.Argument(help="Export ids, or files, folders, URLs of files. Nothing: all exports.")] = None,
    source: Annotated[str | None, typer.Option(help="The files' source, when they are not recognised.")] = None,
    as_id: Annotated[str | None, typer.Option("--as", help="The export id that files are loaded under.")] = None,
    accept: Annotated[list[str] | None, typer.Option(help="Delivery ids to load though they shrank.")] = None,
    accept_partial: Annotated[bool, typer.Option(help="Load a page whose successors are missing.")] = False,
    parts: Annotated[bool, typer.Option("--parts", help="The files are the parts of one delivery.")] = False,
    credential: Annotated[str | None, typer.Option(help="Reference to what opens a URL's store: env:PREFIX, file:/path.")] = None,
) -> None:
    """Provider files → landing → bronze. A delivery that is there already is left alone."""
    from ingest import load

    settings, clock, accepted = Settings.load(), SystemClock(), accept or []
    names = what or []
    paths = [name if "://" in name else Path(name) for name in names if "://" in name or Path(name).exists()]
    ids = [name for name in names if not ("://" in name or Path(name).exists())]
    results: list[load.IngestResult] = []
    with reported("ingest") as record:
        for path in paths[: 1 if parts else None]:
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
                    parts=paths[1:] if parts else (),
                    beside=[delivery_id for each in results for delivery_id in each.present],
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
            f"{len(result.refused)} refused" + (f", {len(result.replaced)} earlier replaced" if result.replaced else ""),
            highlight=False,
        )
        refused += len(result.refused)
        for error in result.refused:
            print_error(error)
    if refused:
        only_retryable = all(isinstance(error, RetryableError) for result in results for error in result.refused)
        raise typer.Exit(TRY_AGAIN if only_retryable else FATAL)


@app.command()
def rates(
    relock: Annotated[list[str] | None, typer.Option(help="YYYY-MM: take this locked month's rates anew, as a restatement.")] = None,
) -> None:
    """Exchange rates into the reporting currency, per month and currency billed; locked when the month is over."""
    from costlake import rates as room

    with reported("rates") as record:
        result = room.run(Settings.load(), SystemClock(), relock or [])
        changed = [f"{rate.month} {rate.from_currency} {rate.rate} {rate.to_currency}" for rate in result.written]
        record.detail.update({"rates": changed} if changed else {})
    restated = sum(rate.restated_rate is not None for rate in result.written)
    console.print(f"{len(result.written)} rates written, {restated} of them restate a locked one")
    for month, currency in result.missing:
        console.print(f"  {month} {currency}: no rate; amounts stay empty until config/currency.yml overrides it", highlight=False)
    for error in result.held:
        print_error(error)
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
    with reported("transform") as record:
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
    with reported("quality"):
        results = checks.run(Settings.load(), layer, SystemClock())  # type: ignore[arg-type]
    warned = sum(not result.success for result in results)
    console.print(f"{len(results)} expectations, {warned} warnings")


@app.command()
def reconcile() -> None:
    """Bill = bronze = FOCUS = marts, per source and billing period, exactly."""
    from quality import reconcile as room

    with reported("reconcile"):
        rows = room.run(Settings.load(), SystemClock())
    print_reconciliation(rows)


@app.command()
def publish() -> None:
    """FOCUS and marts → Delta tables and the DuckDB file for BI tools (run reconcile first)."""
    from costlake import publish as room

    with reported("publish") as record:
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
    with reported("insights") as record:
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
    with reported("report"):
        built = finance.build(settings, period)
        quality_page = page.build(settings)
    for path in (built.html, built.xlsx, quality_page):
        console.print(str(path), highlight=False, soft_wrap=True)


@app.command()
def maintain(
    retention_days: Annotated[int, typer.Option(min=1, help="How long replaced files stay.")] = 400,
    table: Annotated[list[str] | None, typer.Option(help="layer.name; nothing: all tables.")] = None,
) -> None:
    """Small files merged, checkpoints, vacuum, left-overs of killed writers."""
    from costlake import maintain as room

    with reported("maintain") as record:
        result = room.run(Settings.load(), SystemClock(), retention_days, table or ())
        record.detail.update(result.vacuumed)
    merged, vacuumed = sum(result.merged.values()), sum(result.vacuumed.values())
    console.print(f"{merged} small files merged, {vacuumed} files vacuumed, {result.swept} left-overs removed")


@app.command()
def deliveries(export: Annotated[str | None, typer.Argument(help="Export id; default: all.")] = None) -> None:
    """The delivery ledger, newest first."""
    lake = Lake(Settings.load())
    with reported("deliveries"):
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
    """Validate config/accounts.yml, config/currency.yml, config/prices/*.yml and the price rules."""
    from costlake.config import load_currency, load_known_models
    from costlake.gpu_config import load_gpu_hours
    from costlake.pricerules import load_overrides, load_rules
    from ingest.load import configured_exports
    from ingest.pull.apis import asked
    from ingest.source import source_named

    settings = Settings.load()
    with reported("config check"):
        for export in configured_exports(settings):
            source_named(export.source)
            if export.pull is not None:
                asked(export, export.pull)
            console.print(f"{export.id}: {export.source} at {export.location}", highlight=False, soft_wrap=True)
        load_known_models(settings.config_dir / "prices" / "models.yml")
        load_currency(settings.config_dir / "currency.yml")
        load_overrides(settings.config_dir)
        load_rules(settings)
        load_gpu_hours(settings.config_dir)


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


if __name__ == "__main__":
    main()
