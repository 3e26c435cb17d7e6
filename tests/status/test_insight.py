"""GetBurnUp, GetForecast, ListAttention and the filter of GetCompletion, as a client calls them."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio

from tests.support.peers import blocked, integrated
from tests.support.status_service import StatusService, refusal, running_status
from tiendo.common.v1 import date_pb2
from tiendo.status.v1 import attention_pb2, burn_up_pb2, completion_pb2, forecast_pb2
from tiendo.status.v1 import status_service_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS = (attention_pb2.ATTENTION_KIND_BLOCKED, attention_pb2.ATTENTION_KIND_SUSPENDED)
DECEMBER = date_pb2.PartialDate(year=2022, month=12)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def seeded() -> AsyncIterator[StatusService]:
    """The seed alone."""
    async with running_status(seeded=True) as (service, _):
        await service.completion()
        yield service


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def autumn() -> AsyncIterator[StatusService]:
    """The seed, thirteen more complete a week apart until 30/09/2022, and 190 services blocked in October."""
    async with running_status(seeded=True) as (service, peers):
        for week in range(13):
            day = date(2022, 9, 30) - timedelta(weeks=12 - week)
            peers.integration.add(
                integrated(12 + week, peers.catalog.revision, year=day.year, month=day.month, day=day.day)
            )
        for number in range(30, 220):
            peers.integration.add(blocked(number, peers.catalog.revision, transition=1, blocks=True))
        await service.completion()
        yield service


def day(message: date_pb2.PartialDate) -> str:
    """A date as text."""
    return f"{message.year}-{message.month:02}-{message.day:02}"


async def test_the_seed_grows_to_september_and_not_further(seeded: StatusService) -> None:
    """By month: 0 and 11 until August, 11 and 0 on 30/09/2022, no point and no forecast after it; every zero is sent."""
    reply = await seeded.stub.GetBurnUp(pb.GetBurnUpRequest(), timeout=5)

    assert [(point.completed, point.uncertain) for point in reply.points] == [(0, 11)] * 8 + [(11, 0)]
    assert day(reply.points[0].date) == "2022-01-31"
    assert day(reply.points[-1].date) == "2022-09-30"
    assert all(point.HasField("completed") and point.HasField("uncertain") for point in reply.points)
    assert (reply.planned, reply.start_date.year, reply.target_date.year) == (227, 2022, 2022)
    assert (reply.facts_through.month, list(reply.forecast)) == (9, [])
    assert list(reply.revisions) == seeded.peers.revisions


async def test_the_seed_forecasts_nothing_but_the_pace_needed(seeded: StatusService) -> None:
    """What cannot be told is absent: no date, no chance, no pace observed."""
    reply = await seeded.stub.GetForecast(pb.GetForecastRequest(), timeout=5)

    assert reply.state == forecast_pb2.FORECAST_STATE_TOO_LITTLE_HISTORY
    assert (reply.planned, reply.completed, reply.remaining, reply.needed_per_month) == (227, 11, 216, 72)
    assert not reply.HasField("actual_per_month")
    assert not reply.HasField("target_chance")
    assert list(reply.finish_dates) == []
    assert (reply.basis.minimum_distinct_dates, reply.basis.minimum_weeks) == (6, 8)


@pytest.mark.parametrize(("month", "needed"), [(9, 72), (10, 108), (11, 216), (12, None)])
async def test_a_day_that_is_asked_is_where_the_needed_pace_begins(
    seeded: StatusService, month: int, needed: int | None
) -> None:
    """What silence since the latest report leaves to do has fewer months to be done in."""
    asked = date_pb2.PartialDate(year=2022, month=month)
    reply = await seeded.stub.GetForecast(pb.GetForecastRequest(as_of=asked), timeout=5)

    assert reply.remaining == 216
    assert (reply.needed_per_month if reply.HasField("needed_per_month") else None) == needed


async def test_the_seed_has_no_items(seeded: StatusService) -> None:
    """One number for what is not reported, every kind counted, and the target that has passed."""
    reply = await seeded.stub.ListAttention(pb.ListAttentionRequest(), timeout=5)

    assert (list(reply.items), reply.not_reported) == ([], 216)
    assert [(count.kind, count.count) for count in reply.counts] == [(kind, 0) for kind in range(1, 8)]
    assert all(count.HasField("count") for count in reply.counts)
    passed = reply.target_passed
    assert (passed.planned, passed.completed, passed.not_reported, passed.target_date.year) == (227, 11, 216, 2022)


async def test_a_forecast_goes_on_from_the_last_report(autumn: StatusService) -> None:
    """One a week: all of 227 take four years more; the band goes on from the points, week by week."""
    request = pb.GetForecastRequest(as_of=date_pb2.PartialDate(year=2022, month=9, day=30))
    reply = await autumn.stub.GetForecast(request, timeout=5)
    burn_up = await autumn.stub.GetBurnUp(
        pb.GetBurnUpRequest(as_of=request.as_of, interval=burn_up_pb2.INTERVAL_WEEK), timeout=5
    )

    assert reply.state == forecast_pb2.FORECAST_STATE_AVAILABLE
    finish = date(2022, 9, 30) + timedelta(weeks=203)
    assert [(one.percent, day(one.date)) for one in reply.finish_dates] == [(at, str(finish)) for at in (50, 85, 95)]
    assert (reply.target_chance, reply.remaining) == (0.0, 203)
    assert reply.actual_per_month == pytest.approx(4.35, abs=0.01)
    assert (burn_up.points[-1].completed, day(burn_up.points[-1].date)) == (24, "2022-09-30")
    assert [point.middle for point in burn_up.forecast] == list(range(25, 225))
    assert day(burn_up.forecast[0].date) == "2022-10-07"


async def test_attention_comes_in_pages(autumn: StatusService) -> None:
    """Each item once, in order, with the command that mends it; counts are of all, whatever the page or the kinds."""
    items: list[attention_pb2.AttentionItem] = []
    request = pb.ListAttentionRequest(as_of=DECEMBER, kinds=KINDS, page_size=80)
    while True:
        reply = await autumn.stub.ListAttention(request, timeout=5)
        items += reply.items
        assert reply.counts[0].count == 190
        assert reply.not_reported == 227 - 24 - 190
        if not reply.next_page_token:
            break
        request.page_token = reply.next_page_token

    assert [item.service for item in items] == [f"services/bca-{number:03}" for number in range(30, 220)]
    assert items[0].command == "tiendo integration unblock bca-030 --date …"
    assert (items[0].reason, items[0].actor, items[0].days) == ("chờ kết nối", "Nguyễn Văn Đức", 61)
    assert not reply.HasField("target_passed")


@pytest.mark.parametrize(
    ("text", "planned", "completed"),
    [("", 227, 24), ("condition = BLOCKED", 190, 0), ("naming = NAMED", 11, 11), ('text : "dich vu 1"', 3, 3)],
)
async def test_a_filter_makes_the_plan_what_it_lets_through(
    autumn: StatusService, text: str, planned: int, completed: int
) -> None:
    """The same request with another filter is another answer."""
    total = (await autumn.completion(filter=text, as_of=DECEMBER)).total

    assert (total.planned, total.completed) == (planned, completed)


@pytest.mark.parametrize(
    ("method", "fields", "code", "reason"),
    [
        ("GetBurnUp", {"programme": "programmes/none"}, "NOT_FOUND", "PROGRAMME_NOT_FOUND"),
        ("GetForecast", {"programme": "programmes/none"}, "NOT_FOUND", "PROGRAMME_NOT_FOUND"),
        ("ListAttention", {"programme": "programmes/none"}, "NOT_FOUND", "PROGRAMME_NOT_FOUND"),
        ("GetBurnUp", {"interval": 9}, "INVALID_ARGUMENT", "UNKNOWN_VALUE"),
        ("GetForecast", {"as_of": date_pb2.PartialDate(year=2022, month=13)}, "INVALID_ARGUMENT", "INVALID_DATE"),
        ("ListAttention", {"kinds": [99]}, "INVALID_ARGUMENT", "UNKNOWN_VALUE"),
        ("ListAttention", {"kinds": [0]}, "INVALID_ARGUMENT", "UNKNOWN_VALUE"),
        ("ListAttention", {"kinds": [1] * 51}, "INVALID_ARGUMENT", "TOO_MANY"),
        ("ListAttention", {"page_size": -1}, "INVALID_ARGUMENT", "INVALID_PAGE_SIZE"),
        ("ListAttention", {"page_token": "x"}, "INVALID_ARGUMENT", "INVALID_PAGE_TOKEN"),
        ("GetCompletion", {"filter": "stage = DONE"}, "INVALID_ARGUMENT", "UNKNOWN_VALUE"),
        ("GetCompletion", {"filter": "stage ="}, "INVALID_ARGUMENT", "INVALID_FILTER"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    seeded: StatusService, method: str, fields: dict[str, Any], code: str, reason: str
) -> None:
    """Each wrong field gets its status code and reason."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(seeded.stub, method)(getattr(pb, f"{method}Request")(**fields), timeout=5)

    assert refusal(caught.value) == (code, reason)


async def test_groups_of_a_filter_sum_to_what_it_lets_through(autumn: StatusService) -> None:
    """Unfilled places belong to no filter."""
    by_stage = completion_pb2.GROUP_BY_STAGE
    reply = await autumn.completion(filter="condition = BLOCKED", group_by=by_stage, as_of=DECEMBER)

    assert [(group.key, group.counts.planned) for group in reply.groups] == [("SELECTED", 190)]
