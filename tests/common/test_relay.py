"""The relay on a real broker: whatever happens to either, each row is in the stream once and in order."""

import asyncio
import json
from dataclasses import replace
from typing import Any

from services.common.journal import Row
from services.common.relay import Publication, Relay
from services.common.stream import RelayState
from services.common.stream_specs import ensure_stream
from tests.support.journal import ACTOR, EPOCH, MemoryJournal, publication_of
from tests.support.nats import connected, jetstream, running_nats, until
from tests.support.relaying import SPEC, STREAM, ids, reach, ready, relay_of, running, stored


async def test_rows_are_published_in_order_with_their_ids() -> None:
    """Every row is one message, named by its event id."""
    journal = MemoryJournal()
    journal.add(600)
    async with ready() as (_, broker):
        relay = relay_of(broker, journal)

        count = await relay.run_once()
        again = await relay.run_once()

        assert (count, again) == (600, 0)
        assert (relay.state, relay.reason, relay.published) == (RelayState.RUNNING, "", 600)
        assert await stored(broker) == ids(1, 600)


async def test_a_new_relay_goes_on_where_the_stream_ends() -> None:
    """No position is kept: the stream itself tells it."""
    journal = MemoryJournal()
    journal.add(3)
    async with ready() as (_, broker):
        await relay_of(broker, journal).run_once()
        journal.add(2)

        assert await relay_of(broker, journal).run_once() == 2
        assert await stored(broker) == ids(1, 5)


async def test_a_wake_publishes_at_once() -> None:
    """A commit needs no interval to pass and one read of the journal."""
    journal = MemoryJournal()
    journal.add(1)
    async with ready() as (_, broker):
        relay = Relay(
            broker=broker, stream=STREAM, journal=journal, publication=publication_of, look_seconds=60, retry_seconds=60
        )
        arrived = asyncio.Event()
        async with running(relay):
            await reach(relay, 1)
            await broker.subscribe("tiendo.progress.v1.>", lambda _: arrived.set())
            reads = journal.reads
            journal.add(1)
            relay.wake()
            await asyncio.wait_for(arrived.wait(), 1)
            await reach(relay, 2)

            assert journal.reads == reads + 1


async def test_broker_killed_during_a_thousand_rows() -> None:
    """Kill -9 four times on the way: all are there once, in order, without anybody's help."""
    journal = MemoryJournal()
    journal.add(1000)
    kills = {150, 400, 650, 900}
    unconfirmed: list[int] = []
    async with ready() as (server, broker):
        killed = asyncio.Event()

        def kill_on_the_way(row: Row) -> Publication:
            if row.sequence in kills:
                kills.remove(row.sequence)
                unconfirmed.append(row.sequence - 1 - relay.published)
                server.kill()
                killed.set()
            return publication_of(row)

        relay = Relay(
            broker=broker,
            stream=STREAM,
            journal=journal,
            publication=kill_on_the_way,
            in_flight=64,
            retry_seconds=0.05,
            look_seconds=0.1,
        )
        async with running(relay):
            for _ in range(4):
                await asyncio.wait_for(killed.wait(), 15)
                killed.clear()
                await server.start()
            await reach(relay, 1000)

        assert max(unconfirmed) > 0  # a kill may also fall between two windows
        assert await stored(broker) == ids(1, 1000)


async def test_rows_committed_while_the_broker_is_away_follow() -> None:
    """Commits go on without a broker; the relay says that it waits, and sends them all when it is back."""
    journal = MemoryJournal()
    journal.add(5)
    async with ready() as (server, broker):
        relay = relay_of(broker, journal)
        async with running(relay):
            await reach(relay, 5)
            server.stop()
            async with asyncio.timeout(5):
                while relay.state is not RelayState.WAITING:
                    journal.add(1)
                    relay.wake()
                    await asyncio.sleep(0.01)
            reason = relay.reason
            await server.start()
            await reach(relay, len(journal.rows))

        assert "broker is away" in reason
        assert await stored(broker) == ids(1, len(journal.rows))


async def test_a_frozen_broker_gets_no_row_twice() -> None:
    """A broker that stands still may have stored what it did not confirm; asking it again gives one copy."""
    journal = MemoryJournal()
    journal.add(1)
    async with ready() as (server, broker):
        relay = relay_of(broker, journal)
        await relay.run_once()
        server.freeze()
        journal.add(300)
        task = asyncio.create_task(relay.run_once())
        await asyncio.sleep(1.2)
        server.thaw()
        await task
        await relay.run_once()

        assert await stored(broker) == ids(1, 301)


async def test_rows_lost_without_a_word_are_sent_again_however_busy_the_journal_is() -> None:
    """A broker that passes on no message and answers none, as one that has no leader: commits that go on excuse nobody."""
    journal = MemoryJournal()
    journal.add(1)
    async with ready() as (_, broker):
        relay = relay_of(broker, journal)
        publish, lost = broker.publish, list[str]()

        async def losing(subject: str, _body: bytes, **_options: Any) -> None:
            lost.append(subject)

        async def commit() -> None:
            while True:
                journal.add(1)
                relay.wake()
                await asyncio.sleep(0.01)

        async with running(relay):
            await reach(relay, 1)
            broker.publish = losing  # type: ignore[assignment]
            committing = asyncio.create_task(commit())
            await until(lambda: len(lost) >= 256)  # as many as may be under way
            broker.publish = publish  # type: ignore[method-assign]
            gone_on = len(journal.rows) + 100
            try:
                await until(lambda: relay.published >= gone_on, seconds=15)
            finally:
                committing.cancel()
            await reach(relay, len(journal.rows))

        assert await stored(broker) == ids(1, len(journal.rows))


async def test_two_relays_publish_each_row_once() -> None:
    """Two replicas need no lease: the broker takes each row from one of them."""
    journal = MemoryJournal()
    async with ready() as (server, broker), connected(server) as other:
        relays = [relay_of(broker, journal), relay_of(other, journal)]
        async with running(relays[0]), running(relays[1]):
            for _ in range(20):
                journal.add(25)
                for relay in relays:
                    relay.wake()
                await asyncio.sleep(0.005)
            for relay in relays:
                await reach(relay, 500)

        assert await stored(broker) == ids(1, 500)


async def test_a_row_one_byte_too_large_keeps_the_connection() -> None:
    """Body and headers together count: one byte over the limit is never sent; at the limit it is taken."""
    journal = MemoryJournal()
    journal.add(2)
    limit = 10_000
    async with running_nats() as server:
        server.kill()
        await server.start(max_payload=limit)
        async with connected(server) as broker:
            await ensure_stream(jetstream(broker), SPEC)
            lost = asyncio.Event()
            broker.listen(lambda up: None if up else lost.set())
            headers = "NATS/1.0\r\nNats-Msg-Id: 00112233445566aa.1\r\nNats-Expected-Last-Sequence: 0\r\n\r\n"
            sizes = {1: limit - len(headers), 2: limit - len(headers) + 1}

            def padded(row: Row) -> Publication:
                message = publication_of(row)
                return replace(message, body=message.body.ljust(sizes[row.sequence]))

            relay = Relay(broker=broker, stream=STREAM, journal=journal, publication=padded)
            count = await relay.run_once()

            assert count == 1
            assert relay.state is RelayState.TOO_LARGE
            assert "row 2 needs 10,001 bytes and the broker takes 10,000" in relay.reason
            assert broker.connected
            assert not lost.is_set()


async def test_names_arrive_whole() -> None:
    """A Vietnamese actor stands in the body, and ids alone in the headers."""
    journal = MemoryJournal()
    journal.add(1)
    async with ready() as (_, broker):
        subscription = await broker.client().subscribe("tiendo.progress.v1.>")
        await relay_of(broker, journal).run_once()
        message = await subscription.next_msg(timeout=5)

        assert json.loads(message.data)["data"]["actor"] == ACTOR
        assert message.headers == {"Nats-Msg-Id": f"{EPOCH}.1", "Nats-Expected-Last-Sequence": "0"}


async def test_drain_publishes_what_is_left() -> None:
    """Before a process ends, its last rows go out; without a broker it does not wait."""
    journal = MemoryJournal()
    async with ready() as (server, broker):
        relay = relay_of(broker, journal)
        async with running(relay):
            journal.add(30)
            drained = await relay.drain(5)
            published = await stored(broker)
            server.kill()
            journal.add(1)

            assert drained
            assert published == ids(1, 30)
            assert not await asyncio.wait_for(relay.drain(2), 3)


async def test_a_failing_journal_does_not_end_the_relay() -> None:
    """A database that is away for a moment is tried again."""
    journal = MemoryJournal()
    journal.add(1)
    failures = iter([OSError("away"), OSError("away")])

    def sometimes(row: Row) -> Publication:
        for failure in failures:
            raise failure
        return publication_of(row)

    async with ready() as (_, broker):
        relay = Relay(broker=broker, stream=STREAM, journal=journal, publication=sometimes, retry_seconds=0.01)
        await relay.run_once()
        reason = relay.reason
        async with running(relay):
            await reach(relay, 1)

        assert reason == "publishing failed (OSError); see the log; trying again"
        assert await stored(broker) == ids(1, 1)
