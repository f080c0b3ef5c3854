"""The collector: intervals without gap or overlap, one message per host, and nothing that passes ends it."""

from __future__ import annotations

import datetime as dt
import http.server
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from costlake.cli import app
from costlake.errors import ConfigError, RetryableError
from streams.collector import Collector, CollectorMetrics, Place, event_id, into_spool, still_sending
from streams.events import HostTelemetry, decode
from streams.exporters import MalformedScrape, Scrape
from streams.mapping import load_mapping
from streams.readings import NoAccelerator, SourceUnavailable
from streams.sources import ExporterSource, judged, machine_resource_id, source_named
from streams.spool import Spool

START = dt.datetime(2026, 10, 5, 12, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


@dataclass
class Time:
    """Both clocks of a machine; `jumps` sets the wall clock once the monotonic one has come that far."""

    elapsed: float = 0.0
    jumps: dict[float, float] = field(default_factory=dict)

    def now(self) -> dt.datetime:
        return START + dt.timedelta(seconds=self.elapsed + sum(by for at, by in self.jumps.items() if self.elapsed >= at))

    def monotonic(self) -> float:
        return self.elapsed

    def wait(self, seconds: float) -> bool:
        self.elapsed += seconds
        return False


@dataclass
class Readings:
    """A source that reads what it is told to, or raises it."""

    script: Callable[[int], Any]
    looks: int = 0
    name: str = "dcgm"

    def read(self) -> list[Scrape]:
        self.looks += 1
        said = self.script(self.looks)
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, list) else [Scrape(None, readings=[{"gpu_uuid": "GPU-0", "power_watts": Decimal(said)}])]

    def close(self) -> None: ...


def error(kind: type[Exception]) -> Exception:
    return kind("no", where="here", expected="yes", next_step="wait")  # type: ignore[call-arg]


def collector(script: Callable[[int], Any], time: Time, **options: Any) -> tuple[Collector, list[HostTelemetry]]:
    messages: list[HostTelemetry] = []
    fields: dict[str, Any] = {"samples": 1, "take": messages.append, "place": Place("c1", "node-1", "i-0abc"), **options}
    metrics = CollectorMetrics(CollectorRegistry())
    made = Collector(Readings(script), interval=10 * SECOND, clock=time, monotonic=time.monotonic, metrics=metrics, **fields)
    return made, messages


def test_intervals_follow_one_another_without_gap_and_hold_the_mean_of_their_samples() -> None:
    time = Time()
    made, messages = collector(lambda look: 100 * look, time, samples=4)
    for _ in range(3):
        made.one(time.wait)
        time.elapsed += 0.3  # what handing over takes
    assert [message.gpus[0].power_watts for message in messages] == [250, 650, 1050]
    assert messages[0].interval_start == START
    assert all(first.interval_end == second.interval_start for first, second in itertools.pairwise(messages))
    assert (messages[0].host, messages[0].resource_id, messages[0].source) == ("node-1", "i-0abc", "dcgm")


@pytest.mark.parametrize("jump", [3600.0, -4.0, -14.0, -3600.0, 0.4])
def test_a_clock_that_is_set_never_makes_an_interval_longer_than_the_time_that_passed(jump: float) -> None:
    time = Time(jumps={25.0: jump})
    made, messages = collector(lambda look: 100, time)
    for _ in range(8):
        made.one(time.wait)
    passed = dt.timedelta(seconds=time.elapsed)
    covered = sum(((message.interval_end - message.interval_start) for message in messages), dt.timedelta(0))
    assert covered <= passed + SECOND, "energy and cost of time that never was"
    assert covered >= passed - (min(abs(jump), 20) + 10) * SECOND
    spans = sorted((message.interval_start, message.interval_end) for message in messages)
    if jump > -20:
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans)), "the same time paid twice"
    assert len({message.event_id for message in messages}) == len(messages)


def test_what_passes_costs_an_interval_and_not_the_collector(caplog: pytest.LogCaptureFixture) -> None:
    time = Time()
    script = {1: error(SourceUnavailable), 2: error(MalformedScrape), 3: 100, 4: 100}
    made, messages = collector(lambda look: script[look], time, samples=1)
    for _ in range(4):
        made.one(time.wait)
    assert [message.interval_start for message in messages] == [START + 20 * SECOND, START + 30 * SECOND], "missing, not stretched"
    assert caplog.text.count("a sample is missing") == 2


def test_a_full_spool_loses_the_interval_aloud_and_measuring_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    time, spool = Time(), Spool(tmp_path / "spool", 700)
    made, _ = collector(lambda look: 100, time, take=into_spool(spool, None))
    for _ in range(4):
        made.one(time.wait)
    kept = [decode(message.value) for message in spool.pending(10)]
    assert 0 < len(kept) < 4
    assert kept[0].interval_start == START
    assert spool.pending(1)[0].key == b"c1/node-1"
    assert "is lost: the spool is full" in caplog.text
    text = made.metrics.refused.collect()[0].samples
    assert any(sample.labels == {"reason": "SpoolFull"} and sample.value == 4 - len(kept) for sample in text)
    spool.close()


def test_hosts_of_one_scrape_get_a_message_each_and_not_the_collectors_own_bill_id() -> None:
    time = Time()
    hosts = [Scrape(name, readings=[{"gpu_uuid": f"GPU-{name}"}]) for name in ("a", "b")]
    made, messages = collector(lambda look: hosts, time)
    made.one(time.wait)
    assert {(message.host, message.resource_id) for message in messages} == {("a", None), ("b", None)}


def test_stopping_leaves_out_the_interval_that_is_not_over() -> None:
    time = Time()
    made, messages = collector(lambda look: 100, time)
    assert made.one(lambda seconds: True) == []
    stop = threading.Event()
    stop.set()
    made.run(stop)
    assert messages == []


def test_an_event_id_names_its_interval() -> None:
    ids = {event_id("c", "h", "nvml", START + n * SECOND, START + (n + 1) * SECOND) for n in range(100)}
    assert len(ids) == 100
    assert event_id("c", "h", "nvml", START, START + SECOND) in ids
    assert event_id("c", "h", "dcgm", START, START + SECOND) not in ids


def test_a_host_without_accelerators_is_said_at_the_start() -> None:
    with pytest.raises(NoAccelerator):
        judged(Readings(lambda look: []))
    with pytest.raises(MalformedScrape):
        judged(Readings(lambda look: error(MalformedScrape)))
    assert judged(Readings(lambda look: error(SourceUnavailable))), "an exporter that starts later than we do"


def test_after_many_intervals_without_a_reading_a_new_process_has_to_try() -> None:
    made, messages = collector(lambda look: 100 if look in (1, 10) else error(SourceUnavailable), Time())
    stop = threading.Event()
    stop.wait = made.clock.wait  # type: ignore[attr-defined, method-assign]
    with pytest.raises(SourceUnavailable):
        made.run(stop)
    assert made.source.looks == 10 + 20  # type: ignore[attr-defined]
    assert len(messages) == 2


def test_a_host_with_a_senseless_name_or_accelerator_costs_that_host_only() -> None:
    hosts = [Scrape("x" * 300, readings=[{"gpu_uuid": "a"}]), Scrape("bad", readings=[{"gpu_uuid": "x" * 300}])]
    made, messages = collector(lambda look: [*hosts, Scrape("good", readings=[{"gpu_uuid": "b"}])], Time())
    made.one(made.clock.wait)  # type: ignore[attr-defined]
    assert [message.host for message in messages] == ["good"]
    with pytest.raises(ConfigError):
        collector(lambda look: 1, Time(), place=Place("", "node-1"))


def test_an_interval_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ConfigError):
        collector(lambda look: 1, Time(), samples=0)


def test_a_sender_that_has_ended_ends_the_collector_too() -> None:
    class Ended:
        last_error = error(SourceUnavailable)

        def is_alive(self) -> bool:
            return False

    with pytest.raises(SourceUnavailable):
        still_sending(Ended())()  # type: ignore[arg-type]
    Ended.last_error = None  # type: ignore[assignment]
    with pytest.raises(RetryableError, match="thread has ended"):
        still_sending(Ended())()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [("i-0123456789abcdef0\n", "i-0123456789abcdef0"), ("Default string", None), ("i-XYZ", None), ("i-", None), ("", None)],
)
def test_a_bill_id_is_read_from_the_firmware_and_never_guessed(tmp_path: Path, text: str, found: str | None) -> None:
    (tmp_path / "board_asset_tag").write_text(text)
    assert machine_resource_id(tmp_path / "board_asset_tag") == found
    assert machine_resource_id(tmp_path / "missing") is None


PAGE = '# HELP x y\nDCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-0",Hostname="gpu-node-1"} 37\n'


@pytest.fixture
def exporter() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 500)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_exporter_is_scraped_over_http_and_its_failures_are_typed(exporter: str) -> None:
    def source(location: str) -> ExporterSource:
        return ExporterSource(location, load_mapping("dcgm"), Time(), stale_after=SECOND)

    assert source(f"{exporter}/metrics").read()[0].host == "gpu-node-1"
    for wrong in (f"{exporter}/broken", "http://127.0.0.1:1/metrics", "http://", "ftp://127.0.0.1/x"):
        with pytest.raises(SourceUnavailable):
            source(wrong).read()


def test_a_file_that_nobody_writes_any_more_does_not_repeat_its_last_value_for_ever(tmp_path: Path) -> None:
    path, time = tmp_path / "gpu.prom", Time()
    path.write_text(PAGE)
    written = path.stat().st_mtime
    time.elapsed = written - START.timestamp() + 5
    source = ExporterSource(str(path), load_mapping("dcgm"), time, stale_after=10 * SECOND)
    assert source.read()
    time.elapsed += 10
    with pytest.raises(SourceUnavailable, match="last written"):
        source.read()
    path.unlink()
    with pytest.raises(SourceUnavailable):
        source.read()


def test_a_source_is_chosen_by_name_and_an_exporter_needs_a_place() -> None:
    with pytest.raises(ConfigError, match="where it is"):
        source_named("dcgm", None, Time(), SECOND, None)
    with pytest.raises(ConfigError, match="mapping"):
        source_named("no-such", "http://127.0.0.1:1", Time(), SECOND, None)
    assert source_named("tpu", "http://127.0.0.1:1", Time(), SECOND, None).name == "prometheus"


def test_the_command_prints_a_message_that_can_be_read_again(exporter: str) -> None:
    arguments = ["telemetry", "collect", "--source", "dcgm", "--url", f"{exporter}/metrics", "--once", "--print", "--interval", "0.2"]
    done = CliRunner().invoke(app, [*arguments, "--cluster", "c1"])
    assert done.exit_code == 0, done.output
    message = decode(done.stdout.strip().encode())
    assert (message.cluster, message.host, message.gpus[0].gpu_utilization_percent) == ("c1", "gpu-node-1", 37)


def test_a_machine_without_gpu_gets_a_sentence_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    def absent() -> None:
        raise pynvml.NVMLError_LibraryNotFound

    monkeypatch.setattr(pynvml, "nvmlInit", absent)
    done = CliRunner().invoke(app, ["telemetry", "collect", "--once"])
    assert done.exit_code == 1
    assert "no NVIDIA driver on this machine" in done.stderr
    assert "Traceback" not in done.output
