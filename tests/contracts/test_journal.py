"""What a journal promises, on both engines."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import StatementError

from services.common.db import UtcDateTime, read_transaction, write_transaction
from services.common.errors import Reason, Refusal
from services.common.journal import MAX_EVENT_BYTES, Head, Journal, Row, digest_of, stamp
from services.common.snapshot import Live, Reached
from services.common.writer import Work, Writer
from tests.support.databases import ENGINES, new_engine
from tiendo.status.v1 import events_pb2

START = datetime(2022, 10, 5, 1, 0, tzinfo=UTC)
METADATA = MetaData()
JOURNAL = Journal(METADATA)
NUMBERS = Table("number", METADATA, Column("value", Integer, primary_key=True))


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with an empty journal."""
    made = new_engine(request.param, tmp_path)
    METADATA.create_all(made)
    with write_transaction(made) as connection:
        JOURNAL.found(connection, "00112233445566aa", START)
    yield made
    made.dispose()


def append(engine: Engine, reason: str, *, lock: bool = True) -> None:
    """Write one row as a service does; without the lock, as one must not."""
    with write_transaction(engine) as connection:
        head = JOURNAL.lock_head(connection) if lock else JOURNAL.read_head(connection)
        event: Any = events_pb2.ProgressEvent(reason=reason)
        row, after = stamp(event, head, max(START, head.recorded_time))
        JOURNAL.append(connection, [row], after, [None])


def rows_of(engine: Engine) -> list[Row]:
    """The whole journal."""
    with read_transaction(engine) as connection:
        return JOURNAL.read(connection, 0, 10_000)


def assert_whole(rows: list[Row]) -> None:
    """Rows count 1, 2, 3 … and each names the digest of the one before."""
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    before = ""
    for row in rows:
        assert row.digest == digest_of(row.payload)
        assert events_pb2.ProgressEvent.FromString(row.payload).previous_digest == before
        before = row.digest


def test_writers_at_once_leave_no_gap(engine: Engine) -> None:
    """Eight threads write 200 rows at once: one chain without gaps, and nobody is told that the database is locked."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append(engine, str(number)), range(200)))

    rows = rows_of(engine)
    assert_whole(rows)
    reasons = {events_pb2.ProgressEvent.FromString(row.payload).reason for row in rows}
    assert reasons == {str(number) for number in range(200)}


def test_the_lock_is_what_keeps_the_order(engine: Engine) -> None:
    """A second writer waits for the first one's commit before it takes its number, so no reader passes a row by."""
    taken, may_commit, second_done = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with write_transaction(engine) as connection:
            head = JOURNAL.lock_head(connection)
            event: Any = events_pb2.ProgressEvent(reason="first")
            row, after = stamp(event, head, START)
            JOURNAL.append(connection, [row], after, [None])
            taken.set()
            may_commit.wait(10)

    def second() -> None:
        append(engine, "second")
        second_done.set()

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        taken.wait(10)
        two = pool.submit(second)
        early = second_done.wait(0.2)
        seen_meanwhile = rows_of(engine)
        may_commit.set()
        one.result(10)
        two.result(10)

    assert not early
    assert seen_meanwhile == []
    reasons = [events_pb2.ProgressEvent.FromString(row.payload).reason for row in rows_of(engine)]
    assert reasons == ["first", "second"]


def test_a_number_taken_outside_the_lock_is_noticed(engine: Engine) -> None:
    """The check above can fail: two writers that read the head without its lock clash."""
    both = threading.Barrier(2, timeout=10)

    def careless(reason: str) -> bool:
        with read_transaction(engine) as connection:
            head = JOURNAL.read_head(connection)
        both.wait()
        event: Any = events_pb2.ProgressEvent(reason=reason)
        row, after = stamp(event, head, START)
        try:
            with write_transaction(engine) as connection:
                JOURNAL.append(connection, [row], after, [None])
        except Exception:  # noqa: BLE001 (the engines word the clash differently)
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        kept = list(pool.map(careless, ("one", "two")))

    assert sorted(kept) == [False, True]


def test_instants_are_the_same_on_every_engine(engine: Engine) -> None:
    """07:00 in Vietnam is stored and read as 00:00 UTC, aware; a naive datetime is refused."""
    times = Table("time", MetaData(), Column("id", Integer, primary_key=True), Column("at", UtcDateTime()))
    times.create(engine)
    morning = datetime(2026, 1, 1, 7, 0, tzinfo=timezone(timedelta(hours=7)))
    with write_transaction(engine) as connection:
        connection.execute(insert(times).values(id=1, at=morning))
        read = connection.execute(select(times.c.at).where(times.c.at == morning)).scalar_one()

    assert read == datetime(2026, 1, 1, 0, 0, tzinfo=UTC)
    assert read.utcoffset() == timedelta(0)
    with pytest.raises(StatementError, match="naive"), write_transaction(engine) as connection:
        connection.execute(insert(times).values(id=2, at=datetime(2026, 1, 1)))  # noqa: DTZ001 (what is refused)


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
    rows = JOURNAL.read_between(connection, state.head.sequence, head)
    total = sum(events_pb2.ProgressEvent.FromString(row.payload).plan_number for row in rows)
    return (NumbersState(head, state.total + total), rows) if rows else (state, [])


def writer_on(engine: Engine) -> tuple[Writer[NumbersState, NumbersWork], Live[NumbersState]]:
    """A writer as a process has it."""
    with read_transaction(engine) as connection:
        state = NumbersState(JOURNAL.read_head(connection))
    live = Live(state, "progress", Reached())
    writer = Writer(engine, JOURNAL, live, begin=NumbersWork, catch_up=catch_up, clock=lambda: START)
    writer.start()
    return writer, live


async def test_commands_at_once_share_commits_and_are_all_there(engine: Engine) -> None:
    """100 commands at once take few transactions; each is answered after it can be read."""
    writer, live = writer_on(engine)
    changes = 0

    def changed() -> None:
        nonlocal changes
        changes += 1

    live.on_change(changed)

    async def add(number: int) -> bool:
        await writer.run(lambda work: work.add(number))
        return live.current.head.sequence >= 1

    answered = await asyncio.gather(*(add(number) for number in range(100)))
    await writer.drain()

    assert all(answered)
    assert live.current.total == sum(range(100))
    assert changes <= 10
    assert_whole(rows_of(engine))


async def test_a_refusal_writes_nothing_and_a_failure_takes_nobody_along(engine: Engine) -> None:
    """Of a group, a refused command and one whose write fails leave no trace, and the others are written."""
    writer, live = writer_on(engine)
    await writer.run(lambda work: work.add(7))

    outcomes = await asyncio.gather(
        *(writer.run(partial(NumbersWork.add, number=number)) for number in (1, -1, 7, 2)),
        return_exceptions=True,
    )
    await writer.drain()

    refused, failed = outcomes[1], outcomes[2]
    assert [outcomes[0], outcomes[3]] == [b"1", b"2"]
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.INVALID_VALUE
    assert isinstance(failed, Refusal)
    assert failed.reason is Reason.DATABASE_UNAVAILABLE
    assert live.current.total == 10
    assert len(rows_of(engine)) == 3


async def test_a_request_id_has_one_effect(engine: Engine) -> None:
    """The same id and content, at once or later or in another process, gets the first reply; another content is refused."""
    writer, live = writer_on(engine)
    both = await asyncio.gather(
        *(writer.run(lambda work: work.add(5), request_id="a", content="x") for _ in range(2)),
    )
    other, _ = writer_on(engine)
    later = await other.run(lambda work: work.add(6), request_id="a", content="x")

    with pytest.raises(Refusal) as caught:
        await other.run(lambda work: work.add(6), request_id="a", content="y")
    await writer.drain()
    await other.drain()

    assert [*both, later] == [b"5", b"5", b"5"]
    assert caught.value.reason is Reason.REQUEST_ID_REUSED
    assert live.current.total == 5


async def test_two_writers_see_each_other(engine: Engine) -> None:
    """Writers of two processes in turn: each decides on what the other has committed, in one chain."""
    one, live_one = writer_on(engine)
    two, live_two = writer_on(engine)
    for number in range(10):
        writer = one if number % 2 else two
        await writer.run(partial(NumbersWork.add, number=number))
    await one.run(lambda _work: None)
    await two.run(lambda _work: None)
    await one.drain()
    await two.drain()

    assert live_one.current.total == live_two.current.total == 45
    assert_whole(rows_of(engine))


async def test_an_event_too_large_is_refused(engine: Engine) -> None:
    """What the broker could not carry is refused before anything is written."""
    writer, _ = writer_on(engine)

    def large(work: NumbersWork) -> None:
        event: Any = events_pb2.ProgressEvent(reason="x" * MAX_EVENT_BYTES)
        work.emit(event)

    with pytest.raises(Refusal) as caught:
        await writer.run(large)
    await writer.drain()

    assert caught.value.reason is Reason.EVENT_TOO_LARGE
    assert rows_of(engine) == []
