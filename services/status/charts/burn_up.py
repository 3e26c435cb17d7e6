"""The burn-up chart as a Vega-Lite specification: how completion grew, what the target asks for, what may come.

Invariant: nothing is shown after the latest report but what is called a target or a forecast; what is uncertain is a band.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import altair as alt

from services.common.figures import number
from services.common.words import Lang, word
from services.status.charts.order import Order

WIDE, NARROW, HEIGHT = 720, 340, 300
_SIDE = 50
_MOST_TICKS = 5
_LABEL_WIDTH = 62
_DAY_MS = 24 * 3600 * 1000
_EPOCH = date(1970, 1, 1)
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
_FONT_SIZE = 12.5


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of the pages, by the names they have there."""

    paper: str
    ink: str
    quiet: str
    line: str
    edge: str
    completed: str
    in_progress: str
    uncertain: str


LIGHT = Palette("#ffffff", "#16212c", "#4d5a67", "#d5dbe1", "#7a8793", "#0b4a7f", "#4f97cf", "#c58a1b")
DARK = Palette("#12181f", "#e8edf2", "#a9b5c1", "#313c47", "#7f8c99", "#6db3f2", "#3b75a8", "#d9a441")

_LOCALES = {
    Lang.VI: alt.NumberLocale(decimal=",", thousands=".", grouping=[3], currency=["", " ₫"]),
    Lang.EN: alt.NumberLocale(decimal=".", thousands=",", grouping=[3], currency=["", " ₫"]),
}

Look = dict[str, Any]
Rows = list[dict[str, Any]]


def burn_up_spec(order: Order) -> dict[str, Any]:
    """Give the specification, checked against Vega-Lite's schema; days are milliseconds of UTC midnights."""
    return _Drawing(order).spec()


class _Drawing:
    def __init__(self, order: Order) -> None:
        self.order, self.data, self.lang = order, order.data, order.lang
        self.band = order.ahead.band if order.ahead else ()
        self.palette = DARK if order.dark else LIGHT
        self.width = NARROW if order.narrow else WIDE
        self.first, self.last = self._days()
        self.most = max(
            [1, self.data.programme.planned, *(point.completed + point.uncertain for point in self.data.points)]
        )

    def spec(self) -> dict[str, Any]:
        layers = [*self._silence(), *self._target(), *self._forecast(), *self._actual()]
        chart = alt.layer(*layers).properties(
            width=self.width,
            height=HEIGHT,
            background=self.palette.paper,
            padding={"left": 2, "right": 14, "top": 8, "bottom": 4},
            autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        )
        text: Look = {"font": _FONT, "fontSize": _FONT_SIZE, "color": self.palette.quiet}
        labels: Look = {"labelFont": _FONT, "labelFontSize": _FONT_SIZE, "labelColor": self.palette.quiet}
        configured = chart.configure(
            aria=False,  # its words are the library's own, in English; `label` says it all
            locale=alt.Locale(number=_LOCALES[self.lang]),
            text=alt.MarkConfig(**text),
            axis=alt.AxisConfig(**labels, tickColor=self.palette.edge, domainColor=self.palette.edge),
            view=alt.ViewConfig(stroke=None),
        )
        found: dict[str, Any] = configured.to_dict()
        return found

    def _days(self) -> tuple[date, date]:
        version, points = self.data.programme, self.data.points
        days = [point.day for point in points] + [point.day for point in self.band]
        if version.target:
            days.append(version.target.last_day())
        if start := version.first_day() or (points[0].day.replace(day=1) if points else None):
            days.append(start)
        first = min(days, default=date(2000, 1, 1))
        return first, max(max(days, default=first), first + timedelta(days=1))

    def _layer(self, name: str, rows: Rows) -> alt.Chart:
        return alt.Chart(alt.InlineData(values=rows), name=name)

    @cached_property
    def _x(self) -> alt.X:
        axis = alt.Axis(
            values=[_ms(month) for month in self._months()],
            format="%m/%Y",
            title=None,
            grid=False,
            labelOverlap=False,
            labelFlush=False,
        )
        return alt.X(
            "day:T", axis=axis, scale=alt.Scale(type="utc", domain=[_ms(self.first), _ms(self.last)], nice=False)
        )

    def _y(self, field: str) -> alt.Y:
        axis = alt.Axis(
            values=self._steps(),
            format=",d",
            title=None,
            domain=False,
            ticks=False,
            labelPadding=8,
            gridColor=self.palette.line,
        )
        return alt.Y(f"{field}:Q", axis=axis, scale=alt.Scale(domain=[0, self.most], nice=False))

    def _steps(self) -> list[float]:
        """Give round numbers from 0, and the largest itself, far enough from each other to be read."""
        rough = self.most / _MOST_TICKS
        size = 10 ** math.floor(math.log10(rough))
        step = max(1, next(round(factor * size) for factor in (1, 2, 5, 10) if factor * size >= rough))
        return [*(value for value in range(0, self.most, step) if self.most - value >= step / 2), self.most]

    def _months(self) -> list[date]:
        """Give firsts of months, as many as there is room for."""
        first, last = self.first, self.last
        count = 12 * (last.year - first.year) + last.month - first.month + 1
        room = max(2, (self.width - _SIDE) // _LABEL_WIDTH)
        every = next(step for step in (1, 2, 3, 6, *range(12, 12 * 200, 12)) if count <= step * room)
        begin = 12 * first.year + first.month - 1
        found = (date(place // 12, place % 12 + 1, 1) for place in range(begin, begin + count, every))
        return [month for month in found if first <= month <= last]

    def _share(self, day: date) -> float:
        """Give where a day lies, 0 on the left to 1 on the right."""
        return (day - self.first) / (self.last - self.first)

    def _silence(self) -> Iterator[alt.Chart]:
        """Mark where nothing is reported, so that an empty place is not read as a standstill."""
        points = self.data.points
        begin = points[-1].day if points else self.first
        if self.band or begin >= self.last:
            return
        rows = [{"day": _ms(begin), "end": _ms(self.last)}]
        # Thin enough for the grid, which is below everything, to be seen.
        yield self._layer("silent", rows).mark_rect(color=self.palette.edge, opacity=0.1).encode(x=self._x, x2="end")
        wide = self._is_wide(begin)
        height, look = (0.0, Look(dy=-14)) if wide else (self.most / 2, Look(angle=270, dx=-30))
        middle = (_ms(begin) + _ms(self.last)) / 2
        row = {"day": middle, "value": height, "text": word("page.chart_silent", self.lang)}
        text = self._layer("silent_text", [row]).mark_text(**look)
        yield text.encode(x=self._x, y=self._y("value"), text="text:N")

    def _is_wide(self, begin: date) -> bool:
        return (1 - self._share(begin)) * (self.width - _SIDE) >= 2 * _LABEL_WIDTH

    def _target(self) -> Iterator[alt.Chart]:
        version = self.data.programme
        if not version.target:
            return
        end = version.target.last_day()
        rows: Rows = [{"day": _ms(self.first), "value": 0}, {"day": _ms(end), "value": version.planned}]
        line = self._layer("target", rows).mark_line(color=self.palette.edge, strokeWidth=1.5, strokeDash=[6, 5])
        yield line.encode(x=self._x, y=self._y("value"))
        text = word("page.chart_target", self.lang, planned=number(version.planned, self.lang))
        align = "right" if self._share(end) > 0.5 else "center"
        label = self._layer("target_text", [{"day": _ms(end), "value": version.planned, "text": text}])
        yield self._strong(label, align=align, dy=-11)

    def _forecast(self) -> Iterator[alt.Chart]:
        ahead = self.order.ahead
        if not ahead or not self.band:
            return
        rows: Rows = []
        if ahead.facts_through:
            now = ahead.completed
            rows.append({"day": _ms(ahead.facts_through.last_day()), "low": now, "middle": now, "high": now})
        rows += [
            {"day": _ms(point.day), "low": point.low, "middle": point.middle, "high": point.high} for point in self.band
        ]
        area = self._layer("ahead", rows).mark_area(color=self.palette.in_progress, opacity=0.3)
        yield area.encode(x=self._x, y=self._y("low"), y2="high")
        line = self._layer("ahead_middle", rows).mark_line(
            color=self.palette.completed, strokeWidth=1, strokeDash=[2, 4]
        )
        yield line.encode(x=self._x, y=self._y("middle"))

    def _actual(self) -> Iterator[alt.Chart]:
        """Let each number hold until the next is known, for that is when it changes."""
        points = self.data.points
        if not points:
            return
        if any(point.uncertain for point in points):
            rows: Rows = [
                {"day": _ms(point.day), "low": point.completed, "high": point.completed + point.uncertain}
                for point in points
            ]
            band = self._layer("uncertain", rows).mark_area(
                color=self.palette.uncertain, opacity=0.65, interpolate="step-after"
            )
            yield band.encode(x=self._x, y=self._y("low"), y2="high")
        known = self._layer("actual", [{"day": _ms(point.day), "value": point.completed} for point in points])
        stairs = known.mark_line(color=self.palette.completed, strokeWidth=2.75, interpolate="step-after")
        yield stairs.encode(x=self._x, y=self._y("value"))
        last = points[-1]
        row = {"day": _ms(last.day), "value": last.completed, "text": number(last.completed, self.lang)}
        dot = self._layer("latest", [row]).mark_circle(color=self.palette.completed, size=64, opacity=1)
        yield dot.encode(x=self._x, y=self._y("value"))
        # On the right, where nothing is drawn, or where that would hide a forecast on the left.
        begins = self._share(last.day) * self.width < _LABEL_WIDTH
        align, shift = ("left", 9) if begins or (not self.band and self._is_wide(last.day)) else ("right", -9)
        yield self._strong(self._layer("latest_text", [row]), align=align, dx=shift, dy=-11)

    def _strong(self, layer: alt.Chart, **place: Any) -> alt.Chart:
        text = layer.mark_text(color=self.palette.ink, fontWeight=600, **place)
        encoded: alt.Chart = text.encode(x=self._x, y=self._y("value"), text="text:N")
        return encoded


def _ms(day: date) -> int:
    return (day - _EPOCH).days * _DAY_MS
