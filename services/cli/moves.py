"""Commands that move integrations, and correct what was entered wrongly; the rest of `tiendo integration` is beside it.

Invariant: a step is decided on the state the command has just read (its etag goes along), so a change by somebody else in
between is refused, not overwritten.
"""

from typing import Annotated, Any

import typer

from services.cli.integration import (
    AtLatestOption,
    DateOption,
    EtagOption,
    EvidenceOption,
    ReasonOption,
    RequestOption,
    ServiceArgument,
    YesOption,
    app,
    finish,
    named,
    pb,
    read,
)
from services.cli.output import (
    choose,
    effective_date,
    entry_text,
    evidence,
    stage_text,
    when_text,
)
from services.cli.session import Session, UsageProblemError, command
from tiendo.integration.v1 import integration_pb2

__all__ = ["app"]


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
    before = read(session, service)
    request = pb.AdvanceIntegrationRequest(
        name=before.name,
        stage=stage,
        effective_date=when,
        reason=reason,
        evidence=evidence(evidence_texts),
        etag=etag or before.etag,
        request_id=request_id,
    )
    reply = session.client.integration.AdvanceIntegration(request)
    finish(session, reply, _moved(session, reply))


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
    before = read(session, service)
    question = {**named(session, before), "stage": stage_text(stage, lang)}
    session.sure(session.word("screen.integration.sure_revert", **question), yes=yes)
    request = pb.RevertIntegrationRequest(
        name=before.name,
        stage=stage,
        effective_date=when,
        reason=reason,
        evidence=evidence(evidence_texts),
        etag=etag or before.etag,
        request_id=request_id,
    )
    reply = session.client.integration.RevertIntegration(request)
    finish(session, reply, _moved(session, reply))


def _moved(session: Session, reply: Any) -> str:
    step = reply.transition
    return session.word(
        "screen.integration.moved",
        **named(session, reply.integration),
        from_stage=stage_text(step.from_stage, session.lang),
        to_stage=stage_text(step.to_stage, session.lang),
        when=when_text(step.effective_date, session.lang),
    )


def _turn(session: Session, verb: str, service: str, step: dict[str, Any], *, yes: bool = True) -> None:
    """Change the condition: `verb` is block, unblock, suspend, resume, withdraw or reinstate."""
    lang = session.lang
    when = effective_date(step["date"], lang, at_latest=step["at_latest"])
    before = read(session, service)
    if verb == "withdraw":
        session.sure(session.word("screen.integration.sure_withdraw", **named(session, before)), yes=yes)
    method: Any = getattr(session.client.integration, f"{verb.capitalize()}Integration")
    make: Any = getattr(pb, f"{verb.capitalize()}IntegrationRequest")
    request = make(
        name=before.name,
        effective_date=when,
        reason=step["reason"],
        evidence=evidence(step["evidence"]),
        etag=step["etag"] or before.etag,
        request_id=step["request_id"],
    )
    reply: Any = method(request)
    past = {"withdraw": "withdrawn"}.get(verb, f"{verb}d" if verb.endswith("e") else f"{verb}ed")
    happened = when_text(reply.transition.effective_date, lang)
    line = session.word(f"screen.integration.{past}", **named(session, reply.integration), when=happened)
    finish(session, reply, line)


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
    before = read(session, service)
    session.sure(session.word("screen.integration.sure_correct", **named(session, before)), yes=yes)
    request = pb.CorrectTransitionRequest(
        name=before.name,
        transition=entry,
        reason=reason,
        evidence=evidence(evidence_texts),
        etag=etag or before.etag,
        request_id=request_id,
    )
    if when is None:
        request.annul = True
    else:
        request.effective_date.CopyFrom(when)
    reply = session.client.integration.CorrectTransition(request)
    values = {**named(session, reply.integration), "entry": entry_text(reply.corrected, lang)}
    if when is None:
        values |= {
            "when": when_text(reply.corrected.effective_date, lang),
            "stage": stage_text(reply.integration.stage, lang),
        }
        line = session.word("screen.integration.annulled", **values)
    else:
        line = session.word("screen.integration.redated", **values, when=when_text(when, lang))
    finish(session, reply, line)


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
    before = read(session, service)
    request = pb.SetConnectionCheckRequest(
        name=before.name,
        check=integration_pb2.Check.Value(check_name),
        state=integration_pb2.CheckState.Value(state_name),
        date=when,
        evidence=evidence(evidence_texts),
        etag=etag or before.etag,
        request_id=request_id,
    )
    reply = session.client.integration.SetConnectionCheck(request)
    values = {
        "check": session.word(f"check.{check_name.removeprefix('CHECK_')}"),
        "state": session.word(f"check_state.{state_name.removeprefix('CHECK_STATE_')}"),
    }
    line = session.word("screen.integration.check_set", **named(session, reply.integration), **values)
    finish(session, reply, line, with_figure=False)


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
    before = read(session, service)
    request = pb.SetPortalLinkRequest(
        name=before.name,
        portal=integration_pb2.Portal.Value(portal_name),
        uri=uri,
        etag=etag or before.etag,
        request_id=request_id,
    )
    reply = session.client.integration.SetPortalLink(request)
    shown = session.word(f"portal.{portal_name.removeprefix('PORTAL_')}")
    key = "screen.integration.portal_link_set" if uri.strip() else "screen.integration.portal_link_removed"
    line = session.word(key, **named(session, reply.integration), portal=shown)
    finish(session, reply, line, with_figure=False)
