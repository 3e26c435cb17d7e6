"""What holds a programme up: which services want attention, why, since when, and the command that mends it.

Invariant: an item follows from a report. A service of which nothing but its selection is known is never one, nor is one
that left the plan or whose procedure was abolished.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import IntEnum
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from services.common.dates import VIETNAM, EffectiveDate, PartialDate, vietnam_day
from services.status.domain.counting import count
from services.status.domain.facts import EVERYTHING, Condition, ProgrammeVersion, Stage, StepKind
from services.status.domain.history import BEGINNING, Link, ServiceHistory, certain_of
from services.status.domain.reading import Outcome, Reading
from services.status.domain.survey import Listed, Scope, Survey


class AttentionKind(IntEnum):
    """Why a service wants attention; the numbers are those of tiendo.status.v1.AttentionKind."""

    BLOCKED = 1
    SUSPENDED = 2
    REVERTED = 3
    CHECK_FAILED = 4
    UNREACHABLE = 5
    OVERDUE = 6
    STALLED = 7


class Item(NamedTuple):
    """One service and one reason.

    `days` are whole ones from the last day of `since` to the day asked about; `actor` is empty for what follows from
    the calendar, `allowed_days` 0 but for STALLED. `command` holds `…` where a person fills something in.
    """

    kind: AttentionKind
    service: str
    alias: str
    display_name: str
    plan_number: int
    stage: Stage
    condition: Condition
    since: EffectiveDate | None
    days: int
    reason: str
    actor: str
    agency: str
    check: str = ""
    portal: str = ""
    detail: str = ""
    allowed_days: int = 0
    command: str = ""


@dataclass(frozen=True, slots=True)
class TargetPassed:
    """The target date has passed; nobody knows that it was missed while services are not reported."""

    target: PartialDate
    planned: int
    completed: int
    not_reported: int


@dataclass(frozen=True, slots=True)
class Attention:
    """The items in their order, how many services each kind has, and how many are not reported."""

    items: tuple[Item, ...]
    counts: Mapping[AttentionKind, int]
    not_reported: int
    target_passed: TargetPassed | None
    programme: ProgrammeVersion


class _Cause(NamedTuple):
    """Why, apart from which service."""

    kind: AttentionKind
    since: EffectiveDate
    command: str
    reason: str = ""
    actor: str = ""
    check: str = ""
    portal: str = ""
    detail: str = ""
    allowed_days: int = 0


_NEVER = {Outcome.NOT_REPORTED, Outcome.WITHDRAWN}
_CLEARED_BY = {Condition.BLOCKED: "unblock", Condition.SUSPENDED: "resume"}


@dataclass(frozen=True, slots=True)
class Standstill:
    """Nothing has moved for longer than the stage allows: since when, after which step (0: a check), and the limit."""

    since: EffectiveDate
    transition: int
    allowed_days: int


def attention(survey: Survey, *, allowed_days: Mapping[Stage, int]) -> Attention:
    """Give what wants attention on the survey's day.

    `allowed_days` says of each stage after how many days without a certain step a service stalls. Items go by kind,
    then longest first, then by service.
    """
    version, total = survey.programme, count(survey).total
    overdue = version.target if version.target and version.target.last_day() < survey.scope.as_of else None
    items = tuple(item for _, item in survey.listed(_Items(tuple(allowed_days.items()), overdue)))
    by_kind = groupby(items, key=attrgetter("kind"))
    counts = dict.fromkeys(AttentionKind, 0) | {kind: len({item.service for item in found}) for kind, found in by_kind}
    passed = None
    if overdue and total.completed < total.planned:
        passed = TargetPassed(overdue, total.planned, total.completed, total.not_reported)
    return Attention(items, counts, total.not_reported, passed, version)


ItemKey = tuple[int, int, str, str, str]


def item_key(item: Item) -> ItemKey:
    """Give the place of an item among all: no two are equal, and no day that passes changes it."""
    since = item.since.date.last_day().toordinal() if item.since else 0
    return int(item.kind), since, item.service, item.check, item.portal


@dataclass(frozen=True, slots=True)
class _Items:
    """Gives what wants attention of a service: `allowed_days` by stage, and a target that has passed."""

    allowed_days: tuple[tuple[Stage, int], ...]
    overdue: PartialDate | None

    def __call__(self, scope: Scope, one: Listed) -> Iterator[tuple[ItemKey, Item]]:
        """Give the items of one service, each behind its place."""
        if one.reading.outcome not in _NEVER and not one.version.retired:
            for cause in _causes(scope, one, self.overdue, dict(self.allowed_days)):
                item = _item(cause, scope, one)
                yield item_key(item), item


def _causes(
    scope: Scope, one: Listed, overdue: PartialDate | None, allowed_days: Mapping[Stage, int]
) -> Iterator[_Cause]:
    history, reading, as_of, known_at = one.history, one.reading, scope.as_of, scope.known_at
    service = history.id
    chain = history.chain_at(known_at)
    certain = chain[: certain_of(chain, as_of)]
    if reading.condition in {Condition.BLOCKED, Condition.SUSPENDED}:
        step = next(link for link in reversed(certain) if link.step.condition)
        kind, verb = AttentionKind[reading.condition.name], _CLEARED_BY[reading.condition]
        command = f"tiendo integration {verb} {service} --date …"
        yield _Cause(kind, step.effective, command, step.step.reason, step.step.actor)
    if back := _went_back(certain):
        step, stage = back
        command = f"tiendo integration advance {service} --to {stage.name} --date …"
        yield _Cause(AttentionKind.REVERTED, step.effective, command, step.step.reason, step.step.actor)
    for check, report in history.checks_on(as_of, known_at).items():
        if report.state == "FAILED" and report.effective:
            command = f"tiendo integration check {service} {check} PASSED --date …"
            yield _Cause(AttentionKind.CHECK_FAILED, report.effective, command, actor=report.actor, check=check)
    if reading.outcome is Outcome.COMPLETED and history.portal_reports:
        seen = min(known_at, datetime.combine(as_of, time.max, VIETNAM))
        for portal, (answer, since) in history.unreachable_at(seen).items():
            command = f"tiendo integration check-portal {service} --portal {portal}"
            first = EffectiveDate(PartialDate.of_day(vietnam_day(since)))
            yield _Cause(AttentionKind.UNREACHABLE, first, command, portal=portal, detail=answer.detail)
    if overdue and reading.outcome in {Outcome.IN_PROGRESS, Outcome.SUSPENDED}:
        command = f"tiendo integration advance {service} --to INTEGRATED --date …"
        yield _Cause(AttentionKind.OVERDUE, EffectiveDate(overdue), command)
    if still := standstill(history, reading, as_of, known_at, allowed_days=allowed_days):
        command = f"tiendo integration advance {service} --to … --date …"
        yield _Cause(AttentionKind.STALLED, still.since, command, allowed_days=still.allowed_days)


def _went_back(certain: Sequence[Link]) -> tuple[Link, Stage] | None:
    """Give the last step back, and the stage to reach again, unless it was reached since."""
    back: tuple[Link, Stage] | None = None
    stage = BEGINNING[0]
    for link in certain:
        if link.step.kind is StepKind.REVERTED:
            back = link, max(stage, back[1]) if back else stage
        elif back and link.stage >= back[1]:
            back = None
        stage = link.stage
    return back


def standstill(
    history: ServiceHistory,
    reading: Reading,
    day: date,
    known_at: datetime = EVERYTHING,
    *,
    allowed_days: Mapping[Stage, int],
) -> Standstill | None:
    """Tell whether a service that is ACTIVE and in progress has had no certain step for longer than its stage allows.

    Where only connection checks are reported, the latest of their dates is what counts.
    """
    if reading.outcome is not Outcome.IN_PROGRESS or reading.condition is not Condition.ACTIVE:
        return None
    chain = history.chain_at(known_at)
    certain = certain_of(chain, day)
    if certain:
        since, transition = chain[certain - 1].effective, chain[certain - 1].step.number
    else:
        dates = [report.effective for report in history.checks_on(day, known_at).values() if report.effective]
        since, transition = max(dates, key=lambda one: one.date.last_day()), 0
    allowed = allowed_days[reading.stage]
    return Standstill(since, transition, allowed) if _days(since, day) > allowed else None


def _days(since: EffectiveDate, day: date) -> int:
    # What is certain since it was told may have a period that is not over yet.
    return max((day - since.date.last_day()).days, 0)


def _item(cause: _Cause, scope: Scope, one: Listed) -> Item:
    return Item(
        kind=cause.kind,
        service=one.history.id,
        alias=one.version.alias,
        display_name=one.version.display_name,
        plan_number=dict(one.version.memberships)[scope.programme_id],
        stage=one.reading.stage,
        condition=one.reading.condition,
        since=cause.since,
        days=_days(cause.since, scope.as_of),
        reason=cause.reason,
        actor=cause.actor,
        agency=one.version.agency_on(scope.as_of),
        check=cause.check,
        portal=cause.portal,
        detail=cause.detail,
        allowed_days=cause.allowed_days,
        command=cause.command,
    )
