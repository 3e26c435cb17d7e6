"""CheckPortal and ListPortalChecks: what is recorded, what is told, and what a portal's answer leaves alone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from sqlalchemy import text

from services.common.db import read_transaction, write_transaction
from services.integration import storage, usecases
from services.integration.portal import ACTOR, Clock, Portals
from tests.support import integration
from tests.support.integration import Integration, integration_of, refused, running_integration, running_journal
from tests.support.scrape import page_of
from tests.support.web import Web, running_web
from tiendo.integration.v1 import integration_pb2 as ip
from tiendo.integration.v1 import integration_service_pb2 as pb

NAME = "integrations/bca-001"
UP, DOWN = ip.PORTAL_ANSWER_REACHABLE, ip.PORTAL_ANSWER_UNREACHABLE


@dataclass(frozen=True)
class Linked:
    """Integration, a portal, and what is asked most."""

    service: Integration
    web: Web

    async def link(self, path: str, portal: Any = ip.PORTAL_MINISTRY) -> ip.Integration:
        """Record a link to a page of the portal, or remove it; give the integration."""
        uri = self.web.uri(path) if path else ""
        reply = await self.service.call("SetPortalLink", pb.SetPortalLinkRequest(name=NAME, portal=portal, uri=uri))
        found: ip.Integration = reply.integration
        return found

    async def check(self, **fields: Any) -> pb.CheckPortalResponse:
        """Ask the portals."""
        reply: pb.CheckPortalResponse = await self.service.call(
            "CheckPortal", pb.CheckPortalRequest(**{"name": NAME, **fields})
        )
        return reply

    async def checks(self, **fields: Any) -> pb.ListPortalChecksResponse:
        """List what they answered."""
        reply: pb.ListPortalChecksResponse = await self.service.call(
            "ListPortalChecks", pb.ListPortalChecksRequest(**{"parent": NAME, **fields})
        )
        return reply


@pytest.fixture
async def linked(tmp_path: Path) -> AsyncIterator[Linked]:
    """A service and a portal; no link yet."""
    async with running_web() as web, integration_of(tmp_path) as service:
        yield Linked(service, web)


async def test_an_answer_is_told_when_it_changes(linked: Linked) -> None:
    """First, gone, still gone, back: three events, each with the answer before; every check is kept, newest first."""
    before = await linked.link("/page")
    first = await linked.check(name="integrations/dang-ky-thuong-tru")
    await linked.web.stop()
    gone = await linked.check()
    still = await linked.check()
    await linked.web.start()
    back = await linked.check(portal=ip.PORTAL_MINISTRY)
    events = [event for event in await linked.service.events() if event.HasField("portal_answered")]
    kept = await linked.checks()
    after = await linked.service.get("bca-001")

    told = [(event.portal_answered.check.answer, event.portal_answered.previous_answer) for event in events]
    assert told == [(UP, 0), (DOWN, UP), (UP, DOWN)]
    assert [list(event.integration.portal_checks) for event in events] == [
        [event.portal_answered.check] for event in events
    ]
    assert events[-1].integration == after == back.integration
    assert [check.answer for check in kept.checks] == [UP, DOWN, DOWN, UP]
    assert list(kept.checks) == [reply.checks[0] for reply in (back, still, gone, first)]
    assert (gone.revision, gone.integration) == (still.revision, still.integration)
    assert (gone.checks[0].http_status, gone.checks[0].detail) == (0, "no connection is accepted")
    assert (first.checks[0].http_status, first.checks[0].detail) == (200, "")
    assert first.checks[0].uri == linked.web.uri("/page")
    assert (first.checks[0].actor, first.checks[0].HasField("latency")) == (integration.ACTOR, True)
    assert before.portal_links == after.portal_links


async def test_an_answer_makes_no_etag_stale(linked: Linked) -> None:
    """Whoever read the integration before may still send a command; a restart changes nothing of that."""
    before = await linked.link("/page")
    after = (await linked.check()).integration
    stale = pb.SetPortalLinkRequest(name=NAME, portal=ip.PORTAL_NATIONAL, uri=linked.web.uri("/page"), etag=before.etag)
    reply = await linked.service.call("SetPortalLink", stale)
    refusal = await refused(
        linked.service.call(
            "SetPortalLink", pb.SetPortalLinkRequest(name=NAME, portal=ip.PORTAL_MINISTRY, etag=before.etag)
        )
    )

    assert (after.etag, after.update_time, after.update_actor) == (before.etag, before.update_time, before.update_actor)
    assert reply.integration.etag != before.etag
    assert refusal.metadata["change"] == "link to the national portal"


async def test_another_replica_and_a_restart_show_the_same(tmp_path: Path) -> None:
    """State loaded from the tables, and state folded from the journal, equal the one that was shown, etag included."""
    async with running_web() as web:
        async with integration_of(tmp_path) as service:
            linked = Linked(service, web)
            await linked.link("/page")
            await linked.check()
            await linked.link("/status/404", ip.PORTAL_NATIONAL)
            await linked.check()
            shown = service.runtime.live.current
            with read_transaction(service.runtime.engine) as connection:
                rows = storage.journal.read(connection, 0, 1000)
        empty = storage.State(shown.head)
        whole = empty.changed(shown.head, shown.checkpoint, usecases.decode(empty, rows))
        half = empty.changed(shown.head, shown.checkpoint, usecases.decode(empty, rows[:-1]))
        followed = half.changed(shown.head, shown.checkpoint, usecases.decode(half, rows[-1:]))
        async with integration_of(tmp_path) as service:
            loaded = service.runtime.live.current

    assert loaded == shown
    assert whole == shown
    assert followed == shown


async def test_services_are_found_by_what_their_portals_answered(linked: Linked) -> None:
    """A filter names a portal and its last answer; a link that was never asked matches neither."""
    await linked.link("/page")
    await linked.link("/status/404", ip.PORTAL_NATIONAL)

    async def listed(condition: str) -> int:
        request = pb.ListIntegrationsRequest(filter=f'portal = "{condition}"')
        return int((await linked.service.call("ListIntegrations", request)).total_size)

    conditions = ("MINISTRY:REACHABLE", "NATIONAL:UNREACHABLE", "MINISTRY:UNREACHABLE", "NATIONAL:REACHABLE")
    before = [await listed(condition) for condition in conditions]
    await linked.check()

    assert before == [0, 0, 0, 0]
    assert [await listed(condition) for condition in conditions] == [1, 1, 0, 0]


async def test_a_changed_link_drops_its_answer(linked: Linked) -> None:
    """The integration shows no answer for the new link, nor for none; what was found of the old one stays listed."""
    await linked.link("/page")
    await linked.link("/page", ip.PORTAL_NATIONAL)
    asked = await linked.check()
    changed = await linked.link("/status/404")
    found = (await linked.check(portal=ip.PORTAL_MINISTRY)).checks[0]
    removed = await linked.link("")
    kept = await linked.checks(portal=ip.PORTAL_MINISTRY)

    assert [check.portal for check in asked.integration.portal_checks] == [1, 2]
    assert [check.portal for check in changed.portal_checks] == [2]
    assert (found.answer, found.http_status, found.since_time) == (DOWN, 404, found.check_time)
    assert [check.portal for check in removed.portal_checks] == [2]
    assert [check.uri for check in kept.checks] == [linked.web.uri("/status/404"), linked.web.uri("/page")]


async def test_a_link_that_changes_while_it_is_asked(linked: Linked) -> None:
    """What the old one answered is not recorded of the new one; where nothing else was asked, that is a refusal."""
    await linked.link("/held")
    await linked.link("/page", ip.PORTAL_NATIONAL)
    alone = asyncio.create_task(refused(linked.check(portal=ip.PORTAL_MINISTRY)))
    both = asyncio.create_task(linked.check())
    async with asyncio.timeout(10):
        while "/held" not in linked.web.asked:
            await asyncio.sleep(0)
    await linked.link("/page")
    linked.web.gate.set()
    refusal, reply = await alone, await both

    assert refusal.short == ("FAILED_PRECONDITION", "PORTAL_LINK_MISSING", "portal")
    assert [check.portal for check in reply.checks] == [ip.PORTAL_NATIONAL]
    assert [check.portal for check in (await linked.checks()).checks] == [ip.PORTAL_NATIONAL]


async def test_the_same_request_asks_no_portal_twice(linked: Linked) -> None:
    """Its reply comes again, whatever the portal would answer now; the id with other content is refused."""
    await linked.link("/page")
    first = await linked.check(request_id="check/1")
    linked.web.statuses = [404] * 3
    again = await linked.check(request_id="check/1")
    other = await refused(linked.check(request_id="check/1", portal=ip.PORTAL_MINISTRY))

    assert again == first
    assert other.short == ("FAILED_PRECONDITION", "REQUEST_ID_REUSED", "request_id")
    assert (linked.web.asked, (await linked.checks()).total_size) == (["/page"], 1)


async def test_a_call_that_ends_before_its_portal_answers_records_nothing(linked: Linked) -> None:
    """It gets DEADLINE_EXCEEDED as any call does, and its request id is free."""
    await linked.link("/held")
    head = linked.service.runtime.live.current.head
    request = pb.CheckPortalRequest(name=NAME, request_id="check/1")
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await linked.service.stub.CheckPortal(request, timeout=0.2)
    linked.web.gate.set()

    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert linked.service.runtime.live.current.head == head
    assert (await linked.checks()).total_size == 0
    assert (await linked.check(request_id="check/1")).checks[0].answer == UP


async def test_checks_come_in_pages(linked: Linked) -> None:
    """Newest first, each once, of one portal where one is named; a token of another question is refused."""
    await linked.link("/page")
    await linked.link("/page", ip.PORTAL_NATIONAL)
    for _ in range(3):
        await linked.check()
    first = await linked.checks(page_size=4)
    second = await linked.checks(page_size=4, page_token=first.next_page_token)
    other = await refused(linked.checks(page_size=4, page_token=first.next_page_token, portal=ip.PORTAL_NATIONAL))
    national = await linked.checks(portal=ip.PORTAL_NATIONAL)

    assert (len(first.checks), len(second.checks), second.next_page_token) == (4, 2, "")
    assert (first.total_size, national.total_size) == (6, 3)
    assert {check.portal for check in national.checks} == {ip.PORTAL_NATIONAL}
    assert other.short == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", "page_token")
    assert first.revisions == national.revisions
    assert len(first.revisions) == 2


async def test_claimed_and_unreachable_services_are_measured(tmp_path: Path) -> None:
    """A service that is live by its stage and 404 by its portal counts until it answers."""
    async with (
        running_journal() as catalog,
        running_web() as web,
        running_integration(tmp_path, catalog.port, metrics_port=0) as service,
    ):
        linked = Linked(service, web)
        await service.rpc.feed.catch_up(10)
        await linked.link("/page")
        web.statuses = [404] * 3
        await linked.check()
        early = await page_of(service.runtime.metrics_port)
        await service.advance("bca-001", ip.STAGE_LIVE_ON_MINISTRY_PORTAL)
        claimed = await page_of(service.runtime.metrics_port)
        await linked.check()
        answers = await page_of(service.runtime.metrics_port)

    name = "tiendo_portal_unreachable_services"
    assert [page.value(name) for page in (early, claimed, answers)] == [0, 1, 0]


async def clock_of(linked: Linked) -> Clock:
    """The clock's part, once its replica holds the lease."""
    async with asyncio.timeout(10):
        while not linked.service.runtime.replicas.lease.held:
            await asyncio.sleep(0.01)
    portals = Portals(may_ask=lambda _: True, period=timedelta(hours=1), sleep=integration.no_wait)
    return Clock(linked.service.runtime, portals)


async def look(clock: Clock) -> None:
    """Look once what is due, and ask it all."""
    async with asyncio.TaskGroup() as tasks:
        await clock.look(tasks)


async def test_the_clock_asks_what_is_due(linked: Linked) -> None:
    """A link is asked at the first look, not at the next one, and again once it is another."""
    await linked.link("/page")
    await linked.link("/status/404", ip.PORTAL_NATIONAL)
    clock = await clock_of(linked)
    await look(clock)
    await look(clock)
    kept = await linked.checks()
    asked = list(linked.web.asked)
    await linked.link("/hops/1")
    await look(clock)

    assert {(check.portal, check.answer, check.actor) for check in kept.checks} == {(1, UP, ACTOR), (2, DOWN, ACTOR)}
    assert (len(kept.checks), sorted(asked)) == (2, ["/page"] + ["/status/404"] * 3)
    assert linked.web.asked[len(asked) :] == ["/hops/1", "/page"]


async def test_a_link_that_is_being_asked_is_not_asked_again(linked: Linked) -> None:
    """A portal that takes its time is asked once, however often the clock looks meanwhile."""
    await linked.link("/held")
    clock = await clock_of(linked)
    async with asyncio.TaskGroup() as tasks:
        await clock.look(tasks)
        async with asyncio.timeout(10):
            while not linked.web.present:
                await asyncio.sleep(0)
        await clock.look(tasks)
        linked.web.gate.set()

    assert linked.web.asked == ["/held"]


async def test_only_the_holder_of_the_lease_asks(linked: Linked) -> None:
    """A replica that lost the lease while a portal was asked records nothing, and asks nothing more."""
    await linked.link("/held")
    await linked.link("/page", ip.PORTAL_NATIONAL)
    clock = await clock_of(linked)
    engine = linked.service.runtime.engine
    async with asyncio.TaskGroup() as tasks:
        await clock.look(tasks)
        async with asyncio.timeout(10):
            while not linked.web.present:
                await asyncio.sleep(0)
        with write_transaction(engine) as connection:
            storage.journal.lease.take(connection, storage.journal.lease.read(connection), "another/1/replica")
        linked.web.gate.set()
    await look(clock)

    assert (await linked.checks()).total_size == 0
    assert linked.web.asked[0] == "/held"


async def test_the_clock_survives_a_database_that_is_away(linked: Linked) -> None:
    """What could not be recorded is asked again once it can."""
    await linked.link("/page")
    clock = await clock_of(linked)
    engine = linked.service.runtime.engine
    with write_transaction(engine) as connection:
        connection.execute(text("ALTER TABLE portal_check RENAME TO away"))
    await look(clock)
    with write_transaction(engine) as connection:
        connection.execute(text("ALTER TABLE away RENAME TO portal_check"))
    await look(clock)

    assert [check.answer for check in (await linked.checks()).checks] == [UP]
