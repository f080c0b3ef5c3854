"""The price book: what a token cost, by the UTC day it was used on; a price learnt later never changes a day that was priced.

Data flow: models seen in usage (staging views of the warehouse), genai-prices, dbt/seeds/llm_price_rules.csv, config/prices/llm*.yml
→ `ops.price_book` → dbt (`int_price_book`).

The table is a log. A key (provider, model, token class, tier, prompt length, region, minutes of the day) has a timeline of prices; a run
that changes it writes the whole timeline as a new revision, and the newest revision counts. Before the day of the run a known price stays,
whatever the lists say by now: what they say is kept beside it (`held_price_usd_per_million`) until `--restate` names the month. A price
that nobody knew is no price: it is filled in when it becomes known. A model without a price has a line that says so, with a price of NULL.
Run alone: costlake prices
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pyarrow as pa

from costlake.delta import Lake, open_duckdb
from costlake.errors import ConfigError
from costlake.periods import BillingPeriod, Clock
from costlake.pricelist import WHOLE_DAY, Listing, Segment, Window, joined, listed_models, listing, unit_of
from costlake.pricerules import PriceOverride, PriceRule, load_overrides, load_provider_names, load_rules
from costlake.settings import Settings
from costlake.sql import identifier, literal
from costlake.tables import BRONZE_MONEY, COUNT, DATE, TEXT, TIMESTAMP, TableSpec
from costlake.timeline import Entry, Key, in_windows, merged_windows

if TYPE_CHECKING:
    import duckdb

PRICE_BOOK = TableSpec(
    "ops",
    "price_book",
    pa.schema(
        [
            pa.field("provider", TEXT),  # id as genai-prices writes it
            pa.field("model_id", TEXT),  # as usage reports write it, or the list's own id
            pa.field("listed_model", TEXT),  # whose price it is in the list; NULL where the list knows no such model
            pa.field("token_class", TEXT),  # '*' for a model without any price
            pa.field("service_tier", TEXT),
            pa.field("context_from_tokens", COUNT),  # holds for the whole request when its prompt has more tokens
            pa.field("region_scope", TEXT),
            pa.field("from_minute_utc", COUNT),  # minute of the UTC day; 0 and 1440 (or NULL, in older rows): all day
            pa.field("to_minute_utc", COUNT),  # first minute without it
            pa.field("unit", TEXT),
            pa.field("price_usd_per_million", BRONZE_MONEY),  # NULL: no price is known
            pa.field("price_reason", TEXT),  # why not
            pa.field("held_price_usd_per_million", BRONZE_MONEY),  # what the lists say by now of a day that was priced before
            pa.field("restated_price_usd_per_million", BRONZE_MONEY),  # what the day was priced at before it was restated
            pa.field("valid_from", DATE),  # first UTC day; NULL: since ever
            pa.field("valid_to", DATE),  # first UTC day without it; NULL: until further notice
            pa.field("revision", COUNT),
            pa.field("origin", TEXT),  # genai-prices | override
            pa.field("note", TEXT),
            pa.field("active", pa.bool_()),
            pa.field("config_hash", TEXT),
            pa.field("recorded_at", TIMESTAMP),
        ]
    ),
    key=(
        *("provider", "model_id", "token_class", "service_tier", "context_from_tokens", "region_scope", "from_minute_utc", "to_minute_utc"),
        *("valid_from", "revision"),
    ),
)
# Every model of these is in the book: what else a workload could run on has a price, too. Of the others, what was seen.
ROUTES = ("anthropic", "openai", "azure", "aws", "google")
ANY = "*"
UNKNOWN = Segment(ANY, ANY, 0, ANY, None, price_reason="model_not_in_price_list", origin="none")
_FIRST_MONTH = "0001-01"

Model = tuple[str, str]


@dataclass(frozen=True)
class PricesResult:
    """What a run did.

    Attributes:
        written: keys with a new revision; empty when nothing changed.
        restated: keys of which a day that was priced now has another price.
        held: keys of which the lists or config give another price for days that were priced; they stay.
        refused: held overrides, as errors that say what to do.
        unknown: (provider, model) that were used and have no price.
    """

    written: tuple[Key, ...]
    restated: tuple[Key, ...]
    held: tuple[Key, ...]
    refused: tuple[ConfigError, ...]
    unknown: tuple[Model, ...]


def run(settings: Settings, clock: Clock, restate: Collection[str] = ()) -> PricesResult:
    """Bring the prices of all models that were used, and of all that could be, up to date; a second run writes nothing.

    Args:
        settings: where the lake, the warehouse, config/prices and the seeds are.
        clock: its UTC day is the first that a changed price may hold on.
        restate: months (YYYY-MM) whose days are priced anew; recorded as restatements.

    Raises:
        ConfigError: a file of config/prices or a rule is wrong, or a month to restate is none.
    """
    overrides, rules = load_overrides(settings.config_dir), load_rules(settings)
    lake, today = Lake(settings), clock.now().date()
    months = _periods(restate)
    known = newest(lake)
    seen = seen_models(settings)
    written: dict[Key, tuple[Entry, ...]] = {}
    current: dict[Key, tuple[Entry, ...]] = {}
    for model in _models(seen, known, overrides):
        before = known.get(model, {})
        judged = _judged(before, wanted_of(model, rules, overrides), today, months)
        current |= judged
        written |= {key: entries for key, entries in judged.items() if before.get(key) != entries}
    if written:
        lake.append(PRICE_BOOK, table_of(written, known, overrides, rules, clock))
    held = [key for key, entries in current.items() if any(each.held for each in entries)]
    restated = [key for key, entries in written.items() if any(each.restated is not None for each in entries)]
    refused = [_refused(key, current[key]) for key in held if _is_of_config(current[key])]
    unknown = {(key.provider, key.model_id) for key, entries in current.items() if key.token_class == ANY and entries[0].active}
    return PricesResult(tuple(written), tuple(restated), tuple(held), tuple(refused), tuple(sorted(unknown & seen)))


def seen_models(settings: Settings) -> set[Model]:
    """(provider of the price list, model id) of all usage, from the staging views of the last FOCUS build; empty before it.

    Raises:
        ConcurrentWrite: a transform or publish is at work on the warehouse.
    """
    import yaml

    from costlake.transform import warehouse_lock  # which plans by this module's fingerprints

    if not settings.warehouse.exists():
        return set()
    names = load_provider_names(settings)
    sources = yaml.safe_load((settings.dbt_dir / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["token_sources"]
    with warehouse_lock(settings):
        connection = open_duckdb(settings, str(settings.warehouse), read_only=True)
        try:
            found = _used(connection, [f"stg_{source}__tokens" for source in sources])
        finally:
            connection.close()
    return {(names[provider], model) for provider, model in found if provider in names and model is not None}


def _used(connection: duckdb.DuckDBPyConnection, staging: Sequence[str]) -> set[tuple[str, str | None]]:
    views = {row[0] for row in connection.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = 'staging'").fetchall()}
    found: set[tuple[str, str | None]] = set()
    for view in views.intersection(staging):
        found.update(connection.execute(f"SELECT DISTINCT provider_name, model_id FROM staging.{identifier(view)}").fetchall())
    return found


def newest(lake: Lake) -> dict[Model, dict[Key, tuple[Entry, ...]]]:
    """The newest revision of every timeline, the ones that are no longer active included."""
    if not lake.exists(PRICE_BOOK.layer, PRICE_BOOK.name):
        return {}
    connection = lake.connect()
    parts = ", ".join(Key.__dataclass_fields__)
    try:
        rows = connection.execute(
            f"SELECT * FROM {_book(lake)} QUALIFY revision = max(revision) OVER (PARTITION BY {parts})"
            f" ORDER BY {parts}, valid_from NULLS FIRST"
        ).fetchall()
        names = [column[0] for column in connection.description or ()]
    finally:
        connection.close()
    found: dict[Model, dict[Key, tuple[Entry, ...]]] = {}
    for row in rows:
        said = dict(zip(names, row, strict=True))
        key = Key(**{name: said[name] for name in Key.__dataclass_fields__})
        mine = found.setdefault((key.provider, key.model_id), {})
        mine[key] = (*mine.get(key, ()), Entry.of_row(said))
    return found


def wanted_of(model: Model, rules: Iterable[PriceRule], overrides: Iterable[PriceOverride]) -> dict[Key, tuple[Entry, ...]]:
    """What lists and config say of a model now, whatever was said before."""
    provider, name = model
    found = listing(provider, name, rules)
    segments = list(found.segments) if found is not None else []
    for override in overrides:
        if (override.provider, override.model.lower()) == (provider, name.lower()):
            segments = _overridden(segments, override)
    listed = found.model if found is not None else None
    timelines: dict[Key, dict[Window, list[Entry]]] = {}
    for each in joined(segments) or [UNKNOWN]:
        key = Key(provider, name, each.token_class, each.service_tier, each.context_from_tokens, each.region_scope)
        timelines.setdefault(key, {}).setdefault(each.window, []).append(Entry.of_segment(each, listed))
    return {key.during(window): entries for key, cells in timelines.items() for window, entries in in_windows(cells).items()}


def listing_in_force(settings: Settings, provider: str, model: str) -> Listing | None:
    """A model's prices by the book; of a model that is not in it what lists and config say now. None where neither has a price."""
    known = newest(Lake(settings)).get((provider, model))
    if known is None:
        known = wanted_of((provider, model), load_rules(settings), load_overrides(settings.config_dir))
    segments = [each.segment(key) for key, entries in known.items() if key.token_class != ANY for each in entries if each.active]
    listed = next((each.listed_model for entries in known.values() for each in entries if each.listed_model is not None), None)
    return Listing(provider, listed or model, tuple(segments)) if segments else None


def month_fingerprints(lake: Lake, months: Collection[str]) -> dict[str, str]:
    """Per month a hash of the prices in force in it: what the marts of that month are built of beside usage and FOCUS."""
    if not months or not lake.exists(PRICE_BOOK.layer, PRICE_BOOK.name):
        return {}
    parts = ", ".join(Key.__dataclass_fields__)
    listed = ", ".join(f"(DATE {literal(f'{month}-01')})" for month in sorted(months))
    connection = lake.connect()
    try:
        # of a price's days those in the month alone: a change of next month's price is none of this month's
        rows = connection.execute(
            f"""
            WITH months(start) AS (VALUES {listed}),
            book AS (FROM {_book(lake)} QUALIFY revision = max(revision) OVER (PARTITION BY {parts}))
            SELECT strftime(start, '%Y-%m'), sum(hash(ROW(
                {parts}, price_usd_per_million, price_reason, held_price_usd_per_million,
                greatest(valid_from, start), least(valid_to, start + INTERVAL 1 MONTH)
            )))
            FROM months JOIN book
                ON active
                AND coalesce(valid_from, DATE '1970-01-01') < start + INTERVAL 1 MONTH
                AND coalesce(valid_to, DATE '9999-12-31') > start
            GROUP BY start
            """
        ).fetchall()
    finally:
        connection.close()
    return {month: str(value) for month, value in rows}


def _models(seen: set[Model], known: Mapping[Model, object], overrides: Iterable[PriceOverride]) -> list[Model]:
    routes = {(provider, model) for provider in ROUTES for model in listed_models(provider)}
    return sorted(seen | set(known) | routes | {(each.provider, each.model) for each in overrides})


def _judged(
    known: Mapping[Key, tuple[Entry, ...]], wanted: Mapping[Key, tuple[Entry, ...]], today: dt.date, months: Sequence[BillingPeriod]
) -> dict[Key, tuple[Entry, ...]]:
    """Every timeline as it has to be: the past as it was priced, the rest as lists and config say."""
    found: dict[Key, tuple[Entry, ...]] = {}
    active = _by_price({key: entries for key, entries in known.items() if any(each.active for each in entries)})
    said = _by_price(wanted)
    for price, windows in said.items():
        merged = merged_windows(active.get(price, {}), windows, today, months)
        found |= {price.during(window): entries for window, entries in merged.items()}
    for key, entries in known.items():
        if key not in found:
            # A list that drops a model says nothing of its price: it stays. The line "no price" goes when there is one, as does a window of
            # the day that is cut otherwise by now.
            gone = key.token_class == ANY or key.during(WHOLE_DAY) in said
            found[key] = tuple(replace(each, active=False) for each in entries) if gone else entries
    return found


def _by_price(timelines: Mapping[Key, tuple[Entry, ...]]) -> dict[Key, dict[Window, tuple[Entry, ...]]]:
    """The timelines of one price together, by window of the day."""
    found: dict[Key, dict[Window, tuple[Entry, ...]]] = {}
    for key, entries in timelines.items():
        found.setdefault(key.during(WHOLE_DAY), {})[key.window] = entries
    return found


def _book(lake: Lake) -> str:
    """The price book as SQL, older rows with the whole day as their window."""
    scan = lake.scan_sql(PRICE_BOOK.layer, PRICE_BOOK.name, PRICE_BOOK)
    whole = f"coalesce(from_minute_utc, {WHOLE_DAY[0]}) AS from_minute_utc, coalesce(to_minute_utc, {WHOLE_DAY[1]}) AS to_minute_utc"
    return f"(SELECT * REPLACE ({whole}) FROM ({scan}))"


def _overridden(segments: Sequence[Segment], override: PriceOverride) -> list[Segment]:
    """The segments with the override's days cut out, and the override itself."""
    left: list[Segment] = []
    for each in segments:
        if each.key != override.key:
            left.append(each)
            continue
        start, end = each.valid_from or dt.date.min, each.valid_to or dt.date.max
        stop = override.valid_to or dt.date.max
        if start < override.valid_from:
            left.append(replace(each, valid_to=min(end, override.valid_from) if end != dt.date.max else override.valid_from))
        if stop < end:
            left.append(replace(each, valid_from=max(start, stop)))
    price = Segment(
        *override.key, override.usd_per_million, override.valid_from, override.valid_to, origin="override", note=override.note
    )  # fmt: skip
    return [*left, price]


def _periods(months: Collection[str]) -> list[BillingPeriod]:
    try:
        return [BillingPeriod.parse(month) for month in months]
    except ValueError as error:
        raise ConfigError(
            str(error), where="--restate", expected="a month as YYYY-MM", next_step="name the months whose days are to be priced anew"
        ) from error


def _is_of_config(entries: Sequence[Entry]) -> bool:
    """Whether a held price is one that a person wrote: who takes a price back is not told every day that the past stays."""
    return any(each.held and each.held_origin == "override" for each in entries)


def _refused(key: Key, entries: Sequence[Entry]) -> ConfigError:
    held = next(each for each in entries if each.held)
    month = f"{held.valid_from:%Y-%m}" if held.valid_from else _FIRST_MONTH
    return ConfigError(
        f"{key.provider} {key.model_id} {key.token_class} ({key.service_tier}) was priced at {_shown(held.price)} "
        f"from {held.valid_from} on; now {_shown(held.held_price)} is given, which was not followed before {held.valid_to}",
        where="config/prices",
        expected="the price of a day that was priced to stay as it is",
        next_step=f"take the override back, or price its months anew on purpose with `costlake prices --restate {month}`",
    )


def _shown(price: Decimal | None) -> str:
    return "no price" if price is None else f"{price.normalize():f} USD per million"


def table_of(
    written: Mapping[Key, tuple[Entry, ...]],
    known: Mapping[Model, Mapping[Key, tuple[Entry, ...]]],
    overrides: Sequence[PriceOverride],
    rules: Sequence[PriceRule],
    clock: Clock,
) -> pa.Table:
    """The rows of new revisions.

    Args:
        written: the timelines. known: what the log says of all models, for the number of the revision.
        overrides, rules: what config says; the rows bear its hash. clock: when they are recorded.
    """
    said = "\n".join(each.model_dump_json() for each in (*overrides, *rules))
    common = {"config_hash": hashlib.sha256(said.encode()).hexdigest()[:16], "recorded_at": clock.now()}
    rows = []
    for key, entries in written.items():
        before = known.get((key.provider, key.model_id), {}).get(key)
        revision = before[0].revision + 1 if before else 1
        rows += [asdict(key) | each.row() | {"unit": unit_of(key.token_class), "revision": revision} | common for each in entries]
    return pa.Table.from_pylist(rows, schema=PRICE_BOOK.schema)
