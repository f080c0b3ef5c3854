"""Files handed over one by one: which export they belong to.

Data flow: a file's source and content, the `--as` of the command, config/accounts.yml → an `Export` for `ingest.load`.
Not for direct use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from costlake.config import Export, load_accounts
from costlake.errors import ConfigError
from costlake.settings import Settings
from ingest.readers import unreadable
from ingest.source import Source

if TYPE_CHECKING:
    import duckdb


@contextmanager
def looking_into(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of one's own to look into a lone file with.

    Raises UnreadableFile, by the file's name, for what DuckDB finds wrong with it meanwhile.
    """
    import duckdb

    connection = duckdb.connect()
    try:
        yield connection
    except duckdb.Error as error:
        raise unreadable(path.name, error) from error
    finally:
        connection.close()


def the_only(owners: list[str], kind: str, path: Path) -> str | None:
    """The owner of a lone file, None where it names none; ConfigError where it has several. `kind` says what one is: "payer account"."""
    if len(owners) > 1:
        raise ConfigError(
            f"the file holds bills of several {kind}s",
            where=path.name,
            expected=f"one {kind}, whose id names the export",
            next_step="name the export yourself: costlake ingest FILE --as ID",
        )
    return owners[0] if owners else None


def default_id(source: Source, path: Path) -> str:
    """The export id of a file that nobody gave one: its source and its billing account, or its folder's name."""
    owner = source.account_of(path) if path.is_file() else path.resolve().name
    slug = re.sub(r"[^a-z0-9]+", "-", f"{source.name} {owner or ''}".lower()).strip("-")
    return slug[:63].rstrip("-")


def export_of_file(settings: Settings, name: str, source: Source, location: str, credential: str | None) -> Export:
    """The export that a lone file belongs to; one that is configured keeps its billing account, by which cost finds its usage."""
    known = {export.id: export for export in load_accounts(settings.config_dir / "accounts.yml").exports}.get(name)
    export = Export(id=name, source=source.name, location=location, credential=credential)
    if known is None:
        return export
    if known.source != source.name:
        raise ConfigError(
            f"the file is of {source.name}, the export {name} of {known.source}",
            where=f"config/accounts.yml, export {name}",
            expected="a file of the export's source",
            next_step="hand the file over under another id: --as",
        )
    account = ("owner", "billing_account_id", "billing_account_name")
    return export.model_copy(update={key: getattr(known, key) for key in account})
