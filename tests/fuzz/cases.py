"""One case: a fixture, one damage to one of its files, the real ingest, and the verdict.

Data flow: seed → fixture copy → damaged file → `ingest_stream` → refused with nothing written, or loaded as an independent reading says.
"""

from __future__ import annotations

import csv
import random
import tempfile
import traceback
import zlib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from costlake.config import Export
from costlake.delta import Lake
from costlake.errors import CostlakeError
from costlake.periods import SystemClock
from costlake.settings import Settings
from ingest.load import ingest_stream
from tests.fuzz.deliveries import FIXTURES, Fixture
from tests.fuzz.mutations import BYTES, CSV, JSON, LINES, Damage, inside_gzip
from tests.fuzz.parquet import PARQUET
from tests.fuzz.reading import NotReadable, reads

# What a second damage meets in a file that the first one has made unreadable: then the first one is enough.
_TOO_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, EOFError, OSError, zlib.error, csv.Error, pa.ArrowException)


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        what: `loaded`, the type of the refusal, or `FAILED`.
        damage: what was done, to which file.
        seed: repeats the case: python -m tests.fuzz --source … --case SEED.
        why: what is wrong, for a failure.
    """

    what: str
    damage: str
    seed: int
    why: str = ""


def run_case(fixtures: list[Fixture], seed: int) -> Outcome:
    """Damage one file of a fixture's delivery, once or a few times, and load it into a lake of its own."""
    chance = random.Random(seed)
    fixture = chance.choice(fixtures)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as home:
        folder = Path(home) / "bucket"
        fixture.copy(folder)
        name, damages = _plan(chance, fixture)
        content = (folder / name).read_bytes()
        label = ", ".join(damages)
        for damage in damages.values():
            try:
                content = damage(chance, content) or b" "
            except _TOO_DAMAGED:
                continue
        (folder / name).write_bytes(content)
        settings = Settings.load(home=Path(home), lake=Path(home) / "lake", config_dir=Path(home) / "config")
        what, why = _judge(settings, fixture, folder, name)
        return Outcome(what, f"{label} in {name}", seed, why)


def _plan(chance: random.Random, fixture: Fixture) -> tuple[str, dict[str, Damage]]:
    names = [*fixture.data] * 4 + [name for name in fixture.markers if name.endswith(".json")]
    name = chance.choice(names)
    raw, structured = _damages(name)
    # Most damaged bytes are refused at once; damages that leave a readable file try the totals.
    damages = structured if structured and chance.random() < 0.75 else raw
    chosen = chance.sample(sorted(damages), min(len(damages), chance.choice((1, 1, 1, 2, 3))))
    return name, {label: damages[label] for label in chosen}


def _damages(name: str) -> tuple[dict[str, Damage], dict[str, Damage]]:
    """Damages to the bytes as delivered, and to what they say."""
    if ".parquet" in name:
        return BYTES, PARQUET
    inner = CSV if ".csv" in name else LINES if ".ndjson" in name or ".jsonl" in name else JSON if ".json" in name else {}
    if name.endswith(".gz"):
        return BYTES, {f"{label}, packed again": inside_gzip(damage) for label, damage in (BYTES | inner).items()}
    return BYTES, inner


def _judge(settings: Settings, fixture: Fixture, folder: Path, damaged: str) -> tuple[str, str]:
    source = fixture.source
    export = Export(id="fuzz", source=source.name, location=str(folder), billing_account_id="acc-1")
    try:
        result = ingest_stream(settings, export, SystemClock())
    except Exception:
        return "FAILED", traceback.format_exc(limit=-3)
    strange = [error for error in result.refused if not isinstance(error, CostlakeError) or not (error.where and error.next_step)]
    if strange:
        return "FAILED", f"refused without place or next step: {strange[0]!r}"
    rows, total = _held(settings, fixture)
    if list((settings.lake / ".incoming").glob("*")):
        return "FAILED", "an incoming folder was left behind"
    if result.refused:
        landed = settings.landing.exists() and any(path.is_file() for path in settings.landing.rglob("*"))
        if rows or (landed and not result.loaded):
            return "FAILED", f"refused ({result.refused[0].what}), but {rows} rows are in bronze, landing touched: {landed}"
        return type(result.refused[0]).__name__, ""
    paths = [folder / name for name in fixture.data]
    if damaged not in fixture.data:
        paths = [path for path in paths if path.exists()]
    try:
        wanted_rows, wanted_total = reads(source.name, paths)
    except NotReadable as error:
        # pyarrow also reads what no value depends on (metadata of other writers): then nothing of the bill may have changed.
        wanted_rows, wanted_total = reads(source.name, [FIXTURES / source.name / name for name in fixture.data])
        if ".parquet" not in damaged or (rows, total) != (wanted_rows, wanted_total):
            return "FAILED", f"loaded {rows} rows with {total}, but an independent reading says: {error}"
    if rows != wanted_rows or (wanted_total is not None and total != wanted_total):
        return "FAILED", f"loaded {rows} rows with {total}, an independent reading finds {wanted_rows} with {wanted_total}"
    if not result.loaded:
        return "FAILED", "neither loaded nor refused"
    return "loaded", ""


def _held(settings: Settings, fixture: Fixture) -> tuple[int, Decimal]:
    lake = Lake(settings)
    if not lake.exists("bronze", fixture.source.table.name):
        return 0, Decimal(0)
    measure = fixture.source.measures.get("billed") or fixture.source.measures["tokens"]
    connection = lake.connect()
    try:
        rows, total = connection.execute(f"SELECT count(*), sum({measure}) FROM bronze.{fixture.source.table.name}").fetchall()[0]
    finally:
        connection.close()
    return int(rows), Decimal(total or 0)
