"""The broker away, its store lost, a service stopped: writes go on, and every reader gets everything once, in order."""

import asyncio
import shutil

import grpc
import pytest

from tests.support.journals import progress_events, stream_sequences
from tests.support.stack import Stack, running_stack
from tests.support.watchers import Watcher
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2

pytestmark = [pytest.mark.e2e]

FIRST = 20


async def write(stack: Stack, first: int, count: int) -> list[str]:
    """Advance `count` integrations to BUILT, one after the other; give their service names in order."""
    names = []
    for number in range(first, first + count):
        request = integration_service_pb2.AdvanceIntegrationRequest(
            name=f"integrations/bca-{number:03}",
            stage=integration_pb2.STAGE_BUILT,
            effective_date=date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=10, day=5)),
        )
        await stack.integration_stub.AdvanceIntegration(request, timeout=5)
        names.append(f"services/bca-{number:03}")
    return names


async def test_writes_go_on_without_the_broker() -> None:
    """100 writes while the broker is away all reach a watcher at once and the stream, once and in order, when it is back."""
    async with running_stack(seeded=True) as stack:
        watcher = Watcher(stack)
        await watcher.start()
        stack.nats.kill()

        names = await write(stack, FIRST, 100)
        await watcher.has_seen_as_many_as(100)
        await stack.nats.start()
        newest = (await progress_events(stack))[-1].sequence
        sequences = await stream_sequences(stack, "TIENDO_PROGRESS", newest)
        await watcher.stop()

        assert [event.service for event in watcher.seen] == names
        assert sequences == list(range(1, newest + 1))


async def test_a_lost_store_is_filled_again() -> None:
    """The broker's whole store deleted: once its streams are made again they hold every row, the last one too."""
    async with running_stack(seeded=True) as stack:
        watcher = Watcher(stack)
        await watcher.start()
        names = await write(stack, FIRST, 50)
        stack.nats.kill()
        shutil.rmtree(stack.nats.store)
        names += await write(stack, FIRST + 50, 50)
        await stack.nats.start()
        await stack.ensure_streams()

        await watcher.has_seen_as_many_as(100)
        newest = (await progress_events(stack))[-1].sequence
        sequences = await stream_sequences(stack, "TIENDO_PROGRESS", newest)
        await watcher.stop()

        assert [event.service for event in watcher.seen] == names
        assert sequences == list(range(1, newest + 1))


async def test_status_stops_in_time_and_watchers_go_on() -> None:
    """SIGTERM with watchers open and the broker dead: gone within 10 s with exit code 0; watchers resume by token."""
    async with running_stack(seeded=True) as stack:
        watchers = [Watcher(stack) for _ in range(20)]
        for watcher in watchers:
            await watcher.start()
        stack.nats.kill()

        process = stack.terminate("status")
        code = await asyncio.wait_for(asyncio.to_thread(process.wait), 10)
        names = await write(stack, FIRST, 5)
        stack.spawn("status")
        await stack.wait_serving("status")
        for watcher in watchers:
            await watcher.has_seen_as_many_as(5)
            await watcher.stop()

        assert code == 0
        for watcher in watchers:
            assert grpc.StatusCode.UNAVAILABLE in watcher.endings
            assert [event.service for event in watcher.seen] == names
