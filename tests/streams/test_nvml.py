"""NVML through the real `pynvml` where a driver is there, else through recordings of it: each test's id says which it used."""

from __future__ import annotations

import ctypes
import inspect
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from streams import nvml, readings
from streams.events import Gpu
from streams.nvml import NvmlHost
from streams.nvml_recording import RecordedLibrary, RecordingLibrary, RecordingMissing
from streams.readings import NoAccelerator, SourceUnavailable, gpus_of, mean_of

FIXTURES = Path(__file__).parent / "recordings"
MIG_A100 = "GPU-22222222-aaaa-4bbb-8ccc-00000000000{}"


def recorded(name: str) -> RecordedLibrary:
    return RecordedLibrary.load(FIXTURES / f"{name}.json", pynvml)


def read(name: str) -> dict[tuple[str, int | None], Gpu]:
    gpus, dropped = gpus_of(NvmlHost(recorded(name)).read())
    assert dropped == ()
    return {gpu.identity: gpu for gpu in gpus}


def _driver() -> bool:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    pynvml.nvmlShutdown()
    return True


LIBRARIES: list[Any] = [
    pytest.param(lambda: recorded("h100_whole"), id="recorded-h100"),
    pytest.param(lambda: recorded("a100_mig"), id="recorded-a100-mig"),
    pytest.param(
        lambda: pynvml, id="real-nvml", marks=pytest.mark.skipif(not _driver(), reason="no NVIDIA driver here: NVML is replayed instead")
    ),
]


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_accelerator_of_the_host_is_there_once_with_values_in_range(library: Callable[[], Any]) -> None:
    host = NvmlHost(library())
    gpus, dropped = gpus_of(host.read())
    assert gpus
    assert dropped == ()
    assert len({gpu.identity for gpu in gpus}) == len(gpus)
    assert all(gpu.memory_total_bytes is None or gpu.memory_total_bytes > 2**30 for gpu in gpus), "MiB taken for bytes"
    assert all(gpu.power_watts is None or Decimal(5) < gpu.power_watts < 3_000 for gpu in gpus), "milliwatts taken for watts"
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?", host.driver_version or "")
    host.close()


def test_milliwatts_and_millijoules_lose_no_digit() -> None:
    gpu = read("h100_whole")["GPU-11111111-aaaa-4bbb-8ccc-000000000000", None]
    assert (gpu.power_watts, gpu.power_limit_watts, gpu.energy_joules) == (Decimal("612.345"), Decimal(700), Decimal("812345678901.234"))
    assert (gpu.memory_used_bytes, gpu.memory_total_bytes) == (64 * 2**30, 85_520_809_984)
    assert (gpu.sm_clock_mhz, gpu.memory_clock_mhz, gpu.temperature_celsius) == (1_755, 2_619, Decimal(61))
    assert (gpu.throttle_reasons, gpu.pci_bus_id) == (("sw_power_cap",), "00000000:53:00.0")


def test_a_process_is_named_by_pid_alone_and_a_senseless_utilisation_is_left_out() -> None:
    processes = read("h100_whole")["GPU-11111111-aaaa-4bbb-8ccc-000000000000", None].processes
    assert processes is not None
    assert [(each.pid, each.memory_used_bytes, each.sm_utilization_percent) for each in processes] == [
        (4242, 32 * 2**30, Decimal(64)),
        (4243, 32 * 2**30, Decimal(33)),
    ]


def test_what_a_gpu_does_not_support_or_a_container_may_not_see_is_absent_and_not_zero() -> None:
    gpu = read("h100_whole")["GPU-11111111-aaaa-4bbb-8ccc-000000000001", None]
    assert gpu.energy_joules is None
    assert gpu.processes is None, "no permission to list processes is not the same as no process"
    assert gpu.throttle_reasons == (), "an idle GPU's low clock is no throttling"
    assert gpu.gpu_utilization_percent == 0


def test_mig_instances_are_the_accelerators_and_two_compute_instances_are_one_share() -> None:
    gpus = read("a100_mig")
    first = {instance: gpu for (uuid, instance), gpu in gpus.items() if uuid == MIG_A100.format(0)}
    assert set(first) == {7, 2, 9}, "the GPU itself beside its instances would be paid twice"
    assert {instance: gpu.mig.profile for instance, gpu in first.items() if gpu.mig} == {7: "1g.10gb", 2: "1c.3g.40gb", 9: "1g.10gb"}
    shared = first[2]
    assert shared.mig is not None
    assert shared.mig.compute_instance_id is None
    assert shared.memory_used_bytes == 20 * 2**30, "memory belongs to the GPU instance, not to each compute instance"
    assert shared.processes is not None
    assert [each.pid for each in shared.processes] == [12, 13]
    assert {gpu.gpu_utilization_percent for gpu in first.values()} == {None}, "NVML gives no utilisation of an instance"
    assert {gpu.power_watts for gpu in first.values()} == {Decimal(251)}
    assert {gpu.energy_joules for gpu in first.values()} == {Decimal("5000000.5")}


def test_a_gpu_in_mig_mode_without_instances_is_still_paid_for() -> None:
    empty = read("a100_mig")[MIG_A100.format(1), None]
    assert (empty.processes, empty.power_watts) == ((), Decimal(60))


def test_a_gpu_that_falls_off_the_bus_stays_in_the_message_without_values(caplog: pytest.LogCaptureFixture) -> None:
    host = NvmlHost(recorded("a100_mig"))
    host.read()
    gpus, _ = gpus_of(host.read())
    lost = next(gpu for gpu in gpus if gpu.gpu_uuid == MIG_A100.format(2))
    assert (lost.power_watts, lost.memory_used_bytes, lost.processes) == (None, None, None)
    assert "GPU 2 is lost" in caplog.text


def test_samples_of_an_interval_are_averaged_and_its_throttling_is_not_forgotten() -> None:
    host = NvmlHost(recorded("h100_whole"))
    gpu = gpus_of(mean_of([host.read(), host.read()]))[0][0]
    assert gpu.gpu_utilization_percent == Decimal("94.5")
    assert gpu.power_watts == Decimal(634)
    assert gpu.energy_joules == Decimal("812345698901.234"), "a counter is as it was at the end"
    assert gpu.throttle_reasons == ("sw_power_cap", "hw_thermal_slowdown")


def test_a_machine_without_driver_or_gpu_is_told_what_to_do() -> None:
    class Library(RecordedLibrary):
        def __init__(self, error: str | None) -> None:
            entry = {"call": "nvmlInit", "arguments": [], **({"error": error} if error else {"result": None})}
            super().__init__({"note": "none", "calls": [entry, {"call": "nvmlDeviceGetCount", "arguments": [], "result": 0}]}, pynvml)

    for error in ("NVMLError_LibraryNotFound", "NVMLError_DriverNotLoaded", None):
        with pytest.raises(NoAccelerator) as caught:
            NvmlHost(Library(error))
        assert caught.value.next_step
    with pytest.raises(SourceUnavailable):
        NvmlHost(Library("NVMLError_LibRmVersionMismatch"))


def test_a_driver_that_was_loaded_anew_is_opened_anew() -> None:
    class Reloaded(RecordedLibrary):
        counts, opened = 0, 0

        def nvmlInit(self) -> None:  # noqa: N802
            self.opened += 1

        def nvmlDeviceGetCount(self) -> int:  # noqa: N802
            self.counts += 1
            if self.counts == 2:
                raise pynvml.NVMLError_Uninitialized
            return 2

    library = Reloaded(json.loads((FIXTURES / "h100_whole.json").read_text()), pynvml)
    host = NvmlHost(library)
    with pytest.raises(SourceUnavailable):
        host.read()
    assert len(host.read()) == 2
    assert library.opened == 2


def test_the_recorded_library_asks_nothing_that_pynvml_has_not() -> None:
    asked = set(re.findall(r"nvml\.(nvml\w+|NVML\w+)|\"(nvmlDevice\w+)\"", inspect.getsource(nvml)))
    assert len(asked) > 20
    for name in (a or b for a, b in asked):
        assert hasattr(pynvml, name), name
    for file in FIXTURES.glob("*.json"):
        for entry in json.loads(file.read_text())["calls"]:
            inspect.signature(getattr(pynvml, entry["call"])).bind(*entry["arguments"])
            assert "error" not in entry or issubclass(getattr(pynvml, entry["error"]), pynvml.NVMLError)


def test_throttle_bits_are_those_of_the_driver() -> None:
    for name, bit in vars(pynvml).items():
        match = re.fullmatch(r"nvmlClocksThrottleReason(?!All|None|GpuIdle|UserDefined)(\w+)", name)
        if match:
            snake = re.sub(r"(?<!^)(?=[A-Z])", "_", match[1]).lower()
            assert readings.throttle_names(bit) == (snake,)
    assert readings.throttle_names(0x1) == ()
    assert readings.throttle_names(0x10000) == ("unknown_0x10000",)


class _RealLooking:
    """The shapes that pynvml returns: ctypes pointers and structs, bytes of an old driver, exceptions made from a code."""

    def __getattr__(self, name: str) -> Any:
        return getattr(pynvml, name)

    def nvmlInit(self) -> None: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any:  # noqa: N802
        return ctypes.cast(ctypes.c_void_p(4096 + index), pynvml.c_nvmlDevice_t)

    def nvmlDeviceGetUUID(self, handle: Any) -> bytes:  # noqa: N802
        assert ctypes.cast(handle, ctypes.c_void_p).value == 4096
        return b"GPU-1"

    def nvmlDeviceGetMemoryInfo(self, handle: Any, version: int | None = None) -> Any:  # noqa: N802
        return pynvml.c_nvmlMemory_v2_t(version=version or 0, total=8 * 2**30, used=2**30)

    def nvmlDeviceGetPowerUsage(self, handle: Any) -> int:  # noqa: N802
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def test_a_recording_replays_what_the_library_said(tmp_path: Path) -> None:
    library = RecordingLibrary(_RealLooking())
    handle = library.nvmlDeviceGetHandleByIndex(0)
    assert library.nvmlDeviceGetUUID(handle) == b"GPU-1"
    assert library.nvmlDeviceGetMemoryInfo(handle, library.nvmlMemory_v2).used == 2**30
    with pytest.raises(pynvml.NVMLError_NotSupported):
        library.nvmlDeviceGetPowerUsage(handle)
    library.save(tmp_path / "recording.json", "made up")
    again = RecordedLibrary.load(tmp_path / "recording.json", pynvml)
    handle = again.nvmlDeviceGetHandleByIndex(0)
    assert again.nvmlDeviceGetUUID(handle) == "GPU-1"
    assert again.nvmlDeviceGetMemoryInfo(handle, again.nvmlMemory_v2) == SimpleNamespace(
        version=pynvml.nvmlMemory_v2, total=8 * 2**30, reserved=0, free=0, used=2**30
    )
    with pytest.raises(pynvml.NVMLError_NotSupported):
        again.nvmlDeviceGetPowerUsage(handle)
    with pytest.raises(RecordingMissing, match="nvmlDeviceGetName"):
        again.nvmlDeviceGetName(handle)
