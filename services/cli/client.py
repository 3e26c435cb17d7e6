"""Calls to the three services, as every command makes them.

Invariant: a call ends with a reply or a CallError that says which exit code it deserves; a repeated try carries the same
request, so a command that was done already has no second effect.
"""

import getpass
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as default
from functools import cached_property
from typing import Any, Protocol, TypeVar
from urllib.parse import quote
from uuid import uuid4

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from services.common.config import Settings
from tiendo.catalog.v1 import catalog_service_pb2_grpc
from tiendo.integration.v1 import integration_service_pb2_grpc
from tiendo.status.v1 import status_service_pb2_grpc

DEADLINE_SECONDS = 10.0
REFUSED = 1
WRONG_USAGE = 2
UNREACHABLE = 3

_WAITS_SECONDS = (0.1, 0.2, 0.4, 0.8)
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 25_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.enable_http_proxy", 0),
)

Request_contra = TypeVar("Request_contra", bound=Message, contravariant=True)
Reply_co = TypeVar("Reply_co", bound=Message, covariant=True)


class Unary(Protocol[Request_contra, Reply_co]):
    """A method of a stub."""

    def __call__(self, request: Request_contra, timeout: float | None = ..., metadata: Any = ...) -> Reply_co:
        """Call it."""


class CallError(Exception):
    """A call that got no reply; `exit_code` is what the command ends with."""

    exit_code = REFUSED


class UnreachableError(CallError):
    """Nobody answered at `address`; `late` when a connection stood and no answer came."""

    exit_code = UNREACHABLE

    def __init__(self, address: str, *, late: bool = False) -> None:
        super().__init__(f"{address} does not answer")
        self.address, self.late = address, late


@dataclass
class RefusedError(CallError):
    """The service said no: its reason, the field to blame, what belongs to the reason, and its own words."""

    reason: str
    message: str
    code: str
    field: str = ""
    metadata: Mapping[str, str] = default(default_factory=dict)
    retry_seconds: float | None = None

    def __str__(self) -> str:
        return self.message

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """A part that cannot answer now is unreachable; everything else was refused."""
        return UNREACHABLE if self.code == "UNAVAILABLE" else REFUSED


def read_error(error: grpc.RpcError, address: str) -> CallError:
    """Read what a failed call came back with. `error` is both an exception and a call, as the library raises it."""
    call: Any = error
    code: grpc.StatusCode = call.code()
    refused = RefusedError("", call.details() or code.name, code.name)
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            _read_details(status_pb2.Status.FromString(value), refused)
    if refused.reason:
        return refused
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
        return UnreachableError(address, late=code is grpc.StatusCode.DEADLINE_EXCEEDED)
    return refused


def _read_details(status: status_pb2.Status, refused: RefusedError) -> None:
    refused.message = status.message
    for detail in status.details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            refused.reason, refused.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad) and bad.field_violations:
            refused.field = bad.field_violations[0].field
        elif detail.Unpack(retry):
            refused.retry_seconds = retry.retry_delay.ToMilliseconds() / 1000


def default_actor() -> str:
    """Name the person at the terminal by the account's name; "anonymous" where the account has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "anonymous"


def new_request_id() -> str:
    """Make the id of one command."""
    return str(uuid4())


class Client:
    """One connection to each service that is asked."""

    def __init__(self, settings: Settings, actor: str, *, patient: bool = True) -> None:
        """`patient`: try again for a moment when nobody answers."""
        self.settings = settings
        self.metadata = (("tiendo-actor", quote(actor)),)
        self._waits = _WAITS_SECONDS if patient else ()
        self._channels: dict[str, grpc.Channel] = {}

    def channel(self, service: str) -> grpc.Channel:
        """Give the connection to a service, made on first use."""
        if service not in self._channels:
            self._channels[service] = grpc.insecure_channel(self.settings.address_of(service), _OPTIONS)
        return self._channels[service]

    @cached_property
    def catalog(self) -> catalog_service_pb2_grpc.CatalogServiceStub:
        """The catalog."""
        return catalog_service_pb2_grpc.CatalogServiceStub(self.channel("catalog"))

    @cached_property
    def integration(self) -> integration_service_pb2_grpc.IntegrationServiceStub:
        """Integration."""
        return integration_service_pb2_grpc.IntegrationServiceStub(self.channel("integration"))

    @cached_property
    def status(self) -> status_service_pb2_grpc.StatusServiceStub:
        """Status."""
        return status_service_pb2_grpc.StatusServiceStub(self.channel("status"))

    def address(self, request: Message) -> str:
        """Say where a request goes, by the package of its type: `tiendo.catalog.v1.GetServiceRequest`."""
        return self.settings.address_of(request.DESCRIPTOR.full_name.split(".")[1])

    def ask(
        self, method: Unary[Request_contra, Reply_co], request: Request_contra, *, seconds: float = DEADLINE_SECONDS
    ) -> Reply_co:
        """Call, and try again while a part is unavailable. Raises CallError within about `seconds`."""
        deadline = time.monotonic() + seconds
        waits = iter(self._waits)
        while True:
            left = max(0.05, deadline - time.monotonic())
            try:
                return method(request, timeout=left, metadata=self.metadata)
            except grpc.RpcError as error:
                failure = read_error(error, self.address(request))
            wait = next(waits, None)
            if failure.exit_code != UNREACHABLE or getattr(failure, "late", False) or wait is None:
                raise failure
            wait = getattr(failure, "retry_seconds", None) or wait
            if time.monotonic() + wait >= deadline:
                raise failure
            time.sleep(wait)

    def close(self) -> None:
        """Close every connection."""
        for channel in self._channels.values():
            channel.close()


def pages(client: Client, method: Unary[Any, Any], request: Any, limit: int = 0) -> Iterator[Any]:
    """Read page after page of a list; `limit`: as many pages as hold so many rows, 0: all."""
    seen = 0
    while True:
        reply = client.ask(method, request)
        yield reply
        seen += request.page_size
        if not reply.next_page_token or (limit and seen >= limit):
            return
        request.page_token = reply.next_page_token
