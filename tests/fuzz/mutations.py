"""Damages: what transport, spreadsheets, providers and people do to files. Each takes the bytes and a seeded chance.

Data flow: bytes of a file → name of a damage, damaged bytes. The same seed damages in the same way.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from typing import Any

CELLS = (
    "", " ", "0", "-0", "1", "-1", "0.1", "-12.34", "1e3", "1E-7", "6e-25", "1e400", "1e19", "99999999999999999999",
    "123456789012345678901.5",
    "-99999999999999999999.999999999999999999", "0.0000000000000000005",
    "0.00000000000000000149", "1.23456789012345678901234567", "NaN",
    "nan", "Infinity",
    "-inf", "null", "None", "\\N", "1,5", "1.000,50", "1_000", "0x10", "١٢٣", "１２", "½", "12.3 ", " 7", "+5", "--5", "5-",
    "$5", "5%", "true", "2026-10-01", "2026-10-01T00:00:00Z", "2026-13-45", "0001-01-01", "9999-12-31T23:59:59Z", "1e5000", "10/01/2026",
    '"', '""', "'", "a\nb", "a\r\nb", "\ufeff", "\0", "Zürich", "🙂", "x" * 5000, "=1+1", ",", ";", "\t", "{}", "[1]", '{"a": "b"}',
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**18, 2**63, 10**30, 10**400, 1.5, -0.25, 1e-7, 1e300, float("nan"), float("inf"), "", "7", "-3.25", "x",
    "1e3", "NaN", "2026-10-01", "2026-13-01T00:00:00Z", [], {}, [1], {"a": 1}, [[[]]], "\0", "é", "x" * 3000, 1790812800, "usd", "USD",
)  # fmt: skip

Damage = Callable[[random.Random, bytes], bytes]


def flip_byte(chance: random.Random, content: bytes) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def truncate(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content))]


def drop_span(chance: random.Random, content: bytes) -> bytes:
    start = chance.randrange(len(content))
    return content[:start] + content[start + chance.choice((1, 2, 10, 100)) :]


def repeat_span(chance: random.Random, content: bytes) -> bytes:
    start = chance.randrange(len(content))
    end = start + chance.choice((1, 2, 10, 100, 1000))
    return content[:end] + content[start:end] + content[end:]


def append_junk(chance: random.Random, content: bytes) -> bytes:
    return content + chance.choice((b"\0", b"\n", b"\n\n", b'"', b"junk", b"\x1f\x8b", content))


def zero_span(chance: random.Random, content: bytes) -> bytes:
    start = chance.randrange(len(content))
    length = min(chance.choice((1, 4, 64)), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


BYTES: dict[str, Damage] = {d.__name__: d for d in (flip_byte, truncate, drop_span, repeat_span, append_junk, zero_span)}


def _table(edit: Callable[[random.Random, list[list[str]]], None]) -> Damage:
    """A damage to the rows of a CSV file, header included."""

    def damage(chance: random.Random, content: bytes) -> bytes:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        edit(chance, rows)
        sink = io.StringIO()
        csv.writer(sink, lineterminator=chance.choice(("\n", "\n", "\r\n"))).writerows(rows)
        return sink.getvalue().encode("utf-8", errors="surrogatepass")

    damage.__name__ = edit.__name__
    return damage


def _some(chance: random.Random, count: int) -> int:
    return chance.randrange(1, count) if count > 1 else 0


def edit_cell(chance: random.Random, rows: list[list[str]]) -> None:
    row = rows[_some(chance, len(rows))]
    row[chance.randrange(len(row))] = chance.choice(CELLS)


def edit_number(chance: random.Random, rows: list[list[str]]) -> None:
    """Cells that hold numbers are few among the texts: this one hits them."""
    places = [(row, at) for row in rows[1:] for at, cell in enumerate(row) if cell.strip("-").replace(".", "", 1).isdigit()]
    if places:
        row, at = chance.choice(places)
        row[at] = chance.choice(CELLS)


def repeat_row(chance: random.Random, rows: list[list[str]]) -> None:
    rows.insert(chance.randrange(1, len(rows) + 1), list(rows[_some(chance, len(rows))]))


def drop_row(chance: random.Random, rows: list[list[str]]) -> None:
    del rows[_some(chance, len(rows))]


def swap_rows(chance: random.Random, rows: list[list[str]]) -> None:
    one, other = _some(chance, len(rows)), _some(chance, len(rows))
    rows[one], rows[other] = rows[other], rows[one]


def header_again(chance: random.Random, rows: list[list[str]]) -> None:
    rows.insert(_some(chance, len(rows)), list(rows[0]))


def rename_column(chance: random.Random, rows: list[list[str]]) -> None:
    at = chance.randrange(len(rows[0]))
    name = rows[0][at]
    rows[0][at] = chance.choice(
        (name.upper(), name.lower(), f" {name} ", name + "X", "", name.replace("/", "_"), chance.choice(rows[0]), '"')
    )


def repeat_column(chance: random.Random, rows: list[list[str]]) -> None:
    at = chance.randrange(len(rows[0]))
    for row in rows:
        row.append(row[at] if at < len(row) else "")


def drop_column(chance: random.Random, rows: list[list[str]]) -> None:
    at = chance.randrange(len(rows[0]))
    for row in rows:
        del row[at : at + 1]


def swap_columns(chance: random.Random, rows: list[list[str]]) -> None:
    one, other = chance.randrange(len(rows[0])), chance.randrange(len(rows[0]))
    for row in rows:
        if len(row) > max(one, other):
            row[one], row[other] = row[other], row[one]


def ragged_row(chance: random.Random, rows: list[list[str]]) -> None:
    row = rows[chance.randrange(len(rows))]
    row[:] = row[: chance.randrange(len(row))] if chance.random() < 0.5 else [*row, chance.choice(CELLS)]


def cut_all_rows(chance: random.Random, rows: list[list[str]]) -> None:
    width = chance.randrange(1, len(rows[0]) + 1)
    for row in rows[1:]:
        del row[width:]


def empty_rows(chance: random.Random, rows: list[list[str]]) -> None:
    rows.insert(chance.randrange(len(rows) + 1), [])


def _text(name: str, edit: Callable[[random.Random, str], str | bytes]) -> Damage:
    def damage(chance: random.Random, content: bytes) -> bytes:
        changed = edit(chance, content.decode("utf-8-sig"))
        return changed if isinstance(changed, bytes) else changed.encode()

    damage.__name__ = name
    return damage


def _insert(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(('"', '""', ",", "\n", "\r", "\r\n", "\\", "'", "\0", ";", ' "', "é")) + text[at:]


_TEXTS = (
    _text("delimiter", lambda chance, text: text.replace(",", chance.choice((";", "\t", "|", ", ")))),
    _text(
        "encoding", lambda chance, text: text.replace("a", "ä", 1).encode(chance.choice(("utf-16", "latin-1", "utf-16-le", "utf-8-sig")))
    ),
    _text("line_ends", lambda chance, text: text.replace("\r\n", "\n").replace("\n", chance.choice(("\r\n", "\r", "\n\n")))),
    _text("mixed_line_ends", lambda chance, text: text.replace("\n", "\r\n", 1)),
    _text("insert_mark", _insert),
    _text("no_last_line_end", lambda _, text: text.rstrip("\r\n")),
    _text("header_only", lambda _, text: text.splitlines(keepends=True)[0]),
)
CSV: dict[str, Damage] = {
    damage.__name__: damage
    for damage in (
        *(
            _table(edit)
            for edit in (
                edit_cell, edit_number, repeat_row, drop_row, swap_rows, header_again, rename_column, repeat_column, drop_column,
                swap_columns, ragged_row, cut_all_rows, empty_rows,
            )
        ),
        *_TEXTS,
    )
}  # fmt: skip


def _json(edit: Callable[[random.Random, list[tuple[Any, Any]]], None]) -> Damage:
    """A damage to one place of a JSON document; numbers keep their digits."""

    def damage(chance: random.Random, content: bytes) -> bytes:
        document = json.loads(content)
        places: list[tuple[Any, Any]] = []
        _walk(document, places)
        if places:
            edit(chance, places)
        return json.dumps(document, ensure_ascii=chance.random() < 0.5).encode()

    damage.__name__ = edit.__name__
    return damage


def _walk(node: Any, places: list[tuple[Any, Any]]) -> None:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in list(children):
        places.append((node, key))
        _walk(child, places)


def set_value(chance: random.Random, places: list[tuple[Any, Any]]) -> None:
    node, key = chance.choice(places)
    node[key] = chance.choice(VALUES)


def drop_value(chance: random.Random, places: list[tuple[Any, Any]]) -> None:
    node, key = chance.choice(places)
    del node[key]


def rename_field(chance: random.Random, places: list[tuple[Any, Any]]) -> None:
    node, key = chance.choice([place for place in places if isinstance(place[0], dict)] or places)
    if isinstance(node, dict):
        node[chance.choice((key.upper(), key + "_x", "", "data", "results", "amount"))] = node.pop(key)


def repeat_item(chance: random.Random, places: list[tuple[Any, Any]]) -> None:
    lists = [(node, key) for node, key in places if isinstance(node, list)]
    if lists:
        node, key = chance.choice(lists)
        node.insert(chance.randrange(len(node) + 1), json.loads(json.dumps(node[key])))


def swap_values(chance: random.Random, places: list[tuple[Any, Any]]) -> None:
    (one, at), (other, where) = chance.choice(places), chance.choice(places)
    one[at], other[where] = json.loads(json.dumps(other[where])), json.loads(json.dumps(one[at]))


JSON: dict[str, Damage] = {edit.__name__: _json(edit) for edit in (set_value, drop_value, rename_field, repeat_item, swap_values)}


def _line(damage: Damage) -> Damage:
    """The damage done to one line of JSON lines."""

    def one(chance: random.Random, content: bytes) -> bytes:
        lines = content.splitlines()
        at = chance.randrange(len(lines))
        lines[at] = damage(chance, lines[at])
        return b"\n".join(lines) + b"\n"

    return one


def repeat_line(chance: random.Random, content: bytes) -> bytes:
    """A line twice, and in another place."""
    lines = content.splitlines()
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return b"\n".join(lines)


def drop_line(chance: random.Random, content: bytes) -> bytes:
    """A line less."""
    lines = content.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return b"".join(lines)


LINES: dict[str, Damage] = {
    **{name: _line(damage) for name, damage in JSON.items()},
    **{damage.__name__: damage for damage in (repeat_line, drop_line)},
}


def inside_gzip(damage: Damage) -> Damage:
    """The damage done to what is packed, and packed again: gzip's checksum holds, so readers have to notice themselves."""
    return lambda chance, content: gzip.compress(damage(chance, gzip.decompress(content)), mtime=0)
