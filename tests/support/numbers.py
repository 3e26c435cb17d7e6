"""The smallest service there can be: a journal of numbers and what they add up to, for the contract suites."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, insert, select

from services.common.db import read_transaction, write_transaction
from services.common.errors import Reason, Refusal
from services.common.journal import Head, Journal, Row, digest_of, stamp
from services.common.snapshot import Live, Reached
from services.common.work import Work
from services.common.writer import Writer
from tests.support.databases import new_engine
from tiendo.status.v1 import events_pb2

EPOCH = "00112233445566aa"
START = datetime(2022, 10, 5, 1, 0, tzinfo=UTC)
METADATA = MetaData()
JOURNAL = Journal(METADATA)
NUMBERS = Table("number", METADATA, Column("value", Integer, primary_key=True))


def open_numbers(kind: str, folder: Path) -> Engine:
    """A new database with an empty journal."""
    engine = new_engine(kind, folder)
    METADATA.create_all(engine)
    with write_transaction(engine) as connection:
        JOURNAL.found(connection, EPOCH, START)
    return engine


def event_in(row: Row) -> events_pb2.ProgressEvent:
    """Read a row."""
    return events_pb2.ProgressEvent.FromString(row.payload)


def append(engine: Engine, reason: str, now: datetime = START) -> None:
    """Write one row as a service does."""
    with write_transaction(engine) as connection:
        head = JOURNAL.lock_head(connection)
        event: Any = events_pb2.ProgressEvent(reason=reason)
        row, after = stamp(event, head, max(now, head.recorded_time))
        JOURNAL.append(connection, [row], after, [None])


def rows_of(engine: Engine) -> list[Row]:
    """The whole journal."""
    with read_transaction(engine) as connection:
        return JOURNAL.read(connection, 0, 10_000)


def assert_whole(rows: list[Row]) -> None:
    """Rows count 1, 2, 3 …, each names the digest of the one before, and no recorded time goes back."""
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    digest, recorded = "", START
    for row in rows:
        event = event_in(row)
        assert row.digest == digest_of(row.payload)
        assert event.previous_digest == digest
        assert event.recorded_time.ToDatetime(tzinfo=UTC) >= recorded
        digest, recorded = row.digest, event.recorded_time.ToDatetime(tzinfo=UTC)


class NumbersState:
    """A journal and the numbers it added up to."""

    def __init__(self, head: Head, total: int = 0) -> None:
        self.head = head
        self.total = total


class NumbersWork(Work[NumbersState]):
    """A working set that writes numbers, each at most once."""

    def __init__(self, connection: Connection, state: NumbersState, now: datetime) -> None:
        super().__init__(connection, JOURNAL, state, now)
        self.numbers: list[int] = []

    def add(self, number: int) -> bytes:
        """Add a number; below 0 it is refused."""
        if number < 0:
            raise Refusal(Reason.INVALID_VALUE, "is below 0", field="number")
        event: Any = events_pb2.ProgressEvent(plan_number=number)
        self.emit(event)
        self.numbers.append(number)
        return str(number).encode()

    def flush(self) -> None:
        """Write the numbers."""
        if self.numbers:
            self.connection.execute(insert(NUMBERS), [{"value": number} for number in self.numbers])

    def result(self) -> NumbersState:
        """Add them up."""
        return NumbersState(self.head, self.state.total + sum(self.numbers))


def catch_up(connection: Connection, state: NumbersState, head: Head) -> tuple[NumbersState, list[Row]]:
    """Add what another writer added."""
    rows = [*JOURNAL.read_between(connection, state.head.sequence, head)]
    total = sum(event_in(row).plan_number for row in rows)
    return (NumbersState(head, state.total + total), rows) if rows else (state, [])


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        """The time it was set to."""
        return self.now


def writer_on(
    engine: Engine,
    *,
    journal: Journal = JOURNAL,
    clock: Clock | None = None,
    on_write: Callable[[], None] = lambda: None,
) -> tuple[Writer[NumbersState, NumbersWork], Live[NumbersState]]:
    """A writer as a process has it."""
    with read_transaction(engine) as connection:
        state = NumbersState(JOURNAL.read_head(connection))
    live = Live(state, "progress", Reached())
    writer = Writer(
        engine, journal, live, begin=NumbersWork, catch_up=catch_up, clock=clock or Clock(), on_write=on_write
    )
    writer.start()
    return writer, live


def add(number: int) -> Callable[[NumbersWork], bytes]:
    """The command that adds a number."""
    return partial(NumbersWork.add, number=number)


def numbers_in(engine: Engine) -> set[int]:
    """The service's own table."""
    with engine.connect() as connection:
        return set(connection.execute(select(NUMBERS.c.value)).scalars())
