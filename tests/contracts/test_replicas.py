"""Replicas of one service on one database, on both engines: who does the work, and how the others hear of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine

from services.common.broker import Broker
from services.common.replicas import Replicas
from services.common.snapshot import Live
from services.common.writer import Writer
from tests.support.databases import ENGINES
from tests.support.nats import connected, running_nats, until
from tests.support.numbers import JOURNAL, NumbersState, NumbersWork, add, numbers_in, open_numbers, writer_on

LEASE_SECONDS = 0.5
_NOBODY_LISTENS = "nats://127.0.0.1:9"


class Replica:
    """One process's parts, as the runtime wires them."""

    def __init__(self, engine: Engine, broker: Broker, name: str, *, follow_seconds: float) -> None:
        self.replicas = Replicas(
            "numbers",
            engine,
            JOURNAL.lease,
            broker,
            random=name,
            lease_seconds=LEASE_SECONDS,
            follow_seconds=follow_seconds,
        )
        self.writer: Writer[NumbersState, NumbersWork]
        self.live: Live[NumbersState]
        self.writer, self.live = writer_on(engine, on_write=self.replicas.wrote)
        self.changes = 0
        self._task = asyncio.create_task(self.replicas.run(self.writer, self._changed, lambda: None))

    @property
    def held(self) -> bool:
        """Whether it has the lease."""
        return self.replicas.lease.held

    @property
    def total(self) -> int:
        """What it shows."""
        return self.live.current.total

    async def apply(self, number: int) -> bytes:
        """Add a number, where it is the one that may."""
        return await self.replicas.apply(self.writer, add(number), lambda work: str(work.state.total).encode())

    async def hang(self) -> None:
        """Do nothing any more, as a process that stands still."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def end(self) -> None:
        """End in order."""
        await self.hang()
        await self.writer.drain()
        await self.replicas.end()

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with an empty journal."""
    made = open_numbers(request.param, tmp_path)
    yield made
    made.dispose()


@asynccontextmanager
async def pair(
    engine: Engine, broker: Broker, *, follow_seconds: float = 0.05
) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two replicas, the first of which has the lease."""
    first = Replica(engine, broker, "1", follow_seconds=follow_seconds)
    await until(lambda: first.held)
    second = Replica(engine, broker, "2", follow_seconds=follow_seconds)
    yield first, second
    await first.end()
    await second.end()


async def test_only_the_holder_does_what_only_it_may(engine: Engine) -> None:
    """The standby reads instead, and what it reads includes what the holder wrote, without any broker."""
    async with pair(engine, Broker(_NOBODY_LISTENS, name="test")) as (first, second):
        written = await first.apply(5)
        read = await second.apply(6)

        assert (written, read) == (b"5", b"5")
        assert numbers_in(engine) == {5}
        assert (first.changes, second.changes) == (1, 0)


async def test_a_hanging_holder_is_followed_by_another_and_writes_no_more(engine: Engine) -> None:
    """When the first stands still, the second takes over; the first, awake again, adds nothing."""
    async with pair(engine, Broker(_NOBODY_LISTENS, name="test")) as (first, second):
        await first.apply(1)
        await first.hang()
        await until(lambda: second.held)
        late = await first.apply(2)
        await second.apply(3)

        assert late == b"1"
        assert numbers_in(engine) == {1, 3}
        assert not first.held


async def test_an_ended_holder_is_followed_at_once(engine: Engine) -> None:
    """The lease is given back at the end, so the second has it before it would have run out."""
    async with pair(engine, Broker(_NOBODY_LISTENS, name="test")) as (first, second):
        await first.end()
        begun = asyncio.get_running_loop().time()
        await until(lambda: second.held)

        assert asyncio.get_running_loop().time() - begun < LEASE_SECONDS


async def test_rows_of_others_are_seen_without_a_broker(engine: Engine) -> None:
    """A slow look finds what nobody told of."""
    async with pair(engine, Broker(_NOBODY_LISTENS, name="test")) as (first, second):
        await first.writer.run(add(4))
        await until(lambda: second.total == 4)

        assert numbers_in(engine) == {4}


async def test_rows_of_others_are_told_over_the_broker(engine: Engine) -> None:
    """With looks an hour apart, whatever either commits is seen by the other at once."""
    async with (
        running_nats() as server,
        connected(server) as broker,
        pair(engine, broker, follow_seconds=3600) as (first, second),
    ):
        await asyncio.sleep(0)  # both have asked to be told
        await broker.client().flush()
        await first.writer.run(add(4))
        await until(lambda: second.total == 4)
        await second.writer.run(add(5))
        await until(lambda: first.total == 9)

        assert numbers_in(engine) == {4, 5}
