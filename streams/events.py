"""The GPU telemetry message: what one host's GPUs did in one interval, and its schema version.

Data flow: collector or simulator → `encode` → Kafka → `decode` → sink → bronze (Delta); what `decode` refuses is a dead letter.

A message carries all accelerators of its host, so that an interval is there as a whole or not at all. Units are in the names and are
the same whatever measured them: NVML gives milliwatts, millijoules and bytes, dcgm-exporter watts, millijoules and MiB. A value that
was not measured is absent, never 0, and a driver's "not supported" sentinel (about 1.8e19) is out of range. Field by field after
dcgm-exporter 4.8 and nvidia-ml-py 13. Process names, command lines and users have no field: they may hold secrets (law 10).
Version 1 grows by optional fields only, so that messages written before and after are both read (docs/decisions/0030).
Run alone: python -c "from streams.events import HostTelemetry; print(HostTelemetry.model_json_schema())"
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from costlake.errors import FatalError

Model = TypeVar("Model", bound=BaseModel)

SCHEMA_VERSION = 1
# Kafka's default limit of a message is 1 MiB; ours leaves room for the record's headers.
MAX_MESSAGE_BYTES = 1_000_000


class MessageError(FatalError):
    """A message that cannot be used; it belongs into the dead letters, the messages around it go on."""


class MalformedMessage(MessageError):
    """Bytes that are no telemetry message: not JSON, a field missing, of another type, or out of range."""


class UnsupportedVersion(MessageError):
    """A schema version that this release does not read, such as one written by a newer collector."""


Name = Annotated[str, Field(min_length=1, max_length=256)]
Percent = Annotated[Decimal, Field(ge=0, le=100)]
Ratio = Annotated[Decimal, Field(ge=0, le=1)]
# Upper bounds are far above any hardware and far below the drivers' sentinels.
Bytes = Annotated[int, Field(ge=0, le=2**50)]
Watts = Annotated[Decimal, Field(ge=0, le=100_000, decimal_places=6)]
Joules = Annotated[Decimal, Field(ge=0, lt=10**15, decimal_places=6)]
Celsius = Annotated[Decimal, Field(ge=-100, le=250)]
Identifier = Annotated[int, Field(ge=0, lt=2**32)]
Megahertz = Annotated[int, Field(ge=0, le=100_000)]
UtcTime = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class _Part(BaseModel):
    # Strict: "1" is no number and 1.0 no count. Unknown fields are kept (see `unknown_fields`), for collectors are upgraded first.
    model_config = ConfigDict(strict=True, frozen=True, extra="allow")


class MigInstance(_Part):
    """A slice of a GPU that the hardware isolates (MIG).

    Attributes:
        gpu_instance_id: GI id; with the GPU's UUID it identifies the slice.
        compute_instance_id: CI id inside it.
        profile: NVIDIA's name of the size, such as `1g.10gb`.
    """

    gpu_instance_id: Identifier
    compute_instance_id: Identifier | None = None
    profile: Name | None = None


class GpuProcess(_Part):
    """What holds or uses an accelerator: a process, or a pod of which only the assignment is known, and the workload it belongs to.

    Attributes:
        pid: process id on the host; it is used again after the process has ended. None where the source names the pod that holds the
            accelerator but no process (dcgm-exporter, a scheduler).
        memory_used_bytes: GPU memory it holds.
        sm_utilization_percent: time in which one of its kernels ran.
        namespace, pod, container: its place in Kubernetes.
        job_id: scheduler's or experiment tracker's id of the job.
        allocation_ratio: share of the accelerator that the scheduler gave to it (1 = all of it, 0.25 = one of four time slices).
    """

    pid: Identifier | None = None
    memory_used_bytes: Bytes | None = None
    sm_utilization_percent: Percent | None = None
    namespace: Name | None = None
    pod: Name | None = None
    container: Name | None = None
    job_id: Name | None = None
    allocation_ratio: Ratio | None = None


class Gpu(_Part):
    """One accelerator: a whole GPU, one MIG slice of it, a TPU chip, a NeuronCore.

    Attributes:
        gpu_uuid: the vendor's UUID (of the whole GPU also under MIG); index and host name are no identity, they move. Where a vendor
            gives none (NeuronCore), the machine's id on the bill and the index.
        gpu_index: index on the host, for people.
        model_name: product name, such as `NVIDIA H100 80GB HBM3`.
        vendor: `nvidia`, `amd`, `google`, `aws`; accelerator_kind: `gpu`, `tpu`, `neuron_core`. None means an NVIDIA GPU.
        pci_bus_id: `domain:bus:device.function`.
        mig: the slice; None for a whole GPU.
        gpu_utilization_percent: time in which any kernel ran; NVML does not give it for MIG slices.
        memory_utilization_percent: time in which device memory was read or written, not how full it is.
        sm_active_ratio, tensor_active_ratio, gr_engine_active_ratio, dram_active_ratio: profiling counters, mean of the interval.
        memory_used_bytes, memory_total_bytes: of this accelerator.
        power_watts: mean draw of the interval, or the draw at its end where the source gives no mean; of the whole GPU also under MIG.
        power_limit_watts: enforced limit.
        energy_joules: counter since the driver was loaded (it starts again from 0 then), at the end of the interval; of the whole GPU.
        temperature_celsius: of the core.
        sm_clock_mhz, memory_clock_mhz: at the end of the interval.
        throttle_reasons: what held the clocks down in the interval, as NVML names it in snake case (`sw_power_cap`, `hw_thermal_slowdown`);
            empty = nothing did. An idle GPU's low clock is no throttling.
        xid: last XID error code.
        processes: what held or used it at the end of the interval; empty = nothing, None = the source cannot tell.
    """

    gpu_uuid: Name
    gpu_index: Identifier | None = None
    model_name: Name | None = None
    vendor: Name | None = None
    accelerator_kind: Name | None = None
    pci_bus_id: Name | None = None
    mig: MigInstance | None = None
    gpu_utilization_percent: Percent | None = None
    memory_utilization_percent: Percent | None = None
    sm_active_ratio: Ratio | None = None
    tensor_active_ratio: Ratio | None = None
    gr_engine_active_ratio: Ratio | None = None
    dram_active_ratio: Ratio | None = None
    memory_used_bytes: Bytes | None = None
    memory_total_bytes: Bytes | None = None
    power_watts: Watts | None = None
    power_limit_watts: Watts | None = None
    energy_joules: Joules | None = None
    temperature_celsius: Celsius | None = None
    sm_clock_mhz: Megahertz | None = None
    memory_clock_mhz: Megahertz | None = None
    throttle_reasons: tuple[Name, ...] | None = None
    xid: Identifier | None = None
    processes: tuple[GpuProcess, ...] | None = None

    @property
    def identity(self) -> tuple[str, int | None]:
        """UUID and GPU instance: what a share of cost is booked on."""
        return self.gpu_uuid, None if self.mig is None else self.mig.gpu_instance_id

    @model_validator(mode="after")
    def _memory_fits(self) -> Gpu:
        used, total = self.memory_used_bytes, self.memory_total_bytes
        if used is not None and total is not None and used > total:
            raise ValueError(f"memory_used_bytes {used} is more than memory_total_bytes {total}")
        return self


class HostTelemetry(_Part):
    """Version 1 of the message: one host, one interval, all its accelerators.

    Attributes:
        schema_version: 1.
        event_id: the collector's id of the message; the same when it is sent again.
        cluster: our name of the cluster; host: node name in it.
        resource_id: id under which the bill names the machine (EC2 `i-…`), to join usage to cost.
        source: what measured: NVML itself, dcgm-exporter, another Prometheus exporter, a file of samples, or nothing (simulator).
        driver_version: of the NVIDIA driver.
        interval_start, interval_end: UTC, half-open.
        gpus: at least one; each accelerator once.
    """

    schema_version: Literal[1] = 1
    event_id: Name
    cluster: Name
    host: Name
    resource_id: Name | None = None
    source: Literal["nvml", "dcgm", "prometheus", "file", "simulator"]
    driver_version: Name | None = None
    interval_start: UtcTime
    interval_end: UtcTime
    gpus: Annotated[tuple[Gpu, ...], Field(min_length=1, max_length=1024)]

    @property
    def key(self) -> bytes:
        """Kafka's record key: messages of one host stay in order in one partition."""
        return f"{self.cluster}/{self.host}".encode()

    @model_validator(mode="after")
    def _is_one_interval_of_distinct_accelerators(self) -> HostTelemetry:
        if self.interval_end <= self.interval_start:
            raise ValueError(f"interval_end {_iso(self.interval_end)} is not after interval_start {_iso(self.interval_start)}")
        identities = [gpu.identity for gpu in self.gpus]
        twice = [identity for identity in identities if identities.count(identity) > 1]
        if twice:
            raise ValueError(f"accelerator {twice[0]} comes twice; its energy would be counted twice")
        return self


class _Versioned(BaseModel):
    schema_version: Annotated[int, Field(strict=True)]


# Versions that are read side by side: a collector is upgraded host by host, the consumer before all of them.
_MODELS: Mapping[int, type[HostTelemetry]] = {1: HostTelemetry}


def encode(message: HostTelemetry) -> bytes:
    """A message as compact JSON (UTF-8); decimals as text, absent values left out. Raises MalformedMessage when it is too large."""
    data = message.model_dump_json(exclude_none=True).encode()
    _check_size(data)
    return data


def decode(data: bytes) -> HostTelemetry:
    """Read a message of any supported version.

    Raises:
        UnsupportedVersion: JSON with a schema version that is not read here.
        MalformedMessage: anything else that is not a valid message, whatever the bytes are.
    """
    _check_size(data)
    version = _validated(_Versioned, data).schema_version
    model = _MODELS.get(version)
    if model is None:
        raise UnsupportedVersion(
            f"the message has schema version {version}",
            where="field schema_version",
            expected=f"one of {sorted(_MODELS)}",
            next_step="upgrade the consumer before the collectors, then replay the dead letters",
        )
    return _validated(model, data)


def unknown_fields(message: HostTelemetry) -> dict[str, Any]:
    """Fields that this version does not know, by path (`gpus.0.fan_percent`): kept for the table's `_extra`, and written again."""
    found: dict[str, Any] = {}
    _collect(message, "", found)
    return found


def _validated(model: type[Model], data: bytes) -> Model:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise MalformedMessage(
            f"{error.error_count()} error(s); the first: {first['msg']}",
            where=f"field {'.'.join(str(part) for part in first['loc'])}" if first["loc"] else f"message of {len(data)} bytes",
            expected=f"a GPU telemetry message, schema version {SCHEMA_VERSION} (streams/events.py)",
            next_step="look at the dead letter's bytes and at the collector that wrote them",
        ) from error


def _check_size(data: bytes) -> None:
    if len(data) > MAX_MESSAGE_BYTES:
        raise MalformedMessage(
            f"the message has {len(data)} bytes",
            where="whole message",
            expected=f"at most {MAX_MESSAGE_BYTES} bytes",
            next_step="shorten the list of processes, or send fewer accelerators per message",
        )


def _collect(part: BaseModel, prefix: str, found: dict[str, Any]) -> None:
    found |= {f"{prefix}{name}": value for name, value in (part.model_extra or {}).items()}
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, BaseModel):
            _collect(value, f"{prefix}{name}.", found)
        elif isinstance(value, tuple):
            for number, member in enumerate(value):
                if isinstance(member, BaseModel):
                    _collect(member, f"{prefix}{name}.{number}.", found)


def _iso(moment: datetime) -> str:
    return moment.isoformat()
