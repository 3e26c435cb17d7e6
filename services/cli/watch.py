"""Progress as it happens.

Invariant: every event that matches is shown once, in order, over any number of lost connections: each new connection goes
on after the token of the last message.
"""

import signal
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from services.cli.output import choose, detail_text, effective_text, short, stage_text
from services.cli.session import Session, command, to_json
from services.cli.status import programme_name
from services.client import Watch
from services.common.figures import VIETNAM, day, number
from services.common.words import Lang, word
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.status.v1 import events_pb2, status_service_pb2

_PREFIX = "PROGRESS_EVENT_KIND_"
_LAST_EVENTS = 10
_DATED = {"service.integrated", "service.advanced", "service.reverted", "service.corrected", "service.blocked"}
_DATED |= {"service.unblocked", "service.suspended", "service.resumed", "service.withdrawn", "service.reinstated"}


def event_type(kind: int) -> str:
    """Give an event's type in short: `service.integrated`; a kind this version does not know is its number."""
    return short(events_pb2.ProgressEventKind, kind, _PREFIX).lower().replace("_", ".", 1)


def event_line(event: events_pb2.ProgressEvent, lang: Lang, today: str) -> str:
    """Show an event in one line: when it was recorded, what, which service, when it happened, the count."""
    moment = event.recorded_time.ToDatetime(UTC).astimezone(VIETNAM)
    recorded = f"{moment:%H:%M:%S}" if day(moment.date()) == today else day(moment.date())
    kind = event_type(event.kind)
    try:
        what = word(f"event.{kind}", lang, percent=event.milestone_percent)
    except KeyError:
        what = kind
    counts = event.completion
    count = word(
        "screen.watch.count",
        lang,
        completed=number(counts.completed, lang),
        planned=number(counts.planned, lang),
    )
    if event.service:
        parts = [event.service.rpartition("/")[2]]
        parts.append(event.display_name or word("naming.SLOT", lang, number=event.plan_number))
    else:
        parts = [event.programme.rpartition("/")[2]]
    if kind in {"service.advanced", "service.reverted"}:
        parts.append(f"{stage_text(event.from_stage, lang)} → {stage_text(event.to_stage, lang)}")
    if kind in _DATED and event.effective_date.date.year:
        parts.append(effective_text(event.effective_date, lang))
    if event.portal:
        parts.append(word(f"portal.{short(integration_pb2.Portal, event.portal, 'PORTAL_')}_short", lang))
    if event.reason:
        parts.append(detail_text(event.reason, lang) if event.portal else event.reason)
    if counts.planned and (kind in {"service.integrated", "service.corrected"} or not event.service):
        parts.append(count)
    return f"{recorded:<8}  {what:<20} {'  '.join(parts)}"


class Shown:
    """What one `tiendo watch` prints."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def latest(self, request: status_service_pb2.ListProgressEventsRequest) -> str:
        """Show the last events; give the token that goes on right after them. Raises TiendoError."""
        reply = self._session.client.status.ListProgressEvents(request)
        for event in reversed(reply.events):
            self.event(event)
        return reply.watch_token

    def event(self, event: events_pb2.ProgressEvent, token: str = "") -> None:
        """Show one event."""
        if self._session.as_json:
            reply = status_service_pb2.WatchProgressResponse(token=token, event=event)
            self._session.say(to_json(reply if token else event))
            return
        self._session.say(event_line(event, self._session.lang, day(datetime.now(VIETNAM).date())))

    def resumed(self) -> None:
        """Say that the connection was lost, and that nothing was missed."""
        if not self._session.as_json:
            moment = datetime.now(VIETNAM)
            self._session.say(f"{moment:%H:%M:%S}  {self._session.word('screen.watch.reconnected')}")


def watch(
    session: Session,
    after: Annotated[str, typer.Option("--after", help="Go on after this token.")] = "",
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Begin with the first event kept.")] = False,
    only: Annotated[str, typer.Option("--only", help="Only these events: blocked,reverted.")] = "",
    service: Annotated[str, typer.Option("--service", help="Only this service: id or alias.")] = "",
    programme: Annotated[str, typer.Option("--programme", help="Its id; default: the installation's.")] = "",
) -> None:
    """Watch progress as it happens; the last ten events come first."""
    wanted: dict[str, Any] = {
        "programme": programme_name(programme),
        "kinds": kinds(only, session.lang),
        "service": service_name(session, service),
    }
    shown = Shown(session)
    running: Watch | None = None
    for number_of_signal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number_of_signal, signal.default_int_handler)
    try:
        if not session.as_json:
            name = programme.rpartition("/")[2] or session.settings.default_programme
            session.say(session.word("screen.watch.following", programme=name))
        if not after and not from_beginning:
            request = status_service_pb2.ListProgressEventsRequest(
                page_size=_LAST_EVENTS, order_by="sequence desc", **wanted
            )
            after = shown.latest(request)
        running = session.client.watch(after=after, from_beginning=from_beginning, on_resumed=shown.resumed, **wanted)
        for message in running:
            shown.event(message.event, message.token)
    except KeyboardInterrupt:
        if session.as_json:
            return
        token = running.token if running else after
        key = "screen.watch.stopped" if token else "screen.watch.stopped_at_start"
        session.say("  " + session.word(key, **({"token": token} if token else {})))


def kinds(only: str, lang: Lang) -> list[events_pb2.ProgressEventKind.ValueType]:
    """Read `blocked,reverted`, `service.blocked` or `milestone`. Raises UsageProblemError naming the choices."""
    names = []
    for text in filter(None, (part.strip() for part in only.split(","))):
        whole = text if "." in text or "_" in text else f"service.{text}"
        if text in {"milestone", "target_passed"}:
            whole = f"programme.{text}"
        names.append(choose(whole, events_pb2.ProgressEventKind, _PREFIX, lang))
    return [events_pb2.ProgressEventKind.Value(name) for name in names]


def service_name(session: Session, text: str) -> str:
    """Make `services/{id}` of an id or an alias; the catalog knows which service an alias means. Raises TiendoError."""
    if not text:
        return ""
    request = catalog_service_pb2.GetServiceRequest(name=text if "/" in text else f"services/{text}")
    return session.client.catalog.GetService(request).service.name


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "watch")(watch)
