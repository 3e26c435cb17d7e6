"""What commands sent again, and writers of several processes, may rely on, on both engines."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from services.common.db import open_engine
from services.common.errors import Reason, Refusal
from tests.support.databases import ENGINES
from tests.support.numbers import (
    START,
    Clock,
    add,
    assert_whole,
    event_in,
    numbers_in,
    open_numbers,
    rows_of,
    writer_on,
)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with an empty journal."""
    made = open_numbers(request.param, tmp_path)
    yield made
    made.dispose()


async def test_a_request_id_has_one_effect(engine: Engine) -> None:
    """The same id and content, at once or later or in another process, gets the first reply; another content is refused."""
    writer, live = writer_on(engine)
    both = await asyncio.gather(*(writer.run(add(5), request_id="a", content="x") for _ in range(2)))
    other, _ = writer_on(engine)
    later = await other.run(add(6), request_id="a", content="x")

    with pytest.raises(Refusal) as caught:
        await other.run(add(6), request_id="a", content="y")
    await writer.drain()
    await other.drain()

    assert [*both, later] == [b"5", b"5", b"5"]
    assert caught.value.reason is Reason.REQUEST_ID_REUSED
    assert caught.value.fields == ("request_id",)
    assert live.current.total == 5


async def test_a_request_id_with_two_contents_in_one_group(engine: Engine) -> None:
    """Sent at once with two contents, the first has its effect and the second is refused."""
    writer, _ = writer_on(engine)

    outcomes = await asyncio.gather(
        writer.run(add(5), request_id="a", content="x"),
        writer.run(add(6), request_id="a", content="y"),
        return_exceptions=True,
    )
    await writer.drain()

    assert outcomes[0] == b"5"
    assert isinstance(outcomes[1], Refusal)
    assert outcomes[1].reason is Reason.REQUEST_ID_REUSED
    assert numbers_in(engine) == {5}


async def test_a_refused_command_leaves_its_request_id_free(engine: Engine) -> None:
    """After a refusal, the same id may be sent with what was mended."""
    writer, _ = writer_on(engine)
    with pytest.raises(Refusal):
        await writer.run(add(-1), request_id="a", content="x")

    reply = await writer.run(add(1), request_id="a", content="y")
    await writer.drain()

    assert reply == b"1"


async def test_two_writers_see_each_other(engine: Engine) -> None:
    """Writers of two processes in turn: each decides on what the other has committed, in one chain."""
    one, live_one = writer_on(engine)
    two, live_two = writer_on(engine)
    for number in range(10):
        writer = one if number % 2 else two
        await writer.run(add(number))
    await one.run(lambda _work: None)
    await two.run(lambda _work: None)
    await one.drain()
    await two.drain()

    assert live_one.current.total == live_two.current.total == 45
    kept = live_one.tail.after(0, 100)
    assert kept is not None
    assert [row.row for row in kept] == rows_of(engine)
    assert_whole(rows_of(engine))


async def test_twenty_writers_at_once_are_not_locked_out(engine: Engine) -> None:
    """20 writers, each with 50 commands one after the other: all are written, none hears of a lock."""
    engines = [open_engine(engine.url.render_as_string(hide_password=False)) for _ in range(20)]
    writers = [writer_on(own)[0] for own in engines]

    async def work_off(index: int) -> None:
        for turn in range(50):
            await writers[index].run(add(index * 50 + turn))

    await asyncio.gather(*(work_off(index) for index in range(20)))
    await asyncio.gather(*(writer.drain() for writer in writers))
    for own in engines:
        own.dispose()

    assert numbers_in(engine) == set(range(1000))
    assert_whole(rows_of(engine))


async def test_recorded_time_never_goes_back(engine: Engine) -> None:
    """A clock set back by an hour, here or in another process, does not make a row older than the one before it."""
    clock = Clock()
    writer, _ = writer_on(engine, clock=clock)
    other, _ = writer_on(engine)
    clock.now = START + timedelta(hours=1)
    await writer.run(add(1))
    clock.now = START
    await writer.run(add(2))
    await other.run(add(3))
    await writer.drain()
    await other.drain()

    rows = rows_of(engine)
    assert_whole(rows)
    assert {event_in(row).recorded_time.ToJsonString() for row in rows} == {"2022-10-05T02:00:00Z"}
