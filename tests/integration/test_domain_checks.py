"""Connection checks and portal links: what runs beside the stages."""

from datetime import date
from typing import Any

import pytest

from services.common.dates import EffectiveDate
from services.common.errors import Reason
from services.integration import domain
from services.integration.domain import (
    Check,
    CheckState,
    Condition,
    ConnectionCheck,
    Evidence,
    Integration,
    Portal,
    PortalLink,
    Stage,
)
from tests.support.integrations import LATER, NOW, TODAY, an_integration, by, on, refusal_of, told, with_check


@pytest.mark.parametrize(
    ("check_state", "refused"),
    [
        (CheckState.UNKNOWN, False),
        (CheckState.NOT_REQUIRED, False),
        (CheckState.PENDING, True),
        (CheckState.PASSED, False),
        (CheckState.FAILED, True),
    ],
)
@pytest.mark.parametrize("check", Check)
def test_integrated_waits_for_the_checks(check: Check, check_state: CheckState, refused: bool) -> None:
    """INTEGRATED is refused exactly while a check is PENDING or FAILED; other stages do not ask."""
    state = with_check(an_integration(), check, check_state)
    domain.advance(state, Stage.LIVE_ON_MINISTRY_PORTAL, **told())
    if not refused:
        assert domain.advance(state, Stage.INTEGRATED, **told())[0].stage is Stage.INTEGRATED
        return
    refusal = refusal_of(domain.advance, state, Stage.INTEGRATED, **told())

    assert refusal.reason is Reason.CHECK_NOT_PASSED
    assert refusal.fields == ("stage",)
    assert refusal.metadata == {"name": "integrations/bca-012", "check": check.name, "state": check_state.name}


def test_a_check_is_set_at_any_stage_and_condition() -> None:
    """A check that fails after INTEGRATED, or while withdrawn, changes the check and nothing else."""
    state = an_integration(Stage.INTEGRATED, Condition.WITHDRAWN)
    new = with_check(state, Check.POST, CheckState.FAILED)

    assert new.check(Check.POST) == ConnectionCheck(Check.POST, CheckState.FAILED, by(2022, 10, 10), ())
    assert [each.check for each in new.checks] == list(Check)
    assert (new.stage, new.condition, new.transition_count, new.version) == (state.stage, state.condition, 0, 2)


def test_setting_what_holds_changes_nothing() -> None:
    """A repeat without date or evidence, even a day later, gives the same object and keeps what was known."""
    given: Any = {"effective_date": on(2022, 9), "evidence": [Evidence("12/BC-BCA")], "now": NOW, "actor": "an"}
    state = domain.set_check(an_integration(), Check.POST, CheckState.PASSED, today=TODAY, **given)
    given |= {"effective_date": None, "evidence": (), "now": LATER}
    again = domain.set_check(state, Check.POST, CheckState.PASSED, today=date(2022, 10, 11), **given)
    unknown = with_check(again, Check.POST, CheckState.UNKNOWN)

    assert again is state
    assert with_check(state, Check.IDENTITY, CheckState.UNKNOWN) is state
    assert unknown.check(Check.POST) == ConnectionCheck(Check.POST)


@pytest.mark.parametrize(
    ("check_state", "when", "reason"),
    [
        (CheckState.UNKNOWN, on(2022), Reason.INVALID_VALUE),
        (CheckState.PASSED, on(2022, 10, 11), Reason.DATE_IN_FUTURE),
    ],
)
def test_a_check_has_a_date_that_can_be(check_state: CheckState, when: EffectiveDate, reason: Reason) -> None:
    """A date with UNKNOWN and a date to come are refused by the field `date`."""
    given: Any = {"effective_date": when, "evidence": (), "today": TODAY, "now": NOW, "actor": "an"}
    refused = refusal_of(domain.set_check, an_integration(), Check.POST, check_state, **given)

    assert (refused.reason, refused.fields) == (reason, ("date",))


def test_portal_links_are_set_replaced_and_removed() -> None:
    """Links stay in the order of the portals; setting the same again, or removing none, changes nothing."""

    def link(state: Integration, portal: Portal, uri: str) -> Integration:
        return domain.set_portal_link(state, portal, uri, now=LATER, actor="an")

    fresh = an_integration()
    both = link(link(fresh, Portal.NATIONAL, "https://n.vn/1"), Portal.MINISTRY, " http://m.vn/1 ")
    removed = link(both, Portal.NATIONAL, "")

    assert both.portal_links == (
        PortalLink(Portal.MINISTRY, "http://m.vn/1"),
        PortalLink(Portal.NATIONAL, "https://n.vn/1"),
    )
    assert (both.version, removed.version) == (3, 4)
    assert removed.portal_links == (PortalLink(Portal.MINISTRY, "http://m.vn/1"),)
    assert link(both, Portal.NATIONAL, "https://n.vn/1") is both
    assert link(removed, Portal.NATIONAL, "") is removed
    assert refusal_of(link, both, Portal.NATIONAL, "n.vn").fields == ("uri",)
