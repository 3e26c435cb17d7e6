"""Status's endpoints: unpack, answer or watch, pack.

Invariant: an answer comes from one state, and names the revisions that state is current through.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration

from services.common.call import Call
from services.common.dates import write_instant
from services.common.envelope import chunk, seal
from services.common.errors import Reason, Refusal
from services.common.feed import Checkpoint, Feed, FeedState
from services.common.listing import Order, Page, page, parse_order, query_hash
from services.common.resources import parse_name
from services.status import usecases, watch
from services.status.rpc.exports import Exports
from services.status.rpc.figures import DEFAULT_PAGE, MOST_A_PAGE, check_number
from services.status.storage import SOURCES, State
from services.status.watch import Filter, Watches
from tiendo.common.v1 import event_pb2
from tiendo.status.v1 import events_pb2, freshness_pb2
from tiendo.status.v1 import status_service_pb2 as pb

_EVERY = "programmes/-"
_STATES = {
    FeedState.CURRENT: freshness_pb2.FOLLOW_STATE_CURRENT,
    FeedState.CATCHING_UP: freshness_pb2.FOLLOW_STATE_CATCHING_UP,
    FeedState.UNREACHABLE: freshness_pb2.FOLLOW_STATE_UNREACHABLE,
    FeedState.HALTED: freshness_pb2.FOLLOW_STATE_HALTED,
}


class Rpc(Exports):
    """tiendo.status.v1.StatusService."""

    watches: Watches
    feeds: Mapping[str, Feed]
    """Set by the composition root."""

    async def list_progress_events(self, request: pb.ListProgressEventsRequest, call: Call) -> bytes:
        """Give the progress journal in pages."""
        state = await self.read(request.at_least, call)
        place = await self.watches.position(request.after) if request.after else None
        state = self.live.current if place is not None else state
        wanted = self._filter(state, request)
        order: Order[int] = parse_order(
            request.order_by, {"sequence": lambda number: number}, lambda number: number, "sequence"
        )
        after = state.first_sequence - 1 if place is None else place
        epoch, head = state.head.epoch, state.head.sequence
        numbers = range(head, after, -1) if order.descending[0] else range(after + 1, head + 1)
        same = query_hash("progress", repr(wanted), order.text, request.after, epoch)

        def cut(keys: Sequence[Any], page_token: str, size_of: Callable[[int], int] | None = None) -> Page:
            return page(
                keys,
                page_size=request.page_size,
                page_token=page_token,
                query_hash=same,
                default_size=DEFAULT_PAGE,
                max_size=MOST_A_PAGE,
                descending=order.descending,
                size_of=size_of,
            )

        begin = cut(_Keys(order, numbers), request.page_token)
        found = await asyncio.to_thread(
            usecases.find_progress,
            self.engine,
            epoch,
            numbers[begin.start :],
            lambda payload: wanted.matches(watch.read_event(payload)),
            # One more tells whether another page follows.
            min(request.page_size or DEFAULT_PAGE, MOST_A_PAGE) + 1,
        )
        shown = cut([order.key(row.sequence) for row in found], "", lambda index: len(found[index].payload))
        rest = pb.ListProgressEventsResponse(
            next_page_token=shown.next_page_token,
            revisions=self.revisions(state),
            watch_token=watch.token_of(epoch, head),
        )
        events = b"".join(chunk(1, seal(row.payload, row.digest)) for row in found[: shown.stop])
        return events + rest.SerializeToString()

    async def watch_progress(self, request: pb.WatchProgressRequest, call: Call) -> AsyncIterator[bytes]:  # noqa: ARG002
        """Progress as it happens."""
        if request.after and request.start:
            raise Refusal(Reason.INVALID_VALUE, "excludes `after`; give one of the two", field="start")
        if request.start not in pb.WatchStart.values():
            raise Refusal(
                Reason.UNKNOWN_VALUE,
                f"{request.start} is not known to this version",
                field="start",
                metadata={"value": str(request.start)},
            )
        # A token may be ahead of this replica; only once it has caught up does it know what the filter names.
        place = await self.watches.position(request.after) if request.after else None
        state = self.live.current
        wanted = self._filter(state, request)
        if place is not None:
            after = place
        elif request.start == pb.WATCH_START_BEGINNING:
            after = state.first_sequence - 1
        else:
            after = state.head.sequence
        async for message in self.watches.follow(after, wanted):
            yield message

    async def get_freshness(self, request: pb.GetFreshnessRequest, call: Call) -> pb.GetFreshnessResponse:  # noqa: ARG002
        """How far each source was followed."""
        state = self.live.current
        return pb.GetFreshnessResponse(
            sources=[self._freshness(state, source) for source in SOURCES],
            progress=event_pb2.JournalHead(
                epoch=state.head.epoch,
                sequence=state.head.sequence,
                digest=state.head.digest,
            ),
            watchers=self.watches.open,
        )

    def _freshness(self, state: State, source: str) -> freshness_pb2.SourceFreshness:
        feed = self.feeds[source]
        message = freshness_pb2.SourceFreshness(
            source=source,
            state=_STATES[feed.state],
            checkpoint=_head(feed.checkpoint),
            head=_head(feed.head or Checkpoint()),
            lag_rows=feed.lag_rows,
            dead_letters=state.dead_letters.get(source, 0),
            reason=feed.reason if feed.state in {FeedState.HALTED, FeedState.UNREACHABLE} else "",
        )
        if feed.behind_since is not None:
            lag = Duration()
            lag.FromTimedelta(self.clock() - feed.behind_since)
            message.lag.CopyFrom(lag)
        else:
            message.lag.CopyFrom(Duration())
        if feed.heard_time is not None:
            write_instant(message.heard_time, feed.heard_time)
        return message

    def _filter(self, state: State, request: Any) -> Filter:
        programme = ""
        if request.programme != _EVERY:
            programme = parse_name(request.programme, "programmes", "programme", default=self.default_programme)
            state.model.programme(programme)
        check_number(request.kinds)
        for index, kind in enumerate(request.kinds):
            if kind == 0 or kind not in events_pb2.ProgressEventKind.values():
                raise Refusal(
                    Reason.UNKNOWN_VALUE,
                    f"{kind} is not known to this version",
                    field=f"kinds[{index}]",
                    metadata={"value": str(kind)},
                )
        service = ""
        if request.service:
            service = _service(state, parse_name(request.service, "services", "service"), request.service)
        return Filter(programme, service, frozenset(request.kinds))


class _Keys(Sequence[Any]):
    """Sort keys of sequence numbers, made when looked at."""

    def __init__(self, order: Order[int], numbers: range) -> None:
        self._order, self._numbers = order, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        return self._order.key(self._numbers[index])


def _service(state: State, name: str, asked: str) -> str:
    if name in state.model.services:
        return name
    if name not in state.aliases:
        raise Refusal(
            Reason.SERVICE_NOT_FOUND,
            f"there is no {asked}",
            field="service",
            metadata={"name": asked},
        )
    return state.aliases[name]


def _head(place: Checkpoint) -> event_pb2.JournalHead:
    return event_pb2.JournalHead(epoch=place.epoch, sequence=place.sequence, digest=place.digest)
