"""Asking portals, real web servers of this machine: what counts as reachable, and which addresses are never asked."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from services.integration.domain import Detail, PortalAnswer
from services.integration.portal import Portals, is_public
from tests.support.integration import no_wait
from tests.support.web import Web, running_web


def anywhere(_address: str) -> bool:
    """Every address may be asked: the servers are on this machine."""
    return True


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    """A portal."""
    async with running_web() as served:
        yield served


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What looking up a name gives, one list of addresses each time; other names are looked up as ever."""
    known: dict[str, list[list[str]]] = {}
    ask: Callable[..., list[Any]] = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **more: Any) -> list[Any]:
        addresses = known[host].pop(0) if host in known else [host]
        return [each for address in addresses for each in ask(address, *rest, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


async def found(uri: str, *, try_seconds: float = 5) -> tuple[int, str]:
    """What asking a link finds."""
    answer = await Portals(may_ask=anywhere, try_seconds=try_seconds, sleep=no_wait).ask(uri)
    return answer.http_status, answer.detail


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/page", 200, ""),
        ("/status/204", 204, ""),
        ("/status/404", 404, "HTTP 404"),
        ("/status/503", 503, "HTTP 503"),
        ("/hops/5", 200, ""),
        ("/hops/6", 0, Detail.TOO_MANY_REDIRECTS),
        ("/endless", 200, ""),
        ("/endless?to=/page", 200, ""),
        ("/cut", 0, Detail.BROKEN_OFF),
        ("/to?uri=ftp://example.vn/", 0, Detail.NO_WEB_ADDRESS),
    ],
)
async def test_a_link_is_reachable_where_a_page_comes(web: Web, path: str, status: int, detail: str) -> None:
    """A final 2xx within five redirects counts, whatever its length; anything else is told in words."""
    assert await found(web.uri(path)) == (status, detail)


async def test_a_page_that_does_not_come_in_time_is_no_answer(web: Web) -> None:
    """The time of a try has an end, and the words say which it is."""
    assert await found(web.uri("/silent"), try_seconds=0.05) == (0, Detail.NO_ANSWER)


@pytest.mark.parametrize(
    ("raw", "status", "detail"),
    [
        (b"hello\r\n\r\n", 0, Detail.NOT_HTTP),
        (b"HTTP/1.1 200 OK\r\nA: ", 0, Detail.BROKEN_OFF),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 200, Detail.BROKEN_OFF),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz", 200, ""),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", 302, "HTTP 302"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n", 0, Detail.NO_WEB_ADDRESS),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:70000\r\n\r\n", 0, Detail.NO_WEB_ADDRESS),
    ],
)
async def test_an_answer_that_is_none(web: Web, raw: bytes, status: int, detail: str) -> None:
    """What is no HTTP, what breaks off and what leads nowhere are told apart; nobody unpacks what was packed."""
    web.raw = raw

    assert await found(web.uri("/raw")) == (status, detail)


async def test_a_portal_is_asked_by_its_name_and_directly(
    web: Web, names: dict[str, list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sees its own name and who asks; a proxy that the environment names sees nothing."""
    async with running_web() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.uri(""))
        names["portal.test"] = [["127.0.0.1"]]
        answer = await found(web.uri("/page", "portal.test"))

    head = web.heads[0].splitlines()
    assert answer == (200, "")
    assert head[0] == "GET /page HTTP/1.1"
    assert {f"Host: portal.test:{web.port}", "User-Agent: Tiendo (portal check)"} <= set(head)
    assert proxy.asked == []


async def test_nobody_there() -> None:
    """A port where nobody listens, and a name that nobody has, are told apart."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refused = await found(f"http://127.0.0.1:{closed.getsockname()[1]}/")
    unknown = await found("http://portal.invalid/")

    assert refused == (0, Detail.NOT_ACCEPTED)
    assert unknown[0] == 0
    assert unknown[1] in {Detail.NAME_UNKNOWN, Detail.NAMES_AWAY}  # a machine without names to ask cannot know


@pytest.mark.parametrize(
    "host", ["a..b", f"{'a' * 64}.vn", "xn--", "đăng-ký..vn", "1.2.3.4.5", "[fe80::1%25lo]", "%00", "127.0.0.1:-1"]
)
async def test_a_host_that_cannot_be_one_is_told_too(web: Web, host: str) -> None:
    """In a link or in a redirect, what can be recorded can be asked: it is an answer, no fault of ours."""
    status, detail = await found(f"http://{host}/")
    redirected = await found(web.uri(f"/to?uri=http://{host}/"))

    assert (status, redirected[0]) == (0, 0)
    assert {detail, redirected[1]} <= set(Detail)


async def test_a_certificate_must_be_one_that_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of an authority that nobody knows is not accepted; the same one is, once the authority is trusted."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with running_web(tls) as secure:
        strange = await found(secure.uri("/page"))
        trusted = tmp_path / "authority.pem"
        authority.cert_pem.write_to_path(str(trusted))
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        known = await found(secure.uri("/page"))
        plain = await found(secure.uri("/page").replace("https", "http"))

    assert strange == (0, Detail.CERTIFICATE)
    assert known == (200, "")
    assert plain[1] in {Detail.BROKEN_OFF, Detail.NOT_HTTP}


async def test_a_certificate_is_one_of_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: dict[str, list[list[str]]]
) -> None:
    """Also where a redirect leads to another name of the same address."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("portal.test").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    names["portal.test"] = names["other.test"] = [["127.0.0.1"]] * 12
    async with running_web(tls) as secure:
        right = await found(secure.uri("/page", "portal.test"))
        wrong = await found(secure.uri("/page", "other.test"))
        redirected = await found(secure.uri(f"/to?uri={secure.uri('/page', 'other.test')}", "portal.test"))

    assert (right, wrong, redirected) == ((200, ""), (0, Detail.CERTIFICATE), (0, Detail.CERTIFICATE))


async def test_a_server_that_speaks_no_tls(web: Web) -> None:
    """A secure link to it is told from one whose certificate is not accepted."""
    assert await found(web.uri("/page").replace("http", "https")) == (0, Detail.NOT_SECURE)


@pytest.mark.parametrize("statuses", [[503, 503], [503]])
async def test_one_lost_answer_is_no_news(web: Web, statuses: list[int]) -> None:
    """A try that fails is repeated twice, 2 s apart, and the first that succeeds counts."""
    waits: list[float] = []
    times = iter(range(100))

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    web.statuses = list(statuses)
    portals = Portals(may_ask=anywhere, sleep=wait, timer=lambda: next(times))
    answer = await portals.ask(web.uri("/page"))

    assert answer.answer is PortalAnswer.REACHABLE
    assert answer.latency == timedelta(seconds=1)
    assert waits == [2.0] * len(statuses)


async def test_three_failures_count(web: Web) -> None:
    """It is asked three times and no more."""
    web.statuses = [500, 502, 503, 200]

    assert await found(web.uri("/page")) == (503, "HTTP 503")
    assert web.asked == ["/page"] * 3


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
async def test_this_machine_is_never_asked_unless_allowed(web: Web, host: str) -> None:
    """However its address is written; and an address that may not be asked is not asked again."""
    answer = await Portals(sleep=no_wait).ask(web.uri("/page", host))

    assert answer.detail in {Detail.NOT_PUBLIC, Detail.NAME_UNKNOWN, Detail.NO_WEB_ADDRESS}
    assert web.asked == []


async def test_a_redirect_leads_to_no_address_that_may_not_be_asked(web: Web) -> None:
    """What is allowed is looked at anew for each address that is connected to."""
    portals = Portals(may_ask=lambda address: address == "127.0.0.1", sleep=no_wait)
    answer = await portals.ask(web.uri(f"/to?uri={web.uri('/page', '127.0.0.2')}"))

    assert answer.detail == Detail.NOT_PUBLIC
    assert web.asked == ["/to"]


async def test_a_redirect_leads_to_no_private_name(web: Web, names: dict[str, list[list[str]]]) -> None:
    """A name of such an address is no way there either."""
    names["inside.test"] = [["10.0.0.1", "::1"]]
    portals = Portals(may_ask=lambda address: address == "127.0.0.1" or is_public(address), sleep=no_wait)
    answer = await portals.ask(web.uri("/to?uri=http://inside.test/"))

    assert answer.detail == Detail.NOT_PUBLIC


async def test_what_is_judged_is_what_is_connected_to(web: Web, names: dict[str, list[list[str]]]) -> None:
    """A name that changes its address between two look-ups gains nothing: each connection has one look-up."""
    names["portal.test"] = [["127.0.0.1"], ["127.0.0.2"]]
    portals = Portals(may_ask=lambda address: address == "127.0.0.1", sleep=no_wait)
    first = await portals.ask(web.uri("/page", "portal.test"))
    second = await portals.ask(web.uri("/page", "portal.test"))

    assert (first.detail, second.detail) == ("", Detail.NOT_PUBLIC)
    assert len(web.asked) == 1


async def test_each_address_of_a_name_is_tried(web: Web, names: dict[str, list[list[str]]]) -> None:
    """One that may not be asked is passed over, and one that accepts no connection is not the last word."""
    names["portal.test"] = [["127.0.0.2", "::1", "127.0.0.1"]]
    tried: list[str] = []

    def may_ask(address: str) -> bool:
        tried.append(address)
        return address != "127.0.0.2"

    answer = await Portals(may_ask=may_ask, sleep=no_wait).ask(web.uri("/page", "portal.test"))

    assert answer.answer is PortalAnswer.REACHABLE
    assert tried == ["127.0.0.2", "::1", "127.0.0.1"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("203.162.0.181", True),
        ("2405:4800::1", True),
        ("64:ff9b::cba2:b5", True),
        ("10.0.0.1", False),
        ("172.16.3.4", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("127.0.0.53", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff0e::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_only_addresses_of_the_internet_are_public(address: str, public: bool) -> None:
    """Loopback, private, link-local, multicast, shared and unspecified addresses are not, nor are those that wrap one."""
    assert is_public(address) is public


async def test_at_most_four_are_asked_at_once_and_one_a_host(web: Web) -> None:
    """Eight hosts with two links each: four requests are under way together, never two to one host."""
    portals = Portals(may_ask=anywhere, sleep=no_wait)
    hosts = [f"127.0.0.{number}" for number in range(1, 9)]
    asking = [asyncio.create_task(portals.ask(web.uri("/held", host))) for host in hosts for _ in range(2)]
    async with asyncio.timeout(10):
        while web.present < 4:
            await asyncio.sleep(0)
    web.gate.set()
    answers = await asyncio.gather(*asking)
    one_host = await asyncio.gather(*(portals.ask(web.uri("/page")) for _ in range(3)))

    assert {answer.answer for answer in (*answers, *one_host)} == {PortalAnswer.REACHABLE}
    assert (web.most_at_once, len(web.asked)) == (4, 19)


async def test_a_host_is_asked_one_link_at_a_time(web: Web) -> None:
    """Three links of one host wait for one another, and another host waits for none of them."""
    portals = Portals(may_ask=anywhere, sleep=no_wait)
    asking = [asyncio.create_task(portals.ask(web.uri("/held"))) for _ in range(3)]
    other = [await portals.ask(web.uri("/page", "127.0.0.2")) for _ in range(3)]
    meanwhile = web.asked.count("/held")
    web.gate.set()
    await asyncio.gather(*asking)

    assert {answer.answer for answer in other} == {PortalAnswer.REACHABLE}
    assert (meanwhile, web.asked.count("/held")) == (1, 3)


async def test_a_silent_address_leaves_time_for_the_others(names: dict[str, list[list[str]]]) -> None:
    """Where a name leads to a machine that answers nothing and to one that answers, the portal is there."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with socket.socket() as silent, socket.socket() as first:
            silent.bind(("127.0.0.9", port))
            silent.listen(0)
            first.connect(("127.0.0.9", port))  # the one place that it has; whoever comes next waits
            names["cong.example.vn"] = [["127.0.0.9", "127.0.0.1"]]

            assert await found(f"http://cong.example.vn:{port}/", try_seconds=1) == (204, "")
