"""Commands on integrations: where each stands, its history, every step, every correction.

Invariant: a step is decided on the state the command has just read (its etag goes along), so a change by somebody else in
between is refused, not overwritten.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC
from typing import Annotated, Any

import typer

from services.cli.client import pages
from services.cli.output import (
    answer_text,
    choose,
    condition_text,
    effective_text,
    evidence_text,
    figure_line,
    or_nothing,
    plan_number,
    rest_command,
    title,
    transition_text,
)
from services.cli.processes import run_module
from services.cli.session import Session, command
from services.cli.status import programme_name
from services.client import TiendoError
from services.common.figures import instant
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import status_service_pb2

app = typer.Typer(no_args_is_help=True, help="Where each integration stands, and every step.")
pb = integration_service_pb2

_SLOTS_A_CALL = 250

ServiceArgument = Annotated[str, typer.Argument(metavar="SERVICE", help="Its id or alias.")]
DateOption = Annotated[str | None, typer.Option("--date", help="When it happened: 05/10/2022, 10/2022, 2022.")]
AtLatestOption = Annotated[bool, typer.Option("--at-latest", help="It happened on that date or earlier.")]
EvidenceOption = Annotated[list[str] | None, typer.Option("--evidence", help="Document number, note or address.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]
EtagOption = Annotated[str, typer.Option("--etag", help="The etag you decided on; default: the present one.")]
RequestOption = Annotated[str, typer.Option("--request-id", help="To send the same command again.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def name_of(service: str) -> str:
    """Give the resource name of an integration given by its service's id or alias, or by name."""
    return service if "/" in service else f"integrations/{service}"


def read(session: Session, service: str) -> integration_pb2.Integration:
    """Read an integration."""
    request = pb.GetIntegrationRequest(name=name_of(service))
    return session.client.integration.GetIntegration(request).integration


def id_of(integration: integration_pb2.Integration) -> str:
    """Give its service's id."""
    return integration.name.rpartition("/")[2]


def titles(session: Session, found: Sequence[integration_pb2.Integration]) -> list[str]:
    """Give what each is called; a slot by its number in the plan, which the catalog knows, if it answers."""
    slots = [id_of(each) for each in found if not each.display_name and not session.as_json]
    numbers: dict[str, int] = {}
    with contextlib.suppress(TiendoError):
        for start in range(0, len(slots), _SLOTS_A_CALL):
            names = [f"services/{slot}" for slot in slots[start : start + _SLOTS_A_CALL]]
            request = catalog_service_pb2.BatchGetServicesRequest(names=names)
            reply = session.client.catalog.BatchGetServices(request)
            numbers |= {service.name.rpartition("/")[2]: plan_number(service) for service in reply.services}
    return [title(each.display_name, numbers.get(id_of(each), 0), session.lang) for each in found]


def named(session: Session, integration: integration_pb2.Integration) -> dict[str, str]:
    """Give what its lines on screen begin with."""
    return {"id": id_of(integration), "name": titles(session, [integration])[0]}


def finish(session: Session, reply: Any, line: str, *, with_figure: bool = True) -> None:
    """Tell what was done, and the figure after it; a status that does not answer now takes nothing back."""
    if session.as_json:
        session.show_json(reply)
        return
    session.say(line)
    if not with_figure:
        return
    programmes = list(reply.integration.programmes)
    request = status_service_pb2.GetCompletionRequest(
        programme=programmes[0] if len(programmes) == 1 else "", at_least=[reply.revision]
    )
    try:
        session.say(figure_line(session.client.status.GetCompletion(request), session.lang))
    except TiendoError as failure:
        session.tell(failure)


@command(app, "get")
def get(session: Session, service: ServiceArgument) -> None:
    """Show where one integration stands."""
    lang = session.lang
    integration = read(session, service)
    if session.as_json:
        session.show_json(integration)
        return
    word = session.word
    rows = [
        (word("term.display_name"), titles(session, [integration])[0]),
        (word("term.stage"), _stage(session, integration)),
        (word("term.condition"), word(f"condition.{_condition(integration)}")),
        (word("term.effective_date"), effective_text(integration.effective_date, lang)),
        (word("term.reason"), integration.reason),
    ]
    rows.extend(
        (word(f"check.{_check(check.check)}"), word(f"check_state.{_state(check.state)}"))
        for check in integration.checks
        if check.state != integration_pb2.CHECK_STATE_UNKNOWN
    )
    answers = {check.portal: answer_text(check, lang) for check in integration.portal_checks}
    for link in integration.portal_links:
        rows += [(portal_text(session, link.portal), link.uri), ("", answers.get(link.portal, ""))]
    rows.append((word("term.recorded_time"), instant(integration.update_time.ToDatetime(tzinfo=UTC))))
    session.say(id_of(integration))
    session.table(("", ""), [(f"  {label}", text) for label, text in rows if text])


def portal_text(session: Session, portal: integration_pb2.Portal.ValueType) -> str:
    """Name a portal."""
    return session.word(f"portal.{integration_pb2.Portal.Name(portal).removeprefix('PORTAL_')}")


def _condition(integration: integration_pb2.Integration) -> str:
    return integration_pb2.Condition.Name(integration.condition).removeprefix("CONDITION_")


def _check(check: integration_pb2.Check.ValueType) -> str:
    return integration_pb2.Check.Name(check).removeprefix("CHECK_")


def _state(state: integration_pb2.CheckState.ValueType) -> str:
    return integration_pb2.CheckState.Name(state).removeprefix("CHECK_STATE_")


def _stage(session: Session, integration: integration_pb2.Integration) -> str:
    code = integration_pb2.Stage.Name(integration.stage).removeprefix("STAGE_")
    return session.word(f"stage.{code}")


@command(app, "list")
def list_integrations(
    session: Session,
    stage: Annotated[str, typer.Option("--stage", help="Only at this stage.")] = "",
    condition: Annotated[str, typer.Option("--condition", help="Only in this condition.")] = "",
    filter_text: Annotated[str, typer.Option("--filter", help="A filter of your own.")] = "",
    order_by: Annotated[str, typer.Option("--order-by", help="name, stage, update_time, display_name; desc.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0: all.")] = 50,
    programme: Annotated[str, typer.Option("--programme", help="Its id; - for every one.")] = "",
) -> None:
    """List integrations."""
    lang = session.lang
    parts = [f"({filter_text})"] if filter_text else []
    if stage:
        parts.append(f"stage = {choose(stage, integration_pb2.Stage, 'STAGE_', lang).removeprefix('STAGE_')}")
    if condition:
        name = choose(condition, integration_pb2.Condition, "CONDITION_", lang).removeprefix("CONDITION_")
        parts.append(f"condition = {name}")
    request = pb.ListIntegrationsRequest(
        programme=programme_name(programme),
        filter=" AND ".join(parts),
        order_by=order_by,
        page_size=min(limit, 1000) if limit else 1000,
    )
    found: list[integration_pb2.Integration] = []
    total = 0
    for page in pages(session.client, session.client.integration.ListIntegrations, request, limit):
        found.extend(page.integrations)
        total = page.total_size
    if session.as_json:
        session.show_json(pb.ListIntegrationsResponse(integrations=found, total_size=total))
        return
    rows = [
        (
            id_of(each),
            name,
            _stage(session, each),
            condition_text(each.condition, lang),
            or_nothing(effective_text(each.effective_date, lang)),
        )
        for each, name in zip(found, titles(session, found), strict=True)
    ]
    terms = ("id", "display_name", "stage", "condition", "effective_date")
    session.table([session.word(f"term.{term}") for term in terms], rows)
    if len(found) < total:
        asked = {"stage": stage, "condition": condition, "filter": filter_text, "order_by": order_by}
        more = rest_command("integration list", **asked, programme=programme)
        session.say(session.word("screen.catalog.shown", shown=len(found), total=total, command=more))


@command(app, "history")
def history(session: Session, service: ServiceArgument) -> None:
    """Show every step of one integration, corrections and what they corrected included."""
    lang = session.lang
    request = pb.ListTransitionsRequest(parent=name_of(service), page_size=1000)
    found: list[Any] = []
    for page in pages(session.client, session.client.integration.ListTransitions, request):
        found.extend(page.transitions)
    if session.as_json:
        session.show_json(pb.ListTransitionsResponse(transitions=found, total_size=len(found)))
        return
    if not found:
        session.say(session.word("screen.integration.no_history"))
        return
    numbered = len(found) > 1  # one entry needs no number to be corrected by
    rows = [
        (
            *((str(each.number),) if numbered else ()),
            effective_text(each.effective_date, lang),
            instant(each.recorded_time.ToDatetime(tzinfo=UTC)),
            transition_text(each, lang),
            each.actor,
            "; ".join(part for part in (each.reason, evidence_text(each.evidence)) if part),
        )
        for each in found
    ]
    headers = [
        session.word(f"screen.integration.history_{name}") for name in ("date", "recorded", "what", "by", "reason")
    ]
    session.table([*(["#"] if numbered else []), *headers], rows)


@command(app, "attach")
def attach(session: Session) -> None:
    """Read a replaced catalog from its start and add what integration lacks."""
    run_module(session, "integration", "attach")
