"""What runs in parallel to the stages: connection checks and the links of the portals.

Invariant: setting what already holds gives the same object back, so that nothing is recorded for it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from services.common.dates import EffectiveDate, PartialDate, check_not_future
from services.common.errors import Reason, Refusal
from services.integration.domain.values import (
    Check,
    CheckState,
    ConnectionCheck,
    Evidence,
    Integration,
    Portal,
    PortalLink,
    check_evidence,
    check_link,
)


def set_check(
    state: Integration,
    check: Check,
    check_state: CheckState,
    *,
    effective_date: EffectiveDate | None,
    evidence: Sequence[Evidence],
    today: date,
    now: datetime,
    actor: str,
) -> Integration:
    """Record how a check stands, at any stage and condition; the same object when nothing changed.

    Without a date it is so "at the latest today". Saying the same state again keeps the date and the evidence where
    none is given, so that a repeat loses nothing. Raises Refusal INVALID_VALUE for a date with UNKNOWN,
    DATE_IN_FUTURE, and those of `check_evidence`.
    """
    evidence = check_evidence(evidence)
    if effective_date:
        check_not_future(effective_date, today, "date")
        if check_state is CheckState.UNKNOWN:
            raise Refusal(Reason.INVALID_VALUE, "is given with UNKNOWN, which has none; leave it empty", field="date")
    before = state.check(check)
    if before.state is check_state:
        new = replace(before, date=effective_date or before.date, evidence=evidence or before.evidence)
    elif check_state is CheckState.UNKNOWN:
        new = ConnectionCheck(check, check_state, None, evidence)
    else:
        by_today = EffectiveDate(PartialDate.of_day(today), at_latest=True)
        new = ConnectionCheck(check, check_state, effective_date or by_today, evidence)
    if new == before:
        return state
    return state.changed(now, actor, checks=tuple(new if each.check is check else each for each in state.checks))


def set_portal_link(state: Integration, portal: Portal, uri: str, *, now: datetime, actor: str) -> Integration:
    """Record where a portal shows the service, or remove it when `uri` is empty; the same object when nothing changed.

    What the link before answered says nothing of the new one, so it goes.

    Raises Refusal INVALID_VALUE for an address that is not http or https, and those of `clean`.
    """
    uri = check_link(uri, "uri")
    links = {link.portal: link for link in state.portal_links if link.portal is not portal}
    if uri:
        links[portal] = PortalLink(portal, uri)
    new = tuple(links[each] for each in Portal if each in links)
    if new == state.portal_links:
        return state
    answered = tuple(check for check in state.portal_checks if check.portal is not portal)
    return state.changed(now, actor, portal_links=new, portal_checks=answered)
