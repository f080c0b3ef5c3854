"""Messages → rows of `bronze.gpu_telemetry`: by columns where a message is plain, by `streams.events.decode` for anything else.

Data flow: bytes of many messages → Arrow's JSON reader with the exact types → the message's rules as column operations → rows;
what this way cannot vouch for → pydantic, message by message → rows or the error.

The column way takes a message only if every rule of `events` holds for certain (ASCII without escapes, every field known and of the
very type, decimals as `encode` writes them, times in UTC): it may leave a good message to pydantic, it never takes one that pydantic
would refuse. tests/streams/test_samples.py holds both ways against each other.
Run alone: python -c "from streams.samples import read; print(read([b'{}']))"
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from costlake.errors import CostlakeError
from costlake.tables import COUNT, TEXT, TIMESTAMP
from streams.events import MAX_MESSAGE_BYTES, HostTelemetry, MalformedMessage, MessageError, decode, unknown_fields
from streams.tables import GPU_TELEMETRY, MEASURE, PROCESS

_RATIOS = ("sm_active_ratio", "tensor_active_ratio", "gr_engine_active_ratio", "dram_active_ratio")
# Field → the greatest value allowed, as in streams.events; all are at least 0.
_COUNTS = {"gpu_index": 2**32 - 1, "memory_used_bytes": 2**50, "memory_total_bytes": 2**50, "xid": 2**32 - 1}
_COUNTS |= {"sm_clock_mhz": 100_000, "memory_clock_mhz": 100_000}
_PERCENTS = ("gpu_utilization_percent", "memory_utilization_percent")
_MEASURES = {**dict.fromkeys(_PERCENTS, 100), **dict.fromkeys(_RATIOS, 1), "power_watts": 100_000, "power_limit_watts": 100_000}
_GPU_NAMES = ("model_name", "vendor", "accelerator_kind", "pci_bus_id")
_PROCESS_MEASURES = {"sm_utilization_percent": 100, "allocation_ratio": 1}
# Plain decimals, no exponent, at most six places. Fifteen digits keep joules below 10^15.
_DECIMAL = r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,6})?$"
_SIGNED = r"^-?(0|[1-9][0-9]{0,2})(\.[0-9]{1,6})?$"
_TIME = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"
_SOURCES = pa.array(get_args(HostTelemetry.model_fields["source"].annotation))
# What may stand in a message for the column way: printable ASCII without the backslash.
_PLAIN = bytes(set(range(0x20, 0x7F)) - {0x5C})
# Below this, looking for the message that spoils the batch costs more than reading all of them one by one.
_FEW = 16

_PROCESS_TEXT = pa.struct([pa.field(f.name, TEXT if f.type == MEASURE else f.type) for f in PROCESS])
_MIG = pa.struct([pa.field("gpu_instance_id", COUNT), pa.field("compute_instance_id", COUNT), pa.field("profile", TEXT)])
_GPU_FIELDS = [
    field
    for field in GPU_TELEMETRY.schema
    if field.name in ("gpu_uuid", "energy_joules", "temperature_celsius", "throttle_reasons", *_GPU_NAMES, *_COUNTS, *_MEASURES)
]
_GPU = pa.struct(
    [
        *(pa.field(field.name, TEXT if field.type == MEASURE else field.type) for field in _GPU_FIELDS),
        pa.field("mig", _MIG),
        pa.field("processes", pa.list_(_PROCESS_TEXT)),
    ]
)
_HOST_NAMES = ("event_id", "cluster", "host", "resource_id", "driver_version")
_MESSAGE = pa.schema(
    [
        pa.field("schema_version", COUNT),
        *(pa.field(name, TEXT) for name in (*_HOST_NAMES, "source", "interval_start", "interval_end")),
        pa.field("gpus", pa.list_(_GPU)),
    ]
)
# The columns that come out of a message; the rest of the table says where it came from.
SAMPLE = pa.schema([field for field in GPU_TELEMETRY.schema if not field.name.startswith("_") and field.name != "event_hour"])
_ROWS = pa.schema([*SAMPLE, pa.field("_extra", TEXT), pa.field("_message", COUNT)])


@dataclass(frozen=True)
class Samples:
    """What became of messages.

    Attributes:
        rows: the columns of SAMPLE, `_extra`, and `_message`, the number of the message.
        refused: number of the message → why it cannot be used.
        by_columns: how many messages went the fast way.
    """

    rows: pa.Table
    refused: dict[int, CostlakeError]
    by_columns: int


def read(values: Sequence[bytes | None]) -> Samples:
    """Rows of messages, in no particular order. Never raises for what a message holds: that is in `refused`."""
    plain = [number for number, value in enumerate(values) if value is not None and _is_plain(value)]
    parts = list(_by_columns([(number, values[number] or b"") for number in plain]))
    taken = {number for _, numbers in parts for number in numbers}
    rest, refused = _one_by_one((number, value) for number, value in enumerate(values) if number not in taken)
    return Samples(pa.concat_tables([*(rows for rows, _ in parts), rest]), refused, len(taken))


def _one_by_one(messages: Iterable[tuple[int, bytes | None]]) -> tuple[pa.Table, dict[int, CostlakeError]]:
    rows: list[dict[str, Any]] = []
    refused: dict[int, CostlakeError] = {}
    for number, value in messages:
        try:
            rows += _rows_of(decode(_some(value)), number)
        except MessageError as error:
            refused[number] = error
    return pa.Table.from_pylist(rows, schema=_ROWS), refused


def _some(value: bytes | None) -> bytes:
    if value is None:
        raise MalformedMessage(
            "the record has no value",
            where="whole message",
            expected="a GPU telemetry message",
            next_step="find out who writes deletions into the topic; it must not be compacted",
        )
    return value


def _rows_of(message: HostTelemetry, number: int) -> list[dict[str, Any]]:
    extra = unknown_fields(message)
    host = {name: getattr(message, name) for name in ("schema_version", *_HOST_NAMES, "source", "interval_start", "interval_end")}
    host |= {"_extra": json.dumps(extra, sort_keys=True) if extra else None, "_message": number}
    rows = []
    for gpu in message.gpus:
        row = {**host, **{field.name: getattr(gpu, field.name) for field in _GPU_FIELDS}}
        for name in (*_MEASURES, "energy_joules", "temperature_celsius"):
            row[name] = None if row[name] is None else float(row[name])
        if gpu.mig is not None:
            row |= {f"mig_{field.name}": getattr(gpu.mig, field.name) for field in _MIG}
        if gpu.processes is not None:
            row["processes"] = [{f.name: _measured(getattr(process, f.name), f.type) for f in PROCESS} for process in gpu.processes]
        rows.append(row)
    return rows


def _measured(value: Any, kind: pa.DataType) -> Any:
    return float(value) if value is not None and kind == MEASURE else value


def _is_plain(value: bytes) -> bool:
    """Whether the bytes are one line of printable ASCII without escapes that begins and ends like an object."""
    return value[:1] == b"{" and value[-1:] == b"}" and len(value) <= MAX_MESSAGE_BYTES and not value.translate(None, _PLAIN)


def _by_columns(messages: list[tuple[int, bytes]]) -> Iterable[tuple[pa.Table, list[int]]]:
    """Rows and numbers of the messages that this way can vouch for; one that it cannot read is looked for by halving."""
    if not messages:
        return
    try:
        yield _columns(messages)
    except pa.ArrowInvalid:
        if len(messages) > _FEW:
            half = len(messages) // 2
            yield from _by_columns(messages[:half])
            yield from _by_columns(messages[half:])


def _columns(messages: list[tuple[int, bytes]]) -> tuple[pa.Table, list[int]]:
    data = pa.py_buffer(b"\n".join(value for _, value in messages))
    parsed = pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(block_size=max(4 << 20, 2 * MAX_MESSAGE_BYTES)),
        parse_options=pj.ParseOptions(explicit_schema=_MESSAGE, unexpected_field_behavior="error"),
    )
    # Each begins with `{`, so as many objects as messages means one object in each.
    if parsed.num_rows != len(messages):
        raise pa.ArrowInvalid("a message with more than one object")
    hosts = {name: _one_chunk(parsed[name]) for name in _MESSAGE.names}
    gpus, parents = pc.list_flatten(hosts["gpus"]), pc.list_parent_indices(hosts["gpus"])
    columns, gpu_holds = _gpu_columns(gpus)
    starts, ends = _time(hosts["interval_start"]), _time(hosts["interval_end"])
    holds = _and(
        _host_holds(hosts),
        pc.less(starts, ends),
        pc.invert(_is_in(len(messages), parents.filter(pc.invert(gpu_holds)))),
        pc.invert(_is_in(len(messages), _with_twins(parents, columns["gpu_uuid"], columns["mig_gpu_instance_id"]))),
    )
    kept = holds.take(parents)
    host_of = parents.filter(kept)
    columns = {name: column.filter(kept) for name, column in columns.items()}
    columns |= {name: hosts[name].take(host_of) for name in ("schema_version", "source", *_HOST_NAMES)}
    columns |= {"interval_start": starts.take(host_of), "interval_end": ends.take(host_of)}
    numbers = pa.array([number for number, _ in messages], COUNT)
    columns |= {"_extra": pa.nulls(len(host_of), TEXT), "_message": numbers.take(host_of)}
    return pa.table([columns[name] for name in _ROWS.names], schema=_ROWS), numbers.filter(holds).to_pylist()


def _host_holds(hosts: dict[str, pa.Array]) -> pa.Array:
    lengths = pc.list_value_length(hosts["gpus"])
    return _and(
        pc.equal(hosts["schema_version"], 1),
        *(_name_holds(hosts[name], required=name in ("event_id", "cluster", "host")) for name in _HOST_NAMES),
        pc.is_in(hosts["source"], _SOURCES),
        pc.greater_equal(lengths, 1),
        pc.less_equal(lengths, 1024),
    )


def _gpu_columns(gpus: pa.Array) -> tuple[dict[str, pa.Array], pa.Array]:
    """The table's columns of accelerators, and for each accelerator whether all its rules hold."""
    given = {field.name: pc.struct_field(gpus, field.name) for field in _GPU}
    mig = given["mig"]
    slices = {f"mig_{field.name}": pc.struct_field(mig, field.name) for field in _MIG}
    columns = {**{field.name: given[field.name] for field in _GPU_FIELDS}, **slices}
    checks = [
        gpus.is_valid(),
        _name_holds(given["gpu_uuid"], required=True),
        *(_name_holds(given[name]) for name in _GPU_NAMES),
        _all_names_hold(given["throttle_reasons"]),
        _name_holds(slices["mig_profile"]),
        _count_holds(slices["mig_compute_instance_id"], 2**32 - 1),
        _count_holds(slices["mig_gpu_instance_id"], 2**32 - 1),
        pc.equal(mig.is_valid(), slices["mig_gpu_instance_id"].is_valid()),
        *(_count_holds(given[name], most) for name, most in _COUNTS.items()),
        pc.fill_null(pc.less_equal(given["memory_used_bytes"], given["memory_total_bytes"]), True),
    ]
    for name, most in {**_MEASURES, "energy_joules": None, "temperature_celsius": 250}.items():
        columns[name], holds = _number(given[name], _SIGNED if name == "temperature_celsius" else _DECIMAL, most)
        checks.append(holds)
    checks.append(pc.fill_null(pc.greater_equal(columns["temperature_celsius"], -100), True))
    columns["processes"], holds = _process_lists(given["processes"])
    return columns, _and(*checks, holds)


def _process_lists(lists: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The lists with their numbers as the table has them, and for each accelerator whether its processes' rules hold."""
    flat = pc.list_flatten(lists)
    fields = {field.name: pc.struct_field(flat, field.name) for field in PROCESS}
    checks = []
    for name, most in _PROCESS_MEASURES.items():
        fields[name], holds = _number(fields[name], _DECIMAL, most)
        checks.append(holds)
    names = [_name_holds(fields[name]) for name in ("namespace", "pod", "container", "job_id")]
    sizes = [_count_holds(fields["pid"], 2**32 - 1), _count_holds(fields["memory_used_bytes"], 2**50)]
    good = _and(flat.is_valid(), *checks, *names, *sizes)
    spoilt = _is_in(len(lists), pc.list_parent_indices(lists).filter(pc.invert(good)))
    values = pa.StructArray.from_arrays([fields[f.name] for f in PROCESS], fields=list(PROCESS))
    ends = pc.cumulative_sum(pc.fill_null(pc.list_value_length(lists), 0).cast(pa.int32()))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return pa.ListArray.from_arrays(offsets, values, type=pa.list_(PROCESS), mask=lists.is_null()), pc.invert(spoilt)


def _all_names_hold(lists: pa.Array) -> pa.Array:
    """For each accelerator whether its list, if it has one, holds names alone."""
    good = _name_holds(pc.list_flatten(lists), required=True)
    return pc.invert(_is_in(len(lists), pc.list_parent_indices(lists).filter(pc.invert(good))))


def _number(texts: pa.Array, pattern: str, most: int | None) -> tuple[pa.Array, pa.Array]:
    """The texts as numbers, and whether each is absent, or one that `pattern` and the upper bound allow."""
    written = pc.match_substring_regex(texts, pattern)
    numbers = pc.if_else(written, texts, None).cast(MEASURE)
    holds = pc.fill_null(written, True)
    return numbers, holds if most is None else _and(holds, pc.fill_null(pc.less_equal(numbers, most), True))


def _name_holds(names: pa.Array, *, required: bool = False) -> pa.Array:
    lengths = pc.binary_length(names)
    return pc.fill_null(pc.and_(pc.greater_equal(lengths, 1), pc.less_equal(lengths, 256)), not required)


def _count_holds(counts: pa.Array, most: int) -> pa.Array:
    return pc.fill_null(pc.and_(pc.greater_equal(counts, 0), pc.less_equal(counts, most)), True)


def _time(texts: pa.Array) -> pa.Array:
    """Instants; NULL for what is not written as UTC. A day that does not exist raises ArrowInvalid."""
    return pc.if_else(pc.match_substring_regex(texts, _TIME), texts, None).cast(TIMESTAMP)


def _with_twins(parents: pa.Array, uuids: pa.Array, instances: pa.Array) -> pa.Array:
    """Messages that have an accelerator twice."""
    identities = pa.table({"message": parents, "uuid": uuids, "instance": instances})
    counted = identities.group_by(identities.column_names).aggregate([([], "count_all")])
    return _one_chunk(counted.filter(pc.greater(counted["count_all"], 1))["message"])


def _is_in(length: int, numbers: pa.Array) -> pa.Array:
    """For each of 0, 1, …, length - 1 whether it is one of `numbers`."""
    return pc.is_in(pa.array(range(length), numbers.type), pc.unique(numbers))


def _and(*masks: pa.Array) -> pa.Array:
    """Where all hold; what is not known does not."""
    whole = masks[0]
    for mask in masks[1:]:
        whole = pc.and_kleene(whole, mask)
    return pc.fill_null(whole, False)


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
