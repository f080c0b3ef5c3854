"""Folders that somebody or some script fills, one per hand-over: the layout of every source whose provider has none of its own.

Data flow: `<location>/<any name>/manifest.json`, written last → `Candidate` → `Delivery`; JSON pages → JSON lines for the reader.

The manifest is `{"files": ["part-1.csv", …], "row_count": 1234}`: names in its own folder; `row_count` may be left out. A folder without
one is a hand-over in progress. Hand-overs accumulate: each replaces the slices that it has rows of, is loaded once, and an older one
never comes back over a newer one.
Run alone: costlake ingest path/to/file.csv
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from costlake.config import Export
from costlake.errors import ManifestError, UnreadableFile
from ingest.guards import check_no_unlisted
from ingest.manifests import json_object, names_in
from ingest.source import Candidate, Delivery
from ingest.stores import Store

_PAGES = (".json", ".json.gz")
_LINES = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
ENDINGS = (".csv", ".csv.gz", ".csv.zip", ".parquet", *_PAGES, *_LINES)
_MARKER = "manifest.json"
_EXPECTED = '{"files": [names of data files in its folder], "row_count": number}'


def find_handovers(store: Store, export: Export) -> Iterator[Candidate]:
    """The manifest of each folder directly below the location."""
    for folder in store.folders(""):
        marker = f"{folder}/{_MARKER}"
        if store.exists(marker):
            yield Candidate(marker, partial(_resolve, store, export, folder, marker))


def _resolve(store: Store, export: Export, folder: str, marker: str) -> Delivery:
    text = store.read(marker)
    content = json_object(text, marker, _EXPECTED)
    files, rows = names_in(content, "files", marker, _EXPECTED), content.get("row_count")
    strange = [name for name in files if "/" in name or "\\" in name or not name.endswith(ENDINGS) or name == _MARKER]
    if strange or isinstance(rows, bool) or not isinstance(rows, int | None):
        raise ManifestError(
            f"these are not names of data files in the folder: {strange[:3]}" if strange else f"row_count is {rows!r}",
            where=marker,
            expected=_EXPECTED,
            next_step="correct the manifest, and write it last",
        )
    objects = tuple(store.stat(f"{folder}/{name}") for name in files)
    check_no_unlisted([*(stored.key for stored in objects), marker], store.list(folder), marker, ENDINGS)
    return Delivery(export, marker, objects, text, current=False, announced_rows=rows)


def as_lines(path: Path, key: str, lists: tuple[str, ...]) -> Path:
    """A page of an API as JSON lines beside it, one per item of its list; any other file as it is.

    Args:
        path, key: the file, and its name for errors.
        lists: the names that the list of items goes by; an array without a name is one too.

    Raises:
        UnreadableFile: a page without such a list, or with a name twice in one object. Numbers keep their digits: decimals become text.
    """
    if not path.name.endswith(_PAGES):
        return path
    try:
        with _opened(path) as stream:
            items = _items(stream.read(), lists)
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(
            f"not a page of the API ({str(error)[:200]})",
            where=key,
            expected=f"a JSON object with a list {' or '.join(lists)}, or JSON lines",
            next_step="download it again; nothing of it was loaded",
        ) from error
    target = path.with_name(f"{path.name}.items.ndjson")
    target.write_text("".join(f"{json.dumps(item, default=_digits)}\n" for item in items), encoding="utf-8")
    return target


def first_item(path: Path, lists: tuple[str, ...]) -> dict[str, Any]:
    """The first item of a lone file of JSON lines or of a page, its records as dotted names; empty when it is no such file."""
    if not path.name.endswith((*_PAGES, *_LINES)):
        return {}
    with _opened(path) as stream:
        items = [_parsed(stream.readline())] if path.name.endswith(_LINES) else _items(stream.read(), lists)
    if not all(isinstance(item, dict) for item in items):
        return {}
    return dict(_flat("", items[0])) if items else {}


def _opened(path: Path) -> TextIO:
    if path.name.endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open("rt", encoding="utf-8-sig")


def _flat(prefix: str, item: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in item.items():
        if isinstance(value, dict) and value:
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


def _items(text: str, lists: tuple[str, ...]) -> list[dict[str, Any]]:
    try:
        content = _parsed(text)
    except json.JSONDecodeError:
        content = [_parsed(line) for line in text.splitlines() if line.strip()]
    if isinstance(content, dict):
        found = [name for name in lists if isinstance(content.get(name), list)]
        if len(found) != 1:
            raise ValueError(f"no object with one list out of {', '.join(lists)}")
        content = content[found[0]]
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise ValueError("the list holds something else than objects")
    return content


def _parsed(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in one object")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def _digits(value: Any) -> str:
    return str(value)
