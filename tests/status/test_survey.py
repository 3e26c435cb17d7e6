"""What is remembered of services from one state to the next is what would be worked out anew."""

from collections.abc import Sequence
from datetime import date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import Refusal
from services.status.domain import (
    EVERYTHING,
    GroupBy,
    Interval,
    Stage,
    Survey,
    attention,
    burn_up,
    count,
    count_groups,
    keys_of,
)
from services.status.forecast import forecast
from services.status.projection import Fact, ReadModel, apply
from services.status.web.listing import SORTS, Wanted, found
from tests.support.status_facts import PLAN, TODAY, plan, seed
from tests.support.status_histories import days, instants, journals


def answers(survey: Survey) -> list[object]:
    """All that is asked of a survey."""
    return [
        list(survey),
        count(survey),
        *(count_groups(survey, by) for by in GroupBy),
        *(keys_of(survey, by) for by in GroupBy),
        burn_up(survey, interval=Interval.DAY),
        attention(survey, allowed_days=dict.fromkeys(Stage, 10)),
        forecast(survey),
        *([survey[place] for place in found(survey, Wanted(sort=sort))] for sort in SORTS),
        [survey[place] for place in found(survey, Wanted(q="bca-002"))],
    ]


def asked_of(model: ReadModel, day: date, known_at: datetime, *, carried: bool) -> list[object] | Refusal:
    """The answers, from what the model carries along or from nothing; or why there are none."""
    try:
        programme = model.programme(PLAN)
        services = list(model.services.values())
        return answers(model.survey(PLAN, day, known_at) if carried else Survey.of(programme, services, day, known_at))
    except Refusal as refusal:
        return refusal


@settings(deadline=None, max_examples=150)
@given(journals(), st.lists(st.tuples(days, st.just(EVERYTHING) | instants), min_size=1, max_size=3))
def test_answers_carried_along_are_those_worked_out_anew(
    facts: Sequence[Fact], asked: Sequence[tuple[date, datetime]]
) -> None:
    """Fact by fact, whichever day is asked about after each, and where the programme begins on another day."""
    model = ReadModel()
    for place, fact in enumerate(facts):
        model = apply(model, fact)
        day, known_at = asked[place % len(asked)]
        carried = asked_of(model, day, known_at, carried=True)
        anew = asked_of(model, day, known_at, carried=False)
        assert str(carried) == str(anew) if isinstance(anew, Refusal) else carried == anew


def test_only_what_has_changed_is_looked_at_again() -> None:
    """What is known of the other services is the very same, and nothing is copied where nothing has changed."""
    services = {history.id: history for history in seed()}
    first = Survey.of(plan(), services.values(), TODAY)
    services["bca-012"] = services["bca-012"].with_version(services["bca-012"].versions[-1])
    second = Survey.of(plan(), services.values(), TODAY, earlier=first)

    assert [one.history.id for one, other in zip(second, first, strict=True) if one is not other] == ["bca-012"]
    assert Survey.of(second_plan := plan(), services.values(), TODAY, earlier=second) is not second
    assert Survey.of(second_plan, services.values(), date(2022, 9, 1), earlier=second).scope.as_of == date(2022, 9, 1)


def test_a_model_keeps_few_surveys() -> None:
    """However many days are asked about, of one model or of those folded from it."""
    model = ReadModel({PLAN: plan()}, {history.id: history for history in seed()})
    for day in range(1, 29):
        model.survey(PLAN, date(2022, 9, day))

    assert model.survey(PLAN, date(2022, 9, 28)) is model.survey(PLAN, date(2022, 9, 28))
    assert len(model._surveys) <= 6
