"""The services of a programme as a page lists them: found, narrowed down, sorted, cut into pages.

Invariant: what is listed is what is counted: a list narrowed to a class of counting has as many rows as the overview says.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from services.common.dates import EffectiveDate
from services.common.errors import Reason, Refusal
from services.common.text import fold, has_words, search_words, sort_key
from services.status.domain import (
    Condition,
    Listed,
    Outcome,
    Scope,
    ServiceVersion,
    Stage,
    Survey,
    certain_of,
    readings,
)

PAGE_ROWS = 50
NOT_KNOWN = "-"
"""In an address: the value is not known."""
SORTS = ("number", "name", "stage", "date")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to list; empty texts mean everything."""

    q: str = ""
    stage: str = ""
    condition: str = ""
    outcome: str = ""
    field: str = ""
    agency: str = ""
    level: str = ""
    naming: str = ""
    sort: str = "number"
    down: bool = False

    @property
    def narrowed(self) -> bool:
        """Whether anything but the order was chosen."""
        return any((self.q, self.stage, self.condition, self.outcome, self.field, self.agency, self.level, self.naming))


def found(survey: Survey, wanted: Wanted) -> Sequence[int]:
    """Give the survey's places of the services that are wanted, in the order that is wanted. Raises Refusal UNKNOWN_VALUE."""
    if wanted.sort not in SORTS:
        raise _unknown("sort", wanted.sort)
    places = survey.order(_name if wanted.sort == "name" else in_plan)
    for test in _tests(survey, wanted):
        places = [place for place in places if test(place)]
    match wanted.sort:
        case "name":
            # A place without a name has none to sort by: it comes after all that have one, whichever way.
            named = [place for place in places if survey[place].version.display_name]
            return (named[::-1] if wanted.down else named) + places[len(named) :]
        case "stage":
            return sorted(places, key=lambda place: int(survey[place].reading.stage), reverse=wanted.down)
        case "date":
            dates = {place: when.date.last_day() for place in places if (when := since(survey.scope, survey[place]))}
            dated = sorted(dates, key=dates.__getitem__, reverse=wanted.down)
            return dated + [place for place in places if place not in dates]
        case _:
            return places[::-1] if wanted.down else places


def _tests(survey: Survey, wanted: Wanted) -> Iterator[Callable[[int], bool]]:
    if words := search_words(wanted.q):
        texts = survey.column(_folded)
        yield lambda place: has_words(words, texts[place])
    if wanted.stage:
        stage = _member(Stage, wanted.stage, "stage")
        yield lambda place: survey[place].reading.stage is stage
    if wanted.condition:
        condition = _member(Condition, wanted.condition, "condition")
        yield lambda place: survey[place].reading.condition is condition
    if wanted.outcome:
        outcome = _member(Outcome, wanted.outcome, "outcome")
        yield lambda place: survey[place].reading.outcome is outcome
    if wanted.naming:
        if wanted.naming not in {"SLOT", "NAMED"}:
            raise _unknown("naming", wanted.naming)
        yield lambda place: bool(survey[place].version.display_name) == (wanted.naming == "NAMED")
    if wanted.field:
        field = _value(wanted.field)
        yield lambda place: survey[place].version.field == field
    if wanted.agency:
        agency = _value(wanted.agency)
        yield lambda place: survey[place].version.agency_on(survey.scope.as_of) == agency
    if wanted.level:
        level = _value(wanted.level)
        yield lambda place: level in (survey[place].version.levels or ("",))


def since(scope: Scope, one: Listed) -> EffectiveDate | None:
    """Give the date of the latest step that is certain on the day."""
    chain = one.history.chain_at(scope.known_at)
    certain = certain_of(chain, scope.as_of)
    return chain[certain - 1].effective if certain else None


def live_on_ministry_portal(survey: Survey) -> int:
    """Count the services that are surely on the Ministry portal on the day: the complete ones are among them."""
    off = {Condition.SUSPENDED, Condition.WITHDRAWN}
    return sum(
        number
        for reading, number in survey.sum(readings).items()
        if reading.stage >= Stage.LIVE_ON_MINISTRY_PORTAL and reading.condition not in off
    )


def plan_number(programme_id: str, _: str, version: ServiceVersion) -> int:
    """Give the number of the service in the plan; 0 where it has none."""
    return dict(version.memberships)[programme_id]


def in_plan(programme_id: str, service_id: str, version: ServiceVersion) -> tuple[bool, int, str]:
    """Give the place of a service in the plan's order: those without a number come last."""
    number = plan_number(programme_id, service_id, version)
    return not number, number, service_id


def _name(_: str, service_id: str, version: ServiceVersion) -> tuple[bool, str, str]:
    return not version.display_name, sort_key(version.display_name), service_id


def _folded(programme_id: str, service_id: str, version: ServiceVersion) -> str:
    """Give what a search looks through."""
    number = str(plan_number(programme_id, service_id, version) or "")
    names = (version.display_name, version.english_gloss, version.field, version.alias)
    return fold(" ".join((service_id, *names, number, *(code for code, _, _ in version.codes))))


def _value(text: str) -> str:
    return "" if text == NOT_KNOWN else text


def _member(kind: Any, text: str, field: str) -> Any:
    try:
        return kind[text]
    except KeyError:
        raise _unknown(field, text) from None


def _unknown(field: str, value: str) -> Refusal:
    return Refusal(
        Reason.UNKNOWN_VALUE, f"{value} is not known; choose one of the page's", field=field, metadata={"value": value}
    )
