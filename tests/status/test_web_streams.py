"""What comes to a page by itself: every event once and in order, over lost connections and restarts."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from services.status.watch import token_of
from tests.support.pages import Site, running_site
from tests.support.peers import PROGRAMME, integrated, programme_created
from tiendo.status.v1 import status_service_pb2 as pb

Event = dict[str, str]


async def events_of(answer: httpx.Response) -> AsyncIterator[Event]:
    """Read a stream as a browser does."""
    event: Event = {}
    async for line in answer.aiter_lines():
        if not line:
            if "data" in event:
                yield event
            event = {}
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        event[name] = f"{event[name]}\n{value}" if name == "data" and name in event else value


async def take(site: Site, count: int, path: str, **headers: str) -> list[Event]:
    """Read so many progress events, bookmarks aside."""
    found: list[Event] = []
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    async with asyncio.timeout(20), site.client.stream("GET", path, headers=given) as answer:
        async for event in events_of(answer):
            if event.get("event") == "bookmark":
                continue
            found.append(event)
            if len(found) == count:
                return found
    raise AssertionError(found)


def sequences(events: list[Event]) -> list[int]:
    """The numbers of the rows that came."""
    return [int(number) for event in events for number in re.findall(r'data-sequence="(\d+)"', event["data"])]


def complete(site: Site, *numbers: int) -> None:
    """Let services be complete in October 2022."""
    for number in numbers:
        site.peers.integration.add(integrated(number, site.peers.catalog.revision, year=2022, month=10, day=5))


async def test_events_come_as_rows_and_go_on_where_they_were() -> None:
    """A browser that comes back with its last id gets what it missed, each once; the row is the one a new page has."""
    async with running_site() as site:
        page = await site.get("/live?lang=vi")
        after = re.search(r'data-after="([^"]+)"', page.text)
        assert after
        complete(site, 12, 13)
        first = await take(site, 2, f"/live/events?after={after[1]}&lang=vi")
        complete(site, 14, 15)
        missed = await take(site, 2, f"/live/events?after={after[1]}&lang=vi", last_event_id=first[-1]["id"])

        numbers = sequences(first + missed)
        assert numbers == list(range(numbers[0], numbers[0] + 4))
        assert "Hoàn thành tích hợp" in first[0]["data"]
        assert "05/10/2022" in first[0]["data"]
        assert "12 / 227" in first[0]["data"]
        anew = await site.get("/live?lang=vi")
        assert re.findall(r'data-sequence="(\d+)"', anew.text)[:4] == [str(number) for number in numbers[::-1]]
        assert first[0]["data"].splitlines()[1] in anew.text


async def test_nothing_is_lost_over_a_restart() -> None:
    """The token of before holds after the service was stopped and started again."""
    async with running_site() as site:
        complete(site, 12)
        before = await take(site, 1, "/live/events?after=" + token_of(*await head(site, -1)))
        await site.service.stop()
        complete(site, 13)
        await site.service.start()
        await site.caught_up()
        after = await take(site, 1, "/live/events", last_event_id=before[-1]["id"])

        assert sequences(after) == [sequences(before)[-1] + 1]


async def head(site: Site, back: int = 0) -> tuple[str, int]:
    """Epoch and number of the newest progress row, or of one before it."""
    await site.caught_up()
    answer = await site.service.stub.GetFreshness(pb.GetFreshnessRequest())
    return answer.progress.epoch, answer.progress.sequence + back


async def test_a_token_of_another_journal_is_told_to_begin_afresh() -> None:
    """What no longer can be gone on from says so in an event of its own, with the token of now."""
    async with running_site() as site:
        epoch, sequence = await head(site)
        for token in (token_of("another", 1), "nonsense"):
            (told,) = await take(site, 1, "/live/events", last_event_id=token)
            assert told["event"] == "expired"
            assert told["id"] == token_of(epoch, sequence)
        assert "theo dõi tiếp từ bây giờ" in await site.text("/live?lang=vi&afresh=1")


async def test_changes_are_told_at_once_and_after_each() -> None:
    """The first message is the data there is; one follows whenever it changed, be it nothing that makes an event."""
    async with running_site() as site, asyncio.timeout(20):
        shown = re.search(r'data-reference="([^"]+)"', (await site.get("/")).text)
        assert shown
        async with site.client.stream("GET", "/changes") as answer:
            events = events_of(answer)
            assert (await anext(events))["data"] == shown[1]
            site.peers.catalog.add(changed_plan())
            while (told := await anext(events))["data"] == shown[1]:
                pass
        again = re.search(r'data-reference="([^"]+)"', (await site.get("/")).text)
        assert again
        assert told["data"] == again[1]


def changed_plan() -> object:
    """The plan is another, which is no progress of any service."""
    event = programme_created(228)
    programme = event.programme_created.programme
    updated = type(event)()
    updated.programme_updated.programme.CopyFrom(programme)
    assert programme.name == PROGRAMME
    return updated


async def test_streams_end_with_the_service() -> None:
    """Open pages don't hold up the end: both streams are closed within the time for finishing."""
    async with (
        running_site() as site,
        site.client.stream("GET", "/live/events") as one,
        site.client.stream("GET", "/changes") as other,
    ):
        streams = [events_of(one), events_of(other)]
        await anext(streams[0])
        await anext(streams[1])
        begun = asyncio.get_running_loop().time()
        await site.service.begin_to_stop()
        for stream in streams:
            async for _ in stream:
                pass
        await site.service.stop()
        assert asyncio.get_running_loop().time() - begun < site.service.shared.drain_seconds


@pytest.mark.parametrize("path", ["/live/events?programme=nope", "/live/events?as_of=x"])
async def test_a_stream_that_cannot_be_is_refused(path: str) -> None:
    """A wrong address gets an error page and no stream."""
    async with running_site() as site:
        assert (await site.client.get(path)).status_code in {400, 404}
