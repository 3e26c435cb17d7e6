"""The journal: every change as one serialized event, numbered without gaps in commit order and chained by digest.

Invariant: rows are appended only by a transaction that holds the head row's lock, so sequence, commit order and recorded
time agree, and each row names the digest of the one before it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from services.common.dates import write_instant
from services.common.db import Sequence64, UtcDateTime, steps
from services.common.errors import Reason, Refusal
from services.common.lease import LeaseTable

# A stored event stays far below the broker's 1 MiB payload even when its JSON needs several bytes for each of its own.
MAX_EVENT_BYTES = 128 * 1024
_ROWS_A_STEP = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """One stored event. `payload` is its bytes without the digest field; `digest` their SHA-256 in hexadecimal."""

    epoch: str
    sequence: int
    digest: str
    payload: bytes

    @property
    def event_id(self) -> str:
        """The event's id everywhere: `<epoch>.<sequence>`."""
        return f"{self.epoch}.{self.sequence}"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest row of a journal; sequence 0 and an empty digest while it has none."""

    epoch: str
    sequence: int
    digest: str
    recorded_time: datetime

    def is_at(self, other: "Head") -> bool:
        """Whether both are the same row of one journal."""
        return (self.epoch, self.sequence) == (other.epoch, other.sequence)


class Event(Protocol):
    """The fields with which every journal's event message begins, and the digest with which it ends."""

    epoch: str
    sequence: int
    previous_digest: str
    actor: str
    request_id: str
    traceparent: str
    digest: str

    @property
    def recorded_time(self) -> Timestamp:
        """When it was recorded, UTC."""


def digest_of(payload: bytes) -> str:
    """SHA-256 of stored bytes, 64 hexadecimal digits."""
    return hashlib.sha256(payload).hexdigest()


def stamp(event: Event, head: Head, recorded_time: datetime) -> tuple[Row, Head]:
    """Number, date and chain an event after `head`; give the row to store and the head after it.

    Raises Refusal EVENT_TOO_LARGE when the broker could not carry it.
    """
    event.epoch, event.sequence, event.previous_digest = head.epoch, head.sequence + 1, head.digest
    write_instant(event.recorded_time, recorded_time)
    event.digest = ""
    payload = cast("Message", event).SerializeToString(deterministic=True)
    if len(payload) > MAX_EVENT_BYTES:
        raise Refusal(
            Reason.EVENT_TOO_LARGE,
            f"the change would make an event of {len(payload)} bytes; at most {MAX_EVENT_BYTES} can be published: shorten it",
            metadata={"limit": str(MAX_EVENT_BYTES), "size": str(len(payload))},
        )
    row = Row(head.epoch, head.sequence + 1, digest_of(payload), payload)
    return row, Head(row.epoch, row.sequence, row.digest, recorded_time)


class Journal:
    """The journal's tables in one service's schema, its lease among them, and every statement on them."""

    def __init__(self, metadata: MetaData, *, whole: bool = True, tokens_of: type[Event] | None = None) -> None:
        """`whole`: its first rows are never trimmed away.

        `tokens_of`: its events' message, where those who read it hold tokens and not digests. They cannot tell that an older
        copy was put back and written on, so a copy begins another epoch. Followers can tell, and halt: their journals'
        copies keep the epoch.
        """
        self.metadata, self.whole, self.tokens_of = metadata, whole, tokens_of
        self._head = Table(
            "journal_head",
            metadata,
            Column("id", Sequence64, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
            Column("epoch", String(64), nullable=False),
            Column("sequence", Sequence64, nullable=False),
            Column("digest", String(64), nullable=False),
            Column("recorded_time", UtcDateTime(), nullable=False),
        )
        self._rows = Table(
            "journal",
            metadata,
            Column("sequence", Sequence64, primary_key=True, autoincrement=False),
            Column("digest", String(64), nullable=False),
            Column("payload", LargeBinary, nullable=False),
            Column("cause", String(300), nullable=True, unique=True),
        )
        self.lease = LeaseTable(metadata)
        self._requests = Table(
            "request",
            metadata,
            Column("request_id", String(128), primary_key=True),
            Column("content", String(64), nullable=False),
            Column("reply", LargeBinary, nullable=False),
        )
        # Made once: building a statement costs three times as much as running it.
        head, rows, requests = self._head.c, self._rows.c, self._requests.c
        self._select_head = select(head.epoch, head.sequence, head.digest, head.recorded_time)
        self._select_head_locked = self._select_head.with_for_update()
        self._move_head = update(self._head).values(
            sequence=bindparam("sequence"), digest=bindparam("digest"), recorded_time=bindparam("recorded_time")
        )
        self._insert_rows = insert(self._rows)
        self._select_rows = (
            select(rows.sequence, rows.digest, rows.payload)
            .where(rows.sequence > bindparam("after"))
            .order_by(rows.sequence)
            .limit(bindparam("most", type_=Integer))
        )
        self._select_causes = select(rows.cause).where(rows.cause.in_(bindparam("causes", expanding=True)))
        self._select_requests = select(requests.request_id, requests.content, requests.reply).where(
            requests.request_id.in_(bindparam("request_ids", expanding=True))
        )
        self._insert_requests = insert(self._requests)

    def found(self, connection: Connection, epoch: str, now: datetime) -> None:
        """Begin the journal with this epoch, unless it was begun before."""
        if connection.execute(select(self._head.c.id)).first() is None:
            connection.execute(
                insert(self._head).values(id=1, epoch=epoch, sequence=0, digest="", recorded_time=now),
            )
        self.lease.found(connection)

    def begin_epoch(self, connection: Connection, epoch: str, now: datetime) -> None:
        """Drop every row and begin anew with another epoch: tokens of the old one are refused from now on."""
        connection.execute(delete(self._rows))
        connection.execute(update(self._head).values(epoch=epoch, sequence=0, digest="", recorded_time=now))

    def rename_epoch(self, connection: Connection, epoch: str) -> Head:
        """Be the same history under another epoch, where tokens are held of it: old ones are refused from now on.

        Every row is stamped again; numbers, recorded times and causes stay. Gives the head, as it is then.
        """
        head = self.read_head(connection)
        if self.tokens_of is None:
            return head
        first = self.first_sequence(connection)
        place = Head(epoch, first - 1, "", head.recorded_time)
        change = update(self._rows).where(self._rows.c.sequence == bindparam("number"))
        while rows := self.read(connection, place.sequence, _ROWS_A_STEP):
            changed = []
            for row in rows:
                event = cast("Event", cast("type[Message]", self.tokens_of).FromString(row.payload))
                if row.sequence == first:
                    place = replace(place, digest=event.previous_digest)
                stamped, place = stamp(event, place, event.recorded_time.ToDatetime(tzinfo=UTC))
                changed.append({"number": row.sequence, "digest": stamped.digest, "payload": stamped.payload})
            connection.execute(change, changed)
        named = Head(epoch, head.sequence, place.digest or head.digest, head.recorded_time)
        connection.execute(update(self._head).values(epoch=epoch, digest=named.digest))
        return named

    def read_head(self, connection: Connection) -> Head:
        """Give the newest row as this transaction sees it. LookupError when the journal was never begun."""
        return self._read_head(connection, lock=False)

    def lock_head(self, connection: Connection) -> Head:
        """Take the journal's one write lock until the transaction ends, and give the newest row."""
        return self._read_head(connection, lock=True)

    def _read_head(self, connection: Connection, *, lock: bool) -> Head:
        found = connection.execute(self._select_head_locked if lock else self._select_head).first()
        if found is None:
            msg = "the journal was never begun: run `tiendo migrate`"
            raise LookupError(msg)
        return Head(found.epoch, found.sequence, found.digest, found.recorded_time)

    def append(self, connection: Connection, rows: Sequence[Row], head: Head, causes: Sequence[str | None]) -> None:
        """Store rows that were stamped after the locked head, and move the head to `head`. `causes` goes row by row."""
        if not rows:
            return
        for step in steps(zip(rows, causes, strict=True)):
            values: list[dict[str, Any]] = [
                {"sequence": row.sequence, "digest": row.digest, "payload": row.payload, "cause": cause}
                for row, cause in step
            ]
            connection.execute(self._insert_rows, values)
        moved = {"sequence": head.sequence, "digest": head.digest, "recorded_time": head.recorded_time}
        connection.execute(self._move_head, moved)

    def read(self, connection: Connection, after: int, limit: int) -> list[Row]:
        """Give at most `limit` rows after a sequence, in order."""
        epoch = self.read_head(connection).epoch
        found = connection.execute(self._select_rows, {"after": after, "most": limit})
        return [Row(epoch, row.sequence, row.digest, row.payload) for row in found]

    def read_between(self, connection: Connection, after: int, head: Head) -> Iterator[Row]:
        """Give every row after a sequence, up to a head of the same epoch; a page of them is in memory at a time."""
        while after < head.sequence:
            rows = self.read(connection, after, min(_ROWS_A_STEP, head.sequence - after))
            yield from rows
            after = rows[-1].sequence

    def first_sequence(self, connection: Connection) -> int:
        """Give the first retained row's number; the next one's when none is retained."""
        first = connection.execute(select(self._rows.c.sequence).order_by(self._rows.c.sequence).limit(1)).scalar()
        return first if first is not None else self.read_head(connection).sequence + 1

    def known_causes(self, connection: Connection, causes: Iterable[str]) -> set[str]:
        """Give those of the causes that a row has already."""
        return set(connection.execute(self._select_causes, {"causes": list(causes)}).scalars())

    def requests(self, connection: Connection, request_ids: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """Give content hash and reply of those request ids that were answered before."""
        found = connection.execute(self._select_requests, {"request_ids": list(request_ids)})
        return {row.request_id: (row.content, row.reply) for row in found}

    def remember(self, connection: Connection, answered: dict[str, tuple[str, bytes]]) -> None:
        """Keep content hash and reply of request ids answered in this transaction, as long as the journal."""
        if answered:
            connection.execute(
                self._insert_requests,
                [{"request_id": key, "content": content, "reply": reply} for key, (content, reply) in answered.items()],
            )


def utc_now() -> datetime:
    """Give the machine's clock, UTC; the composition roots pass it to whatever needs a clock."""
    return datetime.now(UTC)
