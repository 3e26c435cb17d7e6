"""WatchProgress keeps its five promises: ordered, unique, gap-free, resumable, bookmarkable."""

import asyncio

from services.common.envelope import unseal
from services.common.journal import digest_of
from services.common.resources import decode_revision
from tests.support.peers import Peers, blocked, integrated, service_name, service_named
from tests.support.status_service import StatusService, details, refusal, running_status
from tests.support.watching import Watching
from tiendo.status.v1 import events_pb2
from tiendo.status.v1 import status_service_pb2 as pb

ADDED = events_pb2.PROGRESS_EVENT_KIND_SERVICE_ADDED
NAMED = events_pb2.PROGRESS_EVENT_KIND_SERVICE_NAMED
INTEGRATED = events_pb2.PROGRESS_EVENT_KIND_SERVICE_INTEGRATED
BLOCKED = events_pb2.PROGRESS_EVENT_KIND_SERVICE_BLOCKED
UNBLOCKED = events_pb2.PROGRESS_EVENT_KIND_SERVICE_UNBLOCKED
MILESTONE = events_pb2.PROGRESS_EVENT_KIND_PROGRAMME_MILESTONE
BEGINNING = pb.WATCH_START_BEGINNING


def sequence_of(token: str) -> int:
    """The row that a token goes on after."""
    return decode_revision(token, "token").sequence


def toggle(peers: Peers, times: int, number: int = 12, first: int = 1) -> None:
    """Block a service and unblock it, in turn."""
    for index in range(times):
        event = blocked(number, peers.catalog.revision, transition=first + index, blocks=index % 2 == 0)
        peers.integration.add(event)


async def test_events_come_ordered() -> None:
    """Events come in commit order, each chained to the one before and whole to its digest, while more are recorded."""
    async with running_status(seeded=True, listed=20, done=3) as (status, peers):
        await status.completion()
        watch = Watching(status, start=BEGINNING)
        first = await watch.events(10)
        toggle(peers, 30)
        events = first + await watch.events(43)
        watch.close()

    assert [event.sequence for event in events] == list(range(1, 54))
    assert [event.previous_digest for event in events] == ["", *(event.digest for event in events[:-1])]
    for event in events:
        payload, digest = unseal(event.SerializeToString(deterministic=True))
        assert digest_of(payload) == digest


async def test_every_step_comes_once() -> None:
    """One step is one event: an addition, a naming, an integration, without an advance beside it."""
    async with running_status(seeded=True, listed=20, done=3) as (status, peers):
        await status.completion()
        watch = Watching(status, start=BEGINNING)
        peers.catalog.add(service_named(12, "Đăng ký tạm trú"))
        peers.integration.add(integrated(12, peers.catalog.revision, year=2022, month=10, day=5))
        events = await watch.events(25)
        watch.close()

    assert [event.kind for event in events] == [ADDED] * 20 + [INTEGRATED] * 3 + [NAMED, INTEGRATED]
    assert len({event.cause for event in events}) == 25
    last = events[-1]
    assert (last.alias, last.display_name, last.plan_number) == ("dang-ky-tam-tru", "Đăng ký tạm trú", 12)
    assert (last.completion.planned, last.completion.completed, last.completion.not_reported) == (227, 4, 223)


async def test_nothing_that_matches_is_left_out() -> None:
    """A filtered watch gets every event that matches, though others lie between them; its bookmarks pass those."""
    async with running_status(seeded=True, listed=20, done=3) as (status, peers):
        await status.completion()
        peers.catalog.add(service_named(12, "Đăng ký tạm trú"))
        await status.completion()
        watch = Watching(status, service="services/dang-ky-tam-tru", kinds=[BLOCKED, UNBLOCKED])
        bookmark = await watch.message()
        for turn in range(10):
            toggle(peers, 2, number=13, first=2 * turn + 1)
            toggle(peers, 2, number=12, first=2 * turn + 1)
        events = await watch.events(20)
        watch.close()

    assert not bookmark.HasField("event")
    assert {event.service for event in events} == {service_name(12)}
    assert [event.kind for event in events] == [BLOCKED, UNBLOCKED] * 10


async def test_a_watch_goes_on_from_any_token() -> None:
    """From the token of any message exactly the rest comes: from memory, and from the table after a restart."""
    async with running_status(seeded=True, listed=8, done=2) as (status, _):
        await status.completion()
        watch = Watching(status, start=BEGINNING)
        messages = [await watch.message() for _ in range(11)]
        watch.close()
        for restarted in (False, True):
            if restarted:
                await status.stop()
                await status.start()
            for index, message in enumerate(messages):
                resumed = Watching(status, after=message.token)
                events = await resumed.events(10 - index)
                resumed.close()

                assert [event.sequence for event in events] == list(range(index + 1, 11))


async def test_a_token_goes_on_at_another_replica() -> None:
    """Two services on one database tell one history, and each takes the other's tokens."""
    async with running_status(seeded=True, listed=8, done=2) as (one, peers):
        other = StatusService(one.shared.data_dir, peers, url=one.url, compare_seconds=0.07)
        await other.start()
        try:
            await one.completion()
            first = Watching(one, start=BEGINNING)
            head = await first.events(10)
            toggle(peers, 20, number=5)
            second = Watching(other, after=first.token)
            tail = await second.events(20)
            here = await first.events(20)
            counted = [(await service.completion()).total for service in (one, other)]
            for watch in (first, second):
                watch.close()

            assert [event.sequence for event in head + tail] == list(range(1, 31))
            assert here == tail
            assert counted[0] == counted[1]
        finally:
            await other.stop()


async def test_the_answer_and_the_watch_fit_together() -> None:
    """Watching from GetCompletion's token gives exactly what that answer does not include."""
    async with running_status(seeded=True, listed=8, done=2) as (status, peers):
        answer = await status.completion()
        peers.integration.add(integrated(5, peers.catalog.revision, year=2022, month=10))
        watch = Watching(status, after=answer.watch_token)
        event = (await watch.events(1))[0]
        watch.close()

    assert answer.total.completed == 2
    assert (event.service, event.completion.completed) == (service_name(5), 3)


async def test_the_first_message_is_a_bookmark_and_silence_brings_more() -> None:
    """A bookmark says that all up to it was delivered; it comes first, and again after each silence."""
    async with running_status(seeded=True, listed=8, done=2, bookmark_seconds=0.1) as (status, _):
        token = (await status.completion()).watch_token
        watch = Watching(status)
        messages = [await watch.message() for _ in range(3)]
        watch.close()

    assert not any(message.HasField("event") for message in messages)
    assert {message.token for message in messages} == {token}


async def test_a_bookmark_moves_past_what_does_not_match() -> None:
    """Who waits for a rare event need not begin again before hundreds of others after a break."""
    async with running_status(seeded=True, listed=520, done=0) as (status, _):
        await status.completion()
        watch = Watching(status, start=BEGINNING, kinds=[MILESTONE])
        first, second = [await watch.message() for _ in range(2)]
        watch.close()

    assert sequence_of(first.token) == 0
    assert sequence_of(second.token) >= 500
    assert not second.HasField("event")


async def test_a_slow_watcher_slows_nobody() -> None:
    """While one watcher reads nothing, another gets each event at once; the slow one then gets them all."""
    async with running_status(seeded=True, listed=200, done=11) as (status, peers):
        await status.completion()
        slow, quick = Watching(status, start=BEGINNING), Watching(status)
        await quick.message()
        toggle(peers, 600)
        async with asyncio.timeout(5):
            quickly = await quick.events(600)
        slowly = await slow.events(811)
        for watch in (slow, quick):
            watch.close()

    assert [event.sequence for event in quickly] == list(range(212, 812))
    assert [event.sequence for event in slowly] == list(range(1, 812))


async def test_open_watches_are_counted() -> None:
    """GetFreshness says how many watches are open here, and one that was left is not."""
    async with running_status(seeded=True, listed=2, done=0, bookmark_seconds=0.05) as (status, _):
        await status.completion()
        watches = [Watching(status) for _ in range(3)]
        for watch in watches:
            await watch.message()
        opened = (await status.stub.GetFreshness(pb.GetFreshnessRequest())).watchers
        watches[0].close()
        async with asyncio.timeout(5):
            while (await status.stub.GetFreshness(pb.GetFreshnessRequest())).watchers == 3:
                await watches[1].message()
        for watch in watches:
            watch.close()

    assert opened == 3


async def test_stopping_ends_watches_with_their_last_token() -> None:
    """A watch ends with UNAVAILABLE, when to try again, and the token to go on from."""
    async with running_status(seeded=True, listed=8, done=2) as (status, _):
        token = (await status.completion()).watch_token
        watch = Watching(status)
        await watch.message()
        await status.begin_to_stop()
        ended = await watch.end()
        info, retry = details(ended)

    assert refusal(ended) == ("UNAVAILABLE", "SHUTTING_DOWN")
    assert info.metadata["token"] == token
    assert retry is not None
    assert retry.retry_delay.ToMilliseconds() == 1000


async def test_stopping_waits_for_no_watcher_that_lags() -> None:
    """A watch far behind ends at the stop with the token of its last message, and goes on from there later."""
    async with running_status(seeded=True, listed=2500, done=0) as (status, _):
        await status.completion()
        watch = Watching(status, start=BEGINNING)
        await watch.message()
        await status.begin_to_stop()
        ended = await watch.end()
        await status.stop()
        await status.start()
        resumed = Watching(status, after=watch.token)
        event = (await resumed.events(1))[0]
        resumed.close()

    assert refusal(ended) == ("UNAVAILABLE", "SHUTTING_DOWN")
    assert details(ended)[0].metadata["token"] == watch.token
    assert event.sequence == sequence_of(watch.token) + 1 <= 2500


async def test_a_watch_does_not_live_for_ever() -> None:
    """After its longest life a watch ends like at a stop, and goes on from its last token."""
    async with running_status(seeded=True, listed=8, done=2, watch_seconds=0.2) as (status, peers):
        await status.completion()
        watch = Watching(status, start=BEGINNING)
        ended = await watch.end()
        peers.integration.add(integrated(5, peers.catalog.revision, year=2022, month=10))
        resumed = Watching(status, after=details(ended)[0].metadata["token"])
        event = (await resumed.events(1))[0]
        resumed.close()

    assert refusal(ended) == ("UNAVAILABLE", "SHUTTING_DOWN")
    assert (event.service, event.sequence) == (service_name(5), 11)
