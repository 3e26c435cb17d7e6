"""This process among the replicas of its service: which one publishes and follows, and how they hear of each other's rows.

Invariant: being told sooner only spares waiting. Whoever was not told looks every `follow_seconds`, and whoever does not hold
the lease writes nothing of what only its holder writes.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from nats.aio.msg import Msg
from sqlalchemy import Engine

from services.common.broker import Broker, BrokerAwayError
from services.common.errors import Refusal
from services.common.lease import Lease, LeaseLostError, LeaseTable, name_of_process
from services.common.work import Work
from services.common.writer import Writer

_RELEASE_SECONDS = 1.0

W = TypeVar("W", bound=Work[Any])
T = TypeVar("T")

log = structlog.get_logger("replicas")


def look(_work: Any) -> None:
    """Do nothing: a command still takes the head's lock and adds what others committed."""


class Replicas:
    """One of them."""

    def __init__(
        self,
        service: str,
        engine: Engine,
        table: LeaseTable,
        broker: Broker,
        *,
        random: str,
        lease_seconds: float,
        follow_seconds: float,
    ) -> None:
        """`random` tells this process from one before it with the same number."""
        self.name = name_of_process(random)
        self.lease = Lease(engine, table, self.name, lease_seconds=lease_seconds)
        self.database_reason = ""
        self._broker = broker
        # Not among the subjects that a stream keeps.
        self._subject = f"tiendo.{service}.wake"
        self._follow_seconds = follow_seconds
        self._wrote, self._told = asyncio.Event(), asyncio.Event()

    def wrote(self) -> None:
        """Say that this process committed something that the others do not know."""
        self._wrote.set()

    async def apply(self, writer: Writer[Any, W], decide: Callable[[W], T], otherwise: Callable[[W], T]) -> T:
        """Run what only the holder may do; elsewhere, and where the lease was lost meanwhile, `otherwise`, which only reads.

        Either sees what was committed so far. Refusals as for `Writer.run`.
        """

        def checked(work: W) -> T:
            self.lease.check(work.connection)
            return decide(work)

        done: T
        if self.lease.held:
            with contextlib.suppress(LeaseLostError):
                done = await writer.run(checked)
                return done
        done = await writer.run(otherwise)
        return done

    async def run(self, writer: Writer[Any, Any], changed: Callable[[], None], looked: Callable[[], None]) -> None:
        """Be one of them until cancelled. `changed`: the lease was got or lost. `looked`: others' rows, if any, can be seen."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.lease.run(changed))
            tasks.create_task(self._tell())
            tasks.create_task(self._follow(writer, looked))

    async def end(self) -> None:
        """Give the lease back, so that nobody has to wait for its end; tries for a second."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RELEASE_SECONDS):
                await asyncio.to_thread(self.lease.release)

    async def _tell(self) -> None:
        while True:
            await self._wrote.wait()
            self._wrote.clear()
            with contextlib.suppress(BrokerAwayError):
                await self._broker.publish(self._subject, self.name.encode())

    async def _follow(self, writer: Writer[Any, Any], looked: Callable[[], None]) -> None:
        await self._broker.subscribe(self._subject, self._on_told)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._follow_seconds):
                    await self._told.wait()
            self._told.clear()
            try:
                await writer.run(look)
            except Refusal:
                self.database_reason = "the database does not answer; start it or mend its address"
            except Exception:  # a replica that stops looking in silence is the worst outcome
                log.exception("looking failed")
                self.database_reason = "the database cannot be read; see the log"
            else:
                self.database_reason = ""
                looked()

    def _on_told(self, message: Msg) -> None:
        if message.data != self.name.encode():
            self._told.set()
