"""The fixtures of every source as deliveries to be damaged: one at a time, alone in its folder.

Data flow: tests/fixtures/<source> → the deliveries that the source finds there → a copy with the files of one of them.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from costlake.config import Export
from ingest.source import Source, all_sources
from ingest.stores import store_for

_DATA = (".csv", ".csv.gz", ".zip", ".parquet", ".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


@dataclass(frozen=True)
class Fixture:
    """One delivery of a source's fixture folder.

    Attributes:
        source: whose.
        data: its data files, below the fixture folder.
        markers: the other files there: commit markers.
    """

    source: Source
    data: tuple[str, ...]
    markers: tuple[str, ...]

    @property
    def format(self) -> str:
        """CSV, Parquet or JSON, for the table."""
        name = self.data[0]
        return "Parquet" if ".parquet" in name else "CSV" if ".csv" in name else "JSON"

    def copy(self, target: Path) -> None:
        """Put the delivery's files, and no others, below a folder."""
        for name in (*self.data, *self.markers):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(FIXTURES / self.source.name / name, target / name)


def fixtures() -> dict[str, list[Fixture]]:
    """Source → its fixture's deliveries; a source without data files in its fixture has none."""
    return {name: found for name, source in sorted(all_sources().items()) if (found := _of(source))}


def _of(source: Source) -> list[Fixture]:
    root = FIXTURES / source.name
    if not root.is_dir():
        return []
    store = store_for(str(root))
    deliveries = [candidate.resolve() for candidate in source.find(store, Export(id="fuzz", source=source.name, location=str(root)))]
    data = [tuple(stored.key for stored in delivery.objects) for delivery in deliveries]
    everything = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {"expected.yml"}
    left = everything - {name for names in data for name in names}
    # Data files that no delivery names belong to one that was superseded, and so does the marker beside them.
    superseded = {Path(name).parent for name in left if name.endswith(_DATA)}
    markers = {name for name in left if Path(name).parent not in superseded}
    homes = [{Path(name).parent for name in names} for names in data]
    return [
        Fixture(source, names, tuple(sorted(name for name in markers if _belongs(name, number, homes, [d.key for d in deliveries]))))
        for number, names in enumerate(data)
    ]


def _belongs(marker: str, number: int, homes: list[set[Path]], keys: list[str]) -> bool:
    """Whether a marker is not known to be another delivery's: by its name, or because it lies among the other's files."""
    if marker in keys:
        return keys[number] == marker
    return Path(marker).parent in homes[number] or not any(Path(marker).parent in home for home in homes)
