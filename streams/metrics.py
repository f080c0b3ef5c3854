"""What Prometheus is told of the consumer: lag, rates, commit latency, dead letters, gaps.

Data flow: `streams.consumer` → these → an HTTP endpoint (`costlake telemetry consume --metrics-port`).

The age of the last commit is `time() - costlake_gpu_last_commit_timestamp_seconds`; rows per second `rate(costlake_gpu_rows_total[1m])`.
Run alone: python -c "from streams.metrics import ConsumerMetrics; print(ConsumerMetrics().text())"
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30)


class ConsumerMetrics:
    """The metrics of one consumer, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        place = ["topic", "partition"]
        self.lag = Gauge("costlake_gpu_lag_records", "Records of a partition that are not in the table yet", place, registry=registry)
        self.position = Gauge("costlake_gpu_committed_offset", "Next offset by the table", place, registry=registry)
        self.rows = Counter("costlake_gpu_rows", "Rows committed", registry=registry)
        self.messages = Counter("costlake_gpu_messages", "Messages whose rows are committed", registry=registry)
        self.dead_letters = Counter("costlake_gpu_dead_letters", "Records that could not be used", ["step"], registry=registry)
        self.refused_commits = Counter("costlake_gpu_refused_commits", "Commits refused: another consumer was first", registry=registry)
        self.failed_commits = Counter("costlake_gpu_failed_commits", "Commits that failed and are tried again", registry=registry)
        self.gaps = Counter("costlake_gpu_gaps", "Times that Kafka no longer had what was to be read next", registry=registry)
        self.commit_seconds = Histogram(
            "costlake_gpu_commit_seconds", "Decoding, writing and committing a batch", registry=registry, buckets=_SECONDS
        )
        self.last_commit = Gauge("costlake_gpu_last_commit_timestamp_seconds", "When the last batch was committed", registry=registry)

    def text(self) -> str:
        """The page that Prometheus reads."""
        return generate_latest(self.registry).decode()
