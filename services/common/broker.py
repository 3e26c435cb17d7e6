"""One NATS client per process that never stays dead.

Invariant: from `start` to `close` a client is connected or the next attempt is a few seconds away at most, whatever
ended the one before; subscriptions are in force whenever `connected` is true.

The library's own reconnecting is off. It gives a client up for good on some errors (one oversize message is enough),
and it sends what was buffered while away long after its publisher gave up. A new client for each connection does
neither, and is the same path every time.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

T = TypeVar("T")

_CONNECT_SECONDS = 2
_PING_SECONDS = 4
_LOOK_SECONDS = 1.0  # a peer that stopped reading can hold up the library's own notice
_END_SECONDS = 1.0
_PENDING_MESSAGES = 512 * 1024
_PENDING_BYTES = 256 * 1024 * 1024

MINIMUM_VERSION = (2, 14)


class BrokerAwayError(Exception):
    """No connection to the broker, or it was lost before an answer came."""


class NoAnswerError(Exception):
    """The broker is connected, and nothing there answered: JetStream is not ready, or has no such stream."""


class Subscription:
    """Interest in a subject, renewed on every new connection until `close`."""

    def __init__(self, broker: "Broker", subject: str, callback: Callable[[Msg], None]) -> None:
        self.subject = subject
        self._broker = broker
        self._callback = callback

    async def deliver(self, message: Msg) -> None:
        """Hand one message over."""
        self._callback(message)

    async def close(self) -> None:
        """End the interest; what arrives afterwards is dropped."""
        await self._broker.forget(self)


class Broker:
    """A connection to NATS that is kept up in the background."""

    def __init__(
        self,
        servers: str | Sequence[str],
        *,
        name: str,
        retry_seconds: tuple[float, float] = (0.2, 2.0),
        minimum_version: tuple[int, int] = MINIMUM_VERSION,
        chance: Callable[[], float] = random.random,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare; nothing is connected before `start`.

        `retry_seconds`: the first and the longest wait between attempts, each shortened by up to a half by `chance`
        (0 to 1), so that many processes don't return at the same moment. `options`: credentials and TLS, as the
        library's `connect` takes them.
        """
        self._servers = [servers] if isinstance(servers, str) else list(servers)
        self._name = name
        self._first_wait, self._longest_wait = retry_seconds
        self._minimum_version = minimum_version
        self._chance = chance
        self._options = dict(options or {})
        self._log = structlog.get_logger("broker")
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._subscriptions: dict[Subscription, Any] = {}
        self._listeners: list[Callable[[bool], None]] = []
        self.reason = "not started"
        self.server_version = ""

    @property
    def connected(self) -> bool:
        """Whether messages can be sent now."""
        return self._client is not None and self._client.is_connected

    @property
    def max_payload(self) -> int:
        """The most bytes, headers included, that the server takes in one message; 0 while away."""
        return self._client.max_payload if self._client else 0

    def start(self) -> None:
        """Begin to connect in the background; returns at once."""
        if self._task is None:
            self.reason = "connecting"
            self._task = asyncio.get_running_loop().create_task(self._keep(), name="broker")

    async def close(self) -> None:
        """End the connection for good; within about three seconds, however the broker behaves."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=2 * _END_SECONDS + _LOOK_SECONDS)
        self.reason = "closed"

    async def wait_connected(self) -> None:
        """Return when connected; wrap it in a time-out."""
        await self._up.wait()

    def client(self) -> Client:
        """Return the present connection's client, for JetStream calls. Raises BrokerAwayError."""
        if self._client is None or not self._client.is_connected:
            raise BrokerAwayError(self.reason)
        return self._client

    def listen(self, listener: Callable[[bool], None]) -> Callable[[], None]:
        """Call `listener` with True after each (re)connect and with False after each loss; returns how to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def subscribe(self, subject: str, callback: Callable[[Msg], None]) -> Subscription:
        """Deliver every message of a subject to `callback`, on this connection and on all that follow it."""
        subscription = Subscription(self, subject, callback)
        self._subscriptions[subscription] = None
        if self.connected:
            # A connection that broke meanwhile is remade with all subscriptions, this one among them.
            with contextlib.suppress(nats.errors.Error, OSError):
                await self._put(self.client(), subscription)
        return subscription

    async def forget(self, subscription: Subscription) -> None:
        """End a subscription; see Subscription.close."""
        held = self._subscriptions.pop(subscription, None)
        if held is not None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await held.unsubscribe()

    async def publish(
        self, subject: str, body: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send one message. Raises BrokerAwayError; an answer, if any, comes to `reply`."""
        client = self.client()
        try:
            await _cancellable(client.publish(subject, body, reply=reply, headers=dict(headers) if headers else None))
        except (nats.errors.Error, OSError) as problem:
            raise BrokerAwayError(self.reason) from problem

    async def request(self, subject: str, body: bytes, *, timeout_seconds: float = 2.0) -> Msg:
        """Send one message and await its answer. Raises BrokerAwayError, NoAnswerError."""
        client = self.client()
        try:
            return await _cancellable(client.request(subject, body, timeout=timeout_seconds))
        except (nats.errors.NoRespondersError, nats.errors.TimeoutError) as problem:
            if client.is_connected:
                raise NoAnswerError(subject) from problem
            raise BrokerAwayError(self.reason) from problem
        except (nats.errors.Error, OSError) as problem:
            raise BrokerAwayError(self.reason) from problem

    async def _keep(self) -> None:
        wait_seconds = self._first_wait
        while True:
            ended = asyncio.Event()
            client = Client()
            try:
                problem = await self._connect(client, ended)
                if not problem:
                    wait_seconds = self._first_wait
                    self._arrived(client)
                    while client.is_connected:
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(_LOOK_SECONDS):
                                await ended.wait()
                    problem = "the connection was lost"
            finally:
                self._left(client)
                await _end(client)
            self.reason = f"{problem}; trying again"
            await asyncio.sleep(wait_seconds * (1 - self._chance() / 2))
            wait_seconds = min(wait_seconds * 2, self._longest_wait)

    async def _connect(self, client: Client, ended: asyncio.Event) -> str:
        """Connect and subscribe; returns what went wrong, empty when nothing did."""

        async def closed() -> None:
            ended.set()

        try:
            async with asyncio.timeout(3 * _CONNECT_SECONDS):
                connecting = client.connect(
                    servers=list(self._servers),
                    name=self._name,
                    error_cb=_quiet,
                    closed_cb=closed,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=_CONNECT_SECONDS,
                    ping_interval=_PING_SECONDS,
                    max_outstanding_pings=2,
                    **self._options,
                )
                await _cancellable(connecting)
                version = client.connected_server_version
                self.server_version = f"{version.major}.{version.minor}.{version.patch}"
                if (version.major, version.minor) < self._minimum_version:
                    wanted = ".".join(map(str, self._minimum_version))
                    return f"nats-server {self.server_version} is too old: install {wanted} or newer"
                self._subscriptions = dict.fromkeys(self._subscriptions)
                while missing := [each for each, held in self._subscriptions.items() if held is None]:
                    for subscription in missing:
                        await self._put(client, subscription)
                    # The server has seen them when it answers this; more may have been asked for meanwhile. Twice, as the
                    # library lets the first question overtake the subscriptions.
                    await _cancellable(client.flush(timeout=_CONNECT_SECONDS))
                    await _cancellable(client.flush(timeout=_CONNECT_SECONDS))
        except TimeoutError:
            return "the broker does not answer"
        except (nats.errors.Error, OSError) as problem:
            # While it connects, the library has no type of its own for this.
            refused = isinstance(problem, nats.errors.AuthorizationError) or "authorization" in str(problem).lower()
            return "the broker refuses our credentials" if refused else "the broker is away"
        return ""

    async def _put(self, client: Client, subscription: Subscription) -> None:
        held = await client.subscribe(
            subscription.subject,
            cb=subscription.deliver,
            pending_msgs_limit=_PENDING_MESSAGES,
            pending_bytes_limit=_PENDING_BYTES,
        )
        if subscription in self._subscriptions:
            self._subscriptions[subscription] = held
        else:
            await held.unsubscribe()

    def _arrived(self, client: Client) -> None:
        self._client = client
        self.reason = ""
        self._log.info("connected", server=self.server_version)
        self._up.set()
        self._tell(connected=True)

    def _left(self, client: Client) -> None:
        if self._client is client:
            self._client = None
            self._up.clear()
            if self._task is not None:
                self._log.warning("connection lost")
            self._tell(connected=False)

    def _tell(self, *, connected: bool) -> None:
        for listener in list(self._listeners):
            listener(connected)


async def _cancellable(work: Awaitable[T]) -> T:
    """Await what the library does, and be cancelled all the same.

    It uses asyncio.wait_for, and Python 3.11's swallows a cancellation that comes together with the end of the wait: the
    task would go on, and whoever cancelled it would wait for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    result = await work
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return result


async def _quiet(_problem: Exception) -> None:
    """Say nothing: loss and return are logged once each, and a slow follower sees the gap in the numbers."""


async def _end(client: Client) -> None:
    # A peer that stopped reading would hold up the farewell for ever.
    with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
        async with asyncio.timeout(_END_SECONDS):
            await client.close()
