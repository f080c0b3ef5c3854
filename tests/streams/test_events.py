"""The GPU telemetry message: what goes in comes out, and what is no message is refused by type, never half read."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlake.errors import FatalError
from streams.events import (
    MAX_MESSAGE_BYTES,
    Gpu,
    GpuProcess,
    HostTelemetry,
    MalformedMessage,
    MessageError,
    MigInstance,
    UnsupportedVersion,
    decode,
    encode,
    unknown_fields,
)
from streams.tables import GPU_TELEMETRY

START = dt.datetime(2026, 10, 5, 12, 0, tzinfo=dt.UTC)


def message(**changes: Any) -> HostTelemetry:
    gpu = Gpu(
        gpu_uuid="GPU-8f1d",
        gpu_index=0,
        model_name="NVIDIA H100 80GB HBM3",
        sm_active_ratio=Decimal("0.913"),
        memory_used_bytes=64 * 2**30,
        memory_total_bytes=80 * 2**30,
        power_watts=Decimal("612.345"),
        energy_joules=Decimal("812345678901.234"),
        temperature_celsius=Decimal(61),
        processes=(GpuProcess(pid=4242, memory_used_bytes=2**30, namespace="training", pod="llm-0", job_id="run-7"),),
    )
    fields: dict[str, Any] = {
        "event_id": "e-1",
        "cluster": "c1",
        "host": "node-1",
        "resource_id": "i-0abc",
        "source": "nvml",
        "interval_start": START,
        "interval_end": START + dt.timedelta(seconds=30),
        "gpus": (gpu,),
    }
    return HostTelemetry(**{**fields, **changes})


def as_json(**changes: Any) -> bytes:
    return json.dumps({**json.loads(encode(message())), **changes}).encode()


names = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())
counts = st.integers(0, 2**32 - 1)
sizes = st.integers(0, 2**50)


def decimals(low: int, high: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(low, high, places=6, allow_nan=False, allow_infinity=False)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


processes = st.builds(
    GpuProcess, pid=counts, memory_used_bytes=maybe(sizes), sm_utilization_percent=maybe(decimals(0, 100)), pod=maybe(names)
)
gpus = st.builds(
    Gpu,
    gpu_uuid=names,
    gpu_index=maybe(counts),
    mig=maybe(st.builds(MigInstance, gpu_instance_id=counts, profile=maybe(names))),
    sm_active_ratio=maybe(decimals(0, 1)),
    memory_total_bytes=maybe(sizes),
    power_watts=maybe(decimals(0, 100_000)),
    energy_joules=maybe(decimals(0, 10**15 - 1)),
    temperature_celsius=maybe(decimals(-100, 250)),
    processes=maybe(st.lists(processes, max_size=3).map(tuple)),
)
messages = st.builds(
    message,
    host=names,
    source=st.sampled_from(["nvml", "dcgm", "simulator"]),
    interval_start=st.integers(0, 3_600 * 24 * 365).map(lambda seconds: START - dt.timedelta(seconds=seconds)),
    gpus=st.lists(gpus, min_size=1, max_size=4, unique_by=lambda gpu: gpu.identity).map(tuple),
)


@given(messages)
def test_no_digit_is_lost_between_collector_and_sink(sent: HostTelemetry) -> None:
    assert decode(encode(sent)) == sent
    assert encode(decode(encode(sent))) == encode(sent)


@given(st.binary(max_size=400))
def test_whatever_the_bytes_only_a_message_error_comes_out(data: bytes) -> None:
    with pytest.raises(MessageError):
        decode(data)


@given(st.integers(0, 600), st.integers(0, 255))
def test_one_flipped_byte_never_brings_the_consumer_down(place: int, byte: int) -> None:
    data = bytearray(encode(message()))
    data[place % len(data)] = byte
    try:
        decode(bytes(data))
    except MessageError as error:
        assert error.next_step  # noqa: PT017 - both outcomes are right; a third is not


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"schema_version": 1}',
        b"[" * 100_000,
        b'{"schema_version": 1, "host": "\\ud800"}',
        b'{"schema_version": ' + b"9" * 5_000 + b"}",
        b"\xff\xfe\x00",
        encode(message())[:-1],
        encode(message()) + b"x",
    ],
    ids=["empty", "null", "list", "no-version", "nothing-else", "deep", "surrogate", "huge-number", "not-utf8", "cut", "two-in-one"],
)
def test_hostile_bytes_are_a_typed_error_with_a_next_step(data: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode(data)
    assert isinstance(caught.value, FatalError)
    assert caught.value.next_step


def test_a_message_larger_than_the_broker_takes_is_refused_on_both_sides() -> None:
    with pytest.raises(MalformedMessage, match="bytes"):
        decode(as_json(padding="x" * MAX_MESSAGE_BYTES))
    big = decode(as_json(padding="x" * (MAX_MESSAGE_BYTES - 2_000)))
    with pytest.raises(MalformedMessage, match="bytes"):
        encode(big.model_copy(update={"event_id": "y" * 5_000}))


@pytest.mark.parametrize("version", [0, 2, 99, -1])
def test_a_version_from_the_future_is_not_read_as_if_it_were_known(version: int) -> None:
    with pytest.raises(UnsupportedVersion, match=f"version {version}") as caught:
        decode(as_json(schema_version=version))
    assert "upgrade the consumer" in caught.value.next_step


@pytest.mark.parametrize("version", ["1", 1.5, None, True, [1]])
def test_a_version_that_is_no_number_is_malformed(version: object) -> None:
    with pytest.raises(MalformedMessage):
        decode(as_json(schema_version=version))


def test_fields_of_a_newer_collector_are_kept_aside_and_travel_on() -> None:
    content = json.loads(encode(message()))
    content["rack"] = "r7"
    content["gpus"][0]["fan_percent"] = 40
    content["gpus"][0]["processes"][0]["cgroup"] = "/kubepods"
    read = decode(json.dumps(content).encode())
    aside = {"rack": "r7", "gpus.0.fan_percent": 40, "gpus.0.processes.0.cgroup": "/kubepods"}
    assert unknown_fields(read) == aside
    assert unknown_fields(decode(encode(read))) == aside
    assert unknown_fields(message()) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("power_watts", "18446744073709551615"),  # DCGM's "not supported"
        ("power_watts", "-1"),
        ("power_watts", "NaN"),
        ("energy_joules", "1e20"),
        ("memory_used_bytes", 2**63),
        ("memory_used_bytes", 1.5),
        ("memory_used_bytes", "12"),
        ("memory_used_bytes", 81 * 2**30),  # more than the GPU has
        ("sm_active_ratio", "91.3"),  # percent taken for a ratio
        ("sm_clock_mhz", 1_980_000),  # kHz
        ("processes", [{"pid": 1, "allocation_ratio": "25"}]),
        ("temperature_celsius", "Infinity"),
        ("gpu_uuid", ""),
        ("mig", {"profile": "1g.10gb"}),
    ],
)
def test_a_sentinel_or_a_wrong_unit_does_not_become_a_cost(field: str, value: object) -> None:
    gpu = {**json.loads(encode(message()))["gpus"][0], field: value}
    with pytest.raises(MalformedMessage) as caught:
        decode(as_json(gpus=[gpu]))
    assert "gpus.0" in caught.value.where


def test_an_accelerator_that_comes_twice_would_double_its_energy() -> None:
    gpu = json.loads(encode(message()))["gpus"][0]
    with pytest.raises(MalformedMessage, match="twice"):
        decode(as_json(gpus=[gpu, gpu]))
    slices = [{**gpu, "mig": {"gpu_instance_id": number}} for number in (1, 2)]
    assert len(decode(as_json(gpus=slices)).gpus) == 2


def test_an_interval_must_run_forward_and_name_its_zone() -> None:
    for changes in ({"interval_end": "2026-10-05T12:00:00Z"}, {"interval_end": "2026-10-05T12:00:30"}, {"interval_end": 1_791_201_630}):
        with pytest.raises(MalformedMessage):
            decode(as_json(**changes))
    shifted = decode(as_json(interval_start="2026-10-05T14:00:00+02:00"))
    assert (shifted.interval_start, shifted.interval_start.tzinfo) == (START, dt.UTC)


WRITTEN_BEFORE_THE_OPTIONAL_FIELDS = (
    b'{"schema_version":1,"event_id":"e-1","cluster":"c1","host":"node-1","source":"dcgm","interval_start":"2026-10-05T12:00:00Z",'
    b'"interval_end":"2026-10-05T12:00:30Z","gpus":[{"gpu_uuid":"GPU-1","power_watts":"68.5","processes":[{"pid":7,"pod":"llm-0"}]}]}'
)


def test_messages_from_before_and_after_the_optional_fields_are_both_read() -> None:
    old = decode(WRITTEN_BEFORE_THE_OPTIONAL_FIELDS)
    assert encode(old) == WRITTEN_BEFORE_THE_OPTIONAL_FIELDS, "a replayed message is the same message"
    assert (old.gpus[0].vendor, old.gpus[0].throttle_reasons, old.gpus[0].sm_clock_mhz) == (None, None, None)
    gpu = Gpu(
        gpu_uuid="2605441806135329501-404",
        vendor="google",
        accelerator_kind="tpu",
        pci_bus_id="0000:00:04.0",
        memory_utilization_percent=Decimal("12.5"),
        sm_clock_mhz=1_980,
        memory_clock_mhz=2_619,
        throttle_reasons=("sw_power_cap",),
        processes=(GpuProcess(pod="llm-0", allocation_ratio=Decimal("0.25")),),
    )
    new = message(source="prometheus", gpus=(gpu,))
    assert decode(encode(new)) == new
    assert unknown_fields(decode(encode(new))) == {}


def test_every_field_of_the_message_has_a_column_of_its_name() -> None:
    inside = {"gpus", "mig"}
    columns = (set(HostTelemetry.model_fields) | set(Gpu.model_fields)) - inside
    columns |= {"mig_gpu_instance_id", "mig_compute_instance_id", "mig_profile"}
    assert columns <= set(GPU_TELEMETRY.schema.names)
    process = GPU_TELEMETRY.schema.field("processes").type.value_type
    assert {field.name for field in process} == set(GpuProcess.model_fields)


def test_what_was_not_measured_is_absent_and_not_zero() -> None:
    bare = decode(encode(message(gpus=(Gpu(gpu_uuid="GPU-1"),))))
    assert bare.gpus[0].power_watts is None
    assert b"power_watts" not in encode(bare)


def test_messages_of_a_host_share_a_key_so_that_they_stay_in_order() -> None:
    assert message(event_id="e-2").key == message().key == b"c1/node-1"
