"""What is asked of a state: the same question gives the same numbers to calls, pages and files.

Invariant: an answer comes from one state, and is kept with it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from services.common import filters
from services.common.dates import PartialDate
from services.common.filters import FilterField
from services.common.text import fold
from services.status import domain
from services.status.domain import (
    EVERYTHING,
    Attention,
    BurnUp,
    Condition,
    Counts,
    Group,
    GroupBy,
    Interval,
    Listed,
    Outcome,
    ProgrammeVersion,
    Stage,
    Survey,
    Wanted,
    count,
    count_groups,
)
from services.status.forecast import Forecast
from services.status.forecast import forecast as work_out
from services.status.storage import State

_PART_BYTES = 500


class Question(NamedTuple):
    """How complete a programme is: as of which day (None: today), as known when (None: now), of which services."""

    programme_id: str
    as_of: PartialDate | None = None
    known_at: datetime | None = None
    filter: str = ""
    by: GroupBy | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The counts, their parts where these were asked for, what they are as of, and the programme as known then."""

    total: Counts
    groups: tuple[Group, ...]
    as_of: PartialDate
    facts_through: PartialDate | None
    programme: ProgrammeVersion


def completion(state: State, question: Question, today: date) -> Answer:
    """Count what is asked; `today` is the Vietnam day. Raises Refusal PROGRAMME_NOT_FOUND and those of `parse_filter`."""
    as_of = question.as_of or PartialDate.of_day(today)
    survey = surveyed(state, question.programme_id, as_of.last_day(), question.known_at or EVERYTHING, question.filter)
    counted = count(survey)
    groups = count_groups(survey, question.by) if question.by else ()
    return Answer(counted.total, groups, as_of, counted.facts_through, counted.programme)


def surveyed(
    state: State,
    programme_id: str,
    as_of: date,
    known_at: datetime = EVERYTHING,
    filter: str = "",  # noqa: A002 (the contract's word)
) -> Survey:
    """Give the services that a question is about. Raises Refusal PROGRAMME_NOT_FOUND and those of `parse_filter`."""
    wanted = parse_filter(filter, as_of)
    return state.model.survey(programme_id, as_of, known_at).where(wanted)


def burn_up(
    state: State, programme_id: str, as_of: date, known_at: datetime = EVERYTHING, *, interval: Interval
) -> BurnUp:
    """Give how completion grew up to a day. Raises Refusal PROGRAMME_NOT_FOUND, TOO_MANY."""
    return state.answers.get(
        ("burn up", programme_id, as_of, known_at, interval),
        lambda: domain.burn_up(state.model.survey(programme_id, as_of, known_at), interval=interval),
        lambda answer: _PART_BYTES * len(answer.points),
    )


def forecast(
    state: State,
    programme_id: str,
    as_of: date,
    known_at: datetime = EVERYTHING,
    *,
    needed_from: date | None = None,
) -> Forecast:
    """Give when the plan may be complete, judged on a day. Raises Refusal PROGRAMME_NOT_FOUND."""
    return state.answers.get(
        ("forecast", programme_id, as_of, known_at, needed_from),
        lambda: work_out(state.model.survey(programme_id, as_of, known_at), needed_from=needed_from),
        lambda answer: _PART_BYTES * len(answer.band),
    )


def attention(
    state: State, programme_id: str, as_of: date, known_at: datetime = EVERYTHING, *, allowed_days: Mapping[Stage, int]
) -> Attention:
    """Give what wants attention on a day; `allowed_days` is set once. Raises Refusal PROGRAMME_NOT_FOUND."""
    return state.answers.get(
        ("attention", programme_id, as_of, known_at),
        lambda: domain.attention(state.model.survey(programme_id, as_of, known_at), allowed_days=allowed_days),
        lambda answer: _PART_BYTES * len(answer.items),
    )


def latest_report_day(state: State, programme_id: str, today: date) -> PartialDate:
    """Give what screens show a figure as of when no date is asked: the latest report's date, today where none is dated.

    Raises Refusal PROGRAMME_NOT_FOUND.
    """
    return completion(state, Question(programme_id), today).facts_through or PartialDate.of_day(today)


def parse_filter(text: str, as_of: date) -> Wanted | None:
    """Read which services are meant, an AIP-160 text; None for all of them. `as_of` says whose agency is meant.

    Fields: `field`, `agency`, `level`, `audience`, `naming`, `stage`, `condition`, `outcome`, and `text`, which looks for
    the beginnings of words of name and code. Raises Refusal INVALID_FILTER, UNKNOWN_FIELD, UNKNOWN_VALUE.
    """
    if not text.strip():
        return None
    return filters.parse_filter(text, _fields(as_of))


def _fields(as_of: date) -> dict[str, FilterField[Listed]]:
    def folded(*values: str) -> list[str]:
        return [fold(value) for value in values if value]

    return {
        "field": FilterField(lambda one: folded(one.version.field), fold=True),
        "agency": FilterField(lambda one: folded(one.version.agency_on(as_of)), fold=True),
        "level": FilterField(lambda one: folded(*one.version.levels), fold=True),
        "audience": FilterField(lambda one: folded(*one.version.audiences), fold=True),
        "naming": FilterField(
            lambda one: ["NAMED" if one.version.display_name else "SLOT"], frozenset({"SLOT", "NAMED"})
        ),
        "stage": FilterField(lambda one: [one.reading.stage.name], frozenset(Stage.__members__)),
        "condition": FilterField(lambda one: [one.reading.condition.name], frozenset(Condition.__members__)),
        "outcome": FilterField(lambda one: [one.reading.outcome.name], frozenset(Outcome.__members__)),
        "text": FilterField(lambda one: [fold(" ".join(_words(one)))], fold=True, words=True),
    }


def _words(one: Listed) -> Iterator[str]:
    """Give what the catalog's search looks in."""
    version = one.version
    yield from (version.display_name, version.english_gloss, version.field, version.alias, one.history.id)
    yield from (code for code, _, _ in version.codes)
    yield from (str(number) for _, number in version.memberships if number)
