"""Exchange rates into the reporting currency, one per month and currency, locked when the month is over.

Data flow: currencies of the bills (`ops.deliveries`), config/currency.yml, ECB rates (`costlake.ecb`) → `ops.exchange_rates` → dbt.

The table is a log: a rate that changes is a new revision in the same commit, and the newest revision counts. A locked rate changes only in
a month that `relock` names, and its revision then holds the rate that it restates. A currency without a rate has a line that says so, with
a rate of NULL: never 0, never 1.
Run alone: costlake rates
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

import pyarrow as pa

from costlake.config import Currency, load_currency
from costlake.delta import Lake
from costlake.ecb import ReferenceRates, bundled
from costlake.errors import ConfigError
from costlake.money import at_scale
from costlake.periods import BillingPeriod, Clock
from costlake.settings import Settings
from costlake.tables import BRONZE_MONEY, COUNT, DATE, TEXT, TIMESTAMP, TableSpec

CONFIG_FILE = "currency.yml"
EXCHANGE_RATES = TableSpec(
    "ops",
    "exchange_rates",
    pa.schema(
        [
            pa.field("month", TEXT),
            pa.field("from_currency", TEXT),
            pa.field("to_currency", TEXT),
            pa.field("revision", COUNT),
            pa.field("rate", BRONZE_MONEY),  # NULL: no rate is known
            pa.field("rate_date", DATE),  # of the ECB's publication
            pa.field("origin", TEXT),  # ecb | override | identity; NULL without a rate
            pa.field("note", TEXT),  # the override's reason
            pa.field("locked", pa.bool_()),
            pa.field("locked_at", TIMESTAMP),
            pa.field("active", pa.bool_()),  # false: into a currency that is no longer reported in
            pa.field("restated_rate", BRONZE_MONEY),  # the locked rate that this revision replaces
            pa.field("config_hash", TEXT),
            pa.field("recorded_at", TIMESTAMP),
        ]
    ),
    key=("month", "from_currency", "to_currency", "revision"),
)

Pair = tuple[str, str, str]


@dataclass(frozen=True)
class Rate:
    """One revision: units of `to_currency` for one unit of `from_currency` in a billing month; see EXCHANGE_RATES."""

    month: str
    from_currency: str
    to_currency: str
    rate: Decimal | None
    rate_date: dt.date | None = None
    origin: str | None = None
    note: str | None = None
    locked: bool = False
    locked_at: dt.datetime | None = None
    active: bool = True
    restated_rate: Decimal | None = None
    revision: int = 1

    @property
    def pair(self) -> Pair:
        """What the rate is of."""
        return self.month, self.from_currency, self.to_currency

    @property
    def says(self) -> tuple[object, ...]:
        """What a reader of the rate would notice a change of."""
        return self.rate, self.rate_date, self.origin, self.note, self.locked, self.active


@dataclass(frozen=True)
class RatesResult:
    """What a run did.

    Attributes:
        written: new revisions; empty when nothing changed.
        held: overrides of locked months that were not followed, as errors that say what to do.
        missing: (month, currency) of bills without a rate.
    """

    written: tuple[Rate, ...]
    held: tuple[ConfigError, ...]
    missing: tuple[tuple[str, str], ...]


def run(settings: Settings, clock: Clock, relock: Collection[str] = ()) -> RatesResult:
    """Bring the rates of all months and currencies that bills contain up to date; a second run writes nothing.

    Args:
        settings: where the lake and config/currency.yml are.
        clock: decides which months are over, and which publications are known.
        relock: months (YYYY-MM) whose locked rates are taken anew from config and ECB; recorded as restatements.

    Raises:
        ConfigError: config/currency.yml is wrong, or a month to relock has no locked rate.
    """
    config = load_currency(settings.config_dir / CONFIG_FILE)
    lake = Lake(settings)
    known = newest(lake)
    _require_locked(relock, known)
    today = {(month, code, config.reporting_currency): None for month, code in billed_currencies(lake)}
    written, held = [], []
    for pair in today:
        wanted = _wanted(pair, config, bundled(), clock)
        revision, refused = _judged(known.get(pair), wanted, relock=pair[0] in relock)
        written += [revision] if revision else []
        held += [refused] if refused else []
    written += [_next(rate, rate, active=False) for pair, rate in known.items() if rate.active and pair not in today]
    if written:
        lake.append(EXCHANGE_RATES, _table(written, config, clock))
    current = known | {rate.pair: rate for rate in written}
    missing = sorted((rate.month, rate.from_currency) for rate in current.values() if rate.active and rate.rate is None)
    return RatesResult(tuple(written), tuple(held), tuple(missing))


def billed_currencies(lake: Lake) -> list[tuple[str, str]]:
    """(month, currency) of every bill that was loaded, from the control totals of its deliveries."""
    if not lake.exists("ops", "deliveries"):
        return []
    connection = lake.connect()
    try:
        return connection.execute(
            "SELECT DISTINCT billing_period, currency FROM ops.deliveries"
            " WHERE status = 'loaded' AND control_total IS NOT NULL AND currency IS NOT NULL ORDER BY ALL"
        ).fetchall()
    finally:
        connection.close()


def newest(lake: Lake) -> dict[Pair, Rate]:
    """The newest revision of every month and pair, the ones that are no longer active included."""
    if not lake.exists(EXCHANGE_RATES.layer, EXCHANGE_RATES.name):
        return {}
    connection = lake.connect()
    try:
        rows = connection.execute("SELECT * FROM ops.exchange_rates ORDER BY revision, recorded_at").to_arrow_table().to_pylist()
    finally:
        connection.close()
    names = Rate.__dataclass_fields__
    rates = [Rate(**{name: value for name, value in row.items() if name in names}) for row in rows]
    return {rate.pair: rate for rate in rates}


def month_fingerprints(lake: Lake) -> dict[str, str]:
    """Per month a hash of the rates in force: what the marts of that month are built of beside FOCUS."""
    said: dict[str, list[str]] = {}
    for rate in newest(lake).values():
        if rate.active:
            said.setdefault(rate.month, []).append(repr((rate.pair, rate.says)))
    return {month: hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:20] for month, lines in said.items()}


def _wanted(pair: Pair, config: Currency, rates: ReferenceRates, clock: Clock) -> Rate:
    """What config and ECB say of a pair now."""
    month, source, target = pair
    if source == target:
        return Rate(*pair, at_scale(Decimal(1)), origin="identity", locked=True, locked_at=clock.now())
    period = BillingPeriod.parse(month)
    is_over = clock.now() >= period.end + dt.timedelta(days=config.lock_after_days)
    override = next((each for each in config.overrides if (each.month, each.from_currency) == (month, source)), None)
    if override is not None:
        found, locked = Rate(*pair, at_scale(override.rate), origin="override", note=override.reason), is_over
    else:
        quote = rates.of_month(source, target, period, clock.now().date())
        if quote is None:
            return Rate(*pair, None)
        found, locked = Rate(*pair, quote.rate, quote.day, "ecb"), is_over and quote.final
    return replace(found, locked=locked, locked_at=clock.now() if locked else None)


def _judged(known: Rate | None, wanted: Rate, *, relock: bool) -> tuple[Rate | None, ConfigError | None]:
    """The revision to write, if any, and the refusal to be told, if any."""
    if known is None:
        return wanted, None
    if not known.locked:
        return (None, None) if known.says == wanted.says else (_next(known, wanted), None)
    if relock and known.says[:4] != wanted.says[:4]:
        # Locked it stays, whatever the ECB's data cover: a relocked month is a decision.
        locked_at = wanted.locked_at or known.locked_at
        return _next(known, wanted, locked=wanted.rate is not None, locked_at=locked_at, restated_rate=known.rate), None
    back = None if known.active else _next(known, known, active=True)
    differs = (known.rate, known.origin, known.note) != (wanted.rate, wanted.origin, wanted.note)
    return back, _held(known, wanted) if differs and "override" in (known.origin, wanted.origin) else None


def _next(known: Rate, said: Rate, **changes: object) -> Rate:
    fresh = {"revision": known.revision + 1, "restated_rate": None, "active": True, **changes}
    return replace(said, **fresh)  # type: ignore[arg-type]


def _held(known: Rate, wanted: Rate) -> ConfigError:
    return ConfigError(
        f"{known.month} is locked at {known.rate:f} {known.to_currency} per {known.from_currency} ({known.origin}); "
        f"config now gives {'no rate' if wanted.rate is None else f'{wanted.rate:f}'} ({wanted.origin}), which was not followed",
        where=f"{CONFIG_FILE}: overrides, {known.month} {known.from_currency}",
        expected="the rate of a month that was reported to stay as it is",
        next_step=f"take the override back, or restate the month on purpose with `costlake rates --relock {known.month}`",
    )


def _require_locked(relock: Collection[str], known: Mapping[Pair, Rate]) -> None:
    locked = sorted({rate.month for rate in known.values() if rate.locked and rate.active and rate.origin != "identity"})
    unknown = sorted(set(relock) - set(locked))
    if unknown:
        raise ConfigError(
            f"no rate of {', '.join(unknown)} is locked",
            where="--relock",
            expected=f"one of {', '.join(locked) or 'no month: nothing is locked yet'}",
            next_step="name a month with a locked rate; a rate that is not locked follows config by itself",
        )


def _table(rates: list[Rate], config: Currency, clock: Clock) -> pa.Table:
    common = {"config_hash": hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16], "recorded_at": clock.now()}
    return pa.Table.from_pylist([asdict(rate) | common for rate in rates], schema=EXCHANGE_RATES.schema)
