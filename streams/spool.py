"""The collector's buffer on disk: messages wait in it, in order, until the broker has them; a kill -9 or a power cut loses none.

Data flow: `append` (write, fsync) → segment files → `pending` → the broker's acknowledgement → `delivered` (cursor, fsync; whole segments
deleted). A message is in the spool before anybody tries to send it, so the broker's absence is nothing special.

Layout of the folder: `<first sequence number>.seg` files of records `length, CRC-32, key length, key, value` (big-endian), `cursor` with
the number of the next message to deliver, `lock`. After a crash between acknowledgement and cursor a message is sent again; it is the
same bytes with the same `event_id`. When the bound is reached new messages are refused, loudly, and the old ones stay: what is on disk
was promised.
Run alone: python -c "from pathlib import Path; from streams.spool import Spool; print(Spool(Path('spool'), 1 << 20).waiting)"
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from costlake.errors import FatalError, RetryableError

LOG = logging.getLogger(__name__)
_HEADER = struct.Struct(">IIH")  # length of key and value, CRC-32 of both, length of the key
_LONGEST = 16 << 20  # longer records are no records: a damaged header


class SpoolFull(RetryableError):
    """The spool has reached its bound: the broker was away for too long. This message was refused; those before it are safe."""


class SpoolFailed(RetryableError):
    """The disk under the spool does not take a message (full, read-only, broken)."""


class SpoolInUse(FatalError):
    """Another collector works on the same spool."""


@dataclass(frozen=True)
class Spooled:
    """A message in the spool: its number, Kafka key and value."""

    sequence: int
    key: bytes
    value: bytes


@dataclass
class _Segment:
    """A file of records; `offsets` has where each begins and, last, where the next one would."""

    path: Path
    first: int
    offsets: list[int] = field(default_factory=lambda: [0])

    @property
    def end(self) -> int:
        """Sequence number after its last record."""
        return self.first + len(self.offsets) - 1


class Spool:
    """A bounded queue on disk for one process; its methods may be called by several threads.

    Args:
        folder: made if it is missing.
        limit_bytes: bound of all segments together.
        segment_bytes: a segment that has grown beyond it is followed by a new one.

    Raises:
        SpoolInUse: another process has the folder.
        SpoolFailed: the folder cannot be used.
    """

    def __init__(self, folder: Path, limit_bytes: int, *, segment_bytes: int = 4 << 20) -> None:
        self._folder, self._limit, self._segment_bytes = folder, limit_bytes, segment_bytes
        self._mutex = threading.RLock()
        self._segments: list[_Segment] = []
        self._active: BinaryIO | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("wb")
        except OSError as error:
            raise _failed(folder, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise SpoolInUse(
                "another collector uses this spool",
                where=str(folder),
                expected="one collector per spool folder",
                next_step="stop the other collector, or give this one a folder of its own (--spool)",
            ) from error
        self._cursor = self._read_cursor()
        self._recover()

    @property
    def waiting(self) -> int:
        """Messages that are not delivered yet."""
        with self._mutex:
            return sum(segment.end - max(segment.first, self._cursor) for segment in self._segments)

    @property
    def size_bytes(self) -> int:
        """What the segments take on disk."""
        with self._mutex:
            return sum(segment.offsets[-1] for segment in self._segments)

    def append(self, key: bytes, value: bytes) -> int:
        """Put a message at the end and on the disk (it is synced when this returns); gives its sequence number.

        Raises SpoolFull or SpoolFailed; the message is then not in the spool, and the ones before it are as they were.
        """
        record = _HEADER.pack(len(key) + len(value), zlib.crc32(value, zlib.crc32(key)), len(key)) + key + value
        with self._mutex:
            if self.size_bytes + len(record) > self._limit:
                raise SpoolFull(
                    f"the spool is full: {self.waiting} messages wait for the broker, and the newest was refused",
                    where=str(self._folder),
                    expected=f"at most {self._limit} bytes",
                    next_step="bring the broker back; if it must stay away longer, give the collector more room (--spool-limit-mb)",
                )
            segment, file = self._writable()
            start = segment.offsets[-1]
            try:
                _write_all(file, record)
                os.fsync(file.fileno())
            except OSError as error:
                self._cut(segment, start)
                raise _failed(self._folder, error) from error
            segment.offsets.append(start + len(record))
            return segment.end - 1

    def pending(self, limit: int) -> list[Spooled]:
        """The oldest messages that are not delivered, in order, `limit` at most."""
        found: list[Spooled] = []
        with self._mutex:
            for segment in self._segments:
                if len(found) >= limit:
                    break
                first = max(segment.first, self._cursor + len(found))
                count = min(segment.end - first, limit - len(found))
                if count > 0:
                    found += _read(segment, first, count)
        return found

    def delivered(self, sequence: int) -> None:
        """The broker has this message and all before it. They are forgotten once this returns; before, they would be sent again."""
        with self._mutex:
            self._cursor = max(self._cursor, sequence + 1)
            try:
                self._write_cursor()
                self._drop_delivered()
            except OSError as error:
                raise _failed(self._folder, error) from error

    def close(self) -> None:
        """Let go of the folder; what waits stays."""
        with self._mutex:
            if self._active is not None:
                self._active.close()
                self._active = None
            self._lock.close()

    def _writable(self) -> tuple[_Segment, BinaryIO]:
        """The last segment, open for appending; a new one if there is none or it is large."""
        try:
            if self._active is None or self._segments[-1].offsets[-1] >= self._segment_bytes:
                if self._active is not None:
                    self._active.close()
                    self._active = None
                first = max(self._segments[-1].end if self._segments else 0, self._cursor)
                segment = _Segment(self._folder / f"{first:020d}.seg", first)
                self._active = segment.path.open("wb", buffering=0)  # a write is a system call
                self._segments.append(segment)
                self._sync_folder()
        except OSError as error:
            raise _failed(self._folder, error) from error
        assert self._active is not None
        return self._segments[-1], self._active

    def _cut(self, segment: _Segment, size: int) -> None:
        """Take half a record off again; if even that fails, the next start does it by the checksum."""
        if self._active is not None:
            self._active.close()
            self._active = None
        try:
            os.truncate(segment.path, size)
        except OSError:
            LOG.exception("half a record stays at the end of %s until the next start", segment.path)
        if segment.first == segment.end:
            self._segments.remove(segment)  # the next segment bears the same number, and so the same name

    def _drop_delivered(self) -> None:
        while self._segments and self._segments[0].end <= self._cursor:
            if len(self._segments) == 1 and self._active is not None:
                self._active.close()
                self._active = None
            self._segments[0].path.unlink()
            del self._segments[0]

    def _read_cursor(self) -> int:
        path = self._folder / "cursor"
        try:
            text = path.read_text(encoding="ascii") if path.exists() else "0"
        except OSError as error:
            raise _failed(self._folder, error) from error
        if not text.strip().isdecimal():
            # Renamed into place, so never half written by us. Sending all again is safe: the messages keep their event ids.
            LOG.error("%s is damaged; everything in the spool is sent again", path)
            return 0
        return int(text)

    def _write_cursor(self) -> None:
        new = self._folder / "cursor.new"
        with new.open("w", encoding="ascii") as file:
            file.write(str(self._cursor))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._folder / "cursor")
        self._sync_folder()

    def _sync_folder(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _recover(self) -> None:
        """Find the records of what a former process left. Half a record at the very end was never promised and goes; one that is
        damaged further in is named and kept aside, for it was."""
        try:
            paths = sorted(self._folder.glob("*.seg"))
            for path in paths:
                segment = _Segment(path, int(path.stem))
                data = path.read_bytes()
                segment.offsets += _boundaries(data)
                left = data[segment.offsets[-1] :]
                if left and (path is not paths[-1] or _is_whole(left)):
                    aside = path.with_suffix(".damaged")
                    aside.write_bytes(left)
                    LOG.error("%s is damaged after message %d: %d bytes cannot be sent, kept in %s", path, segment.end, len(left), aside)
                if left:
                    os.truncate(path, segment.offsets[-1])
                if segment.first == segment.end:
                    path.unlink()
                else:
                    self._segments.append(segment)
            self._drop_delivered()
        except OSError as error:
            raise _failed(self._folder, error) from error


def _boundaries(data: bytes) -> Iterator[int]:
    """Where each sound record from the beginning ends."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, checksum, key_length = _HEADER.unpack_from(data, at)
        end = at + _HEADER.size + length
        if key_length > length or length > _LONGEST or end > len(data) or zlib.crc32(data[at + _HEADER.size : end]) != checksum:
            return
        yield end
        at = end


def _is_whole(data: bytes) -> bool:
    """Whether a record begins here that has all its bytes, but other ones than were written."""
    if len(data) < _HEADER.size:
        return False
    length, _, key_length = _HEADER.unpack_from(data)
    return bool(0 < length <= _LONGEST and key_length <= length and len(data) >= _HEADER.size + length)


def _read(segment: _Segment, first: int, count: int) -> list[Spooled]:
    offsets = segment.offsets[first - segment.first : first - segment.first + count + 1]
    with segment.path.open("rb") as file:
        file.seek(offsets[0])
        data = file.read(offsets[-1] - offsets[0])
    found = []
    for number in range(count):
        at = offsets[number] - offsets[0]
        length, _, key_length = _HEADER.unpack_from(data, at)
        body = data[at + _HEADER.size : at + _HEADER.size + length]
        found.append(Spooled(first + number, body[:key_length], body[key_length:]))
    return found


def _write_all(file: BinaryIO, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += file.write(data[written:])


def _failed(folder: Path, error: OSError) -> SpoolFailed:
    return SpoolFailed(
        f"the spool cannot be used ({error})",
        where=str(folder),
        expected="a folder on a local disk that this process may write, with room",
        next_step="make room or repair the disk; the messages that are in the spool stay there",
    )
