"""The relay on a real broker: whatever happens to either, each row is in the stream once and in order."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from services.common.broker import Broker, ensure_stream, stream_specs
from services.common.journal import Row
from services.common.relay import Publication, Relay
from services.common.stream import RelayState
from tests.support.journal import ACTOR, EPOCH, OTHER_EPOCH, MemoryJournal, publication_of
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


async def test_a_stream_made_again_is_refilled() -> None:
    """Deleted under a live connection: once it is made again all rows come back, the last one with none after it."""
    journal = MemoryJournal()
    journal.add(40)
    async with ready() as (_, broker):
        relay = relay_of(broker, journal)
        async with running(relay):
            await reach(relay, 40)
            await jetstream(broker).delete_stream(STREAM)
            await until(lambda: relay.state is RelayState.STREAM_MISSING)
            reason = relay.reason
            await ensure_stream(jetstream(broker), SPEC)
            await reach(relay, 40)

        assert "tiendo migrate" in reason
        assert await stored(broker) == ids(1, 40)


async def test_a_purged_stream_is_refilled() -> None:
    """Rows published a moment ago are taken again after a purge, and not answered as repeats for ever."""
    journal = MemoryJournal()
    async with ready() as (_, broker):
        relay = relay_of(broker, journal)
        async with running(relay):
            journal.add(40)
            relay.wake()
            await reach(relay, 40)
            refilled = asyncio.Event()
            await broker.subscribe(
                "tiendo.progress.v1.>",
                lambda message: refilled.set() if f"{EPOCH}.40" in str(message.headers) else None,
            )
            await broker.client().flush()
            await jetstream(broker).purge_stream(STREAM)
            await asyncio.wait_for(refilled.wait(), 10)
            await reach(relay, 40)

        assert await stored(broker) == ids(1, 40)


async def cut(broker: Broker, how: str) -> None:
    """Take rows out of a stream of 40."""
    js = jetstream(broker)
    if how == "all":
        await js.purge_stream(STREAM)
    elif how == "all but 10":
        await js.purge_stream(STREAM, keep=10)
    else:
        await js.delete_msg(STREAM, 17)


@pytest.mark.parametrize("how", ["all", "all but 10", "one between"])
async def test_a_cut_stream_is_filled_again_while_commits_go_on(how: str) -> None:
    """Rows taken out of the stream come back, in order, though a commit follows at once and others never cease."""
    journal = MemoryJournal()
    journal.add(40)
    async with ready() as (_, broker):
        relay = relay_of(broker, journal)
        async with running(relay):
            await reach(relay, 40)
            await cut(broker, how)
            journal.add(1)
            relay.wake()
            await reach(relay, 41)
            looked_often = looked(relay, 30)
            while not looked_often() and (await stored(broker))[:40] != ids(1, 40):
                journal.add(1)
                relay.wake()
                await asyncio.sleep(0.02)
            await reach(relay, len(journal.rows))

        assert await stored(broker) == ids(1, len(journal.rows))


async def test_what_the_size_pushed_out_stays_out() -> None:
    """A stream that is full holds the newest rows; it is not filled again for the others."""
    journal = MemoryJournal()
    journal.add(3000)
    async with running_nats() as server, connected(server) as broker:
        await ensure_stream(jetstream(broker), stream_specs(max_bytes=1 << 20)[2])
        relay = relay_of(broker, journal)
        async with running(relay):
            await reach(relay, 3000)
            held = await stored(broker)
            before = (await jetstream(broker).stream_info(STREAM)).state
            await until(looked(relay, 4))
            after = (await jetstream(broker).stream_info(STREAM)).state

        assert held[0] > f"{EPOCH}.1"
        assert held == ids(3001 - len(held), 3000)
        assert (after.first_seq, after.last_seq) == (before.first_seq, before.last_seq)


@pytest.mark.parametrize("limit", [{"max_age": 3600}, {"max_msgs": 50}, {"allow_rollup_hdrs": False}])
async def test_a_stream_with_limits_of_its_own_is_left_as_it_is(limit: dict[str, Any]) -> None:
    """Where an operator set another limit, what is not there may not be meant to be."""
    journal = MemoryJournal()
    journal.add(40)
    async with ready() as (_, broker):
        js = jetstream(broker)
        await js.update_stream((await js.stream_info(STREAM)).config.evolve(**limit))
        relay = relay_of(broker, journal)
        async with running(relay):
            await reach(relay, 40)
            await cut(broker, "all but 10")
            await until(looked(relay, 4))

        assert await stored(broker) == ids(31, 40)


def looked(relay: Relay, times: int) -> Callable[[], bool]:
    """Whether it has looked at its stream so often since now, which it does each tenth of a second."""
    since = relay.looks
    return lambda: relay.looks >= since + times


async def test_a_purge_and_a_restart_forget_nothing_that_matters() -> None:
    """The broker's memory of ids is gone after both; the rows come back once."""
    journal = MemoryJournal()
    journal.add(10)
    async with ready() as (server, broker):
        await relay_of(broker, journal).run_once()
        await jetstream(broker).purge_stream(STREAM)
        server.kill()
        await server.start()
        relay = relay_of(broker, journal)
        async with running(relay):
            await reach(relay, 10)

        assert await stored(broker) == ids(1, 10)


async def test_a_deleted_last_message_is_published_again() -> None:
    """The broker expects the id of a message that is gone; its number leads on."""
    journal = MemoryJournal()
    journal.add(3)
    async with ready() as (_, broker):
        await relay_of(broker, journal).run_once()
        await asyncio.sleep(0.12)  # the duplicate window
        await jetstream(broker).delete_msg(STREAM, 3)
        relay = relay_of(broker, journal)
        async with running(relay):
            await reach(relay, 3)

        assert await stored(broker) == ids(1, 3)


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


async def test_a_stream_ahead_stops_the_relay() -> None:
    """A journal restored from an older copy publishes nothing and says what to do."""
    journal = MemoryJournal()
    journal.add(5)
    async with ready() as (_, broker):
        await relay_of(broker, journal).run_once()
        del journal.rows[3:]
        relay = relay_of(broker, journal)

        assert await relay.run_once() == 0
        assert relay.state is RelayState.AHEAD
        assert "stream at row 5, journal at 3" in relay.reason
        assert "tiendo migrate --refill TIENDO_PROGRESS" in relay.reason
        assert len(await stored(broker)) == 5


async def test_a_fork_stops_the_relay() -> None:
    """An older copy that was written on differs from what was published: nothing more is sent."""
    journal = MemoryJournal()
    journal.add(5)
    async with ready() as (_, broker):
        await relay_of(broker, journal).run_once()
        del journal.rows[3:]
        journal.add(4, reason="written on")
        relay = relay_of(broker, journal)

        assert await relay.run_once() == 0
        assert relay.state is RelayState.FORKED
        assert "row 5 differs" in relay.reason
        assert await stored(broker) == ids(1, 5)


async def test_another_epoch_begins_at_its_first_row() -> None:
    """A new database is the truth from its first row, after what the old one left."""
    old, new = MemoryJournal(), MemoryJournal(OTHER_EPOCH)
    old.add(2)
    new.add(3)
    async with ready() as (_, broker):
        await relay_of(broker, old).run_once()

        assert await relay_of(broker, new).run_once() == 3
        assert await stored(broker) == ids(1, 2) + ids(1, 3, OTHER_EPOCH)


async def test_a_strangers_message_does_not_confuse_it() -> None:
    """Somebody else's message at the end of the stream is passed over."""
    journal = MemoryJournal()
    journal.add(2)
    async with ready() as (_, broker):
        await relay_of(broker, journal).run_once()
        await jetstream(broker).publish("tiendo.progress.v1.x", b'{"id":"stranger"}')
        journal.add(2)

        assert await relay_of(broker, journal).run_once() == 2
        assert await stored(broker) == [*ids(1, 2), "stranger", *ids(3, 4)]


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
            first = "NATS/1.0\r\nNats-Msg-Id: 00112233445566aa.1\r\nNats-Expected-Last-Sequence: 0\r\n\r\n"
            second = (
                "NATS/1.0\r\nNats-Msg-Id: 00112233445566aa.2\r\nNats-Expected-Last-Msg-Id: 00112233445566aa.1\r\n\r\n"
            )
            sizes = {1: limit - len(first), 2: limit - len(second) + 1}

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
