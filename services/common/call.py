"""The one wrapper around every call: trace, log, errors, identity, deadline.

Invariant: a caller gets a status with an ErrorInfo for every refusal and never exception text, SQL or an address; what a
handler raises unforeseen is logged once with its stack and answered INTERNAL with the incident's id, or UNAVAILABLE where
the database is away.
"""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import unquote

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.trace import Span, StatusCode

from services.common.db import described, may_pass
from services.common.durations import CallDurations
from services.common.errors import Kind, Reason, Refusal
from services.common.log import traced
from services.common.telemetry import Telemetry, format_traceparent
from services.common.text import nfc
from services.common.work import Caller

MAX_REQUEST_BYTES = 4 * 1024 * 1024
# The transport lets a little more through, so that a request over our limit gets our own answer.
TRANSPORT_BYTES = 4 * MAX_REQUEST_BYTES

_DETAILS = "grpc-status-details-bin"
_ACTOR = "tiendo-actor"
_ANONYMOUS = "anonymous"
_LONGEST_WAIT_SECONDS = 5.0
# Clients take 8 KiB of trailers, and a message is in them thrice: as text, in the status, with its field.
_MESSAGE_BYTES, _VALUE_BYTES = 1000, 300
_BEFORE_DEADLINE_SECONDS = 0.1

log = structlog.get_logger("call")


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler knows of its call besides the request."""

    method: str
    actor: str
    traceparent: str
    deadline: float | None
    peer_cancelled: Callable[[], bool]

    def caller(self, request: Any) -> Caller:
        """Who asks for a command; `request` has a request_id."""
        return Caller(self.actor, request.request_id, self.traceparent)

    def wait_seconds(self) -> float:
        """How long it may wait for a revision: until 100 ms before its deadline, or 5 s."""
        if self.deadline is None:
            return _LONGEST_WAIT_SECONDS
        return max(0.0, min(_LONGEST_WAIT_SECONDS, self.deadline - time.monotonic() - _BEFORE_DEADLINE_SECONDS))


class Context(Protocol):
    """The part of grpc.aio's servicer context that is used here."""

    def invocation_metadata(self) -> Any:
        """Headers of the call."""

    def time_remaining(self) -> float | None:
        """Seconds to the deadline."""

    def cancelled(self) -> bool:
        """Whether the caller gave up."""

    async def abort(self, code: grpc.StatusCode, details: str = ..., trailing_metadata: Any = ...) -> Any:
        """End the call with a status."""

    async def write(self, message: Any) -> None:
        """Send one message of a stream."""


Unary = Callable[[Any, Call], Awaitable[Message | bytes]]
Stream = Callable[[Any, Call], AsyncGenerator[Message | bytes, None]]
"""Its first argument is the request; an async iterator of them where the method takes a stream."""


def rich_status(refusal: Refusal) -> status_pb2.Status:
    """Word a refusal as google.rpc.Status: ErrorInfo, BadRequest for its fields, RetryInfo where a retry helps.

    Texts are cut to what fits into the trailers, or the caller would see the transport's own error instead.
    """
    message = _cut(refusal.message, _MESSAGE_BYTES)
    status = status_pb2.Status(code=code_pb2.Code.Value(refusal.kind.value), message=message)
    metadata = {key: _cut(value, _VALUE_BYTES) for key, value in refusal.metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=str(refusal.reason), domain="tiendo", metadata=metadata)
    status.details.add().Pack(info)
    if refusal.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=_cut(name, _VALUE_BYTES), description=message)
            for name in refusal.fields
        ]
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=violations))
    if refusal.retry_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(int(refusal.retry_seconds * 1000))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def _cut(text: str, most: int) -> str:
    content = text.encode()
    return text if len(content) <= most else content[:most].decode(errors="ignore") + "…"


def _code(kind: Kind) -> grpc.StatusCode:
    return grpc.StatusCode[kind.value]


class Calls:
    """Turns handlers into gRPC handlers, each inside the wrapper."""

    def __init__(self, telemetry: Telemetry, durations: CallDurations | None = None) -> None:
        self._telemetry = telemetry
        self._durations = durations or CallDurations()

    def handlers(self, service: ServiceDescriptor, rpc: object) -> grpc.GenericRpcHandler:
        """Register `rpc.<method_in_snake_case>` for every method of the service. AttributeError when one is missing."""
        made: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for method in service.methods:
            handler = getattr(rpc, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower())
            request_type = GetMessageClass(method.input_type)
            name = f"{service.full_name}/{method.name}"
            if method.client_streaming:
                answer = self._stream(name, partial(_parse_each, request_type), handler)
                made[method.name] = grpc.stream_stream_rpc_method_handler(answer)
            elif method.server_streaming:
                answer = self._stream(name, partial(_parse, request_type), handler)
                made[method.name] = grpc.unary_stream_rpc_method_handler(answer)
            else:
                made[method.name] = grpc.unary_unary_rpc_method_handler(self._unary(name, request_type, handler))
        return grpc.method_handlers_generic_handler(service.full_name, made)

    def _unary(
        self, name: str, request_type: type[Message], handler: Unary
    ) -> Callable[[bytes, Context], Awaitable[Any]]:
        async def answer(content: bytes, context: Context) -> Any:
            begun = time.perf_counter()
            call, span = self._open(name, context)
            try:
                reply = await handler(_parse(request_type, content), call)
                answered = reply if isinstance(reply, bytes) else reply.SerializeToString()
            except BaseException as failure:  # noqa: BLE001 (cancellation included: every call must end with a status)
                return await self._fail(name, call, span, begun, failure, context)
            if span is not None:
                span.end()
            self._durations.record(name, "OK", time.perf_counter() - begun)
            log.debug("call", method=name, code="OK", ms=_since(begun))
            return answered

        return answer

    def _stream(
        self, name: str, parse: Callable[[Any], Any], handler: Stream
    ) -> Callable[[Any, Context], Awaitable[Any]]:
        async def answer(content: Any, context: Context) -> Any:
            begun = time.perf_counter()
            call, span = self._open(name, context)
            try:
                async with aclosing(handler(parse(content), call)) as replies:
                    async for reply in replies:
                        await context.write(reply if isinstance(reply, bytes) else reply.SerializeToString())
            except BaseException as failure:  # noqa: BLE001
                return await self._fail(name, call, span, begun, failure, context)
            if span is not None:
                span.end()
            self._durations.record(name, "OK", time.perf_counter() - begun)
            log.debug("call", method=name, code="OK", ms=_since(begun))
            return None

        return answer

    def _open(self, name: str, context: Context) -> tuple[Call, Span | None]:
        actor, traceparent = _ANONYMOUS, ""
        for key, value in context.invocation_metadata() or ():
            if key == "traceparent":
                traceparent = value
            elif key == _ACTOR:
                actor = _read_actor(value)
        span = self._telemetry.call_span(name, traceparent)
        if span is not None:
            traceparent = format_traceparent(span.get_span_context())
        traced.set(traceparent)
        remaining = context.time_remaining()
        deadline = None if remaining is None else time.monotonic() + remaining
        return Call(name, actor, traceparent, deadline, context.cancelled), span

    async def _fail(
        self,
        name: str,
        call: Call,
        span: Span | None,
        begun: float,
        failure: BaseException,
        context: Context,
    ) -> Any:
        task = asyncio.current_task()
        # Whether the call was ended from outside or something inside was; grpc's own `cancelled` tells neither.
        if isinstance(failure, asyncio.CancelledError) and task is not None and task.cancelling():
            if span is not None:
                span.set_status(StatusCode.ERROR, "CANCELLED")
                span.end()
            self._durations.record(name, "CANCELLED", time.perf_counter() - begun)
            raise failure
        refusal = failure if isinstance(failure, Refusal) else self._unforeseen(name, failure)
        status = rich_status(refusal)
        if span is not None:
            span.set_attribute("rpc.response.status_code", refusal.kind.value)
            span.set_attribute("error.type", str(refusal.reason))
            span.set_status(StatusCode.ERROR, status.message)
            span.end()
        self._durations.record(name, refusal.kind.value, time.perf_counter() - begun, str(refusal.reason))
        log.info(
            "call",
            method=name,
            code=refusal.kind.value,
            reason=str(refusal.reason),
            message=status.message,
            actor=call.actor,
            ms=_since(begun),
        )
        await context.abort(_code(refusal.kind), status.message, ((_DETAILS, status.SerializeToString()),))

    def _unforeseen(self, name: str, failure: BaseException) -> Refusal:
        if isinstance(failure, asyncio.CancelledError):
            # Not the caller's doing: something inside was cancelled, and the caller must not wait for ever.
            return Refusal(Reason.SHUTTING_DOWN, "the service is stopping; try again", retry_seconds=1)
        if may_pass(failure):
            log.error("database unavailable", method=name, **described(failure))
            return Refusal(Reason.DATABASE_UNAVAILABLE, "the database did not answer; try again", retry_seconds=1)
        incident = secrets.token_hex(6)
        log.error("fault", method=name, incident=incident, exc_info=failure)
        return Refusal(
            Reason.INTERNAL,
            f"a fault of ours; the log holds it as incident {incident}",
            metadata={"incident": incident},
        )


def _parse(request_type: type[Message], content: bytes) -> Message:
    if len(content) > MAX_REQUEST_BYTES:
        raise Refusal(
            Reason.REQUEST_TOO_LARGE,
            f"{len(content)} bytes; at most {MAX_REQUEST_BYTES} are taken: send less at a time",
            field="request",
            metadata={"limit": str(MAX_REQUEST_BYTES), "size": str(len(content))},
        )
    try:
        return request_type.FromString(content)
    except DecodeError:
        raise Refusal(
            Reason.INVALID_VALUE,
            f"not a {request_type.DESCRIPTOR.name}: text must be UTF-8 and the message whole",
            field="request",
        ) from None


async def _parse_each(request_type: type[Message], contents: AsyncIterator[bytes]) -> AsyncGenerator[Message, None]:
    async for content in contents:
        yield _parse(request_type, content)


def _read_actor(value: str | bytes) -> str:
    """Who calls, percent-encoded UTF-8 in the header because headers carry ASCII; odd characters and excess are dropped."""
    text = unquote(value if isinstance(value, str) else value.decode("ascii", "replace"), errors="replace")
    return nfc("".join(letter for letter in text if letter.isprintable()))[:200].strip() or _ANONYMOUS


def _since(begun: float) -> float:
    return round((time.perf_counter() - begun) * 1000, 2)
