"""Files handed over one by one: which export they belong to.

Data flow: a file's source and content, the `--as` of the command, config/accounts.yml → an `Export` for `ingest.load`.
Not for direct use.
"""

from __future__ import annotations

import re
from pathlib import Path

from costlake.config import Export, load_accounts
from costlake.errors import ConfigError
from costlake.settings import Settings
from ingest.source import Source


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
