"""Commit markers in JSON, read as something that a stranger wrote: bounded in depth, every name once, no surprises.

Data flow: marker bytes (their size is bounded by `Store.read`) → JSON object, or ManifestError.

Run alone: python -c "from ingest.manifests import json_object; print(json_object(b'{}', 'x', 'a marker'))"
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from costlake.errors import ConfigError, ManifestError


def json_object(content: bytes, key: str, expected: str) -> dict[str, Any]:
    """The JSON object of a commit marker.

    Args:
        content: its bytes. key: its name, for errors. expected: what it should say, e.g. "a JSON object with reportKeys".

    Raises:
        ManifestError: no JSON, no object, nested beyond what Python reads, or a name twice in one object (which of the two counts?).
    """
    try:
        parsed = json.loads(content, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _no_marker(f"the commit marker is not readable JSON ({str(error)[:200]})", key, expected) from error
    if not isinstance(parsed, dict):
        raise _no_marker("the commit marker is not a JSON object", key, expected)
    return parsed


def names_in(marker: dict[str, Any], field: str, key: str, expected: str) -> list[str]:
    """A list of file names or addresses in a marker: at least one, all text, none twice."""
    names = marker.get(field)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name and "\0" not in name for name in names):
        raise _no_marker(f"the commit marker lists no files under {field}", key, expected)
    check_once(names, key)
    return list(names)


def part_names(location: str, parts: Sequence[str]) -> list[str]:
    """File names of further parts of a lone delivery; ConfigError for one that does not lie beside the first file."""
    folder = location.rpartition("/")[0]
    for part in parts:
        if part.rpartition("/")[0] != folder:
            raise ConfigError(
                "the parts of one delivery lie in two folders",
                where=f"{location}, {part}",
                expected="all of them in one folder",
                next_step="copy them together, then ingest them again",
            )
    return [part.rpartition("/")[2] for part in parts]


def check_once(names: Iterable[str], key: str) -> None:
    """No file is named twice: its rows would be counted twice."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise ManifestError(
            f"{len(twice)} file(s) are named twice: {twice[0]}",
            where=key,
            expected="every file once",
            next_step="ask the provider to deliver the period again; loading it would count these rows twice",
        )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a name comes twice in one object: {sorted(name for name, _ in pairs)[:10]}")
    return found


def _no_marker(what: str, key: str, expected: str) -> ManifestError:
    return ManifestError(what, where=key, expected=expected, next_step="wait until the provider has finished writing it, then ingest again")
