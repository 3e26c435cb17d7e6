"""Counting agrees with trying every reading of the dates, on histories that are legal and on others."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise, product

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.dates import VIETNAM, EffectiveDate, PartialDate
from services.status.domain import (
    EVERYTHING,
    Condition,
    Correction,
    Counts,
    GroupBy,
    Programme,
    ServiceHistory,
    Stage,
    Step,
)
from tests.support.status_facts import PLAN, programme_version
from tests.support.status_histories import (
    PLACES,
    continued,
    days,
    instants,
    plans,
    programmes,
)
from tests.support.surveys import count, count_groups


def claims(history: ServiceHistory, known_at: datetime, start: date) -> list[tuple[Step, EffectiveDate, date, date]]:
    """The steps as one would write them down from the rows: with the date told last, and its first and last day."""
    rows = [row for row in history.entries if row.recorded <= known_at]
    found = []
    for step in rows:
        if not isinstance(step, Step):
            continue
        told = [row for row in rows if isinstance(row, Correction) and row.target == step.number]
        if any(row.effective is None for row in told):
            continue
        effective, recorded = step.effective, step.recorded
        for row in told:
            effective, recorded = row.effective or effective, row.recorded
        first = effective.date.first_day()
        last = min(effective.date.last_day(), recorded.astimezone(VIETNAM).date())
        found.append((step, effective, min(start, first) if effective.at_latest else first, last))
    return found


def happened(told: Sequence[tuple[Step, EffectiveDate, date, date]], day: date) -> set[int]:
    """How many steps may have happened by the day, over every assignment of days to steps that keeps their order.

    A step is over at the latest when a later one is, which the order says anyway; where the claims contradict each
    other, and no assignment would be left, a step's first day yields to that. Between the ends of its period only the
    day asked about and the one after it make a difference.
    """
    choices = []
    for position, (_, _, possible, _) in enumerate(told):
        last = min(certain for _, _, _, certain in told[position:])
        first = min(possible, last)
        choices.append([one for one in {first, last, day, day + timedelta(days=1)} if first <= one <= last])
    return {
        sum(one <= day for one in assignment)
        for assignment in product(*choices)
        if all(one <= other for one, other in pairwise(assignment))
    }


def state_after(told: Sequence[tuple[Step, EffectiveDate, date, date]], number: int) -> tuple[Stage, Condition]:
    """Stage and condition after so many steps."""
    stage, condition = Stage.SELECTED, Condition.ACTIVE
    for step, *_ in told[:number]:
        stage, condition = step.stage or stage, step.condition or condition
    return stage, condition


def checked(history: ServiceHistory, day: date, known_at: datetime) -> list[PartialDate]:
    """The dates of the checks known to say something: of each the last certain report, if none since set it to UNKNOWN."""
    rows = [row for row in history.check_reports if row.recorded <= known_at]
    says = {
        row.check: row.effective.date
        for position, row in enumerate(rows)
        if row.effective is not None
        and min(row.effective.date.last_day(), row.recorded.astimezone(VIETNAM).date()) <= day
        and not any(later.effective is None and later.check == row.check for later in rows[position:])
    }
    return list(says.values())


def naive(
    programme: Programme, services: list[ServiceHistory], day: date, known_at: datetime
) -> tuple[Counts, PartialDate | None]:
    """Count by trying every reading, service by service."""
    begins = programme.versions[0].start
    start = begins.first_day() if begins else date.min
    outcomes: list[str] = []
    stages, conditions = dict.fromkeys(Stage, 0), dict.fromkeys(Condition, 0)
    blocked = 0
    dated: list[PartialDate] = []
    for history in services:
        rows = [version for version in history.versions if version.recorded <= known_at]
        if not rows or PLAN not in dict(rows[-1].memberships):
            continue
        told = claims(history, known_at, start)
        readings = happened(told, day)
        stage, condition = state_after(told, min(readings))
        done = [state_after(told, number) == (Stage.INTEGRATED, Condition.ACTIVE) for number in readings]
        if any(done):
            outcomes.append("completed" if all(done) else "uncertain")
        elif condition in (Condition.SUSPENDED, Condition.WITHDRAWN):
            outcomes.append(condition.name.lower())
        elif min(readings) or checked(history, day, known_at):
            outcomes.append("in_progress")
            blocked += condition is Condition.BLOCKED
        else:
            outcomes.append("not_reported")
        stages[stage] += 1
        conditions[condition] += 1
        dated += [effective.date for _, effective, *_ in told[: min(readings)]] + checked(history, day, known_at)
    counts = Counts(
        planned=PLACES,
        listed=len(outcomes),
        completed=outcomes.count("completed"),
        uncertain=outcomes.count("uncertain"),
        in_progress=outcomes.count("in_progress"),
        blocked=blocked,
        suspended=outcomes.count("suspended"),
        withdrawn=outcomes.count("withdrawn"),
        not_reported=outcomes.count("not_reported") + PLACES - len(outcomes),
        by_stage=stages,
        by_condition=conditions,
    )
    return counts, max(dated, key=lambda one: (one.last_day(), one.month, one.day), default=None)


@settings(max_examples=200, deadline=None)
@given(programmes, plans, days, instants | st.just(EVERYTHING))
def test_counts_are_those_of_trying_every_reading(
    programme: Programme, services: list[ServiceHistory], day: date, known_at: datetime
) -> None:
    """Every count and the date of the figure equal a fold that tries each order-keeping assignment of days."""
    completion = count(programme, services, day, known_at)

    assert (completion.total, completion.facts_through) == naive(programme, services, day, known_at)


@given(programmes, plans, days, instants)
def test_lines_add_up(programme: Programme, services: list[ServiceHistory], day: date, known_at: datetime) -> None:
    """The six classes sum to the plan, blocked is within in progress, stages and conditions sum to the listed."""
    total = count(programme, services, day, known_at).total

    classes = (total.completed, total.uncertain, total.in_progress, total.suspended, total.withdrawn)
    assert sum(classes) + total.not_reported == total.planned == PLACES
    assert 0 <= total.blocked <= total.in_progress
    assert sum(total.by_stage.values()) == sum(total.by_condition.values()) == total.listed
    assert list(total.by_stage) == list(Stage)
    assert list(total.by_condition) == list(Condition)


def numbers(counts: Counts) -> tuple[int, ...]:
    """Every count in a row."""
    plain = (counts.planned, counts.listed, counts.completed, counts.uncertain, counts.in_progress, counts.blocked)
    rest = (counts.suspended, counts.withdrawn, counts.not_reported)
    return plain + rest + tuple(counts.by_stage.values()) + tuple(counts.by_condition.values())


@given(programmes, plans, days, instants, st.sampled_from(GroupBy))
def test_groups_sum_to_the_total(
    programme: Programme, services: list[ServiceHistory], day: date, known_at: datetime, by: GroupBy
) -> None:
    """Added up, the groups give every count of the total; levels may give more, never less."""
    total = numbers(count(programme, services, day, known_at).total)
    groups = count_groups(programme, services, day, known_at, by=by)
    summed = tuple(map(sum, zip(*(numbers(group.counts) for group in groups), strict=True)))

    assert all(one >= other for one, other in zip(summed, total, strict=True))
    if by is not GroupBy.LEVEL:
        assert summed == total
    assert [group.not_known for group in groups] == [group.key == "" for group in groups]
    assert not any(group.not_known for group in groups[:-1])


@given(st.data(), programmes, plans, st.tuples(days, instants), st.sampled_from(GroupBy))
def test_answers_for_a_past_instant_never_change(
    data: st.DataObject,
    programme: Programme,
    services: list[ServiceHistory],
    asked: tuple[date, datetime],
    by: GroupBy,
) -> None:
    """Whatever is recorded after `known_at`, corrections and changes of the plan too, its answers stay."""
    day, known_at = asked
    before = count(programme, services, day, known_at), count_groups(programme, services, day, known_at, by=by)
    later = [data.draw(continued(history, known_at)) for history in services]
    changed = replace(programme, versions=(*programme.versions, programme_version(99, known_at + timedelta(hours=1))))

    after = count(changed, later, day, known_at), count_groups(changed, later, day, known_at, by=by)
    assert after == before
