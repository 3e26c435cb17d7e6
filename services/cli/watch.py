"""`tiendo watch`: progress as it happens, on a terminal or as JSON lines.

Invariant: after a lost connection it goes on from its last token, so it shows each event once and misses none.
"""

import time
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import grpc

from services.cli import figures, output
from services.cli.catalog import service_of
from services.cli.client import WRONG_USAGE, CommandError, Session, details
from services.cli.status import programme_name
from tiendo.status.v1 import events_pb2
from tiendo.status.v1 import status_service_pb2 as pb

_LAST = 10
_RETRY_SECONDS = 0.5
_AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED}


def run(session: Session, programme: str, after: str, only: str, service: str, *, beginning: bool) -> None:
    """Watch until Ctrl-C; then say how to go on."""
    kinds = _kinds(session, only)
    name = programme_name(programme)
    request = pb.WatchProgressRequest(
        programme=name, after=after, kinds=kinds, service=service_of(service) if service else ""
    )
    if beginning:
        request.start = pb.WATCH_START_BEGINNING
    if not session.json:
        shown = programme or session.settings.default_programme
        output.line(session.word("screen.watch.following", programme=shown.rpartition("/")[2]))
    try:
        if not after and not beginning:
            _show_last(session, request)
        for message in _messages(session, request):
            request.after = message.token
            if message.HasField("event"):
                _show(session, message.event, message.token)
    except KeyboardInterrupt:
        if not session.json:
            key = "stopped" if request.after else "stopped_at_start"
            values = {"token": request.after} if request.after else {}
            output.line(session.word(f"screen.watch.{key}", **values))


def _show_last(session: Session, request: pb.WatchProgressRequest) -> None:
    """Show the last events first, and make the watch go on after them."""
    listing = pb.ListProgressEventsRequest(
        programme=request.programme,
        kinds=request.kinds,
        service=request.service,
        order_by="sequence desc",
        page_size=_LAST,
    )
    answer = session.call(session.status.ListProgressEvents, listing)
    for event in reversed(answer.events):
        _show(session, event, "")
    request.after = answer.watch_token


def _messages(session: Session, request: pb.WatchProgressRequest) -> Iterator[pb.WatchProgressResponse]:
    lost = False
    connected = False
    while True:
        if request.after:
            request.ClearField("start")
        try:
            for message in session.status.WatchProgress(request, metadata=session.metadata):
                if lost and not session.json:
                    output.line(session.word("screen.watch.reconnected"))
                lost, connected = False, True
                yield message
        except grpc.RpcError as failure:
            reason, _, _ = details(failure)
            if (
                failure.code() not in _AGAIN
                or (reason and reason not in {"SHUTTING_DOWN", "NOT_CAUGHT_UP"})
                or not connected
            ):
                raise session.explain(failure) from None
            # A watch that has lived its longest ends with its token and is simply taken up again.
            lost = lost or reason != "SHUTTING_DOWN"
            time.sleep(_RETRY_SECONDS)


def _kinds(session: Session, only: str) -> list[Any]:
    """Read `--only blocked,reverted`: the last word of an event's type, or all of it."""
    known = {
        name.removeprefix("PROGRESS_EVENT_KIND_"): number
        for name, number in events_pb2.ProgressEventKind.items()
        if number
    }
    kinds: list[Any] = []
    for word in (piece.strip() for piece in only.split(",") if piece.strip()):
        wanted = word.upper().replace(".", "_").replace("-", "_")
        found = [number for name, number in known.items() if wanted in (name, name.partition("_")[2])]
        if not found:
            offered = ", ".join(name.partition("_")[2].lower() for name in known)
            raise CommandError(WRONG_USAGE, session.word("screen.common.wrong_usage", what=f"--only {word}: {offered}"))
        kinds += found
    return kinds


def _show(session: Session, event: events_pb2.ProgressEvent, token: str) -> None:
    if session.json:
        output.print_json({**output.as_dict(event), **({"token": token} if token else {})})
        return
    kind = events_pb2.ProgressEventKind.Name(event.kind).removeprefix("PROGRESS_EVENT_KIND_")
    values = {"percent": str(event.milestone_percent)} if event.milestone_percent else {}
    what = session.word(f"event.{kind.lower().replace('_', '.', 1)}", **values)
    service_id = event.service.rpartition("/")[2]
    name = output.service_name(session, event.display_name, service_id, event.plan_number) if event.service else ""
    moment = figures.instant(event.recorded_time.ToDatetime(tzinfo=UTC), seconds=True)
    parts = [moment, f"{what:<22}", f"{service_id:<8}", name]
    if event.effective_date.date.year:
        parts.append(output.effective(event.effective_date, session.lang))
    if event.kind in _COUNTING:
        counts = event.completion
        parts.append(session.word("screen.watch.count", completed=counts.completed, planned=counts.planned))
    if event.reason:
        parts.append(event.reason)
    output.line("  ".join(part for part in parts if part.strip()))


_COUNTING = {
    events_pb2.PROGRESS_EVENT_KIND_SERVICE_INTEGRATED,
    events_pb2.PROGRESS_EVENT_KIND_SERVICE_CORRECTED,
    events_pb2.PROGRESS_EVENT_KIND_SERVICE_REVERTED,
    events_pb2.PROGRESS_EVENT_KIND_SERVICE_SUSPENDED,
    events_pb2.PROGRESS_EVENT_KIND_SERVICE_RESUMED,
    events_pb2.PROGRESS_EVENT_KIND_PROGRAMME_MILESTONE,
}
