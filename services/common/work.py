"""What one command or several do to the state, in memory, until it is written at once.

Invariant: what a working set emits is numbered after the state it began with, so it can be written only where that is the head.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Self, TypeVar

from sqlalchemy import Connection

from services.common.journal import Event, Head, Journal, Row, stamp
from services.common.snapshot import State
from services.common.spool import Spool

S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for a command, under which request id and trace; each may be empty."""

    actor: str
    request_id: str = ""
    traceparent: str = ""


class Work(ABC, Generic[S]):
    """One transaction's working set: the state it decides on, and what it will write.

    A service's own subclass keeps changed resources in memory, so that each command sees those before it, and writes them in
    bulk in `flush`. A command changes the set only after everything in it was decided.
    """

    def __init__(self, connection: Connection, journal: Journal, state: S, now: datetime) -> None:
        self.connection = connection
        self.state = state
        self.now = max(now, state.head.recorded_time)
        self.head: Head = state.head
        self.rows: list[Row] | Spool[Row] = []
        self._causes: list[str | None] = []
        self._journal = journal

    def emit(self, event: Event, cause: str | None = None) -> Row:
        """Add an event to the journal, next after those emitted before. Raises Refusal EVENT_TOO_LARGE."""
        row, self.head = stamp(event, self.head, self.now)
        self.rows.append(row)
        self._causes.append(cause)
        return row

    def adopt(self, prepared: Self) -> None:
        """Take over what another set was given, which began where this one stands."""
        if self.rows:
            self.rows = [*self.rows, *prepared.rows]
        else:
            self.rows = prepared.rows
        self._causes += prepared._causes
        self.head, self.now = prepared.head, max(self.now, prepared.now)

    def write(self) -> None:
        """Write everything collected: the service's tables, then the journal."""
        self.flush()
        self._journal.append(self.connection, self.rows, self.head, self._causes)

    @abstractmethod
    def flush(self) -> None:
        """Write changed resources to the service's tables, in bulk."""

    @abstractmethod
    def result(self) -> S:
        """Give the state after the commit."""
