"""A feed, and somebody who follows by it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from services.common.broker import Broker
from services.common.feed import Checkpoint, Feed
from services.common.journal import Row
from tests.support.journal import START, MemoryJournal
from tiendo.status.v1 import events_pb2

SUBJECT = "tiendo.progress.v1.>"


class Follower:
    """Keeps what was applied; can be told to wait or to fail."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.batches: list[int] = []
        self.most = 1_000_000
        self.failures = 0
        self.busy = False

    async def apply(self, rows: Sequence[Row]) -> Checkpoint:
        """Take rows up to sequence `most`."""
        assert not self.busy, "two calls at once"
        self.busy = True
        try:
            await asyncio.sleep(0)
            if self.failures:
                self.failures -= 1
                raise OSError("disk")
            self.batches.append(len(rows))
            self.rows += [row for row in rows if row.sequence <= self.most]
            return self.checkpoint
        finally:
            self.busy = False

    @property
    def checkpoint(self) -> Checkpoint:
        """Say how far it got."""
        return place(self.rows[-1]) if self.rows else Checkpoint()


def place(row: Row) -> Checkpoint:
    """Return the checkpoint at a row."""
    return Checkpoint(row.epoch, row.sequence, row.digest)


def feed_of(
    journal: MemoryJournal,
    follower: Follower,
    broker: Broker | None = None,
    *,
    checkpoint: Checkpoint | None = None,
    compare_seconds: float = 60.0,
) -> Feed:
    """Make a feed that compares seldom, so that a test sees what NATS alone does."""
    return Feed(
        source="status",
        broker=broker,
        subject=SUBJECT,
        event_type=events_pb2.ProgressEvent,
        list_events=journal.list_events,
        apply=follower.apply,
        checkpoint=checkpoint or Checkpoint(),
        compare_seconds=compare_seconds,
        remedy="Run: tiendo status rebuild",
        clock=lambda: START,
    )


@contextlib.asynccontextmanager
async def running(feed: Feed) -> AsyncIterator[None]:
    """Let the feed run in the background."""
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
