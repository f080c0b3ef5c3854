"""The spool: what was promised is there after any death of the process, once and in order; what does not fit is refused aloud."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.spool import Spool, SpoolFailed, SpoolFull, SpoolInUse


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def spool(folder: Path) -> Iterator[Spool]:
    made = Spool(folder, 1 << 20, segment_bytes=200)
    yield made
    made.close()


def drained(folder: Path) -> list[bytes]:
    spool = Spool(folder, 1 << 30)
    values = [message.value for message in spool.pending(10**6)]
    spool.close()
    return values


def test_messages_come_out_in_order_and_survive_a_restart(spool: Spool, folder: Path) -> None:
    for number in range(30):
        assert spool.append(b"key", f"message {number}".encode()) == number
    assert [message.value for message in spool.pending(3)] == [b"message 0", b"message 1", b"message 2"]
    spool.delivered(11)
    assert (spool.pending(1)[0].sequence, spool.pending(1)[0].key, spool.waiting) == (12, b"key", 18)
    spool.close()
    assert drained(folder) == [f"message {number}".encode() for number in range(12, 30)]


def test_a_spool_whose_messages_are_delivered_takes_no_room_and_never_uses_a_number_twice(spool: Spool, folder: Path) -> None:
    for round_ in range(3):
        assert spool.append(b"", b"x" * 150) == 2 * round_
        assert spool.append(b"", b"y") == 2 * round_ + 1
        spool.delivered(2 * round_ + 1)
        assert (spool.size_bytes, spool.waiting, list(folder.glob("*.seg"))) == (0, 0, [])
    spool.close()
    again = Spool(folder, 1 << 20)
    assert again.append(b"", b"z") == 6
    again.close()


def test_a_full_spool_refuses_the_newest_aloud_and_keeps_the_old_ones(folder: Path) -> None:
    spool = Spool(folder, 500, segment_bytes=200)
    for number in range(4):
        spool.append(b"", bytes([number]) * 100)
    with pytest.raises(SpoolFull, match="4 messages wait") as caught:
        spool.append(b"", b"\4" * 100)
    assert "--spool-limit-mb" in caught.value.next_step
    spool.delivered(1)
    spool.append(b"", b"\5" * 100)
    assert [message.value[0] for message in spool.pending(10)] == [2, 3, 5]
    spool.close()


def test_two_collectors_on_one_spool_would_send_everything_twice(spool: Spool, folder: Path) -> None:
    with pytest.raises(SpoolInUse):
        Spool(folder, 1 << 20)


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SpoolFailed):
        Spool(tmp_path / "file", 1 << 20)


def test_a_disk_that_refuses_a_record_leaves_the_ones_before_it_whole(spool: Spool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.append(b"", b"safe")

    def broken(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", broken)
        with pytest.raises(SpoolFailed, match="No space left"):
            spool.append(b"", b"lost")
    assert spool.append(b"", b"later") == 1
    spool.close()
    assert drained(folder) == [b"safe", b"later"]


def test_a_segment_that_never_got_a_record_does_not_delete_the_one_that_follows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(folder, 1 << 20)

    def broken(handle: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("streams.spool._write_all", lambda file, data: broken(0))
        with pytest.raises(SpoolFailed):
            spool.append(b"", b"refused")
    assert spool.append(b"", b"first") == 0
    spool.append(b"", b"second")
    spool.delivered(0)
    assert [message.value for message in spool.pending(9)] == [b"second"]
    spool.close()
    (folder / f"{9:020d}.seg").write_bytes(b"")  # a process killed between making a segment and its first record
    assert drained(folder) == [b"second"]


@pytest.mark.parametrize("cut", range(1, 25))
def test_half_a_record_at_the_end_does_not_take_the_whole_ones_with_it(folder: Path, cut: int) -> None:
    spool = Spool(folder, 1 << 20)
    for number in range(3):
        spool.append(b"k", f"message {number}....".encode())
    spool.close()
    (segment,) = folder.glob("*.seg")
    os.truncate(segment, segment.stat().st_size - cut)
    again = Spool(folder, 1 << 20)
    assert [message.value for message in again.pending(9)] == [b"message 0....", b"message 1...."]
    assert again.append(b"k", b"next") == 2
    again.close()
    assert drained(folder)[-1] == b"next"


def test_a_flipped_bit_is_named_and_what_cannot_be_sent_is_kept_aside(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(folder, 1 << 20, segment_bytes=60)
    for number in range(6):
        spool.append(b"k", b"message " + bytes([48 + number]) * 20)
    spool.close()
    first = min(folder.glob("*.seg"))
    data = bytearray(first.read_bytes())
    data[20] ^= 1
    first.write_bytes(data)
    assert [value[-1] - 48 for value in drained(folder)] == [2, 3, 4, 5], "other segments go on"
    assert "is damaged" in caplog.text
    assert first.with_suffix(".damaged").exists()


def test_a_damaged_cursor_sends_again_rather_than_forgets(spool: Spool, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool.append(b"", b"a")
    spool.append(b"", b"b")
    spool.delivered(0)
    spool.close()
    (folder / "cursor").write_text("\0\0")
    assert drained(folder) == [b"a", b"b"]


WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from streams.spool import Spool

    spool = Spool(Path(sys.argv[1]), 1 << 30, segment_bytes=2_000)
    number = int(sys.argv[2])
    while True:
        spool.append(b"k", str(number).encode() * 30)
        print("promised", number, flush=True)
        number += 1
        if number % 7 == 0:
            sent = spool.pending(5)
            print("sending", *(message.value.decode()[: len(message.value) // 30] for message in sent), flush=True)
            spool.delivered(sent[-1].sequence)
            print("delivered", len(sent), flush=True)
""")


def test_kill_9_at_any_instant_loses_no_promised_message_and_keeps_their_order(folder: Path) -> None:
    """Each number is promised, sent, or both; what is sent twice is so only around a kill."""
    rng = random.Random(5)
    promised, sent, number = [], [], 0
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(number)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        first = process.stdout.readline()  # it runs
        time.sleep(rng.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        lines = [first, *process.stdout.read().splitlines()]
        process.wait()
        for words in (line.split() for line in lines):
            if words[:1] == ["promised"]:
                promised.append(int(words[1]))
            elif words[:1] == ["sending"]:
                sent += [int(word) for word in words[1:]]
        number = (promised[-1] if promised else -1) + 2  # the killed process may have written one more than it could tell
    waiting = [int(value[: len(value) // 30]) for value in drained(folder)]
    assert len(promised) > 50
    assert set(promised) <= set(sent) | set(waiting)
    assert waiting == sorted(set(waiting))
    assert len(sent) - len(set(sent)) <= 12 * 5, "sent twice other than around a kill"
    assert sent == sorted(sent) or len(sent) > len(set(sent))
