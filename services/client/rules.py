"""What both clients decide alike: when to try again, which revisions to carry along, where a watch goes on.

Invariant: nothing here waits or calls, so the blocking and the asyncio client cannot differ in what they decide.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol, TypeVar
from urllib.parse import quote
from uuid import uuid4

from google.protobuf.message import Message

from services.client.errors import RefusedError, TiendoError, UnreachableError
from tiendo.status.v1 import events_pb2, status_service_pb2

DEADLINE_SECONDS = 10.0
FILE_SECONDS = 300.0
"""The default deadlines of a call, and of one that sends or brings a file."""

LONG_CALLS = {"/tiendo.integration.v1.IntegrationService/CheckPortal": 90.0}
"""Calls that take longer by their nature, with their own default deadlines, seconds."""

RENEW_SECONDS = 600.0
"""A watch changes to a new connection after so long; a server that hangs is left by then at the latest."""

IN_FLIGHT = 10
"""Commands to one service at once. Commands that overlap may commit in any order, so the revision of each is carried; the
services take 20 revisions with a call, and two of them give revisions."""

OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5000),  # how long making a connection may take
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 25_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.enable_http_proxy", 0),
)

_MOST_REVISIONS = 20
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 2.0
_SHORTEST_TRY_SECONDS = 0.05
_CUT_OFF = frozenset({"UNKNOWN", "INTERNAL", "CANCELLED"})

M = TypeVar("M", bound=Message)


class Listing(Protocol):
    """The request of a list."""

    page_size: int
    page_token: str


class Listed(Protocol):
    """A page of a list."""

    @property
    def next_page_token(self) -> str:
        """For the next page; empty on the last."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the services listen, `host:port` or any target that gRPC knows, such as `dns:///catalog.example:7101`."""

    catalog: str = "127.0.0.1:7101"
    integration: str = "127.0.0.1:7102"
    status: str = "127.0.0.1:7103"

    def of(self, service: str) -> str:
        """Give the address of "catalog", "integration" or "status"."""
        return str(getattr(self, service))


def headers(actor: str) -> tuple[tuple[str, str], ...]:
    """Say who asks; headers carry ASCII."""
    return (("tiendo-actor", quote(actor)),) if actor else ()


def service_of(path: str) -> str:
    """Give the service of a method: `/tiendo.catalog.v1.CatalogService/GetService` is "catalog"."""
    return path.split(".")[1]


def is_command(request: Message) -> bool:
    """Tell whether a request changes something: every command has a request_id, and nothing else has one."""
    return "request_id" in request.DESCRIPTOR.fields_by_name


def prepared(request: M, carried: Sequence[str], new_id: Callable[[], object] = uuid4) -> M:
    """Give the request as it is sent, every time it is tried: with an id of its own, and with the revisions to include."""
    made = type(request)()
    made.CopyFrom(request)
    fields, message = made.DESCRIPTOR.fields_by_name, _any(made)
    if "request_id" in fields and not message.request_id:
        message.request_id = str(new_id())
    if "at_least" in fields:
        new = [revision for revision in carried if revision not in message.at_least]
        message.at_least.extend(new[: max(0, _MOST_REVISIONS - len(message.at_least))])
    return made


def _any(message: Message) -> Any:
    return message


class Revisions:
    """The revisions of a client's own commands, for all that it asks later.

    Invariant: a revision is let go only for one of the same service whose command began after its reply had come.
    """

    def __init__(self, *, kept: bool) -> None:
        """`kept`: False to carry none."""
        self.kept = kept
        self._held: dict[str, list[tuple[int, str]]] = {}
        self._replies = 0
        self._lock = Lock()

    def begin(self) -> tuple[int, list[str]]:
        """Begin a call: how many commands were answered so far, and the revisions that it must include."""
        with self._lock:
            return self._replies, [revision for held in self._held.values() for _, revision in held]

    def note(self, service: str, begun: int, reply: object) -> None:
        """Remember the revision in the reply of a command, which began after `begun` others were answered."""
        revision = str(getattr(reply, "revision", ""))
        if not (self.kept and revision):
            return
        with self._lock:
            self._replies += 1
            overlapping = [(order, held) for order, held in self._held.get(service, ()) if order > begun]
            self._held[service] = [*overlapping, (self._replies, revision)]

    def forget_if_replaced(self, failure: TiendoError) -> None:
        """Let go of everything where a journal was replaced, so that the next call is not refused for the same cause."""
        if isinstance(failure, RefusedError) and failure.reason == "EPOCH_CHANGED":
            with self._lock:
                self._held.clear()


class Tries:
    """The tries of one call, within its deadline. Times are seconds of any steady clock."""

    def __init__(
        self, now: float, seconds: float, patience_seconds: float, chance: Callable[[], float] = random.random
    ) -> None:
        """`patience_seconds`: how long to go on where nobody answers; a service that asks to try again is asked again."""
        self._end, self._patience_end, self._chance = now + seconds, now + patience_seconds, chance
        self._wait_seconds = _FIRST_WAIT_SECONDS

    def left(self, now: float) -> float:
        """Give the seconds that the next try may take."""
        return max(_SHORTEST_TRY_SECONDS, self._end - now)

    def wait(self, failure: TiendoError, now: float) -> float:
        """Give the seconds until the next try. Raises the failure where a try would not help, or not be in time."""
        if isinstance(failure, UnreachableError) and not failure.late:
            seconds, end = self._wait_seconds, min(self._end, self._patience_end)
            self._wait_seconds = min(2 * seconds, _LONGEST_WAIT_SECONDS)
        elif isinstance(failure, RefusedError) and failure.retry_seconds is not None:
            seconds, end = failure.retry_seconds, self._end
        else:
            raise failure
        # Those who were turned away together do not return together.
        seconds *= 1 + self._chance() / 4
        if now + seconds >= end:
            raise failure
        return seconds


class Resuming:
    """One watch over any number of connections. `token` is where it has come to: a later watch goes on from there.

    Invariant: each event is given once, in order; a connection goes on after the last message of the one before.
    """

    def __init__(
        self,
        request: status_service_pb2.WatchProgressRequest,
        now: float,
        patience_seconds: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`patience_seconds`: how long to try for the first message; once there was one it goes on for ever."""
        self.token = request.after
        self.lost = False
        self._request, self._chance = request, chance
        self._first_end: float | None = now + patience_seconds
        self._last = ("", 0)
        self._wait_seconds = _FIRST_WAIT_SECONDS

    def request(self) -> status_service_pb2.WatchProgressRequest:
        """Give the request of the next connection."""
        request = status_service_pb2.WatchProgressRequest()
        request.CopyFrom(self._request)
        if self.token:
            request.after = self.token
            request.ClearField("start")
        return request

    def is_new(self, message: status_service_pb2.WatchProgressResponse) -> bool:
        """Take a message, and tell whether it holds an event that was not given before."""
        self._first_end, self._wait_seconds, self.lost = None, _FIRST_WAIT_SECONDS, False
        self.token = message.token or self.token
        event = message.event
        if not message.HasField("event") or (event.epoch == self._last[0] and event.sequence <= self._last[1]):
            return False
        self._last = (event.epoch, event.sequence)
        return True

    def wait(self, failure: TiendoError, now: float) -> float:
        """Give the seconds until the next connection. Raises the failure where the service refuses to go on."""
        renewed = isinstance(failure, UnreachableError) and failure.late and self._first_end is None
        if renewed:
            return 0.0
        if not _passing(failure) or (self._first_end is not None and now >= self._first_end):
            raise failure
        self.lost = True
        seconds, self._wait_seconds = self._wait_seconds, min(2 * self._wait_seconds, _LONGEST_WAIT_SECONDS)
        return seconds * (1 - self._chance() / 2)


def _passing(failure: TiendoError) -> bool:
    """Tell whether a connection ended in a way that says nothing about the request."""
    if isinstance(failure, RefusedError):
        return failure.retry_seconds is not None or (not failure.reason and failure.code in _CUT_OFF)
    return isinstance(failure, UnreachableError)


def watch_request(
    programme: str,
    after: str,
    kinds: Sequence[events_pb2.ProgressEventKind.ValueType],
    service: str,
    *,
    from_beginning: bool,
) -> status_service_pb2.WatchProgressRequest:
    """Make the request of a watch; a token says by itself where to begin."""
    request = status_service_pb2.WatchProgressRequest(programme=programme, after=after, kinds=kinds, service=service)
    if from_beginning and not after:
        request.start = status_service_pb2.WATCH_START_BEGINNING
    return request


def merged(own: tuple[tuple[str, str], ...], given: object) -> Any:
    """Put the caller's headers of a call behind the client's own."""
    if isinstance(given, Mapping):
        given = given.items()
    return (*own, *(given or ()))  # type: ignore[misc]
