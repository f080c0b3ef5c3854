"""What all commands of the command line share: output, exit status, the record of a run.

Data flow: a command's body → `ops.runs`; its deliberate errors → text on stderr and an exit status.
Run alone: costlake --help
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from costlake.delta import Lake
from costlake.errors import CostlakeError, RetryableError
from costlake.periods import SystemClock
from costlake.runs import RunRecord, recorded_run
from costlake.settings import Settings

console = Console()
errors = Console(stderr=True)

FATAL, TRY_AGAIN = 1, 75


@contextmanager
def reported(command: str) -> Iterator[RunRecord]:
    """Deliberate errors as text and exit status; anything else is a bug and keeps its traceback.

    The command puts what it changed into the record's `detail`, which then goes to `ops.runs`, as every failure does.
    """
    try:
        with recorded_run(Lake(Settings.load()), command, SystemClock()) as record:
            yield record
    except CostlakeError as error:
        print_error(error)
        raise typer.Exit(TRY_AGAIN if isinstance(error, RetryableError) else FATAL) from error


def print_error(error: CostlakeError) -> None:
    """An error with its notes, in red on stderr."""
    errors.print(f"{type(error).__name__}: {error}", style="red", markup=False, highlight=False)
    for note in getattr(error, "__notes__", ()):
        errors.print(f"  {note}", style="red", markup=False, highlight=False)


def step(text: str) -> None:
    """A line of progress."""
    console.print(f"• {text}", markup=False, highlight=False)
