"""Commands on integrations: where each stands, its history, every step, every correction.

Invariant: a step is decided on the state the command has just read (its etag goes along), so a change by somebody else in
between is refused, not overwritten.
"""

from typing import Annotated, Any

import typer

from services.cli.client import CallError, new_request_id, pages
from services.cli.figures import instant
from services.cli.output import (
    choose,
    condition_text,
    effective_date,
    effective_text,
    entry_text,
    evidence,
    evidence_text,
    figure_line,
    or_nothing,
    stage_text,
    title,
    transition_text,
    when_text,
)
from services.cli.processes import run_module
from services.cli.session import Session, UsageProblemError, command
from services.cli.status import programme_name
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import status_service_pb2

app = typer.Typer(no_args_is_help=True, help="Where each integration stands, and every step.")
pb = integration_service_pb2

ServiceArgument = Annotated[str, typer.Argument(metavar="SERVICE", help="Its id or alias.")]
DateOption = Annotated[str | None, typer.Option("--date", help="When it happened: 05/10/2022, 10/2022, 2022.")]
AtLatestOption = Annotated[bool, typer.Option("--at-latest", help="It happened on that date or earlier.")]
EvidenceOption = Annotated[list[str] | None, typer.Option("--evidence", help="Document number, note or address.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]
EtagOption = Annotated[str, typer.Option("--etag", help="The etag you decided on; default: the present one.")]
RequestOption = Annotated[str, typer.Option("--request-id", help="To send the same command again.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def _name(service: str) -> str:
    return service if "/" in service else f"integrations/{service}"


def _read(session: Session, service: str) -> integration_pb2.Integration:
    request = pb.GetIntegrationRequest(name=_name(service))
    return session.client.ask(session.client.integration.GetIntegration, request).integration


def _id(integration: integration_pb2.Integration) -> str:
    return integration.name.rpartition("/")[2]


def _named(session: Session, integration: integration_pb2.Integration) -> dict[str, str]:
    return {"id": _id(integration), "name": title(integration.display_name, session.lang)}


def _finish(session: Session, reply: Any, line: str, *, with_figure: bool = True) -> None:
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
        session.say(figure_line(session.client.ask(session.client.status.GetCompletion, request), session.lang))
    except CallError as failure:
        session.tell(failure)


@command(app, "get")
def get(session: Session, service: ServiceArgument) -> None:
    """Show where one integration stands."""
    lang = session.lang
    integration = _read(session, service)
    if session.as_json:
        session.show_json(integration)
        return
    word = session.word
    rows = [
        (word("term.display_name"), title(integration.display_name, lang)),
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
    rows.extend(
        (word(f"portal.{integration_pb2.Portal.Name(link.portal).removeprefix('PORTAL_')}"), link.uri)
        for link in integration.portal_links
        if link.uri
    )
    rows.append((word("term.recorded_time"), instant(integration.update_time.ToDatetime().astimezone())))
    session.say(_id(integration))
    session.table(("", ""), [(f"  {label}", text) for label, text in rows if text])


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
    limit: Annotated[int, typer.Option("--limit", help="At most so many; 0: all.")] = 50,
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
            _id(each),
            title(each.display_name, lang),
            _stage(session, each),
            condition_text(each.condition, lang),
            or_nothing(effective_text(each.effective_date, lang)),
        )
        for each in found
    ]
    terms = ("id", "display_name", "stage", "condition", "effective_date")
    session.table([session.word(f"term.{term}") for term in terms], rows)
    if len(found) < total:
        more = "tiendo integration list --limit 0"
        session.say(session.word("screen.catalog.shown", shown=len(found), total=total, command=more))


@command(app, "history")
def history(session: Session, service: ServiceArgument) -> None:
    """Show every step of one integration, corrections and what they corrected included."""
    lang = session.lang
    request = pb.ListTransitionsRequest(parent=_name(service), page_size=1000)
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
            instant(each.recorded_time.ToDatetime().astimezone()),
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


@command(app, "advance")
def advance(
    session: Session,
    service: ServiceArgument,
    to: Annotated[str, typer.Option("--to", help="The stage reached.")],
    date: DateOption = None,
    at_latest: AtLatestOption = False,
    evidence_texts: EvidenceOption = None,
    reason: ReasonOption = "",
    etag: EtagOption = "",
    request_id: RequestOption = "",
) -> None:
    """Record that a later stage was reached."""
    lang = session.lang
    stage = integration_pb2.Stage.Value(choose(to, integration_pb2.Stage, "STAGE_", lang))
    when = effective_date(date, lang, at_latest=at_latest)
    before = _read(session, service)
    request = pb.AdvanceIntegrationRequest(
        name=before.name,
        stage=stage,
        effective_date=when,
        reason=reason,
        evidence=evidence(evidence_texts),
        etag=etag or before.etag,
        request_id=request_id or new_request_id(),
    )
    reply = session.client.ask(session.client.integration.AdvanceIntegration, request)
    _finish(session, reply, _moved(session, reply))


@command(app, "revert")
def revert(
    session: Session,
    service: ServiceArgument,
    to: Annotated[str, typer.Option("--to", help="The stage it goes back to.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    date: DateOption = None,
    at_latest: AtLatestOption = False,
    evidence_texts: EvidenceOption = None,
    etag: EtagOption = "",
    request_id: RequestOption = "",
    yes: YesOption = False,
) -> None:
    """Record that work must be done again; a wrong entry is corrected instead."""
    lang = session.lang
    stage = integration_pb2.Stage.Value(choose(to, integration_pb2.Stage, "STAGE_", lang))
    when = effective_date(date, lang, at_latest=at_latest)
    before = _read(session, service)
    question = {**_named(session, before), "stage": stage_text(stage, lang)}
    session.sure(session.word("screen.integration.sure_revert", **question), yes=yes)
    request = pb.RevertIntegrationRequest(
        name=before.name,
        stage=stage,
        effective_date=when,
        reason=reason,
        evidence=evidence(evidence_texts),
        etag=etag or before.etag,
        request_id=request_id or new_request_id(),
    )
    reply = session.client.ask(session.client.integration.RevertIntegration, request)
    _finish(session, reply, _moved(session, reply))


def _moved(session: Session, reply: Any) -> str:
    step = reply.transition
    return session.word(
        "screen.integration.moved",
        **_named(session, reply.integration),
        from_stage=stage_text(step.from_stage, session.lang),
        to_stage=stage_text(step.to_stage, session.lang),
        when=when_text(step.effective_date, session.lang),
    )


def _turn(session: Session, verb: str, service: str, step: dict[str, Any], *, yes: bool = True) -> None:
    """Change the condition: `verb` is block, unblock, suspend, resume, withdraw or reinstate."""
    lang = session.lang
    when = effective_date(step["date"], lang, at_latest=step["at_latest"])
    before = _read(session, service)
    if verb == "withdraw":
        session.sure(session.word("screen.integration.sure_withdraw", **_named(session, before)), yes=yes)
    method: Any = getattr(session.client.integration, f"{verb.capitalize()}Integration")
    make: Any = getattr(pb, f"{verb.capitalize()}IntegrationRequest")
    request = make(
        name=before.name,
        effective_date=when,
        reason=step["reason"],
        evidence=evidence(step["evidence"]),
        etag=step["etag"] or before.etag,
        request_id=step["request_id"] or new_request_id(),
    )
    reply: Any = session.client.ask(method, request)
    past = {"withdraw": "withdrawn"}.get(verb, f"{verb}d" if verb.endswith("e") else f"{verb}ed")
    happened = when_text(reply.transition.effective_date, lang)
    line = session.word(f"screen.integration.{past}", **_named(session, reply.integration), when=happened)
    _finish(session, reply, line)


def _turns(verb: str, help_text: str, *, reason_needed: bool) -> None:
    """Register a command that changes the condition."""

    def with_reason(
        session: Session,
        service: ServiceArgument,
        reason: Annotated[str, typer.Option("--reason", help="Why.")],
        date: DateOption = None,
        at_latest: AtLatestOption = False,
        evidence_texts: EvidenceOption = None,
        etag: EtagOption = "",
        request_id: RequestOption = "",
        yes: YesOption = False,
    ) -> None:
        step = {
            "reason": reason,
            "date": date,
            "at_latest": at_latest,
            "evidence": evidence_texts,
            "etag": etag,
            "request_id": request_id,
        }
        _turn(session, verb, service, step, yes=yes)

    def without_reason(
        session: Session,
        service: ServiceArgument,
        reason: ReasonOption = "",
        date: DateOption = None,
        at_latest: AtLatestOption = False,
        evidence_texts: EvidenceOption = None,
        etag: EtagOption = "",
        request_id: RequestOption = "",
    ) -> None:
        with_reason(session, service, reason, date, at_latest, evidence_texts, etag, request_id, yes=True)

    command(app, verb, help=help_text)(with_reason if reason_needed else without_reason)


_turns("block", "Record that work is held up.", reason_needed=True)
_turns("unblock", "Record that work goes on.", reason_needed=False)
_turns("suspend", "Record that what was live is switched off.", reason_needed=True)
_turns("resume", "Record that it is live again.", reason_needed=False)
_turns("withdraw", "Take it out of the plan; the number planned stays.", reason_needed=True)
_turns("reinstate", "Put it back into the plan.", reason_needed=False)


@command(app, "correct")
def correct(
    session: Session,
    service: ServiceArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    annul: Annotated[bool, typer.Option("--annul", help="It never happened.")] = False,
    date: Annotated[str | None, typer.Option("--date", help="It happened then instead.")] = None,
    at_latest: AtLatestOption = False,
    entry: Annotated[int, typer.Option("--entry", min=0, help="Its number in the history; default: the newest.")] = 0,
    evidence_texts: EvidenceOption = None,
    etag: EtagOption = "",
    request_id: RequestOption = "",
    yes: YesOption = False,
) -> None:
    """Correct an entry that was recorded wrongly; both stay in the history."""
    lang = session.lang
    if annul == bool(date):
        raise UsageProblemError(session.word("screen.common.one_of", choices="--annul, --date"))
    when = effective_date(date, lang, at_latest=at_latest)
    before = _read(session, service)
    session.sure(session.word("screen.integration.sure_correct", **_named(session, before)), yes=yes)
    request = pb.CorrectTransitionRequest(
        name=before.name,
        transition=entry,
        reason=reason,
        evidence=evidence(evidence_texts),
        etag=etag or before.etag,
        request_id=request_id or new_request_id(),
    )
    if when is None:
        request.annul = True
    else:
        request.effective_date.CopyFrom(when)
    reply = session.client.ask(session.client.integration.CorrectTransition, request)
    values = {**_named(session, reply.integration), "entry": entry_text(reply.corrected, lang)}
    if when is None:
        values |= {
            "when": when_text(reply.corrected.effective_date, lang),
            "stage": stage_text(reply.integration.stage, lang),
        }
        line = session.word("screen.integration.annulled", **values)
    else:
        line = session.word("screen.integration.redated", **values, when=when_text(when, lang))
    _finish(session, reply, line)


@command(app, "check")
def check(
    session: Session,
    service: ServiceArgument,
    name: Annotated[str, typer.Argument(metavar="CHECK", help="IDENTITY, PAYMENT, POST, …")],
    state: Annotated[str, typer.Argument(metavar="STATE", help="NOT_REQUIRED, PENDING, PASSED, FAILED, UNKNOWN.")],
    date: DateOption = None,
    at_latest: AtLatestOption = False,
    evidence_texts: EvidenceOption = None,
    etag: EtagOption = "",
    request_id: RequestOption = "",
) -> None:
    """Record how a connection check stands."""
    lang = session.lang
    check_name = choose(name, integration_pb2.Check, "CHECK_", lang)
    state_name = choose(state, integration_pb2.CheckState, "CHECK_STATE_", lang)
    when = effective_date(date, lang, at_latest=at_latest)
    before = _read(session, service)
    request = pb.SetConnectionCheckRequest(
        name=before.name,
        check=integration_pb2.Check.Value(check_name),
        state=integration_pb2.CheckState.Value(state_name),
        date=when,
        evidence=evidence(evidence_texts),
        etag=etag or before.etag,
        request_id=request_id or new_request_id(),
    )
    reply = session.client.ask(session.client.integration.SetConnectionCheck, request)
    values = {
        "check": session.word(f"check.{check_name.removeprefix('CHECK_')}"),
        "state": session.word(f"check_state.{state_name.removeprefix('CHECK_STATE_')}"),
    }
    line = session.word("screen.integration.check_set", **_named(session, reply.integration), **values)
    _finish(session, reply, line, with_figure=False)


@command(app, "link")
def link(
    session: Session,
    service: ServiceArgument,
    portal: Annotated[str, typer.Argument(metavar="PORTAL", help="MINISTRY or NATIONAL.")],
    uri: Annotated[str, typer.Argument(metavar="ADDRESS", help="http or https; empty: removes it.")],
    etag: EtagOption = "",
    request_id: RequestOption = "",
) -> None:
    """Record where a portal shows the service."""
    portal_name = choose(portal, integration_pb2.Portal, "PORTAL_", session.lang)
    before = _read(session, service)
    request = pb.SetPortalLinkRequest(
        name=before.name,
        portal=integration_pb2.Portal.Value(portal_name),
        uri=uri,
        etag=etag or before.etag,
        request_id=request_id or new_request_id(),
    )
    reply = session.client.ask(session.client.integration.SetPortalLink, request)
    shown = session.word(f"portal.{portal_name.removeprefix('PORTAL_')}")
    line = session.word("screen.integration.portal_link_set", **_named(session, reply.integration), portal=shown)
    _finish(session, reply, line, with_figure=False)


@command(app, "attach")
def attach(session: Session) -> None:
    """Read a replaced catalog from its start and add what integration lacks."""
    run_module(session, "integration", "attach")
