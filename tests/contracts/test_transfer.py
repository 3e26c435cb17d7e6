"""Back-ups, restoring and moving of one service's data, on both engines and between them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from services.common import db
from services.common.lease import Lease
from services.common.migrations import migrate
from services.common.place import Place, TransferRefusedError
from services.common.schema import revisions
from services.common.transfer import back_up, moving, restoring
from services.integration.storage import journal
from tests.support.databases import ENGINES
from tests.support.transfers import (
    LEASE_SECONDS,
    OTHER_EPOCH,
    SERVICE,
    WRITTEN,
    Databases,
    data,
    everything,
    quiet,
    refusal,
    restore,
    rewrite,
    run,
)


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
