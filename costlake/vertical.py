"""The whole chain in one process: the same functions as the DAGs call, in the same order.

Data flow: [demo files →] [pull →] ingest → quality bronze → rates → FOCUS → prices → marts → quality marts → reconcile → publish
→ insights → report.
Run alone: costlake run
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from costlake import gpu_rates, prices, publish, rates, transform
from costlake.delta import Lake
from costlake.errors import ConfigError
from costlake.periods import Clock
from costlake.settings import Settings
from ingest.load import IngestResult, configured_exports, ingest_exports
from ingest.pull.run import PullResult, pull_exports
from insights import anomalies, forecast, idle_gpus
from insights.reports import finance
from quality import checks, page, reconcile
from quality.ledger import Reconciliation

Progress = Callable[[str], None]


@dataclass
class VerticalResult:
    """What came out, for the summary that is printed."""

    pulled: list[PullResult] = field(default_factory=list)
    ingested: list[IngestResult] = field(default_factory=list)
    held_rates: list[ConfigError] = field(default_factory=list)
    held_prices: list[ConfigError] = field(default_factory=list)
    reconciliations: list[Reconciliation] = field(default_factory=list)
    totals: list[tuple[object, ...]] = field(default_factory=list)
    anomalies: list[str] = field(default_factory=list)
    idle_gpus: list[str] = field(default_factory=list)
    report: Path | None = None
    workbook: Path | None = None
    quality_page: Path | None = None
    serving: Path | None = None
    seconds: list[tuple[str, float]] = field(default_factory=list)


def run(settings: Settings, clock: Clock, step: Progress = lambda _: None) -> VerticalResult:
    """Ingest all configured exports and take them through to the report.

    Exports with a `pull` block are pulled first. A failed pull or a refused delivery does not stop the others: what was
    loaded goes on to the report, and the failures are in the result. A failed check, reconciliation or build raises and
    leaves what was published before.
    """
    result = VerticalResult()
    timed = _Timer(result.seconds, step)
    if any(export.pull for export in configured_exports(settings)):
        with timed("pull: APIs of LLM providers → files"):
            result.pulled = pull_exports(settings, [], clock, progress=step)
    with timed("ingest: provider files → landing → bronze"):
        result.ingested = ingest_exports(settings, [], clock)
    with timed("quality: Great Expectations on bronze"):
        checks.run(settings, "bronze", clock)
    with timed("rates: exchange rates of the months billed, hours of owned GPUs"):
        result.held_rates = [*rates.run(settings, clock).held, *gpu_rates.run(settings, clock).held]
    with timed("transform: bronze → FOCUS 1.4 (dbt on DuckDB)"):
        transform.run(settings, "focus")
    with timed("prices: price book of the models used"):
        result.held_prices = list(prices.run(settings, clock).refused)
    with timed("transform: FOCUS → marts"):
        transform.run(settings, "marts")
    with timed("quality: Great Expectations on FOCUS and marts"):
        checks.run(settings, "marts", clock)
    with timed("reconcile: bill = bronze = FOCUS = marts"):
        result.reconciliations = reconcile.run(settings, clock)
    with timed("publish: Delta tables and the BI file"):
        result.serving = publish.run(settings, clock).serving
    with timed("insights: forecast (Prophet)"):
        forecast.run(settings)
    with timed("insights: anomalies"):
        result.anomalies = list(anomalies.run(settings).messages)
    with timed("insights: idle GPUs"):
        result.idle_gpus = list(idle_gpus.run(settings).messages)
    with timed("report: HTML, XLSX and the quality page"):
        publish.serve(settings)
        built = finance.build(settings)
        result.report, result.workbook = built.html, built.xlsx
        result.quality_page = page.build(settings)
    result.totals = _totals(settings)
    return result


def stream_demo_telemetry(settings: Settings, clock: Clock, step: Progress = lambda _: None, *, days: int = 2) -> None:
    """GPU telemetry of the demo's machines through Kafka's protocol into the lake; said and left out where the broker is not installed."""
    from costlake.demo_telemetry import stream_demo

    step(f"demo: {days} days of GPU telemetry → Kafka → bronze")
    try:
        sent = stream_demo(settings, clock, days)
    except ConfigError as error:  # the broker is an extra of the demo, never of production
        step(f"demo: no GPU telemetry ({error})")
        return
    step(f"demo: {sent.messages:,} messages sent, {sent.rows:,} samples written")


def write_demo_estate(settings: Settings, clock: Clock, root: Path, step: Progress = lambda _: None, *, months: int = 13) -> Settings:
    """The demo's files with both deliveries of its redelivered month, the first of them ingested in between.

    Returns the settings under which the demo's exports are configured. An estate that is there already stays.
    """
    from ingest.demo import write_demo

    configured = settings.model_copy(update={"config_dir": root})
    if (root / "second-delivery.json").exists():
        return configured
    step(f"demo: {months} months of AWS, Azure, Google Cloud, Oracle, OpenAI, Anthropic and FOCUS files in the vendors' own layouts")
    write_demo(root, months=months, delivery=1)
    step("demo: first ingest")
    ingest_exports(configured, [], clock)
    step("demo: AWS delivers a closed month again, with a late credit")
    estate = write_demo(root, months=months, delivery=2)
    (root / "second-delivery.json").write_text(json.dumps({"root": estate.root.name}), encoding="utf-8")
    return configured


def _totals(settings: Settings) -> list[tuple[object, ...]]:
    connection = Lake(settings).connect()
    try:
        return connection.execute(
            "SELECT provider_name, billing_currency, count(DISTINCT billing_period), min(charge_date), max(charge_date), "
            "sum(billed_cost), sum(effective_cost) FROM marts.fct_cost_daily GROUP BY ALL ORDER BY 6 DESC"
        ).fetchall()
    finally:
        connection.close()


class _Timer:
    def __init__(self, seconds: list[tuple[str, float]], step: Progress) -> None:
        self._seconds, self._step = seconds, step

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._step(name)
        started = monotonic()
        yield
        self._seconds.append((name.split(":", 1)[0], monotonic() - started))
