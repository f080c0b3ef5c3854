"""Files of samples (CSV, also gzipped, Parquet, lines of JSON) → messages, by the same mappings as exporters.

Data flow: rows of one or several files → by time and host → `exporters.read_samples` → `HostTelemetry` → Kafka (`costlake telemetry
replay`).

A file has a column with the time at which each sample's interval ends, columns that name the accelerator (the mapping's labels) and
columns of values (its metrics). A file with a single column `value` holds one metric, which has the file's name.
Run alone: costlake telemetry replay samples.csv --mapping mapping.yml --print
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlake.errors import ConfigError, FatalError
from streams.collector import Place, event_id
from streams.events import HostTelemetry
from streams.exporters import read_samples
from streams.mapping import Mapping
from streams.readings import gpus_of

if TYPE_CHECKING:
    import pyarrow as pa

Sample = tuple[str, dict[str, str], Decimal | None]
_VALUE = "value"
_PER_SECOND = {"s": 1, "ms": 1000}


class MalformedSamples(FatalError):
    """A file of samples cannot be read as its mapping says."""


def messages(paths: Sequence[Path], mapping: Mapping, place: Place, interval: dt.timedelta) -> Iterator[HostTelemetry]:
    """The messages of files of samples, in order of time.

    Args:
        paths: files whose samples are put together by time, accelerator and host.
        mapping: names of their columns; `time` must be set.
        place: of the machine, where the files name none.
        interval: what a sample stands for at most; less if the host's sample before is nearer.

    Raises:
        ConfigError: the mapping names no time column.
        MalformedSamples: a file cannot be read, or lacks columns, or a time is none.
    """
    if mapping.time is None:
        raise ConfigError(
            "the mapping is for an exporter",
            where="mapping",
            expected="a key `time` with the name of the column that says when an interval ends",
            next_step="write a mapping for files, see streams/mapping.py",
        )
    by_time: dict[dt.datetime, list[Sample]] = {}
    for path in paths:
        for moment, samples in _read(path, mapping, mapping.time):
            by_time.setdefault(moment, []).extend(samples)
    last: dict[str, dt.datetime] = {}
    for end in sorted(by_time):
        for scrape in read_samples(by_time[end], mapping):
            gpus, _ = gpus_of(scrape.readings)
            host = scrape.host or place.host
            start = max(end - interval, last.get(host, end - interval))
            last[host] = end
            yield HostTelemetry(
                event_id=event_id(place.cluster, host, mapping.source, start, end),
                cluster=place.cluster,
                host=host,
                resource_id=scrape.resource_id or place.resource_id,
                source=mapping.source,
                driver_version=scrape.driver_version,
                interval_start=start,
                interval_end=end,
                gpus=gpus,
            )


def _read(path: Path, mapping: Mapping, time: str) -> Iterator[tuple[dt.datetime, list[Sample]]]:
    table = _table(path)
    columns = set(table.column_names)
    metrics = {name: name for name in mapping.metrics if name in columns}
    if not metrics and _VALUE in columns:
        stem = path.name.split(".")[0]
        metrics = {_VALUE: stem} if stem in mapping.metrics else {}
    if not metrics or time not in columns:
        raise MalformedSamples(
            f"the file has the columns {sorted(columns)}",
            where=str(path),
            expected=f"{time!r} and at least one of {sorted(mapping.metrics)}",
            next_step="compare the mapping's metrics and time with the file's header",
        )
    for number, row in enumerate(table.to_pylist(), 1):
        labels = {name: str(value) for name, value in row.items() if value is not None and name not in metrics}
        yield _moment(row[time], mapping, path, number), [(metrics[name], labels, _number(row[name])) for name in metrics]


def _table(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.json as pj
    import pyarrow.parquet as pq

    try:
        if ".parquet" in path.suffixes:
            return pq.read_table(path)
        with pa.input_stream(str(path), compression="detect") as file:
            if ".csv" in path.suffixes:
                # As text: what is a number is decided here, digit by digit.
                names = pc.open_csv(pa.input_stream(str(path), compression="detect")).schema.names
                return pc.read_csv(file, convert_options=pc.ConvertOptions(column_types=dict.fromkeys(names, pa.string())))
            return pj.read_json(file)
    except (OSError, pa.ArrowException) as error:
        raise MalformedSamples(
            f"the file cannot be read ({error})",
            where=str(path),
            expected="CSV (also .gz), Parquet, or a JSON object per line, whole",
            next_step="look at the file; a copy that was cut off must be copied again",
        ) from error


def _number(value: Any) -> Decimal | None:
    """The value, exactly as written; a double by its shortest decimal; None for what is no number."""
    if value is None or value == "":
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(value: Any, mapping: Mapping, path: Path, number: int) -> dt.datetime:
    try:
        if isinstance(value, dt.datetime):
            return value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
        if mapping.time_unit == "iso":
            moment = dt.datetime.fromisoformat(str(value))
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
        seconds = Decimal(repr(value) if isinstance(value, float) else str(value)) / _PER_SECOND[mapping.time_unit]
        return mapping.time_origin + dt.timedelta(microseconds=round(seconds * 10**6))
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise MalformedSamples(
            f"{value!r} is no time",
            where=f"{path}, row {number}, column {mapping.time}",
            expected=f"time as {mapping.time_unit}",
            next_step="correct the row, or time and time_unit of the mapping",
        ) from error
