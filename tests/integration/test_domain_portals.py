"""Portal answers: what changes an integration, whose turn it is, which services are claimed and unreachable."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Reason, Refusal
from services.integration import domain
from services.integration.domain import Condition, Found, Portal, PortalAnswer, PortalCheck, PortalLink, Stage
from tests.support.integration import ACTOR, NOW

MINISTRY = PortalLink(Portal.MINISTRY, "https://a.vn/1")
NATIONAL = PortalLink(Portal.NATIONAL, "https://b.vn/1")
NEW = domain.new_integration("bca-012", "ten", "Tên", NOW, ACTOR)
LINKED = replace(NEW, portal_links=(MINISTRY, NATIONAL))
PERIOD = timedelta(hours=1)

looks = st.lists(st.tuples(st.sampled_from([MINISTRY, NATIONAL]), st.booleans()), max_size=30)


def found(*, reachable: bool) -> Found:
    """What asking a link found."""
    return Found(200 if reachable else 404, "" if reachable else "HTTP 404", timedelta(seconds=1))


def with_answers(ministry: PortalAnswer | None, national: PortalAnswer | None) -> tuple[PortalCheck, ...]:
    """What two portals answered."""
    answers = ((MINISTRY, ministry), (NATIONAL, national))
    return tuple(
        PortalCheck(link.portal, link.uri, answer, 0, "", NOW, timedelta(), NOW, ACTOR)
        for link, answer in answers
        if answer
    )


@given(looks)
def test_an_answer_changes_something_exactly_where_it_differs(asked: list[tuple[PortalLink, bool]]) -> None:
    """Of each link the integration keeps the check that changed the answer last; every check says since when it holds."""
    state = LINKED
    for turn, (link, reachable) in enumerate(asked, 1):
        now = NOW + timedelta(hours=turn)
        before = state.portal_check(link.portal)
        made = domain.answered(state, link, found(reachable=reachable), now=now, actor=ACTOR)
        assert made is not None
        after, check = made
        same = before is not None and before.answer is check.answer

        assert (check.check_time, check.uri, check.actor) == (now, link.uri, ACTOR)
        assert (after is state) is same
        assert after.portal_check(link.portal) == (before if same else check)
        assert check.since_time == (before.since_time if same and before else now)
        assert replace(after, portal_checks=()) == LINKED
        state = after

    kept = {link for link, _ in asked}
    assert [check.portal for check in state.portal_checks] == [
        portal for portal in Portal if portal in {link.portal for link in kept}
    ]


@given(looks, st.sampled_from(["", "https://c.vn/"]))
def test_another_link_has_no_answer_yet(asked: list[tuple[PortalLink, bool]], uri: str) -> None:
    """Setting or removing a link takes what the one before answered, and that alone; nothing is recorded for it any more."""
    state = LINKED
    for link, reachable in asked:
        made = domain.answered(state, link, found(reachable=reachable), now=NOW, actor=ACTOR)
        assert made is not None
        state = made[0]
    changed = domain.set_portal_link(state, Portal.MINISTRY, uri, now=NOW, actor=ACTOR)

    assert changed.portal_checks == tuple(check for check in state.portal_checks if check.portal is Portal.NATIONAL)
    assert domain.answered(changed, MINISTRY, found(reachable=True), now=NOW, actor=ACTOR) is None


def test_the_same_link_again_keeps_its_answer() -> None:
    """Nothing is changed, so nothing is forgotten."""
    made = domain.answered(LINKED, MINISTRY, found(reachable=False), now=NOW, actor=ACTOR)
    assert made is not None

    assert domain.set_portal_link(made[0], Portal.MINISTRY, MINISTRY.uri, now=NOW, actor=ACTOR) is made[0]


def test_which_links_are_asked() -> None:
    """Those of the portal named, or each that is known; without any the refusal names the command that records one."""
    assert domain.links_to_ask(LINKED, None) == (MINISTRY, NATIONAL)
    assert domain.links_to_ask(LINKED, Portal.NATIONAL) == (NATIONAL,)
    for state, portal in ((NEW, None), (replace(NEW, portal_links=(NATIONAL,)), Portal.MINISTRY)):
        with pytest.raises(Refusal, match="tiendo integration link bca-012") as refused:
            domain.links_to_ask(state, portal)
        assert refused.value.reason is Reason.PORTAL_LINK_MISSING


@pytest.mark.parametrize("condition", Condition)
@pytest.mark.parametrize("stage", Stage)
def test_claimed_and_unreachable(stage: Stage, condition: Condition) -> None:
    """A service counts where its stage claims that very portal, it is ACTIVE, and the portal answered last that it is not."""
    away, there = PortalAnswer.UNREACHABLE, PortalAnswer.REACHABLE
    active = condition is Condition.ACTIVE

    def counts(ministry: PortalAnswer | None, national: PortalAnswer | None) -> bool:
        checks = with_answers(ministry, national)
        return domain.is_claimed_unreachable(replace(LINKED, stage=stage, condition=condition, portal_checks=checks))

    assert counts(away, there) is (active and stage >= Stage.LIVE_ON_MINISTRY_PORTAL)
    assert counts(there, away) is (active and stage is Stage.INTEGRATED)
    assert counts(None, away) is (active and stage is Stage.INTEGRATED)
    assert counts(there, there) is counts(None, None) is counts(there, None) is False


links = st.lists(
    st.tuples(st.sampled_from([f"bca-{n:03}" for n in range(1, 20)]), st.sampled_from([MINISTRY, NATIONAL])),
    unique=True,
)


@given(links, st.integers(1, 60))
def test_the_clock_asks_each_link_once_a_period(asked: list[domain.Link], step_minutes: int) -> None:
    """Over five periods, looked at every few minutes, each link comes once when new, then once in every period."""
    newest: dict[domain.Link, list] = {link: [] for link in asked}  # type: ignore[type-arg]
    now = NOW
    while now < NOW + 5 * PERIOD:
        last = {link: times[-1] for link, times in newest.items() if times and times[-1] > now - PERIOD}
        for link in domain.due(asked, last, now=now, period=PERIOD):
            newest[link].append(now)
        now += timedelta(minutes=step_minutes)

    step = timedelta(minutes=step_minutes)
    for times in newest.values():
        assert times[0] == NOW
        assert len(times) in (5, 6)
        # The first turn after the first look may come soon; from then on they are a period apart, as exactly as one looks.
        assert all(PERIOD - step < later - earlier < PERIOD + step for earlier, later in pairwise(times[1:]))


def test_turns_are_spread_and_new_links_come_first() -> None:
    """Of 200 links asked at the same time a quarter is due in each quarter of the period, more or less."""
    asked = [(f"bca-{number:03}", MINISTRY) for number in range(200)]
    newest = dict.fromkeys(asked, NOW)
    due = [len(domain.due(asked, newest, now=NOW + PERIOD * quarter / 4, period=PERIOD)) for quarter in range(5)]
    new = ("bca-999", NATIONAL)

    assert (due[0], due[4]) == (0, 200)
    assert all(30 < later - earlier < 70 for earlier, later in pairwise(due))
    assert domain.due([*asked, new], newest, now=NOW + PERIOD, period=PERIOD)[0] == new
