"""Which slices (export, billing month) have to be rebuilt, told from what the warehouse was built of.

Data flow: bronze files per partition → fingerprint → compared with `meta.built_slices` → work for dbt and publish.

A fingerprint is made of the names of a slice's bronze files (every load writes new names) and of the dbt project's own
files: a changed mapping rebuilds everything, a redelivered month only itself. The slice of a cost source also depends on
the usage tables of the same provider and month, whose tokens its staging model joins; tables of one provider share the
first word of their name. The marts also hold amounts in the reporting currency and usage at list prices: the month's
exchange rates are part of their fingerprints, and the month's price book of those of usage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from costlake import prices, rates
from costlake.delta import Lake

if TYPE_CHECKING:
    import duckdb

_SOURCE_KINDS = ("focus_sources", "token_sources", "activity_sources", "fault_sources")
_BUILD_PARTS = ("models", "macros", "seeds", "dbt_project.yml")
_ALL_PARTS = (*_BUILD_PARTS, "tests", "profiles.yml")
_PROJECT_SUFFIXES = {".sql", ".yml", ".csv"}


@dataclass(frozen=True, order=True)
class Slice:
    """One export's billing month."""

    source_id: str
    billing_period: str

    def __str__(self) -> str:
        return f"{self.source_id}|{self.billing_period}"


@dataclass(frozen=True)
class Work:
    """What a layer still has to do.

    Attributes:
        changed: slices to rebuild. dead: slices to delete. periods: billing months touched by any change.
    """

    changed: tuple[Slice, ...]
    dead: tuple[Slice, ...]
    periods: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changed or self.dead or self.periods)


BronzeFiles = Mapping[str, Mapping[Slice, list[str]]]
"""Bronze table → slice → the names of its files."""


def project_hash(dbt_dir: Path, *, with_tests: bool = False) -> str:
    """Hash of everything in the dbt project that decides what a row becomes; with its tests and profile, of the whole project."""
    digest = hashlib.sha256()
    for part in _ALL_PARTS if with_tests else _BUILD_PARTS:
        path = dbt_dir / part
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        for file in files:
            if file.is_file() and file.suffix in _PROJECT_SUFFIXES:
                digest.update(str(file.relative_to(dbt_dir)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def bronze_files(lake: Lake, dbt_dir: Path) -> BronzeFiles:
    """The file names of every slice of every bronze table that a staging model of costs, usage or activity reads."""
    tables = dict.fromkeys(table for of_kind in _variables(dbt_dir).values() for table in of_kind)
    return {table: _files_by_slice(lake, table) for table in tables}


def sources_to_build(bronze: BronzeFiles, changed: Iterable[Slice] | None, dbt_dir: Path) -> list[str]:
    """The sources (bronze tables) whose staging models a build needs: those with a changed slice, or with any for None.

    Those that FOCUS or a test names whatever the lake holds (vars fault_sources, activity_sources) are always among them.
    """
    variables = _variables(dbt_dir)
    always = {*variables["fault_sources"], *variables["activity_sources"]}
    touched = None if changed is None else set(changed)
    return sorted(table for table, files in bronze.items() if table in always or (files if touched is None else touched & files.keys()))


def bronze_fingerprints(bronze: BronzeFiles, dbt_dir: Path) -> dict[Slice, str]:
    """Today's fingerprint of every slice of costs or usage: what it is made of and what makes it."""
    project = project_hash(dbt_dir)
    variables = _variables(dbt_dir)
    focus_tables, token_tables = variables["focus_sources"], variables["token_sources"]
    prints: dict[Slice, list[str]] = {}
    for table in dict.fromkeys([*focus_tables, *token_tables]):
        usage = [bronze[other] for other in token_tables if other != table and _provider(other) == _provider(table)]
        for slice_, names in bronze[table].items():
            joined = [n for tables in usage for s, ns in tables.items() if s.billing_period == slice_.billing_period for n in ns]
            prints.setdefault(slice_, []).extend([*names, *(joined if table in focus_tables else [])])
    return {slice_: hashlib.sha256("\n".join([project, *sorted(names)]).encode()).hexdigest()[:20] for slice_, names in prints.items()}


def mart_fingerprints(lake: Lake, bronze: BronzeFiles, focus: Mapping[Slice, str], dbt_dir: Path) -> dict[Slice, str]:
    """What the marts are made of: FOCUS as built, the exchange rates of each slice's month, and for usage the prices of the month."""
    exchanged = rates.month_fingerprints(lake)
    used = {slice_ for table in _variables(dbt_dir)["token_sources"] for slice_ in bronze[table]}
    priced = prices.month_fingerprints(lake, {slice_.billing_period for slice_ in used})
    # whether a gateway's usage counts depends on all the usage of the month
    together: dict[str, list[str]] = {}
    for slice_ in sorted(used & focus.keys()):
        together.setdefault(slice_.billing_period, []).append(focus[slice_])
    joined = {}
    for slice_, print_ in focus.items():
        month = slice_.billing_period
        of_usage = [priced.get(month, ""), *together[month]] if slice_ in used else []
        joined[slice_] = "\n".join([print_, exchanged.get(month, ""), *of_usage])
    return {slice_: hashlib.sha256(text.encode()).hexdigest()[:20] for slice_, text in joined.items()}


def built(connection: duckdb.DuckDBPyConnection, layer: str) -> dict[Slice, str]:
    """What the warehouse says a layer was built of."""
    _ensure_meta(connection)
    rows = connection.execute("SELECT source_id, billing_period, fingerprint FROM meta.built_slices WHERE layer = ?", [layer]).fetchall()
    return {Slice(source_id, period): fingerprint for source_id, period, fingerprint in rows}


def mark_built(connection: duckdb.DuckDBPyConnection, layer: str, fingerprints: Mapping[Slice, str]) -> None:
    """Replace what the warehouse says of a layer."""
    _ensure_meta(connection)
    connection.execute("BEGIN")
    connection.execute("DELETE FROM meta.built_slices WHERE layer = ?", [layer])
    rows = [[layer, slice_.source_id, slice_.billing_period, print_] for slice_, print_ in sorted(fingerprints.items())]
    if rows:
        connection.executemany("INSERT INTO meta.built_slices VALUES (?, ?, ?, ?)", rows)
    connection.execute("COMMIT")


def project_built(connection: duckdb.DuckDBPyConnection, layer: str) -> str | None:
    """The project hash a layer was built with; None for a new warehouse."""
    _ensure_meta(connection)
    rows = connection.execute("SELECT project_hash FROM meta.built_project WHERE layer = ?", [layer]).fetchall()
    return str(rows[0][0]) if rows else None


def mark_project(connection: duckdb.DuckDBPyConnection, layer: str, value: str) -> None:
    """Remember the project hash of a layer."""
    _ensure_meta(connection)
    connection.execute("INSERT OR REPLACE INTO meta.built_project VALUES (?, ?)", [layer, value])


def compare(wanted: Mapping[Slice, str], present: Mapping[Slice, str]) -> Work:
    """What turns `present` into `wanted`."""
    changed = tuple(sorted(s for s, fingerprint in wanted.items() if present.get(s) != fingerprint))
    dead = tuple(sorted(set(present) - set(wanted)))
    return Work(changed, dead, _periods([*changed, *dead]))


def everything(wanted: Iterable[Slice]) -> Work:
    """A rebuild of all slices."""
    slices = tuple(sorted(wanted))
    return Work(slices, (), _periods(slices))


def _periods(slices: Iterable[Slice]) -> tuple[str, ...]:
    return tuple(sorted({slice_.billing_period for slice_ in slices}))


def _files_by_slice(lake: Lake, table: str) -> dict[Slice, list[str]]:
    found: dict[Slice, list[str]] = {}
    for file in lake.files("bronze", table):
        path = Path(file)
        values = dict(part.split("=", 1) for part in path.parts if "=" in part)
        found.setdefault(Slice(values["_source_id"], values["_billing_period"]), []).append(path.name)
    return found


def _variables(dbt_dir: Path) -> dict[str, list[str]]:
    """The vars of dbt_project.yml that name sources."""
    found = yaml.safe_load((dbt_dir / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    return {kind: found.get(kind, []) for kind in _SOURCE_KINDS}


def _provider(table: str) -> str:
    return table.split("_", 1)[0]


def _ensure_meta(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("CREATE SCHEMA IF NOT EXISTS meta")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS meta.built_slices (layer VARCHAR, source_id VARCHAR, billing_period VARCHAR, fingerprint VARCHAR)"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS meta.built_project (layer VARCHAR PRIMARY KEY, project_hash VARCHAR)")
