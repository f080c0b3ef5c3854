"""`costlake telemetry`: commands about GPUs and their telemetry.

Data flow: config/prices/gpu_hours.yml → `ops.gpu_rates`; `bronze.gpu_telemetry` → `insights.idle_gpus`.
Run alone: costlake telemetry --help
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from costlake.console import FATAL, console, print_error, reported
from costlake.periods import SystemClock
from costlake.settings import Settings

telemetry_app = typer.Typer(no_args_is_help=True, help="GPUs: telemetry, owned hardware's rates, forgotten GPUs.")


@telemetry_app.command("rates")
def rates(
    restate: Annotated[list[str] | None, typer.Option(help="Id of a rate whose reported days may change.")] = None,
) -> None:
    """Hourly rates of owned accelerators: config/prices/gpu_hours.yml → ops.gpu_rates."""
    from costlake import gpu_rates

    with reported("telemetry rates") as record:
        result = gpu_rates.run(Settings.load(), SystemClock(), restate or [])
        changed = [f"{rate.rate_id} {rate.valid_from} {rate.hourly_rate:f} {rate.currency}" for rate in result.written]
        record.detail.update({"gpu_rates": changed} if changed else {})
    console.print(f"{len(result.written)} rates written")
    for rate in result.written:
        state = f"{rate.hourly_rate:f} {rate.currency} an hour" if rate.active else "no longer in the file"
        console.print(f"  {rate.rate_id} from {rate.valid_from}: {state}", highlight=False)
    for error in result.held:
        print_error(error)
    if result.held:
        raise typer.Exit(FATAL)


@telemetry_app.command("idle")
def idle(
    as_of: Annotated[dt.datetime | None, typer.Option(help="UTC instant; default: the newest sample.")] = None,
) -> None:
    """GPUs that do nothing, from the stream's table: with $/day and owner."""
    from insights import idle_gpus

    moment = as_of.replace(tzinfo=dt.UTC) if as_of is not None else None
    with reported("telemetry idle") as record:
        found = idle_gpus.run(Settings.load(), moment)
        record.detail.update({"idle_gpus": len(found.findings)} if found.written else {})
    console.print(
        f"{len(found.findings)} idle GPUs ({'no telemetry yet' if found.as_of is None else f'as of {found.as_of:%Y-%m-%d %H:%M}'})"
    )
    for message in found.messages:
        console.print(f"  {message}", highlight=False, markup=False)
