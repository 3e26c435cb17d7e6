"""The burn-up chart as SVG: how completion grew, what the target asks for, what may come.

Invariant: nothing is drawn after the latest report but what is called a target or a forecast; what is uncertain is a band.

Drawn here by hand: a chart library with its own script engine would hold up the whole process for as long as it draws.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from xml.sax.saxutils import escape, quoteattr

from services.common.figures import number
from services.common.words import Lang, word
from services.status.domain import BurnUp
from services.status.forecast import Forecast

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 16, 20, 28
_MOST_TICKS = 5
_LABEL_WIDTH = 62

_PAPER_STYLE = (
    "<style>text{font-family:sans-serif;font-size:12px;fill:#333}.strong{font-weight:bold;fill:#111}"
    ".grid{stroke:#ddd}.axis{stroke:#777}.target{stroke:#666;stroke-dasharray:6 4;fill:none}"
    ".band{fill:#d9b45b;fill-opacity:.45}.actual{stroke:#0b5394;stroke-width:2.5;fill:none}.dot{fill:#0b5394}"
    ".ahead{fill:#0b5394;fill-opacity:.15}.ahead-line{stroke:#0b5394;stroke-dasharray:2 3;fill:none}"
    ".silent{fill:#f1f1f1}</style>"
)

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where days and numbers lie on the drawing."""

    width: int
    height: int
    first: date
    last: date
    most: int

    def x(self, day: date) -> float:
        """Give where a day ends, from the left."""
        span = max(1, (self.last - self.first).days)
        return _LEFT + (self.width - _LEFT - _RIGHT) * (day - self.first).days / span

    def y(self, value: float) -> float:
        """Give where a number lies, from the top."""
        return self.height - _BOTTOM - (self.height - _TOP - _BOTTOM) * value / max(1, self.most)

    def at(self, day: date, value: float) -> Place:
        """Give a place."""
        return self.x(day), self.y(value)


def burn_up_svg(
    data: BurnUp, ahead: Forecast | None, lang: Lang, *, label: str, width: int, height: int, paper: bool = False
) -> str:
    """Draw the chart; `label` says in words what it shows. On paper it brings its own colours, on a page the page's hold."""
    frame = _frame(data, ahead, width, height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" aria-label={quoteattr(label)}',
        f' viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        _PAPER_STYLE if paper else "",
        *_silence(frame, data, ahead, lang),
        *_axes(frame, lang),
        *_target(frame, data, lang),
        *(_band(frame, ahead) if ahead else ()),
        *_actual(frame, data, ahead, lang),
        "</svg>",
    ]
    return "".join(parts)


def _frame(data: BurnUp, ahead: Forecast | None, width: int, height: int) -> _Frame:
    version = data.programme
    days = [point.day for point in data.points] + [point.day for point in (ahead.band if ahead else ())]
    if version.target:
        days.append(version.target.last_day())
    start = version.first_day() or (data.points[0].day.replace(day=1) if data.points else None)
    if start:
        days.append(start)
    first = min(days, default=date(2000, 1, 1))
    most = max([version.planned, *(point.completed + point.uncertain for point in data.points)])
    return _Frame(width, height, first, max(max(days, default=first), first + timedelta(days=1)), most)


def _axes(frame: _Frame, lang: Lang) -> Iterator[str]:
    for value in _steps(frame.most):
        y = frame.y(value)
        yield _line("axis" if value == 0 else "grid", (_LEFT, y), (frame.width - _RIGHT, y))
        yield _text((_LEFT - 8, y + 4), number(value, lang), "end")
    for month in _months(frame):
        x = frame.x(month)
        yield _line("axis", (x, frame.y(0)), (x, frame.y(0) + 4))
        anchor = "start" if x < _LABEL_WIDTH / 2 else "middle" if x < frame.width - _LABEL_WIDTH / 2 else "end"
        yield _text((x, frame.height - 8), f"{month:%m/%Y}", anchor)


def _steps(most: int) -> list[int]:
    """Give round numbers from 0, and the largest itself, far enough from each other to be read."""
    rough = max(1, most) / _MOST_TICKS
    size = 10 ** math.floor(math.log10(rough))
    step = max(1, next(round(factor * size) for factor in (1, 2, 5, 10) if factor * size >= rough))
    return [value for value in range(0, most, step) if most - value >= step / 2] + [most]


def _months(frame: _Frame) -> list[date]:
    """Give firsts of months, as many as there is room for."""
    count = 12 * (frame.last.year - frame.first.year) + frame.last.month - frame.first.month + 1
    room = max(2, (frame.width - _LEFT - _RIGHT) // _LABEL_WIDTH)
    every = next(step for step in (1, 2, 3, 6, *range(12, 12 * 200, 12)) if count <= step * room)
    begin = 12 * frame.first.year + frame.first.month - 1
    found = (date(place // 12, place % 12 + 1, 1) for place in range(begin, begin + count, every))
    return [month for month in found if frame.first <= month <= frame.last]


def _target(frame: _Frame, data: BurnUp, lang: Lang) -> Iterator[str]:
    version = data.programme
    if not version.target:
        return
    end = frame.at(version.target.last_day(), version.planned)
    yield _line("target", frame.at(frame.first, 0), end)
    text = word("page.chart_target", lang, planned=number(version.planned, lang))
    yield _text((end[0], end[1] - 7), text, "end" if end[0] > frame.width / 2 else "middle", "strong")


def _silence(frame: _Frame, data: BurnUp, ahead: Forecast | None, lang: Lang) -> Iterator[str]:
    """Mark where nothing is reported, so that an empty place is not read as a standstill."""
    begin = data.points[-1].day if data.points else frame.first
    if (ahead and ahead.band) or begin >= frame.last:
        return
    x, end = frame.x(begin), frame.x(frame.last)
    yield f'<rect class="silent" x="{x:.1f}" y="{_TOP}" width="{end - x:.1f}" height="{frame.y(0) - _TOP:.1f}"/>'
    text = escape(word("page.chart_silent", lang))
    if end - x >= 2 * _LABEL_WIDTH:
        yield _text(((x + end) / 2, frame.y(0) - 12), text, "middle")
    else:
        middle = (x + end) / 2 + 4, (frame.y(0) + _TOP) / 2 + 30
        place = f'x="{middle[0]:.1f}" y="{middle[1]:.1f}" transform="rotate(-90 {middle[0]:.1f} {middle[1]:.1f})"'
        yield f'<text {place} text-anchor="middle">{text}</text>'


def _actual(frame: _Frame, data: BurnUp, ahead: Forecast | None, lang: Lang) -> Iterator[str]:
    if not data.points:
        return
    low = _stairs([frame.at(point.day, point.completed) for point in data.points])
    if any(point.uncertain for point in data.points):
        high = _stairs([frame.at(point.day, point.completed + point.uncertain) for point in data.points])
        yield f'<path class="band" d="{_path([*high, *reversed(low)])}Z"/>'
    yield f'<path class="actual" d="{_path(low)}"/>'
    last = data.points[-1]
    x, y = frame.at(last.day, last.completed)
    yield f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    # To the right of the dot lies the forecast, and the edge; to the left and above, nothing that grows.
    leftward = x > frame.width - 3 * _LABEL_WIDTH or (ahead is not None and ahead.band and x > _LEFT + _LABEL_WIDTH)
    anchor, shift = ("end", -9) if leftward else ("start", 9)
    yield _text((x + shift, y - 7), number(last.completed, lang), anchor, "strong")


def _band(frame: _Frame, ahead: Forecast) -> Iterator[str]:
    if not ahead.band:
        return
    begin = [frame.at(ahead.facts_through.last_day(), ahead.completed)] if ahead.facts_through else []
    high = begin + [frame.at(point.day, point.high) for point in ahead.band]
    low = begin + [frame.at(point.day, point.low) for point in ahead.band]
    yield f'<path class="ahead" d="{_path([*high, *reversed(low)])}Z"/>'
    yield f'<path class="ahead-line" d="{_path(begin + [frame.at(point.day, point.middle) for point in ahead.band])}"/>'


def _stairs(places: Sequence[Place]) -> list[Place]:
    """Let each number hold until the next is known, for that is when it changes."""
    stairs = [places[0]]
    for place in places[1:]:
        stairs += [(place[0], stairs[-1][1]), place]
    return stairs


def _path(places: Iterable[Place]) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _line(name: str, begin: Place, end: Place) -> str:
    return f'<line class="{name}" x1="{begin[0]:.1f}" y1="{begin[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>'


def _text(place: Place, text: str, anchor: str, name: str = "") -> str:
    kind = f' class="{name}"' if name else ""
    return f'<text{kind} x="{place[0]:.1f}" y="{place[1]:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
