"""Rules and suites as plain data, readable and testable without Great Expectations (nine seconds to import).

Data flow: `quality.suites`, `quality.source_rules` → `Suite` of `Rule` → `quality.engine`, which makes expectations of them.
In a rule's SQL, `{batch}` is the batch; a literal brace is doubled.
Not for direct use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quality.ledger import Layer, Severity


@dataclass(frozen=True)
class Rule:
    """One thing that must hold.

    Attributes:
        name: what must hold, in snake case; the `expectation` of the ledger.
        kind: not_null and between look at `column`; row_count wants at least `minimum` rows; no_rows wants `sql` to be empty.
        severity: `fail` stops the source or the publication, `warn` notifies.
        next_step: what to do when it does not hold.
        column: the column concerned.
        minimum: inclusive lower bound.
        maximum: inclusive upper bound.
        sql: yields the offending rows, with few identifying columns: they are shown.
    """

    name: str
    kind: Literal["not_null", "between", "row_count", "no_rows"]
    severity: Severity
    next_step: str
    column: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    sql: str | None = None


@dataclass(frozen=True)
class Suite:
    """The rules of one table."""

    name: str
    layer: Layer
    table_name: str
    rules: tuple[Rule, ...]


def not_null(column: str, next_step: str, severity: Severity = "fail") -> Rule:
    """A column without NULL."""
    return Rule(f"{column}_is_not_null", "not_null", severity, next_step, column=column)


def between(column: str, minimum: int | None, maximum: int | None, next_step: str, severity: Severity = "fail") -> Rule:
    """A column within inclusive bounds; NULL is let through (unknown is not out of range)."""
    return Rule(f"{column}_is_in_range", "between", severity, next_step, column=column, minimum=minimum, maximum=maximum)


def no_rows(name: str, sql: str, next_step: str, severity: Severity = "fail", column: str | None = None) -> Rule:
    """A query that must come back empty."""
    return Rule(name, "no_rows", severity, next_step, column=column, sql=sql)
