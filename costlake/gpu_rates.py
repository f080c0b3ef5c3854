"""Hourly rates of owned accelerators as a ledger: config/prices/gpu_hours.yml → `ops.gpu_rates` → dbt.

The table is a log: a rate that changes is a new revision, and the newest counts. A rate whose time has begun was reported; it changes only
when it is named as restated, and may otherwise only be given an end that is not in the past.
Run alone: costlake telemetry rates
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

import pyarrow as pa

from costlake.delta import Lake
from costlake.errors import ConfigError
from costlake.gpu_config import GPU_HOURS_FILE, GpuHourPrice, load_gpu_hours
from costlake.periods import BillingPeriod, Clock
from costlake.settings import Settings
from costlake.tables import BRONZE_MONEY, COUNT, DATE, TEXT, TIMESTAMP, TableSpec

GPU_RATES = TableSpec(
    "ops",
    "gpu_rates",
    pa.schema(
        [
            pa.field("rate_id", TEXT),
            pa.field("valid_from", DATE),
            pa.field("valid_to", DATE),  # first day on which it no longer holds; NULL: open
            pa.field("revision", COUNT),
            pa.field("host", TEXT),
            pa.field("model", TEXT),
            pa.field("gpu_count", COUNT),  # of the host; NULL for a rate by model
            pa.field("currency", TEXT),
            pa.field("hourly_rate", BRONZE_MONEY),  # per accelerator
            pa.field("capex_hourly", BRONZE_MONEY),
            pa.field("power_hourly", BRONZE_MONEY),
            pa.field("space_hourly", BRONZE_MONEY),
            pa.field("other_hourly", BRONZE_MONEY),
            pa.field("owner", TEXT),
            pa.field("note", TEXT),
            pa.field("active", pa.bool_()),  # false: taken out of the file
            pa.field("restated_rate", BRONZE_MONEY),  # the begun rate that this revision replaces
            pa.field("recorded_at", TIMESTAMP),
        ]
    ),
    key=("rate_id", "valid_from", "revision"),
)

Key = tuple[str, dt.date]


@dataclass(frozen=True)
class GpuRate:
    """One revision of a rate; see GPU_RATES. Money per accelerator and hour, in `currency`."""

    rate_id: str
    valid_from: dt.date
    valid_to: dt.date | None
    host: str | None
    model: str | None
    gpu_count: int | None
    currency: str
    hourly_rate: Decimal
    capex_hourly: Decimal | None
    power_hourly: Decimal | None
    space_hourly: Decimal | None
    other_hourly: Decimal | None
    owner: str | None
    note: str | None
    active: bool = True
    restated_rate: Decimal | None = None
    revision: int = 1

    @property
    def key(self) -> Key:
        """What the revisions belong to."""
        return self.rate_id, self.valid_from

    @property
    def says(self) -> tuple[object, ...]:
        """What a reader of the rate would notice a change of."""
        return (*self.prices, self.valid_to, self.owner, self.note, self.active)

    @property
    def prices(self) -> tuple[object, ...]:
        """What changes an amount of a day that it holds on."""
        return self.host, self.model, self.gpu_count, self.currency, self.hourly_rate

    def holds_in(self, period: BillingPeriod) -> bool:
        """Whether some day of the month has this rate."""
        return self.valid_from < period.end.date() and (self.valid_to is None or self.valid_to > period.start.date())


@dataclass(frozen=True)
class GpuRatesResult:
    """What a run did: the new revisions, and the changes of begun rates that were not followed, as errors that say what to do."""

    written: tuple[GpuRate, ...]
    held: tuple[ConfigError, ...]


def run(settings: Settings, clock: Clock, restate: Collection[str] = ()) -> GpuRatesResult:
    """Bring the ledger up to what config says; a second run writes nothing.

    Args:
        settings: where the lake and config/prices/gpu_hours.yml are.
        clock: tells which rates have begun.
        restate: ids of begun rates that may change all the same; recorded with the rate that they replace.

    Raises:
        ConfigError: the file is wrong, or an id to restate is unknown.
    """
    wanted = {rate.key: rate for rate in map(_of_config, load_gpu_hours(settings.config_dir).gpu_hours)}
    lake = Lake(settings)
    known = newest(lake)
    unknown = sorted(set(restate) - {rate_id for rate_id, _ in (*wanted, *known)})
    if unknown:
        raise ConfigError(
            f"no rate is called {', '.join(unknown)}",
            where="--restate",
            expected=f"one of {', '.join(sorted({rate_id for rate_id, _ in (*wanted, *known)})) or 'no rate: there is none yet'}",
            next_step="name an id of config/prices/gpu_hours.yml",
        )
    today = clock.now().date()
    written, held = [], []
    for key in sorted({*wanted, *known}):
        before = known.get(key)
        after = wanted.get(key) or (None if before is None else replace(before, active=False, restated_rate=None))
        if after is None or (before is not None and before.says == after.says):
            continue
        restates = before is not None and before.active and _restates(before, after, today)
        if restates and key[0] not in restate and before is not None:
            held.append(_held(before, after))
            continue
        revision = 1 if before is None else before.revision + 1
        written.append(replace(after, revision=revision, restated_rate=before.hourly_rate if restates and before else None))
    if written:
        rows = [asdict(rate) | {"recorded_at": clock.now()} for rate in written]
        lake.append(GPU_RATES, pa.Table.from_pylist(rows, schema=GPU_RATES.schema))
    return GpuRatesResult(tuple(written), tuple(held))


def newest(lake: Lake) -> dict[Key, GpuRate]:
    """The newest revision of every rate, those taken out of the file included."""
    if not lake.exists(GPU_RATES.layer, GPU_RATES.name):
        return {}
    connection = lake.connect()
    try:
        rows = connection.execute("SELECT * FROM ops.gpu_rates ORDER BY revision, recorded_at").to_arrow_table().to_pylist()
    finally:
        connection.close()
    rates = [GpuRate(**{name: row[name] for name in GpuRate.__dataclass_fields__}) for row in rows]
    return {rate.key: rate for rate in rates}


def fingerprint(rates: Collection[GpuRate], period: BillingPeriod) -> str:
    """A hash of the rates in force in a month: what its GPU marts are built of beside bills and telemetry."""
    lines = sorted(repr((rate.key, rate.says)) for rate in rates if rate.active and rate.holds_in(period))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:20]


def _of_config(price: GpuHourPrice) -> GpuRate:
    parts = price.parts_per_hour
    return GpuRate(
        rate_id=price.id,
        valid_from=price.valid_from,
        valid_to=price.ends,
        host=price.host,
        model=price.model,
        gpu_count=price.gpu_count if price.host is not None else None,
        currency=price.currency,
        hourly_rate=sum(parts.values(), Decimal(0)),
        capex_hourly=parts.get("capex"),
        power_hourly=parts.get("power"),
        space_hourly=parts.get("space"),
        other_hourly=parts.get("other"),
        owner=price.owner,
        note=price.note,
    )


def _restates(before: GpuRate, after: GpuRate, today: dt.date) -> bool:
    """Whether a day that is over gets another price."""
    if before.valid_from >= today:
        return False
    ends = [rate.valid_to or dt.date.max for rate in (before, after)]
    return not after.active or before.prices != after.prices or (ends[0] != ends[1] and min(ends) < today)


def _held(before: GpuRate, after: GpuRate) -> ConfigError:
    now = f"{after.hourly_rate:f} {after.currency}" if after.active else "no rate"
    return ConfigError(
        f"{before.rate_id} was {before.hourly_rate:f} {before.currency} an hour from {before.valid_from} on and has been reported; "
        f"config now says {now}, which was not followed",
        where=f"{GPU_HOURS_FILE}: {before.rate_id}",
        expected="the rate of days that are over to stay as it is",
        next_step="end it with valid_to and begin a new entry, or restate it on purpose: "
        f"`costlake telemetry rates --restate {before.rate_id}`",
    )
