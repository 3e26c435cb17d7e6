"""What is told of a call: who made it, its trace, its count and its time."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from services.common.call import Call
from services.common.durations import CallDurations
from services.common.errors import Reason, Refusal
from services.common.log import name_call
from tests.support.calls import Reply, refused, serving, tell_actor
from tiendo.status.v1 import status_service_pb2


@pytest.mark.parametrize(
    ("header", "actor"),
    [
        (quote("Nguyễn Văn Đức"), "Nguyễn Văn Đức"),
        (quote("Nguyễn Văn Đức".replace("ễ", "e\u0302\u0303")), "Nguyễn Văn Đức"),
        ("portal", "portal"),
        ("two%0Alines%00", "twolines"),
        ("%FF", "\ufffd"),
        ("%20", "anonymous"),
        ("x" * 300, "x" * 200),
    ],
)
async def test_the_actor_arrives(header: str, actor: str) -> None:
    """The header carries UTF-8 percent-encoded; it is made NFC, one line and at most 200 letters."""
    async with serving(tell_actor) as (client, _):
        reply = await client.ask(metadata=(("tiendo-actor", header),))

    assert reply.programme == actor


async def test_calls_at_once_do_not_mix() -> None:
    """Of 100 calls at once, each line in the log has the actor and the words of one call."""

    async def handler(request: Any, _call: Call) -> Reply:
        for _ in range(5):
            await asyncio.sleep(0)
        raise Refusal(Reason.PROGRAMME_NOT_FOUND, request.programme)

    with capture_logs() as lines:
        async with serving(handler) as (client, _):
            errors = await asyncio.gather(
                *(refused(client.ask(f"p{n}", metadata=(("tiendo-actor", f"a{n}"),))) for n in range(100))
            )

    told = {(line["actor"], line["message"]) for line in lines if line["event"] == "call"}
    assert told == {(f"a{n}", f"p{n}") for n in range(100)}
    assert [error.details() for error in errors] == [f"p{n}" for n in range(100)]


async def test_a_trace_of_the_caller_goes_on() -> None:
    """What is written down of a command carries the caller's trace, even where this service traces nothing."""
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    seen: list[str] = []

    async def handler(_request: Any, call: Call) -> Reply:
        seen.append(call.traceparent)
        return Reply()

    async with serving(handler) as (client, _):
        await client.ask(metadata=(("traceparent", traceparent),))

    assert seen == [traceparent]


async def test_every_call_is_counted_once_with_its_outcome() -> None:
    """Answered, refused, failed, given up and streamed calls are each one call of their method with their status code."""

    async def unary(request: Any, _call: Call) -> Reply:
        if request.programme == "fault":
            raise ValueError
        if request.programme == "refuse":
            raise Refusal(Reason.PROGRAMME_NOT_FOUND, "no")
        await asyncio.sleep(30 if request.programme == "wait" else 0)
        return Reply()

    async def stream(_request: Any, _call: Call) -> AsyncIterator[Any]:
        for _ in range(3):
            yield status_service_pb2.WatchProgressResponse()

    durations = CallDurations()
    with capture_logs():
        async with serving(unary, stream, durations=durations) as (client, _):
            await client.ask()
            await client.ask()
            for programme in ("refuse", "fault"):
                await refused(client.ask(programme))
            given_up = asyncio.ensure_future(client.ask("wait"))
            await asyncio.sleep(0.1)
            given_up.cancel()
            assert len([message async for message in client.watch(b"")]) == 3
            while len(durations.histogram().data_points) < 5:
                await asyncio.sleep(0.01)

    get, watch = (f"tiendo.status.v1.StatusService/{name}" for name in ("GetCompletion", "WatchProgress"))
    counted = {
        (each["rpc.method"], each["rpc.response.status_code"], each.get("error.type")): point.count
        for point in durations.histogram().data_points
        if (each := dict(point.attributes or {}))
    }
    assert counted == {
        (get, "OK", None): 2,
        (get, "NOT_FOUND", None): 1,
        (get, "INTERNAL", "INTERNAL"): 1,
        (get, "CANCELLED", None): 1,
        (watch, "OK", None): 1,
    }


async def test_a_call_is_measured_from_its_beginning_to_its_end() -> None:
    """A handler that takes a tenth of a second is counted with that, and no more than the caller saw."""

    async def handler(_request: Any, _call: Call) -> Reply:
        await asyncio.sleep(0.1)
        return Reply()

    durations = CallDurations()
    async with serving(handler, durations=durations) as (client, _):
        begun = time.perf_counter()
        await client.ask()
        seen = time.perf_counter() - begun

    (point,) = durations.histogram().data_points
    assert 0.099 <= point.sum <= seen


async def test_lines_of_a_call_have_its_trace() -> None:
    """What a handler logs while many calls run has the trace of its own call, and so has the line of the refusal."""

    async def handler(request: Any, _call: Call) -> Reply:
        await asyncio.sleep(0)
        ids: dict[str, Any] = {}
        name_call(None, "", ids)
        raise Refusal(Reason.PROGRAMME_NOT_FOUND, f"{ids['trace_id']} {request.programme}")

    async with serving(handler) as (client, _):
        traces = [f"{number:032x}" for number in range(1, 51)]
        asked = [client.ask(trace, metadata=(("traceparent", f"00-{trace}-{'1' * 16}-00"),)) for trace in traces]
        errors = await asyncio.gather(*(refused(each) for each in asked))

    assert [error.details() for error in errors] == [f"{trace} {trace}" for trace in traces]
