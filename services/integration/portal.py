"""Asks portals whether they show a service under its link, by command and by the clock.

Invariant: nothing but a public address is ever connected to, redirects included, unless the installation allows others; and
no transaction is open while a portal is waited for.
"""

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import aiohttp
import structlog
from aiohttp.resolver import ThreadedResolver

from services.common.errors import Refusal
from services.common.runtime import Runtime
from services.common.writer import Caller
from services.integration import usecases
from services.integration.domain import Detail, Found, Link
from services.integration.storage import IntegrationWork, State

ACTOR = "portal-checks"

_TRY_SECONDS, _TRIES, _WAIT_SECONDS = 10.0, 3, 2.0
_REDIRECTS = 5
_MOST_BYTES = 64 * 1024
_AT_ONCE = 4
# One of the four places is left to whoever asks by command.
_AT_ONCE_BY_CLOCK = _AT_ONCE - 1
_LOOK_SECONDS = 5.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

log = structlog.get_logger("portal")


class _NotPublicError(OSError):
    """The address is not one that may be connected to."""


# The first that fits, the particular before the general.
_DETAILS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Detail], ...] = (
    (TimeoutError, Detail.NO_ANSWER),
    (aiohttp.ClientConnectorCertificateError, Detail.CERTIFICATE),
    (aiohttp.ClientSSLError, Detail.NOT_SECURE),
    (aiohttp.ClientConnectorError, Detail.NOT_ACCEPTED),
    (aiohttp.TooManyRedirects, Detail.TOO_MANY_REDIRECTS),
    # A name that cannot be one is a bare UnicodeError.
    ((ValueError, aiohttp.NonHttpUrlClientError), Detail.NO_WEB_ADDRESS),
    ((aiohttp.ClientConnectionError, aiohttp.ClientPayloadError), Detail.BROKEN_OFF),
    (aiohttp.ClientError, Detail.NOT_HTTP),
    # uvloop raises RuntimeError where others raise OSError.
    ((OSError, RuntimeError), Detail.NOT_ACCEPTED),
)
_FAILURES = (TimeoutError, aiohttp.ClientError, ValueError, OSError, RuntimeError)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the Internet's: not private, local, link-local, multicast or reserved."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def host_of(uri: str) -> str:
    """Give the name of the machine that a link leads to first."""
    return urlsplit(uri).hostname or ""


class Portals:
    """Asks links: at most four at once, and one a host."""

    def __init__(
        self,
        *,
        may_ask: Callable[[str], bool] = is_public,
        period: timedelta = timedelta(),
        try_seconds: float = _TRY_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`may_ask`: whether an IP address may be connected to. `period`: how often the clock asks each link; 0: never.

        `timer` gives seconds.
        """
        self.period = period
        self._may_ask, self._try_seconds = may_ask, try_seconds
        self._sleep, self._timer = sleep, timer
        self._tls = ssl.create_default_context()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._hosts: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ask(self, uri: str) -> Found:
        """Ask for a link, up to three times while it fails; what goes wrong is what was found."""
        for tries in range(1, _TRIES + 1):
            found = await self._try(uri)
            if found.detail in {"", Detail.NOT_PUBLIC} or tries == _TRIES:
                break
            await self._sleep(_WAIT_SECONDS)
        return found

    async def _try(self, uri: str) -> Found:
        # Between two tries the host is free for whoever waits for it.
        async with self._hosts.setdefault(host_of(uri), asyncio.Lock()), self._places:
            begun = self._timer()
            status, detail = await self._answer(uri)
            return Found(status, detail, timedelta(seconds=self._timer() - begun))

    async def _answer(self, uri: str) -> tuple[int, str]:
        status = 0
        connector = aiohttp.TCPConnector(
            ssl=self._tls,
            resolver=ThreadedResolver(),
            use_dns_cache=False,
            force_close=True,
            socket_factory=self._socket,
        )
        try:
            async with (
                asyncio.timeout(self._try_seconds),
                aiohttp.ClientSession(
                    connector=connector,
                    headers={"User-Agent": "Tiendo (portal check)"},
                    timeout=aiohttp.ClientTimeout(total=None),
                    auto_decompress=False,
                ) as session,
                # The library counts the answer that is one redirect too many.
                session.get(uri, max_redirects=_REDIRECTS + 1) as response,
            ):
                status = response.status
                left = _MOST_BYTES
                while left and (piece := await response.content.read(left)):
                    left -= len(piece)
        except _FAILURES as failure:
            return status, _detail(failure)
        return status, "" if 200 <= status < 300 else f"HTTP {status}"

    def _socket(self, info: tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]) -> socket.socket:
        """Make the socket for an address that is about to be connected to, however it was found."""
        family, kind, protocol, _, address = info
        if not self._may_ask(address[0]):
            raise _NotPublicError
        return socket.socket(family, kind, protocol)


def _detail(failure: Exception) -> Detail:
    if isinstance(failure, aiohttp.ClientConnectorError):
        if isinstance(failure.os_error, _NotPublicError):
            return Detail.NOT_PUBLIC
        if isinstance(failure.os_error, socket.gaierror):
            away = failure.os_error.errno == socket.EAI_AGAIN
            return Detail.NAMES_AWAY if away else Detail.NAME_UNKNOWN
    return next(detail for kinds, detail in _DETAILS if isinstance(failure, kinds))


class Clock:
    """Has every link asked once a period by the replica that holds the lease, and a new one within a minute."""

    def __init__(self, runtime: Runtime[State, IntegrationWork], portals: Portals) -> None:
        self._runtime, self._portals = runtime, portals
        self._places = asyncio.Semaphore(_AT_ONCE_BY_CLOCK)
        self._waiting: dict[str, list[Link]] = {}
        self._busy: set[str] = set()
        self._asking: set[Link] = set()

    async def run(self) -> None:
        """Look every few seconds which links are due, until cancelled; not at all where the period is 0."""
        if not self._portals.period:
            return
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self.look(tasks)
                await asyncio.sleep(_LOOK_SECONDS)

    async def look(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to ask what is due: the links of one host one after the other, as long as the lease is held."""
        runtime, asking = self._runtime, set(self._asking)
        self._waiting = {}
        if not runtime.replicas.lease.held:
            return
        try:
            state, now = runtime.live.current, runtime.clock()
            due = await asyncio.to_thread(
                usecases.due_links, runtime.engine, state, now=now, period=self._portals.period
            )
        except Exception as failure:  # noqa: BLE001 (a clock that stops in silence is the worst outcome)
            log.warning("portal links not read", problem=type(failure).__name__)
            return
        for link in due:
            if link not in asking:
                self._waiting.setdefault(host_of(link[1].uri), []).append(link)
        for host in self._waiting.keys() - self._busy:
            self._busy.add(host)
            tasks.create_task(self._ask_host(host))

    async def _ask_host(self, host: str) -> None:
        try:
            while waiting := self._waiting.get(host):
                async with self._places:
                    # A look that found nothing due any more may have taken the rest away meanwhile.
                    if waiting is self._waiting.get(host):
                        await self._ask(waiting.pop(0))
        finally:
            self._busy.discard(host)

    async def _ask(self, link: Link) -> None:
        service_id, asked = link
        self._asking.add(link)
        try:
            found = await self._portals.ask(asked.uri)

            def record(work: IntegrationWork) -> None:
                usecases.record_portal_checks(work, f"integrations/{service_id}", [(asked, found)], Caller(ACTOR))

            await self._runtime.replicas.apply(self._runtime.writer, record, lambda _: None)
        except Refusal as refusal:  # the link was changed meanwhile, or the database is away: its turn comes again
            log.info("portal check not recorded", service=service_id, reason=str(refusal.reason))
        except Exception:
            log.exception("portal check failed", service=service_id)
        finally:
            self._asking.discard(link)
