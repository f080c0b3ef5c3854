"""What a day should have cost: values of one daily series → verdicts day by day, each from the days before it only.

Expected cost = robust level and trend of the eight weeks before × weekday factor, all of them medians, so that one odd day cannot move
the yardstick; days already found odd are left out of it. The band is the median absolute deviation of these weeks.
Statistics run in floats; money leaves this room as Decimal.
Run alone: `judge([Decimal(1)] * 60, Rules())`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

# Plain lists: a window has 56 days, and on so few sorted() is ten times faster than numpy's NaN-aware median.
Days = list[float | None]

WEEK = 7
WINDOW_DAYS = 8 * WEEK
MIN_HISTORY_DAYS = 7
TRIAL_DAYS = 14
# A change that lasts longer than this is the new normal: it has been reported, and the yardstick starts again from it.
SHIFT_DAYS = 3
MIN_DAYS_AFTER_SHIFT = 3
MAD_TO_SIGMA = 1.4826  # makes the median absolute deviation comparable to a standard deviation under a normal distribution
MONTH_LENGTHS = (28, 29, 30, 31)
FLAT_WEEK = (1.0,) * WEEK


@dataclass(frozen=True)
class Rules:
    """When a day is odd. All conditions must hold.

    Attributes:
        score: distance from the expected cost in robust standard deviations.
        min_relative_excess: distance as a part of the expected cost.
        min_relative_excess_unshaped: the same while fewer than two weeks are known and a weekend can't be told from a drop.
        min_excess: distance in the billing currency.
        noise_floor: the least standard deviation assumed, as a part of the expected cost (very regular series are never that exact).
    """

    score: float = 6.0
    min_relative_excess: float = 0.25
    min_relative_excess_unshaped: float = 0.60
    min_excess: Decimal = Decimal(25)
    noise_floor: float = 0.05


@dataclass(frozen=True)
class Expectation:
    """What a day should cost, the robust standard deviation around it, and whether the shape of the week is known."""

    level: float
    sigma: float
    shaped: bool


@dataclass(frozen=True)
class Verdict:
    """An odd day: its index in the series, the expected cost and band, and how many robust standard deviations it is off."""

    index: int
    actual: float
    expected: float
    lower: float
    upper: float
    score: float

    @property
    def excess(self) -> float:
        """Actual minus expected; negative for a drop."""
        return self.actual - self.expected


@dataclass
class _Shift:
    """A run of odd days in one direction that became the new level; kept with the old yardstick for two weeks of trial."""

    start: int
    old_level_start: int
    old_history: Days


def judge(values: Sequence[Decimal | None], rules: Rules, material: Sequence[float] | None = None) -> list[Verdict]:
    """Find the odd days of a series.

    Args:
        values: cost per day; None where unknown.
        rules: thresholds.
        material: a further least excess per day (a part of the provider's cost), so that small services do not cry wolf.

    Returns:
        Verdicts in order of time. A lasting change is reported on its first three days, then taken as the new level; a return
        to the old level within two weeks is no anomaly. A charge that recurs on the same day of the month is none either.
    """
    # The model is statistical, not accounting: floats are enough to say that a day is odd.
    actuals: Days = [None if value is None else float(value) for value in values]
    history: Days = list(actuals)
    excesses = [0.0] * len(actuals)
    found: list[Verdict] = []
    shift: _Shift | None = None
    level_start = 0
    for day, actual in enumerate(actuals):
        if shift is not None and day - shift.start >= TRIAL_DAYS:
            shift = None
        expectation = None if actual is None else expect(history, day, level_start)
        if actual is None or expectation is None:
            continue
        excesses[day] = actual - expectation.level
        verdict = _verdict(day, actual, expectation, rules, material)
        if shift is not None and _fits(shift, day, actual, rules):
            history[shift.start : day] = _unknown(day - shift.start)
            level_start, shift, verdict = shift.old_level_start, None, None
        if verdict is None or _recurs_monthly(excesses, day):
            continue
        found.append(verdict)
        history[day] = None
        if _run_length(found) == SHIFT_DAYS:
            first = day - SHIFT_DAYS + 1
            shift = _Shift(first, level_start, list(history))
            level_start = first
            history[first : day + 1] = actuals[first : day + 1]
    return found


def expect(history: Days, day: int, start: int = 0) -> Expectation | None:
    """The expected cost of `day` from up to eight weeks before it; None days are left out. None where too little is known.

    Days before `start` belong to an older level: they give the shape of the week, not the height.
    """
    first = max(0, day - WINDOW_DAYS)
    window: Days = [*_unknown(WINDOW_DAYS - (day - first)), *history[first:day]]
    # Position 0 of the window has the weekday of `day`; positions before `level` are of the older level.
    level = max(0, WINDOW_DAYS - (day - start))
    since: Days = [*_unknown(level), *window[level:]]
    if _known(since) < (MIN_HISTORY_DAYS if start == 0 else MIN_DAYS_AFTER_SHIFT):
        return None
    weeks = [window[at : at + WEEK] for at in range(0, WINDOW_DAYS, WEEK)]
    if start and level:
        # The week in which the level changed has no shape of its own.
        del weeks[min(level // WEEK, len(weeks) - 1)]
    factors = _weekday_factors(weeks)
    shape = factors or FLAT_WEEK
    intercept, slope = _trend([None if cost is None else cost / shape[at % WEEK] for at, cost in enumerate(since)])
    expected = max(0.0, (intercept + slope * WINDOW_DAYS) * shape[0])
    fitted = [(intercept + slope * at) * shape[at % WEEK] for at in range(WINDOW_DAYS)]
    return Expectation(expected, _spread(since, fitted, expected), shaped=factors is not None)


def _unknown(count: int) -> Days:
    return [None] * count


def _known(days: Days) -> int:
    return sum(day is not None for day in days)


def _median(numbers: Sequence[float]) -> float:
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _spread(days: Days, fitted: Sequence[float], level: float) -> float:
    """Robust standard deviation of the day to come: a part of its level, as noise grows with cost, or absolute where the fit is near 0."""
    pairs = [(cost, fit) for cost, fit in zip(days, fitted, strict=True) if cost is not None]
    relative = level > 0 and all(fit > 0 for _, fit in pairs)
    residuals = [(cost / fit - 1) * level if relative else cost - fit for cost, fit in pairs]
    centre = _median(residuals)
    # A fit of seven weekday factors, a level and a slope lies closer to its own days than to the next one.
    flattery = math.sqrt(len(pairs) / max(len(pairs) - WEEK - 2, 3))
    return MAD_TO_SIGMA * flattery * _median([abs(residual - centre) for residual in residuals])


def _weekday_factors(weeks: Sequence[Days]) -> Sequence[float] | None:
    """Median of each weekday relative to its week's median, scaled to mean 1; None where fewer than two weeks tell.

    All 1 where a weekday is usually free of charge and so cannot scale anything.
    """
    complete = [week for week in weeks if _known(week) >= WEEK - 2]
    if len(complete) < 2:
        return None
    ratios: list[list[float]] = [[] for _ in range(WEEK)]
    for week in complete:
        middle = _median([cost for cost in week if cost is not None])
        for weekday, cost in enumerate(week):
            if cost is not None and middle > 0:
                ratios[weekday].append(cost / middle)
    if not all(ratios):
        return FLAT_WEEK
    factors = [_median(found) for found in ratios]
    mean = sum(factors) / WEEK
    return [factor / mean for factor in factors] if min(factors) > 0.05 else FLAT_WEEK


def _trend(flat: Days) -> tuple[float, float]:
    """Intercept and slope per day of a robust line: the median of all slopes between weekly medians, through the median day."""
    heights = []
    for at in range(0, len(flat), WEEK):
        week = [cost for cost in flat[at : at + WEEK] if cost is not None]
        if len(week) >= 3:
            heights.append((at + WEEK // 2, _median(week)))
    slopes = [(later - earlier) / (late - early) for index, (early, earlier) in enumerate(heights) for late, later in heights[index + 1 :]]
    slope = _median(slopes) if len(heights) >= 4 else 0.0
    return _median([cost - slope * at for at, cost in enumerate(flat) if cost is not None]), slope


def _verdict(day: int, actual: float, expectation: Expectation, rules: Rules, material: Sequence[float] | None) -> Verdict | None:
    sigma = max(expectation.sigma, rules.noise_floor * expectation.level, float(rules.min_excess) / rules.score)
    excess = actual - expectation.level
    part = rules.min_relative_excess if expectation.shaped else rules.min_relative_excess_unshaped
    least = max(float(rules.min_excess), part * expectation.level, material[day] if material else 0.0)
    score = excess / sigma
    if abs(score) < rules.score or abs(excess) < least:
        return None
    width = rules.score * sigma
    return Verdict(day, actual, expectation.level, max(0.0, expectation.level - width), expectation.level + width, score)


def _fits(shift: _Shift, day: int, actual: float, rules: Rules) -> bool:
    """Whether the day is back at the level before a shift."""
    before: Days = [*shift.old_history[: shift.start], *_unknown(day - shift.start)]
    expectation = expect(before, day, shift.old_level_start)
    return expectation is not None and _verdict(day, actual, expectation, rules, None) is None


def _recurs_monthly(excesses: Sequence[float], day: int) -> bool:
    """Whether the same excess (within a half) came on the same day a month ago, counted from either end of the month."""
    return any(
        day >= length and excesses[day - length] * excesses[day] > 0 and 0.5 <= excesses[day] / excesses[day - length] <= 2.0
        for length in MONTH_LENGTHS
    )


def _run_length(found: list[Verdict]) -> int:
    """How many of the last verdicts are consecutive days in the same direction."""
    run = 1
    while run < len(found) and found[-run - 1].index == found[-run].index - 1 and found[-run - 1].excess * found[-1].excess > 0:
        run += 1
    return run
