"""The burn-up chart shows what was reported and not a day more."""

import re
from dataclasses import astuple, fields, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.dates import PartialDate
from services.common.words import Lang
from services.status import web
from services.status.charts import Order
from services.status.charts.burn_up import DARK, LIGHT, Palette, burn_up_spec
from services.status.domain import BurnUp, Interval, Point, ProgrammeVersion
from services.status.forecast import BandPoint, Forecast
from tests.support.status_facts import SEEDED, TODAY, plan, seed
from tests.support.surveys import burn_up, forecast

SEPTEMBER, YEAR_END = date(2022, 9, 30), date(2022, 12, 31)
STYLE = Path(web.__file__).parent / "static" / "tiendo.css"


def seeded(lang: Lang = Lang.VI, **look: Any) -> Order:
    """The chart of the real programme."""
    grown = burn_up(plan(), seed(), TODAY, interval=Interval.MONTH)
    return Order(grown, forecast(plan(), seed(), TODAY), lang, "Tiến độ", **look)


class Shown:
    """What a specification shows."""

    def __init__(self, order: Order) -> None:
        self.spec = burn_up_spec(order)
        self.layers: dict[str, dict[str, Any]] = {layer["name"]: layer for layer in self.spec["layer"]}

    def rows(self, layer: str) -> list[dict[str, Any]]:
        """The rows of a layer, their days as dates; none where there is no such layer."""
        if layer not in self.layers:
            return []
        data = self.layers[layer]["data"]
        rows = data["values"] if "values" in data else self.spec["datasets"][data["name"]]
        return [row | {name: day_of(row[name]) for name in ("day", "end") if name in row} for row in rows]

    def axis(self, letter: str) -> tuple[list[float], list[float]]:
        """The ends and the ticks of an axis."""
        encoding = self.layers["silent_text" if "silent_text" in self.layers else "actual"]["encoding"][letter]
        return encoding["scale"]["domain"], encoding["axis"]["values"]


def day_of(milliseconds: float) -> date:
    """The day of a place on the axis."""
    return date(1970, 1, 1) + timedelta(milliseconds=milliseconds)


def test_the_seed_is_a_band_then_one_point_then_nothing() -> None:
    """Up to 09/2022 nobody knows when the 11 were complete; after it nothing is shown but the target."""
    shown = Shown(seeded())

    known = shown.rows("actual")
    assert known[-1] == {"day": SEPTEMBER, "value": 11}
    assert {row["value"] for row in known[:-1]} == {0}
    assert {(row["low"], row["high"]) for row in shown.rows("uncertain")[:-1]} == {(0, 11)}
    assert max(row["day"] for row in shown.rows("uncertain")) == SEPTEMBER
    assert [(row["day"], row["value"]) for row in shown.rows("target")] == [(date(2022, 1, 1), 0), (YEAR_END, 227)]
    assert shown.rows("silent") == [{"day": SEPTEMBER, "end": YEAR_END}]
    assert not shown.rows("ahead")
    assert shown.layers["actual"]["mark"]["interpolate"] == "step-after"
    assert shown.layers["uncertain"]["mark"]["interpolate"] == "step-after"


@pytest.mark.parametrize(
    ("lang", "target", "silent", "thousands"),
    [(Lang.VI, "Mục tiêu 227", "chưa có báo cáo", "."), (Lang.EN, "Target 227", "not reported", ",")],
)
def test_it_speaks_the_readers_language(lang: Lang, target: str, silent: str, thousands: str) -> None:
    """Words and numbers are those of the page's language."""
    shown = Shown(seeded(lang))

    texts = [shown.rows(layer)[0]["text"] for layer in ("target_text", "silent_text", "latest_text")]
    assert texts == [target, silent, "11"]
    assert shown.spec["config"]["locale"]["number"]["thousands"] == thousands


def test_a_forecast_is_a_band_from_the_latest_report() -> None:
    """What may come begins where the reports end, is marked as a forecast, and no silence is claimed."""
    order = seeded()
    band = (BandPoint(date(2022, 10, 31), 20, 40, 60), BandPoint(date(2022, 11, 30), 60, 110, 170))
    assert order.ahead
    values = {field.name: getattr(order.ahead, field.name) for field in fields(Forecast)}
    shown = Shown(replace(order, ahead=Forecast(**values | {"band": band})))

    assert shown.rows("ahead") == [
        {"day": SEPTEMBER, "low": 11, "middle": 11, "high": 11},
        {"day": date(2022, 10, 31), "low": 20, "middle": 40, "high": 60},
        {"day": date(2022, 11, 30), "low": 60, "middle": 110, "high": 170},
    ]
    assert shown.rows("ahead_middle") == shown.rows("ahead")
    assert not shown.rows("silent")


def test_nothing_reported_is_an_empty_chart() -> None:
    """Without a point the chart has its frame and its target, and says that nothing is reported."""
    version = ProgrammeVersion(SEEDED, "Đề án", "", 227, PartialDate(2022), PartialDate(2022))
    shown = Shown(Order(BurnUp((), None, version), None, Lang.VI, ""))

    assert not shown.rows("actual")
    assert shown.rows("silent_text")[0]["text"] == "chưa có báo cáo"
    bare = replace(version, planned=0, start=None, target=None)
    assert Shown(Order(BurnUp((), None, bare), None, Lang.VI, "")).rows("silent")


@settings(max_examples=15)
@given(
    numbers=st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 500)), min_size=1, max_size=30),
    planned=st.integers(1, 100_000),
    start=st.dates(date(1990, 1, 1), date(2100, 1, 1)),
    narrow=st.booleans(),
)
def test_everything_lies_on_the_chart(
    numbers: list[tuple[int, int]], planned: int, start: date, *, narrow: bool
) -> None:
    """Whatever the numbers and days, nothing lies outside, and neither months nor numbers are written over each other."""
    ends = [date(start.year + (start.month + place) // 12, (start.month + place) % 12 + 1, 1) for place in range(30)]
    points = tuple(Point(day, *both) for day, both in zip(ends, numbers, strict=False))
    version = ProgrammeVersion(SEEDED, "", "", planned, PartialDate.of_day(start), PartialDate(start.year + 1))
    grown = BurnUp(points, PartialDate.of_day(points[-1].day), version)
    shown = Shown(Order(grown, None, Lang.VI, "", narrow=narrow))

    (first, last), months = shown.axis("x")
    (lowest, highest), steps = shown.axis("y")
    for layer in shown.layers:
        for row in shown.rows(layer):
            assert day_of(first) <= row["day"] <= row.get("end", row["day"]) <= day_of(last)
            assert all(lowest <= row.get(name, 0) <= highest for name in ("value", "low", "high"))
            assert layer.startswith(("target", "silent")) or row["day"] <= points[-1].day
    room = (290 if narrow else 670) / (last - first)
    assert all(day_of(month).day == 1 for month in months)
    assert all((after - before) * room > 50 for before, after in pairwise(months))
    assert all((after - before) / highest > 0.03 for before, after in pairwise(steps))


def brightness(colour: str) -> float:
    """The relative luminance of WCAG."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("place", "palette"), [(0, LIGHT), (1, DARK)])
def test_its_colours_are_the_pages_and_can_be_told_apart(place: int, palette: Palette) -> None:
    """By day and by night the chart has the colours that the page's legend shows, with the contrast that WCAG asks for."""
    named = re.findall(r"--(\w+): (#[0-9a-f]{6});", STYLE.read_text().partition("@media print")[0])
    ours = [(field.name, value) for field, value in zip(fields(Palette), astuple(palette), strict=True)]
    assert set(ours) <= set(named)
    for name, value in ours:
        assert [colour for known, colour in named if known == name][place] == value
    paper = brightness(palette.paper)

    def contrast(colour: str) -> float:
        lighter, darker = sorted((brightness(colour), paper), reverse=True)
        return (lighter + 0.05) / (darker + 0.05)

    assert min(map(contrast, (palette.ink, palette.quiet))) >= 4.5
    assert min(map(contrast, (palette.completed, palette.edge))) >= 3


def test_equal_orders_have_one_reference() -> None:
    """The reference is another one exactly when the drawing may be."""
    assert seeded().reference == seeded().reference
    others = {seeded().reference, seeded(Lang.EN).reference, seeded(dark=True).reference, seeded(narrow=True).reference}
    assert len(others) == 4
