"""A provider writes while we read: what is loaded is one delivery, never a mix of two; a load killed in between loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import RetryableError
from costlake.periods import SystemClock
from costlake.settings import Settings
from ingest import load
from ingest.load import IngestResult, ingest_stream
from ingest.stores import LocalStore
from tests.ingest import cur

PERIOD = "20261001-20261101"
ROWS = 10


class BusyStore(LocalStore):
    """A folder in which something happens at a given moment: before or after the nth call of a method."""

    moments: ClassVar[dict[tuple[str, str, int], Callable[[], None]]] = {}
    calls: ClassVar[dict[str, int]] = {}

    @classmethod
    def at(cls, when: str, method: str, number: int, act: Callable[[], None]) -> None:
        cls.moments[(when, method, number)] = act

    @classmethod
    def _call(cls, method: str, call: Callable[[], Any]) -> Any:
        number = cls.calls[method] = cls.calls.get(method, 0) + 1
        cls.moments.get(("before", method, number), lambda: None)()
        found = call()
        cls.moments.get(("after", method, number), lambda: None)()
        return found

    def read(self, key: str) -> bytes:
        return bytes(self._call("read", lambda: LocalStore.read(self, key)))

    def digest(self, key: str) -> str:
        return str(self._call("digest", lambda: LocalStore.digest(self, key)))

    def fetch(self, key: str, *rest: Any) -> str:
        return str(self._call("fetch", lambda: LocalStore.fetch(self, key, *rest)))


@pytest.fixture(autouse=True)
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    BusyStore.moments, BusyStore.calls = {}, {}
    monkeypatch.setattr(load, "store_for", lambda location, *_: BusyStore(Path(location)))


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """A delivery of two parts, each row of it at 1."""
    cur.deliver(tmp_path / "b", [cur.rows(ROWS, cost="1"), cur.rows(ROWS, cost="1")])
    return tmp_path / "b"


def ingest(settings: Settings, bucket: Path) -> IngestResult:
    return ingest_stream(settings, Export(id="aws", source="aws_cur", location=str(bucket)), SystemClock())


def held(settings: Settings) -> list[tuple[int, Decimal]]:
    if not Lake(settings).exists("bronze", "aws_cur"):
        return []
    sql = "SELECT count(*), sum(line_item_unblended_cost) FROM bronze.aws_cur"
    return [(count, total) for count, total in Lake(settings).connect().execute(sql).fetchall()]


def redeliver(bucket: Path) -> None:
    """The same month anew, create-new style: other files, and the manifest points to them. Each row at 2."""
    cur.deliver(bucket, [cur.rows(ROWS, cost="2"), cur.rows(ROWS, cost="2")], assembly="a2")


def overwrite(bucket: Path) -> None:
    """The same month anew, in the same files (overwrite style): each written beside and moved into place."""
    cur.deliver(bucket / "new", [cur.rows(ROWS, cost="2"), cur.rows(ROWS, cost="2")])
    for path in sorted((bucket / "new" / PERIOD).rglob("*")):
        if path.is_file():
            path.replace(bucket / path.relative_to(bucket / "new"))


OLD, NEW = (2 * ROWS, Decimal(2 * ROWS)), (2 * ROWS, Decimal(4 * ROWS))


@pytest.mark.parametrize(
    ("when", "method", "number"),
    [
        ("after", "read", 1),
        ("after", "digest", 1),
        ("after", "digest", 2),
        ("before", "fetch", 1),
        ("after", "fetch", 1),
        ("after", "fetch", 2),
    ],
)
@pytest.mark.parametrize("replace", [redeliver, overwrite], ids=["create_new", "overwrite"])
def test_a_delivery_replaced_while_it_is_read_is_loaded_whole_or_not_at_all(
    settings: Settings, bucket: Path, replace: Callable[[Path], None], when: str, method: str, number: int
) -> None:
    BusyStore.at(when, method, number, lambda: replace(bucket))
    result = ingest(settings, bucket)
    assert all(isinstance(error, RetryableError) for error in result.refused), [repr(error) for error in result.refused]
    assert held(settings) in ([], [OLD], [NEW]), "a mix of two deliveries"
    assert held(settings) != [] or result.refused, "neither loaded nor said why"
    assert ingest(settings, bucket).refused == []
    assert held(settings) == [NEW]


def test_a_manifest_that_was_replaced_is_noticed_although_its_files_are_still_there(settings: Settings, bucket: Path) -> None:
    """Loading the older delivery after the newer was announced would show a total that the provider has taken back."""
    BusyStore.at("after", "fetch", 2, lambda: redeliver(bucket))
    [refusal] = ingest(settings, bucket).refused
    assert isinstance(refusal, RetryableError)
    assert (held(settings), settings.landing.exists()) == ([], False)


def test_files_that_vanish_while_they_are_read_are_tried_again(settings: Settings, bucket: Path) -> None:
    def vanish() -> None:
        redeliver(bucket)
        for path in (bucket / PERIOD / "a1").iterdir():
            path.unlink()

    BusyStore.at("after", "fetch", 2, vanish)
    [refusal] = ingest(settings, bucket).refused
    assert isinstance(refusal, RetryableError)
    assert ingest(settings, bucket).refused == []
    assert held(settings) == [NEW]


@pytest.mark.parametrize(("method", "number"), [("read", 1), ("digest", 2), ("fetch", 1), ("fetch", 2), ("read", 2)])
def test_a_load_that_dies_while_it_reads_leaves_the_old_month(settings: Settings, bucket: Path, method: str, number: int) -> None:
    assert ingest(settings, bucket).refused == []
    redeliver(bucket)

    def die() -> None:
        raise KeyboardInterrupt

    BusyStore.calls = {}
    BusyStore.at("after", method, number, die)
    with pytest.raises(KeyboardInterrupt):
        ingest(settings, bucket)
    assert held(settings) == [OLD]
    assert not list((settings.lake / ".incoming").glob("*"))
    BusyStore.moments = {}
    assert ingest(settings, bucket).refused == []
    assert held(settings) == [NEW]


def test_a_month_half_overwritten_before_we_look_is_mended_by_the_next_run(settings: Settings, bucket: Path) -> None:
    """No store can tell that the second file is still to come (decision 0022): what matters is that it does not stay so."""
    cur.deliver(bucket / "new", [cur.rows(ROWS, cost="2"), cur.rows(ROWS, cost="2")])
    first, second = sorted((bucket / "new" / PERIOD / "a1").iterdir())
    first.replace(bucket / PERIOD / "a1" / first.name)
    assert ingest(settings, bucket).refused == []
    second.replace(bucket / PERIOD / "a1" / second.name)
    assert ingest(settings, bucket).refused == []
    assert held(settings) == [NEW]
