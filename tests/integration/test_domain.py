"""The steps of an integration, its checks and links: every rule by table, every message by hand."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.common.dates import EffectiveDate, PartialDate
from services.common.errors import Reason, Refusal
from services.integration import domain
from services.integration.domain import (
    Check,
    CheckState,
    Condition,
    ConnectionCheck,
    Evidence,
    Integration,
    Portal,
    PortalLink,
    Stage,
    Transition,
    TransitionKind,
)
from tiendo.integration.v1 import integration_pb2, transition_pb2

NOW = datetime(2022, 10, 10, 3, 0, tzinfo=UTC)
TODAY = date(2022, 10, 10)
LATER = datetime(2022, 10, 11, 3, 0, tzinfo=UTC)
_CORRECT = "CorrectTransition (`tiendo integration correct bca-012`)"


def on(year: int, month: int = 0, day: int = 0) -> EffectiveDate:
    """On that date."""
    return EffectiveDate(PartialDate(year, month, day))


def by(year: int, month: int = 0, day: int = 0) -> EffectiveDate:
    """At the latest on that date."""
    return EffectiveDate(PartialDate(year, month, day), at_latest=True)


def told(**given: Any) -> Any:
    """What is told with a step; a reason is, a date is not."""
    return {
        "effective_date": None,
        "reason": "theo báo cáo",
        "evidence": (),
        "today": TODAY,
        "now": NOW,
        "actor": "an",
    } | given


def an_integration(stage: Stage = Stage.SELECTED, condition: Condition = Condition.ACTIVE, **given: Any) -> Integration:
    """An integration somewhere on its way."""
    fresh = domain.new_integration("bca-012", "dang-ky-tam-tru", "Đăng ký tạm trú", NOW)
    return replace(fresh, stage=stage, condition=condition, **given)


def with_check(state: Integration, check: Check, check_state: CheckState) -> Integration:
    """The integration with that check set."""
    return domain.set_check(
        state, check, check_state, effective_date=None, evidence=(), today=TODAY, now=NOW, actor="an"
    )


def refusal_of(step: Callable[..., object], *given: Any, **more: Any) -> Refusal:
    """The refusal the step ends in."""
    with pytest.raises(Refusal) as refused:
        step(*given, **more)
    return refused.value


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
                f"05/10/2022 or a later date, or correct that entry first with {_CORRECT}"
            ),
        ),
        (
            on(2022),
            by(2022, 10),
            (
                "effective_date: 10/2022 ends before 31/12/2022, the last day of the entry it follows; give 2022 "
                f"or a later date, or correct that entry first with {_CORRECT}"
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


@pytest.mark.parametrize(
    ("check_state", "refused"),
    [
        (CheckState.UNKNOWN, False),
        (CheckState.NOT_REQUIRED, False),
        (CheckState.PENDING, True),
        (CheckState.PASSED, False),
        (CheckState.FAILED, True),
    ],
)
@pytest.mark.parametrize("check", Check)
def test_integrated_waits_for_the_checks(check: Check, check_state: CheckState, refused: bool) -> None:
    """INTEGRATED is refused exactly while a check is PENDING or FAILED; other stages do not ask."""
    state = with_check(an_integration(), check, check_state)
    domain.advance(state, Stage.LIVE_ON_MINISTRY_PORTAL, **told())
    if not refused:
        assert domain.advance(state, Stage.INTEGRATED, **told())[0].stage is Stage.INTEGRATED
        return
    refusal = refusal_of(domain.advance, state, Stage.INTEGRATED, **told())

    assert refusal.reason is Reason.CHECK_NOT_PASSED
    assert refusal.fields == ("stage",)
    assert refusal.metadata == {"name": "integrations/bca-012", "check": check.name, "state": check_state.name}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            lambda: domain.advance(
                with_check(an_integration(), Check.PAYMENT, CheckState.FAILED), Stage.INTEGRATED, **told()
            ),
            (
                "stage: integrations/bca-012 cannot become INTEGRATED while check PAYMENT is FAILED; "
                "set it to PASSED or NOT_REQUIRED first"
            ),
        ),
        (
            lambda: domain.advance(an_integration(Stage.BUILT, Condition.BLOCKED), Stage.TESTED, **told()),
            (
                "name: integrations/bca-012 is BLOCKED and takes no other step; "
                "call UnblockIntegration (`tiendo integration unblock bca-012`) first"
            ),
        ),
        (
            lambda: domain.withdraw(an_integration(Stage.INTEGRATED, Condition.SUSPENDED), **told()),
            (
                "name: integrations/bca-012 is SUSPENDED and takes no other step; "
                "call ResumeIntegration (`tiendo integration resume bca-012`) first"
            ),
        ),
        (
            lambda: domain.advance(an_integration(Stage.TESTED), Stage.BUILT, **told()),
            (
                "stage: integrations/bca-012 is at TESTED, which is later than BUILT; if it went back, call "
                f"RevertIntegration (`tiendo integration revert bca-012`), if an entry is wrong, {_CORRECT}"
            ),
        ),
        (
            lambda: domain.advance(an_integration(Stage.TESTED), Stage.TESTED, **told()),
            (
                "stage: integrations/bca-012 is at TESTED already; give another stage, "
                f"or correct the entry that says so with {_CORRECT}"
            ),
        ),
        (
            lambda: domain.revert(an_integration(Stage.BUILT), Stage.TESTED, **told()),
            (
                "stage: integrations/bca-012 is at BUILT, which is earlier than TESTED; "
                "call AdvanceIntegration (`tiendo integration advance bca-012`) instead"
            ),
        ),
        (
            lambda: domain.block(an_integration(Stage.INTEGRATED), **told()),
            (
                "name: integrations/bca-012 is at INTEGRATED, where no work is left to hold up; if it is off, call "
                "SuspendIntegration (`tiendo integration suspend bca-012`), if it went back, "
                "RevertIntegration (`tiendo integration revert bca-012`)"
            ),
        ),
        (
            lambda: domain.suspend(an_integration(Stage.BUILT), **told()),
            (
                "name: integrations/bca-012 is at BUILT and on no portal yet; if work is held up, "
                "call BlockIntegration (`tiendo integration block bca-012`) instead"
            ),
        ),
        (
            lambda: domain.unblock(an_integration(Stage.BUILT), **told()),
            "name: integrations/bca-012 is ACTIVE, not BLOCKED; there is nothing to unblock, leave the call out",
        ),
        (
            lambda: domain.resume(an_integration(Stage.BUILT, Condition.WITHDRAWN), **told()),
            (
                "name: integrations/bca-012 is WITHDRAWN, not SUSPENDED; "
                "call ReinstateIntegration (`tiendo integration reinstate bca-012`) instead"
            ),
        ),
        (
            lambda: domain.withdraw(an_integration(Stage.BUILT, Condition.WITHDRAWN), **told()),
            (
                "name: integrations/bca-012 is WITHDRAWN already; leave the call out, or put it back into the plan "
                "with ReinstateIntegration (`tiendo integration reinstate bca-012`)"
            ),
        ),
    ],
)
def test_a_refusal_names_the_field_and_the_fix(step: Callable[[], object], message: str) -> None:
    """The message alone tells what is wrong, where, and what to call instead."""
    assert refusal_of(step).message == message


@pytest.mark.parametrize("verb", ["block", "suspend", "withdraw", "revert"])
@pytest.mark.parametrize("reason", ["", " \n\t", "\u200b"])
def test_a_step_that_takes_something_away_needs_a_reason(verb: str, reason: str) -> None:
    """A reason that shows nothing is EMPTY_REASON."""
    given = (Stage.BUILT,) if verb == "revert" else ()
    state = an_integration(Stage.LIVE_ON_MINISTRY_PORTAL)
    refused = refusal_of(getattr(domain, verb), state, *given, **told(reason=reason))

    assert (refused.reason, refused.message) == (Reason.EMPTY_REASON, "reason: is empty; give a text")


@pytest.mark.parametrize(
    ("given", "reason", "field"),
    [
        ({"reason": "x" * 2_001}, Reason.TEXT_TOO_LONG, "reason"),
        ({"reason": "a\x00b"}, Reason.INVALID_CHARACTER, "reason"),
        ({"evidence": [Evidence(note="ok")] * 21}, Reason.TOO_MANY, "evidence"),
        ({"evidence": [Evidence(note="ok"), Evidence(" ", "", "\n")]}, Reason.EMPTY_EVIDENCE, "evidence[1]"),
        ({"evidence": [Evidence("x" * 101)]}, Reason.TEXT_TOO_LONG, "evidence[0].document_number"),
        ({"evidence": [Evidence(note="x" * 10_001)]}, Reason.TEXT_TOO_LONG, "evidence[0].note"),
        ({"evidence": [Evidence(link="https://a.vn/" + "x" * 2_000)]}, Reason.TEXT_TOO_LONG, "evidence[0].link"),
        ({"evidence": [Evidence(link="ftp://a.vn")]}, Reason.INVALID_VALUE, "evidence[0].link"),
        ({"evidence": [Evidence(link="javascript:alert(1)")]}, Reason.INVALID_VALUE, "evidence[0].link"),
        ({"evidence": [Evidence(link="https://")]}, Reason.INVALID_VALUE, "evidence[0].link"),
        ({"evidence": [Evidence(link="https://[::1")]}, Reason.INVALID_VALUE, "evidence[0].link"),
        ({"evidence": [Evidence(link="https://a.vn:99999/")]}, Reason.INVALID_VALUE, "evidence[0].link"),
        ({"evidence": [Evidence(link="https://a.vn/b c")]}, Reason.INVALID_VALUE, "evidence[0].link"),
    ],
)
def test_texts_keep_their_limits(given: dict[str, Any], reason: Reason, field: str) -> None:
    """What is too long, too many, empty or no web address is refused by its own field."""
    refused = refusal_of(domain.advance, an_integration(), Stage.BUILT, **told(**given))

    assert (refused.reason, refused.fields) == (reason, (field,))


def test_texts_up_to_their_limits_are_taken() -> None:
    """2,000 characters of reason and 20 pieces of evidence are fine."""
    full = Evidence("x" * 100, "HTTPS://a.vn/" + "x" * 1_987, "y" * 2_000)
    _, entry = domain.block(an_integration(), **told(reason="ế" * 2_000, evidence=[full] * 20))

    assert entry.reason == "ế" * 2_000
    assert entry.evidence == (full,) * 20


def test_a_check_is_set_at_any_stage_and_condition() -> None:
    """A check that fails after INTEGRATED, or while withdrawn, changes the check and nothing else."""
    state = an_integration(Stage.INTEGRATED, Condition.WITHDRAWN)
    new = with_check(state, Check.POST, CheckState.FAILED)

    assert new.check(Check.POST) == ConnectionCheck(Check.POST, CheckState.FAILED, by(2022, 10, 10), ())
    assert [each.check for each in new.checks] == list(Check)
    assert (new.stage, new.condition, new.transition_count, new.version) == (state.stage, state.condition, 0, 2)


def test_setting_what_holds_changes_nothing() -> None:
    """A repeat without date or evidence, even a day later, gives the same object and keeps what was known."""
    given: Any = {"effective_date": on(2022, 9), "evidence": [Evidence("12/BC-BCA")], "now": NOW, "actor": "an"}
    state = domain.set_check(an_integration(), Check.POST, CheckState.PASSED, today=TODAY, **given)
    given |= {"effective_date": None, "evidence": (), "now": LATER}
    again = domain.set_check(state, Check.POST, CheckState.PASSED, today=date(2022, 10, 11), **given)
    unknown = with_check(again, Check.POST, CheckState.UNKNOWN)

    assert again is state
    assert with_check(state, Check.IDENTITY, CheckState.UNKNOWN) is state
    assert unknown.check(Check.POST) == ConnectionCheck(Check.POST)


@pytest.mark.parametrize(
    ("check_state", "when", "reason"),
    [
        (CheckState.UNKNOWN, on(2022), Reason.INVALID_VALUE),
        (CheckState.PASSED, on(2022, 10, 11), Reason.DATE_IN_FUTURE),
    ],
)
def test_a_check_has_a_date_that_can_be(check_state: CheckState, when: EffectiveDate, reason: Reason) -> None:
    """A date with UNKNOWN and a date to come are refused by the field `date`."""
    given: Any = {"effective_date": when, "evidence": (), "today": TODAY, "now": NOW, "actor": "an"}
    refused = refusal_of(domain.set_check, an_integration(), Check.POST, check_state, **given)

    assert (refused.reason, refused.fields) == (reason, ("date",))


def test_portal_links_are_set_replaced_and_removed() -> None:
    """Links stay in the order of the portals; setting the same again, or removing none, changes nothing."""

    def link(state: Integration, portal: Portal, uri: str) -> Integration:
        return domain.set_portal_link(state, portal, uri, now=LATER, actor="an")

    fresh = an_integration()
    both = link(link(fresh, Portal.NATIONAL, "https://n.vn/1"), Portal.MINISTRY, " http://m.vn/1 ")
    removed = link(both, Portal.NATIONAL, "")

    assert both.portal_links == (
        PortalLink(Portal.MINISTRY, "http://m.vn/1"),
        PortalLink(Portal.NATIONAL, "https://n.vn/1"),
    )
    assert (both.version, removed.version) == (3, 4)
    assert removed.portal_links == (PortalLink(Portal.MINISTRY, "http://m.vn/1"),)
    assert link(both, Portal.NATIONAL, "https://n.vn/1") is both
    assert link(removed, Portal.NATIONAL, "") is removed
    assert refusal_of(link, both, Portal.NATIONAL, "n.vn").fields == ("uri",)
