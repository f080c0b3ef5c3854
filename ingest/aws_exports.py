"""Where AWS Data Exports keep their deliveries, whatever table they export: one manifest per billing period.

Data flow: `metadata/BILLING_PERIOD=YYYY-MM/<export>-Manifest.json` → `find_exports` → `Candidate` → `Delivery`.

The manifest is written last and names the files; nothing else is read. CUR 2.0 and FOCUS exports have the same folders and differ in
the columns that the manifest lists, so that the one is not taken for the other. `read_manifest` also serves the legacy reports.
Document: AWS "Data Exports user guide" (delivery paths, manifest files).
Run alone: costlake ingest path/to/export --source aws_cur2
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from costlake.config import Export
from costlake.errors import ManifestError
from ingest.guards import check_no_unlisted
from ingest.manifests import json_object, names_in
from ingest.source import Candidate, Delivery
from ingest.stores import Store, located

_MANIFEST = "a JSON object with reportKeys (legacy) or dataFiles (Data Exports)"
_DATA_SUFFIXES = (".parquet", ".csv.gz", ".csv", ".zip")
_EXPORT_PERIOD = re.compile(r"billing_period=(\d{4}-\d{2})", re.IGNORECASE)
# Mandatory in every FOCUS version and no column of a CUR.
_FOCUS_COLUMN = "billedcost"


def find_exports(store: Store, export: Export, *, focus: bool) -> Iterator[Candidate]:
    """The manifest of each `metadata/BILLING_PERIOD=…` folder: the mutable pointer to the newest execution.

    Args:
        store: the export's bucket and prefix, or a copy of it.
        export: what the deliveries belong to.
        focus: whether exports of a FOCUS table are wanted; those of another table are left alone. A manifest that lists no columns
            could be either and is found by both.
    """
    for folder in store.folders("metadata"):
        match = _EXPORT_PERIOD.fullmatch(folder.rsplit("/", 1)[-1])
        if match:
            yield from manifests(store, export, folder, match[1], focus=focus)


def manifests(store: Store, export: Export, folder: str, period: str, *, focus: bool = False) -> Iterator[Candidate]:
    """The manifest that lies directly in a folder of a billing period (YYYY-MM); two of them are a candidate that refuses."""
    keys = [stored.key for stored in store.list(folder) if stored.key.endswith("-Manifest.json")]
    keys = [key for key in keys if _is_focus(store.read(key)) in (None, focus)]
    if len(keys) > 1:
        yield Candidate(folder, partial(_refuse_rivals, keys))
    elif keys:
        yield Candidate(keys[0], partial(_resolve, store, export, keys[0], period))


def _is_focus(manifest: bytes) -> bool | None:
    """Whether the manifest's columns are FOCUS columns; None where it lists none."""
    try:
        columns: Any = json.loads(manifest)["columns"]
        names = [str(column["name"]).lower() for column in columns]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return _FOCUS_COLUMN in names if names else None


def _refuse_rivals(keys: list[str]) -> Delivery:
    """Two pointers to the delivery in force would replace each other's month at every run."""
    raise ManifestError(
        f"{len(keys)} manifests lie in one billing period",
        where=", ".join(keys),
        expected="one: AWS overwrites it when it delivers the period again",
        next_step="remove the one that is not AWS's, or give the second report an export of its own",
    )


def _resolve(store: Store, export: Export, manifest_key: str, period: str) -> Delivery:
    manifest = store.read(manifest_key)
    content = json_object(manifest, manifest_key, _MANIFEST)
    uris = names_in(content, "reportKeys" if "reportKeys" in content else "dataFiles", manifest_key, _MANIFEST)
    objects = located(store, uris, manifest_key)
    keys = [stored.key for stored in objects]
    for folder in sorted({key.rpartition("/")[0] for key in keys}):
        check_no_unlisted(keys, store.list(folder), manifest_key, _DATA_SUFFIXES)
    return Delivery(export, manifest_key, objects, manifest, period)
