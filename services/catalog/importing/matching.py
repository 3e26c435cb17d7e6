"""Which service each row of a list is: pure.

Invariant: no two rows become one service, and where a row's service is not certain it is rejected with a suggestion.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from services.catalog.domain import Service, checked_service
from services.catalog.importing.entries import Entry
from services.catalog.importing.merging import differences, merged
from services.catalog.importing.scope import Maker, Scope, Target
from services.catalog.storage import State
from services.common.errors import Reason, Refusal


class Outcome(IntEnum):
    """What becomes of a row; numbers as in the contract."""

    CREATED = 1
    NAMED = 2
    CHANGED = 3
    UNCHANGED = 4
    REJECTED = 5
    SKIPPED = 6


@dataclass(frozen=True, slots=True)
class Targets:
    """What somebody said of certain rows: by row number and by code, the service's id or alias, or its plan number."""

    by_row: Mapping[int, str | int] = field(default_factory=dict)
    by_code: Mapping[str, str | int] = field(default_factory=dict)

    def of(self, entry: Entry) -> str | int | None:
        """Give what was said of a row; None where nothing was."""
        said = self.by_row.get(entry.row)
        return (
            said
            if said is not None
            else next((self.by_code[code] for code in entry.codes if code in self.by_code), None)
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one row: the service before (None where it is new) and after, or why it is rejected."""

    row: int
    outcome: Outcome
    before: Service | None = None
    after: Service | None = None
    problems: tuple[Refusal, ...] = ()
    suggestion: str = ""
    text: str = ""


def decide(
    entries: Sequence[Entry], state: State, target: Target, targets: Targets, cite: Callable[[int], str]
) -> list[Decision]:
    """Decide every row, in order, on one state of the catalog; `cite` names the source of a row's values."""
    scope = Scope(state, target, entries)
    repeats = _repeats(entries)
    found: dict[int, str | int] = {}
    problems: dict[int, Refusal] = {}
    for place, entry in enumerate(entries):
        if entry.problems or place in repeats:
            continue
        try:
            match = _match(entry, scope, targets.of(entry))
        except Refusal as refusal:
            problems[place] = refusal.with_traceback(None)
            continue
        if match is not None:
            found[place] = match
    claims = {place: _claims(entries[place], match, scope) for place, match in found.items()}
    for place, rows in _shared(entries, claims):
        problems[place] = _ambiguous(entries[place], rows)
    maker = Maker(scope, set().union(*claims.values()), cite)
    return [
        _decision(entry, repeats.get(place), problems.get(place), found.get(place), maker)
        for place, entry in enumerate(entries)
    ]


def _repeats(entries: Sequence[Entry]) -> dict[int, Refusal | int]:
    """Rows that an earlier row says already: its number where word for word, else a problem."""
    found: dict[int, Refusal | int] = {}
    codes: dict[str, int] = {}
    names: dict[str, list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        if entry.problems:
            continue
        key = entry.spelling
        earlier = {codes[code] for code in entry.codes if code in codes}
        # Procedures of one name with codes of their own are different ones: one for each level, for example.
        earlier |= {other for other in names[key] if key and not (entry.codes and entries[other].codes)}
        # So are services that the list itself tells apart.
        earlier = {other for other in earlier if not _told_apart(entry, entries[other])}
        if earlier:
            first = min(earlier)
            shared = next((code for code in entry.codes if code in codes), "")
            same = (entry.told, entry.service, entry.plan_number)
            if same == (entries[first].told, entries[first].service, entries[first].plan_number):
                found[place] = entries[first].row
            else:
                found[place] = Refusal(
                    Reason.DUPLICATE_ROW,
                    f"{shared or entry.told.display_name[:80]!r} stands in row {entries[first].row} already; keep one of them",
                    field=entry.cells[1 if shared else 0],
                    metadata={"row": str(entries[first].row), "value": shared or entry.told.display_name[:80]},
                )
            continue
        codes |= dict.fromkeys(entry.codes, place)
        if key:
            names[key].append(place)
    return found


def _told_apart(one: Entry, other: Entry) -> bool:
    return bool(one.service and other.service) and one.service != other.service


def _match(entry: Entry, scope: Scope, said: str | int | None) -> str | int | None:
    """Find the service that a row is: its id, or the plan number of a place to be filled; None where nothing tells."""
    if said is None and entry.service:
        said = entry.service
    number = entry.number_in(scope.programme.id) if scope.programme else 0
    if said is None and number:
        said = number
    if isinstance(said, int):
        return _at_place(entry, scope, said)
    if said is not None:
        if said == entry.service and scope.takes_id(said):
            return _new_at(entry, scope, said, number)
        service = scope.state.find(said)
        if service is None or service.service.id not in scope.services:
            raise _not_found(entry, said[:80], scope if service else None)
        at_number = scope.places.get(number, service.service.id)
        if at_number != service.service.id and said == entry.service:
            raise _ambiguous(entry, [service.service.id, at_number])
        return service.service.id
    by_code = {found for code in entry.codes for found in scope.codes.get(code, ())}
    matches = by_code or {
        found
        for found in scope.names.get(entry.spelling, ())
        if not (entry.codes and scope.services[found].procedure_codes)
    }
    if len(matches) > 1:
        raise _ambiguous(entry, sorted(matches))
    return next(iter(matches), None)


def _at_place(entry: Entry, scope: Scope, number: int) -> str | int:
    if number in scope.places:
        return scope.places[number]
    if scope.programme is None or number not in scope.free:
        raise _plan_full(entry, scope, number)
    return number


def _new_at(entry: Entry, scope: Scope, service: str, number: int) -> str:
    """Take the id that a row gives itself, and its place in the plan, where it gives one."""
    if scope.programme is not None and number and number not in scope.free:
        raise _plan_full(entry, scope, number)
    return service


def _claims(entry: Entry, match: str | int, scope: Scope) -> set[str | int]:
    """Give what a row is the only one to have: its service, and the place in the plan that it fills."""
    number = entry.number_in(scope.programme.id) if scope.programme else 0
    return {match, number} if number and isinstance(match, str) and match not in scope.services else {match}


def _not_found(entry: Entry, name: str, elsewhere: Scope | None) -> Refusal:
    """Refuse a name that finds no service, or one that belongs to another programme."""
    if elsewhere is None or elsewhere.programme is None:
        text, metadata = f"there is no service {name!r} here; SearchServices finds services by words", {"name": name}
    else:
        programme = f"programmes/{elsewhere.programme.id}"
        text = f"service {name!r} is none of {programme}; name one of that programme, or leave the cell empty"
        metadata = {"name": name, "programme": programme}
    return Refusal(Reason.SERVICE_NOT_FOUND, text, field=str(entry.row), metadata=metadata)


def _plan_full(entry: Entry, scope: Scope, number: int = 0) -> Refusal:
    programme = scope.programme
    planned = programme.planned_count if programme else 0
    name = f"programmes/{programme.id}" if programme else "a register"
    return Refusal(
        Reason.PLAN_CONFLICT,
        f"the plan of {name} has no free place for this row; import it as a register, or raise the number planned",
        field=str(entry.row),
        metadata={"programme": name, "planned": str(planned), "plan_number": str(number)} if number else {},
    )


def _shared(entries: Sequence[Entry], claims: Mapping[int, set[str | int]]) -> Iterator[tuple[int, list[str]]]:
    """Rows that would become one and the same service, or fill the same place."""
    counts = Counter(claim for each in claims.values() for claim in each)
    rows: dict[str | int, list[str]] = defaultdict(list)
    for place, each in claims.items():
        for claim in each:
            if counts[claim] > 1:
                rows[claim].append(str(entries[place].row))
    for place, each in claims.items():
        shared = [claim for claim in each if claim in rows]
        if shared:
            yield place, rows[shared[0]]


def _ambiguous(entry: Entry, names: Sequence[str]) -> Refusal:
    shown = ", ".join(names[:10])
    return Refusal(
        Reason.AMBIGUOUS_ROW,
        f"this row fits {shown}; say which by an explicit match",
        field=str(entry.row),
        metadata={"row": str(entry.row), "names": shown},
    )


def _decision(
    entry: Entry, repeat: Refusal | int | None, problem: Refusal | None, match: str | int | None, maker: Maker
) -> Decision:
    if isinstance(repeat, int):
        return Decision(entry.row, Outcome.SKIPPED, text=entry.told.display_name)
    problems = [*entry.problems, *(each for each in (repeat, problem) if each is not None)]
    if problems:
        return _rejected(entry, *problems)
    if isinstance(match, str) and match in maker.scope.services:
        return _change(entry, maker.scope.services[match], maker)
    if isinstance(match, str):
        programme = maker.scope.programme
        if maker.is_full():
            return _rejected(entry, _plan_full(entry, maker.scope))
        number = entry.number_in(programme.id) if programme else 0
        return Decision(entry.row, Outcome.CREATED, None, maker.keep(maker.new(entry, number, match)))
    if not entry.told.display_name:
        return _rejected(
            entry,
            Refusal(Reason.MISSING_VALUE, "no service has this code, and the row has no name", field=entry.cells[0]),
        )
    number = match or 0
    if maker.scope.programme is not None and match is None:
        suggestion = maker.alike(entry) or next(maker.slots, "")
        if suggestion:
            return _unconfirmed(entry, suggestion)
        number = next(maker.numbers, 0)
        if not number:
            return _rejected(entry, _plan_full(entry, maker.scope))
    return Decision(entry.row, Outcome.CREATED, None, maker.keep(maker.new(entry, number)))


def _rejected(entry: Entry, *problems: Refusal) -> Decision:
    return Decision(entry.row, Outcome.REJECTED, problems=problems, text=entry.told.display_name)


def _unconfirmed(entry: Entry, suggestion: str) -> Decision:
    refusal = Refusal(
        Reason.NOT_CONFIRMED,
        f"it is not known which service this row is; if it is {suggestion}, confirm it by an explicit match",
        field=str(entry.row),
        metadata={"row": str(entry.row), "name": suggestion},
    )
    return Decision(
        entry.row, Outcome.REJECTED, problems=(refusal,), suggestion=suggestion, text=entry.told.display_name
    )


def _change(entry: Entry, before: Service, maker: Maker) -> Decision:
    try:
        after = merged(entry, before)
        if after == before:
            return Decision(entry.row, Outcome.UNCHANGED, before, before)
        changed = differences(before, after)
        # What the list does not change keeps its own source.
        kept = (source for source in before.provenance if source.field not in changed)
        sources = (*kept, *(maker.cited(name, entry.row) for name in changed))
        after = checked_service(replace(after, provenance=sources))
    except Refusal as refusal:
        return _rejected(entry, refusal.with_traceback(None))
    outcome = Outcome.NAMED if after.display_name and not before.display_name else Outcome.CHANGED
    return Decision(entry.row, outcome, before, maker.keep(after))
