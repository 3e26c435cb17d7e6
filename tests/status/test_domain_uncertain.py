"""What may have happened, what is known to have, and what nobody reported."""

from datetime import date

from services.status.domain import EVERYTHING, CheckReport, Condition, Outcome, Stage, StepKind, read
from tests.support.status_facts import (
    START,
    TODAY,
    at,
    by,
    condition_step,
    member,
    on,
    outcome,
    plan,
    redated,
    reverted,
    seed,
    stage_step,
)
from tests.support.surveys import count


def test_a_possible_suspension_makes_a_completed_service_uncertain() -> None:
    """Within the month of its suspension a service may be complete or not; at its end it is suspended."""
    service = member(
        stage_step(1, Stage.INTEGRATED, on("2022-03-01")),
        condition_step(2, StepKind.SUSPENDED, on("2022-05"), at("2022-07-01")),
    )

    days = [date(2022, 4, 30), date(2022, 5, 1), date(2022, 5, 30), date(2022, 5, 31)]
    assert [outcome(service, day) for day in days] == ["COMPLETED", "UNCERTAIN", "UNCERTAIN", "SUSPENDED"]


def test_steps_happen_in_their_order() -> None:
    """A step cannot have happened while the one before it has not, however wide its own period is."""
    service = member(
        stage_step(1, Stage.TESTED, on("2022-06-15")),
        stage_step(2, Stage.INTEGRATED, by("2022-09")),
    )

    days = [date(2022, 6, 14), date(2022, 6, 15), date(2022, 9, 29), date(2022, 9, 30)]
    assert [outcome(service, day) for day in days] == ["NOT_REPORTED", "UNCERTAIN", "UNCERTAIN", "COMPLETED"]


def test_every_step_that_may_have_happened_is_tried() -> None:
    """Within one month a service may be as selected, built or integrated, so it is uncertain throughout."""
    service = member(
        stage_step(1, Stage.BUILT, on("2022-09")),
        stage_step(2, Stage.INTEGRATED, on("2022-09")),
    )

    assert outcome(service, date(2022, 8, 31)) == "NOT_REPORTED"
    assert outcome(service, date(2022, 9, 1)) == "UNCERTAIN"
    assert outcome(service, date(2022, 9, 30)) == "COMPLETED"


def test_a_certain_step_vouches_for_those_before_it() -> None:
    """Re-dated after the next step was told, an earlier step has still happened once the next one surely has."""
    service = member(
        stage_step(1, Stage.TESTED, on("2022-09-20"), at("2022-09-20")),
        stage_step(2, Stage.INTEGRATED, on("2022-09"), at("2022-09-21")),
        redated(3, 1, on("2022-09-28"), at("2022-09-30")),
    )

    assert outcome(service, date(2022, 9, 20)) == "NOT_REPORTED"
    assert outcome(service, date(2022, 9, 21)) == "COMPLETED"


def test_something_possible_is_no_report() -> None:
    """A step that may or may not have happened, and completes nothing, leaves the service not reported."""
    service = member(stage_step(1, Stage.BUILT, on("2022-09")))

    assert outcome(service, date(2022, 9, 29)) == "NOT_REPORTED"
    assert outcome(service, date(2022, 9, 30)) == "IN_PROGRESS"


def test_back_at_the_first_stage_is_not_unreported() -> None:
    """Something beyond its selection is known of a service that was reverted to SELECTED."""
    service = member(
        stage_step(1, Stage.BUILT, on("2022-03-01")),
        reverted(2, Stage.SELECTED, on("2022-04-01")),
    )

    assert read(service, TODAY, EVERYTHING, START) == (Outcome.IN_PROGRESS, Stage.SELECTED, Condition.ACTIVE)


def test_a_connection_check_is_something_known() -> None:
    """A service with a check under way is in progress from the day that is certain, and as known once it was told."""
    pending = CheckReport("PAYMENT", "PENDING", at("2022-05-10"), on("2022-05-05"))
    passed = CheckReport("PAYMENT", "PASSED", at("2022-06-10"), on("2022-06-05"))
    service = member(checks=(pending, passed))

    assert outcome(service, date(2022, 5, 4)) == "NOT_REPORTED"
    assert outcome(service, date(2022, 5, 5)) == "IN_PROGRESS"
    assert read(service, date(2022, 5, 5), at("2022-05-09"), START).outcome is Outcome.NOT_REPORTED


def test_a_check_set_back_to_unknown_is_nothing_known() -> None:
    """What the check once said no longer counts, unless one asks as known before, or another check says something."""
    pending = CheckReport("PAYMENT", "PENDING", at("2022-05-10"), on("2022-05-05"))
    unknown = CheckReport("PAYMENT", "UNKNOWN", at("2022-06-10"), None)
    other = CheckReport("POST", "NOT_REQUIRED", at("2022-06-11"), on("2022-06-11"))

    assert outcome(member(checks=(pending, unknown)), TODAY) == "NOT_REPORTED"
    assert read(member(checks=(pending, unknown)), TODAY, at("2022-06-09"), START).outcome is Outcome.IN_PROGRESS
    assert outcome(member(checks=(pending, unknown, other)), TODAY) == "IN_PROGRESS"


def test_unfilled_places_are_not_reported() -> None:
    """A plan of 227 with 11 services listed has 216 places of which nothing is known."""
    total = count(plan(), seed()[:11], TODAY).total

    assert (total.planned, total.listed, total.completed, total.not_reported) == (227, 11, 11, 216)
    assert sum(total.by_stage.values()) == 11
