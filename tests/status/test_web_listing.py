"""The lists behind the pages: what is worked out once holds for every later state."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.common.journal import Head
from services.status.domain import Programme, ServiceHistory, Stage
from services.status.projection import ReadModel
from services.status.storage import State
from services.status.web.listing import Shelf, Wanted, live_on_ministry_portal
from tests.support.status_facts import LATER, PLAN, SEEDED, TODAY, member, on, plan, seed, service_version, stage_step


def state_of(services: dict[str, ServiceHistory], sequence: int) -> State:
    """A state that holds these histories."""
    return State(Head("epoch", sequence, "", SEEDED), ReadModel({PLAN: plan()}, services))


@given(st.lists(st.tuples(st.integers(1, 230), st.sampled_from(["step", "name", "leave"])), max_size=12))
def test_a_list_made_of_an_earlier_one_is_the_one_made_anew(changes: list[tuple[int, str]]) -> None:
    """Whatever is recorded, the list put together from what was known equals the list made from nothing."""
    services = {history.id: history for history in seed()}
    shelf = Shelf()
    for sequence, (number, change) in enumerate(changes, 2):
        history = services.get(f"bca-{number:03}") or member(number=number)
        if change == "step":
            history = history.with_entry(stage_step(len(history.entries) + 1, Stage.BUILT, on("2023"), LATER))
        elif change == "name":
            history = history.with_version(service_version(number, LATER, name=f"Dịch vụ {number}"))
        else:
            history = history.with_version(replace(service_version(number, LATER), memberships=()))
        services = {**services, history.id: history}
        state = state_of(dict(services), sequence)

        assert shelf.rows(state, plan_of(state), TODAY) == Shelf().rows(state, plan_of(state), TODAY)


def plan_of(state: State) -> Programme:
    """The programme that a state holds."""
    return state.model.programme(PLAN)


def test_a_new_name_is_found_and_the_old_one_is_not() -> None:
    """What search and order remember of a service goes with its version."""
    shelf = Shelf()
    first = member(number=12, version=service_version(12, name="Đăng ký tạm trú"))
    again = first.with_version(service_version(12, LATER, name="Cấp hộ chiếu"))
    for history, found in ((first, ["tam tru"]), (again, ["ho chieu"])):
        state = state_of({history.id: history}, len(history.versions))
        rows = shelf.rows(state, plan_of(state), TODAY)
        assert [q for q in ("tam tru", "ho chieu") if shelf.found(rows, Wanted(q=q), TODAY)] == found


def test_the_ministry_portal_shows_what_is_live_there_and_not_switched_off() -> None:
    """The eleven complete ones are on it; nothing that is not certain, and no place of which nothing is known."""
    state = state_of({history.id: history for history in seed()}, 1)

    assert live_on_ministry_portal(Shelf().rows(state, plan_of(state), TODAY)) == 11
