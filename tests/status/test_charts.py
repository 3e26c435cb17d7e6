"""The burn-up chart shows what was reported and not a day more."""

import re
from datetime import date
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.dates import PartialDate
from services.common.words import Lang
from services.status.charts import burn_up_svg
from services.status.domain import BurnUp, Interval, Point, ProgrammeVersion, burn_up
from services.status.forecast import BandPoint, Forecast, forecast
from tests.support.status_facts import SEEDED, TODAY, plan, seed

SVG = "{http://www.w3.org/2000/svg}"


def drawn(data: BurnUp, ahead: Forecast | None = None, width: int = 720, **options: bool) -> ET.Element:
    """Draw the chart; give the drawing."""
    return ET.fromstring(burn_up_svg(data, ahead, Lang.VI, label='Tiến độ "<&>"', width=width, height=300, **options))


def places(drawing: ET.Element, name: str) -> list[tuple[float, float]]:
    """The corners of a line or an area, by its class."""
    found = drawing.find(f"{SVG}path[@class='{name}']")
    numbers = re.findall(r"[-\d.]+", found.get("d", "")) if found is not None else []
    return list(zip(map(float, numbers[::2]), map(float, numbers[1::2]), strict=True))


def words(drawing: ET.Element) -> list[str]:
    """The texts on the drawing."""
    return [text.text or "" for text in drawing.iter(f"{SVG}text")]


def test_the_seed_is_a_band_then_one_point_then_nothing() -> None:
    """Up to 09/2022 nobody knows when the 11 were complete; after it nothing is drawn but the target."""
    grown = burn_up(plan(), seed(), TODAY, interval=Interval.MONTH)
    drawing = drawn(grown, forecast(plan(), seed(), TODAY))

    actual, target = places(drawing, "actual"), drawing.find(f"{SVG}line[@class='target']")
    dot = drawing.find(f"{SVG}circle")
    assert target is not None
    assert dot is not None
    assert max(x for x, _ in actual) == float(dot.get("cx", "0")) < float(target.get("x2", "0"))
    assert places(drawing, "band")
    assert not places(drawing, "ahead")
    assert "chưa có báo cáo" in words(drawing)
    assert "Mục tiêu 227" in words(drawing)
    assert "11" in words(drawing)
    assert drawing.get("aria-label") == 'Tiến độ "<&>"'


def test_a_forecast_is_drawn_as_a_band_from_the_latest_report() -> None:
    """What may come begins where the reports end, is marked as a forecast, and no silence is claimed."""
    grown = burn_up(plan(), seed(), TODAY, interval=Interval.MONTH)
    without = forecast(plan(), seed(), TODAY)
    band = (BandPoint(date(2022, 10, 31), 20, 40, 60), BandPoint(date(2022, 11, 30), 60, 110, 170))
    ahead = Forecast(**{name: getattr(without, name) for name in Forecast.__slots__} | {"band": band})
    drawing = drawn(grown, ahead)

    assert places(drawing, "ahead")[0] == places(drawing, "actual")[-1]
    label = next(text for text in drawing.iter(f"{SVG}text") if text.text == "11")
    # It is written where nothing is drawn.
    assert label.get("text-anchor") == "end"
    assert float(label.get("x", "0")) < places(drawing, "ahead")[0][0]
    assert "chưa có báo cáo" not in words(drawing)


def test_nothing_reported_is_an_empty_chart() -> None:
    """Without a point the chart has its frame and its target, and says that nothing is reported."""
    version = ProgrammeVersion(SEEDED, "Đề án", "", 227, PartialDate(2022), PartialDate(2022))
    drawing = drawn(BurnUp((), None, version))

    assert not places(drawing, "actual")
    assert "chưa có báo cáo" in words(drawing)
    assert drawn(BurnUp((), None, ProgrammeVersion(SEEDED, "", "", 0, None, None))) is not None


def test_on_paper_it_brings_its_colours() -> None:
    """A chart for a file needs no style sheet; one for a page has no style of its own, which the page would refuse."""
    grown = burn_up(plan(), seed(), TODAY, interval=Interval.MONTH)

    assert drawn(grown, paper=True).find(f"{SVG}style") is not None
    assert "style" not in burn_up_svg(grown, None, Lang.EN, label="x", width=340, height=300)


@pytest.mark.parametrize("width", [340, 720])
@given(
    numbers=st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 500)), min_size=1, max_size=30),
    planned=st.integers(1, 100_000),
    start=st.dates(date(1990, 1, 1), date(2100, 1, 1)),
)
def test_everything_lies_on_the_drawing(width: int, numbers: list[tuple[int, int]], planned: int, start: date) -> None:
    """Whatever the numbers and days, no line, label or point lies outside, and months are not written over each other."""
    ends = [date(start.year + (start.month + place) // 12, (start.month + place) % 12 + 1, 1) for place in range(30)]
    points = tuple(Point(day, *both) for day, both in zip(ends, numbers, strict=False))
    version = ProgrammeVersion(SEEDED, "", "", planned, PartialDate.of_day(start), PartialDate(start.year + 1))
    drawing = drawn(BurnUp(points, PartialDate.of_day(points[-1].day), version), width=width)

    for x, y in places(drawing, "actual") + places(drawing, "band"):
        assert 0 <= x <= width
        assert 0 <= y <= 300
    for text in drawing.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", "-1")) <= width
        assert 0 <= float(text.get("y", "-1")) <= 300
    months = [
        float(text.get("x", "0")) for text in drawing.iter(f"{SVG}text") if re.fullmatch(r"\d\d/\d{4}", text.text or "")
    ]
    assert all(after - before > 40 for before, after in pairwise(months))
