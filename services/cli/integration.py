"""`tiendo integration …`: look at integrations, move them, correct what was entered wrongly.

Invariant: every command reads the integration first and sends its etag, so of two people at once the second is told; what
cannot be undone by its opposite asks first.
"""

import os
import sys
from datetime import UTC
from typing import Annotated, Any

import typer

from services.cli import figures, output
from services.cli.catalog import Evidence, Name, Programme, evidence_of
from services.cli.client import REFUSED, WRONG_USAGE, CommandError, Session, new_request_id
from services.cli.status import date_message, print_summary, programme_name
from services.common.dates import parse_date
from services.common.errors import Refusal
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import integration_pb2, transition_pb2
from tiendo.integration.v1 import integration_service_pb2 as pb

app = typer.Typer(no_args_is_help=True, help="Look at integrations, move them, correct them.")

Date = Annotated[
    str, typer.Option("--date", help="When it happened: 05/10/2022, 10/2022 or 2022. Default: at the latest today.")
]
AtLatest = Annotated[bool, typer.Option("--at-latest", help="It happened by that date, not on it.")]
Why = Annotated[str, typer.Option("--reason", help="Why.")]
To = Annotated[str, typer.Option("--to", help="The stage, for example INTEGRATED.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
NO_DATE = ""


@app.command("get")
def get(context: typer.Context, service: Name) -> None:
    """Show where one integration stands."""
    session: Session = context.obj
    found = _read(session, service)
    if session.json:
        output.print_json(found)
        return
    rows = [
        (session.word("term.id"), _id(found)),
        (session.word("term.display_name"), _name(session, found)),
        (session.word("term.stage"), _stage(session, found.stage)),
        (session.word("term.condition"), _condition(session, found.condition)),
        (session.word("term.effective_date"), output.effective(found.effective_date, session.lang)),
    ]
    for check in found.checks:
        kind = integration_pb2.Check.Name(check.check).removeprefix("CHECK_")
        state = integration_pb2.CheckState.Name(check.state).removeprefix("CHECK_STATE_")
        rows.append((session.word(f"check.{kind}"), session.word(f"check_state.{state}")))
    rows += [(integration_pb2.Portal.Name(link.portal), link.uri) for link in found.portal_links]
    output.table(("", ""), rows)


@app.command("list")
def list_integrations(
    context: typer.Context,
    programme: Programme = "",
    filter_: Annotated[str, typer.Option("--filter", help='Conditions, for example "condition = BLOCKED".')] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 50,
) -> None:
    """List integrations."""
    session: Session = context.obj
    request = pb.ListIntegrationsRequest(programme=programme_name(programme), filter=filter_, page_size=limit)
    answer = session.call(session.integration.ListIntegrations, request)
    if session.json:
        for found in answer.integrations:
            output.print_json(found)
        return
    headers = [session.word(f"term.{key}") for key in ("id", "display_name", "stage", "condition", "effective_date")]
    rows = [
        (
            _id(found),
            _name(session, found),
            _stage(session, found.stage),
            _condition(session, found.condition),
            output.effective(found.effective_date, session.lang),
        )
        for found in answer.integrations
    ]
    output.table(headers, rows)
    if len(rows) < answer.total_size:
        more = f"tiendo integration list --limit {min(answer.total_size, 1000)}"
        output.line(session.word("screen.catalog.shown", shown=len(rows), total=answer.total_size, command=more))


@app.command("history")
def history(context: typer.Context, service: Name) -> None:
    """Show every entry of one integration, corrections and what they corrected included."""
    session: Session = context.obj
    request = pb.ListTransitionsRequest(parent=integration_of(service), page_size=1000)
    answer = session.call(session.integration.ListTransitions, request)
    if session.json:
        for entry in answer.transitions:
            output.print_json(entry)
        return
    if not answer.transitions:
        output.line(session.word("screen.integration.no_history"))
        return
    keys = ("date", "recorded", "what", "by", "reason")
    rows = [_history_row(session, entry) for entry in answer.transitions]
    output.table(["", *(session.word(f"screen.integration.history_{key}") for key in keys)], rows, right=(0,))


@app.command("advance")
def advance(
    context: typer.Context,
    service: Name,
    to: To,
    date: Date = NO_DATE,
    at_latest: AtLatest = False,
    reason: Why = "",
    evidence: Evidence = None,
) -> None:
    """Move to a later stage."""
    _step(context.obj, "Advance", "moved", service, date, at_latest, reason, evidence, stage=to)


@app.command("revert")
def revert(
    context: typer.Context,
    service: Name,
    to: To,
    reason: Why,
    date: Date = NO_DATE,
    at_latest: AtLatest = False,
    evidence: Evidence = None,
    yes: Yes = False,
) -> None:
    """Move back to an earlier stage, because it must be done again."""
    session: Session = context.obj
    stage = session.word(f"stage.{_short_stage(session, to)}")
    _sure(session, "sure_revert", service, yes, stage=stage)
    _step(session, "Revert", "moved", service, date, at_latest, reason, evidence, stage=to)


def _plain(verb: str, done: str, text: str, *, needs_reason: bool, asks: bool = False) -> None:
    """Register a command that only changes the condition."""

    def command(
        context: typer.Context,
        service: Name,
        reason: Why = ... if needs_reason else "",  # type: ignore[assignment]
        date: Date = NO_DATE,
        at_latest: AtLatest = False,
        evidence: Evidence = None,
        yes: Yes = False,
    ) -> None:
        session: Session = context.obj
        if asks:
            _sure(session, f"sure_{verb.lower()}", service, yes)
        _step(session, verb, done, service, date, at_latest, reason, evidence)

    app.command(verb.lower(), help=text)(command)


_plain("Block", "blocked", "Record that work is held up.", needs_reason=True)
_plain("Unblock", "unblocked", "Record that work goes on.", needs_reason=False)
_plain("Suspend", "suspended", "Record that what was live is switched off.", needs_reason=True)
_plain("Resume", "resumed", "Record that it is live again.", needs_reason=False)
_plain("Withdraw", "withdrawn", "Take it out of the plan.", needs_reason=True, asks=True)
_plain("Reinstate", "reinstated", "Put it back into the plan.", needs_reason=False)


@app.command("correct")
def correct(
    context: typer.Context,
    service: Name,
    reason: Why,
    annul: Annotated[bool, typer.Option("--annul", help="It never happened.")] = False,
    date: Annotated[str, typer.Option("--date", help="It happened on this date instead.")] = "",
    at_latest: AtLatest = False,
    entry: Annotated[int, typer.Option("--entry", help="Which entry; default: the newest that stands.")] = 0,
    evidence: Evidence = None,
    yes: Yes = False,
) -> None:
    """Correct an entry that was recorded wrongly; both stay in the history."""
    session: Session = context.obj
    if annul == bool(date):
        raise typer.BadParameter("--annul / --date")
    _sure(session, "sure_correct", service, yes)
    present = _read(session, service)
    request = pb.CorrectTransitionRequest(
        name=present.name,
        transition=entry,
        reason=reason,
        evidence=evidence_of(evidence),
        etag=present.etag,
        request_id=new_request_id(),
    )
    if annul:
        request.annul = True
    else:
        request.effective_date.CopyFrom(_date(session, date, at_latest))
    answer = session.call(session.integration.CorrectTransition, request)
    if session.json:
        output.print_json(answer)
        return
    wrong = answer.corrected
    key = "annulled" if annul else "redated"
    shown = wrong.effective_date if annul else request.effective_date
    values = {"entry": _what(session, wrong, short=True), "when": output.when(shown, session.lang)}
    if annul:
        values["stage"] = _code(session, answer.integration.stage)
    _say(session, key, answer.integration, **values)
    print_summary(session, answer.revision)


@app.command("check")
def check(
    context: typer.Context,
    service: Name,
    kind: Annotated[
        str, typer.Argument(help="IDENTITY, POPULATION_DATABASE, PAYMENT, DOSSIER_SYNCHRONISATION, POST, E_FORM")
    ],
    state: Annotated[str, typer.Argument(help="UNKNOWN, NOT_REQUIRED, PENDING, PASSED, FAILED")],
    date: Date = NO_DATE,
    at_latest: AtLatest = False,
    evidence: Evidence = None,
) -> None:
    """Record how a connection check stands."""
    session: Session = context.obj
    which, stands = kind.upper().replace("-", "_"), state.upper().replace("-", "_")
    try:
        numbers = (
            integration_pb2.Check.Value(f"CHECK_{which}"),
            integration_pb2.CheckState.Value(f"CHECK_STATE_{stands}"),
        )
    except ValueError:
        raise typer.BadParameter(f"{kind} {state}") from None
    present = _read(session, service)
    request = pb.SetConnectionCheckRequest(
        name=present.name,
        check=numbers[0],
        state=numbers[1],
        evidence=evidence_of(evidence),
        etag=present.etag,
        request_id=new_request_id(),
    )
    if date:
        request.date.CopyFrom(_date(session, date, at_latest))
    answer = session.call(session.integration.SetConnectionCheck, request)
    if session.json:
        output.print_json(answer)
        return
    words = {"check": session.word(f"check.{which}"), "state": session.word(f"check_state.{stands}")}
    _say(session, "check_set", answer.integration, **words)


@app.command("link")
def link(
    context: typer.Context,
    service: Name,
    portal: Annotated[str, typer.Argument(help="MINISTRY or NATIONAL")],
    uri: Annotated[str, typer.Argument(help="The address; empty removes it.")] = "",
) -> None:
    """Record where a portal shows the service."""
    session: Session = context.obj
    try:
        number = integration_pb2.Portal.Value(f"PORTAL_{portal.upper()}")
    except ValueError:
        raise typer.BadParameter(portal) from None
    present = _read(session, service)
    request = pb.SetPortalLinkRequest(
        name=present.name,
        portal=number,
        uri=uri,
        etag=present.etag,
        request_id=new_request_id(),
    )
    answer = session.call(session.integration.SetPortalLink, request)
    if session.json:
        output.print_json(answer)
    else:
        _say(session, "portal_link_set", answer.integration, portal=session.word(f"portal.{portal.upper()}"))


@app.command("attach")
def attach() -> None:
    """Read a replaced catalog from its start and add what integrations lack."""
    os.execv(sys.executable, [sys.executable, "-m", "services.integration", "attach"])  # noqa: S606


def integration_of(name: str) -> str:
    """Give the resource name of an integration given by its service's id or alias, or by name."""
    return name if "/" in name else f"integrations/{name}"


def _read(session: Session, service: str) -> integration_pb2.Integration:
    request = pb.GetIntegrationRequest(name=integration_of(service))
    return session.call(session.integration.GetIntegration, request).integration


def _step(
    session: Session,
    verb: str,
    done: str,
    service: str,
    date: str,
    at_latest: bool,
    reason: str,
    evidence: list[str] | None,
    *,
    stage: str = "",
) -> None:
    present = _read(session, service)
    request_type: Any = getattr(pb, f"{verb}IntegrationRequest")
    request = request_type(
        name=present.name,
        reason=reason,
        evidence=evidence_of(evidence),
        etag=present.etag,
        request_id=new_request_id(),
    )
    if stage:
        request.stage = integration_pb2.Stage.Value(f"STAGE_{_short_stage(session, stage)}")
    if date:
        request.effective_date.CopyFrom(_date(session, date, at_latest))
    answer = session.call(getattr(session.integration, f"{verb}Integration"), request)
    if session.json:
        output.print_json(answer)
        return
    values = {"when": output.when(answer.transition.effective_date, session.lang)}
    if stage:
        before, after = answer.transition.from_stage, answer.transition.to_stage
        values |= {"from_stage": _code(session, before), "to_stage": _code(session, after)}
    _say(session, done, answer.integration, **values)
    print_summary(session, answer.revision)


def _short_stage(session: Session, text: str) -> str:
    short = text.upper().replace("-", "_").removeprefix("STAGE_")
    if f"STAGE_{short}" not in list(integration_pb2.Stage.keys()) or short == "UNSPECIFIED":
        offered = ", ".join(name.removeprefix("STAGE_") for name in integration_pb2.Stage.keys()[1:])
        raise CommandError(WRONG_USAGE, session.word("screen.common.wrong_usage", what=f"--to {text}: {offered}"))
    return short


def _date(session: Session, text: str, at_latest: bool) -> date_pb2.EffectiveDate:
    try:
        return date_pb2.EffectiveDate(date=date_message(parse_date(text)), at_latest=at_latest)
    except Refusal:
        raise CommandError(WRONG_USAGE, session.word("screen.common.wrong_date", text=text)) from None


def _sure(session: Session, key: str, service: str, yes: bool, **values: str) -> None:
    if yes:
        return
    present = _read(session, service)
    question = session.word(f"screen.integration.{key}", id=_id(present), name=_name(session, present), **values)
    if not sys.stdin.isatty() or not typer.confirm(f"{question} {session.word('screen.common.sure')}", err=True):
        raise CommandError(REFUSED, session.word("screen.common.nothing_done"))


def _say(session: Session, key: str, found: integration_pb2.Integration, **values: str) -> None:
    output.line(session.word(f"screen.integration.{key}", id=_id(found), name=_name(session, found), **values))


def _id(found: integration_pb2.Integration) -> str:
    return found.name.partition("/")[2]


def _name(session: Session, found: integration_pb2.Integration) -> str:
    return output.service_name(session, found.display_name, _id(found))


def _stage(session: Session, stage: int) -> str:
    return session.word(f"stage.{integration_pb2.Stage.Name(stage).removeprefix('STAGE_')}")  # type: ignore[arg-type]


def _code(_session: Session, stage: int) -> str:
    """The stage as it is typed, which is how commands speak of it."""
    return integration_pb2.Stage.Name(stage).removeprefix("STAGE_")  # type: ignore[arg-type]


def _condition(session: Session, condition: int) -> str:
    return session.word(f"condition.{integration_pb2.Condition.Name(condition).removeprefix('CONDITION_')}")  # type: ignore[arg-type]


def _what(session: Session, entry: transition_pb2.Transition, *, short: bool = False) -> str:
    moves = entry.kind in {transition_pb2.TRANSITION_KIND_ADVANCED, transition_pb2.TRANSITION_KIND_REVERTED}
    if moves and short:
        return _code(session, entry.to_stage)
    if moves:
        stages = {"from_stage": _code(session, entry.from_stage), "to_stage": _code(session, entry.to_stage)}
        return session.word("screen.integration.moved_short", **stages)
    kind = transition_pb2.TransitionKind.Name(entry.kind).removeprefix("TRANSITION_KIND_").lower()
    words = session.word(f"event.service.{kind}")
    return f"{words}: {entry.correction.transition}" if entry.HasField("correction") else words


def _history_row(session: Session, entry: transition_pb2.Transition) -> tuple[str, ...]:
    what = _what(session, entry)
    if entry.annulled_by:
        what += f" {session.word('screen.integration.history_annulled')}"
    elif entry.redated_by:
        what += f" {session.word('screen.integration.history_redated')}"
    backing = [text for one in entry.evidence for text in (one.document_number, one.note, one.link) if text]
    return (
        str(entry.number),
        output.effective(entry.effective_date, session.lang),
        figures.instant(entry.recorded_time.ToDatetime(tzinfo=UTC)),
        what,
        entry.actor,
        " · ".join(text for text in (entry.reason, *backing) if text),
    )
