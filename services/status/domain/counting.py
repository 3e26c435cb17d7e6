"""How many services are complete on a day, as known at an instant.

Invariant: every place of the plan is in exactly one of completed, uncertain, in progress, suspended, withdrawn and not
reported, so these six sum to `planned`; stages and conditions each sum to `listed`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum, auto
from typing import NamedTuple

from services.common.dates import PartialDate
from services.common.text import sort_key
from services.status.domain.facts import EVERYTHING, Condition, Programme, ProgrammeVersion, ServiceVersion, Stage
from services.status.domain.history import BEGINNING, ServiceHistory, certain_of, latest_date


class Outcome(IntEnum):
    """The classes of counting; a service is in exactly one."""

    COMPLETED = auto()
    UNCERTAIN = auto()
    IN_PROGRESS = auto()
    SUSPENDED = auto()
    WITHDRAWN = auto()
    NOT_REPORTED = auto()


class Reading(NamedTuple):
    """What is known of a service on a day: its class, and its latest certain stage and condition."""

    outcome: Outcome
    stage: Stage
    condition: Condition


Wanted = Callable[[ServiceHistory, ServiceVersion, Reading], bool]
"""Which services a question is about, by what is known of each on the day."""


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


COMPLETED = (Stage.INTEGRATED, Condition.ACTIVE)
"""The state that counts as completed."""

_BY_CONDITION = {Condition.SUSPENDED: Outcome.SUSPENDED, Condition.WITHDRAWN: Outcome.WITHDRAWN}
_UNREPORTED = Reading(Outcome.NOT_REPORTED, *BEGINNING)


def _read(
    history: ServiceHistory, day: date, known_at: datetime, start: date | None
) -> tuple[Reading, PartialDate | None]:
    """Give the reading, and the latest date among the steps and checks that are certain on the day."""
    chain = history.chain_at(known_at)
    if not chain and not history.check_reports:
        return _UNREPORTED, None
    # Steps happen in order, so only a run of them right after the last certain one may have happened as well.
    possible = certain = certain_of(chain, day)
    while possible < len(chain) and chain[possible].effective.possible_from(start) <= day:
        possible += 1
    through = chain[certain - 1].through if certain else None
    checked = history.checked_through(day, known_at) if history.check_reports else None
    stage, condition = chain[certain - 1].state if certain else BEGINNING
    readings = {(stage, condition) == COMPLETED}
    readings.update(link.state == COMPLETED for link in chain[certain:possible])
    if readings == {True}:
        outcome = Outcome.COMPLETED
    elif len(readings) == 2:
        outcome = Outcome.UNCERTAIN
    elif condition in _BY_CONDITION:
        outcome = _BY_CONDITION[condition]
    elif certain or checked:
        outcome = Outcome.IN_PROGRESS
    else:
        outcome = Outcome.NOT_REPORTED
    return Reading(outcome, stage, condition), latest_date(through, checked)


def read(history: ServiceHistory, day: date, known_at: datetime, start: date | None) -> Reading:
    """Give what is known of a service on `day`, by what was recorded up to `known_at`.

    On the day the number of steps that have happened is at least that of the certain ones and at most that plus the
    possible ones right after. The service is completed when each of these readings is INTEGRATED and ACTIVE, uncertain
    when some are. `start` is the first day of the programme that asks: "at the latest" reaches back to it.
    """
    return _read(history, day, known_at, start)[0]


def _listed(
    programme_id: str,
    services: Iterable[ServiceHistory],
    as_of: date,
    known_at: datetime,
    start: date | None,
    wanted: Wanted | None = None,
) -> Iterator[tuple[ServiceHistory, ServiceVersion, Reading, PartialDate | None]]:
    for history in services:
        version = history.version_at(known_at)
        if version and version.counted_by(programme_id):
            reading, through = _read(history, as_of, known_at, start)
            if wanted is None or wanted(history, version, reading):
                yield history, version, reading, through


def listed(
    programme: Programme,
    services: Iterable[ServiceHistory],
    as_of: date,
    known_at: datetime = EVERYTHING,
    wanted: Wanted | None = None,
) -> Iterator[tuple[ServiceHistory, ServiceVersion, Reading]]:
    """Give the services that `count` counts, each as the catalog had it at `known_at` and with what is known of it.

    Raises Refusal like `count`, when the first one is asked for.
    """
    start = programme.as_known(known_at).first_day()
    for history, version, reading, _ in _listed(programme.id, services, as_of, known_at, start, wanted):
        yield history, version, reading


def tally(
    programme_id: str, services: Iterable[ServiceHistory], as_of: date, known_at: datetime, start: date | None
) -> Counter[Reading]:
    """Give how many of the services the programme counts have each reading."""
    return Counter(reading for _, _, reading, _ in _listed(programme_id, services, as_of, known_at, start))


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


def count(
    programme: Programme,
    services: Iterable[ServiceHistory],
    as_of: date,
    known_at: datetime = EVERYTHING,
    wanted: Wanted | None = None,
) -> Completion:
    """Count the programme's services on `as_of`, by what was recorded up to `known_at`.

    `services` may hold others than the programme's. The plan and who is in it are as known at `known_at` too; the
    catalog sees to it that a plan never has more members than places. Retired services count like any other. With
    `wanted` only those services are counted that it lets through, and they are what is planned.
    Raises Refusal PROGRAMME_NOT_FOUND when the programme was not known at `known_at`.
    """
    version = programme.as_known(known_at)
    readings: Counter[Reading] = Counter()
    through: PartialDate | None = None
    for _, _, reading, latest in _listed(programme.id, services, as_of, known_at, version.first_day(), wanted):
        readings[reading] += 1
        if latest is not None and latest != through:
            through = latest_date(through, latest)
    unfilled = 0 if wanted else version.planned - readings.total()
    return Completion(counts_of(readings, unfilled), through, version)


def _keys(by: GroupBy, version: ServiceVersion, reading: Reading, as_of: date) -> Iterable[str]:
    match by:
        case GroupBy.FIELD:
            return (version.field,)
        case GroupBy.AGENCY:
            return (version.agency_on(as_of),)
        case GroupBy.LEVEL:
            return dict.fromkeys(version.levels) or ("",)
        case GroupBy.STAGE:
            return (reading.stage.name,)


def count_groups(
    programme: Programme,
    services: Iterable[ServiceHistory],
    as_of: date,
    known_at: datetime = EVERYTHING,
    wanted: Wanted | None = None,
    *,
    by: GroupBy,
) -> tuple[Group, ...]:
    """Divide what `count` gives into groups that hold something: by the Vietnamese alphabet, stages in their order.

    What is not known comes last, the unfilled places of the plan with it. The groups sum to the total, but for levels,
    where a service is in as many groups as it has levels. Raises Refusal like `count`.
    """
    version = programme.as_known(known_at)
    entries = _listed(programme.id, services, as_of, known_at, version.first_day(), wanted)
    counted = ((service, reading) for _, service, reading, _ in entries)
    return divide(counted, as_of, by, planned=None if wanted else version.planned)


def divide(
    entries: Iterable[tuple[ServiceVersion, Reading]], as_of: date, by: GroupBy, *, planned: int | None
) -> tuple[Group, ...]:
    """Divide services that were listed as of a day, as `count_groups` does; `planned` is the plan they are all of."""
    groups: defaultdict[str, Counter[Reading]] = defaultdict(Counter)
    number = 0
    for service, reading in entries:
        number += 1
        for key in _keys(by, service, reading, as_of):
            groups[key][reading] += 1
    not_known = counts_of(groups.pop("", Counter()), 0 if planned is None else planned - number)
    ordered = sorted(groups, key=lambda key: (Stage[key] if by is GroupBy.STAGE else sort_key(key), key))
    known = [Group(key, not_known=False, counts=counts_of(groups[key])) for key in ordered]
    return (*known, Group("", not_known=True, counts=not_known)) if not_known.planned else tuple(known)
