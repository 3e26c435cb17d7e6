"""Databases that are backed up, restored and moved, and what is in them."""

import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services.common import db, tables
from services.common.contents import Contents
from services.common.migrations import migrate
from services.common.place import Place, TransferRefusedError
from services.common.transfer import Progress, back_up, restoring
from services.integration.storage import journal
from tests.support.databases import copy_database, lasting_database, new_database
from tests.support.released import RELEASES, put_back, released

SERVICE = "integration"
WRITTEN = released(RELEASES[-1], SERVICE).contents
LAST = WRITTEN.head.sequence
LEASE_SECONDS = 0.5
OTHER_EPOCH = "ffeeddccbbaa9900"
"""For what begins another epoch when it is restored, which a journal that is followed does not."""


def quiet(*_: Any) -> None:
    """Hear nothing of the way."""


class Databases:
    """Databases of the test, by engine, empty or filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def empty(self, kind: str) -> Place:
        """A new one."""
        return Place(SERVICE, new_database(kind, self.folder), journal)

    def filled(self, kind: str) -> Place:
        """One with what the last release wrote."""
        return Place(SERVICE, copy_database(written(kind), self.folder), journal)

    def backup(self, kind: str) -> Path:
        """A back-up of such a one."""
        file = self.folder / f"{kind}.backup"
        back_up(self.filled(kind), file, quiet)
        return file


@cache
def written(kind: str) -> str:
    """A database with what the last release wrote, to be copied."""
    url = lasting_database(kind)
    engine = db.open_engine(url)
    put_back(engine, released(RELEASES[-1], SERVICE))
    migrate(engine, SERVICE, journal.lease.found)
    engine.dispose()
    return url


def run(place: Place, statement: str, **values: Any) -> None:
    """Change a database from outside."""
    engine = db.open_engine(place.url)
    with db.write_transaction(engine) as connection:
        connection.execute(text(statement), values)
    engine.dispose()


def everything(place: Place) -> dict[str, list[str]]:
    """Every line of every table; nothing where there is no file."""
    if place.file is not None and not place.file.exists():
        return {}
    engine = db.open_engine(place.url)
    with db.read_transaction(engine) as connection:
        held = {name: list(tables.lines(connection, table)) for name, table in tables.all_tables(connection).items()}
    engine.dispose()
    return held


def data(place: Place) -> dict[str, list[str]]:
    """Every line of the tables that hold data."""
    return {name: rows for name, rows in everything(place).items() if name not in tables.NOT_DATA}


def restore(place: Place, file: Path, *, replace: bool = False, tell: Progress = quiet) -> Contents:
    """Restore and commit."""
    with restoring(place, file, epoch=OTHER_EPOCH, replace=replace, lease_seconds=LEASE_SECONDS, tell=tell) as placed:
        return placed.contents


def refusal(place: Place, file: Path, *, replace: bool = False) -> str:
    """Why a restore is refused, in a word."""
    with pytest.raises(TransferRefusedError) as caught:
        restore(place, file, replace=replace)
    return caught.value.reason


def rewrite(file: Path, target: Path, member: str, change: Callable[[str], str]) -> None:
    """Copy a back-up with one member changed, its checksums right."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text_in = old.read(name).decode()
            new.writestr(name, change(text_in) if name == member else text_in)
