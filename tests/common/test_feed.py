"""The feed: rows come once, in order and unchanged, and a source that contradicts itself stops it."""

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from services.common.broker import Broker
from services.common.envelope import open_cloud_event
from services.common.feed import Checkpoint, Feed, FeedState, PeerUnavailableError
from services.common.journal import Row, digest_of
from tests.support.following import Follower, feed_of, place, running
from tests.support.journal import ACTOR, EPOCH, OTHER_EPOCH, START, MemoryJournal, body_of, event_of
from tests.support.nats import connected, running_nats, until
from tiendo.status.v1 import events_pb2

ONE_SUBJECT = "tiendo.progress.v1.bca-2022.service_integrated.bca-012"


@contextlib.asynccontextmanager
async def following(journal: MemoryJournal, follower: Follower) -> AsyncIterator[tuple[Feed, Broker]]:
    """Run a feed on a real broker, its first comparison done."""
    async with running_nats() as server, connected(server) as broker:
        feed = feed_of(journal, follower, broker)
        async with running(feed):
            await until(lambda: feed.state is FeedState.CURRENT)
            await broker.client().flush()
            journal.asked.clear()
            yield feed, broker


async def send(broker: Broker, *bodies: bytes) -> None:
    """Publish as the relay does, but whatever is wanted."""
    for body in bodies:
        await broker.publish(ONE_SUBJECT, body)


async def test_the_next_rows_come_through_nats_alone() -> None:
    """In the usual case nothing is asked of the source, and names arrive whole."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(2)
    async with following(journal, follower) as (feed, broker):
        rows = journal.add(30)
        await send(broker, *map(body_of, rows))
        await until(lambda: feed.checkpoint.sequence == 32)

        assert follower.rows == journal.rows
        assert not journal.asked.is_set()
        assert event_of(follower.rows[-1]).actor == ACTOR
        assert (feed.state, feed.reason, feed.lag_rows) == (FeedState.CURRENT, "", 0)
        assert (feed.head, feed.heard_time, feed.behind_since) == (place(journal.rows[-1]), START, None)
        assert len(follower.batches) < 32


async def test_a_gap_is_read_from_the_source() -> None:
    """A message that was lost shows at the next one, and nothing is skipped."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(1)
    async with following(journal, follower) as (feed, broker):
        rows = journal.add(3)
        await send(broker, body_of(rows[0]), body_of(rows[2]))
        await until(lambda: feed.checkpoint.sequence == 4)

        assert follower.rows == journal.rows
        assert journal.asked.is_set()


async def test_repeats_are_dropped() -> None:
    """A row that comes again, late or at once, has no effect."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(1)
    async with following(journal, follower) as (feed, broker):
        first, second = journal.add(2)
        bodies = [body_of(row) for row in (first, first, journal.rows[0], second, first, second)]
        await send(broker, *bodies)
        await until(lambda: feed.checkpoint.sequence == 3)

        assert follower.rows == journal.rows
        assert not journal.asked.is_set()


@pytest.mark.parametrize(
    "harm",
    [
        lambda body: body.replace(b"bca-012", b"bca-013"),
        lambda body: body[:-20],
        lambda _: b"\xff",
        lambda body: body.replace(EPOCH.encode(), OTHER_EPOCH.encode()),
        lambda body: json.dumps({**json.loads(body), "data": []}).encode(),
    ],
)
async def test_a_tampered_message_is_replaced_by_the_source(harm: Callable[[bytes], bytes]) -> None:
    """What can't prove itself is read where the truth is; a message never stops the feed."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(1)
    async with following(journal, follower) as (feed, broker):
        row = journal.add()[0]
        await send(broker, harm(body_of(row)))
        await until(lambda: feed.checkpoint.sequence == 2)

        assert follower.rows == journal.rows
        assert feed.state is FeedState.CURRENT


async def test_a_lost_last_message_is_found_by_comparing() -> None:
    """The last row leaves no gap; the comparison brings it."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(1)
    async with running_nats() as server, connected(server) as broker:
        feed = feed_of(journal, follower, broker, compare_seconds=0.05)
        async with running(feed):
            await until(lambda: feed.checkpoint.sequence == 1)
            journal.add(1)
            await until(lambda: feed.checkpoint.sequence == 2)

    assert follower.rows == journal.rows


async def test_a_reconnect_compares_at_once() -> None:
    """What was published while the broker was away is read on its return, before the next interval."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(1)
    async with running_nats() as server, connected(server) as broker:
        feed = feed_of(journal, follower, broker)
        async with running(feed):
            await until(lambda: feed.checkpoint.sequence == 1)
            server.kill()
            await until(lambda: not broker.connected)
            journal.add(3)
            await server.start()
            await until(lambda: feed.checkpoint.sequence == 4)

    assert follower.rows == journal.rows


async def test_without_a_broker_comparing_is_enough() -> None:
    """With the broker away rows come all the same, later; pages follow each other to the head."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(1200)
    broker = Broker("nats://127.0.0.1:1", name="test")
    broker.start()
    feed = feed_of(journal, follower, broker, compare_seconds=0.02)
    async with running(feed):
        await until(lambda: feed.checkpoint.sequence == 1200)
        journal.add(5)
        await until(lambda: feed.checkpoint.sequence == 1205)
    await broker.close()

    assert follower.rows == journal.rows
    assert feed.state is FeedState.CURRENT


async def test_catch_up_needs_no_run() -> None:
    """A reader that must be current asks for the head and gets up to it."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(3)
    feed = feed_of(journal, follower)

    assert await feed.catch_up(5) == place(journal.rows[-1])
    assert follower.rows == journal.rows


async def test_it_continues_from_its_checkpoint() -> None:
    """A restart applies what follows, and nothing again."""
    journal, follower = MemoryJournal(), Follower()
    rows = journal.add(5)
    follower.rows = rows[:2]
    feed = feed_of(journal, follower, checkpoint=place(rows[1]))
    await feed.catch_up(5)

    assert follower.rows == journal.rows
    assert follower.batches == [3]


async def test_an_unreachable_source_is_tried_again() -> None:
    """A source that is away is not an error; the feed says so and goes on when it is back."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(2)
    feed = feed_of(journal, follower, compare_seconds=0.05)
    answer = journal.list_events

    async def away(_after: int, _epoch: str, _size: int) -> bytes:
        raise PeerUnavailableError("status does not answer")

    feed._list_events = away
    async with running(feed):
        await until(lambda: feed.state is FeedState.UNREACHABLE)
        reason = feed.reason
        with pytest.raises(PeerUnavailableError):
            await feed.catch_up(5)
        feed._list_events = answer
        await until(lambda: feed.state is FeedState.CURRENT)

    assert reason == "status does not answer; trying again"
    assert follower.rows == journal.rows


async def test_a_garbled_answer_is_tried_again() -> None:
    """An answer that is no message is not believed and does not end the feed."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(1)
    feed = feed_of(journal, follower)
    answer = journal.list_events

    async def garbled(after: int, epoch: str, size: int) -> bytes:
        return (await answer(after, epoch, size))[:-5]

    feed._list_events = garbled
    with pytest.raises(PeerUnavailableError):
        await feed.catch_up(5)
    feed._list_events = answer
    await feed.catch_up(5)

    assert follower.rows == journal.rows


async def test_what_must_wait_is_kept() -> None:
    """Rows that apply does not take yet are offered again on a poke, in order."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(5)
    follower.most = 3
    feed = feed_of(journal, follower)
    async with running(feed):
        await until(lambda: feed.checkpoint.sequence == 3)
        behind = (feed.state, feed.lag_rows, feed.behind_since)
        follower.most = 100
        feed.poke()
        await until(lambda: feed.state is FeedState.CURRENT)

    assert behind == (FeedState.CATCHING_UP, 2, START)
    assert follower.rows == journal.rows


async def test_what_another_replica_did_is_skipped() -> None:
    """A checkpoint further on than the rows given is believed."""
    journal, follower = MemoryJournal(), Follower()
    rows = journal.add(4)
    seen: list[int] = []

    async def apply(given: Sequence[Row]) -> Checkpoint:
        seen.extend(row.sequence for row in given)
        return place(rows[3])

    feed = feed_of(journal, follower)
    feed._apply = apply
    del journal.rows[2:]
    await feed.catch_up(5)
    journal.rows += rows[2:]
    await feed.catch_up(5)

    assert seen == [1, 2]
    assert feed.checkpoint == place(rows[3])


async def test_a_failing_apply_is_tried_again() -> None:
    """A database that is away for a moment loses nothing, and the reason tells no internals."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(2)
    follower.failures = 2
    feed = feed_of(journal, follower)
    async with running(feed):
        await until(lambda: "applied" in feed.reason)
        reason, state = feed.reason, feed.state
        await until(lambda: feed.state is FeedState.CURRENT)

    assert reason == "row 1 of status can't be applied (OSError); see the log; trying again"
    assert state is FeedState.CATCHING_UP
    assert follower.rows == journal.rows


async def test_a_row_whose_content_is_unreadable_is_handed_over() -> None:
    """The chain is checked without the content, so that one bad payload can go to the dead letters."""
    journal, follower = MemoryJournal(), Follower()
    first = journal.add()[0]
    good = journal.add()[0]
    payload = good.payload + b"\x2a\x02\xff\xfe"  # the actor, not UTF-8
    journal.rows[1] = Row(EPOCH, 2, digest_of(payload), payload)
    feed = feed_of(journal, follower)
    await feed.catch_up(5)

    assert follower.rows == [first, journal.rows[1]]
    assert open_cloud_event(body_of(good), events_pb2.ProgressEvent) == good
