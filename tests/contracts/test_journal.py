"""What a journal promises, on both engines."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, insert, select
from sqlalchemy.exc import DBAPIError, StatementError

from services.common.db import UtcDateTime, read_transaction, upsert, write_transaction
from services.common.journal import Head, Journal, digest_of, stamp
from tests.support.databases import ENGINES
from tests.support.numbers import EPOCH, JOURNAL, START, append, assert_whole, event_in, open_numbers, rows_of
from tiendo.status.v1 import events_pb2


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with an empty journal."""
    made = open_numbers(request.param, tmp_path)
    yield made
    made.dispose()


def test_writers_at_once_leave_no_gap(engine: Engine) -> None:
    """Eight threads write 200 rows at once: one chain without gaps, and nobody is told that the database is locked."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append(engine, str(number)), range(200)))

    rows = rows_of(engine)
    assert_whole(rows)
    assert {event_in(row).reason for row in rows} == {str(number) for number in range(200)}


Begin = Callable[[Engine], AbstractContextManager[Connection]]


def interleave(engine: Engine, journal: Journal, begin: Begin) -> tuple[list[str], list[str]]:
    """A takes its number, B wants to write and commit before A does. Give what a follower saw then and in all.

    The follower asks for rows after the last it has, so a row that is committed below that is lost to it.
    """
    taken, may_commit, second_done = threading.Event(), threading.Event(), threading.Event()

    def write(reason: str) -> None:
        with begin(engine) as connection:
            head = journal.lock_head(connection)
            event: Any = events_pb2.ProgressEvent(reason=reason)
            row, after = stamp(event, head, START)
            if reason == "A":
                taken.set()
                may_commit.wait(10)
            journal.append(connection, [row], after, [None])

    def second() -> None:
        taken.wait(10)
        write("B")
        second_done.set()

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(write, "A"), pool.submit(second)
        second_done.wait(0.3)
        meanwhile = rows_of(engine)
        may_commit.set()
        with suppress(DBAPIError):
            one.result(10)
        two.result(10)
    with read_transaction(engine) as connection:
        later = journal.read(connection, meanwhile[-1].sequence if meanwhile else 0, 100)
    return [event_in(row).reason for row in meanwhile], [event_in(row).reason for row in (*meanwhile, *later)]


def assert_lost_to_no_follower(engine: Engine, journal: Journal, begin: Begin) -> None:
    """A row that is committed late is seen by whoever follows, and in its place."""
    meanwhile, followed = interleave(engine, journal, begin)
    assert meanwhile == []
    assert followed == ["A", "B"]


def test_a_row_committed_late_is_lost_to_no_follower(engine: Engine) -> None:
    """Who comes second waits for the first one's commit before it takes its number: the follower gets both, in order."""
    assert_lost_to_no_follower(engine, JOURNAL, write_transaction)


class _CarelessJournal(Journal):
    """A planted fault: hands out numbers in advance from a counter, as a database's sequence does, and takes no lock."""

    def __init__(self) -> None:
        super().__init__(MetaData())
        self._given = 0

    def lock_head(self, connection: Connection) -> Head:
        """Take the next number, lock nothing."""
        self._given += 1
        return replace(self.read_head(connection), sequence=self._given - 1)


@contextmanager
def _careless_transaction(engine: Engine) -> Iterator[Connection]:
    """Planted with it: locks nothing before it writes, on SQLite either."""
    with engine.begin() as connection:
        yield connection


def test_numbers_taken_outside_the_lock_are_noticed(engine: Engine) -> None:
    """The check above can fail: A's row is below what the follower has, or is not stored at all."""
    with pytest.raises(AssertionError):
        assert_lost_to_no_follower(engine, _CarelessJournal(), _careless_transaction)

    assert [event_in(row).reason for row in rows_of(engine)][-1] == "B"


def test_a_gap_in_a_journal_is_noticed(engine: Engine) -> None:
    """The check for gaps can fail: a number that is left out by its writer is found."""
    careless = _CarelessJournal()
    append(engine, "one")
    with write_transaction(engine) as connection:
        head = careless.lock_head(connection)
        event: Any = events_pb2.ProgressEvent(reason="three")
        row, after = stamp(event, replace(head, sequence=2), START)
        careless.append(connection, [row], after, [None])

    with pytest.raises(AssertionError):
        assert_whole(rows_of(engine))


def test_two_rows_never_share_a_number(engine: Engine) -> None:
    """Of two writers that stamped after the same head without its lock, the database takes only one."""
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
        except DBAPIError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        kept = list(pool.map(careless, ("one", "two")))

    assert sorted(kept) == [False, True]


def test_a_reader_keeps_one_view(engine: Engine) -> None:
    """Within a read, rows committed meanwhile stay out of sight, and the head agrees with the rows."""
    append(engine, "one")
    with read_transaction(engine) as connection:
        before = JOURNAL.read_head(connection)
        append(engine, "two")
        after = JOURNAL.read_head(connection)
        rows = JOURNAL.read(connection, 0, 10)

    assert before == after
    assert [row.sequence for row in rows] == [1]
    assert rows[-1].digest == after.digest
    assert len(rows_of(engine)) == 2


def test_a_transaction_that_fails_leaves_no_row(engine: Engine) -> None:
    """An exception takes back row and head; the next row gets the same number."""

    def fail() -> None:
        with write_transaction(engine) as connection:
            head = JOURNAL.lock_head(connection)
            event: Any = events_pb2.ProgressEvent(reason="lost")
            row, after = stamp(event, head, START)
            JOURNAL.append(connection, [row], after, [None])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    append(engine, "kept")

    rows = rows_of(engine)
    assert_whole(rows)
    assert [event_in(row).reason for row in rows] == ["kept"]


def test_a_new_epoch_begins_at_one(engine: Engine) -> None:
    """Old rows are gone, and the next one is row 1 of the new epoch with nothing before it."""
    append(engine, "old")
    with write_transaction(engine) as connection:
        JOURNAL.lock_head(connection)
        JOURNAL.begin_epoch(connection, "ffeeddccbbaa9900", START)
        JOURNAL.found(connection, EPOCH, START)
    append(engine, "new")

    rows = rows_of(engine)
    assert_whole(rows)
    assert [row.event_id for row in rows] == ["ffeeddccbbaa9900.1"]


def test_a_cause_is_told_once(engine: Engine) -> None:
    """Two rows with one cause are refused by the database; known causes are found."""

    def tell() -> None:
        with write_transaction(engine) as connection:
            head = JOURNAL.lock_head(connection)
            event: Any = events_pb2.ProgressEvent()
            row, after = stamp(event, head, START)
            JOURNAL.append(connection, [row], after, ["catalog.1"])

    tell()
    with pytest.raises(DBAPIError):
        tell()

    with read_transaction(engine) as connection:
        assert JOURNAL.known_causes(connection, ["catalog.1", "catalog.2"]) == {"catalog.1"}


def test_a_stored_event_is_exactly_this() -> None:
    """Sequence, chain and digest of a first and second row, the digest computed over the stored bytes."""
    event: Any = events_pb2.ProgressEvent(reason="x")
    first, head = stamp(event, Head(EPOCH, 0, "", START), START)
    second, _ = stamp(event, head, START)

    assert (first.sequence, second.sequence) == (1, 2)
    assert second.event_id == "00112233445566aa.2"
    assert event_in(first).previous_digest == ""
    assert event_in(second).previous_digest == first.digest == digest_of(first.payload)
    assert event_in(second).digest == ""


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


def test_upsert_inserts_and_changes(engine: Engine) -> None:
    """Of three rows, one is changed and two are new; without rows nothing happens."""
    things = Table("thing", MetaData(), Column("id", Integer, primary_key=True), Column("size", Integer))
    things.create(engine)
    with write_transaction(engine) as connection:
        upsert(connection, things, [{"id": 1, "size": 10}], keys=["id"])
        upsert(connection, things, [{"id": number, "size": number} for number in (1, 2, 3)], keys=["id"])
        upsert(connection, things, [], keys=["id"])
        kept = connection.execute(select(things.c.id, things.c.size).order_by(things.c.id)).all()

    assert [tuple(row) for row in kept] == [(1, 1), (2, 2), (3, 3)]
