"""Two ways from bytes to rows must agree: what the fast one takes, the strict one takes with the same rows; the rest is refused by type."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams import samples
from streams.events import Gpu, GpuProcess, HostTelemetry, MalformedMessage, MessageError, MigInstance, UnsupportedVersion, encode
from streams.tables import GPU_TELEMETRY, PROCESS
from tests.streams import fleet
from tests.streams.test_events import decimals, message, processes

FULL = message(
    driver_version="560.35",
    gpus=(
        Gpu(
            gpu_uuid="GPU-1",
            gpu_index=3,
            model_name="H100",
            mig=MigInstance(gpu_instance_id=1, compute_instance_id=0, profile="1g.10gb"),
            gpu_utilization_percent=Decimal("99.5"),
            sm_active_ratio=Decimal("0.5"),
            tensor_active_ratio=Decimal(1),
            gr_engine_active_ratio=Decimal(0),
            dram_active_ratio=Decimal("0.000001"),
            memory_used_bytes=1,
            memory_total_bytes=2,
            power_watts=Decimal("612.345678"),
            power_limit_watts=Decimal(700),
            energy_joules=Decimal("999999999999999.999999"),
            temperature_celsius=Decimal("-1.5"),
            xid=79,
            vendor="nvidia",
            accelerator_kind="gpu",
            pci_bus_id="0000:1b:00.0",
            memory_utilization_percent=Decimal("12.5"),
            sm_clock_mhz=1980,
            memory_clock_mhz=2619,
            throttle_reasons=("sw_power_cap", "hw_slowdown"),
            processes=(
                GpuProcess(
                    pid=1, memory_used_bytes=5, sm_utilization_percent=Decimal("1.25"), namespace="n", pod="p", container="c", job_id="j"
                ),
                GpuProcess(pid=2, allocation_ratio=Decimal("0.25")),
                GpuProcess(namespace="n"),
            ),
        ),
        Gpu(gpu_uuid="GPU-2", processes=(), throttle_reasons=()),
        Gpu(gpu_uuid="GPU-3"),
    ),
)
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        1.5,
        1e3,
        10**18,
        2**63,
        2**64,
        "",
        " ",
        "x",
        "x" * 256,
        "x" * 257,
        [],
        {},
        [None],
        [[]],
        [{}],
        {"a": 1},
    ),
    *("1", "-1", "1.0", "1.5", "-0", "01", "1e3", "1_0", "+1", " 1", "1.", ".5", "NaN", "Infinity", "0x1", "1.0000001", "100.000001"),
    *("999999999999999", "1000000000000000", "18446744073709551615", "nvml", "dcgm", "äöü", "a\nb", "a\\b", "\u0000", "\ud83d\ude00"),
    *("2026-10-05T12:00:00Z", "2026-10-05T12:00:30.123456Z", "2026-10-05T12:00:30.1234567Z", "2026-10-05T14:00:00+02:00"),
    *("2026-02-30T12:00:00Z", "2026-10-05T24:00:00Z", "2026-10-05T12:00:60Z", "2026-10-05 12:00:00Z", "2026-10-05T12:00Z", "2026-10-05"),
    *("0000-10-05T12:00:00Z", "9999-12-31T23:59:59Z", "1791201630", "2026-10-05T12:00:00z"),
]


def _rows(table: Any) -> list[dict[str, Any]]:
    return sorted((row for row in table.to_pylist()), key=lambda row: (row["_message"], row["gpu_uuid"], str(row["mig_gpu_instance_id"])))


def _by_pydantic(values: list[bytes]) -> samples.Samples:
    rows, refused = samples._one_by_one(enumerate(values))
    return samples.Samples(rows, refused, 0)


def _agree(values: list[bytes]) -> samples.Samples:
    fast, strict = samples.read(values), _by_pydantic(values)
    assert fast.refused.keys() == strict.refused.keys()
    assert {number: str(error) for number, error in fast.refused.items()} == {n: str(error) for n, error in strict.refused.items()}
    assert _rows(fast.rows) == _rows(strict.rows)
    return fast


def _places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield (*path, key)
            yield from _places(content[key], (*path, key))


def _changed(content: Any, path: tuple[Any, ...], value: Any, *, drop: bool = False) -> bytes:
    content = copy.deepcopy(content)
    part = content
    for key in path[:-1]:
        part = part[key]
    if drop:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")


def test_every_field_of_a_message_has_a_column_so_that_none_is_lost_on_the_way() -> None:
    host = set(HostTelemetry.model_fields) - {"gpus"}
    gpu = set(Gpu.model_fields) - {"mig"} | {f"mig_{name}" for name in MigInstance.model_fields}
    assert (host | gpu) == set(samples.SAMPLE.names)
    assert set(GpuProcess.model_fields) == {field.name for field in PROCESS}
    assert set(samples.SAMPLE.names) < set(GPU_TELEMETRY.schema.names)


def test_a_message_with_every_field_goes_the_fast_way_and_loses_nothing() -> None:
    found = _agree([encode(FULL), encode(fleet.event(1))])
    assert found.by_columns == 2
    assert found.rows.num_rows == 3 + fleet.GPUS
    first = _rows(found.rows)[0]
    assert (first["mig_profile"], first["power_watts"], first["processes"][0]["sm_utilization_percent"]) == ("1g.10gb", 612.345678, 1.25)
    assert [row["processes"] for row in _rows(found.rows)[1:3]] == [[], None]


def test_every_odd_value_at_every_place_is_judged_as_the_strict_way_judges_it() -> None:
    content = json.loads(encode(FULL))
    # The first of each list stands for the others.
    places = [path for path in _places(content) if not any(isinstance(key, int) and key > 0 for key in path)]
    changed = [_changed(content, path, value) for path in places for value in ODD]
    changed += [_changed(content, path, None, drop=True) for path in places]
    taken = 0
    for value in filter(samples._is_plain, changed):
        # Alone, for in a batch one message that Arrow cannot read would hide what it does to the others.
        for rows, numbers in samples._by_columns([(0, value)]):
            strict, refused = samples._one_by_one([(0, value)] if numbers else [])
            assert not refused, value
            assert _rows(rows) == _rows(strict), value
            taken += len(numbers)
    assert taken > 200, "the fast way takes too little to be tested"
    good = [encode(fleet.event(number)) for number in range(len(changed[::37]))]
    _agree([value for pair in zip(changed[::37], good, strict=True) for value in pair])


ascii_names = st.text(alphabet=[chr(code) for code in range(0x20, 0x7F)], min_size=1, max_size=12)
fleets = st.lists(
    st.builds(
        message,
        host=ascii_names,
        event_id=ascii_names,
        resource_id=st.none() | ascii_names,
        gpus=st.lists(
            st.builds(
                Gpu,
                gpu_uuid=st.uuids().map(str),
                model_name=st.none() | ascii_names,
                mig=st.none() | st.builds(MigInstance, gpu_instance_id=st.integers(0, 7), profile=st.none() | ascii_names),
                memory_total_bytes=st.none() | st.integers(0, 2**50),
                sm_active_ratio=st.none() | decimals(0, 1),
                power_watts=st.none() | decimals(0, 100_000),
                energy_joules=st.none() | decimals(0, 10**15 - 1),
                temperature_celsius=st.none() | decimals(-100, 250),
                processes=st.none() | st.lists(processes, max_size=2).map(tuple),
            ),
            min_size=1,
            max_size=4,
        ).map(tuple),
    ),
    min_size=1,
    max_size=20,
)


@given(fleets)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_generated_messages_give_the_same_rows_both_ways(sent: list[HostTelemetry]) -> None:
    assert _agree([encode(each) for each in sent]).refused == {}


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_flipped_bytes_in_a_batch_spoil_only_their_own_message(flips: list[tuple[int, int]]) -> None:
    values = []
    for number, (place, byte) in enumerate(flips):
        data = bytearray(encode(FULL if number % 2 else fleet.event(number)))
        data[place % len(data)] = byte
        values += [bytes(data), encode(fleet.event(number, prefix="good"))]
    found = _agree(values)
    assert not any(number % 2 for number in found.refused)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b"{}{}",
        encode(FULL) + encode(FULL),
        encode(FULL)[:-1] + b"\n}",
        b'{"schema_version":1,"schema_version":1' + encode(FULL)[19:],
        encode(FULL).replace(b'"xid":79', b'"xid":79,"xid":80'),
        encode(FULL).replace(b"GPU-1", b"GPU-\xff"),
        encode(FULL).replace(b"GPU-1", b"GPU-\\u0041"),
        encode(FULL).replace(b"GPU-2", b"GPU-3"),
        b"{" * 50_000 + b"}",
    ],
    ids=["empty", "nothing", "two-objects", "two-in-one", "newline", "key-twice", "inner-key-twice", "not-utf8", "escape", "twins", "deep"],
)
def test_hostile_bytes_are_judged_as_the_strict_way_judges_them(value: bytes) -> None:
    good = [encode(fleet.event(number)) for number in range(40)]
    found = _agree([*good[:20], value, *good[20:]])
    assert set(found.refused) <= {20}


def test_a_record_without_value_is_a_dead_letter_and_no_crash() -> None:
    found = samples.read([None, encode(fleet.event(1))])
    assert isinstance(found.refused[0], MalformedMessage)
    assert found.rows.num_rows == fleet.GPUS


def test_versions_are_read_side_by_side_and_fields_of_newer_collectors_kept() -> None:
    newer = {**json.loads(encode(fleet.event(1))), "rack": "r7"}
    future = {**newer, "schema_version": 2}
    found = _agree([encode(fleet.event(0)), json.dumps(newer).encode(), json.dumps(future).encode()])
    assert isinstance(found.refused[2], UnsupportedVersion)
    assert {row["_extra"] for row in found.rows.to_pylist()} == {None, '{"rack": "r7"}'}


def test_an_empty_batch_has_the_columns_of_a_full_one() -> None:
    assert samples.read([]).rows.schema == samples.read([encode(FULL)]).rows.schema
    assert issubclass(MalformedMessage, MessageError)
