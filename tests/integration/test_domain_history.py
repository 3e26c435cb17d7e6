"""Corrections of a history: what they change, and what they are refused for."""

from collections.abc import Callable
from typing import Any

import pytest

from services.common.dates import EffectiveDate
from services.common.errors import Reason, Refusal
from services.integration import domain
from services.integration.domain import Condition, Correction, Stage
from tests.support.integration_histories import Case, a_case
from tests.support.integrations import on


def refusal_of(step: Callable[..., object], *given: Any, **more: Any) -> Refusal:
    """The refusal the step ends in."""
    with pytest.raises(Refusal) as refused:
        step(*given, **more)
    return refused.value


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
