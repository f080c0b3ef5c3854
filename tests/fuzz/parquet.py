"""Damages to Parquet files: to their values and types through pyarrow, and to pages and footer byte by byte."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.mutations import Damage

_FLOATS = (
    float("nan"),
    float("inf"),
    float("-inf"),
    0.0,
    -0.0,
    1e-30,
    5e-19,
    1e19,
    1e20,
    -1e300,
    0.1,
    4064.4831315379,
    1e-7,
    123456789.123456789,
)
_TEXTS = ("", " ", "x", "é", "1", "NaN", "\0", "2026-10-01", "x" * 5000)


def _arrow(edit: Callable[[random.Random, pa.Table], pa.Table]) -> Damage:
    def damage(chance: random.Random, content: bytes) -> bytes:
        table = edit(chance, pq.read_table(io.BytesIO(content)))
        sink = io.BytesIO()
        pq.write_table(
            table, sink, compression=chance.choice(("snappy", "zstd", "none", "gzip")), row_group_size=chance.choice((1, 3, 1000))
        )
        return sink.getvalue()

    damage.__name__ = edit.__name__
    return damage


def _set(table: pa.Table, at: int, values: list[Any], kind: pa.DataType) -> pa.Table:
    return table.set_column(at, pa.field(table.schema.names[at], kind), pa.array(values, kind))


def edit_value(chance: random.Random, table: pa.Table) -> pa.Table:
    floats = [at for at, field in enumerate(table.schema) if pa.types.is_floating(field.type)]
    at = chance.choice(floats) if floats and chance.random() < 0.6 else chance.randrange(table.num_columns)
    kind = table.schema.field(at).type
    choices = _FLOATS if pa.types.is_floating(kind) else _TEXTS if pa.types.is_string(kind) else (None,)
    values = table.column(at).to_pylist()
    values[chance.randrange(len(values))] = chance.choice((*choices, None))
    return _set(table, at, values, kind)


def change_type(chance: random.Random, table: pa.Table) -> pa.Table:
    at = chance.randrange(table.num_columns)
    for kind in chance.sample((pa.string(), pa.float32(), pa.float64(), pa.int64(), pa.decimal128(38, 9), pa.date32(), pa.bool_()), 7):
        try:
            column = table.column(at).cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            continue
        return table.set_column(at, pa.field(table.schema.names[at], kind), column)
    return table


def repeat_rows(chance: random.Random, table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table.slice(chance.randrange(table.num_rows), 1)])


def drop_rows(chance: random.Random, table: pa.Table) -> pa.Table:
    return table.slice(chance.randrange(table.num_rows + 1), chance.choice((0, 1, 1000)))


def drop_field(chance: random.Random, table: pa.Table) -> pa.Table:
    return table.remove_column(chance.randrange(table.num_columns))


def rename_fields(chance: random.Random, table: pa.Table) -> pa.Table:
    names = list(table.schema.names)
    at = chance.randrange(len(names))
    names[at] = chance.choice((names[at].upper(), names[at] + "x", chance.choice(names), "", "file_row_number", "filename", '"'))
    return table.rename_columns(names)


def damage_footer(chance: random.Random, content: bytes) -> bytes:
    length = int.from_bytes(content[-8:-4], "little")
    damaged = bytearray(content)
    damaged[len(content) - 8 - chance.randrange(length + 1) : len(content) - 8][:1] = b""
    damaged[len(content) - 9 - chance.randrange(max(1, length - 1))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def damage_page(chance: random.Random, content: bytes) -> bytes:
    length = int.from_bytes(content[-8:-4], "little")
    damaged = bytearray(content)
    damaged[4 + chance.randrange(max(1, len(content) - length - 12))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


PARQUET: dict[str, Damage] = {
    **{edit.__name__: _arrow(edit) for edit in (edit_value, change_type, repeat_rows, drop_rows, drop_field, rename_fields)},
    **{damage.__name__: damage for damage in (damage_footer, damage_page)},
}
