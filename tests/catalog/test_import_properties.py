"""Whatever a list says: no two rows become one service, one wrong row stops all, and a list that was applied says nothing new."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain import new_programme
from services.catalog.importing.applying import apply
from services.catalog.importing.entries import Entries, entry_of
from services.catalog.importing.matching import Decision, Outcome, Targets, decide
from services.catalog.importing.scope import Target
from services.catalog.storage import CatalogWork, State
from services.catalog.usecases import programme_entry
from services.common.journal import Head
from services.common.sheets import Cell, Columns, ListRow, Sheet
from services.common.work import Caller

NOW = datetime(2022, 10, 5, tzinfo=UTC)
EMPTY = State(Head("e", 0, "", NOW))
SHEET = Sheet("csv", "", ("",), iter(()))
COLUMNS = Columns("", 1, {"code": (0, "Mã số"), "name": (1, "Tên"), "field": (2, "Lĩnh vực")}, ())
PLAN = replace(new_programme("thu", NOW, "lan"), display_name="Mẫu", planned_count=6)

rows = st.lists(
    st.tuples(
        st.sampled_from(["", "", "1.000010", "1.000020", "1.000030", "1.000010; 1.000020"]),
        st.sampled_from(["", "Mẫu một", "MẪU  MỘT", "Mẫu hai", "Mẫu hai nữa", "Mẫu ba"]),
        st.sampled_from(["", "Một", "Hai"]),
    ),
    max_size=7,
)
targets = st.sampled_from([Target(None), Target(PLAN)])


def read(cells: Sequence[tuple[str, str, str]]) -> Entries:
    """The rows of a list as entries, from row 2 on."""
    return Entries(
        entry_of(ListRow(SHEET, COLUMNS, number, [*map(Cell, row)]), {}) for number, row in enumerate(cells, start=2)
    )


def decided(cells: Sequence[tuple[str, str, str]], state: State, target: Target) -> list[Decision]:
    """Decide a list."""
    return [*decide(read(cells), state, target, Targets(), lambda row: f"mẫu, dòng {row}")]


def applied(decisions: Sequence[Decision], state: State) -> State:
    """The state after them."""
    work = CatalogWork.prepared(state, NOW)
    for decision in decisions:
        apply(work, decision, Caller("lan"))
    return work.result()


def planned() -> State:
    """A state with the programme."""
    return EMPTY.changed(EMPTY.head, [programme_entry(PLAN)], [])


def filled(target: Target) -> State:
    """A state with two services that rows may be by code or by name."""
    first = [("1.000010", "Mẫu một", ""), ("", "Mẫu hai", "")]
    return applied(decided(first, planned(), target), planned())


def rejected(decisions: Sequence[Decision]) -> bool:
    """Whether a row is."""
    return any(decision.outcome is Outcome.REJECTED for decision in decisions)


@given(rows, rows, targets)
def test_a_list_that_was_applied_says_nothing_new(
    first: list[tuple[str, str, str]], second: list[tuple[str, str, str]], target: Target
) -> None:
    """After a list was applied, on whatever was there, the same list changes nothing."""
    state = planned()
    before = decided(first, state, target)
    if not rejected(before):
        state = applied(before, state)
    decisions = decided(second, state, target)
    if rejected(decisions):
        return
    after = applied(decisions, state)
    again = decided(second, after, target)

    assert {decision.outcome for decision in again} <= {Outcome.UNCHANGED, Outcome.SKIPPED}
    assert applied(again, after) is after


@given(rows, targets)
def test_no_two_rows_become_one_service(cells: list[tuple[str, str, str]], target: Target) -> None:
    """Every row has one decision, in order; what is not rejected is a service of its own, and ids and aliases never clash."""
    decisions = decided(cells, filled(target), target)
    taken = [decision.after for decision in decisions if decision.after is not None]

    assert [decision.row for decision in decisions] == list(range(2, len(cells) + 2))
    assert len({service.id for service in taken}) == len(taken)
    assert len({name for service in taken for name in {service.id, service.alias}}) >= len(taken)
    for decision in decisions:
        assert (decision.outcome is Outcome.REJECTED) == bool(decision.problems)


@given(rows)
def test_a_programme_never_gets_more_services_than_places(cells: list[tuple[str, str, str]]) -> None:
    """Whatever is applied, the plan's places are filled once each and never overfilled."""
    state = planned()
    decisions = decided(cells, state, Target(PLAN))
    if not rejected(decisions):
        state = applied(decisions, state)
    numbers = [place.plan_number for entry in state.members(PLAN.id) for place in entry.service.memberships]

    assert len(numbers) == len(set(numbers)) <= PLAN.planned_count
    assert all(1 <= number <= PLAN.planned_count for number in numbers)


@given(rows, targets)
def test_what_comes_in_cites_the_list(cells: list[tuple[str, str, str]], target: Target) -> None:
    """Each service that a list made cites it for all it says."""
    decisions = decided(cells, planned(), target)
    for decision in decisions:
        if decision.after is not None:
            assert decision.after.provenance[-1].citation == f"mẫu, dòng {decision.row}"
