"""Commands about LLM prices: the price book, and what one usage body costs. They stand beside the others: `costlake prices`.

Data flow: config/prices, public price lists → `ops.price_book`; a response body → its cost; both as text.
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

from costlake.console import FATAL, console, print_error, reported
from costlake.errors import UnreadableFile
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
) -> None:
    """What one response cost by the price book: disjoint token classes, their prices, the sum."""
    from costlake.prices import listing_in_force
    from ingest.usage_bodies import priced, read_usage

    with reported("price-usage"):
        try:
            body = json.loads(file.read_text(encoding="utf-8"))
            day = dt.date.fromisoformat(date) if date else SystemClock().now().date()
        except (OSError, ValueError) as error:
            raise UnreadableFile(
                f"cannot be read: {error}",
                where=str(file),
                expected="a JSON object, and a date as YYYY-MM-DD",
                next_step="correct the argument",
            ) from error
        usage = read_usage(body, provider, api)
        name = model or usage.model
        result = priced(usage, listing_in_force(Settings.load(), provider, name) if name else None, provider, day)
    table = Table("class", "tokens", "USD per million", "USD", "reason")
    for line in result.lines:
        cells = (line.token_class, line.quantity, line.usd_per_million, line.cost_usd, line.price_reason)
        table.add_row(*("" if cell is None else f"{cell:f}" if isinstance(cell, Decimal) else str(cell) for cell in cells))
    console.print(table)
    total = result.cost()
    known = "not known: a price is missing" if total is None else f"{total.normalize():f} USD"
    console.print(f"{provider} {name} on {day} ({usage.service_tier}): {known}", highlight=False)
