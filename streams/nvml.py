"""What NVIDIA's driver says of this host's GPUs, through nvidia-ml-py's module `pynvml`.

Data flow: libnvidia-ml → pynvml → `NvmlHost.read` → readings (`streams.readings`) → message. NVML gives milliwatts, millijoules and
bytes; the message has watts, joules and bytes. What a GPU does not support, or a container may not see, is absent and never 0.
Under MIG each GPU instance is an accelerator; power, energy, temperature and clocks exist for the whole GPU only and are repeated on its
instances (docs/decisions/0030). The library is an argument, so that tests replay a recording of it (`streams.nvml_recording`).
Run alone: costlake telemetry collect --source nvml --once
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

from streams.events import GpuProcess, MigInstance
from streams.readings import NoAccelerator, Reading, SourceUnavailable, throttle_names

LOG = logging.getLogger(__name__)
_MILLI = Decimal("0.001")
_PROFILE = re.compile(r" MIG (?P<profile>\S+)$")
_NOT_MIG = 0xFFFFFFFF
_LARGEST = 2**50  # bytes: far above any GPU, far below the driver's sentinels
# NVML's way to say that this GPU, driver, permission or state has no such value; anything else is a failure.
_NO_VALUE = ("NotSupported", "NoPermission", "FunctionNotFound", "NoData", "NotFound", "InvalidArgument", "ArgumentVersionMismatch")
_LOST = ("GpuIsLost", "ResetRequired", "Unknown")
_PROCESS_LISTS = (
    "nvmlDeviceGetComputeRunningProcesses",
    "nvmlDeviceGetMPSComputeRunningProcesses",
    "nvmlDeviceGetGraphicsRunningProcesses",
)


class NvmlHost:
    """The GPUs of this machine, opened once.

    Args:
        library: the module `pynvml`, or an object with its functions, constants and exceptions.

    Raises:
        NoAccelerator: no driver, no library, or no GPU.
        SourceUnavailable: the driver is there and does not answer.
    """

    def __init__(self, library: Any) -> None:
        self._nvml = library
        self._no_value = self._errors(_NO_VALUE)
        self._lost = self._errors(_LOST)
        self._seen: dict[int, Reading] = {}  # what is known of a GPU by its index, for the time when it is lost
        self._process_times: dict[int, int] = {}  # µs until which process samples were read, per GPU
        self._failed = False
        self._open()

    def _errors(self, names: tuple[str, ...]) -> tuple[type[Exception], ...]:
        return tuple(getattr(self._nvml, f"NVMLError_{name}") for name in names)

    def _open(self) -> None:
        try:
            self._nvml.nvmlInit()
            count = self._nvml.nvmlDeviceGetCount()
        except self._errors(("LibraryNotFound", "DriverNotLoaded", "NotFound")) as error:
            raise NoAccelerator(
                f"no NVIDIA driver on this machine ({error})",
                where="NVML (libnvidia-ml.so.1)",
                expected="a loaded NVIDIA driver, and its library where this process can see it",
                next_step="run the collector on GPU nodes only; in a container pass the GPUs through (NVIDIA container runtime), or "
                "collect from dcgm-exporter with --source dcgm",
            ) from error
        except self._nvml.NVMLError as error:
            raise SourceUnavailable(
                f"the NVIDIA driver does not answer ({error})",
                where="nvmlInit",
                expected="a working driver of the library's version",
                next_step="look at nvidia-smi and at the kernel's log; a driver upgrade needs a restart of the container",
            ) from error
        if count == 0:
            raise NoAccelerator(
                "the NVIDIA driver knows no GPU on this machine",
                where="nvmlDeviceGetCount",
                expected="at least one GPU",
                next_step="run the collector on GPU nodes only, or see `lspci` for a GPU that has fallen off the bus",
            )

    @property
    def driver_version(self) -> str | None:
        """Version of the driver, as nvidia-smi shows it."""
        return _text(self._ask(self._nvml.nvmlSystemGetDriverVersion))

    def close(self) -> None:
        """Release the driver."""
        self._nvml.nvmlShutdown()

    def read(self) -> list[Reading]:
        """One reading per accelerator, now. A GPU that is lost is there with its identity alone.

        Raises SourceUnavailable when NVML itself fails (the driver was unloaded or upgraded under us).
        """
        readings: list[Reading] = []
        try:
            if self._failed:
                # A driver that was unloaded and loaded again does not know us any more.
                with suppress(self._nvml.NVMLError_Uninitialized):
                    self._nvml.nvmlShutdown()
                self._open()
                self._failed = False
            for index in range(self._nvml.nvmlDeviceGetCount()):
                readings += self._gpu(index)
        except self._nvml.NVMLError as error:
            self._failed = True
            raise SourceUnavailable(
                f"NVML failed ({error})",
                where="reading of the GPUs",
                expected="values, or NVML's word that there are none",
                next_step="nothing, if the driver is being upgraded: the next interval tries again; else see nvidia-smi",
            ) from error
        return readings

    def _gpu(self, index: int) -> list[Reading]:
        try:
            handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            whole = self._whole(handle, index)
            self._seen[index] = {key: whole.get(key) for key in ("gpu_uuid", "gpu_index", "model_name", "vendor", "accelerator_kind")}
            mode = self._ask(self._nvml.nvmlDeviceGetMigMode, handle)
            if mode is None or mode[0] != self._nvml.NVML_DEVICE_MIG_ENABLE:
                return [whole | self._of_device(handle, index)]
            instances = self._instances(handle, whole)
            return instances or [whole | {"processes": ()}]  # MIG without instances: nobody can use it
        except self._lost as error:
            LOG.error("GPU %d is lost (%s); it is reported without values", index, error)
            return [dict(self._seen[index])] if index in self._seen else []

    def _whole(self, handle: Any, index: int) -> Reading:
        """What belongs to the GPU as a whole, MIG or not."""
        nvml, ask = self._nvml, self._ask
        mask = ask(nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        temperature = ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        return {
            "gpu_uuid": _text(nvml.nvmlDeviceGetUUID(handle)),
            "gpu_index": index,
            "model_name": _text(ask(nvml.nvmlDeviceGetName, handle)),
            "vendor": "nvidia",
            "accelerator_kind": "gpu",
            "pci_bus_id": _text(getattr(ask(nvml.nvmlDeviceGetPciInfo, handle), "busId", None)),
            "power_watts": _scaled(ask(nvml.nvmlDeviceGetPowerUsage, handle)),
            "power_limit_watts": _scaled(ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
            "energy_joules": _scaled(ask(nvml.nvmlDeviceGetTotalEnergyConsumption, handle)),
            "temperature_celsius": None if temperature is None else Decimal(temperature),
            "sm_clock_mhz": ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
            "memory_clock_mhz": ask(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM),
            "throttle_reasons": None if mask is None else throttle_names(mask),
        }

    def _of_device(self, device: Any, index: int | None) -> Reading:
        """What a whole GPU (which has an index) and a MIG device both have: memory, utilisation, processes."""
        nvml, ask = self._nvml, self._ask
        rates = ask(nvml.nvmlDeviceGetUtilizationRates, device)
        memory = ask(nvml.nvmlDeviceGetMemoryInfo, device, nvml.nvmlMemory_v2) or ask(nvml.nvmlDeviceGetMemoryInfo, device)
        return {
            "gpu_utilization_percent": None if rates is None else Decimal(rates.gpu),
            "memory_utilization_percent": None if rates is None else Decimal(rates.memory),
            "memory_used_bytes": None if memory is None else memory.used,
            "memory_total_bytes": None if memory is None else memory.total,
            "processes": self._processes(device, index),
        }

    def _instances(self, handle: Any, whole: Reading) -> list[Reading]:
        """One reading per GPU instance. A MIG device is a compute instance; those of one GPU instance share its memory and its share of
        the cost, so they become one accelerator."""
        found: dict[int, Reading] = {}
        for number in range(self._ask(self._nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            device = self._ask(self._nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, number)
            if device is None:
                continue
            instance = int(self._nvml.nvmlDeviceGetGpuInstanceId(device))
            reading = whole | self._of_device(device, None)
            mig = MigInstance(
                gpu_instance_id=instance,
                compute_instance_id=self._ask(self._nvml.nvmlDeviceGetComputeInstanceId, device),
                profile=self._profile(device),
            )
            first = found.get(instance)
            if first is None:
                found[instance] = reading | {"mig": mig}
            else:
                first["mig"] = first["mig"].model_copy(update={"compute_instance_id": None})
                if first["processes"] is not None and reading["processes"] is not None:
                    first["processes"] = tuple({process.pid: process for process in first["processes"] + reading["processes"]}.values())
        return list(found.values())

    def _profile(self, device: Any) -> str | None:
        name = _text(self._ask(self._nvml.nvmlDeviceGetName, device)) or ""
        match = _PROFILE.search(name)
        if match is not None:
            return match["profile"]
        attributes = self._ask(self._nvml.nvmlDeviceGetAttributes, device)
        return None if attributes is None else f"{attributes.gpuInstanceSliceCount}g.{round(attributes.memorySizeMB / 1024)}gb"

    def _processes(self, device: Any, index: int | None) -> tuple[GpuProcess, ...] | None:
        """Processes on a device with the memory they hold; None where NVML may not tell. Names and users are not asked for (law 10)."""
        lists = [self._ask(getattr(self._nvml, name), device) for name in _PROCESS_LISTS]
        if all(each is None for each in lists):
            return None
        memory: dict[int, int | None] = {}
        for process in (process for each in lists for process in each or ()):
            used, known = process.usedGpuMemory, memory.get(process.pid)
            memory[process.pid] = known if used is None or used > _LARGEST else max(used, known or 0)
        busy = {} if index is None else self._sm_utilization(device, index)
        return tuple(
            GpuProcess(pid=pid, memory_used_bytes=used, sm_utilization_percent=busy.get(pid)) for pid, used in sorted(memory.items())
        )

    def _sm_utilization(self, gpu: Any, index: int) -> dict[int, Decimal]:
        """pid → newest SM utilisation since the last look; the driver keeps samples of some seconds."""
        samples = self._ask(self._nvml.nvmlDeviceGetProcessUtilization, gpu, self._process_times.get(index, 0)) or ()
        newest: dict[int, Any] = {}
        for sample in samples:
            if sample.pid not in newest or sample.timeStamp > newest[sample.pid].timeStamp:
                newest[sample.pid] = sample
        if newest:
            self._process_times[index] = max(sample.timeStamp for sample in newest.values())
        return {pid: Decimal(sample.smUtil) for pid, sample in newest.items() if sample.smUtil <= 100}

    def _ask(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """The call's value, or None where NVML has none; its sentinel for "not available" counts as none."""
        try:
            value = call(*arguments)
        except self._no_value:
            return None
        return None if value in (_NOT_MIG, 2**64 - 1) else value


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def _scaled(milli: int | None) -> Decimal | None:
    """Milliwatts, millijoules → watts, joules, exactly."""
    return None if milli is None else milli * _MILLI
