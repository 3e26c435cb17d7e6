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

import h11
import httpx
import structlog

from services.common.errors import Refusal
from services.common.runtime import Runtime
from services.common.work import Caller
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
_LAST_PORT = 65_535
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

log = structlog.get_logger("portal")


class _NotPublicError(OSError):
    """The address is not one that may be connected to."""


# The first that fits the failure or what it came from, the particular before the general.
_DETAILS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Detail], ...] = (
    (_NotPublicError, Detail.NOT_PUBLIC),
    (TimeoutError, Detail.NO_ANSWER),
    (ssl.SSLCertVerificationError, Detail.CERTIFICATE),
    (ssl.SSLError, Detail.NOT_SECURE),
    (socket.gaierror, Detail.NAME_UNKNOWN),
    (httpx.ConnectError, Detail.NOT_ACCEPTED),
    ((httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError), Detail.NO_WEB_ADDRESS),
    (h11.RemoteProtocolError, Detail.NOT_HTTP),
    (httpx.TransportError, Detail.BROKEN_OFF),
    # A name that cannot be one is a bare UnicodeError.
    (ValueError, Detail.NO_WEB_ADDRESS),
    # uvloop raises RuntimeError where others raise OSError; from a connection that is being made it comes in a group.
    ((OSError, RuntimeError, ExceptionGroup), Detail.NOT_ACCEPTED),
)
_FAILURES = (httpx.TransportError, httpx.InvalidURL, ValueError, OSError, RuntimeError, ExceptionGroup)


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
        try:
            async with (
                asyncio.timeout(self._try_seconds),
                httpx.AsyncClient(
                    transport=_Transport(self._tls, self._may_ask, self._try_seconds),
                    headers={"User-Agent": "Tiendo (portal check)"},
                    timeout=None,  # noqa: S113 (the whole try has one)
                    trust_env=False,
                ) as client,
            ):
                response = await client.send(client.build_request("GET", uri), stream=True)
                # The library would read the whole of a redirect before it follows it.
                for _ in range(_REDIRECTS):
                    if response.next_request:
                        await response.aclose()
                        response = await client.send(response.next_request, stream=True)
                if response.next_request:
                    return 0, Detail.TOO_MANY_REDIRECTS
                status = response.status_code
                try:
                    await anext(response.aiter_raw(_MOST_BYTES), b"")
                except httpx.TransportError:
                    return status, Detail.BROKEN_OFF
        except _FAILURES as failure:
            return status, _detail(failure)
        return status, "" if 200 <= status < 300 else f"HTTP {status}"


class _Transport(httpx.AsyncHTTPTransport):
    """Connects to addresses that may be asked, by the address and not by the name, and once a request."""

    def __init__(self, tls: ssl.SSLContext, may_ask: Callable[[str], bool], try_seconds: float) -> None:
        # A connection that is kept would serve another name of the same address, whose certificate nobody looked at.
        super().__init__(verify=tls, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        self._may_ask, self._try_seconds = may_ask, try_seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Try the addresses of the host one after the other. Raises _NotPublicError where none may be asked."""
        if request.url.scheme not in {"http", "https"} or not 0 <= (request.url.port or 0) <= _LAST_PORT:
            raise httpx.UnsupportedProtocol("")
        host = request.url.raw_host.decode()
        found = await asyncio.get_running_loop().getaddrinfo(host, request.url.port, type=socket.SOCK_STREAM)
        addresses = [address for info in found if self._may_ask(address := str(info[4][0]))]
        failure: Exception = _NotPublicError()
        for address in addresses:
            there = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                # One that is silent leaves time for the others.
                extensions={"timeout": {"connect": self._try_seconds / len(addresses)}, "sni_hostname": host},
            )
            try:
                return await super().handle_async_request(there)
            except (httpx.ConnectError, httpx.ConnectTimeout) as refused:
                failure = refused
        raise failure


def _detail(failure: Exception) -> Detail:
    chain: list[BaseException] = [failure]
    # The libraries wrap what happened, and hide it as the cause: it stays the context.
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    if any(isinstance(each, socket.gaierror) and each.errno == socket.EAI_AGAIN for each in chain):
        return Detail.NAMES_AWAY
    return next(detail for kinds, detail in _DETAILS if any(isinstance(each, kinds) for each in chain))


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
