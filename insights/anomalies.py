"""Days that cost more or less than they should have, with the cause: marts.fct_cost_daily → Delta `insights.anomalies`.

Every provider's daily series is judged, and every service-and-account series below it, so that a spike which drowns in its provider's
noise is still found. One finding is written per provider, day and cause: where the provider's own day is odd, actual and expected are the
provider's and the cause is the service and account with the largest excess; where only a service is odd, they are the service's.
Run alone: `costlake insights`, or `run(Settings.load(), as_of=None)`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from costlake.delta import Lake
from insights.detector import Rules, Verdict, judge
from insights.lakeside import open_marts, stored_run_id
from insights.series import DailySeries, Part, last_complete_date, parts_of_day, prepare_signal, provider_series, service_series
from insights.tables import ANOMALIES

if TYPE_CHECKING:
    import duckdb

    from costlake.settings import Settings

MODEL_VERSION = "weekday-median-1"
# A service's excess matters to finance from this part of its provider's day on.
MATERIAL_PART_OF_PROVIDER = 0.10
# Longer than the yardstick's eight weeks and a month's recurrence: older days cannot change a verdict.
WARM_UP_DAYS = 182
_SIX_PLACES = Decimal("0.000001")


@dataclass(frozen=True)
class Finding:
    """One row of `insights.anomalies` (see its TableSpec), before run id and as-of date are added."""

    series: DailySeries
    day: date
    expected: Decimal
    lower: Decimal
    upper: Decimal
    actual: Decimal
    score: Decimal
    cause: DailySeries | None
    cause_excess: Decimal | None
    cause_part: Part | None

    @property
    def excess(self) -> Decimal:
        """Actual minus expected cost."""
        return self.actual - self.expected

    @property
    def cause_share(self) -> Decimal | None:
        """The part of the excess that the cause explains; above 1 where others moved the other way."""
        if self.cause_excess is None or self.excess == 0:
            return None
        return (self.cause_excess / self.excess).quantize(_SIX_PLACES)


@dataclass(frozen=True)
class AnomalyResult:
    """What a run found (written now or before), and whether a new version was made; `as_of` is None before the first complete day."""

    run_id: str
    as_of: date | None
    findings: tuple[Finding, ...]
    written: bool
    messages: tuple[str, ...] = field(default=())


def run(settings: Settings, as_of: date | None = None, lookback_days: int = 90, rules: Rules | None = None) -> AnomalyResult:
    """Judge the `lookback_days` up to `as_of` and write what is odd; a second run on the same marts writes nothing.

    Args:
        settings: where the lake is.
        as_of: the last day judged; default is the last complete charge date in the marts, never the clock.
        lookback_days: how many days up to `as_of` are judged; the history before them is used as yardstick only.
        rules: thresholds; `min_excess` is in the billing currency of each series.

    Raises:
        LakeError: the marts are missing or hold no complete day.
    """
    lake = Lake(settings)
    used_rules = rules or Rules()
    with open_marts(lake) as con:
        prepare_signal(con)
        day = as_of or last_complete_date(con)
        if day is None:
            return AnomalyResult("", None, (), written=False)
        findings = find(con, day, lookback_days, used_rules)
    messages = tuple(message(finding) for finding in findings)
    found = [_row(day, finding, text) for finding, text in zip(findings, messages, strict=True)]
    run_id = _run_id(found, day, lookback_days, used_rules)
    rows = [{"run_id": run_id, **row} for row in found]
    written = stored_run_id(lake, ANOMALIES, day) != (run_id if rows else None) or not lake.exists("insights", "anomalies")
    if written:
        import pyarrow as pa

        lake.replace(ANOMALIES, pa.Table.from_pylist(rows, schema=ANOMALIES.schema), where={"as_of_date": day.isoformat()})
    return AnomalyResult(run_id, day, tuple(findings), written, messages)


def find(con: duckdb.DuckDBPyConnection, as_of: date, lookback_days: int, rules: Rules) -> list[Finding]:
    """All findings in the `lookback_days` up to `as_of`, in order of date; needs `prepare_signal` on the connection."""
    first_day = as_of - timedelta(days=lookback_days - 1)
    warm_up = first_day - timedelta(days=WARM_UP_DAYS)
    below = [series.between(warm_up, as_of) for series in service_series(con)]
    found: list[Finding] = []
    for provider in provider_series(con):
        known = provider.between(warm_up, as_of)
        children = [s for s in below if (s.provider_name, s.billing_currency) == (known.provider_name, known.billing_currency)]
        found.extend(_of_provider(con, known, children, first_day, rules))
    return sorted(found, key=lambda f: (f.day, f.series.provider_name, f.series.billing_currency, -abs(f.excess)))


def _of_provider(
    con: duckdb.DuckDBPyConnection, provider: DailySeries, children: list[DailySeries], first_day: date, rules: Rules
) -> Iterable[Finding]:
    material = [MATERIAL_PART_OF_PROVIDER * float(value or 0) for value in _usual_days(provider)]
    own = {v.index: v for v in judge(provider.values, rules)}
    by_child = [(child, {v.index: v for v in judge(child.values, rules, material)}) for child in _worth_judging(children, rules)]
    for index in sorted({*own, *(i for _, verdicts in by_child for i in verdicts)}):
        day = provider.start + timedelta(days=index)
        if day < first_day:
            continue
        odd_children = [(child, verdicts[index]) for child, verdicts in by_child if index in verdicts]
        odd_children.sort(key=lambda pair: -abs(pair[1].excess))
        if index in own:
            named = _provider_finding(con, provider, own[index], odd_children, children, day)
            yield named
            odd_children = [p for p in odd_children if p[0] is not named.cause]
        yield from (_child_finding(con, child, verdict, day) for child, verdict in odd_children)


def _usual_days(provider: DailySeries) -> list[Decimal | None]:
    """The provider's median day of the four weeks before each day: what 'a part of the provider's cost' is measured by."""
    usual: list[Decimal | None] = []
    for index in range(len(provider.values)):
        before = sorted(value for value in provider.values[max(0, index - 28) : index] if value is not None)
        usual.append(before[len(before) // 2] if before else None)
    return usual


def _worth_judging(children: list[DailySeries], rules: Rules) -> list[DailySeries]:
    # A series that never reached the least excess cannot have exceeded anything by it.
    return [child for child in children if max((value for value in child.values if value is not None), default=0) >= rules.min_excess]


def _provider_finding(
    con: duckdb.DuckDBPyConnection,
    provider: DailySeries,
    verdict: Verdict,
    odd_children: list[tuple[DailySeries, Verdict]],
    children: list[DailySeries],
    day: date,
) -> Finding:
    up = verdict.excess > 0
    candidates = [(child, _money(v.excess)) for child, v in odd_children if (v.excess > 0) == up]
    if not candidates:
        candidates = [(child, child_excess(child, day)) for child in children]
    cause, cause_excess = max(candidates, key=lambda pair: pair[1] if up else -pair[1])
    return _finding(con, provider, verdict, day, cause, cause_excess)


def _child_finding(con: duckdb.DuckDBPyConnection, child: DailySeries, verdict: Verdict, day: date) -> Finding:
    return _finding(con, child, verdict, day, child, _money(verdict.excess))


def _finding(
    con: duckdb.DuckDBPyConnection, series: DailySeries, verdict: Verdict, day: date, cause: DailySeries, cause_excess: Decimal
) -> Finding:
    parts = parts_of_day(con, cause, day)
    up = verdict.excess > 0
    part = max(parts, key=lambda p: p.excess if up else -p.excess) if parts else None
    return Finding(
        series=series,
        day=day,
        expected=_money(verdict.expected),
        lower=_money(verdict.lower),
        upper=_money(verdict.upper),
        actual=series.values[verdict.index] or Decimal(0),
        score=_money(verdict.score),
        cause=cause,
        cause_excess=cause_excess,
        cause_part=part,
    )


def child_excess(child: DailySeries, day: date) -> Decimal:
    """Cost of the day minus its median over the four weeks before."""
    index = (day - child.start).days
    before = sorted(value for value in child.values[max(0, index - 28) : index] if value is not None)
    usual = before[len(before) // 2] if before else Decimal(0)
    return (child.on(day) or Decimal(0)) - usual


def message(finding: Finding) -> str:
    """The finding as one or two sentences for finance people; amounts rounded to whole units of the currency."""
    series, cause = finding.series, finding.cause
    currency = series.billing_currency
    what = series.provider_name if series.service_name is None else f"{series.service_name} in {_account(series)} ({series.provider_name})"
    more = "more" if finding.excess > 0 else "less"
    text = (
        f"On {finding.day.isoformat()} {what} cost {_whole(finding.actual)} {currency}, {_whole(abs(finding.excess))} {more} than expected."
    )
    if cause is None:
        return text
    details = [f"model {finding.cause_part.model_id}"] if finding.cause_part and finding.cause_part.model_id else []
    details += [f"owner {finding.cause_part.owner}"] if finding.cause_part and finding.cause_part.owner else []
    inside = f" ({', '.join(details)})" if details else ""
    if series.service_name is not None:
        return text if not inside else f"{text} It lies with{inside.replace('(', '').replace(')', '')}."
    share = finding.cause_share
    portion = "All" if share is not None and share >= 1 else f"{int((share or Decimal(0)) * 100)} %"
    return f"{text} {portion} of it is {cause.service_name or 'a charge without a service'} in {_account(cause)}{inside}."


def _account(series: DailySeries) -> str:
    name = series.sub_account_name or series.sub_account_id
    return f"account {name}" if name else "no account"


def _whole(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal(1)):,}"


def _money(number: float) -> Decimal:
    return Decimal(repr(float(number))).quantize(_SIX_PLACES)


def _run_id(rows: list[dict[str, object]], as_of: date, lookback_days: int, rules: Rules) -> str:
    """Names the result: the same findings under the same rules give the same id, so that a second run has nothing to write."""
    parts = [MODEL_VERSION, str(lookback_days), repr(rules), *(repr(row) for row in rows)]
    return f"anomalies-{as_of.isoformat()}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:12]}"


def _row(as_of: date, finding: Finding, text: str) -> dict[str, object]:
    cause, part = finding.cause, finding.cause_part
    return {
        "as_of_date": as_of,
        "anomaly_date": finding.day,
        "provider_name": finding.series.provider_name,
        "billing_currency": finding.series.billing_currency,
        "expected_cost": finding.expected,
        "lower_bound": finding.lower,
        "upper_bound": finding.upper,
        "actual_cost": finding.actual,
        "excess_cost": finding.excess,
        "score": finding.score,
        "direction": "up" if finding.excess > 0 else "down",
        "cause_service_name": cause.service_name if cause else None,
        "cause_sub_account_id": cause.sub_account_id if cause else None,
        "cause_sub_account_name": cause.sub_account_name if cause else None,
        "cause_model_id": part.model_id if part else None,
        "cause_owner": part.owner if part else None,
        "cause_excess_cost": finding.cause_excess,
        "cause_share": finding.cause_share,
        "message": text,
    }
