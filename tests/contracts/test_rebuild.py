"""Rebuilding: the same rows give the same tables, and whatever does not fit is said before anything is written."""

import asyncio
from pathlib import Path

import pytest

from services.common.config import SettingsError
from services.common.db import open_engine, write_transaction
from services.common.journal import Row
from services.common.schema import SchemaError
from services.status import usecases
from services.status.consumers import rebuild
from tests.support.peers import Peers, blocked, integrated, running_peers
from tests.support.status_service import StatusService, running_status
from tests.support.watching import Watching
from tiendo.status.v1 import events_pb2
from tiendo.status.v1 import status_service_pb2 as pb

TABLES = ("followed", "checkpoint", "dead_letter", "journal", "journal_head")


def everything(peers: Peers) -> dict[str, list[Row]]:
    """Both source journals, whole."""
    return {"catalog": list(peers.catalog.rows), "integration": list(peers.integration.rows)}


async def unreadable_seed(status: StatusService, peers: Peers) -> None:
    """Follow a seed with rows in it that cannot be read, each in its own way."""
    peers.catalog.add_unreadable()
    peers.integration.add_unreadable()
    peers.integration.add(integrated(2, "no revision", year=2022))
    peers.integration.add(blocked(3, peers.catalog.revision, transition=1, blocks=True))
    await status.completion()


async def test_a_rebuild_gives_the_same_bit_for_bit(kind: str) -> None:
    """Rows, checkpoints, dead letters and progress are the same bytes before and after, and so are the answers."""
    async with running_status(kind=kind, seeded=True, listed=20, done=3) as (status, peers):
        await unreadable_seed(status, peers)
        before = await status.completion(as_of={"year": 2022, "month": 12}, known_at={"seconds": 2_000_000_000})
        tables = status.dump(*TABLES)
        said = await rebuild(status.shared, status.own)
        again = status.dump(*TABLES)
        after = await status.completion(as_of={"year": 2022, "month": 12}, known_at={"seconds": 2_000_000_000})
        await status.stop()
        await status.start()
        loaded = await status.completion(as_of={"year": 2022, "month": 12}, known_at={"seconds": 2_000_000_000})

        assert said == "rebuilt from catalog up to row 22, integration up to row 26"
        assert [len(tables[name]) for name in ("followed", "checkpoint", "dead_letter")] == [45, 2, 3]
        assert again == tables
        assert after == before == loaded


async def test_a_running_service_takes_a_rebuild_up(kind: str) -> None:
    """What was wrong in the tables is right in the answers without a restart; watches and tokens go on."""
    async with running_status(kind=kind, seeded=True, listed=8, done=2) as (status, peers):
        token = (await status.completion()).watch_token
        await status.stop()
        engine = open_engine(status.url)
        with write_transaction(engine) as connection:
            connection.exec_driver_sql("DELETE FROM followed WHERE source = 'integration' AND sequence > 8")
        engine.dispose()
        await status.start()
        wrong = await status.completion()
        watch = Watching(status, after=token)
        await watch.message()
        await rebuild(status.shared, status.own)
        async with asyncio.timeout(5):
            while True:
                mended = await status.stub.GetCompletion(pb.GetCompletionRequest(), timeout=5)
                if mended.total.completed != wrong.total.completed:
                    break
                await asyncio.sleep(0.02)
        peers.integration.add(integrated(5, peers.catalog.revision, year=2022, month=10))
        event = (await watch.events(1))[0]
        watch.close()

        assert (wrong.total.completed, mended.total.completed) == (0, 2)
        assert (event.sequence, event.kind) == (11, events_pb2.PROGRESS_EVENT_KIND_SERVICE_INTEGRATED)
        assert event.completion.completed == 3


async def test_rows_followed_while_reading_do_not_look_like_a_replacement(kind: str) -> None:
    """What the running service took meanwhile is no other history: nothing is written, and it is read again."""
    async with running_status(kind=kind, seeded=True, listed=8, done=2) as (status, peers):
        await status.completion()
        before = usecases.read_checkpoints(status.url)
        read = everything(peers)
        peers.integration.add(integrated(5, peers.catalog.revision, year=2022, month=10))
        await status.completion()
        tables = status.dump(*TABLES)
        with pytest.raises(usecases.MovedOnError):
            usecases.rebuild(status.url, read, before)
        untouched = status.dump(*TABLES)
        said = usecases.rebuild(status.url, everything(peers), before)

        assert untouched == tables
        assert said == "rebuilt from catalog up to row 9, integration up to row 11"
        assert status.dump(*TABLES) == tables


async def test_a_shorter_source_is_another_source(kind: str) -> None:
    """A journal restored from an older copy no longer fits, and progress begins a new epoch."""
    async with running_status(kind=kind, seeded=True, listed=8, done=2) as (status, peers):
        await status.completion()
        await status.stop()
        epoch = status.dump("journal_head")["journal_head"][0][1]
        before = usecases.read_checkpoints(status.url)
        shorter = everything(peers)
        shorter["integration"].pop()
        said = usecases.rebuild(status.url, shorter, before)
        tables = status.dump("journal_head", "journal")

        assert said.endswith("; integration was replaced, so progress begins a new epoch")
        assert tables["journal"] == []
        assert tables["journal_head"][0][1] != epoch
        await status.start()


async def test_a_rebuild_needs_its_sources(kind: str) -> None:
    """A source that is away or damaged is named, and nothing is written."""
    async with running_status(kind=kind, seeded=True, listed=3, done=1) as (status, peers):
        await status.completion()
        tables = status.dump(*TABLES)
        row = peers.catalog.rows[1]
        peers.catalog.rows[1] = Row(row.epoch, row.sequence, "0" * 64, row.payload)
        with pytest.raises(SettingsError, match="catalog: its row 2 is damaged"):
            await rebuild(status.shared, status.own)
        peers.catalog.rows[1] = row
        await peers.stop()
        with pytest.raises(SettingsError, match="integration cannot be read"):
            await rebuild(status.shared, status.own)

        assert status.dump(*TABLES) == tables


async def test_a_rebuild_needs_the_schema(tmp_path: Path) -> None:
    """On a database that was never migrated the command to run is named."""
    async with running_peers() as peers:
        status = StatusService(tmp_path, peers)
        with pytest.raises(SchemaError, match="tiendo migrate"):
            await rebuild(status.shared, status.own)
