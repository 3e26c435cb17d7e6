"""Commands about what the portals really answer, beside what is claimed.

Invariant: a check that was sent twice under one request id asks no portal twice.
"""

from datetime import UTC
from typing import Annotated

import typer

from services.cli.client import pages
from services.cli.integration import RequestOption, ServiceArgument, name_of, named, pb, portal_text
from services.cli.moves import app
from services.cli.output import answer_text, choose, detail_text, rest_command
from services.cli.session import Session, command
from services.common.figures import instant
from services.common.words import Lang
from tiendo.integration.v1 import integration_pb2

__all__ = ["app"]


@command(app, "check-portal")
def check_portal(
    session: Session,
    service: ServiceArgument,
    portal: Annotated[str, typer.Option("--portal", help="Only MINISTRY or NATIONAL.")] = "",
    request_id: RequestOption = "",
) -> None:
    """Ask the portals now whether they show the service; takes up to 40 s where one does not answer."""
    request = pb.CheckPortalRequest(
        name=name_of(service),
        portal=chosen_portal(portal, session.lang),
        request_id=request_id,
    )
    reply = session.client.integration.CheckPortal(request)
    if session.as_json:
        session.show_json(reply)
        return
    for each in reply.checks:
        values = {**named(session, reply.integration), "portal": portal_text(session, each.portal)}
        if each.answer == integration_pb2.PORTAL_ANSWER_REACHABLE:
            session.say(session.word("screen.integration.portal_reachable", **values, seconds=seconds_text(each)))
        else:
            values |= {
                "since": instant(each.since_time.ToDatetime(tzinfo=UTC)),
                "detail": detail_text(each.detail, session.lang),
            }
            session.say(session.word("screen.integration.portal_unreachable", **values))


@command(app, "portal-checks")
def portal_checks(
    session: Session,
    service: ServiceArgument,
    portal: Annotated[str, typer.Option("--portal", help="Only of MINISTRY or NATIONAL.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0: all.")] = 50,
) -> None:
    """Show what the portals answered, newest first."""
    lang = session.lang
    request = pb.ListPortalChecksRequest(
        parent=name_of(service), portal=chosen_portal(portal, lang), page_size=limit or 1000
    )
    found: list[integration_pb2.PortalCheck] = []
    total = 0
    for page in pages(session.client, session.client.integration.ListPortalChecks, request, limit):
        found.extend(page.checks)
        total = page.total_size
    if session.as_json:
        session.show_json(pb.ListPortalChecksResponse(checks=found, total_size=total))
        return
    if not found:
        session.say(session.word("screen.integration.no_portal_checks"))
        return
    rows = [
        (
            instant(each.check_time.ToDatetime(tzinfo=UTC)),
            portal_text(session, each.portal),
            answer_text(each, lang),
            seconds_text(each),
            each.actor,
            each.uri,
        )
        for each in found
    ]
    names = ("check_time", "check_portal", "check_answer", "check_seconds", "history_by", "check_uri")
    session.table([session.word(f"screen.integration.{name}") for name in names], rows, numbers=(3,))
    if len(found) < total:
        more = rest_command("integration portal-checks", service, portal=portal)
        session.say(session.word("screen.catalog.shown", shown=len(found), total=total, command=more))


def chosen_portal(text: str, lang: Lang) -> integration_pb2.Portal.ValueType:
    """Read a portal that was typed; unspecified where none was. Raises UsageProblemError."""
    if not text:
        return integration_pb2.PORTAL_UNSPECIFIED
    return integration_pb2.Portal.Value(choose(text, integration_pb2.Portal, "PORTAL_", lang))


def seconds_text(check: integration_pb2.PortalCheck) -> str:
    """Give how long a portal took, in seconds."""
    return f"{check.latency.ToMilliseconds() / 1000:.2f}"
