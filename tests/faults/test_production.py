"""The whole as in production, every part of it killed -9 in turn under load: nothing acknowledged is lost or done twice.

TEST_PRODUCTION_SECONDS makes it longer; the parts are killed in turn as often as fits.
"""

import asyncio
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import grpc.aio
import pytest

from tests.support.journals import (
    assert_chained,
    catalog_events,
    integration_events,
    progress_events,
    stream_sequences,
)
from tests.support.scrape import page_of
from tests.support.stack import Stack, running_stack
from tests.support.watchers import Watcher
from tiendo.catalog.v1 import catalog_service_pb2, catalog_service_pb2_grpc, service_pb2
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import integration_service_pb2, integration_service_pb2_grpc
from tiendo.status.v1 import status_service_pb2, status_service_pb2_grpc

SECONDS = float(os.environ.get("TEST_PRODUCTION_SECONDS", "20"))
pytestmark = [pytest.mark.e2e, pytest.mark.limit(300 + 4 * SECONDS)]

INTEGRATION_WRITERS, CATALOG_WRITERS, WATCHERS = 15, 5, 50
ALONE = "TEST_PRODUCTION_SECONDS" in os.environ
# In the suite other tests take the same two cores.
PAUSE_SECONDS = 0.4 if ALONE else 0.8  # of a writer after each write; 50 a second in all, or half of that
TURN_SECONDS = 4.0  # from one kill to the next
AWAY_SECONDS = 1.0  # from a kill to the start that follows
BACK_SECONDS = 10.0 if ALONE else 60.0  # what is promised is held to where the machine is the test's own
SILENCE_SECONDS = 15.0 + BACK_SECONDS
OURS = ("Block/", "Unblock/", "name/")
AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Load:
    """Writers and readers of a stack; what was acknowledged, and how long anybody had to wait."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.stopping = False
        self.acknowledged: dict[str, list[str]] = {"catalog": [], "integration": []}
        self.revision = ""
        """The newest that integration gave."""
        self.longest_seconds: dict[str, float] = {}
        """By what was asked: the longest time from the first try to the answer."""

    async def answered(self, what: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """Ask until it is answered, and note how long that took."""
        begun = time.monotonic()
        while True:
            try:
                reply = await ask()
            except grpc.aio.AioRpcError as failure:
                assert failure.code() in AGAIN, failure
                await asyncio.sleep(0.05)
            else:
                took = time.monotonic() - begun
                self.longest_seconds[what] = max(self.longest_seconds.get(what, 0.0), took)
                return reply

    async def write_integration(self, services: range) -> None:
        """Block and unblock integrations, one after the other."""
        stub: Any = integration_service_pb2_grpc.IntegrationServiceStub(self._stack.channel("integration"))
        for verb, request in blocks(services):
            if self.stopping:
                return
            method = getattr(stub, f"{verb}Integration")
            reply = await self.answered("write", partial(method, request, timeout=5))
            self.acknowledged["integration"].append(request.request_id)
            self.revision = reply.revision
            await asyncio.sleep(PAUSE_SECONDS)

    async def write_catalog(self, services: range) -> None:
        """Give services new names, one after the other."""
        stub: Any = catalog_service_pb2_grpc.CatalogServiceStub(self._stack.channel("catalog"))
        for turn in itertools.count():
            for service in services:
                if self.stopping:
                    return
                request = catalog_service_pb2.UpdateServiceRequest(
                    service=service_pb2.Service(name=f"services/bca-{service:03}", display_name=f"Thủ tục {turn}"),
                    request_id=f"name/{service}/{turn}",
                )
                await self.answered("write", partial(stub.UpdateService, request, timeout=5))
                self.acknowledged["catalog"].append(request.request_id)
                await asyncio.sleep(PAUSE_SECONDS)

    async def read(self) -> None:
        """Read from each service, and from status what integration has just acknowledged."""
        catalog: Any = catalog_service_pb2_grpc.CatalogServiceStub(self._stack.channel("catalog"))
        integration: Any = integration_service_pb2_grpc.IntegrationServiceStub(self._stack.channel("integration"))
        status: Any = status_service_pb2_grpc.StatusServiceStub(self._stack.channel("status"))
        service = catalog_service_pb2.GetServiceRequest(name="services/bca-001")
        one = integration_service_pb2.GetIntegrationRequest(name="integrations/bca-001")
        counted = status_service_pb2.GetCompletionRequest()
        while not self.stopping:
            await self.answered("catalog", partial(catalog.GetService, service, timeout=1))
            await self.answered("integration", partial(integration.GetIntegration, one, timeout=1))
            await self.answered("status", partial(status.GetCompletion, counted, timeout=1))
            await asyncio.sleep(0.05)

    async def read_what_was_written(self) -> None:
        """Ask status for what integration has just acknowledged."""
        status: Any = status_service_pb2_grpc.StatusServiceStub(self._stack.channel("status"))
        while not self.stopping:
            request = status_service_pb2.GetCompletionRequest(at_least=[self.revision] if self.revision else [])
            await self.answered("written", partial(status.GetCompletion, request, timeout=2))
            await asyncio.sleep(0.05)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let all of them work until the block ends, and finish what they were at."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(INTEGRATION_WRITERS):
                tasks.create_task(self.write_integration(range(12 + number, 180, INTEGRATION_WRITERS)))
            for number in range(CATALOG_WRITERS):
                tasks.create_task(self.write_catalog(range(180 + number, 228, CATALOG_WRITERS)))
            for reader in (self.read, self.read_what_was_written):
                tasks.create_task(reader())
            try:
                yield
            finally:
                self.stopping = True


def blocks(services: range) -> Iterator[tuple[str, Any]]:
    """Give command after command, each with an id of its own."""
    date = date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=11))
    for turn in itertools.count():
        for service, (verb, reason) in itertools.product(services, (("Block", "vướng mắc"), ("Unblock", ""))):
            kind = getattr(integration_service_pb2, f"{verb}IntegrationRequest")
            request_id = f"{verb}/{service}/{turn}"
            name = f"integrations/bca-{service:03}"
            yield verb, kind(name=name, effective_date=date, reason=reason, request_id=request_id)


async def kill_replica(stack: Stack, name: str) -> None:
    """Kill a process of a service, and start it again as whatever looks after it would."""
    stack.kill(name)
    await asyncio.sleep(AWAY_SECONDS)
    stack.spawn(name)
    await stack.wait_serving(name)


async def kill_projector(stack: Stack) -> None:
    """Kill the status that follows its sources."""
    for name in stack.names["status"]:
        if (await page_of(stack.metrics_ports[name])).value("tiendo_active", role="projector"):
            await kill_replica(stack, name)
            return
    raise AssertionError("no status is active")


async def kill_leader(stack: Stack) -> None:
    """Kill the broker that leads the stream of integration's events."""
    assert stack.production
    cluster = stack.production.cluster
    cluster.kill(await cluster.leader("TIENDO_INTEGRATION"))
    await asyncio.sleep(AWAY_SECONDS)
    await cluster.ensure_running()


async def kill_postgres(stack: Stack) -> None:
    """Kill the database, and start it again."""
    assert stack.production
    stack.production.postgres.kill()
    await asyncio.sleep(AWAY_SECONDS)
    await stack.production.postgres.restart()


async def test_whatever_is_killed_nothing_is_lost_or_done_twice() -> None:
    """20 writers, 50 watchers, and each part killed in turn: each write once, each watch whole, all back within 10 s."""
    chance = random.Random(227)
    async with running_stack("production", seeded=True) as stack:
        watchers = [Watcher(stack) for _ in range(WATCHERS)]
        await asyncio.gather(*(watcher.start() for watcher in watchers))
        load = Load(stack)
        kills: list[Callable[[], Awaitable[None]]] = [
            lambda: kill_replica(stack, chance.choice(stack.names["catalog"])),
            lambda: kill_replica(stack, chance.choice(stack.names["integration"])),
            partial(kill_projector, stack),
            partial(kill_leader, stack),
            partial(kill_postgres, stack),
        ]
        async with load.running():
            for kill in itertools.islice(itertools.cycle(kills), max(len(kills), int(SECONDS / TURN_SECONDS))):
                due = asyncio.create_task(asyncio.sleep(TURN_SECONDS))
                await kill()
                await due
        # What the catalog told last, integration writes down as well, in its own time.
        one = catalog_service_pb2.ListServicesRequest(page_size=1)
        list_services: Any = stack.catalog_stub.ListServices
        told = list((await load.answered("end", partial(list_services, one, timeout=5))).revisions)
        listing = integration_service_pb2.ListIntegrationsRequest(page_size=1, at_least=told)
        list_integrations: Any = stack.integration_stub.ListIntegrations
        told += (await load.answered("end", partial(list_integrations, listing, timeout=5))).revisions
        request = status_service_pb2.GetCompletionRequest(at_least=told)
        ask: Any = stack.status_stub.GetCompletion
        await load.answered("end", partial(ask, request, timeout=5))
        catalog, integration = await catalog_events(stack), await integration_events(stack)
        progress = await progress_events(stack)
        await asyncio.gather(*(watcher.has_seen(progress[-1]) for watcher in watchers))
        journals: dict[str, list[Any]] = {"catalog": [*catalog], "integration": [*integration], "progress": [*progress]}
        streams = {
            name: await stream_sequences(stack, f"TIENDO_{name.upper()}", rows[-1].sequence)
            for name, rows in journals.items()
        }
        await asyncio.gather(*(watcher.stop() for watcher in watchers))

        for rows in journals.values():
            assert_chained(rows)
        for service, acknowledged in load.acknowledged.items():
            ids = [row.request_id for row in journals[service]]
            assert Counter(each for each in ids if each.startswith(OURS)) == Counter(acknowledged)
        told = [event.cause for event in progress if event.cause.startswith("integration/")]
        assert len(told) == len(set(told)) == len(load.acknowledged["integration"]) + 11
        assert streams == {name: list(range(1, len(rows) + 1)) for name, rows in journals.items()}
        assert [watcher.broken for watcher in watchers] == [""] * WATCHERS
        assert max(watcher.longest_silence_seconds for watcher in watchers) < SILENCE_SECONDS
        for watcher in watchers:
            first = watcher.seen[0].sequence
            assert [event.sequence for event in watcher.seen] == list(range(first, progress[-1].sequence + 1))
        assert max(load.longest_seconds.values()) < BACK_SECONDS, load.longest_seconds
        assert [service for service in stack.names if '"event": "fault"' in stack.log(service)] == []
