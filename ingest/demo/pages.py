"""A finished pull of a paged API: buckets of a month → `page-001.json` … and last `pull.json`, the marker of completeness.

Every page but the last says `has_more` and carries the cursor of the next one, as the vendors' APIs do.

Run alone: it has no output of its own; `ingest.demo.openai` and `ingest.demo.anthropic` write through it.
"""

from __future__ import annotations

import json
from pathlib import Path

from ingest.demo.shape import opaque

Json = dict[str, object]
MARKER = "pull.json"


def write_pull(folder: Path, buckets: list[Json], marker: Json, *, page_size: int, envelope: Json) -> None:
    """Write the buckets in pages of `page_size` days, then the marker with the page names in order. `envelope` opens each page."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(buckets), page_size)
    names = [f"page-{number:03d}.json" for number in range(1, len(starts) + 1)]
    for number, start in enumerate(starts):
        more = number + 1 < len(names)
        page: Json = {
            **envelope,
            "data": buckets[start : start + page_size],
            "has_more": more,
            "next_page": f"page_{opaque(f'{folder.parent.name}/{folder.name}/{number + 1}', 24)}" if more else None,
        }
        _write(folder / names[number], page)
    _write(folder / MARKER, marker | {"pages": names})


def _write(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
