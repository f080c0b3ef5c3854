"""What a data file comes packed in: whole, of one member, and not a bomb, before anything of it is read.

Data flow: fetched file (gzip, zip, Parquet, plain) → checked to its last byte → the file that readers open (a zip's only member, unpacked).

DuckDB reads a gzip stream that stops early as if it had ended there, and no zip at all: hence the checks, and the unpacking. The
untouched bytes stay what landing keeps. Sources: AWS CUR guide (compression GZIP or ZIP), PKWARE APPNOTE (flag bit 0: encrypted).
Run alone: python -c "from ingest.containers import opened; from pathlib import Path; print(opened(Path('x.csv.zip'), 'x', Path('/tmp')))"
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from costlake.errors import EmptyDelivery, OversizedFile, TruncatedFile, UnreadableFile

_CHUNK_BYTES = 1 << 20
_PARQUET_MAGIC = b"PAR1"
_ENCRYPTED = 0x1
# A ratio says nothing of a small file: a header repeated a thousand times is none of anybody's business.
_RATIO_FROM_BYTES = 64 << 20
_PACKED = (".zip", ".gz")
_AGAIN = "wait for the next delivery, or ask the provider to deliver the period again"


@dataclass(frozen=True)
class Limits:
    """How much a packed file may unpack to: in bytes, and as a multiple of its size (real bills reach 20 to 60)."""

    unpacked_bytes: int = 64 << 30
    ratio: int = 250


@dataclass(frozen=True)
class Readable:
    """A file that is whole: itself, or what was unpacked from it.

    Attributes:
        path: the file to read.
        line_count: its lines, the last one with or without its end; None for Parquet.
    """

    path: Path
    line_count: int | None


def opened(path: Path, key: str, folder: Path, limits: Limits | None = None) -> Readable:
    """Check that a file is whole and return what to read: itself, or a zip's member unpacked into `folder`.

    Args:
        path: the local file, under the name that it was delivered with.
        key: the provider's name of it, for errors.
        folder: where a zip's member is unpacked; somebody else removes it.
        limits: how much may be unpacked.

    Raises:
        EmptyDelivery: no byte. TruncatedFile: it ends early. OversizedFile: it unpacks to more than the limits allow.
        UnreadableFile: it is not in the format of its name, or a zip with a password, several members or a path as a name.
    """
    limits = limits or Limits()
    size = path.stat().st_size
    if size == 0:
        raise EmptyDelivery("the file has 0 bytes", where=key, expected="a file with a header", next_step=_AGAIN)
    meter = _Meter(size, limits, key)
    if path.name.endswith(".gz"):
        _check_gzip(path, key, meter)
    elif path.name.endswith(".zip"):
        return Readable(_unpacked(path, key, folder, meter), meter.line_count)
    elif ".parquet" in path.name:
        _check_parquet(path, key, size)
        return Readable(path, None)
    else:
        with path.open("rb") as stream:
            for chunk in _chunks(stream):
                meter.add(chunk)
    return Readable(path, meter.line_count)


class _Meter:
    """Counts what comes out of a file, bytes and lines, and stops it beyond the limits."""

    def __init__(self, packed_bytes: int, limits: Limits, key: str) -> None:
        self._most = min(limits.unpacked_bytes, max(packed_bytes * limits.ratio, _RATIO_FROM_BYTES))
        self._packed, self._key, self._count = packed_bytes, key, 0
        self._newlines, self._last = 0, b""

    @property
    def line_count(self) -> int:
        return self._newlines + (self._last not in (b"", b"\n"))

    def add(self, chunk: bytes) -> None:
        self._count += len(chunk)
        self._newlines += chunk.count(b"\n")
        self._last = chunk[-1:]
        if self._count > self._most:
            raise OversizedFile(
                f"{self._packed} bytes unpack to more than {self._most}",
                where=self._key,
                expected=f"at most {self._most} bytes (COSTLAKE_UNPACK_LIMIT_BYTES, COSTLAKE_UNPACK_LIMIT_RATIO)",
                next_step="look at who wrote the file; raise the limit if it is a real bill",
            )


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def _check_gzip(path: Path, key: str, meter: _Meter) -> None:
    try:
        with gzip.open(path, "rb") as stream:
            for chunk in _chunks(stream):  # type: ignore[arg-type]  # GzipFile reads bytes
                meter.add(chunk)
    except EOFError as error:
        raise TruncatedFile(
            "the gzip stream ends before its end marker", where=key, expected="a whole gzip file", next_step=_AGAIN
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UnreadableFile(f"not a valid gzip file ({error})", where=key, expected="a gzip file", next_step=_AGAIN) from error


def _unpacked(path: Path, key: str, folder: Path, meter: _Meter) -> Path:
    try:
        with zipfile.ZipFile(path) as archive:
            member = _only_member(archive, key)
            target = folder / member.filename
            # zipfile compares length and checksum at the end of the stream.
            with archive.open(member) as stream, target.open("xb") as sink:
                for chunk in _chunks(stream):
                    meter.add(chunk)
                    sink.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise _bad_zip(f"not a valid zip file ({error})", key) from error
    if member.file_size == 0:
        raise EmptyDelivery("the member has 0 bytes", where=f"{key}/{member.filename}", expected="a file with a header", next_step=_AGAIN)
    if ".parquet" in target.name:
        _check_parquet(target, f"{key}/{member.filename}", target.stat().st_size)
    return target


def _only_member(archive: zipfile.ZipFile, key: str) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) != 1:
        raise _bad_zip(f"the zip file has {len(members)} members", key)
    member = members[0]
    name = member.filename
    # orig_filename: zipfile cuts a name at its first NUL and turns backslashes into slashes.
    if member.is_dir() or not name or name != member.orig_filename or set(name) & set('/\\\0:*?"<>|') or name.startswith("."):
        raise _bad_zip(f"the member is called {member.orig_filename!r}, which is not a plain file name", key)
    if member.flag_bits & _ENCRYPTED:
        raise _bad_zip("the member is encrypted", key)
    if name.lower().endswith(_PACKED):
        raise _bad_zip(f"the member {name!r} is packed itself", key)
    return member


def _bad_zip(what: str, key: str) -> UnreadableFile:
    return UnreadableFile(what, where=key, expected="a zip file with one CSV or Parquet file in it, without a password", next_step=_AGAIN)


def _check_parquet(path: Path, key: str, size: int) -> None:
    with path.open("rb") as stream:
        head = stream.read(4)
        stream.seek(max(0, size - 4))
        tail = stream.read(4)
    if head != _PARQUET_MAGIC:
        raise UnreadableFile("not a Parquet file", where=key, expected="PAR1 at the start", next_step=_AGAIN)
    if tail != _PARQUET_MAGIC or size < 12:
        raise TruncatedFile("the Parquet file has no footer", where=key, expected="PAR1 at the end", next_step=_AGAIN)
