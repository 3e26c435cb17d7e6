"""A stream that is cut, lost, written to by others or another's: the relay mends it, or stops and says so."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from services.common.broker import Broker
from services.common.relay import Relay
from services.common.stream import RelayState
from services.common.stream_specs import ensure_stream, stream_specs
from tests.support.journal import EPOCH, OTHER_EPOCH, MemoryJournal
from tests.support.nats import connected, jetstream, running_nats, until
from tests.support.relaying import SPEC, STREAM, ids, reach, ready, relay_of, running, stored


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


async def test_a_strangers_message_between_rows_in_flight_leaves_no_hole() -> None:
    """Somebody's message takes the number meant for a row, and the rows behind it are taken: all are put in order again."""
    journal = MemoryJournal()
    async with ready() as (server, broker), connected(server) as other:
        publish, disturbances = broker.publish, [f"{EPOCH}.20"]

        async def disturbed(subject: str, body: bytes, **options: Any) -> None:
            if options["headers"]["Nats-Msg-Id"] in disturbances:
                disturbances.clear()
                await jetstream(other).publish("tiendo.progress.v1.x", b'{"id":"stranger"}')
            await publish(subject, body, **options)

        broker.publish = disturbed  # type: ignore[method-assign]
        relay = relay_of(broker, journal)
        async with running(relay):
            await reach(relay, 0)
            journal.add(40)
            relay.wake()
            await reach(relay, 40)
            await until(looked(relay, 3))
            await reach(relay, 40)

        assert await stored(broker) == ids(1, 40)
