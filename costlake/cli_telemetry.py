"""`costlake telemetry`: GPU telemetry to Kafka, and from Kafka into the lake.

Data flow: options → `streams.collector`, `streams.simulator`, `streams.samplefiles` → Kafka (COSTLAKE_KAFKA_… say where) →
`streams.consumer` → the lake. What sends needs no lake: a collector runs on GPU hosts that have none, so its failures go to stderr and the
exit status, not into `ops.runs`.
Run alone: costlake telemetry --help
"""

from __future__ import annotations

import datetime as dt
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from costlake.console import FATAL, TRY_AGAIN, console, print_error, reported
from costlake.delta import Lake
from costlake.errors import BrokerUnavailable, ConfigError, CostlakeError, RetryableError
from costlake.periods import SystemClock
from costlake.settings import Settings

if TYPE_CHECKING:
    from streams.collector import Collector
    from streams.delivery import Sender
    from streams.events import HostTelemetry

telemetry_app = typer.Typer(no_args_is_help=True, help="GPU telemetry: to Kafka, and from Kafka into the lake.")

_GRACE_SECONDS = 20.0


@telemetry_app.command()
def collect(
    cluster: Annotated[str, typer.Option(help="Your name of the cluster.")] = "default",
    source: Annotated[str, typer.Option(help="nvml, dcgm, amd, tpu, neuron, or a mapping like streams/mappings/*.yml.")] = "nvml",
    url: Annotated[str | None, typer.Option(help="Where the exporter answers, or the path of a file in Prometheus' format.")] = None,
    host: Annotated[str | None, typer.Option(help="Name of this node; default: the host name.")] = None,
    resource_id: Annotated[str | None, typer.Option(help="The machine's id on the bill; found by itself on EC2.")] = None,
    interval: Annotated[float, typer.Option(help="Seconds of an interval: one message each.")] = 30.0,
    sample_every: Annotated[float | None, typer.Option(help="Seconds between looks within an interval; default: 1 for nvml.")] = None,
    pods_mapped: Annotated[bool | None, typer.Option(help="The exporter names the pods that hold accelerators.")] = None,
    spool: Annotated[Path, typer.Option(help="Folder on a local disk for messages that wait for the broker.")] = Path("spool"),
    spool_limit_mb: Annotated[int, typer.Option(min=1, help="Bound of that folder.")] = 512,
    metrics_port: Annotated[int | None, typer.Option(help="Serve Prometheus metrics of the collector here.")] = None,
    once: Annotated[bool, typer.Option("--once", help="One interval, deliver it, end.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Print messages instead of sending them.")] = False,
) -> None:
    """Measure this host's accelerators and send a message per interval to Kafka, over a spool on disk."""
    from prometheus_client import CollectorRegistry, start_http_server

    from streams import collector as room
    from streams import sources
    from streams.delivery import DeliveryMetrics, Forwarder, Sender
    from streams.events import encode
    from streams.spool import Spool

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("kafka").propagate = False  # a line per try; streams.delivery says once what is the matter
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per scrape
    settings, clock, registry = Settings.load(), SystemClock(), CollectorRegistry()
    length = dt.timedelta(seconds=interval)
    looks = max(1, round(interval / (sample_every or (1.0 if source == "nvml" else interval))))
    place = room.Place(cluster, host or socket.gethostname(), resource_id or sources.machine_resource_id())
    with _told():
        measured = sources.judged(sources.source_named(source, url, clock, length, pods_mapped))
        metrics = room.CollectorMetrics(registry)
        stop = _stopped_by_signals()
        if metrics_port is not None:
            try:
                start_http_server(metrics_port, registry=registry)
            except OSError as error:
                raise ConfigError(
                    f"the metrics cannot be served ({error})",
                    where=f"port {metrics_port}",
                    expected="a port that nobody uses",
                    next_step="choose another --metrics-port",
                ) from error
        if show:

            def put(message: HostTelemetry) -> None:
                typer.echo(encode(message).decode())

            _run(room.Collector(measured, place, length, clock, put, metrics, looks), stop, once)
            return
        buffer = Spool(spool, spool_limit_mb << 20)
        sender = Sender(Forwarder(buffer, settings, DeliveryMetrics(registry)))
        sender.start()
        take = room.into_spool(buffer, sender)
        try:
            _run(room.Collector(measured, place, length, clock, take, metrics, looks), stop, once, sender)
        finally:
            sender.finish(_GRACE_SECONDS)
            waiting = buffer.waiting
            measured.close()
        if waiting:
            console.print(f"{waiting} messages wait in {spool} for the next start", highlight=False, soft_wrap=True)
        if once and waiting:
            raise sender.last_error or BrokerUnavailable(
                "the broker has not acknowledged the message yet",
                where=settings.kafka_bootstrap,
                expected=f"an answer within {_GRACE_SECONDS} seconds",
                next_step="run again: the message waits in the spool",
            )


@telemetry_app.command()
def simulate(
    gpus: Annotated[int, typer.Option(help="Size of the fleet, 1 to 100,000.")] = 16,
    seconds: Annotated[float, typer.Option(help="How much simulated time to send.")] = 60.0,
    interval: Annotated[float | None, typer.Option(min=0.1, help="Seconds of an interval; default: 1, for the demo 3600.")] = None,
    start: Annotated[str | None, typer.Option(help="First instant, ISO 8601 in UTC; default: now.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same fleet and the same series.")] = 7,
    demo_days: Annotated[int | None, typer.Option(min=1, help="Instead: the demo estate's GPU machines, its last days.")] = None,
    as_fast: Annotated[bool, typer.Option("--as-fast", help="Do not wait for the time to pass.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Print messages instead of sending them.")] = False,
) -> None:
    """Send the telemetry of a simulated fleet to Kafka; the last line says how much was sent."""
    from streams import simulator as room
    from streams.events import encode
    from streams.fleet import build_fleet

    settings, clock, step = Settings.load(), SystemClock(), interval or 1.0
    messages = gpu_samples = 0
    started = clock.now()
    with _told():
        if demo_days is not None:
            from costlake.demo_telemetry import demo_telemetry

            ticks: Iterable[Iterable[HostTelemetry]] = [demo_telemetry(demo_days, seed=seed, sample_seconds=interval or 3_600.0)]
        else:
            first = _instant(start) if start is not None else started
            ticks = room.ticks(build_fleet(seed, gpus), first, step, round(seconds / step))
        with _sent_to(settings, show) as send:
            for number, tick in enumerate(ticks, 1):
                for message in tick:
                    send(message.key, encode(message))
                    messages += 1
                    gpu_samples += len(message.gpus)
                if not as_fast and demo_days is None:
                    time.sleep(max(0.0, number * step - (clock.now() - started).total_seconds()))
    if not show:
        took = (clock.now() - started).total_seconds()
        console.print(f"{messages} messages, {gpu_samples} samples in {took:.1f} s", highlight=False)


@telemetry_app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(help="CSV (also gzipped), Parquet, or a JSON object per line.")],
    mapping: Annotated[Path, typer.Option(help="What their columns mean: a YAML file as in streams/mappings/, with `time`.")],
    cluster: Annotated[str, typer.Option(help="Your name of the cluster.")] = "default",
    host: Annotated[str, typer.Option(help="The node, where the files name none.")] = "unknown",
    resource_id: Annotated[str | None, typer.Option(help="The machine's id on the bill.")] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds that a sample stands for, at most.")] = 30.0,
    show: Annotated[bool, typer.Option("--print", help="Print messages instead of sending them.")] = False,
) -> None:
    """Send files of samples that something else recorded; the same files make the same messages, with the same event ids."""
    from streams.collector import Place
    from streams.events import encode
    from streams.mapping import load_mapping
    from streams.samplefiles import messages

    count, settings = 0, Settings.load()
    with _told():
        told = messages(files, load_mapping(mapping), Place(cluster, host, resource_id), dt.timedelta(seconds=interval))
        with _sent_to(settings, show) as send:
            for message in told:
                send(message.key, encode(message))
                count += 1
    if not show:
        console.print(f"{count} messages", highlight=False)


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
    settings, clock, stop, metrics = Settings.load(), SystemClock(), _stopped_by_signals(), ConsumerMetrics()
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


@telemetry_app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, help="How many of the estate's last days.")] = 7,
    seed: Annotated[int, typer.Option(help="As of the demo estate.")] = 7,
    last_month: Annotated[str, typer.Option(help="As of the demo estate, YYYY-MM.")] = "2026-10",
) -> None:
    """The demo estate's GPU machines through a small broker into the lake; a second run writes nothing."""
    from costlake.demo_telemetry import stream_demo

    with reported("telemetry demo") as record:
        done = stream_demo(Settings.load(), SystemClock(), days, seed=seed, last_month=last_month)
        record.detail.update({"rows": done.rows} if done.rows else {})
    console.print(f"{done.messages} messages sent, {done.rows} rows written", highlight=False)


@contextmanager
def _sent_to(settings: Settings, show: bool) -> Iterator[Callable[[bytes, bytes], None]]:
    """A function that sends a message, or prints it."""
    from streams.delivery import sending

    if show:
        yield lambda _, value: typer.echo(value.decode())
        return
    with sending(settings) as send:
        yield send


def _instant(text: str) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no instant in ISO 8601") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def _run(collector: Collector, stop: threading.Event, once: bool, sender: Sender | None = None) -> None:
    from streams.collector import still_sending
    from streams.readings import SourceUnavailable

    if not once:
        collector.run(stop, still_sending(sender) if sender is not None else lambda: None)
    elif not collector.one(stop.wait):
        raise SourceUnavailable(
            "nothing was measured in this interval",
            where=collector.source.name,
            expected="at least one accelerator",
            next_step="see the lines above; without --once the collector goes on trying",
        )


def _stopped_by_signals() -> threading.Event:
    """Set by SIGTERM and SIGINT: the running interval is left out, what waits is sent."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


@contextmanager
def _told() -> Iterator[None]:
    """As `console.reported`, without a lake to record into."""
    try:
        yield
    except CostlakeError as error:
        print_error(error)
        raise typer.Exit(TRY_AGAIN if isinstance(error, RetryableError) else FATAL) from error
