"""Commands about LLM providers; they stand beside the others: `costlake pull`.

Data flow: config/accounts.yml (`pull:`) → a provider's API → pages below the export's location; the outcome as text.
Run alone: costlake pull --help
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from costlake.console import FATAL, TRY_AGAIN, console, print_error, reported, step
from costlake.errors import RetryableError
from costlake.periods import SystemClock
from costlake.settings import Settings

app = typer.Typer(no_args_is_help=True)


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
