"""What every service measures of itself: its journal, writer, relay, feeds, database pool and event loop.

Invariant: each value is read from what the part keeps anyway, in the reader's thread and without a lock, so it costs the part
nothing and may be a moment old.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from services.common import metrics as names
from services.common.broker import Broker
from services.common.feed import Feed, FeedState
from services.common.metrics import Metrics
from services.common.relay import Relay
from services.common.snapshot import Live
from services.common.stream import RelayState
from services.common.writer import Writer

_TICK_SECONDS = 0.25
_WINDOW_SECONDS = 30.0

Active = Mapping[str, Callable[[], bool]]
"""By role, relay or projector, whether this replica has it now."""
Points = Iterator[tuple[float, Mapping[str, str]]]


class LoopLag:
    """How late the event loop came to what was due: the worst of this half minute and the one before."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = self._window_end = float("inf")
        self._worst = self._worst_before = 0.0

    async def run(self) -> None:
        """Look four times a second, until cancelled."""
        while True:
            self._due = self._clock() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            self.note()

    def note(self) -> None:
        """Take the time at which something due now was come to."""
        now = self._clock()
        if now >= self._window_end:
            self._worst_before, self._worst = self._worst, 0.0
        if now >= self._window_end or self._window_end == float("inf"):
            self._window_end = now + _WINDOW_SECONDS
        self._worst = max(self._worst, now - self._due)

    def seconds(self) -> float:
        """Give the worst, a hold-up that still lasts included; from any thread."""
        return max(self._worst, self._worst_before, self._clock() - self._due, 0.0)


def observe_process(metrics: Metrics, lag: LoopLag, engine: Engine, pool: str, broker: Broker, active: Active) -> None:
    """Measure what has to do with the process rather than its data."""
    metrics.observe(names.LOOP_LAG, lambda: [(lag.seconds(), {})])
    metrics.observe(names.BROKER_CONNECTED, lambda: [(broker.connected, {})])
    metrics.observe(names.ACTIVE, lambda: [(has_it(), {"role": role}) for role, has_it in active.items()])
    label, state = "db.client.connection.pool.name", "db.client.connection.state"
    connections = engine.pool
    if isinstance(connections, QueuePool):
        most = connections.size() + max(connections._max_overflow, 0)  # noqa: SLF001 (SQLAlchemy tells it nowhere else)
        metrics.observe(names.POOL_MAX, lambda: [(most, {label: pool})])
        metrics.observe(
            names.POOL_COUNT,
            lambda: [
                (connections.checkedout(), {label: pool, state: "used"}),
                (connections.checkedin(), {label: pool, state: "idle"}),
            ],
        )


def observe_journal(
    metrics: Metrics, journal: str, live: Live[Any], writer: Writer[Any, Any], relay: Relay, active: Active
) -> None:
    """Measure the way of a row: from the writer over the journal to the broker."""
    stream = {"stream": relay.stream}

    def unpublished() -> Points:
        if active["relay"]() and relay.located:
            yield max(0, live.current.head.sequence - relay.published), stream

    def success_age() -> Points:
        if active["relay"]():
            yield relay.success_age_seconds(), stream

    metrics.observe(names.JOURNAL_HEAD, lambda: [(live.current.head.sequence, {"journal": journal})])
    metrics.observe(names.WRITER_WAITING, lambda: [(writer.waiting, {})])
    metrics.observe(names.RELAY_PUBLISHED, lambda: [(relay.confirmed, stream)])
    metrics.observe(names.RELAY_UNPUBLISHED, unpublished)
    metrics.observe(names.RELAY_SUCCESS_AGE, success_age)
    metrics.observe(
        names.RELAY_STATE,
        lambda: [(state is relay.state, {**stream, "state": state.name.lower()}) for state in RelayState],
    )


def observe_feeds(metrics: Metrics, feeds: Sequence[Feed], active: Active, clock: Callable[[], datetime]) -> None:
    """Measure how far each source is followed."""
    if not feeds:
        return
    begun = clock()

    def each(read: Callable[[Feed], float]) -> names.Read:
        return lambda: [(read(feed), {"source": feed.source}) for feed in feeds if active["projector"]()]

    def lag_seconds(feed: Feed) -> float:
        since = feed.behind_since
        return (clock() - since).total_seconds() if since else 0.0

    metrics.observe(names.FEED_LAG_ROWS, each(lambda feed: feed.lag_rows))
    metrics.observe(names.FEED_LAG, each(lag_seconds))
    metrics.observe(names.FEED_HEARD_AGE, each(lambda feed: (clock() - (feed.heard_time or begun)).total_seconds()))
    metrics.observe(
        names.FEED_STATE,
        lambda: [
            (state is feed.state, {"source": feed.source, "state": state.name.lower()})
            for feed in feeds
            for state in FeedState
            if active["projector"]()
        ],
    )
