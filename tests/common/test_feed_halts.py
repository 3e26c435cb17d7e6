"""A feed whose source contradicts what is held stops and says so, and never guesses."""

import pytest

from services.common.envelope import join_events, seal
from services.common.feed import Checkpoint, EpochChangedError, Feed, FeedHaltedError, FeedState
from services.common.journal import Row
from tests.support.following import Follower, feed_of, place, running
from tests.support.journal import EPOCH, OTHER_EPOCH, MemoryJournal
from tests.support.nats import until
from tiendo.common.v1 import event_pb2


async def halted(feed: Feed, follower: Follower, *, applied: int) -> str:
    """Return the reason of the halt, after which nothing is applied any more."""
    with pytest.raises(FeedHaltedError):
        await feed.catch_up(5)
    with pytest.raises(FeedHaltedError):
        await feed.catch_up(5)
    assert feed.state is FeedState.HALTED
    assert len(follower.rows) == applied
    assert feed.reason.endswith("Nothing more is applied. Run: tiendo status rebuild")
    return feed.reason


async def test_a_new_epoch_halts() -> None:
    """Another database is never followed on."""
    follower, old, new = Follower(), MemoryJournal(), MemoryJournal(OTHER_EPOCH)
    old.add(2)
    new.add(5)
    feed = feed_of(new, follower, checkpoint=place(old.rows[-1]))

    assert "new journal" in await halted(feed, follower, applied=0)


async def test_a_source_that_refuses_our_epoch_halts() -> None:
    """The same, said by the source itself."""
    journal, follower = MemoryJournal(), Follower()

    async def refuses(_after: int, _epoch: str, _size: int) -> bytes:
        raise EpochChangedError

    feed = feed_of(journal, follower)
    feed._list_events = refuses

    assert "new journal" in await halted(feed, follower, applied=0)


async def test_a_shorter_source_halts() -> None:
    """A database restored from an older copy lacks rows that were applied."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(5)
    feed = feed_of(journal, follower)
    await feed.catch_up(5)
    del journal.rows[3:]

    assert "ends at row 3, row 5 was already taken" in await halted(feed, follower, applied=5)


async def test_another_row_with_the_same_number_halts() -> None:
    """Restored from an older copy and written on to exactly the same length."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(5)
    feed = feed_of(journal, follower)
    await feed.catch_up(5)
    del journal.rows[3:]
    journal.add(2, reason="written on")

    assert "row 5 is not the one that was taken" in await halted(feed, follower, applied=5)


async def test_a_row_that_does_not_follow_halts() -> None:
    """Restored from an older copy and written on beyond the checkpoint."""
    journal, follower = MemoryJournal(), Follower()
    journal.add(5)
    feed = feed_of(journal, follower)
    await feed.catch_up(5)
    del journal.rows[3:]
    journal.add(4, reason="written on")

    assert "row 6 does not follow" in await halted(feed, follower, applied=5)


async def test_a_changed_row_halts() -> None:
    """A stored row whose bytes are not those of its digest was tampered with."""
    journal, follower = MemoryJournal(), Follower()
    rows = journal.add(3)
    feed = feed_of(journal, follower)
    await feed.catch_up(5)
    rows = journal.add(2)
    journal.rows[-1] = Row(EPOCH, 5, rows[1].digest, rows[1].payload.replace(b"bca-012", b"bca-013"))

    assert "row 5 does not have the digest it names" in await halted(feed, follower, applied=3)


async def test_a_missing_row_halts() -> None:
    """A journal with a hole is no journal."""
    journal, follower = MemoryJournal(), Follower()
    rows = journal.add(3)
    head = event_pb2.JournalHead(epoch=EPOCH, sequence=3, digest=rows[2].digest).SerializeToString()

    async def lacks_two(_after: int, _epoch: str, _size: int) -> bytes:
        return join_events([seal(row.payload, row.digest) for row in (rows[0], rows[2])], head)

    feed = feed_of(journal, follower)
    feed._list_events = lacks_two

    assert "no row 2" in await halted(feed, follower, applied=0)


async def test_a_reset_ends_a_halt() -> None:
    """After a rebuild the feed follows the new journal from the start."""
    follower, old, new = Follower(), MemoryJournal(), MemoryJournal(OTHER_EPOCH)
    old.add(2)
    new.add(3)
    feed = feed_of(new, follower, checkpoint=place(old.rows[-1]))
    async with running(feed):
        await until(lambda: feed.state is FeedState.HALTED)
        feed.reset(Checkpoint())
        await until(lambda: feed.state is FeedState.CURRENT)

    assert follower.rows == new.rows
