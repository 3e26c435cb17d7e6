"""The burn-up chart of the overview, at an address of its own, so that the page never waits for it.

Invariant: the address on a page is another one when the drawing is.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime

from services.common.errors import Reason, Refusal
from services.status import usecases
from services.status.charts import Format, Order
from services.status.domain import EVERYTHING, BurnUp, Interval
from services.status.storage import State
from services.status.web.asked import Asked
from services.status.web.desk import Desk
from services.status.web.pages.day import ahead_of, day_of
from services.status.web.wording import Words

_MONTHLY_DAYS = 100
_WEEKLY_DRAWN_DAYS = 3 * 366
_CHOICES = {"theme": {"": False, "light": False, "dark": True}, "size": {"": False, "wide": False, "narrow": True}}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the chart is, by day and by night, for screens and for phones, and as files; `label` says what it shows."""

    label: str
    light: str
    dark: str
    narrow: str
    narrow_dark: str
    png: str
    pdf: str


async def order(desk: Desk, state: State, ask: Asked, words: Words) -> Order:
    """Give what the chart shows, by day and for a screen. Raises Refusal."""
    asked = ("burn-up", ask.lang, ask.programme, ask.as_of, ask.known_at)
    made: Order = await desk.work_out(state, asked, lambda: _order(desk, state, ask, words))
    return made


async def drawing(desk: Desk, ask: Asked, words: Words, format: Format) -> bytes:  # noqa: A002 (the contract's word)
    """Draw the chart as the address wants it. Raises Refusal, DrawingError."""
    dark, narrow = (_chosen(ask, name) for name in ("theme", "size"))
    made = await order(desk, desk.live.current, ask, words)
    return await desk.easel.draw(replace(made, dark=dark, narrow=narrow, format=format))


def addresses(ask: Asked, made: Order) -> Addresses:
    """Give the addresses of a chart."""

    def of(kind: Format, **look: str) -> str:
        return ask.link(f"/burn-up.{kind}", lang=made.lang, **look)

    def image(**look: str) -> str:
        return of(Format.SVG, **look, data=made.reference)

    dark = {"theme": "dark"}
    narrow = {"size": "narrow"}
    return Addresses(
        made.label, image(), image(**dark), image(**narrow), image(**narrow, **dark), of(Format.PNG), of(Format.PDF)
    )


def _chosen(ask: Asked, name: str) -> bool:
    try:
        return _CHOICES[name][ask.get(name)]
    except KeyError:
        known = ", ".join(filter(None, _CHOICES[name]))
        raise Refusal(
            Reason.UNKNOWN_VALUE, f"is not known; give one of {known}", field=name, metadata={"value": ask.get(name)}
        ) from None


def _order(desk: Desk, state: State, ask: Asked, words: Words) -> Order:
    day, known_at = day_of(desk, state, ask, words), ask.known_at or EVERYTHING
    grown = _grown(state, ask, day.day, known_at)
    return Order(grown, ahead_of(desk, state, ask), words.lang, _label(grown, words))


def _grown(state: State, ask: Asked, day: date, known_at: datetime) -> BurnUp:
    """Give the burn-up by weeks, so that a step stands where it happened, by months where a week is hardly a line wide."""
    monthly = usecases.burn_up(state, ask.programme, day, known_at, interval=Interval.MONTH)
    if _days(monthly) >= _WEEKLY_DRAWN_DAYS:
        return monthly
    return usecases.burn_up(state, ask.programme, day, known_at, interval=Interval.WEEK)


def told_of(state: State, ask: Asked, drawn: BurnUp, day: date, known_at: datetime) -> BurnUp:
    """Give what the table beside the drawing lists: months, and weeks where months would leave next to nothing."""
    if _days(drawn) < _MONTHLY_DAYS:
        return drawn
    return usecases.burn_up(state, ask.programme, day, known_at, interval=Interval.MONTH)


def _days(grown: BurnUp) -> int:
    return (grown.points[-1].day - grown.points[0].day).days if grown.points else 0


def _label(grown: BurnUp, words: Words) -> str:
    planned = words.number(grown.programme.planned)
    if not grown.points:
        return words("page.chart_label_empty", planned=planned)
    completed = words.number(grown.points[-1].completed)
    return words("page.chart_label", date=words.date(grown.facts_through), completed=completed, planned=planned)
