"""GetCompletion over gRPC: the figures of the real plan, as of any day and as known at any instant."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.resources import Revision, decode_revision
from tests.support.peers import SEEDED, integrated, service_created
from tests.support.status_service import StatusService, refusal, running_status
from tiendo.common.v1 import date_pb2
from tiendo.status.v1 import completion_pb2
from tiendo.status.v1 import status_service_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def status() -> AsyncIterator[StatusService]:
    """The seeded plan; no test of this module that uses it changes it."""
    async with running_status(seeded=True) as (service, _):
        yield service


def day(year: int, month: int = 0, of_month: int = 0) -> date_pb2.PartialDate:
    """A date of any precision."""
    return date_pb2.PartialDate(year=year, month=month, day=of_month)


def instant(when: datetime) -> Timestamp:
    """An instant as it is sent."""
    sent = Timestamp()
    sent.FromDatetime(when)
    return sent


@pytest.mark.parametrize(
    ("as_of", "completed", "uncertain", "not_reported"),
    [
        (None, 11, 0, 216),
        (day(2022, 9), 11, 0, 216),
        (day(2022, 9, 30), 11, 0, 216),
        (day(2022, 9, 15), 0, 11, 216),
        (day(2022, 8, 31), 0, 11, 216),
        (day(2021, 12, 31), 0, 0, 227),
        (day(2022), 11, 0, 216),
    ],
)
async def test_the_plan_is_counted_as_of_a_day(
    status: StatusService, as_of: date_pb2.PartialDate | None, completed: int, uncertain: int, not_reported: int
) -> None:
    """The 11 of "by September 2022" are certain from its last day and possible from the programme's start."""
    total = (await status.completion(as_of=as_of)).total

    assert (total.planned, total.listed) == (227, 227)
    assert (total.completed, total.uncertain, total.not_reported) == (completed, uncertain, not_reported)
    assert (total.in_progress, total.blocked, total.suspended, total.withdrawn) == (0, 0, 0, 0)


async def test_zeros_and_every_value_are_sent(status: StatusService) -> None:
    """A zero is present on the wire, and every stage and condition is listed in order."""
    total = (await status.completion()).total

    assert all(total.HasField(name) for name in ("uncertain", "in_progress", "blocked", "suspended", "withdrawn"))
    assert [(entry.stage, entry.count) for entry in total.by_stage] == [
        (1, 216), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 11),
    ]  # fmt: skip
    assert [(entry.condition, entry.count) for entry in total.by_condition] == [(1, 227), (2, 0), (3, 0), (4, 0)]
    assert all(entry.HasField("count") for entry in total.by_stage)


async def test_the_answer_says_what_it_is_about(status: StatusService) -> None:
    """Programme, dates, the latest fact counted, and what the answer is current through."""
    answer = await status.completion(as_of=day(2022, 12))

    assert answer.programme == "programmes/bca-2022"
    assert answer.programme_display_name == "227 dịch vụ công trực tuyến của Bộ Công an"
    assert answer.as_of == day(2022, 12)
    assert answer.facts_through == day(2022, 9)
    assert (answer.start_date, answer.target_date) == (day(2022), day(2022))
    assert list(answer.revisions) == status.peers.revisions
    assert decode_revision(answer.watch_token, "") == Revision(
        "progress", decode_revision(answer.watch_token, "").epoch, 238
    )


async def test_no_date_means_today_and_now() -> None:
    """Without as_of and known_at the answer names today's Vietnam day and an instant of this moment."""
    async with running_status(seeded=True, listed=2, done=1) as (status, _):
        before = datetime.now(UTC)
        answer = await status.completion()
        after = datetime.now(UTC)

    days = {(when + timedelta(hours=7)).date() for when in (before, after)}
    asked = (answer.as_of.year, answer.as_of.month, answer.as_of.day)
    assert asked in {(one.year, one.month, one.day) for one in days}
    assert before <= answer.known_at.ToDatetime(tzinfo=UTC) <= after


async def test_an_earlier_known_at_knows_less(status: StatusService) -> None:
    """Between catalog and reports all are known and none reported; before everything the programme is not known."""
    await status.completion()
    listed = SEEDED + timedelta(seconds=228)
    asked = instant(listed)
    answer = await status.completion(known_at=asked, as_of=day(2022, 9))

    # The two journals have clocks of their own: at that instant integration had recorded one of the 11.
    assert (answer.total.planned, answer.total.listed, answer.total.completed) == (227, 227, 1)
    assert answer.known_at == asked
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await status.completion(known_at=instant(SEEDED))
    assert refusal(caught.value) == ("NOT_FOUND", "PROGRAMME_NOT_FOUND")


async def test_a_known_at_to_come_is_the_present(status: StatusService) -> None:
    """Asking as known at a later instant is allowed and counts what is known now."""
    answer = await status.completion(known_at=instant(datetime(2999, 1, 1, tzinfo=UTC)))

    assert (answer.total.completed, answer.total.not_reported) == (11, 216)


@pytest.mark.parametrize("by", [1, 2, 3, 4])
async def test_groups_sum_to_the_total(status: StatusService, by: int) -> None:
    """Every way to divide gives parts that sum to the whole, the part not known last."""
    answer = await status.completion(group_by=by)

    assert sum(group.counts.planned for group in answer.groups) == 227
    assert sum(group.counts.completed for group in answer.groups) == 11
    assert [group.not_known for group in answer.groups[:-1]] == [False] * (len(answer.groups) - 1)
    assert answer.groups_overlap == (by == completion_pb2.GROUP_BY_LEVEL)


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"programme": "programmes/none"}, "NOT_FOUND", "PROGRAMME_NOT_FOUND"),
        ({"programme": "bca-2022"}, "INVALID_ARGUMENT", "INVALID_NAME"),
        ({"as_of": day(2022, 2, 31)}, "INVALID_ARGUMENT", "INVALID_DATE"),
        ({"as_of": day(2022, 0, 1)}, "INVALID_ARGUMENT", "INVALID_DATE"),
        ({"known_at": Timestamp(seconds=-(10**12))}, "INVALID_ARGUMENT", "INVALID_TIME"),
        ({"known_at": Timestamp(nanos=-1)}, "INVALID_ARGUMENT", "INVALID_TIME"),
        ({"group_by": 99}, "INVALID_ARGUMENT", "UNKNOWN_VALUE"),
        ({"at_least": ["no revision"]}, "INVALID_ARGUMENT", "INVALID_TOKEN"),
        (
            {"at_least": [Revision("catalog", "ffffffffffffffff", 1).encode()]},
            "FAILED_PRECONDITION",
            "EPOCH_CHANGED",
        ),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    status: StatusService, fields: dict[str, Any], code: str, reason: str
) -> None:
    """Each wrong field gets its status code and reason."""
    await status.completion()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await status.stub.GetCompletion(pb.GetCompletionRequest(**fields), timeout=5)

    assert refusal(caught.value) == (code, reason)


@pytest.mark.parametrize("journal", ["catalog", "integration", "progress"])
async def test_at_least_waits_until_just_before_the_deadline(status: StatusService, journal: str) -> None:
    """A revision that does not come gives UNAVAILABLE with a reason instead of a deadline exceeded."""
    answer = await status.completion()
    known = {decode_revision(text, "").journal: text for text in (*answer.revisions, answer.watch_token)}
    reached = decode_revision(known[journal], "")
    ahead = Revision(journal, reached.epoch, reached.sequence + 1).encode()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await status.stub.GetCompletion(pb.GetCompletionRequest(at_least=[ahead]), timeout=0.4)

    assert refusal(caught.value) == ("UNAVAILABLE", "NOT_CAUGHT_UP")


async def test_the_twelfth_is_counted_from_its_day() -> None:
    """A step of 05/10/2022 makes 12 now, and leaves September's 11 and what was known before as they were."""
    async with running_status(seeded=True) as (status, peers):
        before = await status.completion(as_of=day(2022, 12))
        known = instant(peers.integration.head.recorded_time)
        peers.integration.add(integrated(12, peers.catalog.revision, year=2022, month=10, day=5))
        now = await status.completion()
        september = await status.completion(as_of=day(2022, 9))
        fourth = await status.completion(as_of=day(2022, 10, 4))
        as_known = await status.completion(known_at=known, as_of=day(2022, 12))

        assert (now.total.completed, now.total.not_reported) == (12, 215)
        assert now.facts_through == day(2022, 10, 5)
        assert (september.total.completed, september.facts_through) == (11, day(2022, 9))
        assert fourth.total.completed == 11
        assert (as_known.total, as_known.facts_through) == (before.total, before.facts_through)


async def test_a_service_beyond_the_programme_is_not_counted() -> None:
    """Who is no member of the plan changes none of its counts."""
    async with running_status(seeded=True, listed=3, done=1) as (status, peers):
        peers.catalog.add(service_created(300, "Ngoài kế hoạch", programmes=()))
        peers.integration.add(integrated(300, peers.catalog.revision, year=2022, month=10))
        total = (await status.completion()).total

        assert (total.planned, total.listed, total.completed, total.not_reported) == (227, 3, 1, 226)
