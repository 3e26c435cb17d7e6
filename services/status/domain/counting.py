"""How many services are complete on a day, as known at an instant.

Invariant: every place of the plan is in exactly one of completed, uncertain, in progress, suspended, withdrawn and not
reported, so these six sum to `planned`; stages and conditions each sum to `listed`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from functools import reduce

from services.common.dates import PartialDate
from services.common.text import sort_key
from services.status.domain.facts import Condition, ProgrammeVersion, Stage
from services.status.domain.history import ServiceHistory, latest_date
from services.status.domain.reading import Outcome, Reading, read
from services.status.domain.survey import Listed, Parts, Scope, Survey


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of services; `blocked` is an of-which of `in_progress`, and the mappings hold every value in order."""

    planned: int
    listed: int
    completed: int
    uncertain: int
    in_progress: int
    blocked: int
    suspended: int
    withdrawn: int
    not_reported: int
    by_stage: Mapping[Stage, int]
    by_condition: Mapping[Condition, int]


@dataclass(frozen=True, slots=True)
class Completion:
    """The counts of a programme, the programme as known then, and the latest date among the facts counted."""

    total: Counts
    facts_through: PartialDate | None
    programme: ProgrammeVersion


class GroupBy(IntEnum):
    """How to divide a total; the numbers are those of tiendo.status.v1.GroupBy."""

    FIELD = 1
    AGENCY = 2
    LEVEL = 3
    STAGE = 4


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a total; the key is empty exactly where it is not known."""

    key: str
    not_known: bool
    counts: Counts


def tally(
    programme_id: str, services: Iterable[ServiceHistory], as_of: date, known_at: datetime, start: date | None
) -> Counter[Reading]:
    """Give how many of the services the programme counts have each reading."""
    total: Counter[Reading] = Counter()
    for history in services:
        version = history.version_at(known_at)
        if version and version.counted_by(programme_id):
            total[read(history, as_of, known_at, start)] += 1
    return total


def counts_of(readings: Counter[Reading], unfilled: int = 0) -> Counts:
    """Add the readings up; places of the plan that no service fills count as not reported.

    A plan never has fewer places than members, so `unfilled` below 0 means a row of the catalog could not be read; the
    members are then taken for the plan, for no count is ever negative.
    """
    unfilled = max(unfilled, 0)
    outcomes = dict.fromkeys(Outcome, 0)
    stages = dict.fromkeys(Stage, 0)
    conditions = dict.fromkeys(Condition, 0)
    blocked = 0
    for (outcome, stage, condition), number in readings.items():
        outcomes[outcome] += number
        stages[stage] += number
        conditions[condition] += number
        if outcome is Outcome.IN_PROGRESS and condition is Condition.BLOCKED:
            blocked += number
    listed = readings.total()
    return Counts(
        planned=listed + unfilled,
        listed=listed,
        completed=outcomes[Outcome.COMPLETED],
        uncertain=outcomes[Outcome.UNCERTAIN],
        in_progress=outcomes[Outcome.IN_PROGRESS],
        blocked=blocked,
        suspended=outcomes[Outcome.SUSPENDED],
        withdrawn=outcomes[Outcome.WITHDRAWN],
        not_reported=outcomes[Outcome.NOT_REPORTED] + unfilled,
        by_stage=stages,
        by_condition=conditions,
    )


def readings(_: Scope, one: Listed) -> Iterable[Reading]:
    """Give what is known of a service, to be added up."""
    return (one.reading,)


def _latest(_: Scope, one: Listed) -> Iterable[PartialDate]:
    return (one.through,) if one.through else ()


def count(survey: Survey) -> Completion:
    """Count the services that a survey lists; of a narrowed one they are what is planned.

    The catalog sees to it that a plan never has more members than places. Retired services count like any other.
    """
    known = survey.sum(readings)
    unfilled = 0 if survey.narrowed else survey.programme.planned - known.total()
    return Completion(counts_of(known, unfilled), reduce(latest_date, survey.sum(_latest), None), survey.programme)


def _fields(_: Scope, one: Listed) -> Iterable[tuple[str, Reading]]:
    return ((one.version.field, one.reading),)


def _agencies(scope: Scope, one: Listed) -> Iterable[tuple[str, Reading]]:
    return ((one.version.agency_on(scope.as_of), one.reading),)


def _levels(_: Scope, one: Listed) -> Iterable[tuple[str, Reading]]:
    return [(level, one.reading) for level in dict.fromkeys(one.version.levels) or ("",)]


def _stages(_: Scope, one: Listed) -> Iterable[tuple[str, Reading]]:
    return ((one.reading.stage.name, one.reading),)


_KEYS: Mapping[GroupBy, Parts[tuple[str, Reading]]] = {
    GroupBy.FIELD: _fields,
    GroupBy.AGENCY: _agencies,
    GroupBy.LEVEL: _levels,
    GroupBy.STAGE: _stages,
}


def keys_of(survey: Survey, by: GroupBy) -> set[str]:
    """Give the keys by which `count_groups` divides, the empty one where a service has none."""
    return {key for key, _ in survey.sum(_KEYS[by])}


def count_groups(survey: Survey, by: GroupBy) -> tuple[Group, ...]:
    """Divide what `count` gives into groups that hold something: by the Vietnamese alphabet, stages in their order.

    What is not known comes last, the unfilled places of the plan with it. The groups sum to the total, but for levels,
    where a service is in as many groups as it has levels.
    """
    groups: defaultdict[str, Counter[Reading]] = defaultdict(Counter)
    for (key, reading), number in survey.sum(_KEYS[by]).items():
        groups[key][reading] += number
    unfilled = 0 if survey.narrowed else survey.programme.planned - survey.sum(readings).total()
    not_known = counts_of(groups.pop("", Counter()), unfilled)
    ordered = sorted(groups, key=lambda key: (Stage[key] if by is GroupBy.STAGE else sort_key(key), key))
    known = [Group(key, not_known=False, counts=counts_of(groups[key])) for key in ordered]
    return (*known, Group("", not_known=True, counts=not_known)) if not_known.planned else tuple(known)
