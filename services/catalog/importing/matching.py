"""Which service each row of a list is: pure.

Invariant: no two rows become one service, and where a row's service is not certain it is rejected with a suggestion.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from services.catalog.domain import Service, checked_service
from services.catalog.importing.entries import Entries, Entry, Key
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

    def of(self, key: Key) -> str | int | None:
        """Give what was said of a row; None where nothing was."""
        said = self.by_row.get(key.row)
        return (
            said if said is not None else next((self.by_code[code] for code in key.codes if code in self.by_code), None)
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
    entries: Entries, state: State, target: Target, targets: Targets, cite: Callable[[int], str]
) -> Iterator[Decision]:
    """Decide every row, in order, on one state of the catalog; `cite` names the source of a row's values."""
    scope = Scope(state, target, entries.keys)
    repeats = _repeats(entries)
    found: dict[int, str | int] = {}
    problems: dict[int, Refusal] = {}
    for place, key in enumerate(entries.keys):
        if key.has_problems or place in repeats:
            continue
        try:
            match = _match(key, scope, targets.of(key))
        except Refusal as refusal:
            problems[place] = refusal.with_traceback(None)
            continue
        if match is not None:
            found[place] = match
    claims = Counter(claim for place, match in found.items() for claim in _claims(entries.keys[place], match, scope))
    for place, rows in _shared(entries.keys, found, claims, scope):
        problems[place] = _ambiguous(entries.keys[place], rows)
    maker = Maker(scope, claims, cite)
    for place, entry in enumerate(entries):
        yield _decision(entry, repeats.get(place), problems.get(place), found.get(place), maker)


def _repeats(entries: Entries) -> dict[int, Refusal | int]:
    """Rows that an earlier row says already: its number where word for word, else a problem."""
    found: dict[int, Refusal | int] = {}
    codes: dict[str, int] = {}
    names: dict[bytes, list[int]] = defaultdict(list)
    keys = entries.keys
    for place, key in enumerate(keys):
        if key.has_problems:
            continue
        earlier = {codes[code] for code in key.codes if code in codes}
        # Procedures of one name with codes of their own are different ones: one for each level, for example.
        if key.name in names:
            earlier |= {other for other in names[key.name] if not (key.codes and keys[other].codes)}
        # So are services that the list itself tells apart.
        earlier = {other for other in earlier if not _told_apart(key, keys[other])}
        if earlier:
            first = min(earlier)
            shared = next((code for code in key.codes if code in codes), "")
            found[place] = _repeat(entries[place], entries[first], shared)
            continue
        codes |= dict.fromkeys(key.codes, place)
        if key.name:
            names[key.name].append(place)
    return found


def _repeat(entry: Entry, first: Entry, shared: str) -> Refusal | int:
    """Give the earlier row's number where both say the same, else the problem; `shared` is the code of both, if any."""
    if _said(entry) == _said(first):
        return first.key.row
    value = shared or entry.told.display_name[:80]
    return Refusal(
        Reason.DUPLICATE_ROW,
        f"{value!r} stands in row {first.key.row} already; keep one of them",
        field=entry.cells[1 if shared else 0],
        metadata={"row": str(first.key.row), "value": value},
    )


def _said(entry: Entry) -> tuple[Service, str, int]:
    return entry.told, entry.key.service, entry.key.plan_number


def _told_apart(one: Key, other: Key) -> bool:
    return bool(one.service and other.service) and one.service != other.service


def _match(key: Key, scope: Scope, said: str | int | None) -> str | int | None:
    """Find the service that a row is: its id, or the plan number of a place to be filled; None where nothing tells."""
    if said is None and key.service:
        said = key.service
    number = key.number_in(scope.programme.id) if scope.programme else 0
    if said is None and number:
        said = number
    if isinstance(said, int):
        return _at_place(key, scope, said)
    if said is not None:
        if said == key.service and scope.takes_id(said):
            return _new_at(key, scope, said, number)
        service = scope.state.find(said)
        if service is None or service.service.id not in scope.services:
            raise _not_found(key, said[:80], scope if service else None)
        at_number = scope.places.get(number, service.service.id)
        if at_number != service.service.id and said == key.service:
            raise _ambiguous(key, [service.service.id, at_number])
        return service.service.id
    by_code = {found for code in key.codes for found in scope.codes.get(code, ())}
    matches = by_code or {
        found
        for found in scope.names.get(key.name, ())
        if not (key.codes and scope.services[found].service.procedure_codes)
    }
    if len(matches) > 1:
        raise _ambiguous(key, sorted(matches))
    return next(iter(matches), None)


def _at_place(key: Key, scope: Scope, number: int) -> str | int:
    if number in scope.places:
        return scope.places[number]
    if scope.programme is None or number not in scope.free:
        raise _plan_full(key, scope, number)
    return number


def _new_at(key: Key, scope: Scope, service: str, number: int) -> str:
    """Take the id that a row gives itself, and its place in the plan, where it gives one."""
    if scope.programme is not None and number and number not in scope.free:
        raise _plan_full(key, scope, number)
    return service


def _claims(key: Key, match: str | int, scope: Scope) -> tuple[str | int, ...]:
    """Give what a row is the only one to have: its service, and the place in the plan that it fills."""
    number = key.number_in(scope.programme.id) if scope.programme else 0
    return (match, number) if number and isinstance(match, str) and match not in scope.services else (match,)


def _not_found(key: Key, name: str, elsewhere: Scope | None) -> Refusal:
    """Refuse a name that finds no service, or one that belongs to another programme."""
    if elsewhere is None or elsewhere.programme is None:
        text, metadata = f"there is no service {name!r} here; SearchServices finds services by words", {"name": name}
    else:
        programme = f"programmes/{elsewhere.programme.id}"
        text = f"service {name!r} is none of {programme}; name one of that programme, or leave the cell empty"
        metadata = {"name": name, "programme": programme}
    return Refusal(Reason.SERVICE_NOT_FOUND, text, field=str(key.row), metadata=metadata)


def _plan_full(key: Key, scope: Scope, number: int = 0) -> Refusal:
    programme = scope.programme
    planned = programme.planned_count if programme else 0
    name = f"programmes/{programme.id}" if programme else "a register"
    return Refusal(
        Reason.PLAN_CONFLICT,
        f"the plan of {name} has no free place for this row; import it as a register, or raise the number planned",
        field=str(key.row),
        metadata={"programme": name, "planned": str(planned), "plan_number": str(number)} if number else {},
    )


def _shared(
    keys: Sequence[Key], found: Mapping[int, str | int], claims: Mapping[str | int, int], scope: Scope
) -> list[tuple[int, list[str]]]:
    """Rows that would become one and the same service, or fill the same place, each with all of them."""
    rows: dict[str | int, list[str]] = defaultdict(list)
    shared: list[tuple[int, list[str]]] = []
    for place, match in found.items():
        several = [claim for claim in _claims(keys[place], match, scope) if claims[claim] > 1]
        for claim in several:
            rows[claim].append(str(keys[place].row))
        if several:
            shared.append((place, rows[several[0]]))
    return shared


def _ambiguous(key: Key, names: Sequence[str]) -> Refusal:
    shown = ", ".join(names[:10])
    return Refusal(
        Reason.AMBIGUOUS_ROW,
        f"this row fits {shown}; say which by an explicit match",
        field=str(key.row),
        metadata={"row": str(key.row), "names": shown},
    )


def _decision(
    entry: Entry, repeat: Refusal | int | None, problem: Refusal | None, match: str | int | None, maker: Maker
) -> Decision:
    if isinstance(repeat, int):
        return Decision(entry.key.row, Outcome.SKIPPED, text=entry.told.display_name)
    problems = [*entry.problems, *(each for each in (repeat, problem) if each is not None)]
    if problems:
        return _rejected(entry, *problems)
    if isinstance(match, str) and match in maker.scope.services:
        return _change(entry, maker.scope.services[match].service, maker)
    if isinstance(match, str):
        programme = maker.scope.programme
        if maker.is_full():
            return _rejected(entry, _plan_full(entry.key, maker.scope))
        number = entry.key.number_in(programme.id) if programme else 0
        return Decision(entry.key.row, Outcome.CREATED, None, maker.keep(maker.new(entry, number, match)))
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
            return _rejected(entry, _plan_full(entry.key, maker.scope))
    return Decision(entry.key.row, Outcome.CREATED, None, maker.keep(maker.new(entry, number)))


def _rejected(entry: Entry, *problems: Refusal) -> Decision:
    return Decision(entry.key.row, Outcome.REJECTED, problems=problems, text=entry.told.display_name)


def _unconfirmed(entry: Entry, suggestion: str) -> Decision:
    refusal = Refusal(
        Reason.NOT_CONFIRMED,
        f"it is not known which service this row is; if it is {suggestion}, confirm it by an explicit match",
        field=str(entry.key.row),
        metadata={"row": str(entry.key.row), "name": suggestion},
    )
    return Decision(
        entry.key.row, Outcome.REJECTED, problems=(refusal,), suggestion=suggestion, text=entry.told.display_name
    )


def _change(entry: Entry, before: Service, maker: Maker) -> Decision:
    try:
        after = merged(entry, before)
        if after == before:
            return Decision(entry.key.row, Outcome.UNCHANGED, before, before)
        changed = differences(before, after)
        # What the list does not change keeps its own source.
        kept = (source for source in before.provenance if source.field not in changed)
        sources = (*kept, *(maker.cited(name, entry.key.row) for name in changed))
        after = checked_service(replace(after, provenance=sources))
    except Refusal as refusal:
        return _rejected(entry, refusal.with_traceback(None))
    outcome = Outcome.NAMED if after.display_name and not before.display_name else Outcome.CHANGED
    return Decision(entry.key.row, outcome, before, maker.keep(after))
