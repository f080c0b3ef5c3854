"""What a day should have cost: values of one daily series → verdicts day by day, each from the days before it only.

Expected cost = robust level and trend of the eight weeks before × weekday factor, all of them medians, so that one odd day cannot move
the yardstick; days already found odd are left out of it. The band is the median absolute deviation of these weeks.
Statistics run in floats; money leaves this room as Decimal.
Run alone: `judge([Decimal(1)] * 60, Rules())`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

WEEK = 7
WINDOW_WEEKS = 8
MIN_HISTORY_DAYS = 7
TRIAL_DAYS = 14
# A change that lasts longer than this is the new normal: it has been reported, and the yardstick starts again from it.
SHIFT_DAYS = 3
MIN_DAYS_AFTER_SHIFT = 3
MAD_TO_SIGMA = 1.4826  # makes the median absolute deviation comparable to a standard deviation under a normal distribution
MONTH_LENGTHS = (28, 29, 30, 31)


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
    old_history: Floats


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
    import numpy as np

    # The model is statistical, not accounting: floats are enough to say that a day is odd.
    actuals = np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
    history = actuals.copy()
    excesses = np.zeros(len(actuals))
    found: list[Verdict] = []
    shift: _Shift | None = None
    level_start = 0
    for day in range(len(actuals)):
        if np.isnan(actuals[day]):
            continue
        if shift is not None and day - shift.start >= TRIAL_DAYS:
            shift = None
        expectation = expect(history, day, level_start)
        if expectation is None:
            continue
        excesses[day] = actuals[day] - expectation.level
        verdict = _verdict(day, float(actuals[day]), expectation, rules, material)
        if shift is not None and _fits(shift, day, float(actuals[day]), rules):
            history[shift.start : day] = np.nan
            level_start, shift, verdict = shift.old_level_start, None, None
        if verdict is None or _recurs_monthly(excesses, day):
            continue
        found.append(verdict)
        history[day] = np.nan
        run = _run_length(found)
        if run == SHIFT_DAYS:
            first = day - SHIFT_DAYS + 1
            shift = _Shift(first, level_start, history.copy())
            level_start = first
            history[first : day + 1] = actuals[first : day + 1]
    return found


def expect(history: Floats, day: int, start: int = 0) -> Expectation | None:
    """The expected cost of `day` from up to eight weeks before it; NaN days are left out. None where too little is known.

    Days before `start` belong to an older level: they give the shape of the week, not the height.
    """
    import numpy as np

    length = WINDOW_WEEKS * WEEK
    window = np.full(length, np.nan)
    recent = history[max(0, day - length) : day]
    window[length - len(recent) :] = recent
    needed = MIN_HISTORY_DAYS if start == 0 else MIN_DAYS_AFTER_SHIFT
    since = window.copy()
    since[: max(0, length - (day - start))] = np.nan
    if np.count_nonzero(~np.isnan(since)) < needed:
        return None
    weeks = window.reshape(WINDOW_WEEKS, WEEK)
    # The week in which the level changed has no shape of its own.
    changed_in = (length - (day - start)) // WEEK if 0 < start and day - start < length else -1
    shapely = np.delete(weeks, changed_in, axis=0) if changed_in >= 0 else weeks
    known_factors = _weekday_factors(shapely)
    factors = np.ones(WEEK) if known_factors is None else known_factors
    shape = np.tile(factors, WINDOW_WEEKS)
    flat = since / shape
    trend = _trend(flat)
    # The day after the window has the weekday of the window's first column.
    level = max(0.0, float(trend[length] * factors[0]))
    return Expectation(level, _spread(since, trend[:length] * shape, level), shaped=known_factors is not None)


def _spread(days: Floats, fitted: Floats, level: float) -> float:
    """Robust standard deviation of the day to come: a part of its level, as noise grows with cost, or absolute where the fit is near 0."""
    import numpy as np

    relative = level > 0 and bool((fitted[~np.isnan(days)] > 0).all())
    residuals = (days / fitted - 1) * level if relative else days - fitted
    count = np.count_nonzero(~np.isnan(residuals))
    # A fit of seven weekday factors, a level and a slope lies closer to its own days than to the next one.
    flattery = np.sqrt(count / max(count - WEEK - 2, 3))
    return float(MAD_TO_SIGMA * flattery * np.nanmedian(np.abs(residuals - np.nanmedian(residuals))))


def _weekday_factors(weeks: Floats) -> Floats | None:
    """Median of each weekday relative to its week's median, scaled to mean 1; None where fewer than two weeks tell.

    All 1 where a weekday is usually free of charge and so cannot scale anything.
    """
    import numpy as np

    complete = [week for week in weeks if np.count_nonzero(~np.isnan(week)) >= WEEK - 2]
    if len(complete) < 2:
        return None
    paid = [week / np.nanmedian(week) for week in complete if np.nanmedian(week) > 0]
    if len(paid) < 2 or np.isnan(paid).all(axis=0).any():
        return np.ones(WEEK)
    factors = np.nanmedian(np.array(paid), axis=0)
    return factors / factors.mean() if factors.min() > 0.05 else np.ones(WEEK)


def _trend(flat: Floats) -> Floats:
    """Level of each window day and of the day after it: line through weekly medians with the median of all pairwise slopes."""
    import numpy as np

    length = len(flat)
    weeks = flat.reshape(-1, WEEK)
    known = np.count_nonzero(~np.isnan(weeks), axis=1) >= 3
    days = np.arange(length + 1, dtype=np.float64)
    slope = 0.0
    if known.sum() >= 4:
        centres = (np.arange(len(weeks)) * WEEK + WEEK // 2)[known]
        heights = np.array([np.nanmedian(week) for week in weeks[known]])
        first, second = np.triu_indices(len(centres), k=1)
        slope = float(np.median((heights[second] - heights[first]) / (centres[second] - centres[first])))
    intercept = float(np.nanmedian(flat - slope * days[:length]))
    line: Floats = intercept + slope * days
    return line


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
    import numpy as np

    before = shift.old_history.copy()
    before[shift.start :] = np.nan
    expectation = expect(before, day, shift.old_level_start)
    return expectation is not None and _verdict(day, actual, expectation, rules, None) is None


def _recurs_monthly(excesses: Floats, day: int) -> bool:
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
