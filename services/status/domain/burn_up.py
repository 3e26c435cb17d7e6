"""How completion grew, day by day, up to the latest report.

Invariant: each point is what `count` gives for its day, and none lies after the last day of `facts_through`.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum

from services.common.dates import PartialDate
from services.common.errors import Reason, Refusal
from services.status.domain.counting import count
from services.status.domain.facts import ProgrammeVersion
from services.status.domain.reading import COMPLETED, Outcome, read
from services.status.domain.survey import Listed, Scope, Survey

MOST_POINTS = 4000
_DAY = timedelta(days=1)


class Interval(IntEnum):
    """How far apart points are: daily, every Sunday, every month's last day; the numbers are the contract's."""

    DAY = 1
    WEEK = 2
    MONTH = 3


@dataclass(frozen=True, slots=True)
class Point:
    """Numbers of services at the end of a day: completed on every reading of the dates, and on one but not another."""

    day: date
    completed: int
    uncertain: int


@dataclass(frozen=True, slots=True)
class BurnUp:
    """The points in order, the latest date among the facts counted (none: no points), and the programme as known then."""

    points: tuple[Point, ...]
    facts_through: PartialDate | None
    programme: ProgrammeVersion


def burn_up(survey: Survey, *, interval: Interval) -> BurnUp:
    """Give the completion at each interval's end, from the programme's first day to the latest report's last.

    Where the programme has no first day it begins where a service may first have been complete; a report of before the
    first day is the only point. Raises Refusal TOO_MANY for more than 4,000 points.
    """
    scope, through = survey.scope, count(survey).facts_through
    if through is None:
        return BurnUp((), None, survey.programme)
    changes: defaultdict[date, list[int]] = defaultdict(lambda: [0, 0])
    for (day, completed, uncertain), number in survey.sum(_changes).items():
        changes[day][0] += completed * number
        changes[day][1] += uncertain * number
    end = min(through.last_day(), scope.as_of)
    begin = min(scope.start or _first(changes, end), end)
    return BurnUp(tuple(_points(changes, _ends(begin, end, interval))), through, survey.programme)


def _changes(scope: Scope, one: Listed) -> Iterator[tuple[date, int, int]]:
    """Give on which days the service is one more, or one less, completed and uncertain."""
    history, known_at, start = one.history, scope.known_at, scope.start
    if not history.entries:
        return
    chain = history.chain_at(known_at)
    reached = next((index for index, link in enumerate(chain) if link.state == COMPLETED), None)
    if reached is None:
        return
    if reached == len(chain) - 1:
        # Nothing follows its completion, as for nearly every service: it is uncertain once no step stands in the way any
        # more, and completed from the day its last step is certain.
        certain, uncertain, possible = chain[-1].certain, date.max, date.min
        for index in range(reached, -1, -1):
            possible = max(possible, chain[index].effective.possible_from(start))
            since = chain[index - 1].certain if index else date.min
            uncertain = min(uncertain, max(possible, since))
        yield certain, 1, -1 if uncertain < certain else 0
        if uncertain < certain:
            yield uncertain, 0, 1
        return
    days = {day for link in chain for day in (link.certain, link.effective.possible_from(start))}
    before = (0, 0)
    for day in sorted(days):
        outcome = read(history, day, known_at, start).outcome
        now = (int(outcome is Outcome.COMPLETED), int(outcome is Outcome.UNCERTAIN))
        if now != before:
            yield day, now[0] - before[0], now[1] - before[1]
            before = now


def _first(changes: defaultdict[date, list[int]], end: date) -> date:
    """Give the first day on which a service may be complete; what may always have been says nothing of a beginning."""
    return min((day for day in changes if day > date.min), default=end)


def _ends(begin: date, end: date, interval: Interval) -> Iterator[date]:
    """Give the last day of each interval from the one of `begin`, the last of them cut off at `end`."""
    number = _number(begin, end, interval)
    if number > MOST_POINTS:
        raise Refusal(
            Reason.TOO_MANY,
            f"{interval.name} gives {number:,} points, and a reply holds {MOST_POINTS:,}; ask for longer intervals",
            field="interval",
            metadata={"limit": str(MOST_POINTS), "count": str(number)},
        )
    last = min(_last_of(begin, interval), end)
    yield last
    while last < end:
        last = min(_last_of(last + _DAY, interval), end)
        yield last


def _number(begin: date, end: date, interval: Interval) -> int:
    match interval:
        case Interval.DAY:
            return (end - begin).days + 1
        case Interval.WEEK:
            return (end - begin).days // 7 + 1
        case Interval.MONTH:
            return 12 * (end.year - begin.year) + end.month - begin.month + 1


def _last_of(day: date, interval: Interval) -> date:
    match interval:
        case Interval.DAY:
            return day
        case Interval.WEEK:
            return date.fromordinal(min(day.toordinal() + 6 - day.weekday(), date.max.toordinal()))
        case Interval.MONTH:
            return PartialDate(day.year, day.month).last_day()


def _points(changes: defaultdict[date, list[int]], ends: Iterator[date]) -> Iterator[Point]:
    days = sorted(changes)
    at = completed = uncertain = 0
    for end in ends:
        while at < len(days) and days[at] <= end:
            more_completed, more_uncertain = changes[days[at]]
            completed += more_completed
            uncertain += more_uncertain
            at += 1
        yield Point(end, completed, uncertain)
