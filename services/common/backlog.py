"""What came of another service's journal and is not applied yet.

Invariant: its rows follow the checkpoint without a gap, and each proved itself by its own digest and that of the row
before it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import DecodeError, Message

from services.common.envelope import header_of, open_cloud_event, peek, split_events, unseal
from services.common.journal import Row, digest_of
from tiendo.common.v1 import event_pb2


class ContradictionError(Exception):
    """The source does not continue what is held."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place in a journal; an empty epoch and 0 before anything was applied."""

    epoch: str = ""
    sequence: int = 0
    digest: str = ""


class Backlog:
    """Rows of one source from a checkpoint on, and what the source last said of its head."""

    def __init__(self, event_type: type[Message], checkpoint: Checkpoint, clock: Callable[[], datetime]) -> None:
        self._event_type = event_type
        self._clock = clock
        self.checkpoint = checkpoint
        self.rows: list[Row] = []
        self.head: Checkpoint | None = None
        self.heard_time: datetime | None = None

    @property
    def newest(self) -> Checkpoint:
        """The newest row held, applied or not."""
        if not self.rows:
            return self.checkpoint
        row = self.rows[-1]
        return Checkpoint(row.epoch, row.sequence, row.digest)

    @property
    def lag_rows(self) -> int:
        """How many rows the source is known to have beyond the checkpoint."""
        return max(0, self.head.sequence - self.checkpoint.sequence) if self.head else 0

    def begin(self, checkpoint: Checkpoint) -> None:
        """Go on from another checkpoint, with nothing held and the head not known."""
        self.checkpoint = checkpoint
        self.rows.clear()
        self.head = None

    def take_message(self, body: bytes) -> bool:
        """Take a message if it is the very next row; returns whether the source must be asked instead.

        An older row is a repeat and asks for nothing.
        """
        held = self.newest
        event = peek(body)
        epoch = held.epoch or (self.head.epoch if self.head else "")
        if event is None or event[0] != epoch:
            return True
        if event[1] != held.sequence + 1:
            return event[1] > held.sequence
        row = open_cloud_event(body, self._event_type)
        if row is None or row.epoch != epoch or row.sequence != event[1] or not _continues(row, held):
            return True
        self.rows.append(row)
        self.heard_time = self._clock()
        if self.head is None or row.sequence > self.head.sequence:
            self.head = Checkpoint(row.epoch, row.sequence, row.digest)
        return False

    def take_answer(self, answer: bytes, held: Checkpoint) -> bool:
        """Check a ListEventsResponse to a question from `held` on and take its rows; returns whether they reach the head.

        Raises ContradictionError, ValueError for an answer that cannot be read or is not whole.
        """
        events, encoded_head = split_events(answer)
        try:
            message = event_pb2.JournalHead.FromString(encoded_head)
        except DecodeError as problem:
            raise ValueError("the head can't be read") from problem
        head = Checkpoint(message.epoch, message.sequence, message.digest)
        self.heard_time = self._clock()
        self.head = head
        if held.epoch and head.epoch != held.epoch:
            raise ContradictionError("it has a new journal (another epoch)")
        if head.sequence < held.sequence:
            raise ContradictionError(
                f"its journal ends at row {head.sequence}, row {held.sequence} was already taken (an older copy?)"
            )
        if head.sequence == held.sequence and head.digest != held.digest:
            raise ContradictionError(f"its row {held.sequence} is not the one that was taken")
        for sealed in events:
            self._take_row(sealed, head.epoch)
        if not events and self.newest.sequence < head.sequence:
            raise ValueError("the answer lacks the rows up to its head")
        return self.newest.sequence >= head.sequence

    def _take_row(self, sealed: bytes, epoch: str) -> None:
        held = self.newest
        try:
            payload, digest = unseal(sealed)
            header = header_of(payload)
        except ValueError:
            raise ContradictionError(f"its row {held.sequence + 1} is damaged") from None
        if digest_of(payload) != digest:
            raise ContradictionError(f"its row {held.sequence + 1} does not have the digest it names")
        row = Row(header.epoch, header.sequence, digest, payload)
        if row.epoch != epoch or row.sequence != held.sequence + 1:
            raise ContradictionError(f"it has no row {held.sequence + 1}")
        if header.previous_digest != held.digest:
            raise ContradictionError(f"its row {row.sequence} does not follow the row that was taken before it")
        self.rows.append(row)

    def applied(self, reached: Checkpoint) -> bool:
        """Move the checkpoint; returns whether what is left follows it. What does not is dropped."""
        self.checkpoint = reached
        self.rows = [row for row in self.rows if row.sequence > reached.sequence]
        first = self.rows[0] if self.rows else None
        if first is None or (first.sequence == reached.sequence + 1 and _continues(first, reached)):
            return True
        self.rows.clear()
        return False


def _continues(row: Row, held: Checkpoint) -> bool:
    try:
        return header_of(row.payload).previous_digest == held.digest
    except ValueError:
        return False
