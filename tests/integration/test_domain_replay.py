"""A history is replayed by the machine that made it: it explains the present, whatever was done."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.dates import EffectiveDate, PartialDate
from services.common.errors import Refusal
from services.integration import domain
from services.integration.domain import Check, CheckState, Condition, Integration, Stage, Transition
from services.integration.domain.corrections import BrokenHistoryError
from tests.support.integration_histories import Case, a_case
from tests.support.integrations import on
from tiendo.common.v1 import error_reason_pb2


def test_a_history_that_cannot_be_is_not_replayed() -> None:
    """An unblock without its block raises, naming the entry."""
    with pytest.raises(BrokenHistoryError, match=r"entry 3 \(UNBLOCKED\) cannot follow BUILT, ACTIVE"):
        domain.replay([a_case().history[0], a_case().history[2]])


VERBS: Sequence[Callable[..., Any]] = (
    domain.block,
    domain.unblock,
    domain.suspend,
    domain.resume,
    domain.withdraw,
    domain.reinstate,
)


dates = (
    st.none()
    | st.none()
    | st.builds(
        lambda day, precision, at_latest: EffectiveDate(
            PartialDate(day.year, day.month if precision else 0, day.day if precision > 1 else 0), at_latest
        ),
        st.dates(date(2022, 10, 1), date(2022, 12, 31)),
        st.sampled_from([0, 1, 2, 2, 2]),
        st.booleans(),
    )
)


reasons = st.sampled_from(["vì", "vì", "vì", "lý do", "lý do", ""])


commands = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([domain.advance, domain.advance, domain.revert]), st.sampled_from(Stage)),
        st.tuples(st.sampled_from(VERBS)),
        st.tuples(st.sampled_from(VERBS)),
        st.tuples(st.just(domain.correct), st.integers(0, 99), st.booleans()),
        st.tuples(st.just(domain.set_check), st.sampled_from(Check), st.sampled_from(CheckState)),
    ).flatmap(lambda command: st.tuples(st.just(command), dates, reasons, st.integers(0, 9))),
    min_size=8,
    max_size=30,
)


PROTO_REASONS = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name}


def run(case: Case, command: tuple[Any, ...], when: EffectiveDate | None, reason: str) -> Refusal | None:
    """Let the case do a drawn command; the refusal, if it was refused."""
    verb, *more = command
    try:
        if verb is domain.correct:
            case.correct(more[0] % (len(case.history) + 2), None if more[1] else when or on(2022), reason=reason)
        elif verb is domain.set_check:
            given = case.told(when, reason)
            del given["reason"]
            case.state = domain.set_check(case.state, *more, **given)
        else:
            case.do(verb, *more, when=when, reason=reason)
    except Refusal as refused:
        return refused
    return None


def check_history(state: Integration, history: Sequence[Transition], today: date) -> None:
    """Assert what holds of every integration at any time."""
    chain = domain.standing(history)
    last_days = [entry.effective_date.date.last_day() for entry in chain if entry.effective_date]

    assert domain.replay(chain) == (state.stage, state.condition, state.effective_date, state.reason)
    assert [entry.number for entry in history] == list(range(1, state.transition_count + 1))
    assert len(last_days) == len(chain)
    assert last_days == sorted(last_days)
    assert all(entry.effective_date.date.first_day() <= today for entry in chain if entry.effective_date)
    assert (state.reason == "") == (state.condition is Condition.ACTIVE)
    assert not (state.condition is Condition.BLOCKED and state.stage is Stage.INTEGRATED)
    assert not (state.condition is Condition.SUSPENDED and state.stage < Stage.LIVE_ON_MINISTRY_PORTAL)
    for before, entry in pairwise(history):
        assert (before.to_stage, before.to_condition) == (entry.from_stage, entry.from_condition)


@given(commands)
def test_history_explains_the_present(drawn: list[tuple[tuple[Any, ...], EffectiveDate | None, str, int]]) -> None:
    """After any commands: the replay of what stands is the state, dates are in order, a refusal changed nothing."""
    case = Case()
    for command, when, reason, days in drawn:
        case.now += timedelta(days=days)
        case.today = case.now.date()
        before, recorded = case.state, list(case.history)
        refused = run(case, command, when, reason)

        if refused:
            assert refused.reason.value in PROTO_REASONS
            assert len(refused.fields) == 1
            assert refused.message.startswith(f"{refused.fields[0]}: ")
            assert case.state is before
            assert case.history == recorded
        else:
            assert case.state.version == before.version + (case.state is not before)
            assert case.history[: len(recorded)] == recorded
        check_history(case.state, case.history, case.today)


@given(dates, dates, st.integers(0, 200))
def test_a_step_without_a_date_is_never_refused_for_its_date(
    first: EffectiveDate | None, second: EffectiveDate | None, days: int
) -> None:
    """Whatever dates came before, and whenever it is told, leaving the date out works and keeps the order."""
    case = Case()
    for verb, when in ((domain.withdraw, first), (domain.reinstate, second)):
        try:
            case.do(verb, when=when)
        except Refusal:
            case.do(verb)
    case.now += timedelta(days=days)
    case.today = case.now.date()
    case.do(domain.withdraw)

    check_history(case.state, case.history, case.today)
