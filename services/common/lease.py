"""The lease: of a service's replicas, the one that publishes its journal and follows its sources.

Invariant: a holder stops counting itself as one before any other can take over, and `check` inside a transaction refuses
whoever is not the holder by then. Data is safe without it, by the head's lock and the broker's own checks; it spares the work
of doing everything once a replica.

No clock is compared between machines. The holder raises a number; whoever sees the same number for the length of the lease,
by a clock of its own, takes it over, and at once where the holder was a process of this machine that is gone.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from services.common.db import Sequence64, read_transaction, write_transaction

# A standby that looks this often, and a holder that beats three times a lease, change over in 1.5 leases at the most.
_LOOKS_A_LEASE = 10
_BEATS_A_LEASE = 3

log = structlog.get_logger("lease")


def name_of_process(random: str) -> str:
    """Give this process's name as a holder: its machine, its number, and `random`, at most 16 characters."""
    return f"{socket.gethostname()[:30]}/{os.getpid()}/{random}"


def has_ended(holder: str) -> bool:
    """Whether the process of that name is known to be gone: it was on this machine and has no process any more."""
    machine, _, rest = holder.partition("/")
    number = rest.partition("/")[0]
    if machine != socket.gethostname()[:30] or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


class LeaseLostError(Exception):
    """Another replica has taken over: nothing may be written in this transaction."""


class LeaseTable:
    """Who holds the lease, in one service's schema: one row, a holder and the number it raises."""

    def __init__(self, metadata: MetaData) -> None:
        table = self._table = Table(
            "lease",
            metadata,
            Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
            Column("holder", String(64), nullable=False),
            Column("beat", Sequence64, nullable=False),
        )
        self._select = select(table.c.holder, table.c.beat)
        self._select_locked = self._select.with_for_update()
        self._take = (
            update(table)
            .where(table.c.holder == bindparam("seen_holder"), table.c.beat == bindparam("seen_beat"))
            .values(holder=bindparam("new_holder"), beat=table.c.beat + 1)
        )

    def found(self, connection: Connection) -> None:
        """Make the row, held by nobody, unless it is there."""
        if connection.execute(self._select).first() is None:
            connection.execute(insert(self._table).values(id=1, holder="", beat=0))

    def read(self, connection: Connection, *, lock: bool = False) -> tuple[str, int]:
        """Give holder and number; nobody and 0 where there is no row. `lock`: nobody may take it before the transaction ends."""
        row = connection.execute(self._select_locked if lock else self._select).first()
        return (row.holder, row.beat) if row else ("", 0)

    def take(self, connection: Connection, seen: tuple[str, int], holder: str) -> bool:
        """Write a holder and the next number, if the row still is as it was seen."""
        values = {"seen_holder": seen[0], "seen_beat": seen[1], "new_holder": holder}
        return connection.execute(self._take, values).rowcount == 1


class Lease:
    """One replica's part in it."""

    def __init__(
        self,
        engine: Engine,
        table: LeaseTable,
        holder: str,
        *,
        lease_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`holder` is this process's own name, at most 64 characters, never used before. `clock` gives seconds."""
        self._engine, self._table, self._holder = engine, table, holder
        self._lease_seconds, self._clock = lease_seconds, clock
        self._held_until = self._beat_at = float("-inf")
        self._seen: tuple[str, int] | None = None
        self._seen_since = 0.0
        # A step goes on in its thread though nobody waits for it any more; giving back comes after it.
        self._stepping = threading.Lock()

    @property
    def held(self) -> bool:
        """Whether this replica holds it; from any thread."""
        return self._clock() < self._held_until

    def step(self) -> None:
        """Hold on, or see whether it can be had. Blocks for the database; raises what the database raises."""
        with self._stepping:
            self._step()

    def _step(self) -> None:
        now = self._clock()
        if self.held and now < self._beat_at + self._lease_seconds / _BEATS_A_LEASE:
            return
        with read_transaction(self._engine) as connection:
            seen = self._table.read(connection)
        if seen != self._seen:
            self._seen, self._seen_since = seen, self._clock()
        silent = self._clock() - self._seen_since >= self._lease_seconds
        if seen[0] not in {"", self._holder} and not silent and not has_ended(seen[0]):
            self._held_until = float("-inf")
            return
        with write_transaction(self._engine) as connection:
            taken = self._table.take(connection, seen, self._holder)
        # Counted from before the writing: whoever reads the new number begins to wait only after it.
        self._held_until = now + self._lease_seconds if taken else float("-inf")
        self._beat_at = now

    def check(self, connection: Connection) -> None:
        """Raise LeaseLostError unless this replica holds it, and keep it so until the transaction ends."""
        if self._table.read(connection, lock=True)[0] != self._holder:
            self._held_until = float("-inf")
            raise LeaseLostError

    def release(self) -> None:
        """Let another have it at once. Blocks for the database; a database that is away is none of our concern any more."""
        self._held_until = float("-inf")
        try:
            with self._stepping, write_transaction(self._engine) as connection:
                seen = self._table.read(connection, lock=True)
                if seen[0] == self._holder:
                    self._table.take(connection, seen, "")
        except SQLAlchemyError:
            log.info("lease not given back; it ends by itself")

    async def run(self, changed: Callable[[], None]) -> None:
        """Keep or seek it until cancelled; `changed` is called on the loop whenever it was got or lost."""
        held = self.held
        while True:
            try:
                await asyncio.to_thread(self.step)
            except Exception as problem:  # noqa: BLE001 (a lease nobody seeks any more is the worst outcome)
                log.warning("lease not renewed", problem=type(problem).__name__)
            if self.held is not held:
                held = not held
                log.info("lease", held=held)
                changed()
            await asyncio.sleep(self._lease_seconds / _LOOKS_A_LEASE)
