"""`costlake telemetry`: GPU telemetry from Kafka into the lake.

Data flow: options → `streams.*`, in the same functions that tests and other programs call.
Run alone: costlake telemetry --help
"""

from __future__ import annotations

import logging
import signal
import threading
from typing import Annotated

import typer
from rich.table import Table

from costlake.console import console, reported
from costlake.delta import Lake
from costlake.periods import SystemClock
from costlake.settings import Settings

telemetry_app = typer.Typer(no_args_is_help=True, help="GPU telemetry: from Kafka into the lake.")


@telemetry_app.command()
def consume(
    once: Annotated[bool, typer.Option("--once", help="Stop when all that the topic holds is in the table.")] = False,
    seconds: Annotated[float, typer.Option(help="Commit at the latest when the first record of a batch is that old.")] = 5.0,
    metrics_port: Annotated[int, typer.Option(help="Serve Prometheus' metrics on this port; 0: do not.")] = 0,
    metrics_address: Annotated[str, typer.Option(help="Address for --metrics-port.")] = "127.0.0.1",
) -> None:
    """Kafka → bronze.gpu_telemetry, exactly once; SIGTERM commits what was read and stops."""
    from streams.consumer import Batching, Consumer
    from streams.metrics import ConsumerMetrics
    from streams.sink import Sink

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings, clock, stop, metrics = Settings.load(), SystemClock(), threading.Event(), ConsumerMetrics()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if metrics_port:
        from prometheus_client import start_http_server

        start_http_server(metrics_port, metrics_address, metrics.registry)
    with reported("telemetry consume") as record:
        consumer = Consumer(settings, Sink(Lake(settings), clock), metrics, Batching(seconds=seconds))
        totals = consumer.run(stop, once=once)
        record.detail.update({"rows": totals.rows, "dead_letters": totals.dead_letters} if totals.commits else {})
    console.print(
        f"{totals.messages} messages, {totals.rows} rows in {totals.commits} commits, {totals.dead_letters} dead letters, "
        f"{totals.refused} commits refused",
        highlight=False,
    )


@telemetry_app.command("dead-letters")
def dead_letters(limit: Annotated[int, typer.Option(help="How many, the newest first.")] = 50) -> None:
    """Messages that could not be used, and gaps in the topic."""
    from streams.tables import GPU_DEAD_LETTERS

    lake = Lake(Settings.load())
    with reported("telemetry dead-letters"):
        scan = lake.scan_sql(GPU_DEAD_LETTERS.layer, GPU_DEAD_LETTERS.name, GPU_DEAD_LETTERS)
        connection = lake.connect()
        rows = connection.execute(
            f'SELECT recorded_at, topic, "partition", "offset", step, error_type, octet_length(payload), split_part(error, chr(10), 1) '
            f"FROM ({scan}) ORDER BY recorded_at DESC LIMIT {int(limit)}"
        ).fetchall()
        connection.close()
    table = Table("recorded", "topic", "partition", "offset", "step", "error", "bytes", "what")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(table)
