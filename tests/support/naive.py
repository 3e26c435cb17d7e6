"""Counting as one would do it by hand: every row of both journals is read again for every question, by the rules in plain words.

Invariant: nothing of the services' own rules is used here; what comes in are the events of the contracts, what goes out numbers.
"""

import calendar
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.catalog.v1 import service_pb2
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import events_pb2 as integration_events_pb2
from tiendo.integration.v1 import integration_pb2, transition_pb2

STAGES = range(1, 8)
CONDITIONS = range(1, 5)
SELECTED, LIVE, INTEGRATED = 1, 6, 7
ACTIVE, BLOCKED, SUSPENDED, WITHDRAWN = CONDITIONS
_ADVANCED, _REVERTED, _CORRECTED = 1, 2, 9
# What each kind of step needs and gives: blocked and unblocked, suspended and resumed, withdrawn and reinstated.
_CONDITION_CHANGES = {
    3: (ACTIVE, BLOCKED),
    4: (BLOCKED, ACTIVE),
    5: (ACTIVE, SUSPENDED),
    6: (SUSPENDED, ACTIVE),
    7: (ACTIVE, WITHDRAWN),
    8: (WITHDRAWN, ACTIVE),
}

Count = dict[str, int]
Catalog = Sequence[catalog_events_pb2.CatalogEvent]
Integrations = Sequence[integration_events_pb2.IntegrationEvent]


def first_day(when: date_pb2.PartialDate) -> date:
    """The first day of a year, month or day."""
    return date(when.year, when.month or 1, when.day or 1)


def last_day(when: date_pb2.PartialDate) -> date:
    """The last day of a year, month or day."""
    month = when.month or 12
    return date(when.year, month, when.day or calendar.monthrange(when.year, month)[1])


def recorded(row: Any) -> datetime:
    """When a row of a journal was recorded."""
    instant: datetime = row.recorded_time.ToDatetime(tzinfo=UTC)
    return instant


def what_of(event: Any) -> Any:
    """The part of an event that tells what happened."""
    return getattr(event, event.WhichOneof("event"))


def transitions_of(events: Iterable[Any], service: str) -> list[transition_pb2.Transition]:
    """The entries of a service's history, as its events tell them; `service` is its name."""
    return [
        what_of(event).transition
        for event in events
        if event.integration.service == service and hasattr(what_of(event), "transition")
    ]


@dataclass(frozen=True)
class Claim:
    """A step that nobody annulled, the date that holds for it and the instant at which that date was told."""

    step: transition_pb2.Transition
    when: date_pb2.EffectiveDate
    told: datetime

    def surely_on(self, day: date) -> bool:
        """Whether it had happened by the day for certain: its period is over, or it was told by then."""
        in_vietnam = (self.told + timedelta(hours=7)).date()
        return last_day(self.when.date) <= day or in_vietnam <= day

    def maybe_on(self, day: date, start: date) -> bool:
        """Whether it can have happened by the day; "at the latest" reaches back to the programme's start."""
        return first_day(self.when.date) <= day or (self.when.at_latest and start <= day)


def claims(history: Iterable[transition_pb2.Transition], known_at: datetime) -> list[Claim]:
    """The steps that stood at an instant, in the order recorded."""
    known = [entry for entry in history if recorded(entry) <= known_at]
    standing = []
    for step in known:
        about = [entry for entry in known if entry.correction.transition == step.number]
        if step.kind == _CORRECTED or any(entry.correction.annul for entry in about):
            continue
        latest = [step, *about][-1]
        standing.append(Claim(step, latest.effective_date, recorded(latest)))
    return standing


def state_after(steps: Iterable[transition_pb2.Transition]) -> tuple[int, int]:
    """Stage and condition once these steps have happened. AssertionError where one could not follow those before it."""
    stage, condition = SELECTED, ACTIVE
    for step in steps:
        if step.kind in _CONDITION_CHANGES:
            needed, given = _CONDITION_CHANGES[step.kind]
            assert condition == needed
            assert not (given == BLOCKED and stage == INTEGRATED)
            assert not (given == SUSPENDED and stage < LIVE)
            condition = given
        else:
            assert condition == ACTIVE
            assert (step.to_stage > stage) if step.kind == _ADVANCED else (step.to_stage < stage)
            stage = step.to_stage
    return stage, condition


def assert_in_order(told: Sequence[Claim]) -> None:
    """The last days never go back."""
    days = [last_day(claim.when.date) for claim in told]

    assert days == sorted(days)


def readings(told: Sequence[Claim], day: date, start: date) -> set[int]:
    """How many of the steps may have happened by the day.

    Steps happen in order. So the first `number` of them, and no more, is a reading of the dates when none of the others
    is sure, and when each of the first can have happened or is made sure by one after it.
    """
    return {
        number
        for number in range(len(told) + 1)
        if not any(claim.surely_on(day) for claim in told[number:])
        and all(
            claim.maybe_on(day, start) or any(later.surely_on(day) for later in told[position:])
            for position, claim in enumerate(told[:number])
        )
    }


def checks_known(events: Integrations, service: str, day: date, known_at: datetime) -> list[date_pb2.PartialDate]:
    """The dates of the connection checks that surely say something on the day; UNKNOWN takes earlier reports back."""
    says: dict[int, date_pb2.PartialDate] = {}
    for event in events:
        if event.WhichOneof("event") != "connection_check_set" or event.integration.service != service:
            continue
        check = event.connection_check_set.check
        if recorded(event) > known_at:
            continue
        if check.state == integration_pb2.CHECK_STATE_UNKNOWN:
            says.pop(check.check, None)
        elif last_day(check.date.date) <= day or (recorded(event) + timedelta(hours=7)).date() <= day:
            says[check.check] = check.date.date
    return list(says.values())


def classify(
    events: Integrations, service: str, day: date, known_at: datetime, start: date
) -> tuple[str, int, int, list[date_pb2.PartialDate]]:
    """The one class of a service, its latest certain stage and condition, and the dates of certain steps and checks."""
    checked = checks_known(events, service, day, known_at)
    told = claims(transitions_of(events, service), known_at)
    possible = readings(told, day, start)
    steps = [claim.step for claim in told]
    stage, condition = state_after(steps[: min(possible)])
    done = {state_after(steps[:number]) == (INTEGRATED, ACTIVE) for number in possible}
    if done == {True}:
        line = "completed"
    elif done == {True, False}:
        line = "uncertain"
    elif condition == SUSPENDED:
        line = "suspended"
    elif condition == WITHDRAWN:
        line = "withdrawn"
    elif min(possible) or checked:
        line = "in_progress"
    else:
        line = "not_reported"
    return line, stage, condition, [claim.when.date for claim in told[: min(possible)]] + checked


def empty_count() -> Count:
    """All zeros."""
    lines = ("planned", "listed", "completed", "uncertain", "in_progress", "blocked")
    rest = ("suspended", "withdrawn", "not_reported")
    return dict.fromkeys(
        [*lines, *rest, *(f"stage {stage}" for stage in STAGES), *(f"condition {one}" for one in CONDITIONS)], 0
    )


def keys(by: int, service: service_pb2.Service, stage: int, day: date) -> list[str]:
    """The groups a service is in; `by` as in the contract: 1 field, 2 agency, 3 level, 4 stage."""
    if by == 1:
        return [service.field]
    if by == 2:
        owners = [
            (first_day(owner.valid_from) if owner.valid_from.year else date.min, owner.agency)
            for owner in service.agencies
            if (not owner.valid_from.year or first_day(owner.valid_from) <= day)
            and (not owner.valid_to.year or day <= last_day(owner.valid_to))
        ]
        return [max(owners)[1] if owners else ""]
    if by == 3:
        return sorted(set(service.levels)) or [""]
    return [integration_pb2.Stage.Name(stage).removeprefix("STAGE_")]  # type: ignore[arg-type]


@dataclass(frozen=True)
class Answer:
    """What GetCompletion has to say."""

    total: Count
    facts_through: tuple[int, int, int]
    groups: dict[str, Count]


def count(
    catalog: Catalog, integrations: Integrations, programme: str, as_of: date, known_at: datetime, by: int = 0
) -> Answer | None:
    """Count a programme, `programmes/bca-2022`; None where nobody knew of it at that instant."""
    plan, services = None, {}
    for event in catalog:
        if recorded(event) > known_at:
            continue
        what = what_of(event)
        if not hasattr(what, "service"):
            plan = what.programme if what.programme.name == programme else plan
        else:
            services[what.service.name] = what.service
    if plan is None:
        return None
    start = first_day(plan.start_date) if plan.start_date.year else date.min
    members = [one for one in services.values() if programme in [place.programme for place in one.memberships]]
    total, groups = empty_count(), dict[str, Count]()
    dates: list[date_pb2.PartialDate] = []
    for service in members:
        line, stage, condition, told = classify(integrations, service.name, as_of, known_at, start)
        dates += told
        parts = [groups.setdefault(key, empty_count()) for key in keys(by, service, stage, as_of)] if by else []
        for part in (total, *parts):
            for name in ("planned", "listed", line, f"stage {stage}", f"condition {condition}"):
                part[name] += 1
            part["blocked"] += line == "in_progress" and condition == BLOCKED
    free = plan.planned_count - len(members)
    for part in [total, *([groups.setdefault("", empty_count())] if by and free else [])]:
        part["planned"] += free
        part["not_reported"] += free
    latest = max(dates, key=lambda one: (last_day(one), one.month, one.day), default=date_pb2.PartialDate())
    return Answer(total, (latest.year, latest.month, latest.day), groups)


def read_count(counts: Any) -> Count:
    """The same from a reply's Counts."""
    names = [name for name in empty_count() if " " not in name]
    found = {name: getattr(counts, name) for name in names}
    found |= {f"stage {one.stage}": one.count for one in counts.by_stage}
    return found | {f"condition {one.condition}": one.count for one in counts.by_condition}


def read_answer(reply: Any) -> Answer:
    """The same from a reply."""
    through = reply.facts_through
    groups = {group.key: read_count(group.counts) for group in reply.groups}
    return Answer(read_count(reply.total), (through.year, through.month, through.day), groups)
