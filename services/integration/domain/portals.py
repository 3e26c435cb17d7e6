"""What portals really answer, beside what is claimed: which links to ask, when, and what an answer changes.

Invariant: an answer changes an integration only where it differs from the one before, and never its version, for nobody
decided it.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from services.common.errors import Reason, Refusal
from services.integration.domain.values import (
    Condition,
    Integration,
    Portal,
    PortalAnswer,
    PortalCheck,
    PortalLink,
    Stage,
)

Link = tuple[str, PortalLink]
"""A service's id and one of its links."""

_CLAIMED_FROM = {Portal.MINISTRY: Stage.LIVE_ON_MINISTRY_PORTAL, Portal.NATIONAL: Stage.INTEGRATED}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Detail(StrEnum):
    """Why a link counts as unreachable, in words that are part of the contract; besides these only "HTTP 404" and its like."""

    NO_ANSWER = "no answer within 10 s"
    NAME_UNKNOWN = "the name is not known"
    NAMES_AWAY = "the name could not be looked up"
    NOT_PUBLIC = "the address is not a public one"
    NOT_ACCEPTED = "no connection is accepted"
    CERTIFICATE = "the certificate is not accepted"
    NOT_SECURE = "no secure connection comes about"
    TOO_MANY_REDIRECTS = "too many redirects"
    NO_WEB_ADDRESS = "it leads to what is no web address"
    BROKEN_OFF = "the connection broke off"
    NOT_HTTP = "the answer is not understood"


@dataclass(frozen=True, slots=True)
class Found:
    """What came of asking a link: `http_status` is 0 where none came, `detail` empty exactly where it is reachable."""

    http_status: int
    detail: str
    latency: timedelta

    @property
    def answer(self) -> PortalAnswer:
        """What counts of it."""
        return PortalAnswer.UNREACHABLE if self.detail else PortalAnswer.REACHABLE


def links_to_ask(state: Integration, portal: Portal | None) -> tuple[PortalLink, ...]:
    """Give the links of that portal, or of each. Raises Refusal PORTAL_LINK_MISSING where there is none."""
    links = tuple(link for link in state.portal_links if portal in (None, link.portal))
    if not links:
        raise link_missing(state, portal)
    return links


def link_missing(state: Integration, portal: Portal | None) -> Refusal:
    """Word that no link is known, or no longer the one that was asked."""
    where = f"the {portal.name} portal" if portal else "a portal"
    return Refusal(
        Reason.PORTAL_LINK_MISSING,
        f"{state.name} has no link to {where} that could be asked, or it was changed while it was asked; record it with "
        f"SetPortalLink (`tiendo integration link {state.service_id}`) and check again",
        field="portal" if portal else "name",
        metadata={"name": state.name, "portal": portal.name if portal else ""},
    )


def answered(
    state: Integration, asked: PortalLink, found: Found, *, now: datetime, actor: str
) -> tuple[Integration, PortalCheck] | None:
    """Give the check that this makes, and the integration after it: the same object where the answer is the one before.

    None where the link is no longer the one that was asked, for then nobody knows what the present one answers.
    """
    if asked not in state.portal_links:
        return None
    before = state.portal_check(asked.portal)
    same = before is not None and before.answer is found.answer
    check = PortalCheck(
        portal=asked.portal,
        uri=asked.uri,
        answer=found.answer,
        http_status=found.http_status,
        detail=found.detail,
        check_time=now,
        latency=found.latency,
        since_time=before.since_time if same and before else now,
        actor=actor,
    )
    if same:
        return state, check
    checks = {each.portal: each for each in state.portal_checks} | {asked.portal: check}
    return replace(state, portal_checks=tuple(checks[each] for each in Portal if each in checks)), check


def is_claimed_unreachable(state: Integration) -> bool:
    """Whether it is reported as live on a portal that answered last that it is not."""
    return state.condition is Condition.ACTIVE and any(
        check.answer is PortalAnswer.UNREACHABLE and state.stage >= _CLAIMED_FROM[check.portal]
        for check in state.portal_checks
    )


def due(links: Iterable[Link], newest: Mapping[Link, datetime], *, now: datetime, period: timedelta) -> list[Link]:
    """Give the links whose turn has come, those never asked first, then the longest waiting.

    `newest` holds when a link was asked last, where that is less than a period ago. Each has its own turn in the period, so
    that the portals are asked evenly; a new link has it at once.
    """
    waiting = [link for link in links if newest.get(link, _EPOCH) < _turn(link, now, period)]
    return sorted(waiting, key=lambda link: (newest.get(link, _EPOCH), link))


def _turn(link: Link, now: datetime, period: timedelta) -> datetime:
    """When its latest turn was: within the period that ends now."""
    service_id, (portal, uri) = link[0], (link[1].portal, link[1].uri)
    phase = period * (zlib.crc32(f"{service_id}/{portal}/{uri}".encode()) / 2**32)
    return now - (now - _EPOCH - phase) % period
