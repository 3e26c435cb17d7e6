"""Corrections, and what must hold of any history however it came about."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.dates import EffectiveDate, PartialDate
from services.common.errors import Reason, Refusal
from services.integration import domain
from services.integration.domain import Check, CheckState, Condition, Correction, Integration, Stage, Transition
from services.integration.domain.corrections import BrokenHistoryError
from tiendo.common.v1 import error_reason_pb2

NOW = datetime(2022, 10, 20, 3, 0, tzinfo=UTC)
TODAY = date(2022, 10, 20)


def on(year: int, month: int = 0, day: int = 0) -> EffectiveDate:
    """On that date."""
    return EffectiveDate(PartialDate(year, month, day))


class Case:
    """One integration and its history, as a service keeps them."""

    def __init__(self) -> None:
        self.state = domain.new_integration("bca-012", "", "", NOW)
        self.history: list[Transition] = []
        self.today, self.now = TODAY, NOW

    def told(self, when: EffectiveDate | None, reason: str) -> Any:
        """The part every command has."""
        return {
            "effective_date": when,
            "reason": reason,
            "evidence": (),
            "today": self.today,
            "now": self.now,
            "actor": "an",
        }

    def do(self, verb: Callable[..., Any], *more: Any, when: EffectiveDate | None = None, reason: str = "vì") -> "Case":
        """Take a step and keep its entry."""
        self.state, entry = verb(self.state, *more, **self.told(when, reason))
        self.history.append(entry)
        return self

    def correct(self, number: int, when: EffectiveDate | None = None, *, reason: str = "nhầm") -> Transition:
        """Re-date an entry, or annul it when no date is given; the entry that was wrong."""
        self.state, entry, corrected = domain.correct(
            self.state, self.history, number, annul=when is None, **self.told(when, reason)
        )
        self.history.append(entry)
        return corrected


def refusal_of(step: Callable[..., object], *given: Any, **more: Any) -> Refusal:
    """The refusal the step ends in."""
    with pytest.raises(Refusal) as refused:
        step(*given, **more)
    return refused.value


def a_case() -> Case:
    """BUILT on 01/10, blocked on 05/10, unblocked on 10/10, TESTED on 15/10/2022."""
    case = Case()
    case.do(domain.advance, Stage.BUILT, when=on(2022, 10, 1))
    case.do(domain.block, when=on(2022, 10, 5), reason="thiếu dữ liệu")
    case.do(domain.unblock, when=on(2022, 10, 10))
    return case.do(domain.advance, Stage.TESTED, when=on(2022, 10, 15))


def test_annulling_the_newest_entry_goes_back_to_what_was_before() -> None:
    """Number 0 is the newest entry that stands; annulled one after the other, the history unwinds to SELECTED."""
    case = a_case()
    recorded = list(case.history)
    seen = []
    for _ in range(4):
        case.correct(0)
        seen.append((case.state.stage, case.state.condition, case.state.effective_date, case.state.reason))
    refused = refusal_of(case.correct, 0)

    assert seen == [
        (Stage.BUILT, Condition.ACTIVE, on(2022, 10, 10), ""),
        (Stage.BUILT, Condition.BLOCKED, on(2022, 10, 5), "thiếu dữ liệu"),
        (Stage.BUILT, Condition.ACTIVE, on(2022, 10, 1), ""),
        (Stage.SELECTED, Condition.ACTIVE, None, ""),
    ]
    assert case.history[:4] == recorded
    assert [entry.annulled_by for entry in domain.mark(case.history)] == [8, 7, 6, 5, 0, 0, 0, 0]
    assert domain.standing(case.history) == ()
    assert refused.reason is Reason.TRANSITION_NOT_FOUND
    assert refused.message == ("transition: integrations/bca-012 has no entry that stands; there is nothing to correct")


def test_a_correction_is_an_entry_of_its_own() -> None:
    """It tells what it corrects, the change it makes, and gives the corrected entry as it was recorded."""
    case = a_case()
    corrected = case.correct(4)
    entry = case.history[-1]

    assert corrected == case.history[3]
    assert (entry.number, entry.correction, entry.effective_date) == (5, Correction(4, annul=True), None)
    assert (entry.from_stage, entry.to_stage) == (Stage.TESTED, Stage.BUILT)
    assert (case.state.transition_count, case.state.version) == (5, 6)


def test_an_entry_is_redated_again_and_again() -> None:
    """The last date holds, in the standing chain and in the integration; the entry itself keeps its own."""
    case = a_case()
    case.correct(4, on(2022, 10, 12))
    case.correct(0, on(2022, 10, 18))
    case.correct(1, on(2022, 9))

    assert case.state.effective_date == on(2022, 10, 18)
    assert case.history[3].effective_date == on(2022, 10, 15)
    assert domain.mark(case.history)[3].redated_by == 6
    assert [entry.effective_date for entry in domain.standing(case.history)] == [
        on(2022, 9),
        on(2022, 10, 5),
        on(2022, 10, 10),
        on(2022, 10, 18),
    ]


@pytest.mark.parametrize(
    ("number", "when", "latest", "message"),
    [
        (
            2,
            on(2022, 9, 30),
            "2022-10-01",
            (
                "effective_date: 30/09/2022 ends before 01/10/2022, the last day of entry 1; give a date that ends not "
                "before 01/10/2022 and not after 10/10/2022, or correct entry 1 first"
            ),
        ),
        (
            2,
            on(2022),
            "2022-10-10",
            (
                "effective_date: 2022 ends after 10/10/2022, the last day of entry 3; give a date that ends not "
                "before 01/10/2022 and not after 10/10/2022, or correct entry 3 first"
            ),
        ),
        (
            1,
            on(2022, 10, 6),
            "2022-10-05",
            (
                "effective_date: 06/10/2022 ends after 05/10/2022, the last day of entry 2; give a date that ends not "
                "after 05/10/2022, or correct entry 2 first"
            ),
        ),
        (
            4,
            on(2022, 10, 9),
            "2022-10-10",
            (
                "effective_date: 09/10/2022 ends before 10/10/2022, the last day of entry 3; give a date that ends not "
                "before 10/10/2022, or correct entry 3 first"
            ),
        ),
    ],
)
def test_a_new_date_stays_between_its_neighbours(number: int, when: EffectiveDate, latest: str, message: str) -> None:
    """The refusal says between which days the new one may end."""
    refused = refusal_of(a_case().correct, number, when)

    assert (refused.reason, refused.message) == (Reason.DATE_GOES_BACK, message)
    assert refused.metadata == {"name": "integrations/bca-012", "latest": latest}


def test_two_steps_may_share_a_day() -> None:
    """A step, or a new date, may end on the very day on which its neighbours end."""
    case = a_case()
    case.do(domain.block, when=on(2022, 10, 15))
    case.correct(2, on(2022, 10, 1))
    case.correct(2, on(2022, 10, 10))

    assert [entry.effective_date for entry in domain.standing(case.history)] == [
        on(2022, 10, 1),
        on(2022, 10, 10),
        on(2022, 10, 10),
        on(2022, 10, 15),
        on(2022, 10, 15),
    ]


def test_a_marked_history_serves_as_well() -> None:
    """Corrections are read from the entries themselves, so marks that were filled in before change nothing."""
    case = a_case()
    case.correct(4, on(2022, 10, 12))
    case.history = list(domain.mark(case.history))
    corrected = case.correct(4)

    assert corrected == a_case().history[3]
    assert case.state.stage is Stage.BUILT


def test_annulled_entries_are_no_neighbours() -> None:
    """Once its neighbour is annulled, a date is free up to the next one that stands."""
    case = a_case()
    case.correct(4)
    case.correct(3, on(2022, 10, 19))

    assert case.state.effective_date == on(2022, 10, 19)


def broken_by_a_block() -> Case:
    """The unblock needs its block."""
    return a_case()


def broken_by_a_revert() -> Case:
    """Entry 3 goes back to BUILT, which is nowhere earlier without entry 2."""
    case = Case().do(domain.advance, Stage.BUILT).do(domain.advance, Stage.TESTED)
    return case.do(domain.revert, Stage.BUILT)


def broken_by_an_advance() -> Case:
    """Entry 3 advances to TESTED, which it would still be without entry 2."""
    case = Case().do(domain.advance, Stage.TESTED).do(domain.revert, Stage.BUILT)
    return case.do(domain.advance, Stage.TESTED)


def broken_by_a_suspension() -> Case:
    """Entry 3 suspends what was never live without entry 2."""
    case = Case().do(domain.advance, Stage.BUILT).do(domain.advance, Stage.LIVE_ON_MINISTRY_PORTAL)
    return case.do(domain.suspend)


def broken_by_integrated() -> Case:
    """Entry 3 blocks what would still be INTEGRATED without entry 2."""
    case = Case().do(domain.advance, Stage.INTEGRATED).do(domain.revert, Stage.TESTED)
    return case.do(domain.block)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (
            broken_by_a_block,
            "without entry 2 of integrations/bca-012 it would be BUILT and ACTIVE before entry 3 (UNBLOCKED)",
        ),
        (
            broken_by_a_revert,
            "without entry 2 of integrations/bca-012 it would be BUILT and ACTIVE before entry 3 (REVERTED to BUILT)",
        ),
        (
            broken_by_an_advance,
            "without entry 2 of integrations/bca-012 it would be TESTED and ACTIVE before entry 3 (ADVANCED to TESTED)",
        ),
        (
            broken_by_a_suspension,
            "without entry 2 of integrations/bca-012 it would be BUILT and ACTIVE before entry 3 (SUSPENDED)",
        ),
        (
            broken_by_integrated,
            "without entry 2 of integrations/bca-012 it would be INTEGRATED and ACTIVE before entry 3 (BLOCKED)",
        ),
    ],
)
def test_what_a_later_entry_needs_is_not_annulled(case: Callable[[], Case], message: str) -> None:
    """The refusal names the entry that could not follow."""
    refused = refusal_of(case().correct, 2)

    assert refused.reason is Reason.CORRECTION_BREAKS_HISTORY
    assert refused.message == f"transition: {message}, which could not follow; annul entry 3 first"
    assert refused.metadata == {"name": "integrations/bca-012", "transition": "3"}


def test_only_a_standing_step_is_corrected() -> None:
    """Annulled entries, corrections and numbers that are not there are refused, each with what to do."""
    case = a_case()
    case.correct(4)
    annulled, correction, absent = (refusal_of(case.correct, number) for number in (4, 5, 6))

    assert (annulled.reason, correction.reason) == (Reason.NOT_CORRECTABLE, Reason.NOT_CORRECTABLE)
    assert annulled.message == (
        "transition: entry 4 of integrations/bca-012 was annulled by entry 5; "
        "if it happened after all, record the step anew"
    )
    assert correction.message == (
        "transition: entry 5 of integrations/bca-012 is itself a correction; "
        "correct entry 4 again if it still stands, or record the step anew"
    )
    assert absent.reason is Reason.TRANSITION_NOT_FOUND
    assert absent.message == (
        "transition: integrations/bca-012 has no entry 6; give the number of one in ListTransitions "
        "(`tiendo integration history bca-012`)"
    )
    assert refusal_of(case.correct, -1).reason is Reason.TRANSITION_NOT_FOUND


def test_a_correction_says_what_holds_instead_and_why() -> None:
    """Nothing, both at once, a date to come and no reason are refused by their field."""
    case = a_case()

    def tried(*, annul: bool, when: EffectiveDate | None, reason: str = "nhầm") -> tuple[Reason, tuple[str, ...]]:
        refused = refusal_of(domain.correct, case.state, case.history, 0, annul=annul, **case.told(when, reason))
        return refused.reason, refused.fields

    assert tried(annul=False, when=None) == (Reason.MISSING_VALUE, ("effective_date",))
    assert tried(annul=True, when=on(2022, 10, 16)) == (Reason.INVALID_VALUE, ("annul",))
    assert tried(annul=False, when=on(2022, 11)) == (Reason.DATE_IN_FUTURE, ("effective_date",))
    assert tried(annul=True, when=None, reason=" ") == (Reason.EMPTY_REASON, ("reason",))


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


@settings(max_examples=300, deadline=None)
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


@settings(max_examples=100, deadline=None)
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
