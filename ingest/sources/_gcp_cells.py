"""Cells of a Google Cloud billing export that need more than a cast: times, months, and the lists inside a row.

Data flow: raw column and its physical type → SQL of the bronze value, NULL where the cell does not parse (`ingest.parts.Layout.parsers`).

A time is `2026-10-05 10:00:00 UTC` (EXPORT DATA), ISO 8601, or seconds, milliseconds or microseconds since 1970 (other writers). A list is
a list of structs (Parquet), JSON (JSON lines, CSV by nise) or a Python literal with None and single quotes (CSV by koku).
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from costlake.money import double_to_decimal_sql, text_to_decimal_sql
from costlake.sql import identifier, literal
from ingest.parts import Parser
from ingest.readers import struct_fields
from ingest.sources._gcp_columns import LISTS, TIMES

if TYPE_CHECKING:
    import duckdb

_PYTHON_TOKENS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b(?:None|True|False)\b""")
_WORDS = {"None": "null", "True": "true", "False": "false"}


def register_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Makes `json_of_python_literal` known to a connection; it is called for cells only that are no JSON."""
    connection.create_function("json_of_python_literal", json_of_python_literal, ["VARCHAR"], "VARCHAR")


def json_of_python_literal(text: str) -> str:
    """The text of a Python literal as JSON text; numbers stay as they are written. Other texts come back as no JSON."""
    try:
        return _PYTHON_TOKENS.sub(lambda match: _WORDS.get(match[0]) or json.dumps(ast.literal_eval(match[0])), text)
    except (ValueError, SyntaxError):
        return text


def _time(column: str, physical: str) -> str:
    if physical.startswith("TIMESTAMP"):
        return f"CAST({column} AS TIMESTAMPTZ)"
    text = f"trim(CAST({column} AS VARCHAR))"
    number = f"try_cast({text} AS DECIMAL(38,6))"
    scale = f"CASE WHEN {number} < 100000000000 THEN 1000000 WHEN {number} < 100000000000000 THEN 1000 ELSE 1 END"
    epoch = rf"regexp_full_match({text}, '[0-9]{{9,19}}(\.[0-9]+)?|[0-9]\.[0-9]+[eE]\+?[0-9]+')"
    return (
        f"CASE WHEN {epoch} THEN make_timestamp(CAST({number} * {scale} AS BIGINT)) AT TIME ZONE 'UTC' "
        f"ELSE try_cast({text} AS TIMESTAMPTZ) END"
    )


def _invoice_month(column: str, physical: str) -> str:
    text = f"trim(CAST({column} AS VARCHAR))"
    return f"CASE WHEN regexp_full_match({text}, '20[0-9]{{2}}(0[1-9]|1[0-2])') THEN {text} END"


def _partition_date(column: str, physical: str) -> str:
    return f"strftime(try_cast(left(trim(CAST({column} AS VARCHAR)), 10) AS DATE), '%Y-%m-%d')"


def _list(element: pa.StructType, column: str, physical: str) -> str:
    """The list with its elements typed; NULL when one lacks what it is there for: a label its key, a credit its amount."""
    fields = [field.name for field in element]
    if physical in ("JSON", "VARCHAR"):
        present = dict.fromkeys(fields, "VARCHAR")
        shape = literal(json.dumps([present]))
        text = f"(CASE WHEN json_valid({column}) THEN {column} ELSE json_of_python_literal({column}) END)"
        checked = f"(CASE WHEN json_valid({text}) THEN from_json({text}, {shape}) END)"
        items = f"from_json({column}, {shape})" if physical == "JSON" else checked  # JSON: a reader has parsed it already
    else:
        items, present = column, struct_fields(physical[:-2]) if physical.endswith("[]") else {}
    if not present:
        return "NULL"
    packed = ", ".join(f"{identifier(field.name)} := {_member(field, present)}" for field in element)
    typed = f"list_transform({items}, lambda item: struct_pack({packed}))"
    needed = "amount" if "amount" in fields else fields[0]
    return f"CASE WHEN len(list_filter({typed}, lambda item: item.{needed} IS NULL)) = 0 THEN {typed} END"


def _member(field: pa.Field, present: Mapping[str, str]) -> str:
    kind = present.get(field.name)
    value = f"item.{identifier(field.name)}"
    if kind is None:
        return f"CAST(NULL AS {'DECIMAL(38,18)' if pa.types.is_decimal(field.type) else 'VARCHAR'})"
    if not pa.types.is_decimal(field.type):
        return f"CAST({value} AS VARCHAR)"
    if kind in ("DOUBLE", "FLOAT"):
        return double_to_decimal_sql(value)
    return text_to_decimal_sql(f"trim(CAST({value} AS VARCHAR))")


PARSERS: Mapping[str, Parser] = {
    **dict.fromkeys(TIMES, _time),
    "invoice_month": _invoice_month,
    "partition_date": _partition_date,
    **{name: partial(_list, element) for name, element in LISTS.items()},
}
