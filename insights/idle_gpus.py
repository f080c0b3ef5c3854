"""Forgotten GPUs: what has done nothing in the last hour of data, what it costs a day and whose it is.

Data flow: bronze.gpu_telemetry (the stream's own table, no dbt in between) → idle accelerators → prices and owners of
marts.fct_node_cost_daily and ops.gpu_rates → Delta `insights.idle_gpus`.

An accelerator (a GPU or a MIG slice) is idle when it was seen for at least three quarters of the last hour, up to now, and worked in less
than a twentieth of that time. One whose activity nobody measures is not judged. A price is that of the machine's newest day on a bill.
Run alone: `costlake telemetry idle`, or `run(Settings.load(), as_of=None)`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from costlake.delta import Lake
from costlake.gpu_rates import GpuRate, newest
from costlake.sql import literal
from insights.tables import IDLE_GPUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import duckdb

    from costlake.settings import Settings

MODEL_VERSION = "idle-gpus-1"
_TABLE = ("bronze", "gpu_telemetry")
Identity = tuple[str, int | None]
# What counts as work: as in int_gpu_pieces.
_ACTIVITY = (
    "coalesce(gr_engine_active_ratio, sm_active_ratio, CASE WHEN mig_gpu_instance_id IS NULL THEN gpu_utilization_percent / 100 END)"
)
_SIX_PLACES, _TWELVE_PLACES = Decimal("0.000001"), Decimal("0.000000000001")
_KINDS = {
    "unallocated": "nothing runs on it",
    "allocated_idle": "it is held and does nothing",
    "warm_unused": "something is loaded and not used",
}


@dataclass(frozen=True)
class Rules:
    """When an accelerator counts as idle.

    Attributes:
        window: how far back is looked. least_seen: the part of it that samples have to cover.
        idle_below: activity (ratio) below which a sample is idle. most_busy: the part of the seen time that may be busy all the same.
        warm_from: memory held (ratio) from which something counts as loaded.
        gone_after: silence after which the machine is taken for switched off, not forgotten.
        look_back: how far back the beginning is looked for.
        clock_skew: a sample that claims to end later than this after its arrival has a wrong clock and is left out.
    """

    window: dt.timedelta = dt.timedelta(hours=1)
    least_seen: float = 0.75
    idle_below: float = 0.02
    most_busy: float = 0.05
    warm_from: float = 0.05
    gone_after: dt.timedelta = dt.timedelta(minutes=15)
    look_back: dt.timedelta = dt.timedelta(days=7)
    clock_skew: dt.timedelta = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class IdleResult:
    """What a run found: `as_of` is None where there is no telemetry; `written` tells whether a new version was made."""

    as_of: dt.datetime | None
    findings: tuple[dict[str, Any], ...]
    written: bool

    @property
    def messages(self) -> tuple[str, ...]:
        """One or two sentences per finding, the dearest first."""
        return tuple(str(row["message"]) for row in self.findings)


def run(settings: Settings, as_of: dt.datetime | None = None, rules: Rules | None = None) -> IdleResult:
    """Find idle accelerators in the hour up to `as_of` and write them; a second run on the same data writes nothing.

    Args:
        settings: where the lake is.
        as_of: the instant that is looked from (with a zone); default is the end of the newest sample, never the clock.
        rules: thresholds.

    Raises:
        LakeError: a table that is there cannot be read.
    """
    lake, used = Lake(settings), rules or Rules()
    if not lake.exists(*_TABLE):
        return IdleResult(None, (), written=False)
    connection = lake.connect()
    try:
        moment = as_of.astimezone(dt.UTC) if as_of is not None else _newest_sample(lake, connection, used)
        if moment is None:
            return IdleResult(None, (), written=False)
        idle = _idle(connection, moment, used)
        prices = _bill_prices(lake, connection, moment) if idle else []
    finally:
        connection.close()
    rates = list(newest(lake).values()) if idle else []
    found = [_row(each, moment, prices, rates, used) for each in idle]
    found.sort(key=lambda row: (-(row["cost_per_day"] or Decimal(-1)), row["host"] or "", row["gpu_uuid"], row["mig_gpu_instance_id"] or 0))
    return IdleResult(moment, tuple(found), _write(lake, found, moment, used))


def message(row: Mapping[str, Any]) -> str:
    """A finding for people: what, since when, why, how much, whose."""
    name = f"GPU {row['gpu_index']}" if row["gpu_index"] is not None else row["gpu_uuid"]
    name += f", slice {row['mig_gpu_instance_id']}," if row["mig_gpu_instance_id"] is not None else ""
    what = f"{name} of {row['host']}" + (f" ({row['model_name']})" if row["model_name"] else "")
    hours = row["idle_hours"]
    lasted = f"{hours:.0f} hours" if hours >= 2 else f"{hours * 60:.0f} minutes"
    since = lasted if row["idle_since_is_known"] else f"at least {lasted}"
    holder = "/".join(part for part in (row["namespace"], row["pod"] or row["job_id"]) if part)
    if row["holder_count"] is not None and row["holder_count"] > 1:
        holder += f" and {row['holder_count'] - 1} more"
    memory = f", {row['memory_used_ratio'] * 100:.0f} % of its memory filled" if row["memory_used_ratio"] else ""
    why = _KINDS[row["idle_kind"]] + (f" ({holder})" if holder else "") + memory
    cost = row["cost_per_day"]
    price = (
        f"It costs {cost:,.2f} {row['billing_currency']} a day."
        if cost is not None
        else f"Its cost is not known: {_words(row['cost_reason'])}."
    )
    whose = f"Owner: {row['owner']}." if row["owner"] else f"No owner: {_words(row['owner_reason'])}."
    return f"{what} has done nothing for {since}: {why}. {price} {whose}"


def _words(reason: str | None) -> str:
    return (reason or "unknown").replace("_", " ")


def _newest_sample(lake: Lake, connection: duckdb.DuckDBPyConnection, rules: Rules) -> dt.datetime | None:
    """The end of the newest sample whose clock can be right; a host that lives in the year 2099 must not hide all others."""
    hours = sorted({partition["event_hour"] for partition in lake.partitions(*_TABLE)}, reverse=True)
    for first in range(0, len(hours), 24):
        rows = connection.execute(
            f"SELECT max(interval_end) FROM bronze.gpu_telemetry WHERE event_hour IN ({_list(hours[first : first + 24])})"
            f" AND interval_end <= _ingested_at + INTERVAL {_seconds(rules.clock_skew)} SECOND"
        ).fetchall()
        if rows[0][0] is not None:
            found: dt.datetime = rows[0][0]
            return found.astimezone(dt.UTC)
    return None


def _idle(connection: duckdb.DuckDBPyConnection, moment: dt.datetime, rules: Rules) -> list[dict[str, Any]]:
    """Accelerators that are idle in the window, with the last thing that was seen of each; a message counts once, overlaps count once."""
    window = moment - rules.window
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE seen AS
        WITH once AS (
            SELECT *, max(mig_gpu_instance_id) OVER (PARTITION BY event_id, gpu_uuid) AS event_instance, {_ACTIVITY} AS activity
            FROM bronze.gpu_telemetry
            WHERE event_hour BETWEEN {_hour(window - dt.timedelta(hours=1))} AND {_hour(moment)}
                AND interval_end > interval_start AND interval_start < {_instant(moment)} AND interval_end > {_instant(window)}
                AND interval_end <= _ingested_at + INTERVAL {_seconds(rules.clock_skew)} SECOND
            QUALIFY row_number() OVER (PARTITION BY event_id, gpu_uuid, mig_gpu_instance_id ORDER BY _ingested_at, _partition, _offset) = 1
        )
        SELECT * EXCLUDE (interval_end), least(interval_end, {_instant(moment)}) AS interval_end,
            greatest(interval_start, {_instant(window)}, max(interval_end) OVER (
                PARTITION BY gpu_uuid, mig_gpu_instance_id ORDER BY interval_start, interval_end, source, event_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )) AS starts_at
        FROM once WHERE mig_gpu_instance_id IS NOT NULL OR event_instance IS NULL
    """)
    seconds, busy = "greatest(epoch(interval_end) - epoch(starts_at), 0)", f"activity >= {rules.idle_below}"
    names = (
        "gpu_index",
        "model_name",
        "mig_profile",
        "cluster",
        "host",
        "resource_id",
        "memory_used_bytes",
        "memory_total_bytes",
        "power_watts",
    )
    relation = connection.execute(f"""
        SELECT gpu_uuid, mig_gpu_instance_id, {", ".join(f"arg_max({name}, interval_end) AS {name}" for name in names)},
            max_by(struct_pack(listed := processes), interval_end).listed AS processes,
            sum({seconds} * activity) / nullif(sum({seconds}) FILTER (activity IS NOT NULL), 0) AS activity
        FROM seen
        GROUP BY gpu_uuid, mig_gpu_instance_id
        HAVING sum({seconds}) FILTER (activity IS NOT NULL) >= {rules.least_seen * rules.window.total_seconds()}
            AND coalesce(sum({seconds}) FILTER ({busy}), 0) < {rules.most_busy} * sum({seconds}) FILTER (activity IS NOT NULL)
            AND max(interval_end) >= {_instant(moment - rules.gone_after)}
        ORDER BY gpu_uuid, mig_gpu_instance_id
    """)
    columns = [column[0] for column in relation.description or ()]
    found = [dict(zip(columns, row, strict=True)) for row in relation.fetchall()]
    began, unknown = _beginnings(connection, found, moment, rules), (None, window)
    return [idle | dict(zip(("last_busy", "first_seen"), began.get(_identity(idle), unknown), strict=True)) for idle in found]


def _beginnings(
    connection: duckdb.DuckDBPyConnection, idle: Iterable[Mapping[str, Any]], moment: dt.datetime, rules: Rules
) -> dict[Identity, tuple[dt.datetime | None, dt.datetime]]:
    """(last busy, first seen) of each, day by day back in time, no further than is needed to know when the last of them worked."""
    found: dict[Identity, tuple[dt.datetime | None, dt.datetime]] = {}
    searched = {_identity(each) for each in idle}
    until = moment
    while searched and until > moment - rules.look_back:
        begin = max(until - dt.timedelta(days=1), moment - rules.look_back)
        rows = connection.execute(
            f"""
            SELECT gpu_uuid, mig_gpu_instance_id, min(interval_start),
                max(interval_end) FILTER ({_ACTIVITY} >= {rules.idle_below})
            FROM bronze.gpu_telemetry
            WHERE event_hour BETWEEN {_hour(begin)} AND {_hour(until)} AND gpu_uuid IN (SELECT unnest(?::VARCHAR[]))
                AND interval_end <= {_instant(moment)} AND interval_end <= _ingested_at + INTERVAL {_seconds(rules.clock_skew)} SECOND
            GROUP BY ALL
            """,
            [sorted({gpu for gpu, _ in searched})],
        ).fetchall()
        for gpu, instance, first, busy in rows:
            if (gpu, instance) in searched:
                found[gpu, instance] = (busy, first)
        seen_then = {(gpu, instance) for gpu, instance, _, busy in rows if busy is None}
        searched &= seen_then
        until = begin - dt.timedelta(hours=1)
    return found


def _identity(row: Mapping[str, Any]) -> Identity:
    return row["gpu_uuid"], row["mig_gpu_instance_id"]


def _bill_prices(lake: Lake, connection: duckdb.DuckDBPyConnection, moment: dt.datetime) -> list[tuple[Any, ...]]:
    """(node id, currency, cost, accelerator hours, owner, owner reason) of each machine's newest day on a bill up to `moment`."""
    if not lake.exists("marts", "fct_node_cost_daily"):
        return []
    return connection.execute(
        """
        SELECT node_id, billing_currency, sum(effective_cost), sum(accelerator_hours), min(owner), min(owner_reason)
        FROM marts.fct_node_cost_daily WHERE charge_date <= ?
        GROUP BY node_id, billing_currency, charge_date
        QUALIFY row_number() OVER (PARTITION BY node_id ORDER BY charge_date DESC, sum(effective_cost) DESC, billing_currency) = 1
        """,
        [moment.date()],
    ).fetchall()


def _row(
    idle: Mapping[str, Any], moment: dt.datetime, prices: Iterable[tuple[Any, ...]], rates: Iterable[GpuRate], rules: Rules
) -> dict[str, Any]:
    holders = None if idle["processes"] is None else _holders(idle["processes"])
    used, total = idle["memory_used_bytes"], idle["memory_total_bytes"]
    filled = Decimal(used) / Decimal(total) if used is not None and total else None
    warm = filled is not None and filled >= Decimal(str(rules.warm_from))
    kind = "warm_unused" if warm and holders != [] else "allocated_idle" if holders else "unallocated"
    since, known = (idle["last_busy"], True) if idle["last_busy"] is not None else (idle["first_seen"], False)
    first = holders[0] if holders else (None, None, None)
    row = {
        **{name: idle[name] for name in ("gpu_uuid", "mig_gpu_instance_id", "mig_profile", "gpu_index", "model_name", "cluster", "host")},
        "as_of_hour": f"{moment:%Y-%m-%dT%H}",
        "as_of": moment,
        "node_id": idle["resource_id"] or idle["host"],
        "idle_kind": kind,
        "idle_since": since.astimezone(dt.UTC),
        "idle_since_is_known": known,
        "idle_hours": _exact((moment - since).total_seconds() / 3600),
        "activity_ratio": _exact(idle["activity"]),
        "memory_used_ratio": None if filled is None else filled.quantize(_SIX_PLACES),
        "power_watts": None if idle["power_watts"] is None else _exact(idle["power_watts"]),
        "namespace": first[0],
        "pod": first[1],
        "job_id": first[2],
        "holder_count": None if holders is None else len(holders),
        **_priced(idle, moment, prices, rates),
    }
    return row | {"message": message(row)}


def _holders(processes: Iterable[Mapping[str, Any] | None]) -> list[tuple[str | None, str | None, str | None]]:
    found = {(each["namespace"], each["pod"], each["job_id"]) for each in processes if each is not None}
    return sorted(found, key=lambda holder: tuple(part or "\uffff" for part in holder))


def _priced(idle: Mapping[str, Any], moment: dt.datetime, prices: Iterable[tuple[Any, ...]], rates: Iterable[GpuRate]) -> dict[str, Any]:
    """What a day of the accelerator costs and who answers for it; a slice costs its part of the GPU."""
    machine = (idle["resource_id"] or "").lower()
    part = _slice_part(idle)
    billed = next((price for price in prices if machine and f"/{machine}".endswith(f"/{price[0].lower()}")), None)
    if billed is not None:
        _, currency, cost, hours, owner, reason = billed
        known = hours is not None and hours > 0
        return {
            "cost_per_day": (cost / hours * 24 * part).quantize(_TWELVE_PLACES) if known else None,
            "billing_currency": currency,
            "cost_basis": "bill",
            "cost_reason": None if known else "bill_counts_no_accelerator_hours",
            "owner": owner,
            "owner_reason": None if owner else reason or "charges_name_no_owner",
        }
    rate = _rate_of(idle, moment.date(), rates)
    if rate is not None:
        return {
            "cost_per_day": (rate.hourly_rate * 24 * part).quantize(_TWELVE_PLACES),
            "billing_currency": rate.currency,
            "cost_basis": "owned_rate",
            "cost_reason": None,
            "owner": rate.owner,
            "owner_reason": None if rate.owner else "rate_names_no_owner",
        }
    reason = "machine_on_no_bill_and_no_owned_rate" if machine else "machine_without_bill_id_and_no_owned_rate"
    return {
        "cost_per_day": None,
        "billing_currency": None,
        "cost_basis": None,
        "cost_reason": reason,
        "owner": None,
        "owner_reason": reason,
    }


def _rate_of(idle: Mapping[str, Any], day: dt.date, rates: Iterable[GpuRate]) -> GpuRate | None:
    """The owned rate as int_gpu_rated chooses it: by host, else by the longest part of the model's name where there is no bill id."""
    model = (idle["model_name"] or "").lower()
    fitting = [
        rate
        for rate in rates
        if rate.active
        and rate.valid_from <= day
        and (rate.valid_to is None or day < rate.valid_to)
        and (rate.host in (idle["host"], idle["resource_id"]) if rate.host is not None else not idle["resource_id"])
        and (rate.model is None or rate.model.lower() in model)
    ]
    return min(fitting, key=lambda rate: (rate.host is None, -len(rate.model or ""), rate.rate_id), default=None)


def _slice_part(idle: Mapping[str, Any]) -> Decimal:
    """Compute slices of a MIG instance over those of the GPU, as macro mig_slice_total has it."""
    count = (idle["mig_profile"] or "").partition("g.")[0]
    if idle["mig_gpu_instance_id"] is None or not count.isdigit():
        return Decimal(1)
    model = (idle["model_name"] or "").upper()
    total = 4 if model.endswith("A30") or "A30-" in model or "RTX PRO 6000" in model else 7
    return Decimal(min(int(count), total)) / total


def _write(lake: Lake, found: list[dict[str, Any]], moment: dt.datetime, rules: Rules) -> bool:
    """Replace the hour's rows where they differ; returns whether a version was made."""
    import pyarrow as pa

    hour = f"{moment:%Y-%m-%dT%H}"
    parts = [MODEL_VERSION, repr(rules), *(repr(sorted(row.items())) for row in found)]
    run_id = f"idle-{hour}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:12]}"
    if _stored(lake, hour) == (run_id if found else None):
        return False
    rows = [{"run_id": run_id, **row} for row in found]
    lake.replace(IDLE_GPUS, pa.Table.from_pylist(rows, schema=IDLE_GPUS.schema), where={"as_of_hour": hour})
    return True


def _stored(lake: Lake, hour: str) -> str | None:
    if not lake.exists(IDLE_GPUS.layer, IDLE_GPUS.name):
        return None
    connection = lake.connect()
    try:
        rows = connection.execute("SELECT max(run_id) FROM insights.idle_gpus WHERE as_of_hour = ?", [hour]).fetchall()
    finally:
        connection.close()
    found: str | None = rows[0][0]
    return found


def _exact(number: float) -> Decimal:
    return Decimal(repr(float(number))).quantize(_SIX_PLACES)


def _instant(moment: dt.datetime) -> str:
    return f"TIMESTAMPTZ '{moment.isoformat()}'"


def _hour(moment: dt.datetime) -> str:
    return literal(f"{moment:%Y-%m-%dT%H}")


def _seconds(duration: dt.timedelta) -> int:
    return int(duration.total_seconds())


def _list(texts: Iterable[str]) -> str:
    return ", ".join(literal(text) for text in texts)
