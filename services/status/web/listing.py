"""The services of a programme as a page lists them: found, narrowed down, sorted, cut into pages.

Invariant: what is listed is what is counted: a list narrowed to a class of counting has as many rows as the overview says.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, TypeVar

from services.common.dates import EffectiveDate
from services.common.errors import Reason, Refusal
from services.common.text import fold, has_words, search_words, sort_key
from services.status import domain
from services.status.domain import (
    EVERYTHING,
    Outcome,
    Programme,
    ProgrammeVersion,
    Reading,
    ServiceHistory,
    ServiceVersion,
    Stage,
)
from services.status.storage import State

PAGE_ROWS = 50
NOT_KNOWN = "-"
"""In an address: the value is not known."""
SORTS = ("number", "name", "stage", "date")
_MOST_KEPT = 16
_MOST_BEFORE = 4

T = TypeVar("T")


class Row(NamedTuple):
    """One service on a day."""

    history: ServiceHistory
    version: ServiceVersion
    reading: Reading
    plan_number: int


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


class Shelf:
    """The lists of the newest state, and of each service what search and order need: worked out once for each version."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._once: dict[Hashable, Any] = {}
        self._before: dict[tuple[str, date, datetime], tuple[ProgrammeVersion, dict[str, Row]]] = {}
        self._folded: dict[str, tuple[ServiceVersion, str]] = {}
        self._order: dict[str, tuple[ServiceVersion, str]] = {}

    def once(self, state: State, asked: Hashable, make: Callable[[], T]) -> T:
        """Give what was made of the state for what is asked; another state, or too much asked, begins anew."""
        if state is not self._state or len(self._once) >= _MOST_KEPT:
            self._state, self._once = state, {}
        kept = self._once
        if asked not in kept:
            kept[asked] = make()
        made: T = kept[asked]
        return made

    def rows(self, state: State, programme: Programme, as_of: date, known_at: datetime = EVERYTHING) -> list[Row]:
        """Give the services that the programme counts, in the order of their plan numbers. Raises Refusal."""
        asked = programme.id, as_of, known_at
        return self.once(state, ("rows", asked), lambda: self._listed(state, programme, as_of, known_at))

    def _listed(self, state: State, programme: Programme, as_of: date, known_at: datetime) -> list[Row]:
        # What is known of a service on a day follows from its history and the programme's start alone: only what is new
        # since the last list is read again.
        asked, version = (programme.id, as_of, known_at), programme.as_known(known_at)
        before = self._before.pop(asked, None)
        known = before[1] if before and before[0] is version else {}
        kept: dict[str, Row] = {}
        changed: list[ServiceHistory] = []
        for history in state.model.services.values():
            row = known.get(history.id)
            if row is not None and row.history is history:
                kept[history.id] = row
            else:
                changed.append(history)
        for entry in domain.listed(programme, changed, as_of, known_at):
            kept[entry[0].id] = Row(*entry, _plan_number(entry[1], programme.id))
        while len(self._before) >= _MOST_BEFORE:
            self._before.pop(next(iter(self._before)), None)
        self._before[asked] = version, kept
        return sorted(kept.values(), key=_place)

    def folded(self, row: Row) -> str:
        """Give what a search looks through."""
        kept = self._folded.get(row.history.id)
        if kept is None or kept[0] is not row.version:
            version = row.version
            codes = (code for code, _, _ in version.codes)
            number = str(row.plan_number or "")
            names = (version.display_name, version.english_gloss, version.field, version.alias)
            text = " ".join((row.history.id, *names, number, *codes))
            kept = self._folded[row.history.id] = version, fold(text)
        return kept[1]

    def order(self, row: Row) -> str:
        """Give the key of a name in the Vietnamese alphabet."""
        kept = self._order.get(row.history.id)
        if kept is None or kept[0] is not row.version:
            kept = self._order[row.history.id] = row.version, sort_key(row.version.display_name)
        return kept[1]

    def found(self, rows: list[Row], wanted: Wanted, as_of: date, known_at: datetime = EVERYTHING) -> list[Row]:
        """Give the rows that are wanted, in the order that is wanted. Raises Refusal UNKNOWN_VALUE."""
        tests = list(self._tests(wanted, as_of))
        chosen = [row for row in rows if all(test(row) for test in tests)] if tests else rows
        if wanted.sort == "name":
            # A place without a name has none to sort by: it comes after all that have one, whichever way.
            named = sorted((row for row in chosen if row.version.display_name), key=self.order, reverse=wanted.down)
            return named + [row for row in chosen if not row.version.display_name]
        if wanted.sort == "stage":
            return sorted(chosen, key=lambda row: row.reading.stage, reverse=wanted.down)
        if wanted.sort == "date":
            dated = [(when.date.last_day(), row) for row in chosen if (when := since(row, as_of, known_at))]
            days = {row.history.id for _, row in dated}
            in_order = sorted(dated, key=lambda pair: pair[0], reverse=wanted.down)
            return [row for _, row in in_order] + [row for row in chosen if row.history.id not in days]
        if wanted.sort != "number":
            raise _unknown("sort", wanted.sort)
        return chosen[::-1] if wanted.down else chosen

    def _tests(self, wanted: Wanted, as_of: date) -> Iterator[Callable[[Row], bool]]:
        if words := search_words(wanted.q):
            yield lambda row: has_words(words, self.folded(row))
        if wanted.stage:
            stage = _member(Stage, wanted.stage, "stage")
            yield lambda row: row.reading.stage is stage
        if wanted.condition:
            condition = _member(domain.Condition, wanted.condition, "condition")
            yield lambda row: row.reading.condition is condition
        if wanted.outcome:
            outcome = _member(Outcome, wanted.outcome, "outcome")
            yield lambda row: row.reading.outcome is outcome
        if wanted.naming:
            if wanted.naming not in {"SLOT", "NAMED"}:
                raise _unknown("naming", wanted.naming)
            yield lambda row: bool(row.version.display_name) == (wanted.naming == "NAMED")
        if wanted.field:
            field = _value(wanted.field)
            yield lambda row: row.version.field == field
        if wanted.agency:
            agency = _value(wanted.agency)
            yield lambda row: row.version.agency_on(as_of) == agency
        if wanted.level:
            level = _value(wanted.level)
            yield lambda row: level in (row.version.levels or ("",))


def since(row: Row, as_of: date, known_at: datetime = EVERYTHING) -> EffectiveDate | None:
    """Give the date of the latest step that is certain on the day."""
    for link in reversed(row.history.chain_at(known_at)):
        if link.certain <= as_of:
            return link.effective
    return None


def live_on_ministry_portal(rows: list[Row]) -> int:
    """Count the services that are surely on the Ministry portal on the day: the complete ones are among them."""
    off = {domain.Condition.SUSPENDED, domain.Condition.WITHDRAWN}
    return sum(row.reading.stage >= Stage.LIVE_ON_MINISTRY_PORTAL and row.reading.condition not in off for row in rows)


def _plan_number(version: ServiceVersion, programme_id: str) -> int:
    return dict(version.memberships).get(programme_id, 0)


def _place(row: Row) -> tuple[bool, int, str]:
    return not row.plan_number, row.plan_number, row.history.id


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
