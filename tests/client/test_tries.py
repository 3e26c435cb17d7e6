"""What a service is asked again, and what it is not: the clients against a server that counts."""

import asyncio
from typing import Any

import pytest

from services.client import AsyncClient, Client, Places, RefusedError
from services.common.errors import Reason, Refusal
from tests.support.calls import Reply, serving
from tiendo.status.v1 import status_service_pb2

REQUEST = status_service_pb2.GetCompletionRequest(programme="programmes/a")


class Counting:
    """A handler that refuses so many times before it answers with who called."""

    def __init__(self, refusal: Refusal, times: int) -> None:
        self._refusal, self._times = refusal, times
        self.seen: list[Any] = []

    async def __call__(self, request: Any, call: Any) -> Reply:
        """Refuse or answer."""
        self.seen.append(request)
        if len(self.seen) <= self._times:
            raise self._refusal
        return Reply(programme=call.actor)


async def both(handler: Counting, **options: Any) -> list[Any]:
    """Ask by the blocking client, then by the other; give replies and refusals."""
    answers: list[Any] = []
    async with serving(handler) as (server, _):
        places = Places(status=server.address)
        with Client(places, actor="Đức", **options) as blocking:
            try:
                answers.append(await asyncio.to_thread(blocking.status.GetCompletion, REQUEST))
            except RefusedError as refused:
                answers.append(refused)
        handler.seen.clear()
        async with AsyncClient(places, actor="Đức", **options) as waiting:
            try:
                answers.append(await waiting.status.GetCompletion(REQUEST))
            except RefusedError as refused:
                answers.append(refused)
    return answers


async def test_a_service_that_says_when_is_asked_again_the_same() -> None:
    """UNAVAILABLE with RetryInfo: asked again with the same request, until it answers; the caller's name goes along."""
    handler = Counting(Refusal(Reason.NOT_CAUGHT_UP, "not yet", retry_seconds=0.02), 3)

    answers = await both(handler)

    assert [answer.programme for answer in answers] == ["Đức", "Đức"]
    assert handler.seen == [REQUEST] * 4


@pytest.mark.parametrize("reason", [Reason.STALE_ETAG, Reason.NOT_ACTIVE, Reason.INTERNAL])
async def test_a_refusal_is_told_at_once(reason: Reason) -> None:
    """ABORTED, FAILED_PRECONDITION and a fault are asked once, and told with reason, field and metadata."""
    handler = Counting(Refusal(reason, "say no", field="etag", metadata={"name": "services/a"}), 100)

    answers = await both(handler)

    assert [(each.reason, each.field, each.metadata) for each in answers] == [
        (reason, "etag", {"name": "services/a"})
    ] * 2
    assert handler.seen == [REQUEST]


async def test_tries_end_by_the_deadline() -> None:
    """A service that never stops asking for patience is left before the deadline, with its own last word."""
    handler = Counting(Refusal(Reason.OVERLOADED, "too many wait", retry_seconds=0.1), 100)

    answers = await both(handler, deadline_seconds=0.35)

    assert [answer.reason for answer in answers] == ["OVERLOADED", "OVERLOADED"]
    assert 2 <= len(handler.seen) <= 4
