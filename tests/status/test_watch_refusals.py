"""What WatchProgress and ListProgressEvents refuse, and how progress is read in pages."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from sqlalchemy import text

from services.common.db import open_engine, write_transaction
from services.common.resources import Revision, decode_revision
from services.status import watch as watch_module
from tests.support.peers import integrated
from tests.support.status_service import StatusService, refusal, running_status
from tests.support.watching import Watching
from tiendo.status.v1 import events_pb2
from tiendo.status.v1 import status_service_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

INTEGRATED = events_pb2.PROGRESS_EVENT_KIND_SERVICE_INTEGRATED
BEGINNING = pb.WATCH_START_BEGINNING


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def status() -> AsyncIterator[StatusService]:
    """The seeded plan: 227 additions, then 11 integrations. No test that uses it changes it."""
    async with running_status(seeded=True) as (service, _):
        await service.completion()
        yield service


async def listed(status: StatusService, **fields: Any) -> pb.ListProgressEventsResponse:
    """Ask for a page."""
    return await status.stub.ListProgressEvents(pb.ListProgressEventsRequest(**fields), timeout=5)


async def all_pages(status: StatusService, **fields: Any) -> list[list[int]]:
    """Give the sequences of every page."""
    pages, token = [], ""
    while True:
        answer = await listed(status, page_token=token, **fields)
        pages.append([event.sequence for event in answer.events])
        token = answer.next_page_token
        if not token:
            return pages


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"after": "garbage"}, "INVALID_ARGUMENT", "INVALID_TOKEN"),
        ({"after": Revision("catalog", "ca7a106000000001", 1).encode()}, "INVALID_ARGUMENT", "INVALID_TOKEN"),
        ({"after": Revision("progress", "ffffffffffffffff", 1).encode()}, "OUT_OF_RANGE", "TOKEN_EXPIRED"),
        ({"programme": "programmes/none"}, "NOT_FOUND", "PROGRAMME_NOT_FOUND"),
        ({"programme": "none"}, "INVALID_ARGUMENT", "INVALID_NAME"),
        ({"service": "services/none"}, "NOT_FOUND", "SERVICE_NOT_FOUND"),
        ({"kinds": [99]}, "INVALID_ARGUMENT", "UNKNOWN_VALUE"),
        ({"kinds": [0]}, "INVALID_ARGUMENT", "UNKNOWN_VALUE"),
        ({"kinds": [1] * 51}, "INVALID_ARGUMENT", "TOO_MANY"),
    ],
)
async def test_watch_and_list_refuse_alike(
    status: StatusService, fields: dict[str, Any], code: str, reason: str
) -> None:
    """A wrong token or filter gets the same status and reason from both."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listed(status, **fields)

    assert refusal(caught.value) == (code, reason)
    assert refusal(await Watching(status, **fields).end()) == (code, reason)


async def test_an_expired_token_is_told_how_to_start_afresh(status: StatusService) -> None:
    """The message of TOKEN_EXPIRED names the way on by itself."""
    ended = await Watching(status, after=Revision("progress", "ffffffffffffffff", 1).encode()).end()

    assert "read GetCompletion, then watch from its watch_token" in (ended.details() or "")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"start": BEGINNING, "after": "any"}, "INVALID_VALUE"), ({"start": 9}, "UNKNOWN_VALUE")],
)
async def test_a_watch_begins_in_one_place(status: StatusService, fields: dict[str, Any], reason: str) -> None:
    """A token and a start exclude each other, and an unknown start is refused."""
    ended = await Watching(status, **fields).end()

    assert refusal(ended) == ("INVALID_ARGUMENT", reason)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"page_size": -1}, "INVALID_PAGE_SIZE"),
        ({"page_token": "garbage"}, "INVALID_PAGE_TOKEN"),
        ({"order_by": "cause"}, "UNKNOWN_FIELD"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(status: StatusService, fields: dict[str, Any], reason: str) -> None:
    """Wrong sizes, tokens and orders are named."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listed(status, **fields)

    assert refusal(caught.value) == ("INVALID_ARGUMENT", reason)


async def test_a_page_token_belongs_to_its_query(status: StatusService) -> None:
    """A token given for another filter is refused; another page size is not another query."""
    token = (await listed(status, page_size=10)).next_page_token
    more = await listed(status, page_size=5, page_token=token)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listed(status, page_size=10, page_token=token, kinds=[INTEGRATED])

    assert [event.sequence for event in more.events] == [11, 12, 13, 14, 15]
    assert refusal(caught.value) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")


async def test_pages_give_every_event_once(status: StatusService) -> None:
    """Oldest or newest first, pages of any size join to the whole, and the last one says so."""
    up = await all_pages(status, page_size=50)
    down = await all_pages(status, page_size=100, order_by="sequence desc")
    exact = await all_pages(status, page_size=119)

    assert [number for page in up for number in page] == list(range(1, 239))
    assert [number for page in down for number in page] == list(range(238, 0, -1))
    assert [len(page) for page in up] == [50, 50, 50, 50, 38]
    assert [len(page) for page in exact] == [119, 119]


async def test_pages_filter(status: StatusService) -> None:
    """Kinds, a service by its alias, and every programme."""
    integrations = await all_pages(status, kinds=[INTEGRATED], page_size=5)
    newest = await all_pages(status, kinds=[INTEGRATED], page_size=6, order_by="sequence desc")
    service = await all_pages(status, service="services/dich-vu-3")
    everywhere = await all_pages(status, programme="programmes/-", page_size=1000)

    assert integrations == [list(range(228, 233)), list(range(233, 238)), [238]]
    assert newest == [list(range(238, 232, -1)), list(range(232, 227, -1))]
    assert service == [[3, 230]]
    assert everywhere == [list(range(1, 239))]


async def test_pages_begin_after_a_token(status: StatusService) -> None:
    """`after` leaves out what was seen, in both orders, and the answer's watch_token is the journal's end."""
    whole = await listed(status, page_size=1)
    epoch = decode_revision(whole.watch_token, "").epoch
    after = Revision("progress", epoch, 230).encode()

    assert await all_pages(status, after=after) == [list(range(231, 239))]
    assert await all_pages(status, after=after, order_by="sequence desc") == [list(range(238, 230, -1))]
    assert await all_pages(status, after=whole.watch_token) == [[]]
    assert decode_revision(whole.watch_token, "").sequence == 238
    assert len(whole.revisions) == 2


async def test_a_token_from_before_the_kept_history_expires() -> None:
    """Once old progress was trimmed, tokens before it are refused, and BEGINNING is the first row that is kept."""
    async with running_status(seeded=True, listed=8, done=2) as (status, _):
        token = (await status.completion()).watch_token
        await status.stop()
        engine = open_engine(status.url)
        with write_transaction(engine) as connection:
            connection.execute(text("DELETE FROM journal WHERE sequence <= 4"))
        engine.dispose()
        await status.start()
        epoch = decode_revision(token, "").epoch
        kept = Watching(status, after=Revision("progress", epoch, 4).encode())
        beginning = Watching(status, start=BEGINNING)
        expired = await Watching(status, after=Revision("progress", epoch, 3).encode()).end()
        sequences = [[event.sequence for event in await watch.events(6)] for watch in (kept, beginning)]
        for watch in (kept, beginning):
            watch.close()
        pages = await all_pages(status, page_size=4)

    assert refusal(expired) == ("OUT_OF_RANGE", "TOKEN_EXPIRED")
    assert sequences == [[5, 6, 7, 8, 9, 10]] * 2
    assert pages == [[5, 6, 7, 8], [9, 10]]


async def test_a_token_ahead_of_this_replica_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of a replica that is further is waited for a while; then the caller is asked to try again."""
    monkeypatch.setattr(watch_module, "_AHEAD_SECONDS", 0.5)
    async with running_status(seeded=True, listed=8, done=2) as (status, peers):
        place = decode_revision((await status.completion()).watch_token, "")
        ahead = Revision("progress", place.epoch, place.sequence + 1).encode()
        late = await Watching(status, after=ahead).end()
        watch = Watching(status, after=ahead)
        peers.integration.add(integrated(5, peers.catalog.revision, year=2022, month=10))
        first = await watch.message()
        watch.close()

    assert refusal(late) == ("UNAVAILABLE", "NOT_CAUGHT_UP")
    assert first.token == ahead
