"""Every call ends with a status a client can act on, whatever its handler does."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from services.common.call import MAX_REQUEST_BYTES, Call, Calls
from services.common.errors import Reason, Refusal
from services.common.telemetry import Telemetry
from tests.support.calls import SERVICE, Reply, detail, reason_of, refused, refusing, serving, tell_actor
from tiendo.status.v1 import status_service_pb2


async def test_a_refusal_arrives_whole() -> None:
    """Status code, message, ErrorInfo with its metadata, the field, and when to try again."""
    refusal = Refusal(
        Reason.NOT_CAUGHT_UP, "chưa tới 12; try again", field="at_least", metadata={"wanted": "12"}, retry_seconds=1.5
    )
    async with serving(refusing(refusal)) as (client, _):
        error = await refused(client.ask())

    info = detail(error, error_details_pb2.ErrorInfo)
    violations = detail(error, error_details_pb2.BadRequest).field_violations
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error.details() == "at_least: chưa tới 12; try again"
    assert (info.reason, info.domain, dict(info.metadata)) == ("NOT_CAUGHT_UP", "tiendo", {"wanted": "12"})
    assert [(one.field, one.description) for one in violations] == [("at_least", "at_least: chưa tới 12; try again")]
    assert detail(error, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 1500


async def test_a_refusal_without_field_or_retry_has_neither() -> None:
    """No empty BadRequest, and no RetryInfo where a retry does not help."""
    async with serving(refusing(Refusal(Reason.PROGRAMME_NOT_FOUND, "there is no programmes/x"))) as (client, _):
        error = await refused(client.ask())

    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert detail(error, error_details_pb2.BadRequest) is None
    assert detail(error, error_details_pb2.RetryInfo) is None


@pytest.mark.parametrize("letter", ["x", "ự"])
async def test_a_refusal_of_any_length_arrives(letter: str) -> None:
    """A message of 20,000 letters is shortened, so that the client gets it and not the transport's own error."""
    text = letter * 20_000
    refusal = Refusal(Reason.INVALID_MASK, text, field=text, metadata={"path": text})
    async with serving(refusing(refusal)) as (client, _):
        error = await refused(client.ask())

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(error) == "INVALID_MASK"
    assert (error.details() or "").startswith(letter * 100)


async def test_a_fault_is_told_as_an_incident_only() -> None:
    """What a handler raises unforeseen is INTERNAL with an incident that the log holds, and none of its text."""

    async def handler(_request: Any, _call: Call) -> Reply:
        raise ValueError("SELECT secret FROM 10.0.0.7")

    with capture_logs() as lines:
        async with serving(handler) as (client, _):
            error = await refused(client.ask())

    incident = detail(error, error_details_pb2.ErrorInfo).metadata["incident"]
    faults = [line for line in lines if line["event"] == "fault"]
    assert error.code() is grpc.StatusCode.INTERNAL
    assert reason_of(error) == "INTERNAL"
    assert incident in (error.details() or "")
    assert "SELECT" not in str(error)
    assert "10.0.0.7" not in str(error)
    assert [line["incident"] for line in faults] == [incident]
    assert "SELECT secret" in repr(faults[0]["exc_info"])


async def test_a_database_that_is_away_is_unavailable() -> None:
    """A read that the database did not answer is UNAVAILABLE with when to try again, and shows no SQL and no address."""

    async def handler(_request: Any, _call: Call) -> Reply:
        raise OperationalError("SELECT secret", {}, ConnectionError("10.0.0.7 refused"))

    with capture_logs():
        async with serving(handler) as (client, _):
            error = await refused(client.ask())

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(error) == "DATABASE_UNAVAILABLE"
    assert detail(error, error_details_pb2.RetryInfo).retry_delay.seconds == 1
    assert "SELECT" not in str(error)
    assert "10.0.0.7" not in str(error)


async def test_an_answer_that_is_none_is_a_fault() -> None:
    """A handler that forgets its answer is INTERNAL too, without the text of the exception."""

    async def handler(_request: Any, _call: Call) -> None:
        return None

    with capture_logs():
        async with serving(handler) as (client, _):
            error = await refused(client.ask())

    assert error.code() is grpc.StatusCode.INTERNAL
    assert reason_of(error) == "INTERNAL"
    assert "NoneType" not in str(error)


async def test_a_task_cancelled_inside_leaves_nobody_waiting() -> None:
    """When something inside a call is cancelled, its caller gets UNAVAILABLE within 5 s."""

    async def handler(_request: Any, _call: Call) -> Reply:
        inner: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        inner.cancel()
        return await inner

    begun = time.monotonic()
    async with serving(handler) as (client, _):
        error = await refused(client.ask(timeout=9))
    took = time.monotonic() - begun

    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert reason_of(error) == "SHUTTING_DOWN"
    assert took < 5


async def test_a_client_that_leaves_ends_its_handler() -> None:
    """Cancelling a unary call cancels its handler."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handler(_request: Any, _call: Call) -> Reply:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return Reply()

    async with serving(handler) as (client, _):
        asking = asyncio.create_task(client.ask())
        await begun.wait()
        asking.cancel()
        await asyncio.wait_for(ended.wait(), 5)

    assert asking.cancelled()


@pytest.mark.parametrize("busy", [False, True], ids=["waiting", "writing"])
async def test_a_watcher_that_leaves_ends_its_stream(busy: bool) -> None:
    """Cancelling a stream runs its handler's farewell, whether it waits or is held up in sending."""
    ended = asyncio.Event()

    async def stream(_request: Any, _call: Call) -> AsyncIterator[Any]:
        try:
            while True:
                yield status_service_pb2.WatchProgressResponse(token="x" * 100_000)
                if not busy:
                    await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(stream=stream) as (client, _):
        call = client.watch(b"")
        await call.read()
        call.cancel()
        await asyncio.wait_for(ended.wait(), 5)

    assert ended.is_set()


async def test_a_stream_that_fails_ends_with_its_status() -> None:
    """What was sent before arrives, then the refusal with its details."""

    async def stream(_request: Any, _call: Call) -> AsyncIterator[Any]:
        yield status_service_pb2.WatchProgressResponse(token="1")
        raise Refusal(Reason.TOKEN_EXPIRED, "begin anew", field="after")

    async with serving(stream=stream) as (client, _):
        call = client.watch(b"", timeout=10)
        first = await call.read()
        error = await refused(call.read())

    assert first.token == "1"
    assert error.code() is grpc.StatusCode.OUT_OF_RANGE
    assert reason_of(error) == "TOKEN_EXPIRED"


async def test_a_stopping_server_gives_every_call_a_status() -> None:
    """Calls that are not done at the end of the grace period get UNAVAILABLE: unary and stream."""
    begun = asyncio.Event()

    async def handler(_request: Any, _call: Call) -> Reply:
        begun.set()
        await asyncio.Event().wait()
        return Reply()

    async def stream(_request: Any, _call: Call) -> AsyncIterator[Any]:
        yield status_service_pb2.WatchProgressResponse(token="1")
        await asyncio.Event().wait()

    async with serving(handler, stream) as (client, server):
        call = client.watch(b"")
        asking = asyncio.create_task(client.ask(timeout=None))
        await call.read()
        await begun.wait()
        await server.stop(0.1)
        of_stream, of_unary = await refused(call.read()), await refused(asking)

    assert of_stream.code() is grpc.StatusCode.UNAVAILABLE
    assert of_unary.code() is grpc.StatusCode.UNAVAILABLE


async def test_text_that_is_not_utf8_is_refused() -> None:
    """Bytes FF FE in a string, and a message cut short, are INVALID_VALUE naming the message."""
    async with serving(tell_actor) as (client, _):
        errors = [await refused(client.raw(content, timeout=10)) for content in (b"\x0a\x02\xff\xfe", b"\x0a\x05x")]

    assert [error.code() for error in errors] == [grpc.StatusCode.INVALID_ARGUMENT] * 2
    assert [reason_of(error) for error in errors] == ["INVALID_VALUE"] * 2
    assert "GetCompletionRequest" in (errors[0].details() or "")


async def test_a_request_too_large_is_refused_and_the_next_is_fine() -> None:
    """5 MiB are REQUEST_TOO_LARGE with the limit, on the same connection the next call works; 4 MiB just fit."""
    async with serving(tell_actor) as (client, _):
        error = await refused(client.ask("x" * (5 * 1024 * 1024)))
        after = await client.ask()
        fitting = await client.ask("x" * (MAX_REQUEST_BYTES - 5))

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(error) == "REQUEST_TOO_LARGE"
    assert detail(error, error_details_pb2.ErrorInfo).metadata["limit"] == "4194304"
    assert after.programme == fitting.programme == "anonymous"


async def test_a_call_waits_until_shortly_before_its_deadline() -> None:
    """With 2 s left it waits about 1.9 s for a revision, with 60 s or without a deadline at most 5 s."""
    waits: list[float] = []

    async def handler(_request: Any, call: Call) -> Reply:
        waits.append(call.wait_seconds())
        return Reply()

    async with serving(handler) as (client, _):
        for timeout in (2, 60, None):
            await client.ask(timeout=timeout)

    assert 1 < waits[0] < 1.95
    assert waits[1:] == [5.0, 5.0]


def test_a_missing_handler_stops_the_start() -> None:
    """An endpoint without a method of its service is an AttributeError that names it."""
    with pytest.raises(AttributeError, match="get_completion"):
        Calls(Telemetry("status")).handlers(SERVICE, object())
