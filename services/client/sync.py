"""The client for programs that block.

Invariant: each call has a deadline, and a repeated try carries the same request, so what was done already is not done twice.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, Protocol, Self, TypeVar

import grpc
from google.protobuf.message import Message

from services.client import rules
from services.client.errors import TiendoError, UnreachableError, read_error
from services.client.rules import Listed, Listing, Places, Resuming, Revisions, Tries
from tiendo.catalog.v1 import catalog_service_pb2, catalog_service_pb2_grpc, service_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2, integration_service_pb2_grpc
from tiendo.status.v1 import events_pb2, status_service_pb2, status_service_pb2_grpc

Asked_contra = TypeVar("Asked_contra", bound=Listing, contravariant=True)
Page_co = TypeVar("Page_co", bound=Listed, covariant=True)
Stub = TypeVar("Stub")


class ListMethod(Protocol[Asked_contra, Page_co]):
    """A method of a stub that lists."""

    def __call__(self, request: Asked_contra, /) -> Page_co:
        """Ask for a page."""


class Client:
    """A connection to each service that is asked, safe to share between threads.

    `catalog`, `integration` and `status` are the generated stubs: `client.catalog.GetService(request)`. A call tries again where
    nobody answers or the service asks for it, and raises RefusedError or UnreachableError. What a client wrote, it reads.
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
        """`actor`: who asks, as the journal will name it.

        `deadline_seconds` hold for each call that names no `timeout` of its own. `patience_seconds`: how long to go on where
        nobody answers; None: up to the deadline. `read_your_writes`: carry the revision of each command to later calls.
        """
        self.places = places or Places()
        self.deadline_seconds = deadline_seconds
        self.patience_seconds = deadline_seconds if patience_seconds is None else patience_seconds
        self.headers = rules.headers(actor)
        self.revisions = Revisions(kept=read_your_writes)
        self._channels: dict[str, grpc.Channel] = {}
        self._opening = threading.Lock()
        self.closed = threading.Event()

    def channel(self, service: str) -> grpc.Channel:
        """Give the bare connection to "catalog", "integration" or "status", for health and reflection."""
        with self._opening:
            if service not in self._channels:
                self._channels[service] = grpc.insecure_channel(self.places.of(service), rules.OPTIONS)
            return self._channels[service]

    @cached_property
    def catalog(self) -> catalog_service_pb2_grpc.CatalogServiceStub:
        """Programmes and services."""
        return _stub(catalog_service_pb2_grpc.CatalogServiceStub, self, "catalog")

    @cached_property
    def integration(self) -> integration_service_pb2_grpc.IntegrationServiceStub:
        """How far each service is."""
        return _stub(integration_service_pb2_grpc.IntegrationServiceStub, self, "integration")

    @cached_property
    def status(self) -> status_service_pb2_grpc.StatusServiceStub:
        """How complete a programme is."""
        return _stub(status_service_pb2_grpc.StatusServiceStub, self, "status")

    def pages(self, method: ListMethod[Asked_contra, Page_co], request: Asked_contra) -> Iterator[Page_co]:
        """Give the pages of a list: `client.pages(client.catalog.ListServices, request)`. `request` moves along."""
        while True:
            page = method(request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def list_services(
        self, *, programme: str = "", filter_text: str = "", order_by: str = "", page_size: int = 1000
    ) -> Iterator[service_pb2.Service]:
        """Give every service that matches, each once, as ListServices documents the fields."""
        request = catalog_service_pb2.ListServicesRequest(
            programme=programme, filter=filter_text, order_by=order_by, page_size=page_size
        )
        for page in self.pages(self.catalog.ListServices, request):
            yield from page.services

    def search_services(
        self, query: str, *, programme: str = "", page_size: int = 1000
    ) -> Iterator[service_pb2.Service]:
        """Give the services that hold every word of the query, best first; accents do not matter."""
        request = catalog_service_pb2.SearchServicesRequest(query=query, programme=programme, page_size=page_size)
        for page in self.pages(self.catalog.SearchServices, request):
            yield from page.services

    def list_integrations(
        self, *, programme: str = "", filter_text: str = "", order_by: str = "", page_size: int = 1000
    ) -> Iterator[integration_pb2.Integration]:
        """Give every integration that matches, each once, as ListIntegrations documents the fields."""
        request = integration_service_pb2.ListIntegrationsRequest(
            programme=programme, filter=filter_text, order_by=order_by, page_size=page_size
        )
        for page in self.pages(self.integration.ListIntegrations, request):
            yield from page.integrations

    def watch(
        self,
        *,
        programme: str = "",
        after: str = "",
        from_beginning: bool = False,
        kinds: Sequence[events_pb2.ProgressEventKind.ValueType] = (),
        service: str = "",
        on_resumed: Callable[[], None] = lambda: None,
    ) -> "Watch":
        """Watch progress from now on, from the beginning, or on from a token.

        `on_resumed` is called when the connection was lost and stands again.
        """
        request = rules.watch_request(programme, after, kinds, service, from_beginning=from_beginning)
        return Watch(self, request, on_resumed)

    def close(self) -> None:
        """Close every connection; a watch of this client ends."""
        self.closed.set()
        for channel in self._channels.values():
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _stub(kind: type[Stub], client: Client, service: str) -> Stub:
    make: Any = kind
    stub: Stub = make(_Calls(client, client.channel(service)))
    return stub


class Watch:
    """The messages that bring an event, each event once, over as many connections as it takes.

    `token` is where it has come to, also over what the filter left out. Iterating raises StartAfreshError where the history
    that it needs is gone, RefusedError where it is refused, UnreachableError where nobody ever answered.
    """

    def __init__(
        self, client: Client, request: status_service_pb2.WatchProgressRequest, on_resumed: Callable[[], None]
    ) -> None:
        self._client, self._on_resumed = client, on_resumed
        self._resuming = Resuming(request, time.monotonic(), client.patience_seconds)

    @property
    def token(self) -> str:
        """Where it has come to: a later watch goes on after it."""
        return self._resuming.token

    def __iter__(self) -> Iterator[status_service_pb2.WatchProgressResponse]:
        resuming, address = self._resuming, self._client.places.status
        while not self._client.closed.is_set():
            messages: Any = self._open()
            try:
                for message in messages:
                    if resuming.lost:
                        self._on_resumed()
                    if resuming.is_new(message):
                        yield message
                failure: TiendoError = UnreachableError(address)
            except grpc.RpcError as error:
                failure = read_error(error, address)
            finally:
                messages.cancel()
            if not self._client.closed.is_set():
                self._client.closed.wait(resuming.wait(failure, time.monotonic()))

    def _open(self) -> Iterator[status_service_pb2.WatchProgressResponse]:
        stub = status_service_pb2_grpc.StatusServiceStub(self._client.channel("status"))
        return stub.WatchProgress(self._resuming.request(), timeout=rules.RENEW_SECONDS, metadata=self._client.headers)


class _Calls:
    """What a stub takes for its channel: its methods become ours."""

    def __init__(self, client: Client, channel: grpc.Channel) -> None:
        self._client, self._channel = client, channel
        self._room = threading.BoundedSemaphore(rules.IN_FLIGHT)

    def unary_unary(self, path: str, *args: Any, **kwargs: Any) -> "_Call":
        return _Call(self._client, path, self._channel.unary_unary(path, *args, **kwargs), self._room)

    def unary_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        inner = self._channel.unary_stream(path, *args, **kwargs)

        def ask(request: Message, timeout: float = rules.FILE_SECONDS, metadata: Any = ()) -> Iterator[Any]:
            client = self._client
            tries = Tries(time.monotonic(), timeout, client.patience_seconds)
            sent = rules.prepared(request, client.revisions.begin()[1])
            headers = rules.merged(client.headers, metadata)
            begun = False
            while True:
                try:
                    for message in inner(sent, timeout=tries.left(time.monotonic()), metadata=headers):
                        begun = True
                        yield message
                except grpc.RpcError as error:
                    failure = read_error(error, client.places.of(rules.service_of(path)))
                else:
                    return
                # What was given already cannot be taken back.
                if begun:
                    raise failure
                time.sleep(tries.wait(failure, time.monotonic()))

        return ask

    def stream_stream(self, path: str, *args: Any, **kwargs: Any) -> Any:
        inner = self._channel.stream_stream(path, *args, **kwargs)

        def send(requests: Iterable[Message], timeout: float = rules.FILE_SECONDS, metadata: Any = ()) -> Iterator[Any]:
            headers = rules.merged(self._client.headers, metadata)
            with self._failures(path):
                yield from inner(iter(requests), timeout=timeout, metadata=headers)

        return send

    @contextlib.contextmanager
    def _failures(self, path: str) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise read_error(error, self._client.places.of(rules.service_of(path))) from None


class _Call:
    """One method of one stub."""

    def __init__(self, client: Client, path: str, inner: Any, room: threading.BoundedSemaphore) -> None:
        self._client, self._inner, self._service, self._room = client, inner, rules.service_of(path), room
        self._seconds = rules.LONG_CALLS.get(path, client.deadline_seconds)

    def __call__(self, request: Message, timeout: float | None = None, metadata: Any = ()) -> Any:
        """Call within `timeout` seconds. Raises TiendoError."""
        ordered = rules.is_command(request) and self._client.revisions.kept
        with self._room if ordered else contextlib.nullcontext():
            return self._ask(request, timeout or self._seconds, metadata)

    def _ask(self, request: Message, seconds: float, metadata: Any) -> Any:
        client, revisions = self._client, self._client.revisions
        tries = Tries(time.monotonic(), seconds, client.patience_seconds)
        begun, carried = revisions.begin()
        sent, headers = rules.prepared(request, carried), rules.merged(client.headers, metadata)
        while True:
            try:
                reply = self._inner(sent, timeout=tries.left(time.monotonic()), metadata=headers)
            except grpc.RpcError as error:
                failure = read_error(error, client.places.of(self._service))
            else:
                revisions.note(self._service, begun, reply)
                return reply
            revisions.forget_if_replaced(failure)
            time.sleep(tries.wait(failure, time.monotonic()))

    def future(self, request: Message, timeout: float | None = None, metadata: Any = ()) -> Any:
        """Try once, without waiting for the reply; `result()` gives it or raises grpc.RpcError."""
        return self._inner.future(
            request,
            timeout=timeout or self._seconds,
            metadata=rules.merged(self._client.headers, metadata),
        )
