"""What the collector measures with: NVML, or an exporter's page or file.

Data flow: pynvml | http | file → `Source.read` → `Scrape` per host → `streams.collector`.
Run alone: costlake telemetry collect --source dcgm --url http://localhost:9400/metrics --once --print
"""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import Any, Protocol

from costlake.errors import ConfigError
from costlake.periods import Clock
from streams.exporters import Scrape, scrapes
from streams.mapping import Mapping, load_mapping
from streams.nvml import NvmlHost
from streams.readings import NoAccelerator, SourceUnavailable

LOG = logging.getLogger(__name__)
_SCRAPE_SECONDS = 5.0
_LARGEST_SCRAPE = 64 << 20
_FRESH = dt.timedelta(minutes=1)  # a file of an exporter may be that old even if we look more often
_DMI = Path("/sys/class/dmi/id/board_asset_tag")  # EC2's Nitro machines have their instance id here


class Source(Protocol):
    """What measures. `name` is the message's `source`."""

    @property
    def name(self) -> str:
        """As in `HostTelemetry.source`."""

    def read(self) -> list[Scrape]:
        """The accelerators now, per host. Raises NoAccelerator, SourceUnavailable or MalformedScrape."""

    def close(self) -> None:
        """Let go of driver or connection."""


class NvmlSource:
    """The GPUs of this host by NVML. Raises as `NvmlHost`."""

    name = "nvml"

    def __init__(self, library: Any) -> None:
        self._host = NvmlHost(library)
        self._driver = self._host.driver_version

    def read(self) -> list[Scrape]:
        """The GPUs now."""
        return [Scrape(None, driver_version=self._driver, readings=self._host.read())]

    def close(self) -> None:
        """Release the driver."""
        self._host.close()


class ExporterSource:
    """An exporter's page, by URL or as a file that something else writes.

    Args:
        location: http(s)://…, or the path of a file in Prometheus' text format.
        mapping: what the exporter calls things.
        clock: tells a file that nobody writes any more.
        stale_after: a file older than that says nothing about now.
        pods_mapped: see `exporters.scrapes`.
    """

    def __init__(
        self, location: str, mapping: Mapping, clock: Clock, *, stale_after: dt.timedelta, pods_mapped: bool | None = None
    ) -> None:
        self._location, self._mapping, self._clock = location, mapping, clock
        self._stale_after, self._pods_mapped = stale_after, pods_mapped
        self.name = mapping.source

    def read(self) -> list[Scrape]:
        """The accelerators now."""
        text = self._page() if "://" in self._location else self._file(Path(self._location))
        return scrapes(text, self._mapping, pods_mapped=self._pods_mapped)

    def close(self) -> None:
        """Nothing is kept open."""

    def _page(self) -> str:
        import httpx

        content = bytearray()
        try:
            with httpx.stream("GET", self._location, timeout=_SCRAPE_SECONDS, follow_redirects=False) as answer:
                answer.raise_for_status()
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > _LARGEST_SCRAPE:
                        raise self._unavailable("it does not end", f"a scrape of at most {_LARGEST_SCRAPE} bytes")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unavailable(str(error), "an exporter that answers within seconds") from error
        return content.decode(errors="replace")

    def _file(self, path: Path) -> str:
        try:
            written = dt.datetime.fromtimestamp(path.stat().st_mtime, tz=dt.UTC)
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._unavailable(str(error), "a readable text file") from error
        if self._clock.now() - written > self._stale_after:
            raise self._unavailable(f"last written {written.isoformat()}", f"a file that is written at least every {self._stale_after}")
        return text

    def _unavailable(self, what: str, expected: str) -> SourceUnavailable:
        return SourceUnavailable(
            f"the exporter gives nothing ({what})",
            where=self._location,
            expected=expected,
            next_step="see whether the exporter runs (dcgm-exporter: port 9400) and whether this process may reach it",
        )


def machine_resource_id(path: Path = _DMI) -> str | None:
    """The machine's id on the cloud's bill where the firmware tells it (EC2: `i-…`); None elsewhere, never a guess."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    prefix, _, rest = text.partition("-")
    return text if prefix == "i" and 8 <= len(rest) <= 17 and all(each in "0123456789abcdef" for each in rest) else None


def source_named(name: str, location: str | None, clock: Clock, interval: dt.timedelta, pods_mapped: bool | None) -> Source:
    """The source that the command line asks for: `nvml`, a built-in mapping's name, or the path of a mapping.

    Raises ConfigError, or what opening NVML raises.
    """
    if name == "nvml":
        import pynvml

        return NvmlSource(pynvml)
    if location is None:
        raise ConfigError(
            "an exporter needs to be told where it is",
            where=f"--source {name}",
            expected="--url http://localhost:9400/metrics, or the path of a text file",
            next_step="add --url",
        )
    return ExporterSource(location, load_mapping(name), clock, stale_after=max(3 * interval, _FRESH), pods_mapped=pods_mapped)


def judged(source: Source) -> Source:
    """The source, after a first look: an empty host is an error at the start, not silence for ever.

    Raises NoAccelerator or MalformedScrape; a source that does not answer *now* is not judged.
    """
    try:
        first = source.read()
    except SourceUnavailable as error:
        LOG.warning("the first look failed, the collector goes on trying: %s", error)
        return source
    if not any(scrape.readings for scrape in first):
        raise NoAccelerator(
            "the source names no accelerator",
            where=source.name,
            expected="at least one",
            next_step="run the collector on hosts with accelerators only",
        )
    return source
