"""How figures and dates look, against values written by hand."""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.figures import (
    day,
    instant,
    number,
    partial_date,
    percent,
    slot_name,
    when,
)
from services.common.words import Lang


@pytest.mark.parametrize(
    ("completed", "planned", "vi", "en"),
    [
        (11, 227, "4,85%", "4.85 %"),
        (12, 227, "5,29%", "5.29 %"),
        (216, 227, "95,15%", "95.15 %"),
        (0, 227, "0,00%", "0.00 %"),
        (227, 227, "100%", "100 %"),
        (226, 227, "99,56%", "99.56 %"),
        (99_999, 100_000, "99,99%", "99.99 %"),
        (999_999, 1_000_000, "99,99%", "99.99 %"),
        (1, 20_000, "0,01%", "0.01 %"),
        (1, 20_001, "0,00%", "0.00 %"),
        (3, 20_000, "0,02%", "0.02 %"),
        (0, 0, "–", "–"),
    ],
)
def test_percent(completed: int, planned: int, vi: str, en: str) -> None:
    """A share has two decimals, rounded half up, in the form of each language."""
    assert (percent(completed, planned, Lang.VI), percent(completed, planned, Lang.EN)) == (vi, en)


@given(st.integers(1, 1_000_000).flatmap(lambda planned: st.tuples(st.integers(0, planned), st.just(planned))))
def test_percent_is_100_for_the_whole_alone(counts: tuple[int, int]) -> None:
    """No plan with anything left reads as 100, and below that the figure is the one rounded half up."""
    completed, planned = counts
    shown = percent(completed, planned, Lang.EN).removesuffix(" %")
    exact = Decimal(completed * 100) / Decimal(planned)
    rounded = exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)

    assert (shown == "100") == (completed == planned)
    if completed < planned:
        assert Decimal(shown) == min(rounded, Decimal("99.99"))


@pytest.mark.parametrize(("completed", "planned"), [(-1, 227), (228, 227), (1, 0)])
def test_a_share_outside_the_plan_is_refused(completed: int, planned: int) -> None:
    """A share below nothing or above the whole is a fault of the caller, not a figure."""
    with pytest.raises(ValueError, match="completed"):
        percent(completed, planned, Lang.VI)


@pytest.mark.parametrize(
    ("value", "vi", "en"),
    [(0, "0", "0"), (227, "227", "227"), (1234, "1.234", "1,234"), (1_000_000, "1.000.000", "1,000,000")],
)
def test_thousands(value: int, vi: str, en: str) -> None:
    """Thousands are grouped by a point in Vietnamese, by a comma in English."""
    assert (number(value, Lang.VI), number(value, Lang.EN)) == (vi, en)


def test_instants_are_shown_in_vietnam_time() -> None:
    """An instant is shown seven hours ahead of UTC, on the day it is in Vietnam."""
    moment = datetime(2022, 10, 4, 17, 5, 9, tzinfo=UTC)

    assert instant(moment) == "05/10/2022 00:05"
    assert instant(moment, seconds=True) == "05/10/2022 00:05:09"


def test_an_instant_without_a_zone_is_refused() -> None:
    """A time that does not say where it was read is not shown."""
    with pytest.raises(ValueError, match="time zone"):
        instant(datetime(2022, 10, 5, 0, 5))  # noqa: DTZ001  the fault under test


def test_dates_are_as_precise_as_known() -> None:
    """A date shows the parts that are known, and no more."""
    assert day(date(2022, 10, 5)) == "05/10/2022"
    assert partial_date(2022, 10, 5) == "05/10/2022"
    assert partial_date(2022, 9) == "09/2022"
    assert partial_date(2022) == "2022"
    assert partial_date(0) == "–"


@pytest.mark.parametrize(
    ("parts", "at_latest", "vi", "en"),
    [
        ((2022, 9, 0), True, "đến 09/2022", "by 09/2022"),
        ((2022, 10, 5), False, "ngày 05/10/2022", "on 05/10/2022"),
        ((2022, 10, 0), False, "trong tháng 10/2022", "in 10/2022"),
        ((2022, 0, 0), False, "trong năm 2022", "within 2022"),
        ((2022, 10, 5), True, "đến 05/10/2022", "by 05/10/2022"),
        ((0, 0, 0), True, "–", "–"),
    ],
)
def test_when(parts: tuple[int, int, int], at_latest: bool, vi: str, en: str) -> None:
    """What happened by a date is never said to have happened in it."""
    assert when(*parts, at_latest=at_latest, lang=Lang.VI) == vi
    assert when(*parts, at_latest=at_latest, lang=Lang.EN) == en


def test_a_slot_is_called_by_its_number() -> None:
    """A service without a name is shown by its place in the plan."""
    assert slot_name(12, Lang.VI) == "Mục số 12 (chưa có tên)"
    assert slot_name(12, Lang.EN) == "No. 12 (not yet named)"
