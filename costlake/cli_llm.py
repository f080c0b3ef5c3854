"""Commands about LLM prices: the price book, and what one usage body costs. They stand beside the others: `costlake prices`.

Data flow: config/prices, public price lists → `ops.price_book`; its outcome as text.
Run alone: costlake prices --help
"""

from __future__ import annotations

from typing import Annotated

import typer

from costlake.console import FATAL, console, print_error, reported
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
