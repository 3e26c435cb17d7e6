"""Progress as it happens.

Invariant: every event that matches is shown once, in order, over any number of lost connections: each new connection goes
on after the token of the last message.
"""

import random
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import grpc
import typer

from services.cli.client import UnreachableError, read_error
from services.cli.output import choose, detail_text, effective_text, short, stage_text
from services.cli.session import Session, command, to_json
from services.cli.status import programme_name
from services.common.figures import VIETNAM, day, number
from services.common.words import Lang, word
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.status.v1 import events_pb2, status_service_pb2

_PREFIX = "PROGRESS_EVENT_KIND_"
_LAST_EVENTS = 10
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 2.0
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


class Watch:
    """One `tiendo watch`, over as many connections as it takes."""

    def __init__(self, session: Session, request: status_service_pb2.WatchProgressRequest) -> None:
        self._session, self._request = session, request
        self.token = request.after

    def show_latest(self) -> None:
        """Show the last events first, and go on right after them. Raises CallError."""
        request = status_service_pb2.ListProgressEventsRequest(
            programme=self._request.programme,
            page_size=_LAST_EVENTS,
            kinds=self._request.kinds,
            service=self._request.service,
            order_by="sequence desc",
        )
        client = self._session.client
        reply = client.ask(client.status.ListProgressEvents, request)
        for event in reversed(reply.events):
            self._show(event)
        self.token = reply.watch_token

    def run(self) -> None:
        """Show events until interrupted. Raises CallError when the first connection fails, or when it is refused."""
        lost = connected = False
        wait_seconds = _FIRST_WAIT_SECONDS
        while True:
            try:
                for message in self._open():
                    if lost:
                        self._note("screen.watch.reconnected")
                        lost = False
                    connected, wait_seconds = True, _FIRST_WAIT_SECONDS
                    if message.token:
                        self.token = message.token
                    if message.HasField("event"):
                        self._show(message.event, message.token)
            except grpc.RpcError as error:
                failure = read_error(error, self._session.settings.status_address)
                again = failure.exit_code == UnreachableError.exit_code or _broken(error)
                if not again or not (connected or self.token):
                    raise failure from None
            lost = True
            time.sleep(wait_seconds * (1 - random.random() / 2))  # noqa: S311  spreads the returning watchers
            wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)

    def _open(self) -> Iterator[status_service_pb2.WatchProgressResponse]:
        request = status_service_pb2.WatchProgressRequest()
        request.CopyFrom(self._request)
        if self.token:
            request.after = self.token
            request.ClearField("start")
        client = self._session.client
        stream: Iterator[status_service_pb2.WatchProgressResponse] = client.status.WatchProgress(
            request, metadata=client.metadata
        )
        return stream

    def _show(self, event: events_pb2.ProgressEvent, token: str = "") -> None:
        if self._session.as_json:
            reply = status_service_pb2.WatchProgressResponse(token=token, event=event)
            self._session.say(to_json(reply if token else event))
            return
        self._session.say(event_line(event, self._session.lang, day(datetime.now(VIETNAM).date())))

    def _note(self, key: str) -> None:
        if self._session.as_json:
            return
        moment = datetime.now(VIETNAM)
        self._session.say(f"{moment:%H:%M:%S}  {self._session.word(key)}")


def _broken(error: Any) -> bool:
    """Tell whether the connection ended in a way that says nothing about the request."""
    return error.code() in {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED} and not any(
        key == "grpc-status-details-bin" for key, _ in error.trailing_metadata() or ()
    )


def watch(
    session: Session,
    after: Annotated[str, typer.Option("--after", help="Go on after this token.")] = "",
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Begin with the first event kept.")] = False,
    only: Annotated[str, typer.Option("--only", help="Only these events: blocked,reverted.")] = "",
    service: Annotated[str, typer.Option("--service", help="Only this service: id or alias.")] = "",
    programme: Annotated[str, typer.Option("--programme", help="Its id; default: the installation's.")] = "",
) -> None:
    """Watch progress as it happens; the last ten events come first."""
    request = status_service_pb2.WatchProgressRequest(
        programme=programme_name(programme),
        after=after,
        kinds=kinds(only, session.lang),
        service=service_name(session, service),
    )
    if from_beginning and not after:
        request.start = status_service_pb2.WATCH_START_BEGINNING
    shown = programme.rpartition("/")[2] or session.settings.default_programme
    running = Watch(session, request)
    for number_of_signal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number_of_signal, signal.default_int_handler)
    try:
        if not session.as_json:
            session.say(session.word("screen.watch.following", programme=shown))
        if not after and not from_beginning:
            running.show_latest()
        running.run()
    except KeyboardInterrupt:
        if session.as_json:
            return
        key = "screen.watch.stopped" if running.token else "screen.watch.stopped_at_start"
        session.say("  " + session.word(key, **({"token": running.token} if running.token else {})))


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
    """Make `services/{id}` of an id or an alias; the catalog knows which service an alias means. Raises CallError."""
    if not text:
        return ""
    request = catalog_service_pb2.GetServiceRequest(name=text if "/" in text else f"services/{text}")
    return session.client.ask(session.client.catalog.GetService, request).service.name


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "watch")(watch)
