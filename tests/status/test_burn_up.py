"""Burn-up gives at each point what counting gives on its day, and nothing after the latest report."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.dates import PartialDate
from services.common.errors import Reason, Refusal
from services.status.domain import EVERYTHING, Interval, Point, Programme, ServiceHistory, Stage
from tests.support.status_facts import TODAY, at, by, member, on, plan, seed, stage_step
from tests.support.status_histories import days, instants, plans, programmes
from tests.support.surveys import burn_up, count


def test_the_seed_by_month_is_uncertain_until_september_and_stops_there() -> None:
    """Of the 11 "by September 2022" nobody knows the day before; from its last they are complete; then comes nothing."""
    grown = burn_up(plan(), seed(), TODAY, interval=Interval.MONTH)

    ends = [PartialDate(2022, month).last_day() for month in range(1, 10)]
    assert grown.points == (*(Point(end, 0, 11) for end in ends[:-1]), Point(date(2022, 9, 30), 11, 0))
    assert grown.facts_through == PartialDate(2022, 9)


@given(programmes, plans, days, st.just(EVERYTHING) | instants, st.sampled_from(Interval))
def test_each_point_is_what_counting_gives_on_its_day(
    programme: Programme, services: list[ServiceHistory], as_of: date, known_at: datetime, interval: Interval
) -> None:
    """Whatever the histories, legal or not, and whatever was known."""
    grown = burn_up(programme, services, as_of, known_at, interval=interval)
    counted = count(programme, services, as_of, known_at)

    assert grown.facts_through == counted.facts_through
    for point in grown.points:
        total = count(programme, services, point.day, known_at).total
        assert (point.completed, point.uncertain) == (total.completed, total.uncertain)
    assert bool(grown.points) == bool(grown.facts_through)
    if grown.points and grown.facts_through:
        assert grown.points[-1].day == min(grown.facts_through.last_day(), as_of)
        assert [point.day for point in grown.points] == sorted({point.day for point in grown.points})


def test_points_end_with_their_interval_and_the_last_with_the_report() -> None:
    """Weeks end on Sundays; the last point is cut off at the report's last day."""
    services = [member(stage_step(1, Stage.INTEGRATED, on("2022-01-19"), at("2022-01-20")))]

    weekly = burn_up(plan(), services, TODAY, interval=Interval.WEEK).points
    daily = burn_up(plan(), services, TODAY, interval=Interval.DAY).points

    assert [point.day for point in weekly] == [date(2022, 1, day) for day in (2, 9, 16, 19)]
    assert [(point.completed, point.uncertain) for point in weekly] == [(0, 0)] * 3 + [(1, 0)]
    assert [point.day for point in daily] == [date(2022, 1, day) for day in range(1, 20)]


def test_without_a_first_day_it_begins_where_something_may_be_complete() -> None:
    """A programme without a start begins with its first possible completion; "at the latest" alone gives one point."""
    dated = [member(stage_step(1, Stage.INTEGRATED, on("2022-03"), at("2022-05-01")))]

    assert [point.day.month for point in burn_up(plan(start=""), dated, TODAY, interval=Interval.MONTH).points] == [3]
    assert burn_up(plan(start=""), seed(), TODAY, interval=Interval.MONTH).points == (Point(date(2022, 9, 30), 11, 0),)


def test_nothing_dated_gives_no_point() -> None:
    """Silence is not zero: no point, no line."""
    assert burn_up(plan(), [member(number=3)], TODAY, interval=Interval.DAY).points == ()


def test_too_many_points_are_refused() -> None:
    """Days of eleven years are more than a reply holds; weeks of them are not."""
    services = [member(stage_step(1, Stage.INTEGRATED, by("2011"), at("2022-05-01")))]

    with pytest.raises(Refusal) as refused:
        burn_up(plan(start="2000"), services, TODAY, interval=Interval.DAY)

    assert (refused.value.reason, refused.value.fields) == (Reason.TOO_MANY, ("interval",))
    assert len(burn_up(plan(start="2000"), services, TODAY, interval=Interval.WEEK).points) == 627


def test_many_services_of_which_nothing_is_known_cost_nothing_per_point() -> None:
    """Points are added up from what changes: day by day takes no more reading than month by month."""
    reads: list[str] = []

    class Counted(ServiceHistory):
        def chain_at(self, known_at: datetime) -> tuple[object, ...]:  # type: ignore[override]
            reads.append(self.id)
            return super().chain_at(known_at)

    done = stage_step(1, Stage.INTEGRATED, on("2022-09"), at("2022-09-30") + timedelta(days=3))
    version = member().versions
    services = [Counted(f"s{number}", version, (done,) if number < 3 else ()) for number in range(1000)]
    burn_up(plan(1000), services, TODAY, interval=Interval.DAY)

    assert len(reads) <= 2 * 3
