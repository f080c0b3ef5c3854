"""The only importer of deltalake: every read and write of a Delta table goes through `Lake`.

Data flow: Arrow tables and Parquet files → Delta commits; Delta's active files → DuckDB views.

DuckDB writes the big Parquet files itself and `commit_files` adds them to the log in one transaction: one pass over the
rows, and memory stays bounded. Reading is `read_parquet` over the active files of one version: 3–8 times faster than a
pyarrow dataset, and it avoids delta-rs's abort at process exit (delta-rs#2184). Where the tables lie: costlake/tablestore.py.

Run alone:
    python -c "from costlake.settings import Settings as S; from costlake.delta import Lake; print(Lake(S.load()).tables('bronze'))"
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from costlake.datafiles import ActiveFile, Moves, NewFile, Snapshot, came_second, refuse_unreadable, schema_of
from costlake.errors import ConcurrentWrite, LakeError
from costlake.settings import Settings
from costlake.sql import empty_select, identifier, literal
from costlake.tables import LAYERS, OWN_RETENTION, TableSpec
from costlake.tablestore import store_error, table_store

# Each attempt starts from what the other writer left, so that a handful is plenty for the few jobs that meet.
_COMMIT_ATTEMPTS = 5
# Writers of streams meet every few seconds, and housekeeping meets them; an attempt costs a look at the log and one small file.
_STREAM_ATTEMPTS = 25


class Lake:
    """The Delta tables below `settings.tables`, one folder per layer and table."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store = table_store(settings)

    def path(self, layer: str, name: str) -> Path:
        """Local folder of a table: where it lies, or where its files are written before they go to the object store."""
        return self._store.workplace(layer, name)

    def new_path(self, spec: TableSpec, partition: Mapping[str, str], stem: str) -> Path:
        """Where to write a new file of a partition, for `commit_files`."""
        folder = self.path(spec.layer, spec.name).joinpath(*(f"{column}={value}" for column, value in partition.items()))
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{stem}.parquet"

    def exists(self, layer: str, name: str) -> bool:
        """Whether the table has at least one commit."""
        return self._store.has_log(layer, name)

    def tables(self, layer: str) -> list[str]:
        """Names of the tables of a layer, sorted."""
        return self._store.names(layer)

    def leftovers(self) -> list[Path]:
        """Local files that a writer which was killed may have left; a living one may still need the new ones."""
        return list(self._store.leftovers())

    def version(self, layer: str, name: str) -> int | None:
        """Version of the newest commit; None for a table that does not exist."""
        table = self._found(layer, name)
        return None if table is None else int(table.version())

    def schema(self, layer: str, name: str) -> pa.Schema:
        """The table's current Arrow schema."""
        return schema_of(self._open(layer, name))

    def files(self, layer: str, name: str, partition: Mapping[str, str] | None = None) -> list[str]:
        """Paths of the active Parquet files, sorted; of one partition when given. Empty for a missing table.

        Raises:
            LakeError: the table uses deletion vectors or column mapping, under which its files alone mislead.
        """
        table = self._found(layer, name)
        return [] if table is None else self._files_of(table, layer, name, partition or {})

    def _files_of(self, table, layer: str, name: str, partition: Mapping[str, str]) -> list[str]:  # type: ignore[no-untyped-def]
        refuse_unreadable(table, f"{layer}.{name}")
        filters = [(column, "=", value) for column, value in partition.items()]
        return sorted(uri.removeprefix("file://") for uri in table.file_uris(filters or None))

    def snapshot(self, layer: str, name: str, partition: Mapping[str, str] | None = None) -> Snapshot:
        """The active files of the newest version, sorted by name; of the partitions with these values when given.

        Raises:
            LakeError: there is no such table, or its files alone do not tell its rows.
        """
        table = self._open(layer, name)
        refuse_unreadable(table, f"{layer}.{name}")
        wanted = dict(partition or {}).items()
        rows = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        files = [ActiveFile.of_log(self._store.uri(layer, name), row) for row in rows]
        chosen = [file for file in files if all(file.partition.get(column) == value for column, value in wanted)]
        return Snapshot(int(table.version()), tuple(sorted(chosen, key=lambda file: file.name)))

    def partitions(self, layer: str, name: str) -> list[dict[str, str]]:
        """The partitions that hold at least one active file."""
        table = self._found(layer, name)
        return [] if table is None else [dict(values) for values in table.partitions()]

    def ensure(self, spec: TableSpec, columns: Iterable[pa.Field] = ()) -> None:
        """Create the table if it is missing and add `columns` that it lacks (existing rows read NULL there)."""
        extra = [field for field in columns if field.name not in spec.schema.names]
        # Two writers may find the table or a column missing at once; the one that comes second looks again.
        self._committed(spec, lambda: self._ensure_once(spec, extra))

    def _ensure_once(self, spec: TableSpec, extra: list[pa.Field]) -> None:
        from deltalake import CommitProperties, DeltaTable, Field
        from deltalake.schema import Schema

        if not self.exists(spec.layer, spec.name):
            self.path(spec.layer, spec.name).mkdir(parents=True, exist_ok=True)
            full = pa.schema([*spec.schema, *extra])
            DeltaTable.create(
                self._store.uri(spec.layer, spec.name),
                storage_options=self._store.options,
                schema=full,
                mode="ignore",
                partition_by=list(spec.partition_by) or None,
                configuration=spec.configuration,
                # Tried again by delta-rs it would become version 1 and take back the schema that another writer has just made.
                commit_properties=CommitProperties(max_commit_retries=0),
            )
        table = self._open(spec.layer, spec.name)
        known = set(schema_of(table).names)
        wanted = [field for field in [*spec.schema, *extra] if field.name not in known]
        if wanted:
            added = Schema.from_arrow(pa.schema(wanted)).fields
            table.alter.add_columns([Field(f.name, f.type, nullable=True) for f in added])

    def _committed(self, spec: TableSpec, commit: Callable[[], None], attempts: int = _COMMIT_ATTEMPTS) -> None:
        """Run a commit that may safely be tried anew after another writer came first; ConcurrentWrite when it never gets through."""
        from deltalake.exceptions import CommitFailedError

        for attempt in range(attempts):
            try:
                with self._reaching(spec.layer, spec.name):
                    commit()
                return
            except CommitFailedError as error:
                if attempt + 1 == attempts:
                    raise ConcurrentWrite(
                        f"other writers came first {attempts} times ({error})",
                        where=f"{spec.layer}.{spec.name}",
                        expected="a commit after at most a few conflicts",
                        next_step="run the command again when fewer jobs write to this table",
                    ) from error

    def append(self, spec: TableSpec, rows: pa.Table) -> None:
        """Add rows to a table, creating it when needed."""
        self._write(spec, rows, mode="append", predicate=None)

    def overwrite(self, spec: TableSpec, rows: pa.Table) -> None:
        """Replace all rows of a table in one commit."""
        self._write(spec, rows, mode="overwrite", predicate=None)

    def replace(self, spec: TableSpec, rows: pa.Table, where: Mapping[str, str]) -> None:
        """Replace the rows whose columns equal `where` in one commit; other rows stay untouched."""
        predicate = " AND ".join(f"{column} = {literal(value)}" for column, value in where.items())
        self._write(spec, rows, mode="overwrite" if self.exists(spec.layer, spec.name) else "append", predicate=predicate)

    def commit_files(
        self,
        spec: TableSpec,
        seen: Snapshot,
        files: Sequence[NewFile],
        remove: Sequence[ActiveFile],
        metadata: Mapping[str, str],
        committed_at: dt.datetime,
        claims: Iterable[str] = (),
        *,
        data_change: bool = True,
    ) -> int:
        """Put files that are already in place into the log and take others out of it, in one commit.

        Args:
            spec: the (partitioned) table; it must exist and know all the columns of the files.
            seen: the version upon which the writer decided what to remove.
            files: new Parquet files below the table's folder.
            remove: files of `seen` that leave the table.
            metadata: what to write into the commit for auditors, e.g. the delivery id.
            committed_at: the instant from which the removed files count as deleted (vacuum's retention starts there).
            claims: what else two writers must not change at once, by name; the partitions of all files are claimed always.
            data_change: False where the same rows only get other files.

        Returns:
            The version committed; that of the table where there is nothing to do.

        Raises:
            ConcurrentWrite: somebody committed to one of the claims since `seen`. Each carries an application transaction,
                so that two loads of one slice can never both stay.
        """
        from deltalake import CommitProperties, Transaction
        from deltalake.transaction import AddAction, RemoveAction

        table = self._open(spec.layer, spec.name)
        if not files and not remove:
            return int(table.version())
        root = self.path(spec.layer, spec.name)
        deleted_at_ms = int(committed_at.timestamp() * 1000)
        actions: list[AddAction | RemoveAction] = [AddAction(*new.facts(root), data_change, json.dumps(new.statistics())) for new in files]
        for new in files:
            self._store.bring(spec.layer, spec.name, new.path)
        actions += [RemoveAction(old.name, data_change, deleted_at_ms, partition_values=dict(old.partition)) for old in remove]
        partitions = [*(new.partition for new in files), *(old.partition for old in remove)]
        own = ("/".join(values[column] for column in spec.partition_by) for values in partitions)
        claimed = sorted({*(f"slice/{values}" for values in own), *claims})
        before = self._open(spec.layer, spec.name, seen.version)

        def commit() -> None:
            """Each attempt looks anew at the claims: delta-rs also gives up where a writer of another slice came first."""
            table = self._open(spec.layer, spec.name)
            transactions = []
            for claim in claimed:
                number = table.transaction_version(claim)
                if number != before.transaction_version(claim):
                    raise came_second(spec, claimed, f"{claim} was changed after version {seen.version}")
                transactions.append(Transaction(claim, (number or 0) + 1))
            properties = CommitProperties(custom_metadata=dict(metadata), app_transactions=transactions, max_commit_retries=5)
            table.create_write_transaction(actions, "append", table.schema(), list(spec.partition_by), commit_properties=properties)

        self._committed(spec, commit)
        return int(self._open(spec.layer, spec.name).version())

    def positions(self, layer: str, name: str, streams: Iterable[str]) -> dict[str, int]:
        """How far each stream has been written (application transactions); those of which nothing was written are left out."""
        table = self._found(layer, name)
        found = {} if table is None else {stream: table.transaction_version(stream) for stream in streams}
        return {stream: int(position) for stream, position in found.items() if position is not None}

    def advance(self, spec: TableSpec, files: Sequence[NewFile], moves: Moves, metadata: Mapping[str, str]) -> int:
        """Put new rows and how far their streams have been written into the log, in one commit; returns the version committed.

        Args:
            spec: the table; it must exist.
            files: new Parquet files below the table's folder; none where the streams moved on without rows.
            moves: stream → the position upon which the writer built (None: nothing was written yet), and the one after these rows.
            metadata: what to write into the commit for auditors.

        Raises:
            ConcurrentWrite: a stream is no longer where the writer took it from: somebody else has written these rows.
        """
        from deltalake import CommitProperties, Transaction
        from deltalake.transaction import AddAction

        root, version = self.path(spec.layer, spec.name), 0
        actions = [AddAction(*new.facts(root), True, json.dumps(new.statistics())) for new in files]
        for new in files:
            self._store.bring(spec.layer, spec.name, new.path)
        transactions = [Transaction(stream, after) for stream, (_, after) in moves.items()]
        # Not tried again by delta-rs itself: it accepts a position twice. Each attempt compares with what the others left.
        properties = CommitProperties(custom_metadata=dict(metadata), app_transactions=transactions, max_commit_retries=0)

        def commit() -> None:
            nonlocal version
            table = self._open(spec.layer, spec.name)
            for stream, (before, _) in moves.items():
                if (found := table.transaction_version(stream)) != before:
                    raise came_second(spec, [stream], f"it is at {found}, not at {before}")
            table.create_write_transaction(actions, "append", table.schema(), list(spec.partition_by), commit_properties=properties)
            version = int(table.version()) + 1

        self._committed(spec, commit, attempts=_STREAM_ATTEMPTS)
        return version

    def history(self, layer: str, name: str, limit: int | None = None) -> list[dict[str, object]]:
        """The table's commits, newest first."""
        table = self._open(layer, name)
        with self._reaching(layer, name):
            return list(table.history(limit))

    def maintain(self, layer: str, name: str, retention_hours: int) -> list[str]:
        """Write a checkpoint and delete files that no version within the retention needs; returns the deleted paths.

        A table that was made with a shorter retention of its own keeps to that.
        """
        table = self._open(layer, name)
        own = table.metadata().configuration.get(OWN_RETENTION)
        retention_hours = min(retention_hours, int(own.split()[1])) if own else retention_hours
        with self._reaching(layer, name):
            table.create_checkpoint()
            # `full` also finds files that a killed writer left before its commit.
            return list(table.vacuum(retention_hours=retention_hours, dry_run=False, enforce_retention_duration=False, full=True))

    def connect(self) -> duckdb.DuckDBPyConnection:
        """An in-memory DuckDB connection (UTC) with a view `<layer>.<table>` per Delta table, each pinned to one version."""
        connection = open_duckdb(self.settings)
        for layer in LAYERS:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {layer}")
            for name in self.tables(layer):
                connection.execute(f"CREATE VIEW {layer}.{name} AS {self.scan_sql(layer, name)}")
        return connection

    def scan_sql(self, layer: str, name: str, spec: TableSpec | None = None, *, as_of: dt.datetime | None = None) -> str:
        """A SELECT over the active files with every column of the table; typed and empty where there is no file.

        Args:
            layer: one of LAYERS.
            name: the table.
            spec: gives the columns of a table that does not exist yet, and those that it did not have when it was written.
            as_of: read the version that was the newest at that instant; its files stay for as long as `maintain` keeps them.
        """
        table = self._found(layer, name) if spec is not None else self._open(layer, name)
        if table is None:
            return empty_select(spec.schema) if spec is not None else ""
        if as_of is not None:
            table.load_as_version(as_of)
        schema = schema_of(table)
        if spec is not None:
            schema = pa.schema([*schema, *(field for field in spec.schema if field.name not in schema.names)])
        files = self._files_of(table, layer, name, {})
        if not files:
            return empty_select(schema)
        listing = ", ".join(literal(file) for file in files)
        columns = ", ".join(identifier(column) for column in schema.names)
        scan = f"SELECT * FROM read_parquet([{listing}], union_by_name = true, hive_partitioning = true, hive_types_autocast = false)"
        # The empty typed half gives the columns that no active file has any more.
        return f"SELECT {columns} FROM ({empty_select(schema)} UNION ALL BY NAME {scan})"

    def _open(self, layer: str, name: str, version: int | None = None):  # type: ignore[no-untyped-def]  # deltalake stays inside this module
        table = self._found(layer, name, version)
        if table is None:
            raise LakeError(
                "the table does not exist",
                where=f"{layer}.{name}",
                expected=f"a Delta table below {self._store.uri(layer, name).rpartition('/')[0].rpartition('/')[2]}/",
                next_step="run `costlake run`, or the step that writes this table (see `costlake --help`)",
            )
        return table

    def _found(self, layer: str, name: str, version: int | None = None):  # type: ignore[no-untyped-def]
        """The table; None where there is none."""
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        if self._store.options is None and not self.exists(layer, name):
            return None  # a local folder without log would be created by looking at it
        try:
            with self._reaching(layer, name):
                return DeltaTable(self._store.uri(layer, name), version=version, storage_options=self._store.options)
        except TableNotFoundError:
            return None

    @contextmanager
    def _reaching(self, layer: str, name: str) -> Iterator[None]:
        """What delta-rs says of an object store that does not answer or says no, as our errors."""
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (DeltaError, OSError) as error:
            translated = store_error(error, f"{layer}.{name}")
            if translated is None:
                raise
            raise translated from None

    def _write(self, spec: TableSpec, rows: pa.Table, *, mode: str, predicate: str | None) -> None:
        from deltalake import write_deltalake

        self.ensure(spec)
        # delta-rs casts silently (float 2.5 becomes int 2); Arrow's checked cast refuses instead.
        checked = rows.select(spec.schema.names).cast(spec.schema)
        uri, options = self._store.uri(spec.layer, spec.name), self._store.options

        # A predicate has a meaning for delta-rs only where there is something to replace.
        where = {"predicate": predicate} if predicate is not None and mode == "overwrite" else {}
        self._committed(spec, lambda: write_deltalake(uri, checked, mode=mode, storage_options=options, **where))


def open_duckdb(settings: Settings, database: str = ":memory:", *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with costlake's settings: UTC, bounded memory, bounded threads; it can read the tables where they lie."""
    spill = settings.lake / ".spill"
    connection = duckdb.connect(database, read_only=read_only)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET threads = {settings.threads}")
    connection.execute(f"SET memory_limit = '{settings.memory_limit}'")
    connection.execute(f"SET temp_directory = {literal(str(spill))}")
    table_store(settings).attach(connection)
    return connection


def write_parquet(connection: duckdb.DuckDBPyConnection, select: str, path: Path) -> int:
    """Write a query's rows into a new Parquet file, in no particular order; returns their number.

    A writing thread holds a row group of all columns in memory, two while it keeps the order of rows. In tables of 80 to
    140 columns DuckDB's 122,880 rows a group cost over a GiB; a sixth of it is also faster, for it stays in the cache.
    """
    options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 20480"
    connection.execute("SET preserve_insertion_order = false")
    try:
        return int(connection.execute(f"COPY ({select}) TO {literal(str(path))} ({options})").fetchall()[0][0])
    finally:
        connection.execute("RESET preserve_insertion_order")
