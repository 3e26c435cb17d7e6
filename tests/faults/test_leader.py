"""Streams in three copies: what is lost on the way to them is sent again, and a killed leader is followed by another."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.common.broker import Broker
from services.common.relay import Publication, Relay
from services.common.stream_specs import stream_specs
from tests.support.journal import EPOCH, MemoryJournal, body_of
from tests.support.production import ProductionCluster
from tests.support.relaying import ids

pytestmark = [pytest.mark.e2e, pytest.mark.limit(180), pytest.mark.asyncio(loop_scope="module")]

COMMIT_SECONDS = 0.02
AWAY_SECONDS = 1.0
KILLS = 2
# Servers wait 4 to 9 s before they choose another leader, and wait again where two stand and neither is chosen.
BACK_SECONDS = 10.0
SELDOM_SECONDS = 20.0


class Delivery:
    """A stream, the journal it delivers, and two relays that know nothing of each other."""

    def __init__(self, stream: str, subject: str, brokers: list[Broker]) -> None:
        self.stream = stream
        self.journal = MemoryJournal()
        self.relays = [
            Relay(
                broker=broker,
                stream=stream,
                journal=self.journal,
                publication=lambda row: Publication(subject, body_of(row)),
            )
            for broker in brokers
        ]

    def commit(self) -> None:
        """Write a row, and tell both."""
        self.journal.add()
        for relay in self.relays:
            relay.wake()

    async def reach(self, row: int = 0) -> None:
        """Return when a relay has heard that this row, or the newest, is stored."""
        row = row or len(self.journal.rows)
        while max(relay.published for relay in self.relays) < row:
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProductionCluster]:
    """Three servers."""
    made = ProductionCluster(tmp_path_factory.mktemp("leader"))
    try:
        await made.start()
        yield made
    finally:
        made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def brokers(cluster: ProductionCluster) -> AsyncIterator[list[Broker]]:
    """Two connections, and somebody who listens: for then a stream without a leader does not even say that it is none."""
    made = [Broker(cluster.url().split(","), name=f"test-{number}") for number in range(2)]
    for broker in made:
        broker.start()
        await broker.subscribe("tiendo.*.v1.>", lambda _: None)
    yield made
    for broker in made:
        await broker.close()


@pytest_asyncio.fixture(loop_scope="module")
async def deliveries(cluster: ProductionCluster, brokers: list[Broker]) -> AsyncIterator[list[Delivery]]:
    """The three streams, empty, and their relays at work."""
    await cluster.make_streams()
    made = [Delivery(spec.name, spec.subjects[0].replace(">", "x"), brokers) for spec in stream_specs()]
    relays = [asyncio.create_task(relay.run()) for each in made for relay in each.relays]
    yield made
    for relay in relays:
        relay.cancel()
    await asyncio.wait(relays)
    await cluster.drop_streams()


async def kill_leader(cluster: ProductionCluster, deliveries: list[Delivery]) -> list[float]:
    """Kill the server that leads most of the streams, and start it again; give how long each stream took nothing new."""
    leaders = [await cluster.leader(each.stream) for each in deliveries]
    victim = Counter(leaders).most_common(1)[0][0]
    cluster.kill(victim)
    killed = time.monotonic()

    async def back(each: Delivery) -> float:
        await each.reach(len(each.journal.rows) + 1)
        return time.monotonic() - killed

    async def start_again() -> None:
        await asyncio.sleep(AWAY_SECONDS)
        cluster.spawn(victim)

    seconds, _ = await asyncio.gather(asyncio.gather(*map(back, deliveries)), start_again())
    await cluster.wait_ready()
    return seconds


async def stored(cluster: ProductionCluster, stream: str) -> list[str]:
    """Read every message of a stream; returns the event ids in its order."""
    async with cluster.connected("") as client:
        js = client.jetstream()
        count = (await js.stream_info(stream)).state.messages
        subscription = await js.subscribe("", stream=stream, ordered_consumer=True)
        return [json.loads((await subscription.next_msg(timeout=10)).data)["id"] for _ in range(count)]


async def test_a_row_lost_on_its_way_stops_no_stream(
    cluster: ProductionCluster, brokers: list[Broker], deliveries: list[Delivery]
) -> None:
    """The rows behind it are refused, and no server gives the stream up for that: it takes all of them a moment later."""
    publish, lost = brokers[0].publish, []

    async def losing(subject: str, body: bytes, **options: Any) -> None:
        if options["headers"]["Nats-Msg-Id"] == f"{EPOCH}.20" and subject not in lost:
            lost.append(subject)
        else:
            await publish(subject, body, **options)

    await asyncio.gather(*(each.relays[0].run_once() for each in deliveries))
    brokers[0].publish = losing  # type: ignore[method-assign]
    for each in deliveries:
        each.journal.add(40)
        each.relays[0].wake()
    async with asyncio.timeout(SELDOM_SECONDS):
        await asyncio.gather(*(each.reach() for each in deliveries))

    assert len(lost) == len(deliveries)
    for each in deliveries:
        assert await stored(cluster, each.stream) == ids(1, 40)


async def test_a_killed_leader_is_followed_by_another_and_nothing_is_lost(
    cluster: ProductionCluster, deliveries: list[Delivery]
) -> None:
    """Killed under load and started again: within 10 s every stream takes rows again, each of them once, in order."""

    async def commit() -> None:
        while True:
            for each in deliveries:
                each.commit()
            await asyncio.sleep(COMMIT_SECONDS)

    committing = asyncio.create_task(commit())
    try:
        async with asyncio.timeout(KILLS * 3 * SELDOM_SECONDS):
            await asyncio.gather(*(each.reach(50) for each in deliveries))
            seconds = [each for _ in range(KILLS) for each in await kill_leader(cluster, deliveries)]
    finally:
        committing.cancel()
    async with asyncio.timeout(SELDOM_SECONDS):
        await asyncio.gather(*(each.reach() for each in deliveries))

    for each in deliveries:
        assert await stored(cluster, each.stream) == ids(1, len(each.journal.rows))
    *most, longest = sorted(seconds)
    assert longest < SELDOM_SECONDS, seconds
    assert max(most) < BACK_SECONDS, seconds
