"""A restored copy of status: the same progress, under another epoch, so that no watcher's token means another event there."""

from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import text

from services.common import db, tables
from services.common.envelope import header_of
from services.common.journal import Row
from services.common.migrations import migrate
from services.common.place import Place
from services.common.transfer import back_up, moving, restoring
from services.status.storage import journal
from tests.support.databases import new_database
from tests.support.peers import integrated
from tests.support.released import RELEASES, put_back, released
from tests.support.status_service import refusal, running_status
from tests.support.watching import Watching
from tiendo.status.v1 import events_pb2
from tiendo.status.v1 import status_service_pb2 as pb

OTHER_EPOCH = "ffeeddccbbaa9900"
NEWEST = released(RELEASES[-1], "status").contents.head.sequence
OF_THE_JOURNAL = {"journal", "journal_head"}


def quiet(*_: Any) -> None:
    """Hear nothing of the way."""


def filled(kind: str, folder: Path) -> Place:
    """A database with what the last release wrote."""
    place = Place("status", new_database(kind, folder), journal)
    engine = db.open_engine(place.url)
    put_back(engine, released(RELEASES[-1], "status"))
    migrate(engine, "status", journal.lease.found)
    engine.dispose()
    return place


def restore(place: Place, file: Path, *, replace: bool = False) -> None:
    """Restore and commit."""
    with restoring(place, file, epoch=OTHER_EPOCH, replace=replace, lease_seconds=0.5, tell=quiet) as placed:
        assert placed.head.epoch == OTHER_EPOCH


def held(place: Place) -> tuple[dict[str, list[str]], list[Row], list[tuple[Any, ...]]]:
    """The tables beside the journal, its rows, and their numbers and causes."""
    engine = db.open_engine(place.url)
    with db.read_transaction(engine) as connection:
        others = {
            name: list(tables.lines(connection, table))
            for name, table in tables.data_tables(connection).items()
            if name not in OF_THE_JOURNAL
        }
        rows = journal.read(connection, 0, 1000)
        causes = connection.execute(text("SELECT sequence, cause FROM journal ORDER BY sequence"))
        found = others, rows, [tuple(row) for row in causes]
    engine.dispose()
    return found


def told(row: Row) -> events_pb2.ProgressEvent:
    """What an event says, apart from its place in the chain."""
    event = events_pb2.ProgressEvent.FromString(row.payload)
    event.epoch = event.previous_digest = ""
    return event


def test_a_copy_is_the_same_history_under_another_epoch(kind: str, tmp_path: Path) -> None:
    """Every event is there with its number, time and cause, chained anew and found whole; no other table differs."""
    source, place, file = filled(kind, tmp_path), Place("status", new_database(kind, tmp_path), journal), tmp_path / "a"
    back_up(source, file, quiet)

    restore(place, file)

    others, rows, causes = held(source)
    copied_others, copied, copied_causes = held(place)
    assert (copied_others, copied_causes) == (others, causes)
    assert [told(row) for row in copied] == [told(row) for row in rows]
    assert {row.epoch for row in copied} == {header_of(row.payload).epoch for row in copied} == {OTHER_EPOCH}
    assert all(header_of(after.payload).previous_digest == before.digest for before, after in pairwise(copied))
    assert back_up(place, tmp_path / "again", quiet).head.sequence == len(rows) == NEWEST


def test_a_trimmed_copy_keeps_its_numbers(kind: str, tmp_path: Path) -> None:
    """Where the first events were trimmed away, and where all were, the copy ends at the same number and is whole."""
    source = filled(kind, tmp_path)
    for kept in (8, 0):
        engine = db.open_engine(source.url)
        with db.write_transaction(engine) as connection:
            connection.execute(text("DELETE FROM journal WHERE sequence <= :most"), {"most": NEWEST - kept})
        engine.dispose()
        place, file = Place("status", new_database(kind, tmp_path), journal), tmp_path / f"kept-{kept}"
        back_up(source, file, quiet)

        restore(place, file)

        assert [row.sequence for row in held(place)[1]] == list(range(NEWEST + 1 - kept, NEWEST + 1))
        assert back_up(place, tmp_path / f"again-{kept}", quiet).head.sequence == NEWEST


def test_what_is_moved_keeps_its_epoch(kind: str, tmp_path: Path) -> None:
    """A database that goes on elsewhere from its very end is the same history: tokens stay good."""
    source, place = filled(kind, tmp_path), Place("status", new_database(kind, tmp_path), journal)

    with moving(source, place, lease_seconds=0.5, tell=quiet) as placed:
        assert placed.head == placed.contents.head

    assert held(place) == held(source)


async def test_no_token_of_before_means_another_event(kind: str, tmp_path: Path) -> None:
    """Of an older copy that was written on, every older token is refused with the way on, past its end or not."""
    async with running_status(kind=kind, seeded=True, listed=8, done=2) as (status, peers):
        place, file = Place("status", status.url, journal), tmp_path / "a"
        kept = (await status.completion()).watch_token
        back_up(place, file, quiet)
        peers.integration.add(integrated(3, peers.catalog.revision, year=2022))
        past = (await status.completion()).watch_token
        await status.stop()
        restore(place, file, replace=True)
        await status.start()
        now = (await status.completion()).watch_token
        listed = await status.stub.ListProgressEvents(pb.ListProgressEventsRequest(page_size=1000), timeout=5)
        ended = [await Watching(status, after=token).end() for token in (kept, past)]
        watching = Watching(status, after=now)
        await watching.message()
        peers.integration.add(integrated(4, peers.catalog.revision, year=2022))
        (event,) = await watching.events(1)

    assert past != now
    assert [refusal(each) for each in ended] == [("OUT_OF_RANGE", "TOKEN_EXPIRED")] * 2
    assert all("read GetCompletion, then watch" in (each.details() or "") for each in ended)
    assert [each.sequence for each in listed.events] == list(range(1, event.sequence))
    assert event.epoch == OTHER_EPOCH
