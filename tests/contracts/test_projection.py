"""Status follows its sources: in order, each row once, joined by revision, and never guessing; on both engines."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, delete

from services.common.db import open_engine, read_transaction, table_of, upsert, write_transaction
from services.common.feed import Checkpoint
from services.common.journal import Row
from services.status import storage, usecases
from services.status.consumers import rebuild
from services.status.storage import CheckpointRow, FollowedRow, StatusWork
from tests.support.peers import Peers, Source, blocked, integrated, integration_created, service_name
from tests.support.status_service import refusal, running_status
from tests.support.watching import Watching
from tiendo.status.v1 import events_pb2, freshness_pb2
from tiendo.status.v1 import status_service_pb2 as pb

NOW = datetime(2030, 6, 20, tzinfo=UTC)
OTHER_EPOCH = "0123456789abcdef"


@pytest.fixture
def engine(status_database: str) -> Iterator[Engine]:
    """An empty status database."""
    made = open_engine(status_database)
    yield made
    made.dispose()


class Crash(Exception):  # noqa: N818 (no error of ours)
    """The process ends here."""


def apply(engine: Engine, source: Source, rows: Sequence[Row] | None = None, *, crash: bool = False) -> Checkpoint:
    """Fold a source's rows in one transaction, as the writer does; `crash`: end with all written and nothing committed."""
    with write_transaction(engine) as connection:
        work = StatusWork(connection, storage.load(connection, usecases.decode), NOW)
        reached = usecases.follow_source(work, source.name, source.rows if rows is None else rows)
        work.write()
        if crash:
            raise Crash
    return reached


def progress(engine: Engine) -> list[events_pb2.ProgressEvent]:
    """Read the progress journal."""
    with read_transaction(engine) as connection:
        rows = storage.journal.read(connection, 0, 1000)
    return [events_pb2.ProgressEvent.FromString(row.payload) for row in rows]


def prepared(listed: int = 3, done: int = 1) -> Peers:
    """Seeded sources that nobody serves."""
    peers = Peers()
    peers.seed(listed, done)
    return peers


def test_an_integration_row_waits_for_its_catalog_row(engine: Engine) -> None:
    """Rows decided on a catalog that was not followed yet are left; once it was, they are counted."""
    peers = prepared()
    early = apply(engine, peers.integration)
    apply(engine, peers.catalog, peers.catalog.rows[:3])
    still = apply(engine, peers.integration)
    apply(engine, peers.catalog)
    late = apply(engine, peers.integration)

    assert (early.sequence, still.sequence, late.sequence) == (0, 0, 4)
    assert [event.service for event in progress(engine)] == [service_name(n) for n in (1, 2, 3, 1)]


def assert_effects_happen_once(engine: Engine, follow: Callable[..., Checkpoint]) -> None:
    """Whoever crashes while following has done all of it or nothing when it comes again."""
    peers = prepared()
    for source in (peers.catalog, peers.integration):
        with contextlib.suppress(Crash):
            follow(engine, source, crash=True)
        reached = follow(engine, source)
        assert reached.sequence == len(source.rows)
    assert [event.service for event in progress(engine)] == [service_name(n) for n in (1, 2, 3, 1)]
    with read_transaction(engine) as connection:
        assert len(storage.load(connection, usecases.decode).model.services) == 3


def test_a_crash_while_following_loses_nothing_and_repeats_nothing(engine: Engine) -> None:
    """The checkpoint moves in the transaction of its effect."""
    assert_effects_happen_once(engine, apply)


def _first_the_checkpoint(engine: Engine, source: Source, *, crash: bool = False) -> Checkpoint:
    """A planted fault: move the checkpoint in a transaction of its own, then fold."""
    with read_transaction(engine) as connection:
        state = storage.load(connection, usecases.decode)
        work = StatusWork(connection, state, NOW)
        reached = usecases.follow_source(work, source.name, source.rows)
    values = {"source": source.name, "epoch": reached.epoch, "sequence": reached.sequence, "digest": reached.digest}
    with write_transaction(engine) as connection:
        upsert(connection, table_of(CheckpointRow), [values], keys=("source",))
    if crash:
        raise Crash
    with write_transaction(engine) as connection:
        work = StatusWork(connection, state, NOW)
        usecases.follow_source(work, source.name, source.rows)
        work.write()
    return reached


def test_a_checkpoint_moved_by_itself_is_noticed(engine: Engine) -> None:
    """The check above can fail: after a crash between two transactions the rows passed over are lost."""
    with pytest.raises(AssertionError):
        assert_effects_happen_once(engine, _first_the_checkpoint)


def test_rows_that_come_again_add_nothing(engine: Engine) -> None:
    """The same rows a second time, or rows behind a gap, move no checkpoint and tell nothing."""
    peers = prepared()
    first = [apply(engine, source) for source in (peers.catalog, peers.integration)]
    told = progress(engine)
    again = [apply(engine, source) for source in (peers.catalog, peers.integration)]
    for _ in range(2):
        peers.integration.add(integrated(2, peers.catalog.revision, year=2022))
    behind_a_gap = apply(engine, peers.integration, peers.integration.rows[-1:])

    assert again == first
    assert behind_a_gap == first[1]
    assert progress(engine) == told


def test_a_cause_is_told_once(engine: Engine) -> None:
    """Rows folded again after all else was forgotten find their causes told and add no progress."""
    peers = prepared()
    for source in (peers.catalog, peers.integration):
        apply(engine, source)
    told = progress(engine)
    with write_transaction(engine) as connection:
        for row in (FollowedRow, CheckpointRow):
            connection.execute(delete(table_of(row)))
    for source in (peers.catalog, peers.integration):
        apply(engine, source)

    assert progress(engine) == told
    assert len(told) == 4


def test_a_row_that_cannot_be_read_is_put_aside(engine: Engine) -> None:
    """It is kept with its reason, what follows is folded, and a reload counts the same."""
    peers = prepared()
    peers.integration.add_unreadable()
    event = integrated(2, "no revision", year=2022, month=10)
    peers.integration.add(event)
    peers.integration.add(integrated(3, peers.catalog.revision, year=2022, month=10))
    apply(engine, peers.catalog)
    reached = apply(engine, peers.integration)
    with read_transaction(engine) as connection:
        state = storage.load(connection, usecases.decode)

    assert reached.sequence == 7
    assert state.dead_letters == {"integration": 2}
    assert [event.service for event in progress(engine)][3:] == [service_name(1), service_name(3)]


def test_progress_names_where_it_comes_from(engine: Engine) -> None:
    """Actor, request id, trace, evidence, dates and the source's revision come through; the time is status's own."""
    peers = prepared()
    apply(engine, peers.catalog)
    apply(engine, peers.integration)
    event = progress(engine)[-1]

    assert (event.actor, event.request_id) == ("Nguyễn Văn Đức", "request-1")
    assert event.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert event.source_revision == peers.integration.revision
    assert event.cause == f"integration/{peers.integration.head.epoch}/4/bca-2022"
    assert (event.effective_date.date.year, event.effective_date.date.month) == (2022, 9)
    assert event.effective_date.at_latest
    assert [entry.note for entry in event.evidence] == ["báo cáo"]
    assert event.recorded_time.ToDatetime(tzinfo=UTC) == NOW


async def test_the_sources_are_joined_as_they_come(kind: str) -> None:
    """An integration row that is there before its catalog row is counted as soon as that one comes."""
    async with running_status(kind=kind, seeded=True, listed=3, done=0) as (status, peers):
        await status.completion()
        held_back = peers.catalog.rows.pop()
        last, peers.catalog.head = peers.catalog.head, _head_before(peers.catalog)
        await status.stop()
        for table in ("followed", "checkpoint"):
            await asyncio.to_thread(_empty, status.url, table)
        await status.start()
        early = await status.stub.GetCompletion(pb.GetCompletionRequest(at_least=[peers.catalog.revision]), timeout=5)
        waiting = (await status.freshness())["integration"]
        peers.catalog.rows.append(held_back)
        peers.catalog.head = last
        answer = await status.completion()

        assert early.total.listed == 2
        assert (waiting.checkpoint.sequence, waiting.state) == (0, freshness_pb2.FOLLOW_STATE_CATCHING_UP)
        assert answer.total.listed == 3


def _head_before(source: Source) -> Any:
    row = source.rows[-1]
    return type(source.head)(row.epoch, row.sequence, row.digest, source.head.recorded_time)


def _empty(url: str, table: str) -> None:
    engine = open_engine(url)
    with write_transaction(engine) as connection:
        connection.exec_driver_sql(f"DELETE FROM {table}")
    engine.dispose()


async def test_freshness_tells_of_each_source(kind: str) -> None:
    """Checkpoint and head by source, no lag when current, and the progress journal's newest row."""
    async with running_status(kind=kind, seeded=True, listed=3, done=1) as (status, peers):
        peers.integration.add_unreadable()
        await status.completion()
        answer = await status.stub.GetFreshness(pb.GetFreshnessRequest(), timeout=5)

        assert [source.source for source in answer.sources] == ["catalog", "integration"]
        for source, journal in zip(answer.sources, (peers.catalog, peers.integration), strict=True):
            assert source.state == freshness_pb2.FOLLOW_STATE_CURRENT
            assert source.checkpoint == source.head
            assert (source.head.epoch, source.head.sequence) == (journal.head.epoch, journal.head.sequence)
            assert (source.lag_rows, source.lag.ToSeconds(), source.reason) == (0, 0, "")
            assert source.HasField("heard_time")
        assert [source.dead_letters for source in answer.sources] == [0, 1]
        assert answer.progress.sequence == 4


async def test_what_was_followed_is_served_while_a_source_is_away(kind: str) -> None:
    """Without its sources status says so and answers from what it has; when they are back it goes on."""
    async with running_status(kind=kind, seeded=True, listed=3, done=1) as (status, peers):
        await status.completion()
        await peers.stop()
        away = await status.freshness_when(
            lambda found: found["catalog"].state == freshness_pb2.FOLLOW_STATE_UNREACHABLE
        )
        answer = await status.completion()
        peers.integration.add(integrated(2, peers.catalog.revision, year=2022, month=10))
        await peers.start()
        await status.freshness_when(lambda found: found["integration"].checkpoint.sequence == 5)
        after = await status.completion()

        assert away["catalog"].reason
        assert answer.total.completed == 1
        assert after.total.completed == 2


async def test_a_restart_keeps_all(kind: str) -> None:
    """After a stop and a start the same figures, tokens and events are there, and following goes on."""
    async with running_status(kind=kind, seeded=True, listed=8, done=2) as (status, peers):
        before = await status.completion(as_of={"year": 2022, "month": 12})
        await status.stop()
        peers.integration.add(blocked(5, peers.catalog.revision, transition=1, blocks=True))
        await status.start()
        after = await status.completion(as_of={"year": 2022, "month": 12})
        watch = Watching(status, after=before.watch_token)
        event = (await watch.events(1))[0]
        watch.close()

        assert (before.total.completed, before.total.in_progress, before.total.not_reported) == (2, 0, 225)
        assert (after.total.completed, after.total.in_progress, after.total.not_reported) == (2, 1, 224)
        assert after.total.blocked == 1
        assert (event.sequence, event.kind) == (11, events_pb2.PROGRESS_EVENT_KIND_SERVICE_BLOCKED)


async def test_another_epoch_halts_until_a_rebuild(kind: str) -> None:
    """A replaced source is not followed, the figures stay, the remedy is named; a rebuild begins a new progress epoch."""
    async with running_status(kind=kind, seeded=True, listed=3, done=1) as (status, peers):
        token = (await status.completion()).watch_token
        watch = Watching(status, after=token)
        await watch.message()
        peers.integration.begin(OTHER_EPOCH)
        for number in range(1, 4):
            peers.integration.add(integration_created(number, peers.catalog.revision))
            peers.integration.add(integrated(number, peers.catalog.revision, year=2022, month=10))
        found = await status.freshness_when(
            lambda found: found["integration"].state == freshness_pb2.FOLLOW_STATE_HALTED
        )
        halted = found["integration"]
        still = await status.stub.GetCompletion(pb.GetCompletionRequest(), timeout=5)
        said = await rebuild(status.shared, status.own)
        ended = await watch.end()
        mended = await status.completion()
        expired = await Watching(status, after=token).end()
        fresh = Watching(status, after=mended.watch_token)
        peers.integration.add(blocked(2, peers.catalog.revision, transition=2, blocks=True))
        event = (await fresh.events(1))[0]
        fresh.close()

        assert "tiendo status rebuild" in halted.reason
        assert still.total.completed == 1
        assert "integration was replaced" in said
        assert refusal(ended) == ("OUT_OF_RANGE", "TOKEN_EXPIRED")
        assert mended.total.completed == 3
        assert refusal(expired) == ("OUT_OF_RANGE", "TOKEN_EXPIRED")
        assert event.sequence == 1
