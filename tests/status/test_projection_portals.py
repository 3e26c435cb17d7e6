"""What portals answer is kept and told, and changes no count."""

from datetime import date, timedelta

from hypothesis import given

from services.status.domain import EventKind, Evidence, LinkReport, PortalReport, Stage
from services.status.projection import (
    CompletionSummary,
    Fact,
    LinkReported,
    PortalReported,
    ReadModel,
    apply,
    fold,
    follow,
)
from tests.support.status_facts import PLAN, SEEDED, on, service_version, stage_step
from tests.support.status_folding import TODAY, kinds, listed, origin, programme, seeded, step_by_step, told
from tests.support.status_histories import days, journals

URI = "https://dichvucong.example/12"


def link(sequence: int, uri: str = URI, portal: str = "MINISTRY") -> Fact:
    """A link of bca-012 was set."""
    when = SEEDED + timedelta(minutes=sequence)
    return LinkReported(origin("integration", sequence), "bca-012", LinkReport(portal, uri, when))


def answer(sequence: int, *, reachable: bool, uri: str = URI, portal: str = "MINISTRY") -> Fact:
    """A portal answers otherwise than before."""
    when = SEEDED + timedelta(minutes=sequence)
    report = PortalReport(portal, uri, reachable, "" if reachable else "HTTP 404", when)
    return PortalReported(origin("integration", sequence), "bca-012", report)


def test_only_what_is_gone_and_what_came_back_is_told() -> None:
    """A first page is no news; gone, back and gone again are, each with its cause, its portal, its link and why."""
    facts = [
        link(300),
        answer(301, reachable=True),
        answer(302, reachable=False),
        answer(303, reachable=True),
        answer(304, reachable=False),
    ]
    drafts = step_by_step(seeded(), facts)[1]

    assert kinds(drafts) == ["service.unreachable", "service.reachable", "service.unreachable"]
    assert [draft.cause for draft in drafts] == [
        f"integration/00000000000000aa/{sequence}/bca-2022" for sequence in (302, 303, 304)
    ]
    assert {(draft.service, draft.plan_number, draft.portal, draft.evidence) for draft in drafts} == {
        ("bca-012", 12, "MINISTRY", (Evidence(link=URI),))
    }
    assert [draft.reason for draft in drafts] == ["HTTP 404", "", "HTTP 404"]
    assert {draft.completion for draft in drafts} == {CompletionSummary(227, 11, 216)}


def test_a_first_answer_that_is_no_page_is_told() -> None:
    """Whoever recorded a link that leads nowhere is to hear of it."""
    assert kinds(step_by_step(seeded(), [link(300), answer(301, reachable=False)])[1]) == ["service.unreachable"]


def test_a_new_link_begins_anew() -> None:
    """What the one before answered is no answer of it, so its first page is no return."""
    facts = [
        link(300),
        answer(301, reachable=False),
        link(302, "https://b.vn/"),
        answer(303, reachable=True, uri="https://b.vn/"),
    ]
    model, drafts = step_by_step(seeded(), facts)
    history = model.services["bca-012"]
    again = fold(model, [link(304, ""), link(305, "https://b.vn/")]).services["bca-012"]

    assert kinds(drafts) == ["service.unreachable"]
    assert [report.reachable for report in history.portals_at().values()] == [True]
    assert [report.reachable for report in history.portals_at(SEEDED + timedelta(minutes=301)).values()] == [False]
    assert history.portals_at(SEEDED + timedelta(minutes=302)) == {}
    assert again.portals_at() == {}


def test_each_portal_has_its_own_answer() -> None:
    """One that is gone and comes back leaves the other as it is."""
    facts = [
        link(300),
        link(301, portal="NATIONAL"),
        answer(302, reachable=False),
        answer(303, reachable=True, portal="NATIONAL"),
        answer(304, reachable=True),
    ]
    model, drafts = step_by_step(seeded(), facts)

    assert [(draft.kind, draft.portal) for draft in drafts] == [
        (EventKind.SERVICE_UNREACHABLE, "MINISTRY"),
        (EventKind.SERVICE_REACHABLE, "MINISTRY"),
    ]
    assert set(model.services["bca-012"].portals_at()) == {"MINISTRY", "NATIONAL"}


def test_every_programme_that_counts_the_service_is_told() -> None:
    """Each with a cause of its own; a service that the catalog has not listed is told to nobody."""
    both = service_version(12)
    version = type(both)(both.recorded, "", "", memberships=((PLAN, 12), ("bca-2023", 1)))
    facts = [programme(), programme(2, programme_id="bca-2023"), listed(12, 3, version), link(1)]
    drafts = follow(fold(ReadModel(), facts), [answer(2, reachable=False)], TODAY)[1]
    unlisted = follow(ReadModel(), [programme(), link(1), answer(2, reachable=False)], TODAY)[1]

    assert [(draft.programme, draft.cause.rpartition("/")[2]) for draft in drafts] == [
        (name, name) for name in (PLAN, "bca-2023")
    ]
    assert unlisted == []


def test_an_unreachable_service_still_counts() -> None:
    """Completed is what was reported; what a portal answers is shown beside it, and is no report of its own."""
    done = told(12, 299, stage_step(1, Stage.INTEGRATED, on("2022-10-05")))
    before = apply(seeded(), done)
    after = fold(before, [link(300), answer(301, reachable=False)])
    silent = fold(seeded(), [link(300), answer(301, reachable=False)])

    assert after.summary(PLAN, TODAY) == before.summary(PLAN, TODAY) == CompletionSummary(227, 12, 215)
    assert silent.summary(PLAN, TODAY) == CompletionSummary(227, 11, 216)


@given(journals(), days)
def test_portal_answers_change_no_count(facts: list[Fact], today: date) -> None:
    """Whatever else is recorded, the figures are those of the journal without links and answers."""
    without = [fact for fact in facts if not isinstance(fact, LinkReported | PortalReported)]

    assert fold(ReadModel(), facts).summary(PLAN, today) == fold(ReadModel(), without).summary(PLAN, today)
