"""What is known of one service on a day.

Invariant: a service is in exactly one class, and which one follows from its history, the day, the instant and the start of
the programme that asks.
"""

from datetime import date, datetime
from enum import IntEnum, auto
from typing import NamedTuple

from services.common.dates import PartialDate
from services.status.domain.facts import Condition, Stage
from services.status.domain.history import BEGINNING, ServiceHistory, certain_of, latest_date


class Outcome(IntEnum):
    """The classes of counting; a service is in exactly one."""

    COMPLETED = auto()
    UNCERTAIN = auto()
    IN_PROGRESS = auto()
    SUSPENDED = auto()
    WITHDRAWN = auto()
    NOT_REPORTED = auto()


class Reading(NamedTuple):
    """What is known of a service on a day: its class, and its latest certain stage and condition."""

    outcome: Outcome
    stage: Stage
    condition: Condition


COMPLETED = (Stage.INTEGRATED, Condition.ACTIVE)
"""The state that counts as completed."""

_BY_CONDITION = {Condition.SUSPENDED: Outcome.SUSPENDED, Condition.WITHDRAWN: Outcome.WITHDRAWN}
_UNREPORTED = Reading(Outcome.NOT_REPORTED, *BEGINNING)


def read_through(
    history: ServiceHistory, day: date, known_at: datetime, start: date | None
) -> tuple[Reading, PartialDate | None]:
    """Give the reading, and the latest date among the steps and checks that are certain on the day."""
    if not history.entries and not history.check_reports:
        return _UNREPORTED, None
    chain = history.chain_at(known_at)
    # Steps happen in order, so only a run of them right after the last certain one may have happened as well.
    possible = certain = certain_of(chain, day)
    while possible < len(chain) and chain[possible].effective.possible_from(start) <= day:
        possible += 1
    through = chain[certain - 1].through if certain else None
    checked = history.checked_through(day, known_at) if history.check_reports else None
    stage, condition = chain[certain - 1].state if certain else BEGINNING
    readings = {(stage, condition) == COMPLETED}
    readings.update(link.state == COMPLETED for link in chain[certain:possible])
    if readings == {True}:
        outcome = Outcome.COMPLETED
    elif len(readings) == 2:
        outcome = Outcome.UNCERTAIN
    elif condition in _BY_CONDITION:
        outcome = _BY_CONDITION[condition]
    elif certain or checked:
        outcome = Outcome.IN_PROGRESS
    else:
        outcome = Outcome.NOT_REPORTED
    return Reading(outcome, stage, condition), latest_date(through, checked)


def read(history: ServiceHistory, day: date, known_at: datetime, start: date | None) -> Reading:
    """Give what is known of a service on `day`, by what was recorded up to `known_at`.

    On the day the number of steps that have happened is at least that of the certain ones and at most that plus the
    possible ones right after. The service is completed when each of these readings is INTEGRATED and ACTIVE, uncertain
    when some are. `start` is the first day of the programme that asks: "at the latest" reaches back to it.
    """
    return read_through(history, day, known_at, start)[0]
