"""The broker's client is there again after whatever ended it, and the streams are as described."""

import asyncio
import time

import pytest
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, StorageType

from services.common.broker import Broker, BrokerAwayError, NoAnswerError
from services.common.stream_specs import StreamSpec, ensure_stream, stream_specs
from tests.support.nats import connected, jetstream, running_nats, until


async def down(broker: Broker) -> None:
    """Return when the loss was noticed."""
    await until(lambda: not broker.connected)


async def test_start_needs_no_broker() -> None:
    """A process starts, says what is missing, and ends in time with nobody there."""
    broker = Broker("nats://127.0.0.1:1", name="test", retry_seconds=(0.01, 0.05))
    broker.start()
    await until(lambda: "away" in broker.reason)

    assert not broker.connected
    with pytest.raises(BrokerAwayError):
        await broker.publish("x", b"")
    await asyncio.wait_for(broker.close(), 4)


async def test_it_connects_when_the_broker_comes() -> None:
    """The broker may start last."""
    async with running_nats() as server:
        server.stop()
        broker = Broker(server.url, name="test", retry_seconds=(0.01, 0.05))
        broker.start()
        await server.start()
        await asyncio.wait_for(broker.wait_connected(), 5)

        assert broker.reason == ""
        assert broker.server_version.startswith("2.")
        assert broker.max_payload == 1_048_576
        await broker.close()


async def test_subscriptions_and_listeners_survive_a_restart() -> None:
    """After kill -9 a subscriber gets messages again without doing anything, and is told of both turns."""
    async with running_nats() as server, connected(server) as broker:
        got: asyncio.Queue[bytes] = asyncio.Queue()
        turns: list[bool] = []
        broker.listen(turns.append)

        def take(message: Msg) -> None:
            got.put_nowait(message.data)

        subscription = await broker.subscribe("a.>", take)
        await broker.publish("a.b", b"1")
        first = await asyncio.wait_for(got.get(), 5)
        server.kill()
        await down(broker)
        await server.start()
        await asyncio.wait_for(broker.wait_connected(), 5)
        await broker.publish("a.b", b"2")
        second = await asyncio.wait_for(got.get(), 5)
        await subscription.close()
        await broker.publish("a.b", b"3")
        await broker.client().flush()

        assert (first, second) == (b"1", b"2")
        assert turns == [False, True]
        assert got.empty()


async def test_a_client_that_was_closed_for_good_is_remade() -> None:
    """An oversize message ends the library's client; ours is back by itself."""
    async with running_nats() as server, connected(server) as broker:
        await broker.publish("a", b"x" * 1_048_576, headers={"Too": "much"})
        await down(broker)
        await asyncio.wait_for(broker.wait_connected(), 5)
        await broker.publish("a", b"fits")

        assert broker.connected


async def test_an_old_server_is_refused() -> None:
    """A server below the floor is named with its version, and nothing is sent to it."""
    async with running_nats() as server:
        broker = Broker(server.url, name="test", minimum_version=(99, 1), retry_seconds=(0.01, 0.05))
        broker.start()
        await until(lambda: "too old" in broker.reason)
        connected_ever = broker.connected
        reason = broker.reason
        await broker.close()

        assert not connected_ever
        assert reason == f"nats-server {broker.server_version} is too old: install 99.1 or newer; trying again"


async def test_no_answer_is_not_no_broker() -> None:
    """A subject that nobody serves is told apart from a broker that is away."""
    async with running_nats() as server, connected(server) as broker:
        with pytest.raises(NoAnswerError):
            await broker.request("nobody", b"")

        server.kill()
        await down(broker)
        with pytest.raises(BrokerAwayError):
            await broker.request("nobody", b"")


async def test_close_is_bounded_with_a_frozen_broker() -> None:
    """A broker that stands still does not hold up the end of the process."""
    async with running_nats() as server, connected(server) as broker:
        server.freeze()
        await broker.publish("a", b"x" * 100_000)
        begun = time.monotonic()
        await broker.close()
        took_seconds = time.monotonic() - begun
        server.thaw()

        assert took_seconds < 4


async def test_streams_are_made_and_mended() -> None:
    """The first call makes a stream, the second changes nothing, another size changes it and keeps the rest."""
    spec = stream_specs()[0]
    async with running_nats() as server, connected(server) as broker:
        js = jetstream(broker)
        made = await ensure_stream(js, spec)
        present = await ensure_stream(js, spec)
        changed = await ensure_stream(js, StreamSpec(spec.name, spec.subjects, max_bytes=2 << 30))
        config = (await js.stream_info("TIENDO_CATALOG")).config

        assert (made, present, changed) == ("made", "present", "changed")
        assert config.subjects == ["tiendo.catalog.v1.>"]
        assert (config.storage, config.discard) == (StorageType.FILE, DiscardPolicy.OLD)
        assert (config.max_age, config.max_msgs, config.max_bytes) == (0, -1, 2 << 30)
        assert config.duplicate_window == pytest.approx(0.1)
        assert not config.deny_purge


def test_there_are_three_streams() -> None:
    """Names and subjects are the ones that others build on."""
    assert [(spec.name, spec.subjects) for spec in stream_specs()] == [
        ("TIENDO_CATALOG", ("tiendo.catalog.v1.>",)),
        ("TIENDO_INTEGRATION", ("tiendo.integration.v1.>",)),
        ("TIENDO_PROGRESS", ("tiendo.progress.v1.>",)),
    ]


async def test_a_request_is_cancelled_though_its_answer_comes_at_the_same_time() -> None:
    """Whoever cancels a task that asks the broker does not wait for it in vain, whatever the moment."""
    async with running_nats() as server, connected(server) as broker:

        async def answer(message: Msg) -> None:
            await message.respond(b"answer")

        await broker.client().subscribe("ask", cb=answer)
        await broker.request("ask", b"")
        went_on = False

        async def ask() -> None:
            nonlocal went_on
            await broker.request("ask", b"")
            went_on = True

        async def cancel(_: Msg) -> None:
            task.cancel()

        # The answer comes twice in one piece: for the one who asks, and for the one who cancels.
        await broker.client().subscribe("_INBOX.>", cb=cancel)
        await broker.client().flush()
        task = asyncio.create_task(ask())
        await asyncio.wait({task}, timeout=5)

        assert task.cancelled()
        assert not went_on
