"""What the writer promises, on both engines."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from services.common.db import open_engine, write_transaction
from services.common.errors import Reason, Refusal
from services.common.journal import MAX_EVENT_BYTES
from services.common.snapshot import Live, Reached
from services.common.writer import Writer
from tests.support.databases import ENGINES
from tests.support.numbers import (
    JOURNAL,
    Clock,
    NumbersState,
    NumbersWork,
    add,
    assert_whole,
    catch_up,
    event_in,
    numbers_in,
    open_numbers,
    rows_of,
    writer_on,
)
from tiendo.status.v1 import events_pb2


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with an empty journal."""
    made = open_numbers(request.param, tmp_path)
    yield made
    made.dispose()


@asynccontextmanager
async def held(engine: Engine) -> AsyncIterator[None]:
    """Keep the journal's head locked, so that commands pile up."""
    taken, release = threading.Event(), threading.Event()

    def hold() -> None:
        with write_transaction(engine) as connection:
            JOURNAL.lock_head(connection)
            taken.set()
            release.wait(10)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        await asyncio.to_thread(taken.wait, 10)
        try:
            yield
        finally:
            release.set()
            holding.result(10)


async def test_commands_at_once_share_commits_and_are_all_there(engine: Engine) -> None:
    """100 commands at once take few transactions, and each is answered after it can be read."""
    writer, live = writer_on(engine)
    changes: list[int] = []
    live.on_change(lambda: changes.append(live.current.head.sequence))

    async def added(number: int) -> bool:
        def decide(work: NumbersWork) -> int:
            work.add(number)
            return work.head.sequence

        sequence: int = await writer.run(decide)
        stored = await asyncio.to_thread(rows_of, engine)
        return live.current.head.sequence >= sequence and len(stored) >= sequence

    answered = await asyncio.gather(*(added(number) for number in range(100)))
    await writer.drain()

    assert all(answered)
    assert live.current.total == sum(range(100))
    assert len(changes) <= 10
    assert_whole(rows_of(engine))


async def test_an_answer_before_the_commit_is_noticed(tmp_path: Path) -> None:
    """The check above can fail: a planted command that answers while it decides is answered before it can be read."""
    engine = open_numbers("sqlite", tmp_path)
    writer, live = writer_on(engine)
    loop = asyncio.get_running_loop()
    early: asyncio.Future[int] = loop.create_future()
    may_commit = threading.Event()

    def hasty(work: NumbersWork) -> None:
        work.add(1)
        loop.call_soon_threadsafe(early.set_result, work.head.sequence)
        may_commit.wait(10)

    running = asyncio.create_task(writer.run(hasty))
    sequence = await early
    readable = live.current.head.sequence >= sequence or len(rows_of(engine)) >= sequence
    may_commit.set()
    await running
    await writer.drain()
    engine.dispose()

    assert not readable
    assert live.current.head.sequence == 1


async def test_a_refusal_writes_nothing_and_a_failure_takes_nobody_along(engine: Engine) -> None:
    """Of a group, a refused command and one whose write fails leave no trace, and the others are written."""
    writer, live = writer_on(engine)
    await writer.run(add(7))

    outcomes = await asyncio.gather(*(writer.run(add(number)) for number in (1, -1, 7, 2)), return_exceptions=True)
    await writer.drain()

    refused, failed = outcomes[1], outcomes[2]
    assert [outcomes[0], outcomes[3]] == [b"1", b"2"]
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.INVALID_VALUE
    # Sent again it would fail again, so it is no refusal that asks for a retry.
    assert isinstance(failed, IntegrityError)
    assert live.current.total == 10
    assert numbers_in(engine) == {1, 2, 7}
    assert [event_in(row).plan_number for row in rows_of(engine)] == [7, 1, 2]


async def test_a_command_that_breaks_takes_nobody_along(engine: Engine) -> None:
    """One command's own fault is its own: the others of its group are written."""
    writer, live = writer_on(engine)

    def broken(work: NumbersWork) -> None:
        work.add(5)
        raise ZeroDivisionError

    outcomes = await asyncio.gather(writer.run(add(1)), writer.run(broken), writer.run(add(2)), return_exceptions=True)
    await writer.drain()

    assert [outcomes[0], outcomes[2]] == [b"1", b"2"]
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert live.current.total == 3
    assert numbers_in(engine) == {1, 2}
    assert_whole(rows_of(engine))


async def test_a_refusal_takes_back_what_was_emitted(engine: Engine) -> None:
    """A command refused after it had emitted leaves neither event nor number, alone or in company."""
    writer, live = writer_on(engine)

    def late(work: NumbersWork) -> None:
        work.add(5)
        work.add(-1)

    outcomes = await asyncio.gather(writer.run(add(1)), writer.run(late), writer.run(add(2)), return_exceptions=True)
    with pytest.raises(Refusal):
        await writer.run(late)
    await writer.drain()

    assert isinstance(outcomes[1], Refusal)
    assert outcomes[1].reason is Reason.INVALID_VALUE
    assert live.current.total == 3
    assert numbers_in(engine) == {1, 2}
    assert [event_in(row).plan_number for row in rows_of(engine)] == [1, 2]


async def test_an_event_too_large_is_refused(engine: Engine) -> None:
    """What the broker could not carry is refused before anything is written, and its neighbours are not."""
    writer, _ = writer_on(engine)

    def large(work: NumbersWork) -> None:
        event: Any = events_pb2.ProgressEvent(reason="x" * MAX_EVENT_BYTES)
        work.emit(event)

    outcomes = await asyncio.gather(writer.run(large), writer.run(add(1)), return_exceptions=True)
    await writer.drain()

    assert isinstance(outcomes[0], Refusal)
    assert outcomes[0].reason is Reason.EVENT_TOO_LARGE
    assert outcomes[0].metadata["limit"] == "131072"
    assert outcomes[1] == b"1"
    assert len(rows_of(engine)) == 1


async def test_draining_finishes_what_waits(engine: Engine) -> None:
    """Commands that wait when the end begins are written and answered; one that comes later is refused at once."""
    writer, _ = writer_on(engine)
    async with held(engine):
        waiting = [asyncio.create_task(writer.run(add(number))) for number in range(100)]
        await asyncio.sleep(0)
        draining = asyncio.create_task(writer.drain())
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as caught:
            await writer.run(add(200))

    await draining

    assert caught.value.reason is Reason.SHUTTING_DOWN
    assert await asyncio.gather(*waiting) == [str(number).encode() for number in range(100)]
    assert numbers_in(engine) == set(range(100))


async def test_a_caller_who_left_does_no_harm(engine: Engine) -> None:
    """A command whose caller gave up while it waited is still decided as one whole, and the next are answered."""
    writer, live = writer_on(engine)
    async with held(engine):
        first = asyncio.create_task(writer.run(add(1)))
        left = asyncio.create_task(writer.run(add(2)))
        await asyncio.sleep(0)
        left.cancel()

    await first
    await writer.run(add(3))
    await writer.drain()

    assert left.cancelled()
    assert live.current.total == 6
    assert_whole(rows_of(engine))


async def test_an_absent_database_asks_for_a_retry(engine: Engine) -> None:
    """While the database does not answer, a command is refused with a retry, and once it does the same command works."""
    away = True

    def catch_up_if_there(connection: Connection, state: NumbersState, head: Any) -> Any:
        if away:
            connection.exec_driver_sql("SELECT * FROM a_table_that_went_away")
        return catch_up(connection, state, head)

    live = Live(NumbersState(writer_head(engine)), "progress", Reached())
    writer = Writer(engine, JOURNAL, live, begin=NumbersWork, catch_up=catch_up_if_there, clock=Clock())
    writer.start()
    with pytest.raises(Refusal) as caught:
        await writer.run(add(1), request_id="a", content="x")
    away = False
    reply = await writer.run(add(1), request_id="a", content="x")
    await writer.drain()

    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
    assert caught.value.retry_seconds == 1
    assert "a_table" not in caught.value.message
    assert reply == b"1"


async def test_a_group_asks_an_absent_database_once(engine: Engine) -> None:
    """Where nobody listens, all that came together are refused after one try, and the log says why in one line."""
    nowhere = open_engine("postgresql://nobody@127.0.0.1:9/nothing")
    live = Live(NumbersState(writer_head(engine)), "progress", Reached())
    writer = Writer(nowhere, JOURNAL, live, begin=NumbersWork, catch_up=catch_up, clock=Clock())
    writer.start()
    with capture_logs() as lines:
        outcomes = await asyncio.gather(*(writer.run(add(number)) for number in range(3)), return_exceptions=True)
    await writer.drain()
    nowhere.dispose()

    assert [one.reason for one in outcomes if isinstance(one, Refusal)] == [Reason.DATABASE_UNAVAILABLE] * 3
    assert [line["event"] for line in lines] == ["database unavailable"]
    assert "refused" in lines[0]["problem"]
    assert "exc_info" not in lines[0]


def writer_head(engine: Engine) -> Any:
    """The head as a process finds it."""
    with engine.connect() as connection:
        return JOURNAL.read_head(connection)


async def test_a_commit_that_fails_is_not_run_again(engine: Engine) -> None:
    """When the COMMIT itself fails nobody knows what took hold: the whole group is told to ask again, and then all works."""
    with write_transaction(engine) as connection:
        # Looked at by the database only when it commits.
        constraint = "REFERENCES number (value) DEFERRABLE INITIALLY DEFERRED"
        connection.exec_driver_sql(f"CREATE TABLE child (parent INTEGER {constraint})")
    writer, live = writer_on(engine)
    decided = 0

    def dangling(work: NumbersWork) -> bytes:
        nonlocal decided
        decided += 1
        if decided == 1:
            work.connection.exec_driver_sql("INSERT INTO child VALUES (99)")
        return work.add(5)

    outcomes = await asyncio.gather(
        writer.run(dangling, request_id="a", content="x"), writer.run(add(1)), return_exceptions=True
    )
    decided_before, written_before = decided, rows_of(engine)
    again = await writer.run(dangling, request_id="a", content="x")
    await writer.drain()

    assert [one.reason for one in outcomes if isinstance(one, Refusal)] == [Reason.DATABASE_UNAVAILABLE] * 2
    assert decided_before == 1
    assert written_before == []
    assert again == b"5"
    assert live.current.total == 5
    assert_whole(rows_of(engine))


async def test_too_many_waiting_are_turned_away(engine: Engine) -> None:
    """The 4,097th command that would wait is refused with a retry; those before it are answered."""
    writer, _ = writer_on(engine)
    async with held(engine):
        waiting = [asyncio.create_task(writer.run(lambda _work: None)) for _ in range(4096)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as caught:
            await writer.run(add(1))

    await asyncio.gather(*waiting)
    await writer.drain()

    assert caught.value.reason is Reason.OVERLOADED
    assert caught.value.retry_seconds == 1
