"""When the plan may be complete, from the pace observed, and the pace that the target asks for.

Invariant: the same facts give the same forecast, and where too little was observed there is none.

How it is made. Observed are the services complete on the day asked about whose completion has a date of its own: the
step that last reached INTEGRATED, on a day or in a month, after corrections; "at the latest" and a whole year say nothing
of pace. They are counted week by week, counted back from the last day of `facts_through`, from the week of the first
such date on, weeks without any included; those of one month are spread evenly over its days. Then 4,000 runs go on from
there: each draws weeks from the observed ones, with replacement, until what remains is complete, for ten years at most.
In so many of 100 runs the plan is complete by a finish date; the share of runs in time is the chance to meet the target.
It supposes that the coming weeks are like those observed, and knows nothing of what could make them differ.
"""

import calendar
import math
import random
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

from services.common.dates import PartialDate
from services.status.domain import (
    Listed,
    Outcome,
    ProgrammeVersion,
    Scope,
    Stage,
    Survey,
    certain_of,
    count,
)

MINIMUM_DISTINCT_DATES = 6
"""Fewer dates make one lucky or idle week the whole picture: with 6, no single one is more than a sixth of it."""
MINIMUM_WEEKS = 8
"""Reports come by the month: two months are the least in which a pace can show, rather than how often one reports."""
OLDEST_DAYS = 13 * 7
"""A quarter without any report: the pace observed before says nothing of the one today."""
RUNS = 4_000
"""Other draws move a date by a week at most, rarely by two; more runs would be waited for by whoever looks first."""
MOST_WEEKS = 520
PERCENTS = (50, 85, 95)
_MOST_POINTS = 200
_WEEK = timedelta(days=7)
_MONTHS_A_WEEK = 12 * 7 / 365.25


class ForecastState(IntEnum):
    """Whether there is a forecast; the numbers are those of tiendo.status.v1.ForecastState."""

    AVAILABLE = 1
    TOO_LITTLE_HISTORY = 2
    REPORTS_TOO_OLD = 3
    COMPLETED = 4


@dataclass(frozen=True, slots=True)
class Basis:
    """What was observed, and what a forecast asks for at the least."""

    dated_completions: int
    distinct_dates: int
    weeks: int
    minimum_distinct_dates: int = MINIMUM_DISTINCT_DATES
    minimum_weeks: int = MINIMUM_WEEKS


@dataclass(frozen=True, slots=True)
class BandPoint:
    """How many may be complete at the end of a day: in 95, 50 and 5 of 100 runs at least so many."""

    day: date
    low: int
    middle: int
    high: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the plan may be complete; without one the finish dates and the band are empty and the chance is None.

    `finish_dates` are (per cent, date), the date None where too many runs do not finish within ten years.
    """

    state: ForecastState
    facts_through: PartialDate | None
    planned: int
    completed: int
    remaining: int
    needed_per_month: int | None
    actual_per_month: float | None
    finish_dates: tuple[tuple[int, PartialDate | None], ...]
    target_chance: float | None
    basis: Basis
    band: tuple[BandPoint, ...]
    programme: ProgrammeVersion


def forecast(survey: Survey, *, needed_from: date | None = None, seed: int = 227) -> Forecast:
    """Forecast the programme from what holds on the survey's day.

    What is needed per month counts from the end of `needed_from`; None: of the latest report, as of which figures are
    where nobody asks for a day.
    """
    counted, as_of = count(survey), survey.scope.as_of
    observed = survey.sum(_dated_completion)
    version, planned = counted.programme, counted.programme.planned
    completed, through = counted.total.completed, counted.facts_through
    remaining = max(planned - completed, 0)
    begin = min(through.last_day(), as_of) if through else as_of
    target = version.target.last_day() if version.target else None
    weeks = weekly(observed, begin)
    basis = Basis(observed.total(), len(observed), len(weeks))
    enough = basis.distinct_dates >= MINIMUM_DISTINCT_DATES and basis.weeks >= MINIMUM_WEEKS
    state = _state(remaining, (as_of - begin).days, enough=enough)
    runs = simulate(weeks, remaining, seed) if state is ForecastState.AVAILABLE else None
    return Forecast(
        state=state,
        facts_through=through,
        planned=planned,
        completed=completed,
        remaining=remaining,
        needed_per_month=needed_per_month(remaining, needed_from or begin, target) if target and remaining else None,
        actual_per_month=sum(weeks) / len(weeks) / _MONTHS_A_WEEK if enough else None,
        finish_dates=tuple((percent, _day_after(begin, runs.finished_in(percent))) for percent in PERCENTS)
        if runs
        else (),
        target_chance=runs.chance_within((target - begin).days // 7) if runs and target else None,
        basis=basis,
        band=tuple(
            BandPoint(begin + week * _WEEK, *(completed + number for number in band))
            for week, band in enumerate(runs.band, 1)
        )
        if runs
        else (),
        programme=version,
    )


def _dated_completion(scope: Scope, one: Listed) -> Iterator[PartialDate]:
    """Give the date of the step that made the service complete; one that is switched on again was complete before."""
    if one.reading.outcome is Outcome.COMPLETED:
        chain = one.history.chain_at(scope.known_at)
        certain = chain[: certain_of(chain, scope.as_of)]
        when = next(link.effective for link in reversed(certain) if link.step.stage is Stage.INTEGRATED)
        if not when.at_latest and when.date.month:
            yield when.date


def _state(remaining: int, days_since: int, *, enough: bool) -> ForecastState:
    if not remaining:
        return ForecastState.COMPLETED
    if not enough:
        return ForecastState.TOO_LITTLE_HISTORY
    return ForecastState.REPORTS_TOO_OLD if days_since > OLDEST_DAYS else ForecastState.AVAILABLE


def weekly(observed: Counter[PartialDate], end: date) -> tuple[int, ...]:
    """Count completions week by week, oldest first, from the week of the first date to the one that ends on `end`.

    Those of one month are spread evenly over its days up to `end`. What was told earlier than it is dated, as under a clock
    that went wrong, had happened by then: it counts on `end`.
    """
    if not observed:
        return ()
    first = min(end, *(when.first_day() for when in observed))
    weeks = [0] * ((end - first).days // 7 + 1)
    for when, number in observed.items():
        begins = min(when.first_day(), end)
        days = (min(when.last_day(), end) - begins).days + 1
        for place in range(number):
            day = begins + timedelta(days=(2 * place + 1) * days // (2 * number))
            weeks[-1 - (end - day).days // 7] += 1
    return tuple(weeks)


@dataclass(frozen=True, slots=True)
class Runs:
    """What the runs gave: the weeks each took, sorted, more than ten years for those that did not finish; and the band.

    The band holds, week by week, what at least 95, 50 and 5 of 100 runs had added.
    """

    finished: tuple[int, ...]
    band: tuple[tuple[int, int, int], ...]

    def finished_in(self, percent: int) -> int | None:
        """Give the weeks in which so many of 100 runs finish; None when that takes more than ten years."""
        weeks = _of_runs(self.finished, percent)
        return weeks if weeks <= MOST_WEEKS else None

    def chance_within(self, weeks: int) -> float:
        """Give the share of runs that finish within so many weeks."""
        return bisect_right(self.finished, min(weeks, MOST_WEEKS)) / len(self.finished)


@lru_cache(maxsize=32)
def simulate(weeks: Sequence[int], remaining: int, seed: int) -> Runs:
    """Draw weeks with replacement until `remaining` are added, 4,000 times; `weeks` hold at least one that adds some.

    Every run has its draws whatever the weeks hold, so that more in a week never makes any run later.
    """
    generator = random.Random(seed)  # noqa: S311 (a simulation, no secret)
    # A draw is two random bytes, over whose values the weeks are spread evenly, so that a run is a few calls of C.
    drawn = [weeks[value * len(weeks) >> 16] for value in range(1 << 16)].__getitem__
    # Nearly all runs end not much later than an even pace would, and only the others are worked out to their end.
    even = remaining * len(weeks) // sum(weeks)
    usual = min(even + 4 * math.isqrt(even) + 1, MOST_WEEKS)
    finished: list[int] = []
    added = array("I")
    for _ in range(RUNS):
        draws = memoryview(generator.randbytes(2 * MOST_WEEKS)).cast("H")
        path = list(accumulate(map(drawn, draws[:usual])))
        if path[-1] < remaining and usual < MOST_WEEKS:
            path = list(accumulate(map(drawn, draws)))
        finished.append(bisect_left(path, remaining) + 1)
        added.extend(path[:_MOST_POINTS])
        added.extend([remaining] * (_MOST_POINTS - len(path)))
    finished.sort()
    last = _of_runs(finished, 95)
    return Runs(
        tuple(finished),
        tuple(_band(added[week::_MOST_POINTS], remaining) for week in range(min(last, _MOST_POINTS))),
    )


def _of_runs(ordered: Sequence[int], percent: int) -> int:
    """Give the least value that is not exceeded in so many of 100 runs."""
    return ordered[-(-percent * len(ordered) // 100) - 1]


def _band(added: Iterable[int], remaining: int) -> tuple[int, int, int]:
    """Give what at least 95, 50 and 5 of 100 runs have added, `remaining` at the most."""
    numbers = Counter(added)
    band: list[int] = []
    above = 0
    for value in sorted(numbers, reverse=True):
        above += numbers[value]
        while len(band) < 3 and above * 100 >= RUNS * (5, 50, 95)[len(band)]:
            band.append(min(value, remaining))
    high, middle, low = band
    return low, middle, high


def _day_after(begin: date, weeks: int | None) -> PartialDate | None:
    return None if weeks is None else PartialDate.of_day(begin + weeks * _WEEK)


def needed_per_month(remaining: int, from_day: date, target_last_day: date) -> int | None:
    """Find how many services a month complete the plan in time, rounded up; None when no day follows `from_day`.

    Both days are counted to their end, and a started month counts by the share of its days, so from 30/09/2022 to
    31/12/2022 are exactly three months and 216 remaining ask for 72 a month, the figure the first programme's plan
    gives. The last month counts as a whole one: no pace asks for more than remains.
    Raises ValueError for a negative `remaining`.
    """
    if remaining < 0:
        raise ValueError(f"remaining must not be negative, not {remaining}")
    months = _months_to_end_of(target_last_day) - _months_to_end_of(from_day)
    if months <= 0:
        return None
    return math.ceil(remaining / max(months, Fraction(1)))


def _months_to_end_of(value: date) -> Fraction:
    days_in_month = calendar.monthrange(value.year, value.month)[1]
    return 12 * value.year + value.month - 1 + Fraction(value.day, days_in_month)
