"""Dates keep the precision they came with, and Vietnam decides which day it is."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.dates import (
    EffectiveDate,
    PartialDate,
    check_not_future,
    iso_instant,
    parse_date,
    utc,
    vietnam_day,
)
from services.common.errors import Reason, Refusal


@st.composite
def partial_dates(draw: st.DrawFn) -> PartialDate:
    """Any date of any precision."""
    day = draw(st.dates())
    precision = draw(st.sampled_from(["year", "month", "day"]))
    return PartialDate(day.year, 0 if precision == "year" else day.month, day.day if precision == "day" else 0)


@pytest.mark.parametrize(
    ("parts", "field", "message"),
    [
        ((0, 0, 0), "date.year", "date.year: 0 is not a year; give one from 1 to 9999"),
        ((10000, 0, 0), "date.year", "date.year: 10000 is not a year; give one from 1 to 9999"),
        ((2022, 13, 0), "date.month", "date.month: 13 is not a month; give one from 1 to 12, or leave it out"),
        ((2022, -1, 0), "date.month", "date.month: -1 is not a month; give one from 1 to 12, or leave it out"),
        (
            (2022, 0, 5),
            "date.month",
            "date.month: a day was given without its month; give the month too, or leave the day out",
        ),
        ((2022, 2, 31), "date.day", "date.day: 31/02/2022 does not exist; give a day of that month"),
        ((2023, 2, 29), "date.day", "date.day: 29/02/2023 does not exist; give a day of that month"),
        ((2022, 2, 32), "date.day", "date.day: 32 is not a day; give a day of that month, or leave it out"),
        ((2022, 2, -1), "date.day", "date.day: -1 is not a day; give a day of that month, or leave it out"),
    ],
)
def test_impossible_dates_are_refused(parts: tuple[int, int, int], field: str, message: str) -> None:
    """A day, month or year that does not exist is refused, naming the part."""
    with pytest.raises(Refusal) as caught:
        PartialDate(*parts)

    assert (caught.value.reason, caught.value.fields, caught.value.message) == (Reason.INVALID_DATE, (field,), message)


def test_faults_name_the_requests_own_field() -> None:
    """A date built for a request names its faults by the request's field path."""
    with pytest.raises(Refusal) as caught:
        PartialDate.of(2022, 2, 31, field="effective_date.date")

    assert caught.value.fields == ("effective_date.date.day",)
    assert PartialDate.of(2024, 2, 29, field="as_of") == PartialDate(2024, 2, 29)


@pytest.mark.parametrize(
    ("value", "precision", "days", "shown", "iso"),
    [
        (PartialDate(2022, 10, 5), "day", (date(2022, 10, 5), date(2022, 10, 5)), "05/10/2022", "2022-10-05"),
        (PartialDate(2022, 9), "month", (date(2022, 9, 1), date(2022, 9, 30)), "09/2022", "2022-09"),
        (PartialDate(2024, 2), "month", (date(2024, 2, 1), date(2024, 2, 29)), "02/2024", "2024-02"),
        (PartialDate(2022), "year", (date(2022, 1, 1), date(2022, 12, 31)), "2022", "2022"),
        (PartialDate(9999, 12), "month", (date(9999, 12, 1), date(9999, 12, 31)), "12/9999", "9999-12"),
        (PartialDate(7), "year", (date(7, 1, 1), date(7, 12, 31)), "0007", "0007"),
    ],
)
def test_a_period_has_first_and_last_day_and_two_forms(
    value: PartialDate, precision: str, days: tuple[date, date], shown: str, iso: str
) -> None:
    """A date knows its precision, its first and last day, and how it is shown and stored."""
    assert (value.precision, (value.first_day(), value.last_day())) == (precision, days)
    assert (value.show(), value.iso()) == (shown, iso)


@given(partial_dates())
def test_every_date_comes_back_from_its_forms(value: PartialDate) -> None:
    """Reading what was shown or stored gives the same date, with the same precision."""
    assert parse_date(value.show()) == value
    assert parse_date(value.iso()) == value
    assert PartialDate.from_iso(value.iso()) == value


@given(st.dates())
def test_a_day_lies_in_its_month_and_its_year(day: date) -> None:
    """The periods around a day begin no later and end no earlier than it, and the next day after the end is outside."""
    month, year = PartialDate(day.year, day.month), PartialDate(day.year)

    assert year.first_day() <= month.first_day() <= day <= month.last_day() <= year.last_day()
    assert PartialDate.of_day(day).first_day() == day == PartialDate.of_day(day).last_day()
    if month.last_day() != date.max:
        assert (month.last_day() + timedelta(days=1)).day == 1


def test_dates_have_no_order_of_their_own() -> None:
    """Comparing two dates without saying by which day is an error, not a guess."""
    with pytest.raises(TypeError):
        PartialDate(2022) < PartialDate(2022, 9)  # type: ignore[operator]  # noqa: B015


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("05/10/2022", PartialDate(2022, 10, 5)),
        ("5/10/2022", PartialDate(2022, 10, 5)),
        ("2022-10-05", PartialDate(2022, 10, 5)),
        ("10/2022", PartialDate(2022, 10)),
        ("9/2022", PartialDate(2022, 9)),
        ("2022-10", PartialDate(2022, 10)),
        ("2022", PartialDate(2022)),
        ("  2022-10 \n", PartialDate(2022, 10)),
    ],
)
def test_dates_are_read_as_people_type_them(text: str, expected: PartialDate) -> None:
    """All the forms that screens and papers use are read, with slashes the day first."""
    assert parse_date(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "10-05-2022", "2022/10/05", "5.10.2022", "05/10/22", "2022-1-5", "٢٠٢٢", "20221005", "tháng 9", "1/2/3/2022"],
)
def test_other_forms_are_refused_with_the_accepted_ones(text: str) -> None:
    """A date in another form is refused, and the message lists the accepted forms."""
    with pytest.raises(Refusal) as caught:
        parse_date(text, "as_of")

    assert (caught.value.reason, caught.value.fields) == (Reason.INVALID_DATE, ("as_of",))
    assert "05/10/2022 (day first), 2022-10-05, 10/2022, 2022-10 or 2022" in caught.value.message


@pytest.mark.parametrize("text", ["31/02/2022", "00/2022", "00/10/2022", "2022-00", "2022-13", "2022-10-00", "0000"])
def test_typed_dates_that_do_not_exist_are_refused(text: str) -> None:
    """A written part that names no day, month or year is refused, and never read as left out."""
    with pytest.raises(Refusal) as caught:
        parse_date(text, "as_of")

    assert (caught.value.reason, caught.value.fields) == (Reason.INVALID_DATE, ("as_of",))


@pytest.mark.parametrize("text", ["05/10/2022", "2022-00", "2022-02-30", "", "2022-10-05T00:00"])
def test_stored_form_is_strict(text: str) -> None:
    """Only the stored form is read back as one."""
    with pytest.raises(Refusal) as caught:
        PartialDate.from_iso(text)

    assert caught.value.reason is Reason.INVALID_DATE


SEPTEMBER = PartialDate(2022, 9)


@pytest.mark.parametrize(
    ("effective", "start", "expected"),
    [
        (EffectiveDate(SEPTEMBER), date(2022, 1, 1), date(2022, 9, 1)),
        (EffectiveDate(SEPTEMBER), None, date(2022, 9, 1)),
        (EffectiveDate(SEPTEMBER, at_latest=True), date(2022, 1, 1), date(2022, 1, 1)),
        (EffectiveDate(SEPTEMBER, at_latest=True), date(2023, 1, 1), date(2022, 9, 1)),
        (EffectiveDate(SEPTEMBER, at_latest=True), None, date(1, 1, 1)),
    ],
)
def test_possible_from(effective: EffectiveDate, start: date | None, expected: date) -> None:
    """It may have happened from the period's first day, or from the programme's start when only the latest is known."""
    assert effective.possible_from(start) == expected


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (datetime(2024, 6, 14, tzinfo=UTC), date(2022, 9, 30)),
        (datetime(2022, 9, 15, 16, 59, tzinfo=UTC), date(2022, 9, 15)),
        (datetime(2022, 9, 15, 17, 0, tzinfo=UTC), date(2022, 9, 16)),
    ],
)
def test_certain_from(recorded: datetime, expected: date) -> None:
    """It surely happened by the period's last day, or by the Vietnam day we were told, if that came first."""
    assert EffectiveDate(SEPTEMBER, at_latest=True).certain_from(recorded) == expected


def test_effective_dates_are_shown_in_both_languages() -> None:
    """The latest date reads "đến" or "by", never as a date in itself."""
    on, by = EffectiveDate(PartialDate(2022, 10, 5)), EffectiveDate(SEPTEMBER, at_latest=True)

    assert (on.show("vi"), on.show("en")) == ("05/10/2022", "05/10/2022")
    assert (by.show("vi"), by.show("en")) == ("đến 09/2022", "by 09/2022")


def test_future_dates_are_refused() -> None:
    """A date whose first day lies after today is refused; a period that has begun is not."""
    today = date(2022, 9, 15)
    check_not_future(EffectiveDate(SEPTEMBER), today, "effective_date")
    check_not_future(EffectiveDate(PartialDate(2022, 9, 15)), today, "effective_date")

    with pytest.raises(Refusal) as caught:
        check_not_future(EffectiveDate(PartialDate(2022, 9, 16)), today, "effective_date")

    assert (caught.value.reason, caught.value.metadata) == (Reason.DATE_IN_FUTURE, {"today": "2022-09-15"})
    assert caught.value.message == (
        "effective_date: 16/09/2022 lies after today, 15/09/2022; give the date it happened"
    )


def test_vietnam_is_seven_hours_ahead() -> None:
    """The Vietnam day begins at 17:00 UTC, whatever zone the instant was given in."""
    assert vietnam_day(datetime(2022, 12, 31, 16, 59, 59, tzinfo=UTC)) == date(2022, 12, 31)
    assert vietnam_day(datetime(2022, 12, 31, 17, 0, tzinfo=UTC)) == date(2023, 1, 1)
    assert vietnam_day(datetime(2022, 12, 31, 10, 0, tzinfo=timezone(timedelta(hours=-7)))) == date(2023, 1, 1)
    assert vietnam_day(datetime(9999, 12, 31, 23, 0, tzinfo=UTC)) == date(9999, 12, 31)


def test_naive_datetimes_name_no_instant() -> None:
    """A datetime without a zone is a mistake of ours and never taken as UTC."""
    naive = datetime(2022, 10, 5)  # noqa: DTZ001

    for function in (utc, vietnam_day, iso_instant):
        with pytest.raises(ValueError, match="naive"):
            function(naive)


def test_instants_have_one_text() -> None:
    """An instant is written in UTC with six decimals, whatever its offset."""
    instant = datetime(2026, 1, 1, 7, 0, tzinfo=timezone(timedelta(hours=7)))

    assert iso_instant(instant) == "2026-01-01T00:00:00.000000Z"


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_order_of_instant_texts_is_order_of_time(one: datetime, other: datetime) -> None:
    """Stored instants compare as texts as they do in time, and come back exactly."""
    assert (iso_instant(one) < iso_instant(other)) == (one < other)
    assert datetime.fromisoformat(iso_instant(one)) == one
