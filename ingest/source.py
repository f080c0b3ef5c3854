"""What a provider says of itself, and the discovery of all that do.

Data flow: ingest/sources/*.py (SOURCES tuples) → `all_sources()` → DAG factory, loader, quality, docs.

A source is a frozen dataclass with two functions: `find` lists the deliveries below a location (commit marker first,
never by globbing data files), `open` turns one delivery's local files into a DuckDB relation with the bronze columns.
Run alone: costlake sources
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from costlake.config import Export
from costlake.errors import ConfigError
from costlake.tables import TableSpec

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from ingest.redaction import Redaction
    from ingest.stores import Store, StoredObject


@dataclass(frozen=True)
class Delivery:
    """One complete hand-over of files by a provider, named by its commit marker.

    Attributes:
        export: the configured stream it belongs to.
        key: the provider's own name of it (manifest key, pull folder or file), for people.
        objects: the data files, in the order of the manifest.
        manifest: the commit marker's bytes; empty for a file handed over without one.
        billing_period: the period that the manifest announces; None when only the rows know it.
        current: whether the provider says that this one is in force now (AWS's pointer manifest). A current delivery is
            loaded again when another one has replaced it meanwhile; an accumulating pull is loaded once only.
        partial: the caller accepts that the delivery is known to be incomplete.
        announced_rows: data rows that the manifest counts, of all objects together; 0 is an empty month. None where it says nothing.
    """

    export: Export
    key: str
    objects: tuple[StoredObject, ...]
    manifest: bytes = b""
    billing_period: str | None = None
    current: bool = True
    partial: bool = False
    announced_rows: int | None = None


@dataclass(frozen=True)
class Candidate:
    """A commit marker that was seen; `resolve` reads it and may refuse it without stopping its neighbours."""

    key: str
    resolve: Callable[[], Delivery]


@dataclass(frozen=True)
class LandedObject:
    """A data file in the incoming area, while it is judged.

    Attributes:
        key: the provider's name of it.
        etag: sha256 of the bytes that landing keeps.
        path: the file to read: the delivered one, or what was unpacked from it where it is a zip.
        byte_count: size of what landing keeps.
        raw: the untouched bytes, for landing, where they are another file than `path`.
        line_count: lines of a text file, so that readers can tell whether they have read all of it.
        redacted: what was taken out of the delivered bytes before landing; None where landing keeps them untouched.
    """

    key: str
    etag: str
    path: Path
    byte_count: int
    raw: Path | None = None
    line_count: int | None = None
    redacted: Redacted | None = None


@dataclass(frozen=True)
class Redacted:
    """How a landed file differs from the delivered one, for the delivery's record.

    Attributes:
        rule: name and version of the source's redaction.
        delivered_etag: sha256 of the bytes as the provider sent them, which are nowhere kept.
        delivered_byte_count: their number.
        kept: the fields that were kept; all others are gone.
    """

    rule: str
    delivered_etag: str
    delivered_byte_count: int
    kept: tuple[str, ...]


@dataclass(frozen=True)
class LoadContext:
    """What `open` works with.

    Attributes:
        connection: a private DuckDB connection; `open` may register Arrow tables and create views in it.
        known_models: extra model ids per provider from config/prices/models.yml.
    """

    connection: duckdb.DuckDBPyConnection
    known_models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Opened:
    """A delivery ready to be judged and written.

    Attributes:
        select_sql: yields the source's bronze columns (typed), `_billing_period`, `_slice`, `_object_key`, `_object_etag`
            and `_row_number`; the loader adds the rest of the lineage.
        extra_columns: columns beyond the TableSpec that this delivery brings; text only.
        bad_values_sql: counts cells that do not parse, as (column_name, bad_count) rows; None where `open` has checked. The name ''
            stands for the rows that were read, where `check_rows` is given.
        empty_slices: (billing period, slice) pairs that the delivery covers and says are empty: their rows go.
        check_rows: refuses a delivery of which that many rows were read, if its files have others.
        locate_bad_sql: given a column name, finds (object_key, row_number, value) of its first bad cell.
    """

    select_sql: str
    extra_columns: tuple[pa.Field, ...] = ()
    bad_values_sql: str | None = None
    locate_bad_sql: Callable[[str], str] | None = None
    check_rows: Callable[[int], None] | None = None
    empty_slices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Source:
    """A kind of provider file.

    Attributes:
        name: also the bronze table's name and the stem of its staging model.
        provider: canonical provider name as FOCUS shows it.
        title: for people.
        table: the bronze table.
        feeds: `focus` when its rows carry the bill, `tokens` when they carry usage only.
        also_tokens: a bill whose rows count tokens too: it has a `stg_<source>__tokens` model beside its FOCUS model.
        usage_role: whose count its tokens are: the provider's own report, or the log of a gateway that saw some of the requests. A
            gateway's tokens are never added to the provider's: they are the same ones.
        redaction: what is taken out of its files before they are landed (prompts); None where landing keeps the untouched bytes.
        formats: what can be read, for README.
        documentation: the provider's document that the reader follows.
        find: the commit markers below an export's location.
        open: delivery → DuckDB relation.
        recognises: whether a lone file is of this kind.
        account_of: the billing account that a lone file names, for its export id; None where files name none.
        measures: name → SQL expression over one bronze row, in the billing currency; `billed` and `effective` for bills.
        currency_sql: SQL expression for the ISO currency code of a row.
        unit_sql: SQL expressions for the SKU of a row and the unit that its quantity is priced in; a delivery in which a known
            SKU changes to blocks of another size is refused. None where the rows have no such unit.
    """

    name: str
    provider: str
    title: str
    table: TableSpec
    feeds: Literal["focus", "tokens"]
    formats: str
    documentation: str
    find: Callable[[Store, Export], Iterator[Candidate]]
    open: Callable[[LoadContext, Delivery, tuple[LandedObject, ...]], Opened]
    recognises: Callable[[Path], bool]
    measures: Mapping[str, str] = field(default_factory=dict)
    currency_sql: str | None = None
    unit_sql: tuple[str, str] | None = None
    account_of: Callable[[Path], str | None] = lambda _: None
    also_tokens: bool = False
    usage_role: Literal["provider_report", "gateway_log"] = "provider_report"
    redaction: Redaction | None = None

    @property
    def counts_tokens(self) -> bool:
        """Whether dbt reads its tokens: it is a word of `vars.token_sources`."""
        return self.feeds == "tokens" or self.also_tokens


@cache
def all_sources() -> Mapping[str, Source]:
    """Every source found in ingest/sources, by name."""
    import ingest.sources

    found: dict[str, Source] = {}
    for module in pkgutil.iter_modules(ingest.sources.__path__):
        if module.name.startswith("_"):
            continue  # a part of a source, not a source
        for source in importlib.import_module(f"ingest.sources.{module.name}").SOURCES:
            if source.name in found:
                raise ConfigError(
                    f"two sources are called {source.name!r}",
                    where=f"ingest/sources/{module.name}.py",
                    expected="a name of its own per source",
                    next_step="rename one of them",
                )
            found[source.name] = source
    return found


def source_named(name: str) -> Source:
    """The source of that name; ConfigError names those that exist."""
    sources = all_sources()
    if name not in sources:
        raise ConfigError(
            f"there is no source {name!r}",
            where="config/accounts.yml, key source",
            expected=f"one of {', '.join(sorted(sources))}",
            next_step="correct the name, or add ingest/sources/<provider>.py (CONTRIBUTING, Add a provider)",
        )
    return sources[name]


def bronze_tables() -> list[TableSpec]:
    """The bronze table of each source; the entry point `costlake.bronze`."""
    return [source.table for source in all_sources().values()]
