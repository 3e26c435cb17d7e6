"""Migrations of a service's database, by alembic.

Invariant: any number of processes may migrate one database at once, and a schema never goes back.
"""

import secrets
from collections.abc import Callable
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, MetaData, text
from sqlalchemy.schema import CreateSchema

from services.common import db
from services.common.config import ServiceSettings, Settings
from services.common.journal import Journal, utc_now
from services.common.schema import found_revision, migrations_of, refuse_newer, revisions

_BUSY_SECONDS = 60.0  # of many that start at once, the last waits for all others
_LOCK = 7_100_227  # any constant: with the service's name, one lock for all its migrations in one database


def scripts(service: str, connection: Connection | None = None) -> Config:
    """Give alembic the migrations of a service, to run on this connection."""
    config = Config()
    config.set_main_option("script_location", str(migrations_of(service)))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def migrate(
    engine: Engine, service: str, begin: Callable[[Connection], None] = lambda _: None, *, to: str = "head"
) -> tuple[str, str]:
    """Bring the schema of `service` to revision `to`; give what was found and what it is now. Twice changes nothing.

    `begin` fills what a new schema needs, in the same transaction; any number of processes may do this at once. Raises
    SchemaError, having changed nothing, when the schema found is newer than this code: there is no way back.
    """
    with db.write_transaction(engine) as connection:
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
        keys = {"key": _LOCK, "service": service}
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


def migrate_service(service: str, shared: Settings, own: ServiceSettings, journal: Journal) -> tuple[str, str]:
    """Bring the schema up to date and begin the journal; give the schema found and the schema made. Raises SchemaError."""
    engine = db.open_engine(own.database(service, shared), busy_seconds=_BUSY_SECONDS)
    try:
        return migrate(engine, service, lambda connection: journal.found(connection, secrets.token_hex(8), utc_now()))
    finally:
        engine.dispose()
