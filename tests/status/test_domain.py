"""A figure says what is certain on a day, as known at an instant."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from services.common.dates import EffectiveDate, PartialDate
from services.common.errors import Kind, Reason, Refusal
from services.status.domain import (
    Completion,
    Condition,
    Counts,
    EventKind,
    GroupBy,
    Outcome,
    Programme,
    ServiceHistory,
    Stage,
    StepKind,
    read,
    standing,
)
from tests.support.status_facts import (
    BY_SEPTEMBER,
    LATER,
    PLAN,
    SEEDED,
    START,
    TODAY,
    annulled,
    at,
    condition_step,
    member,
    on,
    outcome,
    plan,
    programme_version,
    redated,
    reverted,
    seed,
    service_version,
    stage_step,
)
from tests.support.surveys import count
from tiendo.integration.v1 import integration_pb2, transition_pb2
from tiendo.status.v1 import completion_pb2, events_pb2


def six(completion: Completion) -> tuple[int, ...]:
    """Completed, uncertain, in progress, suspended, withdrawn, not reported."""
    total = completion.total
    return (
        total.completed,
        total.uncertain,
        total.in_progress,
        total.suspended,
        total.withdrawn,
        total.not_reported,
    )


@pytest.mark.parametrize(
    ("as_of", "counts", "facts_through"),
    [
        (PartialDate(2022, 9), (11, 0, 0, 0, 0, 216), PartialDate(2022, 9)),
        (PartialDate(2022, 9, 30), (11, 0, 0, 0, 0, 216), PartialDate(2022, 9)),
        (PartialDate(2022), (11, 0, 0, 0, 0, 216), PartialDate(2022, 9)),
        (PartialDate(2026, 11, 25), (11, 0, 0, 0, 0, 216), PartialDate(2022, 9)),
        (PartialDate(2022, 9, 29), (0, 11, 0, 0, 0, 216), None),
        (PartialDate(2022, 9, 15), (0, 11, 0, 0, 0, 216), None),
        (PartialDate(2022, 8, 31), (0, 11, 0, 0, 0, 216), None),
        (PartialDate(2022, 1, 1), (0, 11, 0, 0, 0, 216), None),
        (PartialDate(2021, 12, 31), (0, 0, 0, 0, 0, 227), None),
    ],
)
def test_the_source_is_counted_as_it_speaks(
    as_of: PartialDate, counts: tuple[int, ...], facts_through: PartialDate | None
) -> None:
    """The 11 are complete from the end of September 2022, uncertain earlier in 2022, and nothing before it."""
    completion = count(plan(), seed(), as_of.last_day())

    assert six(completion) == counts
    assert completion.facts_through == facts_through
    assert completion.total.planned == completion.total.listed == 227


def test_every_stage_and_condition_is_listed() -> None:
    """Stages and conditions come in order, zeros too, and sum to the services listed."""
    total = count(plan(), seed(), date(2022, 9, 30)).total

    assert list(total.by_stage.items()) == [
        (Stage.SELECTED, 216),
        (Stage.STANDARDISED, 0),
        (Stage.REENGINEERED, 0),
        (Stage.BUILT, 0),
        (Stage.TESTED, 0),
        (Stage.LIVE_ON_MINISTRY_PORTAL, 0),
        (Stage.INTEGRATED, 11),
    ]
    assert list(total.by_condition.items()) == [
        (Condition.ACTIVE, 227),
        (Condition.BLOCKED, 0),
        (Condition.SUSPENDED, 0),
        (Condition.WITHDRAWN, 0),
    ]


def test_a_twelfth_service_counts_from_its_day() -> None:
    """An integration on 05/10/2022 makes 12 from that day on, and leaves September at 11."""
    services = seed()
    services[11] = services[11].with_entry(stage_step(1, Stage.INTEGRATED, on("2022-10-05"), LATER))

    october = count(plan(), services, date(2022, 10, 5))
    september = count(plan(), services, date(2022, 9, 30))
    assert six(october) == (12, 0, 0, 0, 0, 215)
    assert october.facts_through == PartialDate(2022, 10, 5)
    assert six(count(plan(), services, date(2022, 10, 4))) == (11, 0, 0, 0, 0, 216)
    assert six(september) == (11, 0, 0, 0, 0, 216)
    assert september.facts_through == PartialDate(2022, 9)
    assert six(count(plan(), services, TODAY, LATER - timedelta(microseconds=1))) == (11, 0, 0, 0, 0, 216)


def test_an_annulled_step_never_happened_but_was_once_believed() -> None:
    """Annulling gives back every answer as of any day; as known before it, the twelfth still counts."""
    services = seed()
    corrected = LATER + timedelta(hours=1)
    services[11] = (
        services[11]
        .with_entry(stage_step(1, Stage.INTEGRATED, on("2022-10-05"), LATER))
        .with_entry(annulled(2, 1, corrected))
    )

    now = count(plan(), services, TODAY)
    assert six(now) == (11, 0, 0, 0, 0, 216)
    assert now.facts_through == PartialDate(2022, 9)
    before = count(plan(), services, TODAY, corrected - timedelta(microseconds=1))
    assert six(before) == (12, 0, 0, 0, 0, 215)
    assert before.facts_through == PartialDate(2022, 10, 5)


def test_a_period_is_certain_once_it_was_reported() -> None:
    """A step of September 2022 told on 20/09 is possible from 01/09 and certain from 20/09, not from 30/09."""
    service = member(stage_step(1, Stage.INTEGRATED, on("2022-09"), at("2022-09-20")))

    days = [date(2022, 8, 31), date(2022, 9, 1), date(2022, 9, 19), date(2022, 9, 20)]
    assert [outcome(service, day) for day in days] == ["NOT_REPORTED", "UNCERTAIN", "UNCERTAIN", "COMPLETED"]


def test_the_day_of_recording_is_vietnams() -> None:
    """What is recorded at 17:00 UTC is certain from the next day, for in Vietnam it is midnight."""
    evening = at("2022-09-19").replace(hour=17)
    service = member(stage_step(1, Stage.INTEGRATED, on("2022-09"), evening))

    assert outcome(service, date(2022, 9, 19)) == "UNCERTAIN"
    assert outcome(service, date(2022, 9, 20)) == "COMPLETED"


def test_without_a_programme_start_at_the_latest_reaches_back_for_ever() -> None:
    """Where nobody knows when the programme began, nothing bounds what happened at the latest by a date."""
    completion = count(plan(start=""), seed(), date(1990, 1, 1))

    assert six(completion) == (0, 11, 0, 0, 0, 216)


def test_a_re_dated_step_holds_its_new_date() -> None:
    """After re-dating to October the service is no longer complete in September, but was so as known before."""
    service = member(
        stage_step(1, Stage.INTEGRATED, on("2022-09-05"), at("2022-09-06")),
        redated(2, 1, on("2022-10-05"), at("2022-10-20")),
    )

    assert outcome(service, date(2022, 9, 30)) == "NOT_REPORTED"
    assert outcome(service, date(2022, 10, 5)) == "COMPLETED"
    assert read(service, date(2022, 9, 30), at("2022-10-19"), START).outcome is Outcome.COMPLETED


def test_a_re_dated_period_is_certain_by_its_correction() -> None:
    """The claim of 06/09 about its date was wrong, so it makes nothing certain: the correction of 20/09 does."""
    service = member(
        stage_step(1, Stage.INTEGRATED, on("2022-09-05"), at("2022-09-06")),
        redated(2, 1, on("2022-09"), at("2022-09-20")),
    )

    assert standing(service.entries)[0].certain == date(2022, 9, 20)
    assert outcome(service, date(2022, 9, 19)) == "UNCERTAIN"
    assert outcome(service, date(2022, 9, 20)) == "COMPLETED"


def test_the_last_re_dating_holds() -> None:
    """A step re-dated twice has the date given last."""
    service = member(
        stage_step(1, Stage.INTEGRATED, on("2022-09-05")),
        redated(2, 1, on("2022-09-06"), LATER),
        redated(3, 1, on("2022-09-07"), LATER + timedelta(hours=1)),
    )

    assert [link.effective for link in service.chain] == [on("2022-09-07")]
    assert [link.effective for link in service.chain_at(LATER)] == [on("2022-09-06")]


def test_annulling_one_step_leaves_what_the_others_say() -> None:
    """Without the revert between them, the later step still sets the stage it says."""
    service = member(
        stage_step(1, Stage.TESTED, on("2022-03-01")),
        reverted(2, Stage.BUILT, on("2022-04-01")),
        condition_step(3, StepKind.BLOCKED, on("2022-05-01")),
        annulled(4, 2, LATER),
    )

    assert [link.state for link in service.chain] == [
        (Stage.TESTED, Condition.ACTIVE),
        (Stage.TESTED, Condition.BLOCKED),
    ]
    assert service.state == (Stage.TESTED, Condition.BLOCKED)


def test_conditions_are_counted_by_the_latest_certain_one() -> None:
    """Blocked is an of-which of in progress; suspended and withdrawn are lines of their own that shrink nothing."""
    live = stage_step(1, Stage.INTEGRATED, on("2022-03-01"))
    services = [
        member(stage_step(1, Stage.BUILT, on("2022-03-01")), number=1),
        member(
            stage_step(1, Stage.BUILT, on("2022-03-01")),
            condition_step(2, StepKind.BLOCKED, on("2022-04-01")),
            number=2,
        ),
        member(live, condition_step(2, StepKind.SUSPENDED, on("2022-04-01")), number=3),
        member(condition_step(1, StepKind.WITHDRAWN, on("2022-04-01")), number=4),
        member(
            live,
            condition_step(2, StepKind.SUSPENDED, on("2022-04-01")),
            condition_step(3, StepKind.RESUMED, on("2022-05-01")),
            number=5,
        ),
    ]

    assert count(plan(7), services, date(2022, 4, 30)).total == Counts(
        planned=7,
        listed=5,
        completed=0,
        uncertain=0,
        in_progress=2,
        blocked=1,
        suspended=2,
        withdrawn=1,
        not_reported=2,
        by_stage=dict.fromkeys(Stage, 0) | {Stage.SELECTED: 1, Stage.BUILT: 2, Stage.INTEGRATED: 2},
        by_condition={Condition.ACTIVE: 1, Condition.BLOCKED: 1, Condition.SUSPENDED: 2, Condition.WITHDRAWN: 1},
    )
    assert six(count(plan(7), services, date(2022, 5, 1))) == (1, 0, 2, 1, 1, 2)
    assert six(count(plan(7), services, date(2022, 3, 31))) == (2, 0, 2, 0, 0, 3)


def test_the_plan_and_its_members_are_as_known_then() -> None:
    """Before a place was added and filled, the plan had fewer places and the service no membership."""
    programme = Programme(PLAN, (programme_version(1), programme_version(2, LATER)))
    outside = replace(service_version(2), memberships=())
    joined = ServiceHistory("bca-002", (outside, service_version(2, LATER)))
    services = [member(stage_step(1, Stage.INTEGRATED, BY_SEPTEMBER)), joined, ServiceHistory("bca-003")]

    assert six(count(programme, services, TODAY)) == (1, 0, 0, 0, 0, 1)
    assert count(programme, services, TODAY).total.listed == 2
    before = count(programme, services, TODAY, SEEDED)
    assert (before.total.planned, before.total.listed, before.total.not_reported) == (1, 1, 0)
    assert before.programme == programme_version(1)


def test_a_retired_service_counts_as_before() -> None:
    """Abolishing a procedure changes no count."""
    services = seed()
    services[0] = services[0].with_version(replace(service_version(1, LATER), retired=True))

    assert six(count(plan(), services, TODAY)) == (11, 0, 0, 0, 0, 216)


def test_a_programme_is_not_found_before_it_was_known() -> None:
    """Asked as known before its first record, the programme is refused, naming the instant."""
    with pytest.raises(Refusal) as refused:
        count(plan(), seed(), TODAY, at("2024-06-13"))

    assert (refused.value.kind, refused.value.reason) == (Kind.NOT_FOUND, Reason.PROGRAMME_NOT_FOUND)
    assert refused.value.message == (
        "known_at: programmes/bca-2022 was not known at 2024-06-13T05:00:00.000000Z; "
        "ask as known at 2024-06-14T01:00:00.000000Z or later"
    )
    assert refused.value.metadata == {"name": "programmes/bca-2022"}


def test_of_dates_with_one_last_day_the_finer_is_told() -> None:
    """30/09/2022 says more than 09/2022, whichever service it comes from."""
    month = member(stage_step(1, Stage.BUILT, BY_SEPTEMBER), number=1)
    day = member(stage_step(1, Stage.BUILT, on("2022-09-30")), number=2)

    assert count(plan(), [month, day], TODAY).facts_through == PartialDate(2022, 9, 30)
    assert count(plan(), [day, month], TODAY).facts_through == PartialDate(2022, 9, 30)


def test_a_step_gives_one_event() -> None:
    """Reaching INTEGRATED is told as that alone; types and subject tokens are made of one name."""
    advanced = stage_step(1, Stage.BUILT, on("2022-03-01"))
    integrated = stage_step(1, Stage.INTEGRATED, EffectiveDate(PartialDate(2022)))

    assert (advanced.event.type, advanced.event.token) == ("service.advanced", "service_advanced")
    assert (integrated.event.type, integrated.event.token) == ("service.integrated", "service_integrated")
    assert condition_step(1, StepKind.BLOCKED, on("2022")).event is EventKind.SERVICE_BLOCKED
    assert EventKind.PROGRAMME_TARGET_PASSED.type == "programme.target_passed"
    assert len(EventKind) == 17


def test_numbers_and_names_are_those_of_the_contracts() -> None:
    """Every enum holds the contract's values, so that nothing need be translated but the type in the name."""
    steps = transition_pb2.TransitionKind.items()

    assert [(f"STAGE_{value.name}", value.value) for value in Stage] == integration_pb2.Stage.items()[1:]
    assert [(f"CONDITION_{value.name}", value.value) for value in Condition] == integration_pb2.Condition.items()[1:]
    assert [(f"TRANSITION_KIND_{value.name}", value.value) for value in StepKind] == steps[1:-1]
    assert [(f"GROUP_BY_{value.name}", value.value) for value in GroupBy] == completion_pb2.GroupBy.items()[1:]
    assert [
        (f"PROGRESS_EVENT_KIND_{value.name}", value.value) for value in EventKind
    ] == events_pb2.ProgressEventKind.items()[1:]
