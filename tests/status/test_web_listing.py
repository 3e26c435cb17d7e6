"""The lists behind the pages: what is worked out once holds for every later state."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from services.status.domain import Stage, Survey
from services.status.web.listing import SORTS, Wanted, found, live_on_ministry_portal
from tests.support.status_facts import LATER, TODAY, member, on, plan, seed, service_version, stage_step


def ids(survey: Survey, wanted: Wanted) -> list[str]:
    """What is found, in its order."""
    return [survey[place].history.id for place in found(survey, wanted)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 230), st.sampled_from(["step", "name", "number", "leave"])), max_size=12))
def test_a_list_made_of_an_earlier_one_is_the_one_made_anew(changes: list[tuple[int, str]]) -> None:
    """Whatever is recorded, the list put together from what was known equals the list made from nothing."""
    services = {history.id: history for history in seed()}
    programme, survey = plan(), None
    for number, change in changes:
        history = services.get(f"bca-{number:03}") or member(number=number)
        if change == "step":
            history = history.with_entry(stage_step(len(history.entries) + 1, Stage.BUILT, on("2023"), LATER))
        elif change == "name":
            history = history.with_version(service_version(number, LATER, name=f"Dịch vụ {number}"))
        elif change == "number":
            moved = service_version(number, LATER)
            history = history.with_version(replace(moved, memberships=((programme.id, 300 - number),)))
        else:
            history = history.with_version(replace(service_version(number, LATER), memberships=()))
        services = {**services, history.id: history}
        survey, anew = (Survey.of(programme, services.values(), TODAY, earlier=earlier) for earlier in (survey, None))

        for sort in SORTS:
            for wanted in (Wanted(sort=sort), Wanted(sort=sort, down=True), Wanted(sort=sort, q="dich vu 1")):
                assert ids(survey, wanted) == ids(anew, wanted)


def test_a_new_name_is_found_and_the_old_one_is_not() -> None:
    """What search and order remember of a service goes with its version."""
    programme, survey = plan(), None
    first = member(number=12, version=service_version(12, name="Đăng ký tạm trú"))
    again = first.with_version(service_version(12, LATER, name="Cấp hộ chiếu"))
    for history, name in ((first, "tam tru"), (again, "ho chieu")):
        survey = Survey.of(programme, [history], TODAY, earlier=survey)
        assert [q for q in ("tam tru", "ho chieu") if ids(survey, Wanted(q=q))] == [name]


def test_the_ministry_portal_shows_what_is_live_there_and_not_switched_off() -> None:
    """The eleven complete ones are on it; nothing that is not certain, and no place of which nothing is known."""
    assert live_on_ministry_portal(Survey.of(plan(), seed(), TODAY)) == 11
