"""A relay on a real broker, and what its stream holds."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from services.common.broker import Broker
from services.common.relay import Relay
from services.common.stream import RelayState
from services.common.stream_specs import ensure_stream, stream_specs
from tests.support.journal import EPOCH, MemoryJournal, publication_of
from tests.support.nats import NatsServer, connected, jetstream, running_nats, until

STREAM = "TIENDO_PROGRESS"


SPEC = stream_specs()[2]


def relay_of(broker: Broker, journal: MemoryJournal) -> Relay:
    """Make a relay that loses no time."""
    return Relay(
        broker=broker,
        stream=STREAM,
        journal=journal,
        publication=publication_of,
        retry_seconds=0.05,
        look_seconds=0.1,
        answer_seconds=1.0,
    )


@contextlib.asynccontextmanager
async def ready() -> AsyncIterator[tuple[NatsServer, Broker]]:
    """Run a broker that has the stream."""
    async with running_nats() as server, connected(server) as broker:
        await ensure_stream(jetstream(broker), SPEC)
        yield server, broker


@contextlib.asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[None]:
    """Let the relay run in the background."""
    task = asyncio.create_task(relay.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def reach(relay: Relay, sequence: int) -> None:
    """Return when this row is confirmed."""
    await until(lambda: relay.published == sequence and relay.state is RelayState.RUNNING, seconds=15)


async def stored(broker: Broker) -> list[str]:
    """Read every message of the stream; returns the event ids in stream order."""
    js = jetstream(broker)
    count = (await js.stream_info(STREAM)).state.messages
    if not count:
        return []
    subscription = await js.subscribe("tiendo.progress.v1.>", stream=STREAM, ordered_consumer=True)
    ids = [json.loads((await subscription.next_msg(timeout=5)).data)["id"] for _ in range(count)]
    await subscription.unsubscribe()
    return ids


def ids(first: int, last: int, epoch: str = EPOCH) -> list[str]:
    """Name rows first to last."""
    return [f"{epoch}.{sequence}" for sequence in range(first, last + 1)]
