"""Back-ups, restoring and moving of one service's data, on both engines and between them."""

import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from services.catalog.storage import journal as catalog_journal
from services.common import db, tables
from services.common.contents import Contents
from services.common.lease import Lease
from services.common.migrations import migrate
from services.common.place import Place, TransferRefusedError
from services.common.schema import revisions
from services.common.transfer import Progress, back_up, moving, restoring
from services.integration.storage import journal
from tests.support.databases import ENGINES, copy_database, lasting_database, new_database
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


@pytest.fixture
def databases(tmp_path: Path) -> Databases:
    """None yet."""
    return Databases(tmp_path)


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


@pytest.mark.parametrize("target", ENGINES)
@pytest.mark.parametrize("origin", ENGINES)
def test_a_back_up_is_restored_on_either_engine_bit_for_bit(databases: Databases, origin: str, target: str) -> None:
    """Every table of the restored database reads as that of the one that was backed up; the file names its newest row."""
    source, place, file = databases.filled(origin), databases.empty(target), databases.folder / "a.backup"

    contents = back_up(source, file, quiet)
    restored = restore(place, file)

    assert data(place) == data(source)
    assert {name: len(rows) for name, rows in data(place).items()} == {
        name: table.summary.rows for name, table in WRITTEN.tables.items()
    }
    assert everything(place)["alembic_version"] == everything(source)["alembic_version"]
    assert restored == contents
    assert (contents.head, contents.schema) == (WRITTEN.head, WRITTEN.schema)


@pytest.mark.parametrize("target", ENGINES)
@pytest.mark.parametrize("origin", ENGINES)
def test_a_database_is_moved_bit_for_bit(databases: Databases, origin: str, target: str) -> None:
    """The new one reads as the old one, table by table, and the old one is as it was."""
    source, place = databases.filled(origin), databases.empty(target)
    before = everything(source)

    with moving(source, place, lease_seconds=LEASE_SECONDS, tell=quiet) as placed:
        assert placed.contents.head == WRITTEN.head

    assert data(place) == data(source)
    assert everything(source) == before


@pytest.mark.parametrize("kind", ENGINES)
def test_nothing_is_there_before_it_is_confirmed(databases: Databases, kind: str) -> None:
    """What is written but given up leaves no table in an empty database, and a replaced one as it was."""
    file, empty, filled = databases.backup(kind), databases.empty(kind), databases.filled(kind)
    run(filled, "UPDATE integration SET update_actor = 'later'")
    before = everything(filled)

    for place, replace in ((empty, False), (filled, True)):
        with (
            pytest.raises(KeyboardInterrupt),
            restoring(place, file, epoch=OTHER_EPOCH, replace=replace, lease_seconds=LEASE_SECONDS, tell=quiet),
        ):
            raise KeyboardInterrupt

    assert everything(empty) == {}
    assert everything(filled) == before
    assert empty.file is None or not empty.file.exists()


@pytest.mark.parametrize("kind", ENGINES)
def test_a_database_with_data_is_replaced_only_when_told(databases: Databases, kind: str) -> None:
    """A journal with rows refuses; told to replace, it has the very rows of the back-up and nothing of its own."""
    file, place = databases.backup(kind), databases.filled(kind)
    run(place, "UPDATE integration SET update_actor = 'later'")
    run(place, "DELETE FROM request")

    refused = refusal(place, file)
    with restoring(place, file, epoch=OTHER_EPOCH, replace=True, lease_seconds=LEASE_SECONDS, tell=quiet) as placed:
        replaces = placed.replaces

    assert refused == "not_empty"
    assert replaces == WRITTEN.head
    assert data(place) == data(databases.filled(kind))


@pytest.mark.parametrize("kind", ENGINES)
def test_a_database_that_was_only_migrated_is_empty(databases: Databases, kind: str) -> None:
    """The journal that migrating began, with no row, gives way to the one that comes."""
    place = databases.empty(kind)
    engine = db.open_engine(place.url)
    migrate(
        engine, SERVICE, lambda connection: journal.found(connection, "ffffffffffffffff", WRITTEN.head.recorded_time)
    )
    engine.dispose()

    restore(place, databases.backup(kind))

    assert data(place) == data(databases.filled(kind))


@contextmanager
def served(place: Place) -> Iterator[None]:
    """Hold its lease as a service on another machine does."""
    engine, stop = db.open_engine(place.url), threading.Event()
    lease = Lease(engine, journal.lease, "elsewhere/7/x", lease_seconds=LEASE_SECONDS)
    lease.step()

    def hold() -> None:
        while not stop.wait(LEASE_SECONDS / 20):
            lease.step()

    holder = threading.Thread(target=hold)
    holder.start()
    yield
    stop.set()
    holder.join()
    engine.dispose()


@pytest.mark.parametrize("kind", ENGINES)
def test_a_served_database_is_neither_moved_nor_replaced(databases: Databases, kind: str) -> None:
    """While a holder raises its number both are refused, naming it; one that has fallen silent is gone."""
    file, place = databases.backup(kind), databases.filled(kind)

    with served(place):
        with pytest.raises(TransferRefusedError, match="served by process 7 on elsewhere") as caught:
            restore(place, file, replace=True)
        with (
            pytest.raises(TransferRefusedError, match="served by process 7 on elsewhere"),
            moving(place, databases.empty(kind), lease_seconds=LEASE_SECONDS, tell=quiet),
        ):
            pass
    silent = everything(place)["lease"]
    restore(place, file, replace=True)

    assert caught.value.reason == "served"
    assert '"elsewhere/7/x"' in silent[0]
    assert everything(place)["lease"] == ['[1,"",0]']


@pytest.mark.parametrize("kind", ENGINES)
def test_what_is_not_ours_is_left_alone(databases: Databases, kind: str) -> None:
    """A database with tables of somebody else is refused, told to replace or not, and so is one that is not there."""
    file, place = databases.backup(kind), databases.filled(kind)
    run(place, "CREATE TABLE payroll (id INTEGER PRIMARY KEY)")
    before = everything(place)

    reasons = [refusal(place, file, replace=replace) for replace in (False, True)]
    with pytest.raises(TransferRefusedError) as caught:
        back_up(databases.empty(kind), databases.folder / "none.backup", quiet)

    assert reasons == ["foreign", "foreign"]
    assert everything(place) == before
    assert caught.value.reason == ("missing" if kind == "sqlite" else "no_schema")


def test_a_database_that_does_not_answer(databases: Databases) -> None:
    """It is named without its password, with the driver's reason."""
    place = Place(SERVICE, "postgresql://someone:secret@127.0.0.1:1/tiendo?connect_timeout=2", journal)

    with pytest.raises(TransferRefusedError) as caught:
        restore(place, databases.backup("sqlite"))

    assert caught.value.reason == "unreachable"
    assert "secret" not in str(caught.value)
    assert "someone:***@127.0.0.1:1" in caught.value.values["url"]


@pytest.mark.parametrize("kind", ENGINES)
def test_a_newer_schema_is_refused(databases: Databases, kind: str) -> None:
    """Neither a back-up nor a database of a newer version is read by this one; both numbers are told."""
    file, place = databases.backup(kind), databases.filled(kind)
    newer = databases.folder / "newer.backup"
    rewrite(
        file, newer, "integration.json", lambda text: text.replace(f'"schema": "{WRITTEN.schema}"', '"schema": "9999"')
    )
    run(place, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(TransferRefusedError, match=rf"schema 9999 is newer .* knows {WRITTEN.schema}") as of_file:
        restore(databases.empty(kind), newer)
    with pytest.raises(TransferRefusedError, match=rf"schema 9999 is newer .* knows {WRITTEN.schema}"):
        back_up(place, databases.folder / "other.backup", quiet)

    assert of_file.value.values == {"found": "9999", "known": revisions(SERVICE)[0]}


def rewrite(file: Path, target: Path, member: str, change: Callable[[str], str]) -> None:
    """Copy a back-up with one member changed, its checksums right."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            text_in = old.read(name).decode()
            new.writestr(name, change(text_in) if name == member else text_in)


def tampered(line: str, **changes: Any) -> str:
    """A journal line with some of its values changed: sequence, digest, payload, cause."""
    columns = WRITTEN.tables["journal"].columns
    values = dict(zip(columns, json.loads(line), strict=True)) | changes
    return json.dumps([values[name] for name in columns], separators=(",", ":"))


def change_row(number: int, **changes: Any) -> Callable[[str], str]:
    """Change one row of a journal."""

    def change(text_in: str) -> str:
        rows = text_in.splitlines()
        rows[number - 1] = tampered(rows[number - 1], **changes)
        return "\n".join(rows) + "\n"

    return change


def drop_row(number: int) -> Callable[[str], str]:
    """Leave one row of a table out."""

    def change(text_in: str) -> str:
        rows = text_in.splitlines()
        return "\n".join([*rows[: number - 1], *rows[number:]]) + "\n"

    return change


@pytest.mark.parametrize(
    ("member", "change", "reason", "why"),
    [
        ("integration/journal.jsonl", change_row(4, payload="CgA="), "chain", "row 4 was changed"),
        ("integration/journal.jsonl", drop_row(4), "chain", "row 4 is missing"),
        (
            "integration/journal.jsonl",
            drop_row(LAST),
            "chain",
            f"it ends at row {LAST - 1}, its head names row {LAST}",
        ),
        (
            "integration/transition.jsonl",
            drop_row(1),
            "damaged",
            "table integration/transition is not as it was written",
        ),
        (
            "integration/request.jsonl",
            lambda text_in: text_in.replace("step/3", "step/9"),
            "damaged",
            "is not as it was",
        ),
        ("integration.json", lambda _: "{", "damaged", "cannot be read"),
        ("integration.json", lambda text_in: text_in.replace('"format": 1', '"format": 2'), "damaged", "newer version"),
    ],
)
def test_a_changed_back_up_is_refused_before_anything_is_written(
    databases: Databases, member: str, change: Callable[[str], str], reason: str, why: str
) -> None:
    """A row changed, dropped or cut off, whatever checksums say, is found by the chain or the table's own hash."""
    file, changed, place = databases.backup("sqlite"), databases.folder / "changed.backup", databases.filled("sqlite")
    rewrite(file, changed, member, change)
    before = everything(place)

    with pytest.raises(TransferRefusedError) as caught:
        restore(place, changed, replace=True)

    assert caught.value.reason == reason
    assert why in caught.value.values["why"]
    assert everything(place) == before


def test_a_file_that_was_cut_off_or_is_no_back_up(databases: Databases) -> None:
    """Every length of a back-up but the whole is refused, and so is a bit that turned, another file, and none."""
    file, other = databases.backup("sqlite"), databases.folder / "other"
    content, place = file.read_bytes(), databases.empty("sqlite")

    for size in (0, 1, 100, len(content) // 2, len(content) - 1):
        other.write_bytes(content[:size])
        assert refusal(place, other) == "damaged"
    turned = bytearray(content)
    turned[content.index(b"integration/journal.jsonl") + 400] ^= 1
    other.write_bytes(turned)
    assert refusal(place, other) in {"damaged", "chain"}
    other.write_text("Đăng ký thường trú\n")
    assert refusal(place, other) == "damaged"
    assert refusal(place, databases.folder / "nothing") == "damaged"
    assert everything(place) == {}


def test_a_part_of_another_service_is_not_taken(databases: Databases) -> None:
    """A back-up of integration alone has nothing for the catalog, and says so."""
    place = Place("catalog", new_database("sqlite", databases.folder), catalog_journal)

    with pytest.raises(TransferRefusedError, match="no whole part of catalog"):
        restore(place, databases.backup("sqlite"))


@pytest.mark.parametrize("kind", ENGINES)
def test_a_broken_journal_is_found_when_it_is_backed_up_or_moved(databases: Databases, kind: str) -> None:
    """A row changed in the database itself: the back-up that is read back says so, and a move does not begin."""
    place, target = databases.filled(kind), databases.empty(kind)
    run(place, "UPDATE journal SET digest = :digest WHERE sequence = 5", digest="0" * 64)

    with pytest.raises(TransferRefusedError, match="row 5 was changed"):
        back_up(place, databases.folder / "a.backup", quiet)
    with (
        pytest.raises(TransferRefusedError, match="row 5 was changed"),
        moving(place, target, lease_seconds=LEASE_SECONDS, tell=quiet),
    ):
        pass

    assert everything(target) == {}


@pytest.mark.parametrize("kind", ENGINES)
def test_a_back_up_is_of_one_moment(databases: Databases, kind: str) -> None:
    """What is written while it is taken is in none of its tables, early or late."""
    place, file = databases.filled(kind), databases.folder / "a.backup"
    before = data(place)
    written: list[bool] = []

    def write_meanwhile(*_: Any) -> None:
        if not written:
            written.append(True)
            run(place, "DELETE FROM transition")
            run(place, "UPDATE integration SET update_actor = 'meanwhile'")

    back_up(place, file, write_meanwhile)
    target = databases.empty(kind)
    restore(target, file)

    assert data(place) != before
    assert data(target) == before


def test_progress_is_told(databases: Databases) -> None:
    """Each table is told when it is checked and when it is written, up to its last row."""
    told: list[tuple[str, str, int, int]] = []

    restore(databases.empty("sqlite"), databases.backup("sqlite"), tell=lambda *step: told.append(step))

    ends = {(step, table): (rows, of) for step, table, rows, of in told}
    assert ends == {
        (step, name): (table.summary.rows, table.summary.rows)
        for step in ("check", "write")
        for name, table in WRITTEN.tables.items()
    }
