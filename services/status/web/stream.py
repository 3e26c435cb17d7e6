"""What reaches a page by itself: progress events, and word that figures changed.

Invariant: an event's id is the watch token after it, so a page that comes back goes on where it was, whatever happened to
the server meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator

from jinja2 import Environment
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response

from services.common.errors import Reason, Refusal
from services.status import watch
from services.status.watch import Filter
from services.status.web import asked, pages
from services.status.web.desk import Desk, data_reference
from services.status.web.wording import Words
from tiendo.status.v1 import status_service_pb2 as pb

_RETRY_MS = 500
_SILENCE_SECONDS = 15.0
_SETTLE_SECONDS = 0.2


class Streams:
    """The two streams."""

    def __init__(self, desk: Desk, environment: Environment) -> None:
        self._desk = desk
        self._row = environment.get_template("rows.html").module

    async def events(self, request: Request) -> Response:
        """Progress events from a token on: the browser's last id, else `after`, else from now."""
        question = asked.read(request, self._desk.default_programme)
        self._desk.live.current.model.programme(question.programme)
        token = request.headers.get("last-event-id", "") or question.get("after")
        return _answer(self._events(question, token))

    async def changes(self, request: Request) -> Response:  # noqa: ARG002 (an endpoint)
        """The data reference, at once and after every change."""
        return _answer(self._changes())

    async def _events(self, question: asked.Asked, token: str) -> AsyncIterator[ServerSentEvent]:
        words, watches = Words(question.lang), self._desk.watches
        try:
            after = await watches.position(token) if token else self._desk.live.current.head.sequence
            async for message in watches.follow(after, Filter(question.programme)):
                yield self._sent(pb.WatchProgressResponse.FromString(message), words)
        except Refusal as refusal:
            # When the process stops, or another replica is ahead of this one, the browser comes back by itself.
            if refusal.reason in {Reason.TOKEN_EXPIRED, Reason.INVALID_TOKEN}:
                now = self._desk.live.current.head
                yield ServerSentEvent("now", event="expired", id=watch.token_of(now.epoch, now.sequence))

    def _sent(self, message: pb.WatchProgressResponse, words: Words) -> ServerSentEvent:
        if not message.HasField("event"):
            return ServerSentEvent("-", event="bookmark", id=message.token)
        row = self._row.event_row(words, pages.event_view(message.event, words))  # type: ignore[attr-defined]
        return ServerSentEvent(str(row).strip(), event="progress", id=message.token)

    async def _changes(self) -> AsyncIterator[ServerSentEvent]:
        stopping = self._desk.stopping
        while not stopping.is_set():
            changed = self._desk.live.changed()
            yield ServerSentEvent(data_reference(self._desk.live.current), event="data")
            waits = {asyncio.ensure_future(event.wait()) for event in (changed, stopping)}
            try:
                await asyncio.wait(waits, timeout=_SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            # A burst of changes is told of once.
            await asyncio.sleep(_SETTLE_SECONDS)


def _answer(events: AsyncIterator[ServerSentEvent]) -> Response:
    async def begun() -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(comment="tiendo", retry=_RETRY_MS)
        async for event in events:
            yield event

    return EventSourceResponse(begun(), ping=int(_SILENCE_SECONDS), headers={"cache-control": "no-store"})
