"""What the endpoints of all services do alike: wait for revisions, run commands once, hand out the journal.

Invariant: a command with a request_id has one effect and one reply, whatever else the request repeats; a list of events never
shows a row before its commit and never leaves one out.
"""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import Engine

from services.common.call import Call
from services.common.db import read_transaction
from services.common.envelope import join_events, seal
from services.common.errors import Reason, Refusal
from services.common.journal import Head, Journal, Row
from services.common.listing import fitting
from services.common.log import requested
from services.common.resources import Revision, check_request_id
from services.common.snapshot import Live, Reached, State
from services.common.work import Work
from services.common.writer import Writer, repeated
from tiendo.common.v1 import event_pb2

_DEFAULT_EVENTS = 500
_MOST_EVENTS = 1000

S = TypeVar("S", bound=State)
W = TypeVar("W", bound=Work[Any])


def content_hash(method: str, request: Message, attached: str = "") -> str:
    """Hash what a request asks for, 64 hexadecimal digits: its method and fields, but not request_id and at_least.

    `attached` is the digest of what came beside it.
    """
    content = type(request)()
    content.CopyFrom(request)
    for name in ("request_id", "at_least"):
        content.ClearField(name)
    told = content.SerializeToString(deterministic=True)
    return hashlib.sha256(method.encode() + b"\0" + told + attached.encode()).hexdigest()


def checked_instant(timestamp: Timestamp, field: str) -> datetime:
    """Give a timestamp as an aware instant in UTC. Raises Refusal INVALID_TIME outside years 1 to 9999."""
    try:
        if not 0 <= timestamp.nanos < 1_000_000_000:
            raise ValueError(timestamp.nanos)
        return timestamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Refusal(
            Reason.INVALID_TIME,
            "is no instant of the years 1 to 9999, or has nanoseconds outside a second",
            field=field,
        ) from None


class Endpoint(Generic[S, W]):
    """Base of a service's RPCs."""

    def __init__(
        self,
        live: Live[S],
        writer: Writer[S, W],
        reached: Reached,
        *,
        engine: Engine,
        journal: Journal,
        journal_name: str,
        clock: Callable[[], datetime],
        default_programme: str,
    ) -> None:
        self.live = live
        self.writer = writer
        self.reached = reached
        self.engine = engine
        self.journal = journal
        self.journal_name = journal_name
        self.clock = clock
        self.default_programme = default_programme

    async def read(self, at_least: Any, call: Call) -> S:
        """Give the present state, once it includes every revision of `at_least`. Refusals as for `Reached.wait`."""
        if at_least:
            await self.reached.wait(at_least, call.wait_seconds())
        return self.live.current

    def revisions(self, state: S) -> list[str]:
        """Give the revisions that a state is current through."""
        return [self.revision_of(state.head)]

    def revision_of(self, place: Row | Head) -> str:
        """Give the revision of a row or head of the own journal."""
        return Revision(self.journal_name, place.epoch, place.sequence).encode()

    async def command(self, request: Any, call: Call, decide: Callable[[W], bytes], *, attached: str = "") -> bytes:
        """Run a command in the writer and give its reply's bytes: the ones kept, when its request_id was answered before.

        `request` has request_id and at_least, `attached` is the digest of what came beside it; `decide` refuses or gives the
        reply. Refusals: INVALID_REQUEST_ID, those of `Reached.wait` and `Writer.run`, and its own.
        """
        request_id = check_request_id(request.request_id)
        requested.set(request_id)
        if request.at_least:
            await self.reached.wait(request.at_least, call.wait_seconds())
        content = content_hash(call.method, request, attached) if request_id else ""

        reply: bytes = await self.writer.run(decide, request_id=request_id, content=content)
        return reply

    async def answered(self, request: Any, call: Call) -> bytes | None:
        """Give the reply that a command's request_id got before, if any, for one that works before it calls `command`.

        Refusals: INVALID_REQUEST_ID, REQUEST_ID_REUSED.
        """
        request_id = check_request_id(request.request_id)
        kept = await asyncio.to_thread(self._read_reply, request_id) if request_id else None
        return kept and repeated(request_id, content_hash(call.method, request), kept)

    def _read_reply(self, request_id: str) -> tuple[str, bytes] | None:
        with read_transaction(self.engine) as connection:
            return self.journal.requests(connection, {request_id}).get(request_id)

    async def list_events(self, request: Any, call: Call) -> bytes:  # noqa: ARG002 (every handler takes the call)
        """Answer ListEvents with the very bytes that are stored."""
        if request.after_sequence < 0:
            raise Refusal(
                Reason.INVALID_VALUE,
                "is below 0; give the last sequence you have, or 0",
                field="after_sequence",
            )
        if request.page_size < 0:
            raise Refusal(
                Reason.INVALID_PAGE_SIZE,
                f"{request.page_size} is below 0; give 1 to {_MOST_EVENTS}, or 0 for {_DEFAULT_EVENTS}",
                field="page_size",
                metadata={"value": str(request.page_size)},
            )
        limit = min(request.page_size or _DEFAULT_EVENTS, _MOST_EVENTS)
        shown = self.live.current.head
        recent = (
            self.live.tail.after(request.after_sequence, limit) if request.after_sequence <= shown.sequence else None
        )
        # Another replica may have committed more than this one shows yet, and followers rely on the head.
        known = None if recent is None else shown
        head, rows = await asyncio.to_thread(self._read_rows, request.after_sequence, limit, known)
        if recent is not None and head == known:
            sealed = [row.sealed for row in recent]
        else:
            sealed = [seal(row.payload, row.digest) for row in rows]
        if request.epoch and request.epoch != head.epoch:
            raise Refusal(
                Reason.EPOCH_CHANGED,
                "the journal was replaced; begin again at sequence 0 without an epoch",
                field="epoch",
                metadata={"journal": self.journal_name, "epoch": head.epoch},
            )
        message = event_pb2.JournalHead(epoch=head.epoch, sequence=head.sequence, digest=head.digest)
        return join_events(sealed[: fitting(map(len, sealed))], message.SerializeToString())

    def _read_rows(self, after: int, limit: int, known: Head | None) -> tuple[Head, list[Row]]:
        """Give the newest row, and the rows after a sequence; none of these where the newest is `known`."""
        with read_transaction(self.engine) as connection:
            head = self.journal.read_head(connection)
            return head, [] if head == known else self.journal.read(connection, after, limit)
