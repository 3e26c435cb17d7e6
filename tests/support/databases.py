"""Databases for the contract suites: SQLite in a file, and a real PostgreSQL, one server a test process."""

import uuid
from pathlib import Path

from sqlalchemy import Engine

from services.common.db import open_engine
from tests.support.postgres import shared_postgres

ENGINES = ("sqlite", "postgres")


def new_database(kind: str, folder: Path) -> str:
    """Make an empty database; give its URL."""
    if kind == "sqlite":
        return f"sqlite:///{folder / uuid.uuid4().hex}.db"
    return shared_postgres().make(f"t{uuid.uuid4().hex}")[0]


def new_engine(kind: str, folder: Path) -> Engine:
    """Open an empty database."""
    return open_engine(new_database(kind, folder))
