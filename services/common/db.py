"""The database: engines, transactions, instants, migrations.

Invariant: a write transaction holds the write lock from its first statement (`BEGIN IMMEDIATE` on SQLite), so it can never
fail half-way because a reader was turned into a writer; a read transaction never takes it.
"""

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Executable,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.schema import CreateSchema
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

# SQLite counts rows fastest when the key is its own rowid, which only INTEGER is.
Sequence64 = BigInteger().with_variant(Integer(), "sqlite")

T = TypeVar("T")

_BUSY_SECONDS = 5.0
_ROWS_A_STATEMENT = 1000
_AGAIN_SECONDS = 0.01
MIGRATION_BUSY_SECONDS = 60.0  # of many that start at once, the last waits for all others
_MIGRATION_LOCK = 7_100_227  # any constant: with the service's name, one lock for all its migrations in one database


class SchemaError(Exception):
    """The database has another schema than this code; the message gives both and the command."""


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


def scripts(service: str, connection: Connection | None = None) -> Config:
    """Give alembic the migrations of a service, to run on this connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent.parent / service / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def revisions(service: str) -> list[str]:
    """Give the schemas that this code knows, the newest first."""
    return [script.revision for script in ScriptDirectory.from_config(scripts(service)).walk_revisions()]


def found_revision(connection: Connection) -> str:
    """Give the schema found in the database; "none" when there is none."""
    return MigrationContext.configure(connection).get_current_revision() or "none"


def check_schema(engine: Engine, service: str) -> None:
    """Raise SchemaError unless the database has exactly the newest schema that this code knows."""
    known = revisions(service)
    with read_transaction(engine) as connection:
        found = found_revision(connection)
    if found == known[0]:
        return
    refuse_newer(engine, found, known)
    raise SchemaError(f"{engine.url} has schema {found}, this version needs {known[0]}; run `tiendo migrate`")


def refuse_newer(engine: Engine, found: str, known: Sequence[str]) -> None:
    """Raise SchemaError when a database has a schema that this code does not know, which is to say a newer one."""
    if found not in {"none", *known}:
        raise SchemaError(
            f"{engine.url} has schema {found}, newer than this version of Tiendo, which knows {known[0]}; "
            "a schema never goes back: install the version that made it, or `tiendo restore` the back-up from before"
        )


def migrate(
    engine: Engine, service: str, begin: Callable[[Connection], None] = lambda _: None, *, to: str = "head"
) -> tuple[str, str]:
    """Bring the schema of `service` to revision `to`; give what was found and what it is now. Twice changes nothing.

    `begin` fills what a new schema needs, in the same transaction; any number of processes may do this at once. Raises
    SchemaError, having changed nothing, when the schema found is newer than this code: there is no way back.
    """
    with write_transaction(engine) as connection:
        return migrate_in(connection, service, begin, to=to)


def migrate_in(
    connection: Connection, service: str, begin: Callable[[Connection], None] = lambda _: None, *, to: str = "head"
) -> tuple[str, str]:
    """Do what `migrate` does in a write transaction that the caller ends."""
    lock_schema(connection, service)
    if connection.dialect.name == "postgresql":
        _make_schema(connection)
    known = revisions(service)
    found, wanted = found_revision(connection), known[0] if to == "head" else to
    refuse_newer(connection.engine, found, known)
    if found != wanted:
        command.upgrade(scripts(service, connection), wanted)
    begin(connection)
    return found, wanted


def lock_schema(connection: Connection, service: str) -> None:
    """Let nobody else change this service's schema in this database before the write transaction ends."""
    if connection.dialect.name == "postgresql":
        keys = {"key": _MIGRATION_LOCK, "service": service}
        connection.execute(text("SELECT pg_advisory_xact_lock(:key, hashtext(:service))"), keys)


def _make_schema(connection: Connection) -> None:
    """Make the schema that the database URL names first in its search_path, where it is not there."""
    if connection.execute(text("SELECT current_schema()")).scalar() is None:
        path = connection.execute(text("SELECT current_setting('search_path')")).scalar_one()
        name = path.split(",")[0].strip().strip('"')
        connection.execute(CreateSchema(name, if_not_exists=True))


def run_migrations(context: Any, metadata: MetaData) -> None:
    """Be the body of every `migrations/env.py`: run the scripts on the connection that `migrate` holds."""
    context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


def shown_url(url: str) -> str:
    """Give a database URL that may be shown: without its password."""
    return re.sub(r"://([^:/@]+):[^@]*@", r"://\1:***@", url)
