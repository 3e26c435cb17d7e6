"""The forecast: by the pace observed, never from too little, and the pace that the target asks for."""

import math
from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.common.dates import EffectiveDate, PartialDate
from services.status.domain import EVERYTHING, ServiceHistory, Stage, StepKind
from services.status.forecast import (
    MOST_WEEKS,
    RUNS,
    ForecastState,
    needed_per_month,
    simulate,
    weekly,
)
from tests.support.status_facts import (
    TODAY,
    at,
    condition_step,
    member,
    on,
    plan,
    redated,
    reverted,
    seed,
    stage_step,
)
from tests.support.surveys import forecast

END = date(2022, 9, 30)
paces = st.lists(st.integers(0, 6), min_size=8, max_size=40).filter(any).map(tuple)


def completed_on(*dates: str) -> list[ServiceHistory]:
    """Services completed on these dates, recorded the day after the last."""
    told = at("2022-10-01")
    return [member(stage_step(1, Stage.INTEGRATED, on(text), told), number=n) for n, text in enumerate(dates, 1)]


WEEKS = [f"{date(2022, 7, 1) + timedelta(days=7 * week):%Y-%m-%d}" for week in range(13)]


def test_the_seed_gives_no_forecast_but_the_pace_that_is_needed() -> None:
    """One date, and that at the latest, says nothing of pace; what remains and what that asks for is known."""
    ahead = forecast(plan(), seed(), TODAY)

    assert ahead.state is ForecastState.TOO_LITTLE_HISTORY
    assert (ahead.planned, ahead.completed, ahead.remaining, ahead.needed_per_month) == (227, 11, 216, 72)
    assert (ahead.actual_per_month, ahead.target_chance, ahead.finish_dates, ahead.band) == (None, None, (), ())
    assert (ahead.basis.dated_completions, ahead.basis.distinct_dates, ahead.basis.weeks) == (0, 0, 0)
    assert (ahead.basis.minimum_distinct_dates, ahead.basis.minimum_weeks) == (6, 8)


@pytest.mark.parametrize(
    ("dates", "state"),
    [
        (WEEKS, ForecastState.AVAILABLE),
        (WEEKS[-8:], ForecastState.AVAILABLE),
        (WEEKS[-7:], ForecastState.TOO_LITTLE_HISTORY),  # seven weeks
        ([*WEEKS[:4], WEEKS[12], WEEKS[12]], ForecastState.TOO_LITTLE_HISTORY),  # five dates
        ([*WEEKS[:5], WEEKS[12]], ForecastState.AVAILABLE),
        (["2022"] * 20, ForecastState.TOO_LITTLE_HISTORY),  # a year is no date
    ],
)
def test_it_refuses_below_the_minimum(dates: list[str], state: ForecastState) -> None:
    """Six dates over eight weeks are the least."""
    assert forecast(plan(), completed_on(*dates), date(2022, 9, 30)).state is state


def test_old_reports_say_nothing_of_today() -> None:
    """Thirteen weeks after the latest report there is a forecast, a day later there is none, and the pace stays known."""
    services, last = completed_on(*WEEKS), date(2022, 9, 23)

    young = forecast(plan(), services, last + timedelta(days=91))
    old = forecast(plan(), services, last + timedelta(days=92))

    assert (young.state, old.state) == (ForecastState.AVAILABLE, ForecastState.REPORTS_TOO_OLD)
    assert (old.finish_dates, old.target_chance, old.band) == ((), None, ())
    assert old.actual_per_month == young.actual_per_month == pytest.approx(13 / 13 * 365.25 / 84, rel=0.01)


def test_a_complete_plan_needs_none() -> None:
    """All planned are complete: nothing remains, and no pace is needed."""
    ahead = forecast(plan(13), completed_on(*WEEKS), TODAY)

    assert (ahead.state, ahead.remaining, ahead.needed_per_month) == (ForecastState.COMPLETED, 0, None)


def test_one_a_week_is_forecast_to_the_day() -> None:
    """A constant pace leaves no doubt: all finish dates agree, the chance is 0 or 1, the band is a line."""
    services, last = completed_on(*WEEKS), date(2022, 9, 23)
    soon, late = forecast(plan(20), services, END), forecast(plan(40), services, END)

    finish = PartialDate.of_day(last + timedelta(weeks=7))
    assert soon.finish_dates == ((50, finish), (85, finish), (95, finish))
    assert (soon.target_chance, late.target_chance) == (1.0, 0.0)
    assert [(point.day, point.low, point.middle, point.high) for point in soon.band] == [
        (last + timedelta(weeks=week), 13 + week, 13 + week, 13 + week) for week in range(1, 8)
    ]


def test_the_date_that_holds_is_counted() -> None:
    """A correction's date, the last time INTEGRATED was reached, and not the day a switched off service came back."""
    told = at("2022-09-30")
    corrected = member(
        stage_step(1, Stage.INTEGRATED, on("2022-02-01"), told), redated(2, 1, on("2022-08-01"), told), number=1
    )
    again = member(
        stage_step(1, Stage.INTEGRATED, on("2022-02-01"), told),
        reverted(2, Stage.BUILT, on("2022-03-01"), told),
        stage_step(3, Stage.INTEGRATED, on("2022-08-02"), told),
        number=2,
    )
    resumed = member(
        stage_step(1, Stage.INTEGRATED, on("2022-08-03"), told),
        condition_step(2, StepKind.SUSPENDED, on("2022-09-01"), told),
        condition_step(3, StepKind.RESUMED, on("2022-09-02"), told),
        number=3,
    )
    basis = forecast(plan(), [corrected, again, resumed], END).basis

    assert (basis.dated_completions, basis.distinct_dates, basis.weeks) == (3, 3, 5)


def test_a_month_is_spread_over_its_weeks() -> None:
    """Thirty of September come evenly, and end with the month; the week of a day holds it."""
    month = weekly(Counter({PartialDate(2022, 9): 30}), END)
    mixed = weekly(Counter({PartialDate(2022, 9): 4, PartialDate(2022, 8, 30): 2}), END)

    assert month == (2, 7, 7, 7, 7)
    assert (sum(mixed), mixed[0]) == (6, 2)


def test_what_was_told_before_its_date_counts_on_the_last_day() -> None:
    """A clock that went wrong may date a step later than it was told: it counts in the last week, and nothing breaks."""
    later = PartialDate.of_day(END + timedelta(days=12))

    assert weekly(Counter({later: 3}), END) == (3,)
    assert weekly(Counter({later: 1, PartialDate.of_day(END - timedelta(days=7)): 2}), END) == (2, 1)


@settings(deadline=None)
@given(
    st.dictionaries(st.dates(date(2022, 1, 1), END).map(PartialDate.of_day), st.integers(1, 9), min_size=1),
    st.dictionaries(st.sampled_from([PartialDate(2022, month) for month in range(1, 10)]), st.integers(1, 40)),
)
def test_no_completion_is_lost_between_the_weeks(days: dict[PartialDate, int], months: dict[PartialDate, int]) -> None:
    """The weeks hold as many as were observed, from the first date's week on."""
    observed = Counter(days | months)
    weeks = weekly(observed, END)

    first = min(when.first_day() for when in observed)
    assert sum(weeks) == observed.total()
    assert len(weeks) == (END - first).days // 7 + 1


@settings(deadline=None, max_examples=8)
@given(st.integers(1, 9), st.integers(1, 300))
def test_a_constant_pace_takes_exactly_what_it_takes(pace: int, remaining: int) -> None:
    """K a week finish in ceil(remaining / k) weeks in every run."""
    runs = simulate((pace,) * 8, remaining, 1)

    assert set(runs.finished) == {math.ceil(remaining / pace)}


@settings(deadline=None, max_examples=8)
@given(paces, st.data(), st.integers(1, 120))
def test_more_pace_never_means_later(weeks: tuple[int, ...], data: st.DataObject, remaining: int) -> None:
    """Where every week holds at least as many, no finish date comes later and no chance is less."""
    more = tuple(number + data.draw(st.integers(0, 3)) for number in weeks)
    slow, fast = simulate(weeks, remaining, 7), simulate(more, remaining, 7)

    assert all(quick <= late for quick, late in zip(fast.finished, slow.finished, strict=True))
    assert all(fast.chance_within(within) >= slow.chance_within(within) for within in range(0, MOST_WEEKS, 40))


@settings(deadline=None, max_examples=5)
@given(paces, st.integers(1, 120), st.integers(0, 10**6))
def test_the_same_seed_gives_the_same_runs(weeks: tuple[int, ...], remaining: int, seed_number: int) -> None:
    """A forecast can be made again from its seed; another seed gives other runs of the same distribution."""
    once, again = (simulate.__wrapped__(weeks, remaining, seed_number) for _ in range(2))

    assert once == again
    assert len(once.finished) == RUNS


def test_nought_or_one_a_week_is_the_negative_binomial() -> None:
    """With one in half of the weeks, the weeks to 20 follow the law that says so."""
    runs = simulate((0, 1) * 10, 20, 227)

    def at_most(weeks: int) -> float:
        return float(sum(math.comb(weeks, done) for done in range(20, weeks + 1)) / 2**weeks)

    for weeks in (32, 36, 40, 44, 48, 56):
        assert runs.chance_within(weeks) == pytest.approx(at_most(weeks), abs=0.02)
    for percent in (50, 85, 95):
        finish = runs.finished_in(percent)
        assert finish
        assert at_most(finish - 2) - 0.02 <= percent / 100 <= at_most(finish + 1) + 0.02


def test_the_band_holds_what_the_finish_dates_say() -> None:
    """Low reaches the plan on the 95 % date, middle on the 50 % date; low is never above middle nor that above high."""
    runs = simulate((0, 1, 0, 3, 2, 0, 1, 4), 60, 227)

    assert len(runs.band) == runs.finished_in(95)
    assert runs.band[-1] == (60, 60, 60)
    assert next(week for week, band in enumerate(runs.band, 1) if band[1] == 60) == runs.finished_in(50)
    assert all(low <= middle <= high <= 60 for low, middle, high in runs.band)


def test_what_takes_longer_than_ten_years_has_no_date() -> None:
    """One in forty weeks never completes 200: no date, no chance, a band of 200 weeks."""
    runs = simulate((0,) * 39 + (1,), 200, 227)

    assert (runs.finished_in(50), runs.chance_within(MOST_WEEKS)) == (None, 0.0)
    assert len(runs.band) == 200


def test_what_was_known_then_gives_the_forecast_of_then() -> None:
    """Reports recorded later change no forecast as known before."""
    services = completed_on(*WEEKS)
    known = at("2022-09-30")

    assert forecast(plan(recorded=at("2022-01-01")), services, END, known).completed == 0
    assert forecast(plan(recorded=at("2022-01-01")), services, END, EVERYTHING).completed == 13


def test_an_uncertain_date_is_none() -> None:
    """What is only possible on the day counts neither as complete nor as pace."""
    services = [member(stage_step(1, Stage.INTEGRATED, EffectiveDate(PartialDate(2022, 9)), at("2022-11-01")))]

    assert forecast(plan(), services, date(2022, 9, 15)).completed == 0


@pytest.mark.parametrize(
    ("remaining", "from_day", "target", "expected"),
    [
        (216, date(2022, 9, 30), date(2022, 12, 31), 72),
        (217, date(2022, 9, 30), date(2022, 12, 31), 73),
        (215, date(2022, 10, 5), date(2022, 12, 31), 76),  # 2 + 26/31 months
        (216, date(2022, 9, 15), date(2022, 12, 31), 62),  # 3.5 months
        (216, date(2021, 12, 31), date(2022, 12, 31), 18),
        (10, date(2022, 12, 30), date(2022, 12, 31), 10),
        (0, date(2022, 9, 30), date(2022, 12, 31), 0),
        (216, date(2022, 12, 31), date(2022, 12, 31), None),
        (216, date(2026, 1, 1), date(2022, 12, 31), None),
    ],
)
def test_needed_per_month(remaining: int, from_day: date, target: date, expected: int | None) -> None:
    """What is needed a month is what remains by the months left, rounded up; nothing when none are left."""
    assert needed_per_month(remaining, from_day, target) == expected


@given(st.integers(0, 10_000), st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 4_000))
def test_the_needed_pace_reaches_the_target_and_never_asks_for_more_than_remains(
    remaining: int, from_day: date, days: int
) -> None:
    """The pace is between nothing and all that remains, and a later start never lowers it."""
    target = from_day + timedelta(days=days)
    pace = needed_per_month(remaining, from_day, target)
    assume(pace is not None)
    later = needed_per_month(remaining, from_day + timedelta(days=1), target)

    assert pace is not None
    assert 0 <= pace <= remaining
    assert later is None or later >= pace


def test_a_negative_remainder_is_refused() -> None:
    """Less than nothing can't remain."""
    with pytest.raises(ValueError, match="negative"):
        needed_per_month(-1, date(2022, 9, 30), date(2022, 12, 31))
