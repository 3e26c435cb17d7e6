"""A real gRPC server whose handlers a test gives, inside the wrapper of every call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from services.common.call import TRANSPORT_BYTES, Call, Calls
from services.common.durations import CallDurations
from services.common.errors import Refusal
from services.common.telemetry import Telemetry
from tiendo.status.v1 import status_service_pb2

SERVICE = status_service_pb2.DESCRIPTOR.services_by_name["StatusService"]

Reply = status_service_pb2.GetCompletionResponse
Unary = Callable[[Any, Call], Awaitable[Any]]
Stream = Callable[[Any, Call], Any]


class Rpc:
    """An endpoint: GetCompletion and WatchProgress do what the test wants, every other method answers nothing at once."""

    def __init__(self, unary: Unary | None = None, stream: Stream | None = None) -> None:
        self._unary, self._stream = unary, stream

    async def get_completion(self, request: Any, call: Call) -> Any:
        """Answer as the test says."""
        assert self._unary is not None
        return await self._unary(request, call)

    def __getattr__(self, _method: str) -> Unary:
        async def nothing(_request: Any, _call: Call) -> bytes:
            return b""

        return nothing

    def watch_progress(self, request: Any, call: Call) -> Any:
        """Stream as the test says."""
        assert self._stream is not None
        return self._stream(request, call)


class Client:
    """Calls as any client makes them, in raw bytes or messages."""

    def __init__(self, channel: grpc.aio.Channel, address: str = "") -> None:
        self.address = address
        name = SERVICE.full_name
        self.raw: Any = channel.unary_unary(f"/{name}/GetCompletion")
        self.freshness: Any = channel.unary_unary(f"/{name}/GetFreshness")
        self.watch: Any = channel.unary_stream(
            f"/{name}/WatchProgress", response_deserializer=status_service_pb2.WatchProgressResponse.FromString
        )

    async def ask(self, programme: str = "", **options: Any) -> Any:
        """Call GetCompletion."""
        request = status_service_pb2.GetCompletionRequest(programme=programme)
        reply = await self.raw(request.SerializeToString(), **{"timeout": 10, **options})
        return status_service_pb2.GetCompletionResponse.FromString(reply)


@asynccontextmanager
async def serving(
    unary: Unary | None = None,
    stream: Stream | None = None,
    *,
    telemetry: Telemetry | None = None,
    durations: CallDurations | None = None,
) -> AsyncIterator[tuple[Client, grpc.aio.Server]]:
    """A server with these handlers, and a client of it."""
    server = grpc.aio.server(options=(("grpc.max_receive_message_length", TRANSPORT_BYTES),))
    calls = Calls(telemetry or Telemetry("status"), durations)
    server.add_generic_rpc_handlers((calls.handlers(SERVICE, Rpc(unary, stream)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield Client(channel, f"127.0.0.1:{port}"), server
        finally:
            await server.stop(0)


async def refused(awaitable: Awaitable[Any]) -> grpc.aio.AioRpcError:
    """The error of a call that must fail."""
    try:
        async with asyncio.timeout(10):
            await awaitable
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call was answered")


def detail(error: grpc.aio.AioRpcError, kind: type[Any]) -> Any:
    """The detail of a kind in an error's status; None where there is none."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            found = kind()
            packed.Unpack(found)
            return found
    return None


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """The reason in an error's ErrorInfo."""
    info = detail(error, error_details_pb2.ErrorInfo)
    assert info.domain == "tiendo"
    return str(info.reason)


def refusing(refusal: Refusal) -> Unary:
    """A handler that refuses."""

    async def handler(_request: Any, _call: Call) -> Any:
        raise refusal

    return handler


async def tell_actor(_request: Any, call: Call) -> Reply:
    """Answer with who called."""
    return Reply(programme=call.actor)
