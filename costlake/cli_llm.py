"""Commands about LLM providers and prices: pulls, the price book, what one usage body costs. They stand beside the others: `costlake pull`.

Data flow: config/accounts.yml (`pull:`) → a provider's API → pages below the export's location;
config/prices, public price lists → `ops.price_book`; a response body → its cost; all as text.
Run alone: costlake prices --help
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from costlake.console import FATAL, TRY_AGAIN, console, print_error, reported, step
from costlake.errors import RetryableError, UnreadableFile
from costlake.periods import SystemClock
from costlake.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command()
def prices(
    restate: Annotated[list[str] | None, typer.Option(help="YYYY-MM: price this month's days anew, as a restatement.")] = None,
) -> None:
    """The dated price book of all models used; a price learnt later never changes a day that was priced."""
    from costlake import prices as room

    with reported("prices") as record:
        result = room.run(Settings.load(), SystemClock(), restate or [])
        record.detail.update({"prices": len(result.written), "restated": len(result.restated)} if result.written else {})
    console.print(f"{len(result.written)} prices written, {len(result.restated)} of them restate days that were priced")
    if result.held:
        console.print(f"{len(result.held)} prices are held: the lists give others for days that were priced (--restate follows them)")
    for provider, model in result.unknown:
        console.print(f"  {provider} {model}: no price; its cost stays empty until config/prices/llm.yml gives one", highlight=False)
    for error in result.refused:
        print_error(error)
    if result.refused:
        raise typer.Exit(FATAL)


@app.command("price-usage")
def price_usage(
    file: Annotated[Path, typer.Argument(help="A model's response (JSON) with its usage object.")],
    provider: Annotated[str, typer.Option(help="Whose API it was: openai, anthropic, google, aws, mistral, …")],
    model: Annotated[str | None, typer.Option(help="The model, where the response names none.")] = None,
    api: Annotated[str | None, typer.Option(help="anthropic, responses, chat, embeddings, gemini, bedrock or cohere.")] = None,
    date: Annotated[str | None, typer.Option(help="YYYY-MM-DD, the UTC day of the request; default: today.")] = None,
    time: Annotated[str | None, typer.Option(help="HH:MM, its UTC time, for prices that depend on it (DeepSeek's).")] = None,
) -> None:
    """What one response cost by the price book: disjoint token classes, their prices, the sum."""
    from costlake.prices import listing_in_force
    from ingest.usage_bodies import priced, read_usage

    with reported("price-usage"):
        try:
            body = json.loads(file.read_text(encoding="utf-8"))
            day = dt.date.fromisoformat(date) if date else SystemClock().now().date()
            at = dt.time.fromisoformat(time) if time else None
        except (OSError, ValueError) as error:
            raise UnreadableFile(
                f"cannot be read: {error}",
                where=str(file),
                expected="a JSON object, a date as YYYY-MM-DD and a time as HH:MM",
                next_step="correct the argument",
            ) from error
        usage = read_usage(body, provider, api)
        name = model or usage.model
        result = priced(usage, listing_in_force(Settings.load(), provider, name) if name else None, provider, day, at)
    table = Table("class", "tokens", "USD per million", "USD", "reason")
    for line in result.lines:
        cells = (line.token_class, line.quantity, line.usd_per_million, line.cost_usd, line.price_reason)
        table.add_row(*("" if cell is None else f"{cell:f}" if isinstance(cell, Decimal) else str(cell) for cell in cells))
    console.print(table)
    total = result.cost()
    known = "not known: a price is missing" if total is None else f"{total.normalize():f} USD"
    console.print(f"{provider} {name} on {day} ({usage.service_tier}): {known}", highlight=False)


@app.command()
def pull(
    exports: Annotated[list[str] | None, typer.Argument(help="Export ids. Nothing: all exports with a pull block.")] = None,
    since: Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Ask again for everything from this UTC day on.")] = None,
) -> None:
    """Usage and cost APIs of LLM providers → pages below the export's location; `costlake ingest` loads them."""
    from ingest.pull import run as room

    with reported("pull") as record:
        first = since.date() if since else None
        results = room.pull_exports(Settings.load(), exports or [], SystemClock(), since=first, progress=step)
        changed = {
            each.export_id: [str(one) for one in each.pulled if one.changed] for each in results if any(o.changed for o in each.pulled)
        }
        record.detail.update({"pulled": changed} if changed else {})
    failed = [error for result in results for error in result.failed]
    for error in failed:
        print_error(error)
    if not results:
        console.print("no export has a pull block (docs/runbooks/pull-from-an-api.md)")
    if failed:
        raise typer.Exit(TRY_AGAIN if all(isinstance(error, RetryableError) for error in failed) else FATAL)
