"""Readings on their way to a message: what a source measured of one accelerator, before anybody has judged it.

Data flow: NVML, an exporter's scrape or a file of samples → `Reading` (fields of `streams.events.Gpu`) → `mean_of` several in an
interval → `gpu_of` → message. A value that is out of its field's range (a driver's sentinel, garbage after a reset) is left out and
named; the rest of the accelerator and of the host goes on.
Run alone: python -c "from streams.readings import throttle_names; print(throttle_names(0x44))"
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from costlake.errors import FatalError, RetryableError
from streams.events import Gpu

Reading = dict[str, Any]

# Bits of nvml.h's clocks event reasons (0x200 and 0x400 are dcgm's). An idle GPU (0x1) has a low clock, but nothing holds it down.
_THROTTLE_BITS = {
    0x2: "applications_clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}
# What changes within an interval is averaged over its samples, each of which stands for the same time; counters and clocks are as they
# were at the end.
_AVERAGED = (
    "gpu_utilization_percent",
    "memory_utilization_percent",
    "sm_active_ratio",
    "tensor_active_ratio",
    "gr_engine_active_ratio",
    "dram_active_ratio",
    "power_watts",
)
_PLACES = Decimal("0.000001")


class NoAccelerator(FatalError):
    """No accelerator, or no driver for it, on a machine whose accelerators were to be measured."""


class SourceUnavailable(RetryableError):
    """The driver or the exporter does not answer now."""


def throttle_names(mask: int) -> tuple[str, ...]:
    """Names of the set bits of NVML's clocks event reasons, idle left out; a bit that is not known is named by its value."""
    known = tuple(name for bit, name in _THROTTLE_BITS.items() if mask & bit)
    rest = mask & ~sum(_THROTTLE_BITS) & ~0x1
    return known if not rest else (*known, f"unknown_{rest:#x}")


def identity(reading: Reading) -> tuple[str, int | None]:
    """As `Gpu.identity`: UUID and MIG instance."""
    mig = reading.get("mig")
    return reading["gpu_uuid"], None if mig is None else mig.gpu_instance_id


def mean_of(samples: Sequence[Sequence[Reading]]) -> list[Reading]:
    """One reading per accelerator out of the samples of an interval, which are evenly spaced and in order of time.

    Utilisation and power become the mean of the samples that have them, throttle reasons their union; everything else is as of the last
    sample. An accelerator that is missing in the last sample (a GPU that was lost, a MIG instance destroyed) keeps its last reading.
    """
    by_identity: dict[tuple[str, int | None], list[Reading]] = {}
    for sample in samples:
        for reading in sample:
            by_identity.setdefault(identity(reading), []).append(reading)
    return [_mean(readings) for readings in by_identity.values()]


def _mean(readings: list[Reading]) -> Reading:
    merged = dict(readings[-1])
    for name in _AVERAGED:
        values = [reading[name] for reading in readings if reading.get(name) is not None]
        if len(values) > 1:
            merged[name] = (sum(values, Decimal(0)) / len(values)).quantize(_PLACES)
    reasons = [reading["throttle_reasons"] for reading in readings if reading.get("throttle_reasons") is not None]
    if reasons:
        merged["throttle_reasons"] = tuple(dict.fromkeys(name for names in reasons for name in names))
    return merged


def gpu_of(reading: Reading) -> tuple[Gpu, tuple[str, ...]]:
    """The accelerator of a reading, and the names of the values left out because they are none (absent values are not among them).

    Raises NoAccelerator when what is wrong is the accelerator's identity itself.
    """
    values = {name: value for name, value in reading.items() if value is not None}
    dropped: list[str] = []
    while True:
        try:
            return Gpu(**values), tuple(dropped)
        except ValidationError as error:
            wrong = _fields_in(error)
            if "gpu_uuid" in wrong or not wrong & set(values):
                raise NoAccelerator(
                    "a reading names no accelerator",
                    where=f"reading of {reading.get('gpu_uuid', 'an accelerator without UUID')!r}",
                    expected="a UUID of 1 to 256 characters",
                    next_step="look at what the source says of its accelerators; an exporter's mapping may name the wrong label",
                ) from error
            dropped += sorted(wrong & set(values))
            values = {name: value for name, value in values.items() if name not in wrong}


def _fields_in(error: ValidationError) -> set[str]:
    found: set[str] = set()
    for each in error.errors(include_input=False, include_url=False):
        # The only rule over several fields is that used memory fits into the whole.
        found |= {str(each["loc"][0])} if each["loc"] else {"memory_used_bytes"}
    return found


def gpus_of(readings: Iterable[Reading]) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """All accelerators of a host, in order of index and instance, and the names of what was left out."""
    gpus: list[Gpu] = []
    dropped: list[str] = []
    for reading in readings:
        gpu, left_out = gpu_of(reading)
        gpus.append(gpu)
        dropped += left_out
    gpus.sort(key=lambda gpu: (gpu.gpu_index is None, gpu.gpu_index or 0, gpu.gpu_uuid, gpu.identity[1] or 0))
    return tuple(gpus), tuple(dropped)
