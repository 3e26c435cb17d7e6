"""Databases for the contract suites: SQLite in a file, and a real PostgreSQL, one server a test process."""

import atexit
import importlib
import secrets
import shutil
import tempfile
import uuid
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from services.common import db
from services.common.db import open_engine
from services.common.journal import Journal
from services.common.migrations import migrate
from tests.support.postgres import shared_postgres

# Recorded times never go back, not behind the beginning of a journal either.
_BEGUN = datetime(2022, 1, 1, tzinfo=UTC)
ENGINES = ("sqlite", "postgres")


def new_database(kind: str, folder: Path) -> str:
    """Make an empty database; give its URL."""
    if kind == "sqlite":
        return f"sqlite:///{folder / uuid.uuid4().hex}.db"
    return shared_postgres().make(f"t{uuid.uuid4().hex}")[0]


def journal_of(service: str) -> Journal:
    """Give the journal of a service that is known by its name alone."""
    journal: Journal = importlib.import_module(f"services.{service}.storage").journal
    return journal


def url_of(where: Path | str, service: str) -> str:
    """Give the URL of a service's database: the one that is named, or its SQLite file in that folder."""
    return where if isinstance(where, str) else f"sqlite:///{where / service}.db"


def migrated_database(kind: str, service: str, folder: Path) -> str:
    """Make a database with the schema of a service, its journal begun, by copying one that was migrated; give its URL.

    All copies of one process have the same epoch, begun early in 2022: a test's clock may say any time after that.
    """
    return copy_database(_migrated(kind, service), folder)


def copy_database(made: str, folder: Path) -> str:
    """Copy the database of a URL, which nobody uses; give the URL of the copy."""
    if made.startswith("sqlite"):
        target = new_database("sqlite", folder)
        shutil.copyfile(str(make_url(made).database), str(make_url(target).database))
        return target
    copy = f"t{uuid.uuid4().hex}"
    server = make_url(shared_postgres().admin_url())
    admin = create_engine(server.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {copy} TEMPLATE {make_url(made).database}"))
    admin.dispose()
    return server.set(database=copy).render_as_string(hide_password=False)


def lasting_database(kind: str) -> str:
    """Make an empty database that stays as long as the process, to be filled and copied; give its URL."""
    folder = tempfile.mkdtemp(prefix="tiendo-schema-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return new_database(kind, Path(folder))


@cache
def _migrated(kind: str, service: str) -> str:
    url = lasting_database(kind)
    journal = journal_of(service)
    engine = open_engine(url)
    migrate(engine, service)
    with db.write_transaction(engine) as connection:
        journal.found(connection, secrets.token_hex(8), _BEGUN)
    engine.dispose()
    return url


def new_engine(kind: str, folder: Path) -> Engine:
    """Open an empty database."""
    return open_engine(new_database(kind, folder))
