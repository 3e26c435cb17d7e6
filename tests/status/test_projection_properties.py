"""However facts come in, they fold to the same model and the same events."""

from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.status.domain import (
    standing,
)
from services.status.projection import (
    CompletionSummary,
    Fact,
    ProgressDraft,
    ReadModel,
    fold,
    follow,
)
from tests.support.status_facts import PLAN
from tests.support.status_histories import days, journals
from tests.support.surveys import count


@given(journals(), st.lists(st.integers(0, 25)), days)
def test_batches_never_show(facts: list[Fact], cuts: list[int], today: date) -> None:
    """Any batching gives the model and the events of folding all at once."""
    edges = [0, *sorted(min(cut, len(facts)) for cut in cuts), len(facts)]
    model, drafts = ReadModel(), dict[str, ProgressDraft]()
    for begin, end in pairwise(edges):
        model, told = follow(model, facts[begin:end], today)
        for draft in told:
            drafts.setdefault(draft.cause, draft)

    assert model == fold(ReadModel(), facts)
    assert list(drafts.values()) == follow(ReadModel(), facts, today)[1]


@given(journals(), days)
def test_the_order_of_the_sources_never_shows(facts: list[Fact], today: date) -> None:
    """Reading one journal whole before the other gives the same model and the same counts."""
    sorted_by_source = sorted(facts, key=lambda fact: fact.origin.source, reverse=True)
    model, other = fold(ReadModel(), facts), fold(ReadModel(), sorted_by_source)

    assert model == other
    assert model.summary(PLAN, today) == other.summary(PLAN, today)


@given(journals(), st.lists(days, min_size=1))
def test_figures_carried_along_are_those_of_a_full_count(facts: list[Fact], todays: list[date]) -> None:
    """While facts come in and the days go by, every summary equals a count from nothing, and so do the steps kept."""
    model = ReadModel()
    for position, fact in enumerate(facts):
        today = todays[position * len(todays) // len(facts)]
        model, _ = follow(model, [fact], today)
        total = count(model.programmes[PLAN], model.services.values(), today).total

        assert model.summary(PLAN, today) == CompletionSummary(total.planned, total.completed, total.not_reported)
    assert all(history.chain == standing(history.entries) for history in model.services.values())
