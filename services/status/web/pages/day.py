"""The day that a page's figures are as of.

Invariant: where none is asked for it is that of the latest report: the calendar makes no figure fresher.
"""

from dataclasses import dataclass, replace
from datetime import date

from services.common.dates import PartialDate
from services.status import usecases
from services.status.domain import EVERYTHING
from services.status.forecast import Forecast
from services.status.storage import State
from services.status.web.asked import Asked
from services.status.web.desk import Desk
from services.status.web.wording import Words


@dataclass(frozen=True, slots=True)
class Day:
    """A day, how it was written or reported, and whether the reader asked for it."""

    day: date
    text: str
    asked: bool
    known_at: str


def day_of(desk: Desk, state: State, ask: Asked, words: Words) -> Day:
    """Give the day that was asked for, else the latest report's, else today. Raises Refusal PROGRAMME_NOT_FOUND."""
    known_at = words.instant(ask.known_at, seconds=True) if ask.known_at else ""
    as_of = ask.as_of or latest_report(desk, state, ask)
    return Day(as_of.last_day(), as_of.show(), ask.as_of is not None, known_at)


def ahead_of(desk: Desk, state: State, ask: Asked) -> Forecast:
    """Give the forecast from today, or from the day that is asked about. Raises Refusal PROGRAMME_NOT_FOUND."""
    asked, known_at = ask.as_of.last_day() if ask.as_of else None, ask.known_at or EVERYTHING
    return usecases.forecast(state, ask.programme, asked or desk.today(), known_at, needed_from=asked)


def latest_report(desk: Desk, state: State, ask: Asked) -> PartialDate:
    """Give the date of the latest report that was known then, or today where nothing is reported."""
    return ahead_of(desk, state, replace(ask, as_of=None)).facts_through or PartialDate.of_day(desk.today())
