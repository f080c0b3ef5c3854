"""Pages of a usage or cost API, as files: one page, a list of pages, or one page per line (NDJSON).

Data flow: pull folder (page-*.json, pull.json written last) → Delivery → buckets with exact numbers → Arrow rows.

A pull is a folder with its commit marker `pull.json`, which lists the pages in order. Pulls accumulate: each replaces the
UTC days that it covers, so a pull is loaded once and an older one never comes back over a newer one.
Run alone: costlake ingest path/to/page.json
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from costlake.config import Export
from costlake.errors import BadValue, ManifestError, UnknownModel, UnreadableFile
from costlake.money import at_scale, parse_money
from ingest.guards import check_no_unlisted
from ingest.manifests import json_object, names_in
from ingest.source import Candidate, Delivery, LandedObject, LoadContext, Opened
from ingest.stores import Store

_MARKER = "pull.json"
_PAGE_SUFFIXES = (".json", ".json.gz", ".ndjson", ".ndjson.gz")
_TABLE_SUFFIXES = (".csv", ".csv.gz", ".csv.zip")
_MARKED = '{"pages": ["page-001.json", …]}, names in the same folder'
_AGAIN = "pull the window again; nothing of it was loaded"
# What BIGINT and DECIMAL(38,18), the types of counts and amounts in bronze, do not hold any more.
_BEYOND_COUNTS = 2**63
_BEYOND_AMOUNTS = 10**20
Json = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a result stands: file and 1-based number of the result in it."""

    key: str
    number: int

    def __str__(self) -> str:
        return f"{self.key}, result {self.number}"


def find_pulls(store: Store, export: Export) -> Iterator[Candidate]:
    """The commit marker of each pull folder; a folder without one is a pull in progress and left alone."""
    for folder in store.folders(""):
        marker = f"{folder}/{_MARKER}"
        if store.exists(marker):
            yield Candidate(marker, partial(_resolve, store, export, folder, marker))


def _resolve(store: Store, export: Export, folder: str, marker: str) -> Delivery:
    manifest = store.read(marker)
    said = json_object(manifest, marker, _MARKED)
    names = names_in(said, "pages", marker, _MARKED)
    rows = said.get("row_count")
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 0):
        raise ManifestError(f"row_count is {str(rows)[:40]!r}", where=marker, expected="a count, or no row_count", next_step=_AGAIN)
    if any("/" in name for name in names):
        raise ManifestError("a page is named with its path", where=marker, expected=_MARKED, next_step=_AGAIN)
    objects = tuple(store.stat(f"{folder}/{name}") for name in names)
    check_no_unlisted([*(stored.key for stored in objects), marker], store.list(folder), marker, (*_PAGE_SUFFIXES, *_TABLE_SUFFIXES))
    return Delivery(export, marker, objects, manifest, current=False, announced_rows=rows)


def marked(delivery: Delivery) -> Json:
    """What the pull's marker says of it; nothing for a page handed over alone."""
    return json_object(delivery.manifest, delivery.key, _MARKED) if delivery.manifest else {}


def read_results(
    delivery: Delivery, objects: tuple[LandedObject, ...], bucket_of: Callable[[Json], tuple[str, Any, Any]]
) -> tuple[list[tuple[Place, Any, Any, str, Json]], set[str]]:
    """All results of a pull with their bucket, and the UTC days that the pull covers (also the empty ones).

    Args:
        delivery: the pull; `partial` accepts that its last page announces another one.
        objects: its files, in order.
        bucket_of: bucket object → (UTC day YYYY-MM-DD, start, end).

    Raises:
        UnreadableFile: not a page. ManifestError: a page is missing. BadValue: a bucket without its times.
    """
    results: list[tuple[Place, Any, Any, str, Json]] = []
    days: set[str] = set()
    for landed, pages in read_pages(delivery, objects):
        number = 0
        for page in pages:
            for bucket in page["data"]:
                try:
                    day, start, end = bucket_of(bucket)
                    rows = bucket["results"]
                    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                        raise TypeError("results is no list of objects")
                except (KeyError, TypeError, ValueError, OverflowError) as error:
                    raise BadValue(
                        f"a bucket has no readable start, end or results ({error})",
                        where=f"{landed.key}, after result {number}",
                        expected="the bucket object of the provider's documentation",
                        next_step=_AGAIN,
                    ) from error
                days.add(day)
                for row in rows:
                    number += 1
                    results.append((Place(landed.key, number), start, end, day, row))
    return results, days


def read_pages(delivery: Delivery, objects: tuple[LandedObject, ...]) -> list[tuple[LandedObject, list[Json]]]:
    """The pages of each file, in order.

    Raises:
        UnreadableFile: not a page. ManifestError: the last page announces another one (unless the delivery is accepted as partial).
    """
    _check_digests(delivery, objects)
    read = [(landed, list(_pages(landed))) for landed in objects]
    more, last_key = False, delivery.key
    for landed, pages in read:
        if pages:
            more, last_key = bool(pages[-1].get("has_more")), landed.key
    if more and not delivery.partial:
        raise ManifestError(
            "the last page says has_more = true: the pages after it are missing",
            where=last_key,
            expected="a last page with has_more = false",
            next_step="pull the rest, or accept the loss: costlake ingest FILE --accept-partial",
        )
    return read


def _check_digests(delivery: Delivery, objects: tuple[LandedObject, ...]) -> None:
    """The pages are those that were pulled, where the marker says their sha256 (`costlake pull` writes them)."""
    said = marked(delivery)
    names, digests = said.get("pages"), said.get("sha256")
    wanted = dict(zip(names, digests, strict=False)) if isinstance(names, list) and isinstance(digests, list) else {}
    for landed in objects:
        digest = wanted.get(landed.key.rpartition("/")[2], landed.etag)
        if digest != landed.etag:
            raise ManifestError(
                "the page is not the one that was pulled", where=landed.key, expected=f"a file with the sha256 {digest}", next_step=_AGAIN
            )


def _pages(landed: LandedObject) -> Iterator[Json]:
    opener = gzip.open if landed.key.endswith(".gz") else open
    try:
        with opener(landed.path, "rt", encoding="utf-8-sig") as stream:
            text = stream.read()
        try:
            content = json.loads(text, parse_float=Decimal)
        except json.JSONDecodeError:
            content = [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
        pages = content if isinstance(content, list) else [content]
        if not all(isinstance(page, dict) and isinstance(page.get("data"), list) for page in pages):
            raise ValueError("no page object with a list `data`")
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(
            f"not a page of the API ({error})", where=landed.key, expected="JSON with a list `data`", next_step=_AGAIN
        ) from error
    yield from pages


def read_object(path: Path, key: str, fits: Callable[[Json], bool], expected: str, next_step: str) -> Json:
    """The one JSON object of a file, gzipped or not, with exact numbers. Raises UnreadableFile when it is none, or does not fit."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
        found = json.loads(content.decode("utf-8-sig"), parse_float=Decimal)
        if not isinstance(found, dict) or not fits(found):
            raise ValueError("its fields are others")
    except (ValueError, RecursionError, OSError, EOFError) as error:
        raise UnreadableFile(f"not such an answer ({str(error)[:200]})", where=key, expected=expected, next_step=next_step) from error
    return found


def first_result(path: Path) -> Json | None:
    """The first result in a lone file of pages; None when it is no such file or has none."""
    if not path.name.endswith(_PAGE_SUFFIXES):
        return None
    try:
        for page in _pages(LandedObject(path.name, "", path, path.stat().st_size)):
            for bucket in page["data"]:
                for result in bucket["results"]:
                    return dict(result)
    except (UnreadableFile, KeyError, TypeError, ValueError):
        return None  # not a file of pages: some other source may know it
    return None


def first_record(path: Path) -> Json | None:
    """The first object under `data` in a lone file of pages: a bucket, or a record; None when it is no such file or has none."""
    if not path.name.endswith(_PAGE_SUFFIXES):
        return None
    try:
        first = next((entry for page in _pages(LandedObject(path.name, "", path, path.stat().st_size)) for entry in page["data"]), None)
    except UnreadableFile:
        return None  # not a file of pages: some other source may know it
    return first if isinstance(first, dict) else None


def opened_rows(
    context: LoadContext,
    schema: pa.Schema,
    identity_columns: tuple[str, ...],
    objects: tuple[LandedObject, ...],
    rows: list[Json],
    days: set[str],
) -> Opened:
    """Flattened results as a DuckDB relation; a result that comes twice is refused, it would be counted twice.

    `rows` hold the table's own columns and `_place`, `_slice`.
    """
    _refuse_repeats(rows, identity_columns)
    etags = {landed.key: landed.etag for landed in objects}
    lineage = ("_billing_period", "_slice", "_object_key", "_object_etag", "_row_number")
    own = [field for field in schema if not field.name.startswith("_") or field.name == "_extra"]
    for row in rows:
        place: Place = row.pop("_place")
        row["_billing_period"] = row["_slice"][:7]
        row["_object_key"], row["_object_etag"], row["_row_number"] = place.key, etags[place.key], place.number
    table = pa.Table.from_pylist(rows, schema=pa.schema([*own, *(schema.field(name) for name in lineage)]))
    context.connection.register("pages", table)
    covered = {row["_slice"] for row in rows}
    return Opened(select_sql="SELECT * FROM pages", empty_slices=tuple(sorted((day[:7], day) for day in days - covered)))


def count(row: Json, field: str, place: Place, *, required: bool = False) -> int | None:
    """A non-negative whole number of a result; None when it is absent, which is not 0."""
    value = row.get(field)
    if value is None and not required:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value < _BEYOND_COUNTS or value != int(value):
        said = str(value)[:40]
        raise BadValue(f"{field} is {said}", where=f"{place}, field {field}", expected="a whole number from 0 to 2⁶³ - 1", next_step=_AGAIN)
    return int(value)


def flag(row: Json, field: str, place: Place) -> bool | None:
    """A yes or no; None when it is absent."""
    value = row.get(field)
    if value is not None and not isinstance(value, bool):
        raise BadValue(f"{field} is {value!r}", where=f"{place}, field {field}", expected="true, false or null", next_step=_AGAIN)
    return value


def inner(row: Json, field: str, place: Place) -> Json:
    """An object in a result; empty when it is absent."""
    value = row.get(field)
    if value is not None and not isinstance(value, dict):
        raise BadValue(f"{field} is {value!r}", where=f"{place}, field {field}", expected="an object or null", next_step=_AGAIN)
    return value or {}


def amount(value: Any, field: str, place: Place) -> Decimal:
    """An exact amount, sent as JSON number or as text."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise ValueError(f"{value!r} is not a number")
        exact = at_scale(parse_money(str(value)))
        if abs(exact) >= _BEYOND_AMOUNTS:
            raise ValueError("too large")
        return exact
    except (ValueError, ArithmeticError) as error:
        said = str(value)[:40]
        raise BadValue(
            f"{field} is {said!r}", where=f"{place}, field {field}", expected="a decimal number below 10²⁰", next_step=_AGAIN
        ) from error


def text(row: Json, field: str) -> str | None:
    """A text field; None when it is absent, null or empty."""
    value = row.get(field)
    return None if value is None or value == "" else str(value)


def pseudonym(export: Export, user_id: str | None) -> str | None:
    """A stable stand-in for a person's id (law 10): the same person of the same export keeps the same one."""
    if user_id is None:
        return None
    return "user-" + hashlib.blake2b(user_id.encode(), key=export.id.encode()[:64], digest_size=8).hexdigest()


def extra_json(row: Json, known: frozenset[str]) -> str | None:
    """Fields that the table has no column for, as JSON text: providers add fields without notice."""
    rest = {name: value for name, value in row.items() if name not in known and value is not None}
    return json.dumps(rest, default=str, sort_keys=True) if rest else None


def check_models(rows: list[Json], provider: str, context: LoadContext) -> None:
    """Every model named in a usage report is in a price list; otherwise its tokens would silently have no price."""
    from genai_prices.data import providers

    catalogue = next(entry for entry in providers if entry.id == provider)
    extra = frozenset(context.known_models.get(provider, ()))
    places = {row["model"]: row["_place"] for row in reversed(rows) if row["model"] is not None}
    for model, place in sorted(places.items()):
        if model not in extra and catalogue.find_model(model) is None:
            raise UnknownModel(
                f"no price list knows the model {model!r}",
                where=f"{place}, field model",
                expected=f"a model of {provider} in genai-prices or in config/prices/models.yml",
                next_step=f"add it to config/prices/models.yml under models.{provider}, then ingest again",
            )


def _refuse_repeats(rows: list[Json], identity_columns: tuple[str, ...]) -> None:
    seen: dict[tuple[Any, ...], Place] = {}
    for row in rows:
        identity = tuple(row[name] for name in identity_columns)
        if identity in seen:
            raise ManifestError(
                "the same bucket and dimensions come twice in one pull",
                where=f"{row['_place']}; first at {seen[identity]}",
                expected="each bucket and combination of dimensions once",
                next_step="remove the repeated page (a pull that was resumed wrongly) and ingest again",
            )
        seen[identity] = row["_place"]
