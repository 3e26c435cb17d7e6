"""The same question gives the same numbers: filters, and what screens show when no date is asked."""

from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.dates import PartialDate
from services.common.errors import Reason, Refusal
from services.common.journal import Head
from services.status.domain import GroupBy, Outcome, Programme, ServiceHistory, Stage, StepKind
from services.status.projection import ReadModel
from services.status.storage import State
from services.status.usecases import Question, completion, latest_report_day, parse_filter, surveyed
from tests.support.status_facts import (
    PLAN,
    SEEDED,
    TODAY,
    condition_step,
    member,
    on,
    plan,
    seed,
    service_version,
    stage_step,
)
from tests.support.status_histories import PLACES, days, plans, programmes
from tests.support.surveys import count


def state_of(services: Sequence[ServiceHistory], programme: Programme | None = None) -> State:
    """A state that holds these services."""
    model = ReadModel({PLAN: programme or plan()}, {history.id: history for history in services})
    return State(Head("ep", 1, "", SEEDED), model)


def version(number: int, name: str, **fields: object) -> ServiceHistory:
    """A named member at no stage yet."""
    made = service_version(number, name=name, **fields)  # type: ignore[arg-type]
    return member(number=number, version=made)


NAMED = [
    version(
        1, "Cấp hộ chiếu phổ thông", field="Xuất nhập cảnh", levels=("bộ", "tỉnh"), agencies=(("Cục A", None, None),)
    ),
    version(2, "Đăng ký thường trú", field="Cư trú", agencies=(("Cục B", PartialDate(2023), None),)),
    member(number=3),
    member(stage_step(1, Stage.BUILT, on("2022-09")), condition_step(2, StepKind.BLOCKED, on("2022-10")), number=4),
    member(stage_step(1, Stage.INTEGRATED, on("2022-09")), number=5),
]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("naming = SLOT", [3, 4, 5]),
        ("naming = named", [1, 2]),
        ('field = "cu tru"', [2]),
        ("NOT field : *", [3, 4, 5]),
        ("level = TỈNH", [1]),
        ("agency : *", [1]),  # as of 2022 nobody owned the second
        ('agency = "cuc a"', [1]),
        ("stage = BUILT", [4]),
        ("stage = SELECTED OR stage = BUILT", [1, 2, 3, 4]),
        ("condition = BLOCKED", [4]),
        ("outcome = COMPLETED", [5]),
        ("outcome = NOT_REPORTED AND naming = SLOT", [3]),
        ('text : "ho chieu"', [1]),
        ('text = "thuong dang"', [2]),
        ("text : bca-003", [3]),
    ],
)
def test_a_filter_counts_what_it_lets_through(text: str, numbers: list[int]) -> None:
    """What is planned is then what is let through; places that no service fills are not."""
    day = date(2022, 12, 31)
    state = state_of(NAMED)
    found = [one.history.id for one in surveyed(state, PLAN, day, filter=text)]
    answer = completion(state, Question(PLAN, PartialDate(2022), filter=text, by=GroupBy.FIELD), TODAY)

    assert found == [f"bca-{number:03}" for number in numbers]
    assert (answer.total.listed, answer.total.planned) == (len(numbers), len(numbers) if text else 227)
    assert sum(group.counts.planned for group in answer.groups) == answer.total.planned


@settings(deadline=None, max_examples=60)
@given(programmes, plans, days, st.sampled_from(Outcome))
def test_outcomes_divide_the_whole(
    programme: Programme, services: list[ServiceHistory], as_of: date, outcome: Outcome
) -> None:
    """What a filter by outcome lets through is exactly that line of the whole count."""
    whole = count(programme, services, as_of)
    part = count(programme, services, as_of, wanted=parse_filter(f"outcome = {outcome.name}", as_of))

    line = getattr(whole.total, outcome.name.lower())
    unfilled = PLACES - whole.total.listed if outcome is Outcome.NOT_REPORTED else 0
    assert part.total.planned == part.total.listed == line - unfilled


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("owner = x", Reason.UNKNOWN_FIELD),
        ("stage = DONE", Reason.UNKNOWN_VALUE),
        ("stage =", Reason.INVALID_FILTER),
        ("x" * 2001, Reason.INVALID_FILTER),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, reason: Reason) -> None:
    """Each fault has its reason, and the field is `filter`."""
    with pytest.raises(Refusal) as refused:
        completion(state_of(NAMED), Question(PLAN, filter=text), TODAY)

    assert (refused.value.reason, refused.value.fields) == (reason, ("filter",))


def test_without_a_date_screens_show_the_latest_reports() -> None:
    """09/2022 with the seed; today where no fact is dated."""
    assert latest_report_day(state_of(seed()), PLAN, TODAY) == PartialDate(2022, 9)
    assert latest_report_day(state_of([member()]), PLAN, TODAY) == PartialDate.of_day(TODAY)


def test_a_question_without_a_date_is_of_today() -> None:
    """The answer names the day it is of."""
    assert completion(state_of(seed()), Question(PLAN), TODAY).as_of == PartialDate.of_day(TODAY)
