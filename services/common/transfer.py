"""Carries one service's data: into a back-up, out of one, or from one database to another.

Invariant: what is placed is all there, compared line by line, before it is committed; until then the target is as it was.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from services.common import db, tables
from services.common.archive import Archived, ArchiveError, close_part, write_part
from services.common.chain import BrokenChainError
from services.common.contents import HEAD, JOURNAL, Contents, Source, TableContents, Tally, Tell, check_journal, head_of
from services.common.journal import Head
from services.common.migrations import lock_schema, migrate_in
from services.common.place import Place, TransferRefusedError, of_schema, reached, refuse_changed, refuse_served
from services.common.schema import found_revision, revisions

# Told while rows pass: "check" or "write", table, rows so far, rows in all.
Progress = Callable[[str, str, int, int], None]


class Stored:
    """A database as a source, as one transaction sees it. Its contents are known once it was checked."""

    def __init__(self, connection: Connection, place: Place) -> None:
        """Raises TransferRefusedError where there is no Tiendo database, or a newer one."""
        self._connection, self._place = connection, place
        self.schema = found_revision(connection)
        if self.schema not in revisions(place.service):
            raise of_schema(place, self.schema)
        self.tables = tables.data_tables(connection)
        head = head_of(self.columns(HEAD), self.lines(HEAD))
        if head is None:
            raise of_schema(place, "none")
        self.head: Head = head

    def columns(self, table: str) -> tuple[str, ...]:
        """Name a table's columns in their order."""
        return tuple(self.tables[table].columns.keys())

    def lines(self, table: str) -> Iterator[str]:
        """Give a table's lines."""
        return tables.lines(self._connection, self.tables[table])

    def tally(self, table: str, tell: Tell) -> Tally:
        """Give a table's lines, counted."""
        count = self._connection.execute(select(func.count()).select_from(self.tables[table])).scalar_one()
        return Tally(self.lines(table), tell, table, count)

    def check(self, tell: Tell) -> None:
        """Read all of it and check the journal's chain. Raises BrokenChainError."""
        held = {}
        for name in self.tables:
            rows = self.tally(name, tell)
            if name == JOURNAL:
                check_journal(self.head, self.columns(name), rows, whole=self._place.journal.whole)
            else:
                rows.drain()
            held[name] = TableContents(self.columns(name), rows.summary)
        self.contents = self.described(held)

    def described(self, held: dict[str, TableContents]) -> Contents:
        """Put together what is there."""
        return Contents(self._place.service, self.schema, self.head, held)


def back_up(place: Place, file: Path, tell: Progress) -> Contents:
    """Add the service's data, as of one moment, to a back-up file, and read it back. Raises TransferRefusedError."""
    with reached(place, must_exist=True) as engine, db.read_transaction(engine) as connection:
        source = Stored(connection, place)
        tallies = {name: (source.columns(name), source.tally(name, partial(tell, "write"))) for name in source.tables}
        contents = source.described(write_part(file, place.service, tallies))
    close_part(file, contents)
    with _whole(place.service):
        Archived(file, place.service).check(lambda *_: None, whole=place.journal.whole)
    return contents


@contextmanager
def restoring(
    place: Place, file: Path, *, epoch: str, replace: bool, lease_seconds: float, tell: Progress
) -> Iterator["Placed"]:
    """Put a back-up's part into the database; it is committed at the end of the block. Raises TransferRefusedError.

    The copy may be written on from an earlier row than others have seen: where tokens are held of its journal, it goes on
    under `epoch`, so that none is taken for a place in the other history.
    """
    with _whole(place.service):
        source = Archived(file, place.service)
        source.check(partial(tell, "check"), whole=place.journal.whole)
    placing = _placing(place, source, epoch=epoch, replace=replace, lease_seconds=lease_seconds, tell=tell)
    with placing as placed:
        yield placed


@contextmanager
def moving(origin: Place, place: Place, *, lease_seconds: float, tell: Progress) -> Iterator["Placed"]:
    """Put all of another database into this one; it is committed at the end of the block. Raises TransferRefusedError."""
    with reached(origin, must_exist=True) as engine:
        seen = refuse_served(engine, origin, lease_seconds)
        # Nothing is written there; its write lock keeps others from writing what would be left behind.
        with db.write_transaction(engine) as connection:
            refuse_changed(connection, origin, seen)
            source = Stored(connection, origin)
            with _whole(origin.service):
                source.check(partial(tell, "check"))
            with _placing(place, source, replace=False, lease_seconds=lease_seconds, tell=tell) as placed:
                yield placed


@dataclass(frozen=True, slots=True)
class Placed:
    """What was placed, its journal's head there, and the head of what it takes the place of, if anything."""

    contents: Contents
    head: Head
    replaces: Head | None


@contextmanager
def _placing(
    place: Place, source: Source, *, replace: bool, lease_seconds: float, tell: Progress, epoch: str = ""
) -> Iterator[Placed]:
    contents = source.contents
    if contents.schema not in revisions(place.service):
        raise of_schema(place, contents.schema)
    is_new = place.file is not None and not place.file.exists()
    committed = False
    try:
        with reached(place, must_exist=False) as engine:
            seen = refuse_served(engine, place, lease_seconds)
            with db.write_transaction(engine) as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SET LOCAL lock_timeout = '5s'"))
                lock_schema(connection, place.service)
                refuse_changed(connection, place, seen)
                replaces = _clear(connection, place, replace=replace)
                migrate_in(connection, place.service, to=contents.schema)
                _fill(connection, place, source, tell)
                migrate_in(connection, place.service, place.journal.lease.found)
                head = place.journal.rename_epoch(connection, epoch) if epoch else contents.head
                yield Placed(contents, head, replaces)
        committed = True
    finally:
        if is_new and not committed and place.file is not None:
            for end in ("", "-wal", "-shm"):
                Path(f"{place.file}{end}").unlink(missing_ok=True)


def _clear(connection: Connection, place: Place, *, replace: bool) -> Head | None:
    """Drop the tables that are in the way; give the head of the journal that goes. Raises TransferRefusedError."""
    present = tables.all_tables(connection)
    if not present:
        return None
    strange = sorted(set(present) - set(place.journal.metadata.tables) - {"alembic_version"})
    if strange or HEAD not in present:
        raise TransferRefusedError(
            "foreign",
            f"{place.service}: {place.shown} holds tables that are not of this version: {', '.join(strange or present)}; "
            "name a database of its own, or an empty one",
            url=place.shown,
            tables=", ".join(strange or present),
        )
    columns = tuple(present[HEAD].columns.keys())
    head = head_of(columns, tables.lines(connection, present[HEAD]))
    holds_data = (head is not None and head.sequence > 0) or any(
        connection.execute(select(1).select_from(table).limit(1)).first()
        for name, table in present.items()
        if name not in {*tables.NOT_DATA, HEAD}
    )
    if holds_data and not replace:
        raise TransferRefusedError(
            "not_empty",
            f"{place.service}: {place.shown} is not empty: its journal ends at row {head.sequence if head else 0}",
            url=place.shown,
            sequence=head.sequence if head else 0,
        )
    for table in present.values():
        table.drop(connection)
    return head if holds_data else None


def _fill(connection: Connection, place: Place, source: Source, tell: Progress) -> None:
    """Write every table, and read all of it again. Raises TransferRefusedError where one line differs."""
    made = tables.data_tables(connection)
    for name, held in source.contents.tables.items():
        if name not in made:
            raise _differs(place, name)
        rows = Tally(source.lines(name), partial(tell, "write"), name, held.summary.rows)
        try:
            tables.fill(connection, made[name], held.columns, rows)
        except (ValueError, ArchiveError) as problem:
            raise _differs(place, name) from problem
        if Tally(tables.lines(connection, made[name], held.columns)).drain() != held.summary:
            raise _differs(place, name)


@contextmanager
def _whole(service: str) -> Iterator[None]:
    """Word what is wrong with a back-up or a journal."""
    try:
        yield
    except ArchiveError as problem:
        raise TransferRefusedError("damaged", f"{service}: {problem}", why=str(problem)) from problem
    except BrokenChainError as problem:
        raise TransferRefusedError(
            "chain", f"{service}: the journal is not whole: {problem}", why=str(problem)
        ) from problem


def _differs(place: Place, table: str) -> TransferRefusedError:
    return TransferRefusedError(
        "differs", f"{place.service}: table {table} does not read as it was written", table=table, url=place.shown
    )
