"""The list of services: found, narrowed down, sorted.

Invariant: everything chosen stands in the address, so a list can be sent to somebody else.
"""

from dataclasses import dataclass
from typing import Any

from services.common.errors import Reason, Refusal
from services.common.figures import NOTHING
from services.common.text import sort_key
from services.status.domain import EVERYTHING, Condition, GroupBy, Listed, Scope, Stage, Survey, keys_of
from services.status.storage import State
from services.status.web import listing
from services.status.web.asked import Asked
from services.status.web.desk import Desk, data_reference
from services.status.web.listing import NOT_KNOWN, PAGE_ROWS, Wanted
from services.status.web.pages.day import Day, day_of
from services.status.web.wording import OUTCOMES, Words

_MOST_CHOICES = 300


@dataclass(frozen=True, slots=True)
class Line:
    """One service of the list."""

    id: str
    number: str
    title: str
    slot: bool
    codes: tuple[str, ...]
    field: str
    agency: str
    stage: str
    outcome: str
    outcome_text: str
    condition: str
    since: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One value to narrow down by."""

    value: str
    text: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class View:
    """The page."""

    day: Day
    lines: tuple[Line, ...]
    found: int
    listed: int
    number: int
    last: int
    choices: dict[str, tuple[Choice, ...]]
    narrowed: bool
    has_agencies: bool


def wanted_of(ask: Asked) -> Wanted:
    """Read what is wanted from the address."""
    sort = ask.get("sort") or "number"
    names = ("q", "stage", "condition", "outcome", "field", "agency", "level", "naming")
    return Wanted(**{name: ask.get(name) for name in names}, sort=sort.removeprefix("-"), down=sort.startswith("-"))


async def services(desk: Desk, ask: Asked, words: Words) -> dict[str, Any]:
    """Give one page of the list. Raises Refusal."""
    state = desk.live.current
    wanted, number = wanted_of(ask), _page_number(ask)
    asked = ("services", ask.lang, ask.programme, ask.as_of, ask.known_at, wanted, number)
    view: View = await desk.work_out(state, asked, lambda: _view(desk, state, ask, words, wanted, number))
    return {"page": "services", "view": view, "wanted": wanted, "reference": data_reference(state)}


def _page_number(ask: Asked) -> int:
    text = ask.get("page") or "1"
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1_000_000):
        raise Refusal(Reason.INVALID_VALUE, "is no number of a page; give 1 or more", field="page")
    return int(text)


def _view(desk: Desk, state: State, ask: Asked, words: Words, wanted: Wanted, number: int) -> View:
    day = day_of(desk, state, ask, words)
    survey = state.model.survey(ask.programme, day.day, ask.known_at or EVERYTHING)
    found = listing.found(survey, wanted)
    last = max(1, -(-len(found) // PAGE_ROWS))
    number = min(number, last)
    shown = found[(number - 1) * PAGE_ROWS : number * PAGE_ROWS]
    return View(
        day,
        tuple(_line(survey.scope, survey[place], words) for place in shown),
        len(found),
        len(survey.order(listing.in_plan)),
        number,
        last,
        _choices(survey, wanted, words),
        wanted.narrowed,
        any(keys_of(survey, GroupBy.AGENCY)),
    )


def _line(scope: Scope, one: Listed, words: Words) -> Line:
    version, reading, number = (
        one.version,
        one.reading,
        listing.plan_number(scope.programme_id, one.history.id, one.version),
    )
    return Line(
        one.history.id,
        str(number) if number else NOTHING,
        words.title(version.display_name, number),
        not version.display_name,
        tuple(code for code, _, _ in version.codes),
        version.field or NOTHING,
        version.agency_on(scope.as_of) or NOTHING,
        words.stage(reading.stage),
        reading.outcome.name.lower(),
        words.outcome(reading.outcome),
        # The class says it already where it is named after the condition.
        ""
        if reading.condition.name in {"ACTIVE", reading.outcome.name}
        else words(f"condition.{reading.condition.name}"),
        words.effective(listing.since(scope, one)),
    )


def _choices(survey: Survey, wanted: Wanted, words: Words) -> dict[str, tuple[Choice, ...]]:
    def choices(chosen: str, named: list[tuple[str, str]]) -> tuple[Choice, ...]:
        return tuple(Choice(value, text, value == chosen) for value, text in named)

    def values(chosen: str, by: GroupBy, key: str) -> tuple[Choice, ...]:
        found = keys_of(survey, by)
        # A list too long to choose from is left out; what was chosen stays, so that it is seen.
        known = found - {""} if len(found) <= _MOST_CHOICES else found & {chosen} - {""}
        unknown = [(NOT_KNOWN, words(f"term.{key}_not_known"))] if "" in found else []
        return choices(chosen, [(value, value) for value in sorted(known, key=sort_key)] + unknown)

    return {
        "stage": choices(wanted.stage, [(stage.name, words.stage(stage)) for stage in Stage]),
        "condition": choices(wanted.condition, [(each.name, words(f"condition.{each.name}")) for each in Condition]),
        "outcome": choices(wanted.outcome, [(outcome.name, words(key)) for outcome, key in OUTCOMES.items()]),
        "field": values(wanted.field, GroupBy.FIELD, "field"),
        "agency": values(wanted.agency, GroupBy.AGENCY, "agency"),
        "level": values(wanted.level, GroupBy.LEVEL, "level"),
        "naming": choices(wanted.naming, [("NAMED", words("naming.NAMED")), ("SLOT", words("page.naming_slot"))]),
        "sort": choices(
            ("-" if wanted.down else "") + wanted.sort,
            [
                (f"{down}{sort}", words(f"page.sort_{'down_' if down else ''}{sort}"))
                for sort in listing.SORTS
                for down in ("", "-")
            ],
        ),
    }
