"""Telemetry of a simulated fleet: realistic, and the same for the same seed and instant, in any order of asking.

Data flow: `streams.fleet` → `host_message` (one host, one interval) → `arrivals` (what a topic would get in an interval: late, doubled and
missing messages of failing hosts included) → Kafka, a test, the demo. There is no clock in here and no state: time is an argument.
Run alone: costlake telemetry simulate --gpus 16 --seconds 3 --print
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from streams.events import Gpu, GpuProcess, HostTelemetry, MigInstance
from streams.fleet import EPOCH, Accelerator, SimulatedHost, mixed

_XIDS = (31, 43, 48, 63, 79, 94)
_DRIVER = "580.105.08"
# Of a hundred intervals of a failing host: none is sent, one is sent twice, one comes after the next.
_MISSING, _DOUBLED, _LATE = 6, 5, 4


@dataclass(frozen=True)
class Fate:
    """What becomes of one interval's message on its way: never sent, sent again, held back for `late` intervals."""

    missing: bool = False
    doubled: bool = False
    late: int = 0


_USUAL = Fate()


def host_message(host: SimulatedHost, start: dt.datetime, seconds: float) -> HostTelemetry:
    """What a host says of the interval of `seconds` that begins at `start` (true time; its own clock may be off)."""
    begin, length = (start - EPOCH).total_seconds(), seconds
    said = start + host.skew
    gpus: list[Gpu] = []
    for accelerator in host.accelerators:
        gpus += _gpus(host, accelerator, begin, length)
    return HostTelemetry(
        event_id=hashlib.md5(f"{host.seed}/{host.cluster}/{host.host}/{begin}/{length}".encode(), usedforsecurity=False).hexdigest(),
        cluster=host.cluster,
        host=host.host,
        resource_id=host.resource_id,
        source="simulator",
        driver_version=_DRIVER,
        interval_start=said,
        interval_end=said + dt.timedelta(seconds=seconds),
        gpus=tuple(gpus),
    )


def fate(host: SimulatedHost, start: dt.datetime, seconds: float) -> Fate:
    """What becomes of the message of an interval; only failing hosts have one that is not the usual."""
    if host.role != "failing":
        return _USUAL
    # Gaps last: they are drawn for blocks of ten intervals' length, at least a minute.
    block = int((start - EPOCH).total_seconds() // max(60.0, 10 * seconds))
    if mixed(host.seed, host.number, 11, block) % 100 < _MISSING:
        return Fate(missing=True)
    lot = mixed(host.seed, host.number, 12, round((start - EPOCH).total_seconds() * 1000)) % 100
    return Fate(doubled=lot < _DOUBLED, late=1 + lot % 3 if _DOUBLED <= lot < _DOUBLED + _LATE else 0)


def arrivals(hosts: Sequence[SimulatedHost], start: dt.datetime, seconds: float) -> Iterator[HostTelemetry]:
    """The messages that come when the interval from `start` is over: of this interval, twice where they are doubled, and those of up to
    three intervals before that were held back until now."""
    for host in hosts:
        own = fate(host, start, seconds)
        if not own.missing and own.late == 0:
            message = host_message(host, start, seconds)
            yield message
            if own.doubled:
                yield message
        if host.role == "failing":
            for back in (1, 2, 3):
                before = start - dt.timedelta(seconds=back * seconds)
                if fate(host, before, seconds) == Fate(late=back):
                    yield host_message(host, before, seconds)


def ticks(hosts: Sequence[SimulatedHost], start: dt.datetime, seconds: float, count: int) -> Iterator[Iterator[HostTelemetry]]:
    """`arrivals` of `count` intervals after one another."""
    for number in range(count):
        yield arrivals(hosts, start + dt.timedelta(seconds=number * seconds), seconds)


def series(hosts: Iterable[SimulatedHost], start: dt.datetime, end: dt.datetime, seconds: float) -> Iterator[HostTelemetry]:
    """Every interval of every host from `start` to `end`, as it should be: nothing missing, late or doubled. The last one may be shorter,
    so that the intervals of a host cover the time exactly."""
    for host in hosts:
        at = start
        while at < end:
            length = min(dt.timedelta(seconds=seconds), end - at)
            yield host_message(host, at, length.total_seconds())
            at += length


def _gpus(host: SimulatedHost, gpu: Accelerator, begin: float, length: float) -> list[Gpu]:
    """The accelerators that one GPU is: itself, or its MIG instances."""
    end = begin + length
    # A slot that nobody holds does nothing; between two jobs a whole GPU is free.
    jobs = [load.job(end) if held else None for load, held in zip(gpu.loads, gpu.held, strict=True)]
    busy = [(load.integral(end) - load.integral(begin)) / length if held else 0.0 for load, held in zip(gpu.loads, gpu.held, strict=True)]
    whole = sum(each * weight for each, weight in zip(busy, gpu.weights, strict=True))
    model, booted = host.model, gpu.booted
    if gpu.reset_every is not None:
        booted += (end - gpu.booted) // gpu.reset_every * gpu.reset_every
    worked = sum(
        (load.integral(end) - load.integral(booted)) * weight
        for load, weight, held in zip(gpu.loads, gpu.weights, gpu.held, strict=True)
        if held
    )
    watts = model.idle_watts + (model.peak_watts - model.idle_watts) * whole
    common: dict[str, Any] = {
        "gpu_uuid": gpu.uuid,
        "gpu_index": gpu.index,
        "model_name": model.name,
        "vendor": "nvidia",
        "accelerator_kind": "gpu",
        "pci_bus_id": gpu.pci_bus_id,
        "power_watts": _decimal(watts, 3),
        "power_limit_watts": _decimal(model.peak_watts, 0),
        "energy_joules": _decimal(model.idle_watts * (end - booted) + (model.peak_watts - model.idle_watts) * worked, 3),
        "temperature_celsius": _decimal(29 + 46 * whole, 0),
        "sm_clock_mhz": model.sm_clock_mhz if whole > 0.02 else 345,
        "memory_clock_mhz": model.memory_clock_mhz,
        "throttle_reasons": ("sw_power_cap",) if whole > 0.93 else (),
        "xid": _xid(host, gpu, begin),
    }
    if host.role == "mig":
        return [_instance(host, gpu, slot, jobs[slot], busy[slot], common) for slot in range(len(gpu.loads))]
    processes = tuple(process for slot, job in enumerate(jobs) if (process := _process(host, gpu, slot, job)) is not None)
    used = sum(process.memory_used_bytes or 0 for process in processes)
    tensor = 0.62 if host.role in ("training", "failing", "forgotten") else 0.28
    return [
        Gpu(
            **common,
            gpu_utilization_percent=_decimal(min(100.0, 104 * whole), 2),
            memory_utilization_percent=_decimal(55 * whole, 2),
            sm_active_ratio=_decimal(0.93 * whole, 4),
            tensor_active_ratio=_decimal(tensor * whole, 4),
            gr_engine_active_ratio=_decimal(whole, 4),
            dram_active_ratio=_decimal(0.58 * whole, 4),
            memory_used_bytes=used,
            memory_total_bytes=model.memory_bytes,
            processes=processes,
        )
    ]


def _instance(host: SimulatedHost, gpu: Accelerator, slot: int, job: int | None, busy: float, common: dict[str, Any]) -> Gpu:
    profile = host.model.mig_profiles[slot]
    total = _memory(host, slot)
    process = _process(host, gpu, slot, job)
    return Gpu(
        **common,
        mig=MigInstance(gpu_instance_id=slot + 1, compute_instance_id=0, profile=profile),
        gr_engine_active_ratio=_decimal(busy, 4),
        sm_active_ratio=_decimal(0.9 * busy, 4),
        tensor_active_ratio=_decimal(0.3 * busy, 4),
        dram_active_ratio=_decimal(0.5 * busy, 4),
        memory_used_bytes=(process.memory_used_bytes or 0) if process else 0,
        memory_total_bytes=total,
        processes=() if process is None else (process,),
    )


def _process(host: SimulatedHost, gpu: Accelerator, slot: int, job: int | None) -> GpuProcess | None:
    """The pod in a slot. Workers of a training job are numbered through; a deployment's replicas stay what they are."""
    if job is None:
        return None
    known = gpu.processes.get((slot, job))
    if known is None:
        known = gpu.processes[slot, job] = _new_process(host, gpu, slot, job)
    return known


def _memory(host: SimulatedHost, slot: int) -> int:
    """Memory of a slot: an eighth of the GPU's for one of its seven slices, half of it for three."""
    if host.role == "mig":
        return host.model.memory_bytes * {1: 1, 2: 2, 3: 4}[int(host.model.mig_profiles[slot][0])] // 8
    return host.model.memory_bytes // (4 if host.role == "timesliced" else 1)


def _new_process(host: SimulatedHost, gpu: Accelerator, slot: int, job: int) -> GpuProcess:
    share = 0.80 + 0.15 * (mixed(host.seed, host.number, gpu.index, slot, job) % 1000) / 1000
    batch = host.role in ("training", "failing", "forgotten")
    stem = f"{host.project}-{host.number}"
    return GpuProcess(
        pid=1_000 + mixed(host.seed, host.number, gpu.index, slot, job, 1) % 60_000,
        memory_used_bytes=int(_memory(host, slot) * share),
        namespace=host.team,
        pod=f"{stem}-job-{job}-worker-{gpu.index}" if batch else f"{stem}-{gpu.index}-{slot}",
        container="main",
        job_id=f"{stem}-job-{job}" if batch else None,
        allocation_ratio=_decimal(gpu.weights[slot], 2) if host.role == "timesliced" else Decimal(1),
    )


def _xid(host: SimulatedHost, gpu: Accelerator, begin: float) -> int | None:
    """The last XID of a failing host's GPU: one in some hours, and then it stays until the counter is reset."""
    if host.role != "failing":
        return None
    lot = mixed(host.seed, host.number, gpu.index, 13, int(begin // 3_600))
    return _XIDS[lot % len(_XIDS)] if lot % 5 == 0 else 0


def _decimal(value: float, places: int) -> Decimal:
    """A measurement with its places; the last line where it is a float."""
    return Decimal(round(value * 10**places)).scaleb(-places)
