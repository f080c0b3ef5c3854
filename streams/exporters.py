"""A Prometheus exporter's text → readings of the accelerators of each host in it: dcgm-exporter, AMD, TPU, Neuron, others by a mapping.

Data flow: scrape (or a file in Prometheus' text format) → prometheus_client's parser → `Mapping` (`streams.mapping`) → `Scrape` per host.

Traps that this module takes care of: sentinels for "not supported" and NaN are absent, never a value; profiling metrics may be missing; a
GPU's series come once per MIG instance, or once per pod that shares it; `exported_pod` is the workload when a Prometheus server has put
its own `pod` in; the parent of MIG instances is no accelerator of its own (docs/decisions/0030).
Run alone: costlake telemetry collect --source dcgm --url http://localhost:9400/metrics --once
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping as Labels
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from costlake.errors import FatalError
from streams.events import GpuProcess, MigInstance
from streams.mapping import PARTS, Mapping, Metric
from streams.readings import Reading, identity, throttle_names

# DCGM's blanks: int32, int64 and double, each plus 0 to 3 (blank, not found, not supported, not permissioned).
_INT32_BLANK, _DOUBLE_BLANK, _INT64_FLOOR = 0x7FFFFFF0, 2**47, 9.2e18
_COUNTS = frozenset("memory_used_bytes memory_total_bytes sm_clock_mhz memory_clock_mhz xid".split()) | frozenset(PARTS)
# What exists once per GPU and is repeated on its MIG instances; memory and profiling counters exist per instance.
_OF_WHOLE_GPU = "power_watts power_limit_watts energy_joules temperature_celsius sm_clock_mhz memory_clock_mhz throttle_reasons xid".split()
_TO_THE_MILLIONTH = frozenset({"power_watts", "power_limit_watts", "energy_joules"})
_BEYOND_MACHINES = 16  # decimal digits before the point
_PLACE = ("namespace", "pod", "container")


class MalformedScrape(FatalError):
    """What an exporter sent is not Prometheus' text format, or names no accelerator."""


@dataclass
class Scrape:
    """The accelerators of one host in a scrape.

    Attributes:
        host: as the exporter names it; None if it does not.
        resource_id: the machine's id on the bill, where the exporter knows it.
        driver_version: of the accelerators' driver.
        readings: one per accelerator.
    """

    host: str | None
    resource_id: str | None = None
    driver_version: str | None = None
    readings: list[Reading] = field(default_factory=list)


@dataclass
class _Found:
    """What was found of one accelerator; `ranks` remembers which metric of the mapping gave a field."""

    reading: Reading
    ranks: dict[str, int] = field(default_factory=dict)
    workloads: dict[tuple[str | None, ...], GpuProcess] = field(default_factory=dict)


def scrapes(text: str, mapping: Mapping, *, pods_mapped: bool | None = None) -> list[Scrape]:
    """Read an exporter's text.

    Args:
        text: Prometheus' text format.
        mapping: the exporter's names.
        pods_mapped: whether the exporter names the pods that hold accelerators, so that an accelerator without a pod is known to be
            free. None takes it from the scrape: if it names one pod, it would name all.

    Raises:
        MalformedScrape: the text is no scrape, or none of the mapping's metrics is in it.
    """
    rows: list[tuple[str, dict[str, str], Decimal | None]] = []
    from prometheus_client.parser import text_string_to_metric_families

    try:
        for family in text_string_to_metric_families(text):
            rows += [
                (sample.name, sample.labels, _number(sample.value))
                for sample in family.samples
                if sample.name in mapping.metrics or sample.name.removesuffix("_total") in mapping.metrics
            ]
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise MalformedScrape(
            f"the exporter's answer is not Prometheus' text format ({error})",
            where=f"scrape of {len(text)} characters",
            expected='lines `metric{label="value"} number`',
            next_step="open the URL: a proxy's error page, or another port's service, may answer",
        ) from error
    try:
        found = read_samples(rows, mapping, pods_mapped=pods_mapped)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise MalformedScrape(
            f"a label is none of a pod or of a MIG instance ({'.'.join(str(part) for part in first['loc'])}: {first['msg']})",
            where=f"scrape of {len(text)} characters",
            expected="names of at most 256 characters, instance ids of 32 bits",
            next_step="look at the scrape; what relabels it may be wrong",
        ) from error
    if not found:
        raise MalformedScrape(
            "the exporter names no accelerator",
            where=f"scrape of {len(text)} characters",
            expected=f"at least one of {', '.join(sorted(mapping.metrics)[:4])}, …",
            next_step="see whether the exporter runs with access to its devices, and whether --source names its kind",
        )
    return found


def read_samples(
    rows: Iterable[tuple[str, Labels[str, str], Decimal | None]], mapping: Mapping, *, pods_mapped: bool | None = None
) -> list[Scrape]:
    """(metric, labels, value) of one instant → hosts with their readings, in order of appearance."""
    ranks = {name: rank for rank, name in enumerate(mapping.metrics)}
    listed = [(name, {**mapping.constants, **labels}, value) for name, labels, value in rows]
    exported = any(labels.get(f"exported_{name}") for _, labels, _ in listed for name in _PLACE)
    hosts: dict[str | None, Scrape] = {}
    found: dict[str | None, dict[tuple[str, int | None], _Found]] = {}
    for name, labels, value in listed:
        metric_name = name if name in mapping.metrics else name.removesuffix("_total")
        metrics = [each for each in mapping.metrics.get(metric_name, ()) if each.labels.items() <= labels.items()]
        uuid = _uuid(labels, mapping)
        if not metrics or uuid is None:
            continue
        host = _first(labels, mapping.host)
        scrape = hosts.setdefault(host, Scrape(host))
        scrape.resource_id = scrape.resource_id or _first(labels, mapping.resource_id)
        scrape.driver_version = scrape.driver_version or _first(labels, mapping.driver_version)
        reading = _identified(uuid, labels, mapping)
        accelerator = found.setdefault(host, {}).setdefault(identity(reading), _Found(reading))
        workload = _workload(labels, mapping, exported)
        if workload is not None:
            accelerator.workloads[workload.namespace, workload.pod, workload.container, workload.job_id] = workload
        for metric in metrics:
            _take(accelerator, metric, ranks[metric_name], value)
    named = pods_mapped if pods_mapped is not None else any(each.workloads for of_host in found.values() for each in of_host.values())
    for host, accelerators in found.items():
        hosts[host].readings = _finished(accelerators, named)
    return list(hosts.values())


def _number(value: float) -> Decimal | None:
    """A sample's value, or None for NaN, infinity and the blanks of DCGM."""
    if not math.isfinite(value) or value >= _INT64_FLOOR:
        return None
    if any(blank <= value <= blank + 3 and value == int(value) for blank in (_INT32_BLANK, _DOUBLE_BLANK)):
        return None
    return Decimal(repr(value))


def _first(labels: Labels[str, str], names: Iterable[str]) -> str | None:
    return next((labels[name] for name in names if labels.get(name)), None)


def _uuid(labels: Labels[str, str], mapping: Mapping) -> str | None:
    for way in mapping.uuid:
        values = [labels.get(name) for name in way]
        if all(values):
            partition = _first(labels, mapping.partition)
            return "/".join(str(value) for value in values) + (f"/{partition}" if partition not in (None, "0") else "")
    return None


def _identified(uuid: str, labels: Labels[str, str], mapping: Mapping) -> Reading:
    index, instance = _first(labels, mapping.index), _first(labels, mapping.mig_instance)
    mig = None
    if instance is not None and instance.isdecimal():
        mig = MigInstance(gpu_instance_id=int(instance), profile=_first(labels, mapping.mig_profile))
    return {
        "gpu_uuid": uuid,
        "gpu_index": int(index) if index is not None and index.isdecimal() else None,
        "model_name": _first(labels, mapping.model),
        "vendor": mapping.vendor,
        "accelerator_kind": mapping.accelerator_kind,
        "pci_bus_id": _first(labels, mapping.pci_bus_id),
        "mig": mig,
    }


def _workload(labels: Labels[str, str], mapping: Mapping, exported: bool) -> GpuProcess | None:
    """The pod or job that a series names. A server that scrapes the exporter renames the workload's labels to `exported_…` and puts the
    exporter's own pod into the plain ones."""
    prefix = "exported_" if exported else ""
    namespace, pod, container = (labels.get(f"{prefix}{name}") or None for name in _PLACE)
    job = _first(labels, mapping.job_id)
    return GpuProcess(namespace=namespace, pod=pod, container=container, job_id=job) if pod or job else None


def _take(found: _Found, metric: Metric, rank: int, value: Decimal | None) -> None:
    if value is None:
        return
    value, name, reading = value * metric.factor, metric.field, found.reading
    if name == "throttle_reasons":
        reading[name] = throttle_names(int(value)) if value >= 0 else None
    elif metric.add:
        reading[name] = _typed(name, reading.get(name, 0) + value)
    elif rank <= found.ranks.get(name, rank):
        found.ranks[name] = rank
        reading[name] = _typed(name, value)


def _typed(name: str, value: Decimal) -> Any:
    if name in _COUNTS:
        # Some sources give bytes as a mean over a minute; an error code with a fraction is none, and the message refuses a Decimal there.
        return round(value) if name != "xid" or value == value.to_integral_value() else value
    # The message has watts and joules to the millionth, and refuses what is larger than any machine's; so does Decimal's rounding.
    return round(value, 6) if name in _TO_THE_MILLIONTH and value.adjusted() < _BEYOND_MACHINES else value


def _finished(accelerators: dict[tuple[str, int | None], _Found], named: bool) -> list[Reading]:
    """Memory made whole, workloads put in, parents of MIG instances taken out after they gave what exists once per GPU."""
    parents = {uuid for uuid, instance in accelerators if instance is not None}
    readings = []
    for (uuid, instance), found in accelerators.items():
        reading = found.reading
        free, reserved = (reading.pop(name, None) for name in PARTS)
        if reading.get("memory_total_bytes") is None and free is not None and reading.get("memory_used_bytes") is not None:
            reading["memory_total_bytes"] = reading["memory_used_bytes"] + free + (reserved or 0)
        reading["processes"] = tuple(found.workloads.values()) if found.workloads else () if named else None
        if instance is None and uuid in parents:
            continue
        if instance is not None:
            reading["gpu_utilization_percent"] = None  # of the whole GPU, and meaningless under MIG
            parent = accelerators.get((uuid, None))
            for name in _OF_WHOLE_GPU:
                if parent is not None and reading.get(name) is None:
                    reading[name] = parent.reading.get(name)
        readings.append(reading)
    return readings
