"""The database: engines, transactions, instants.

Invariant: a write transaction holds the write lock from its first statement (`BEGIN IMMEDIATE` on SQLite), so it can never
fail half-way because a reader was turned into a writer; a read transaction never takes it.
"""

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Executable,
    Integer,
    Table,
    create_engine,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

# SQLite counts rows fastest when the key is its own rowid, which only INTEGER is.
Sequence64 = BigInteger().with_variant(Integer(), "sqlite")

T = TypeVar("T")

_BUSY_SECONDS = 5.0
_ROWS_A_STATEMENT = 1000
_AGAIN_SECONDS = 0.01


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, stored in UTC on every engine; a naive one is refused with ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn it into UTC; SQLite, which keeps no offset, gets the bare UTC clock."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"naive datetime {value!r}"
            raise ValueError(msg)
        instant = value.astimezone(UTC)
        return instant.replace(tzinfo=None) if dialect.name == "sqlite" else instant

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give it back aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def open_engine(url: str, *, busy_seconds: float = _BUSY_SECONDS) -> Engine:
    """Open `sqlite:///PATH` (its folder is made) or `postgresql://…` (psycopg 3). Connects on first use.

    `busy_seconds`: how long SQLite waits for its write lock.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, connect_args={"check_same_thread": False, "timeout": busy_seconds})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return create_engine(parsed, pool_pre_ping=True)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            # Where several open a new file at once, SQLite refuses this without waiting, whatever its time-out.
            if time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_SECONDS)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("tiendo_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction that may write: committed at the end, rolled back on any exception."""
    with engine.connect() as connection:
        connection = connection.execution_options(tiendo_write=True)  # noqa: PLW2901
        with connection.begin():
            yield connection


class WriteConnection:
    """One connection kept for a thread that writes all the time; after a failure the next transaction gets a new one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction that may write: committed at the end, rolled back on any exception."""
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(tiendo_write=True)
        try:
            with self._connection.begin():
                yield self._connection
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """One consistent view of the database; what it holds is rolled back at the end."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
        with connection.begin():
            yield connection


def may_pass(failure: BaseException) -> bool:
    """Tell whether trying again can help: the database did not answer, and did not refuse the very content."""
    return isinstance(failure, DBAPIError) and not isinstance(failure, IntegrityError | DataError)


def described(failure: BaseException) -> dict[str, Any]:
    """Give what a log line says of a failure that may pass: the driver's words, and the stack unless it is plainly away."""
    origin = failure.__cause__ if failure.__cause__ is not None and not isinstance(failure, DBAPIError) else failure
    words = " ".join(str(getattr(origin, "orig", None) or origin).split())
    return {"problem": words} if isinstance(origin, OperationalError) else {"problem": words, "exc_info": failure}


def table_of(row: type[SQLModel]) -> Table:
    """Give the table that a row class describes, for statements that make no objects."""
    table: Table = row.__table__  # type: ignore[attr-defined]
    return table


def steps(values: Iterable[T]) -> Iterator[list[T]]:
    """Give values in lists of a bounded length: a statement's parameters are in memory several times over."""
    rest = iter(values)
    while step := list(islice(rest, _ROWS_A_STATEMENT)):
        yield step


def upsert(connection: Connection, table: Table, values: Iterable[dict[str, Any]], *, keys: Sequence[str]) -> None:
    """Insert rows, or change those whose `keys` are there already; each row names the same columns."""
    for step in steps(values):
        connection.execute(_upsert(connection.dialect.name, table, tuple(step[0]), tuple(keys)), step)


@cache
def _upsert(dialect: str, table: Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> Executable:
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    changes = {name: insert.excluded[name] for name in columns if name not in keys}
    statement: Executable = insert.on_conflict_do_update(index_elements=list(keys), set_=changes)
    return statement


def shown_url(url: str) -> str:
    """Give a database URL that may be shown: without its password."""
    return re.sub(r"://([^:/@]+):[^@]*@", r"://\1:***@", url)
