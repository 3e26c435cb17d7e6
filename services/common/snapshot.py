"""The present state of a process, in memory: an immutable fold of its journal, swapped whole after each commit.

Invariant: `Live.current` only ever moves forward along the journal, and `Reached` tells a position only once the state that
readers see includes it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from sys import getsizeof
from typing import Any, Generic, Protocol, TypeVar

from services.common.envelope import seal
from services.common.errors import Reason, Refusal
from services.common.journal import Head, Row
from services.common.resources import Revision, decode_revision

MAX_AT_LEAST = 20
TAIL_ROWS = 4096
_ANSWERS_BYTES = 16 * 1024 * 1024
_ANSWER_BYTES = 500  # what keeping one takes besides it, its question included


class State(Protocol):
    """What a service keeps in memory: at least, which journal row it includes last."""

    @property
    def head(self) -> Head:
        """The newest journal row it includes."""


S = TypeVar("S", bound=State)
A = TypeVar("A")


class Reached:
    """How far each journal is included in what readers see; lets a call wait for a revision."""

    def __init__(self) -> None:
        self._positions: dict[str, tuple[str, int]] = {}
        self._moved = asyncio.Event()

    def move(self, journal: str, epoch: str, sequence: int) -> None:
        """Tell that `journal` is included up to `sequence`; wakes whoever waits."""
        if self._positions.get(journal) != (epoch, sequence):
            self._positions[journal] = (epoch, sequence)
            self._moved.set()
            self._moved = asyncio.Event()

    def position(self, journal: str) -> tuple[str, int]:
        """Epoch and sequence that are included; an empty epoch and 0 before the first `move`."""
        return self._positions.get(journal, ("", 0))

    def revisions(self, *journals: str) -> list[str]:
        """Encoded positions of those of the journals that were heard of."""
        known = ((journal, *self.position(journal)) for journal in journals)
        return [Revision(journal, epoch, sequence).encode() for journal, epoch, sequence in known if epoch]

    async def wait(self, at_least: Sequence[str], seconds: float) -> None:
        """Return once every revision is included; those of journals not followed here say nothing and are passed over.

        Raises Refusal INVALID_TOKEN, TOO_MANY, EPOCH_CHANGED, or NOT_CAUGHT_UP after `seconds`.
        """
        if len(at_least) > MAX_AT_LEAST:
            raise Refusal(
                Reason.TOO_MANY,
                f"at most {MAX_AT_LEAST} revisions; {len(at_least)} were given",
                field="at_least",
                metadata={"limit": str(MAX_AT_LEAST), "count": str(len(at_least))},
            )
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        for index, text in enumerate(at_least):
            await self.wait_for(decode_revision(text, f"at_least[{index}]"), end - loop.time())

    async def wait_for(self, wanted: Revision, seconds: float) -> None:
        """Return once one revision is included; Refusals as for `wait`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while wanted.journal in self._positions:
            epoch, sequence = self._positions[wanted.journal]
            if epoch and epoch != wanted.epoch:
                raise Refusal(
                    Reason.EPOCH_CHANGED,
                    f"the {wanted.journal} journal was replaced since that revision; read again without it",
                    field="at_least",
                    metadata={"journal": wanted.journal, "epoch": epoch},
                )
            if epoch and sequence >= wanted.sequence:
                return
            try:
                async with asyncio.timeout(end - loop.time()):
                    await self._moved.wait()
            except TimeoutError:
                raise Refusal(
                    Reason.NOT_CAUGHT_UP,
                    f"the {wanted.journal} journal is included up to {sequence}, not yet {wanted.sequence}; try again",
                    field="at_least",
                    metadata={"journal": wanted.journal, "wanted": str(wanted.sequence), "reached": str(sequence)},
                    retry_seconds=1,
                ) from None


class Answers:
    """Answers by what was asked, kept with the state they were given from; all are dropped when too many."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}
        self._bytes = 0

    def get(self, asked: Hashable, answer: Callable[[], A], size_of: Callable[[A], int] = getsizeof) -> A:
        """Give the answer kept for what is asked, or make it and keep it; what `answer` raises is not kept.

        `size_of` gives about how many bytes it takes, for one that is more than a string of them. From any thread.
        """
        kept: A | None = self._kept.get(asked)
        if kept is None:
            kept = answer()
            if self._bytes > _ANSWERS_BYTES:
                self._kept.clear()
                self._bytes = 0
            self._kept[asked] = kept
            self._bytes += size_of(kept) + _ANSWER_BYTES
        return kept


@dataclass(frozen=True, slots=True)
class TailRow:
    """A recent journal row with the bytes that are passed on: its event, digest included."""

    row: Row
    sealed: bytes


class Tail:
    """The newest rows of the journal in memory, so that relay, lists and watchers seldom read the table."""

    def __init__(self, head: Head) -> None:
        self._rows: deque[TailRow] = deque(maxlen=TAIL_ROWS)
        self._last = head.sequence

    def extend(self, rows: Iterable[Row]) -> None:
        """Add rows that follow the last one; rows that do not follow make the tail begin anew with them."""
        for row in rows:
            if row.sequence <= self._last and self._rows and row.epoch == self._rows[-1].row.epoch:
                continue
            if row.sequence != self._last + 1:
                self._rows.clear()
            self._rows.append(TailRow(row, seal(row.payload, row.digest)))
            self._last = row.sequence

    def after(self, sequence: int, limit: int) -> list[TailRow] | None:
        """At most `limit` rows after a sequence; None when they begin before what is kept here."""
        if sequence >= self._last:
            return []
        first = self._last - len(self._rows) + 1
        if sequence + 1 < first:
            return None
        return list(islice(self._rows, sequence + 1 - first, sequence + 1 - first + limit))


class Newest:
    """Passes rows on, and keeps as many of the newest as a tail holds."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.kept: deque[Row] = deque(maxlen=TAIL_ROWS)

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self.kept.append(row)
            yield row


class Live(Generic[S]):
    """The state that readers of this process see, the newest rows, and a signal for whoever follows."""

    def __init__(self, first: S, journal: str, reached: Reached) -> None:
        self.current = first
        self.tail = Tail(first.head)
        self._journal = journal
        self._reached = reached
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        reached.move(journal, first.head.epoch, first.head.sequence)

    def advance(self, state: S, rows: Sequence[Row]) -> None:
        """Show a newer state and the rows that led to it; an older one is dropped. Called on the event loop only."""
        if state.head.epoch == self.current.head.epoch and state.head.sequence < self.current.head.sequence:
            return
        if state is self.current and not rows:
            return
        if state.head.epoch != self.current.head.epoch:
            self.tail = Tail(state.head)
        self.current = state
        # More than the tail keeps would only hold up the loop.
        self.tail.extend(rows[-TAIL_ROWS:])
        self._reached.move(self._journal, state.head.epoch, state.head.sequence)
        self._changed.set()
        self._changed = asyncio.Event()
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` on the loop after every change, once that change can be read."""
        self._listeners.append(listener)

    def changed(self) -> asyncio.Event:
        """An event that the next change sets: take it, look at the state, then wait for it."""
        return self._changed
