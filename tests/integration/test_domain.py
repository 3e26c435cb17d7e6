"""The steps of an integration: every rule by table, every message by hand."""

from dataclasses import replace

import pytest

from services.common.dates import EffectiveDate
from services.common.errors import Reason
from services.integration import domain
from services.integration.domain import Condition, Evidence, Stage, Transition, TransitionKind
from tests.support.integrations import CORRECT, LATER, an_integration, by, on, refusal_of, told
from tiendo.integration.v1 import integration_pb2, transition_pb2

SIMPLE = {
    "block": domain.block,
    "unblock": domain.unblock,
    "suspend": domain.suspend,
    "resume": domain.resume,
    "withdraw": domain.withdraw,
    "reinstate": domain.reinstate,
}


# By verb and condition: one letter per stage from SELECTED to INTEGRATED. + allowed, - ILLEGAL_TRANSITION, ! NOT_ACTIVE
TABLE = """
    block      ACTIVE     ++++++-
    block      BLOCKED    !!!!!!!
    block      SUSPENDED  !!!!!!!
    block      WITHDRAWN  !!!!!!!
    unblock    ACTIVE     -------
    unblock    BLOCKED    +++++++
    unblock    SUSPENDED  -------
    unblock    WITHDRAWN  -------
    suspend    ACTIVE     -----++
    suspend    BLOCKED    !!!!!!!
    suspend    SUSPENDED  !!!!!!!
    suspend    WITHDRAWN  !!!!!!!
    resume     ACTIVE     -------
    resume     BLOCKED    -------
    resume     SUSPENDED  +++++++
    resume     WITHDRAWN  -------
    withdraw   ACTIVE     +++++++
    withdraw   BLOCKED    !!!!!!!
    withdraw   SUSPENDED  !!!!!!!
    withdraw   WITHDRAWN  -------
    reinstate  ACTIVE     -------
    reinstate  BLOCKED    -------
    reinstate  SUSPENDED  -------
    reinstate  WITHDRAWN  +++++++
"""


BECOMES = {
    "block": (TransitionKind.BLOCKED, Condition.BLOCKED),
    "unblock": (TransitionKind.UNBLOCKED, Condition.ACTIVE),
    "suspend": (TransitionKind.SUSPENDED, Condition.SUSPENDED),
    "resume": (TransitionKind.RESUMED, Condition.ACTIVE),
    "withdraw": (TransitionKind.WITHDRAWN, Condition.WITHDRAWN),
    "reinstate": (TransitionKind.REINSTATED, Condition.ACTIVE),
}


REFUSED = {"-": Reason.ILLEGAL_TRANSITION, "!": Reason.NOT_ACTIVE}


@pytest.mark.parametrize(
    ("verb", "condition", "stage", "outcome"),
    [
        (verb, Condition[condition], stage, outcome)
        for verb, condition, outcomes in map(str.split, TABLE.strip().splitlines())
        for stage, outcome in zip(Stage, outcomes, strict=True)
    ],
)
def test_a_condition_changes_only_where_the_table_says_so(
    verb: str, condition: Condition, stage: Stage, outcome: str
) -> None:
    """Each verb from each stage and condition does what the table says, and keeps the stage."""
    state = an_integration(stage, condition)
    if outcome != "+":
        assert refusal_of(SIMPLE[verb], state, **told()).reason is REFUSED[outcome]
        return
    new, entry = SIMPLE[verb](state, **told())

    assert (entry.kind, new.condition) == BECOMES[verb]
    assert new.stage is stage
    assert (entry.from_stage, entry.to_stage) == (stage, stage)
    assert (entry.from_condition, entry.to_condition) == (condition, new.condition)
    assert new.reason == ("" if new.condition is Condition.ACTIVE else "theo báo cáo")


@pytest.mark.parametrize("condition", Condition)
@pytest.mark.parametrize("to_stage", Stage)
@pytest.mark.parametrize("stage", Stage)
def test_the_stage_moves_forward_by_advance_and_back_by_revert(
    stage: Stage, to_stage: Stage, condition: Condition
) -> None:
    """From every stage to every stage: later by advance, earlier by revert, and only while ACTIVE."""
    state = an_integration(stage, condition)
    for verb, allowed in ((domain.advance, to_stage > stage), (domain.revert, to_stage < stage)):
        if condition is not Condition.ACTIVE:
            assert refusal_of(verb, state, to_stage, **told()).reason is Reason.NOT_ACTIVE
        elif allowed:
            new, entry = verb(state, to_stage, **told())
            assert (new.stage, new.condition, new.reason) == (to_stage, Condition.ACTIVE, "")
            assert (entry.from_stage, entry.to_stage) == (stage, to_stage)
        else:
            assert refusal_of(verb, state, to_stage, **told()).reason is Reason.ILLEGAL_TRANSITION


def test_numbers_are_those_of_the_contract() -> None:
    """Every enum has the names and numbers of its proto, UNSPECIFIED left out."""
    for ours, theirs, prefix in (
        (domain.Stage, integration_pb2.Stage, "STAGE_"),
        (domain.Condition, integration_pb2.Condition, "CONDITION_"),
        (domain.Check, integration_pb2.Check, "CHECK_"),
        (domain.CheckState, integration_pb2.CheckState, "CHECK_STATE_"),
        (domain.Portal, integration_pb2.Portal, "PORTAL_"),
        (domain.TransitionKind, transition_pb2.TransitionKind, "TRANSITION_KIND_"),
    ):
        expected = {name.removeprefix(prefix): number for name, number in theirs.items() if number}

        assert {each.name: each.value for each in ours} == expected


def test_a_step_records_all_it_was_told() -> None:
    """The entry and the integration hold stage, date, texts, actor, time and the next numbers."""
    state = an_integration()
    evidence = Evidence(" 12/BC-BCA ", "https://dichvucong.bocongan.gov.vn/a", "")
    new, entry = domain.advance(
        state, Stage.INTEGRATED, **told(effective_date=on(2022, 10, 5), evidence=[evidence], reason="", now=LATER)
    )

    assert entry == Transition(
        number=1,
        kind=TransitionKind.ADVANCED,
        from_stage=Stage.SELECTED,
        to_stage=Stage.INTEGRATED,
        from_condition=Condition.ACTIVE,
        to_condition=Condition.ACTIVE,
        effective_date=on(2022, 10, 5),
        reason="",
        evidence=(Evidence("12/BC-BCA", "https://dichvucong.bocongan.gov.vn/a", ""),),
        actor="an",
        recorded_time=LATER,
    )
    assert new == replace(
        state,
        stage=Stage.INTEGRATED,
        effective_date=on(2022, 10, 5),
        transition_count=1,
        update_time=LATER,
        update_actor="an",
        version=2,
    )


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (None, by(2022, 10, 10)),
        (on(2022, 9), by(2022, 10, 10)),
        (on(2022, 10, 10), by(2022, 10, 10)),
        (on(2022, 10), by(2022, 10)),
        (on(2022), by(2022)),
        (by(2022), by(2022)),
    ],
)
def test_a_step_without_a_date_happened_at_the_latest_today(
    before: EffectiveDate | None, expected: EffectiveDate
) -> None:
    """It is never refused, even after an entry whose period still runs; then that period's end is the latest."""
    new, entry = domain.advance(an_integration(effective_date=before), Stage.BUILT, **told())

    assert entry.effective_date == new.effective_date == expected


@pytest.mark.parametrize(
    ("before", "given", "message"),
    [
        (
            on(2022, 10, 5),
            on(2022, 10, 4),
            (
                "effective_date: 04/10/2022 ends before 05/10/2022, the last day of the entry it follows; give "
                f"05/10/2022 or a later date, or correct that entry first with {CORRECT}"
            ),
        ),
        (
            on(2022),
            by(2022, 10),
            (
                "effective_date: 10/2022 ends before 31/12/2022, the last day of the entry it follows; give 2022 "
                f"or a later date, or correct that entry first with {CORRECT}"
            ),
        ),
    ],
)
def test_dates_never_go_back(before: EffectiveDate, given: EffectiveDate, message: str) -> None:
    """A date whose last day lies before the newest one's is refused, with the date that is allowed."""
    refused = refusal_of(
        domain.advance, an_integration(effective_date=before), Stage.BUILT, **told(effective_date=given)
    )

    assert refused.reason is Reason.DATE_GOES_BACK
    assert refused.message == message
    assert refused.metadata == {"name": "integrations/bca-012", "latest": before.date.last_day().isoformat()}


def test_a_period_that_has_begun_is_no_future() -> None:
    """Within 2022 the date "2022" is taken; the month after is refused."""
    new, _ = domain.advance(an_integration(), Stage.BUILT, **told(effective_date=on(2022)))
    refused = refusal_of(domain.advance, an_integration(), Stage.BUILT, **told(effective_date=on(2022, 11)))

    assert new.effective_date == on(2022)
    assert refused.reason is Reason.DATE_IN_FUTURE
    assert refused.fields == ("effective_date",)
