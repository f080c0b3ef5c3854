"""Where FOCUS files lie, and which of them are one delivery: four layouts, each found by its commit marker.

Data flow: an export's location → `find` → `Candidate` → `Delivery`.

| Layout | Marker | One delivery is |
|---|---|---|
| AWS Data Exports | `metadata/BILLING_PERIOD=YYYY-MM/<export>-Manifest.json` whose columns are FOCUS' | a month to date |
| Azure export | `…/<yyyyMMdd-yyyyMMdd>/…/manifest.json` of type FocusCost | a period to date |
| Oracle | `FOCUS Reports/YYYY/MM/DD/<number>.csv.gz`, each complete when it can be listed | one file, never changed |
| any vendor | `<YYYY-MM>/manifest.json`, see below | a month to date |

The vendor manifest is for everybody who has no layout of their own (a SaaS vendor's download, a script that calls an API). It is a JSON
object, written last: `{"files": ["part-1.csv.gz", "part-2.csv.gz"], "row_count": 1234, "billing_period": "2026-10"}`. `files` are names in
that folder; `row_count` and `billing_period` (that of the folder) may be left out. A month's folder holds the whole month and is delivered
again by writing it anew.
Run alone: costlake ingest path/to/folder --source focus_files
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from costlake.config import Export
from costlake.errors import ManifestError
from ingest.aws_exports import find_exports
from ingest.azure_exports import find_runs
from ingest.guards import check_no_unlisted
from ingest.manifests import json_object, names_in
from ingest.source import Candidate, Delivery
from ingest.stores import Store

_ENDINGS = (".csv", ".csv.gz", ".parquet")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_MANIFEST = "manifest.json"
_EXPECTED = '{"files": [names of .csv, .csv.gz or .parquet files in its folder], "row_count": number, "billing_period": "YYYY-MM"}'
_ORACLE_ROOT = "FOCUS Reports"
ORACLE_DAY = re.compile(r"(?:^|/)(\d{4}/\d{2}/\d{2}/[^/]+)$")


def find(store: Store, export: Export) -> Iterator[Candidate]:
    """The deliveries of whichever layout the location has."""
    yield from find_exports(store, export, focus=True)
    yield from find_runs(store, export, frozenset({"FocusCost"}))
    yield from _oracle_files(store, export)
    yield from _vendor_months(store, export)


def _oracle_files(store: Store, export: Export) -> Iterator[Candidate]:
    """The files of each day, by listing year, month and day: never a search through the bucket."""
    own = store.root.rstrip("/").rsplit("/", 1)[-1] == _ORACLE_ROOT
    for year in _numbered(store, "" if own else _ORACLE_ROOT, 4):
        for month in _numbered(store, year, 2):
            for day in _numbered(store, month, 2):
                for stored in store.list(day):
                    if stored.key.endswith(_ENDINGS):
                        yield Candidate(stored.key, partial(Delivery, export, stored.key, (stored,)))


def _numbered(store: Store, folder: str, digits: int) -> Iterator[str]:
    for key in store.folders(folder):
        name = key.rsplit("/", 1)[-1]
        if len(name) == digits and name.isdigit():
            yield key


def _vendor_months(store: Store, export: Export) -> Iterator[Candidate]:
    for folder in store.folders(""):
        key = f"{folder}/{_MANIFEST}"
        if _MONTH.fullmatch(folder) and store.exists(key):
            yield Candidate(key, partial(_resolve, store, export, folder, key))


def _resolve(store: Store, export: Export, folder: str, key: str) -> Delivery:
    text = store.read(key)
    content = json_object(text, key, _EXPECTED)
    files = names_in(content, "files", key, _EXPECTED)
    period, rows = content.get("billing_period", folder), content.get("row_count")
    if period != folder:
        raise _manifest_error(f"the manifest is of {period!r}, its folder of {folder}", key)
    if rows is not None and (not isinstance(rows, int) or isinstance(rows, bool)):
        raise _manifest_error(f"row_count is {rows!r}", key)
    strange = [name for name in files if "/" in name or "\\" in name or not name.endswith(_ENDINGS)]
    if strange:
        raise _manifest_error(f"these are not names of data files in the folder: {strange}", key)
    objects = tuple(store.stat(f"{folder}/{name}") for name in files)
    check_no_unlisted((stored.key for stored in objects), store.list(folder), key, _ENDINGS)
    return Delivery(export, key, objects, text, folder, announced_rows=rows)


def _manifest_error(what: str, key: str) -> ManifestError:
    return ManifestError(
        what,
        where=key,
        expected=_EXPECTED,
        next_step="correct the manifest, or wait until the vendor's copy is complete: it is written last",
    )
