"""Values, names and types as SQL text: the one place where quoting is done.

Delta predicates, COPY targets and `read_parquet` lists cannot be bound as parameters; what goes into them comes through here.
Run alone: python -c "from costlake.sql import literal; print(literal(\"it's\"))"
"""

from __future__ import annotations

import pyarrow as pa

from costlake.errors import LakeError


def literal(value: str | None) -> str:
    """A text as SQL literal; None as a typed NULL."""
    return "CAST(NULL AS VARCHAR)" if value is None else "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A column or table name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def sql_type(arrow_type: pa.DataType) -> str:
    """DuckDB's name of an Arrow type. Raises LakeError for a type that no table of ours has."""
    if pa.types.is_decimal(arrow_type):
        return f"DECIMAL({arrow_type.precision},{arrow_type.scale})"
    if pa.types.is_map(arrow_type):
        return f"MAP({sql_type(arrow_type.key_type)}, {sql_type(arrow_type.item_type)})"
    if pa.types.is_list(arrow_type):
        return f"{sql_type(arrow_type.value_type)}[]"
    if pa.types.is_struct(arrow_type):
        return f"STRUCT({', '.join(f'{identifier(field.name)} {sql_type(field.type)}' for field in arrow_type)})"
    if pa.types.is_timestamp(arrow_type):
        return "TIMESTAMPTZ" if arrow_type.tz else "TIMESTAMP"
    for test, name in (
        (pa.types.is_string, "VARCHAR"),
        (pa.types.is_large_string, "VARCHAR"),
        (pa.types.is_int64, "BIGINT"),
        (pa.types.is_int32, "INTEGER"),
        (pa.types.is_boolean, "BOOLEAN"),
        (pa.types.is_date32, "DATE"),
        (pa.types.is_float64, "DOUBLE"),
        (pa.types.is_binary, "BLOB"),
    ):
        if test(arrow_type):
            return name
    raise LakeError(
        f"no SQL type for Arrow's {arrow_type}",
        where="a TableSpec",
        expected="string, int64, int32, bool, date32, timestamp, decimal128, double, binary, list, map or struct",
        next_step="use one of these types, or teach costlake.sql.sql_type the new one",
    )


def empty_select(schema: pa.Schema) -> str:
    """A SELECT that yields no row with the schema's columns and types."""
    columns = ", ".join(f"CAST(NULL AS {sql_type(field.type)}) AS {identifier(field.name)}" for field in schema)
    return f"SELECT {columns} WHERE false"
