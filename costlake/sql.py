"""Values and names as SQL text: the one place where quoting is done.

Delta predicates, COPY targets and `read_parquet` lists cannot be bound as parameters; what goes into them comes through here.
Run alone: python -c "from costlake.sql import literal; print(literal(\"it's\"))"
"""

from __future__ import annotations


def literal(value: str | None) -> str:
    """A text as SQL literal; None as a typed NULL."""
    return "CAST(NULL AS VARCHAR)" if value is None else "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A column or table name, quoted."""
    return '"' + name.replace('"', '""') + '"'
