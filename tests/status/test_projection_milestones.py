"""Milestones and summaries: what is told of a whole programme."""

from dataclasses import replace
from datetime import date

import pytest

from services.common.errors import Kind, Reason, Refusal
from services.status.domain import Stage, StepKind
from services.status.projection import CompletionSummary, Fact, ReadModel, apply, fold, follow
from tests.support.status_facts import BY_SEPTEMBER, PLAN, condition_step, on, service_version, stage_step
from tests.support.status_folding import TODAY, kinds, listed, origin, programme, seeded, step_by_step, told


def test_milestones_are_told_when_the_share_first_reaches_them() -> None:
    """Of ten places the first completed makes 10 %; jumps tell every threshold passed, each under one cause."""
    facts: list[Fact] = [programme(planned=10), *(listed(number, number + 1) for number in range(1, 11))]
    facts += [told(n, n, stage_step(1, Stage.INTEGRATED, on("2022-03-01"))) for n in range(1, 11)]
    drafts = [draft for draft in follow(ReadModel(), facts, TODAY)[1] if draft.milestone_percent]

    assert [(draft.milestone_percent, draft.completion and draft.completion.completed) for draft in drafts] == [
        (10, 1),
        (25, 3),
        (50, 5),
        (75, 8),
        (90, 9),
        (100, 10),
    ]
    assert drafts[2].cause == "milestone/bca-2022/50"
    assert drafts[2].service == ""
    assert drafts[2].origin == origin("integration", 5)


def test_a_smaller_plan_can_reach_a_milestone() -> None:
    """Changing the denominator is no event of a service, yet it can carry the share over a threshold."""
    facts: list[Fact] = [programme(planned=40), *(listed(number, number + 1) for number in range(1, 4))]
    facts += [told(n, n, stage_step(1, Stage.INTEGRATED, BY_SEPTEMBER)) for n in range(1, 4)]
    model, before = step_by_step(ReadModel(), facts)
    drafts = step_by_step(model, [programme(5, planned=30)])[1]

    assert not [draft for draft in before if draft.milestone_percent]
    assert kinds(drafts) == ["programme.milestone 10"]
    assert drafts[0].completion == CompletionSummary(30, 3, 27)


def test_a_milestone_that_only_the_calendar_reached_is_told_with_the_next_fact() -> None:
    """A date that became certain overnight tells its milestone with whatever is folded next."""
    facts: list[Fact] = [
        programme(planned=2),
        listed(1, 2),
        listed(2, 3),
        told(1, 1, stage_step(1, Stage.INTEGRATED, BY_SEPTEMBER)),
    ]
    model, drafts = step_by_step(ReadModel(), facts, date(2022, 9, 29))

    assert "programme.milestone 50" not in kinds(drafts)
    block = told(2, 2, condition_step(1, StepKind.BLOCKED, on("2022-09-01")))
    assert kinds(step_by_step(model, [block], date(2022, 9, 30))[1]) == [
        "service.blocked",
        "programme.milestone 10",
        "programme.milestone 25",
        "programme.milestone 50",
    ]


def test_a_summary_follows_the_calendar() -> None:
    """Asked for another day, the counts are those of that day, and of today again after it."""
    model = fold(seeded(), [])

    days = [TODAY, date(2022, 9, 15), TODAY]
    assert [model.summary(PLAN, day) for day in days] == [
        CompletionSummary(227, 11, 216),
        CompletionSummary(227, 0, 216),
        CompletionSummary(227, 11, 216),
    ]


def test_leaving_a_programme_is_counted_and_a_moved_start_too() -> None:
    """Figures that are carried along agree with a full count after memberships and the programme's start changed."""
    model = seeded()
    day = date(2022, 8, 31)
    uncertain = model.summary(PLAN, day)
    model = apply(model, listed(1, 229, replace(service_version(1), memberships=())))
    left = model.summary(PLAN, day)
    model = apply(model, programme(230, start="2022-09"))

    assert uncertain == CompletionSummary(227, 0, 216)
    assert left == CompletionSummary(227, 0, 217)
    assert model.summary(PLAN, day) == CompletionSummary(227, 0, 227)


def test_an_unknown_programme_is_refused() -> None:
    """Asking for a programme nobody recorded is NOT_FOUND and names it."""
    with pytest.raises(Refusal) as refused:
        seeded().programme("bca-1999")

    assert (refused.value.kind, refused.value.reason) == (Kind.NOT_FOUND, Reason.PROGRAMME_NOT_FOUND)
    assert refused.value.message == "programme: there is no programmes/bca-1999"
