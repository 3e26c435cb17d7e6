"""The client for asyncio; what it does is what `services.client.sync` says, and it decides by the same rules.

Invariant: as there. A client belongs to the event loop that it is first used in.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf.message import Message

from services.client import rules
from services.client.errors import TiendoError, UnreachableError, read_error
from services.client.rules import Listed, Listing, Places, Resuming, Revisions, Tries
from tiendo.catalog.v1 import catalog_service_pb2, catalog_service_pb2_grpc, service_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2, integration_service_pb2_grpc
from tiendo.status.v1 import events_pb2, status_service_pb2, status_service_pb2_grpc

if TYPE_CHECKING:
    from tiendo.catalog.v1.catalog_service_pb2_grpc import CatalogServiceAsyncStub
    from tiendo.integration.v1.integration_service_pb2_grpc import IntegrationServiceAsyncStub
    from tiendo.status.v1.status_service_pb2_grpc import StatusServiceAsyncStub

Asked_contra = TypeVar("Asked_contra", bound=Listing, contravariant=True)
Page_co = TypeVar("Page_co", bound=Listed, covariant=True)


class AsyncListMethod(Protocol[Asked_contra, Page_co]):
    """A method of a stub that lists."""

    def __call__(self, request: Asked_contra, /) -> Awaitable[Page_co]:
        """Ask for a page."""


class AsyncClient:
    """`services.client.Client` for asyncio: `await client.catalog.GetService(request)`.

    A call gives its reply and nothing of grpc.aio's call object: to give it up, cancel the task that waits for it.
    """

    def __init__(
        self,
        places: Places | None = None,
        *,
        actor: str = "",
        deadline_seconds: float = rules.DEADLINE_SECONDS,
        patience_seconds: float | None = None,
        read_your_writes: bool = True,
    ) -> None:
        """Take what `Client` takes."""
        self.places = places or Places()
        self.deadline_seconds = deadline_seconds
        self.patience_seconds = deadline_seconds if patience_seconds is None else patience_seconds
        self.headers = rules.headers(actor)
        self.revisions = Revisions(kept=read_your_writes)
        self._channels: dict[str, grpc.aio.Channel] = {}

    def channel(self, service: str) -> grpc.aio.Channel:
        """Give the bare connection to "catalog", "integration" or "status", for health and reflection."""
        if service not in self._channels:
            self._channels[service] = grpc.aio.insecure_channel(self.places.of(service), rules.OPTIONS)
        return self._channels[service]

    @cached_property
    def catalog(self) -> "CatalogServiceAsyncStub":
        """Programmes and services."""
        return cast("CatalogServiceAsyncStub", catalog_service_pb2_grpc.CatalogServiceStub(self._calls("catalog")))

    @cached_property
    def integration(self) -> "IntegrationServiceAsyncStub":
        """How far each service is."""
        stub = integration_service_pb2_grpc.IntegrationServiceStub(self._calls("integration"))
        return cast("IntegrationServiceAsyncStub", stub)

    @cached_property
    def status(self) -> "StatusServiceAsyncStub":
        """How complete a programme is."""
        return cast("StatusServiceAsyncStub", status_service_pb2_grpc.StatusServiceStub(self._calls("status")))

    def _calls(self, service: str) -> Any:
        return _Calls(self, self.channel(service))

    async def pages(
        self, method: AsyncListMethod[Asked_contra, Page_co], request: Asked_contra
    ) -> AsyncIterator[Page_co]:
        """Give the pages of a list: `client.pages(client.catalog.ListServices, request)`. `request` moves along."""
        while True:
            page = await method(request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def list_services(
        self, *, programme: str = "", filter_text: str = "", order_by: str = "", page_size: int = 1000
    ) -> AsyncIterator[service_pb2.Service]:
        """Give every service that matches, each once, as ListServices documents the fields."""
        request = catalog_service_pb2.ListServicesRequest(
            programme=programme, filter=filter_text, order_by=order_by, page_size=page_size
        )
        async for page in self.pages(self.catalog.ListServices, request):
            for service in page.services:
                yield service

    async def search_services(
        self, query: str, *, programme: str = "", page_size: int = 1000
    ) -> AsyncIterator[service_pb2.Service]:
        """Give the services that hold every word of the query, best first; accents do not matter."""
        request = catalog_service_pb2.SearchServicesRequest(query=query, programme=programme, page_size=page_size)
        async for page in self.pages(self.catalog.SearchServices, request):
            for service in page.services:
                yield service

    async def list_integrations(
        self, *, programme: str = "", filter_text: str = "", order_by: str = "", page_size: int = 1000
    ) -> AsyncIterator[integration_pb2.Integration]:
        """Give every integration that matches, each once, as ListIntegrations documents the fields."""
        request = integration_service_pb2.ListIntegrationsRequest(
            programme=programme, filter=filter_text, order_by=order_by, page_size=page_size
        )
        async for page in self.pages(self.integration.ListIntegrations, request):
            for integration in page.integrations:
                yield integration

    def watch(
        self,
        *,
        programme: str = "",
        after: str = "",
        from_beginning: bool = False,
        kinds: Sequence[events_pb2.ProgressEventKind.ValueType] = (),
        service: str = "",
        on_resumed: Callable[[], None] = lambda: None,
    ) -> "AsyncWatch":
        """Watch progress, as `Client.watch`."""
        request = rules.watch_request(programme, after, kinds, service, from_beginning=from_beginning)
        return AsyncWatch(self, request, on_resumed)

    async def close(self) -> None:
        """Close every connection. End watches first: break out of them, or cancel who iterates."""
        for channel in self._channels.values():
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class AsyncWatch:
    """The messages that bring an event, as `Watch`."""

    def __init__(
        self, client: AsyncClient, request: status_service_pb2.WatchProgressRequest, on_resumed: Callable[[], None]
    ) -> None:
        self._client, self._on_resumed = client, on_resumed
        self._resuming = Resuming(request, time.monotonic(), client.patience_seconds)

    @property
    def token(self) -> str:
        """Where it has come to: a later watch goes on after it."""
        return self._resuming.token

    async def __aiter__(self) -> AsyncIterator[status_service_pb2.WatchProgressResponse]:
        resuming, address = self._resuming, self._client.places.status
        while True:
            messages = self._open()
            try:
                async for message in messages:
                    if resuming.lost:
                        self._on_resumed()
                    if resuming.is_new(message):
                        yield message
                failure: TiendoError = UnreachableError(address)
            except grpc.aio.AioRpcError as error:
                failure = read_error(error, address)
            finally:
                messages.cancel()
            await asyncio.sleep(resuming.wait(failure, time.monotonic()))

    def _open(self) -> Any:
        stub: Any = status_service_pb2_grpc.StatusServiceStub(self._client.channel("status"))
        request = self._resuming.request()
        return stub.WatchProgress(request, timeout=rules.RENEW_SECONDS, metadata=self._client.headers)


class _Calls:
    """What a stub takes for its channel: its methods become ours, with the parameters that the stubs' types have."""

    def __init__(self, client: AsyncClient, channel: grpc.aio.Channel) -> None:
        self._client, self._channel = client, channel
        self._room = asyncio.Semaphore(rules.IN_FLIGHT)

    def unary_unary(self, path: str, *args: Any, **kwargs: Any) -> Any:
        inner: Any = self._channel.unary_unary(path, *args, **kwargs)
        seconds = rules.LONG_CALLS.get(path, self._client.deadline_seconds)

        async def ask(request: Message, timeout: float | None = None, metadata: Any = ()) -> Any:  # noqa: ASYNC109
            ordered = rules.is_command(request) and self._client.revisions.kept
            async with self._room if ordered else contextlib.nullcontext():
                return await self._ask(path, inner, request, timeout or seconds, metadata)

        return ask

    async def _ask(self, path: str, inner: Any, request: Message, seconds: float, metadata: Any) -> Any:
        client, revisions, service = self._client, self._client.revisions, rules.service_of(path)
        tries = Tries(time.monotonic(), seconds, client.patience_seconds)
        begun, carried = revisions.begin()
        sent, headers = rules.prepared(request, carried), rules.merged(client.headers, metadata)
        while True:
            try:
                reply = await inner(sent, timeout=tries.left(time.monotonic()), metadata=headers)
            except grpc.aio.AioRpcError as error:
                failure = read_error(error, client.places.of(service))
            else:
                revisions.note(service, begun, reply)
                return reply
            revisions.forget_if_replaced(failure)
            await asyncio.sleep(tries.wait(failure, time.monotonic()))

    def unary_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        inner: Any = self._channel.unary_stream(path, *args, **kwargs)

        async def ask(
            request: Message,
            timeout: float = rules.FILE_SECONDS,  # noqa: ASYNC109
            metadata: Any = (),
        ) -> AsyncIterator[Any]:
            client = self._client
            tries = Tries(time.monotonic(), timeout, client.patience_seconds)
            sent = rules.prepared(request, client.revisions.begin()[1])
            headers = rules.merged(client.headers, metadata)
            begun = False
            while True:
                try:
                    async for message in inner(sent, timeout=tries.left(time.monotonic()), metadata=headers):
                        begun = True
                        yield message
                except grpc.aio.AioRpcError as error:
                    failure = read_error(error, client.places.of(rules.service_of(path)))
                else:
                    return
                # What was given already cannot be taken back.
                if begun:
                    raise failure
                await asyncio.sleep(tries.wait(failure, time.monotonic()))

        return ask

    def stream_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        inner: Any = self._channel.stream_stream(path, *args, **kwargs)

        async def send(
            requests: Iterable[Message] | AsyncIterable[Message],
            timeout: float = rules.FILE_SECONDS,  # noqa: ASYNC109
            metadata: Any = (),
        ) -> AsyncIterator[Any]:
            headers = rules.merged(self._client.headers, metadata)
            with self._failures(path):
                async for message in inner(requests, timeout=timeout, metadata=headers):
                    yield message

        return send

    @contextlib.contextmanager
    def _failures(self, path: str) -> Iterator[None]:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise read_error(error, self._client.places.of(rules.service_of(path))) from None
