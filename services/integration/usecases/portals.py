"""What is done with what portals answered.

Invariant: an answer is recorded only for the link that was asked.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Engine

from services.common.db import read_transaction
from services.common.work import Caller
from services.integration import domain, storage, wire
from services.integration.storage import IntegrationWork, KeptCheck, State
from services.integration.usecases.commands import find
from services.integration.usecases.recording import Done, decided, keep
from tiendo.integration.v1 import events_pb2, integration_pb2


def record_portal_checks(
    work: IntegrationWork, name: str, answers: Sequence[tuple[domain.PortalLink, domain.Found]], caller: Caller
) -> tuple[Done, list[bytes]]:
    """Record what links answered; give the checks made of it, without those whose link was changed meanwhile.

    Raises Refusal PORTAL_LINK_MISSING where none is left, and those of `find`.
    """
    entry = find(work, name, "name")
    done, checks = Done(entry.message, work.head), []
    for asked, found in answers:
        before = entry.integration
        made = domain.answered(before, asked, found, now=work.now, actor=caller.actor)
        if made is None:
            continue
        after, check = made
        message = wire.portal_check_out(check)
        checks.append((int(asked.portal), message.SerializeToString(deterministic=True)))
        if after is before:
            continue
        previous = before.portal_check(asked.portal)
        what = events_pb2.PortalAnswered(
            check=message,
            previous_answer=int(previous.answer) if previous else 0,  # type: ignore[arg-type]
        )
        change = decided(work, entry, after, caller, {"portal_answered": what}, keeps_etag=True)
        done, entry = keep(work, change), change.entry
    if not checks:
        raise domain.link_missing(entry.integration, answers[0][0].portal)
    for portal, content in checks:
        work.add_portal_check(entry.integration.service_id, portal, content)
    return done, [content for _, content in checks]


def portal_checks(engine: Engine, integration_id: str, portal: domain.Portal | None) -> list[KeptCheck]:
    """Give the kept checks of an integration, of one portal or of each, newest first."""
    with read_transaction(engine) as connection:
        kept = storage.read_portal_checks(connection, integration_id=integration_id)
    return [check for check in kept if portal in (None, check.key[1])]


def due_links(engine: Engine, state: State, *, now: datetime, period: timedelta) -> list[domain.Link]:
    """Give the links whose turn it is to be asked by the clock, the most urgent first."""
    links = [
        (entry.integration.service_id, link)
        for entry in state.entries.values()
        for link in entry.integration.portal_links
    ]
    if not links:
        return []
    newest: dict[domain.Link, datetime] = {}
    with read_transaction(engine) as connection:
        for kept in storage.read_portal_checks(connection, since=now - period):
            check = wire.portal_check_of(integration_pb2.PortalCheck.FromString(kept.message))
            newest.setdefault((kept.integration_id, domain.PortalLink(check.portal, check.uri)), check.check_time)
    return domain.due(links, newest, now=now, period=period)
