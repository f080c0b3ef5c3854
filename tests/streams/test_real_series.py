"""Real series through the product's own path (files → messages → bytes → sink → Delta), to the totals that their README gives."""

from __future__ import annotations

import datetime as dt
import gzip
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from costlake.cli import app
from costlake.delta import Lake
from costlake.errors import ConfigError
from costlake.periods import FixedClock
from costlake.settings import Settings
from streams import samples
from streams.collector import Place
from streams.events import HostTelemetry, decode, encode
from streams.mapping import Mapping, load_mapping
from streams.positions import Partition, Position
from streams.samplefiles import MalformedSamples, messages
from streams.sink import Sink, Stretch
from tests.streams import openb

# As in shared/data/TOTALS.json.
VLLM = {"scale100": (839, "420.06", 37.939, 22534.7), "scale400": (368, "183.96", 38.272, 22535.0)}
VLLM |= {"scale700": (306, "152.89", 37.935, 22535.0), "scale1000": (296, "147.9", 34.605, 22459.6)}

VLLM_MAPPING = """
source: file
vendor: nvidia
accelerator_kind: gpu
uuid: [[gpu]]
constants: {gpu: GPU-24GB}   # `monitor_id` counts samples; there is one GPU
time: record_time
time_unit: s
time_origin: 2024-08-01T00:00:00Z   # the trace counts from the start of the machine
metrics:
  GPU_utilization: {field: gpu_utilization_percent}
  GPU_used_mem: {field: memory_used_bytes, factor: 1048576}
  GPU_total_mem: {field: memory_total_bytes, factor: 1048576}
  GPU_temperature: {field: temperature_celsius}
"""
GENTD26_MAPPING = """
source: file
vendor: nvidia
accelerator_kind: gpu
uuid: [[container_ip]]
time: timestamp_anon
time_unit: s
metrics:
  pod_gpu_duty_cycle_anon: {field: gpu_utilization_percent}
  pod_gpu_memory_used_bytes_anon: {field: memory_used_bytes}
"""


def mapping(folder: Path, text: str) -> Mapping:
    (folder / "mapping.yml").write_text(text)
    return load_mapping(folder / "mapping.yml")


def landed(settings: Settings, clock: FixedClock, told: Iterable[HostTelemetry], query: str) -> list[tuple[Any, ...]]:
    """Encode, write by the sink in batches as a consumer would, and ask the table."""
    sink, partition, at = Sink(Lake(settings), clock), Partition("real", 0), Position()
    values = [encode(message) for message in told]
    for start in range(0, len(values), 2_000):
        batch = values[start : start + 2_000]
        end = start + len(batch)
        written = sink.write([Stretch(partition, at, start, end, list(range(start, end)), list(batch))])
        assert written.dead_letters == ()
        at = Position(end)
    connection = Lake(settings).connect()
    rows = connection.execute(query).fetchall()
    connection.close()
    return rows


def test_nvml_series_of_a_serving_gpu(shared_path: Callable[[str], Path], tmp_path: Path, settings: Settings, clock: FixedClock) -> None:
    names = mapping(tmp_path, VLLM_MAPPING)

    def told() -> Iterator[HostTelemetry]:
        for run in VLLM:
            file = shared_path(f"data/gpu_vllm_runs/gpu_nvml_0.5s_{run}.csv.gz")
            yield from messages([file], names, Place("vllm", run), dt.timedelta(seconds=0.5))

    rows = landed(
        settings,
        clock,
        told(),
        "SELECT host, count(*), max(epoch_us(interval_end)) - min(epoch_us(interval_end)), avg(gpu_utilization_percent), "
        "sum(memory_used_bytes) / count(*) / 1048576, min(memory_total_bytes) FROM bronze.gpu_telemetry GROUP BY host",
    )
    assert len(rows) == 4
    for host, count, microseconds, utilization, memory, total in rows:
        expected = VLLM[host]
        assert count == expected[0]
        assert round(Decimal(microseconds) / 10**6, 2) == Decimal(expected[1])
        assert round(utilization, 3) == expected[2]
        assert round(memory, 1) == expected[3]
        assert total == 24 * 2**30


def test_duty_cycle_and_memory_of_a_serving_fleet(
    shared_path: Callable[[str], Path], tmp_path: Path, settings: Settings, clock: FixedClock
) -> None:
    files = [shared_path(f"data/gpu_gentd26/pod_gpu_{name}_anon.parquet") for name in ("duty_cycle", "memory_used_bytes")]
    told = messages(files, mapping(tmp_path, GENTD26_MAPPING), Place("gentd26", "serving"), dt.timedelta(seconds=58))
    ((duty, used, containers, mean, most, below, mean_memory, most_memory, never),) = landed(
        settings,
        clock,
        told,
        "SELECT count(gpu_utilization_percent), count(memory_used_bytes), count(DISTINCT gpu_uuid), avg(gpu_utilization_percent), "
        "max(gpu_utilization_percent), count(*) FILTER (gpu_utilization_percent < 5), avg(memory_used_bytes), max(memory_used_bytes), "
        "(SELECT count(*) FROM (SELECT gpu_uuid FROM bronze.gpu_telemetry GROUP BY gpu_uuid HAVING max(gpu_utilization_percent) <= 5)) "
        "FROM bronze.gpu_telemetry",
    )
    assert (duty, used, containers, below, never) == (58_640, 60_148, 52, 42_098, 1)
    assert (round(mean, 4), most) == (7.1713, 99.53333333333332)
    assert most_memory == 49922965504
    assert abs(mean_memory - 24909601320.4457) < 1, "means over a minute, rounded to the byte"


def test_the_allocated_gpu_hours_of_a_shared_cluster(shared_path: Callable[[str], Path]) -> None:
    folder = shared_path("data/gpu_alibaba_openb_2023/openb_pod_list_gpuspec33.csv.gz").parent
    sent = list(openb.messages(folder))
    values = [encode(message) for message in sent]
    assert [decode(value) for value in values[::50]] == sent[::50]
    found = samples.read(values)
    assert found.refused == {}
    seconds: Counter[str] = Counter()
    pods = set()
    for row in found.rows.select(["interval_start", "interval_end", "gpu_uuid", "processes"]).to_pylist():
        length = int((row["interval_end"] - row["interval_start"]).total_seconds())
        shares = [round(process["allocation_ratio"] * 1000) for process in row["processes"]]
        assert sum(shares) <= 1_000, "more of a GPU given away than there is"
        for process, milli in zip(row["processes"], shares, strict=True):
            seconds[process["namespace"]] += length * milli
            pods.add(process["pod"])
    hours = {qos: round(Decimal(each) / 3_600_000, 3) for qos, each in seconds.items()}
    assert round(Decimal(sum(seconds.values())) / 3_600_000, 3) == Decimal("41380.524")
    assert hours == {
        name: Decimal(text)
        for name, text in {"BE": "377.068", "Burstable": "3328.750", "Guaranteed": "1284.896", "LS": "36389.810"}.items()
    }
    assert len(pods) <= 2_282 - 222
    nodes = openb.rows(folder / "openb_node_list_all_node.csv.gz")
    by_model: Counter[str] = Counter()
    for node in nodes:
        by_model[node["model"]] += int(node["gpu"])
    assert (len(nodes), sum(by_model.values()), by_model["T4"]) == (1_523, 6_212, 842)


def test_a_scrape_of_eight_h100_as_the_collector_takes_it(
    shared_path: Callable[[str], Path], tmp_path: Path, settings: Settings, clock: FixedClock
) -> None:
    page = tmp_path / "gpu.prom"
    page.write_bytes(gzip.decompress(shared_path("data/gpu_dcgm_scrape/dcgm_exporter_8xH100_eks.prom.gz").read_bytes()))
    done = CliRunner().invoke(
        app, ["telemetry", "collect", "--source", "dcgm", "--url", str(page), "--once", "--print", "--interval", "0.2", "--cluster", "eks"]
    )
    assert done.exit_code == 0, done.output
    told = [decode(line.encode()) for line in done.stdout.splitlines()]
    ((host, gpus, watts, pods),) = landed(
        settings,
        clock,
        told,
        "SELECT host, count(DISTINCT gpu_uuid), sum(power_watts), count(*) FILTER (len(processes) > 0) "
        "FROM bronze.gpu_telemetry GROUP BY host",
    )
    assert (host, gpus, round(watts, 3), pods) == ("gpu-node-1", 8, 583.767, 1)


def test_files_that_do_not_fit_their_mapping_are_refused(tmp_path: Path) -> None:
    names, place, second = mapping(tmp_path, GENTD26_MAPPING), Place("c", "h"), dt.timedelta(seconds=1)

    def read(name: str, text: bytes) -> list[HostTelemetry]:
        (tmp_path / name).write_bytes(text)
        return list(messages([tmp_path / name], names, place, second))

    head = b"timestamp_anon,container_ip,value\n"
    for name, text in {
        "other.csv": head + b"1,a,5\n",
        "pod_gpu_duty_cycle_anon.csv": head + b"yesterday,a,5\n",
        "pod_gpu_duty_cycle_anon.csv.gz": gzip.compress(head + b"1,a,5\n" * 1000)[:-20],
        "pod_gpu_duty_cycle_anon.parquet": b"PAR1",
        "pod_gpu_duty_cycle_anon.json": b"{",
        "empty.csv": b"",
    }.items():
        with pytest.raises(MalformedSamples):
            read(name, text)
    with pytest.raises(MalformedSamples):
        list(messages([tmp_path / "missing.csv"], names, place, second))
    with pytest.raises(ConfigError):
        list(messages([], load_mapping("dcgm"), place, second))
    (one,) = read("pod_gpu_duty_cycle_anon.csv", head + b"1,a,5\n1,b,\n")
    assert [gpu.gpu_utilization_percent for gpu in one.gpus] == [Decimal(5), None], "a cell without a number is not measured"


def test_the_same_files_make_the_same_messages(tmp_path: Path) -> None:
    (tmp_path / "mapping.yml").write_text(GENTD26_MAPPING)
    (tmp_path / "pod_gpu_duty_cycle_anon.csv").write_text("timestamp_anon,container_ip,value\n1,a,5\n3,a,6\n")
    command = ["telemetry", "replay", str(tmp_path / "pod_gpu_duty_cycle_anon.csv"), "--mapping", str(tmp_path / "mapping.yml"), "--print"]
    first, second = (CliRunner().invoke(app, command) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.stdout == second.stdout
    told = [decode(line.encode()) for line in first.stdout.splitlines()]
    assert len(told) == 2
    assert told[0].interval_end == told[1].interval_start
