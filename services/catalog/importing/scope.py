"""The part of the catalog that the rows of a list may be, and the new services that they become: pure.

Invariant: no id, alias, slot or place of the plan is given to two rows.
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from services.catalog.domain import (
    Membership,
    Naming,
    Programme,
    Provenance,
    ProvenanceKind,
    Service,
    with_alias,
)
from services.catalog.importing.entries import Entry, Key, name_key
from services.catalog.storage import State
from services.common.text import alias_of, fold

K = TypeVar("K")

_ALIKE = 0.75
_ID = re.compile(r"[a-z0-9-]{1,63}")
_MOST_COMPARISONS = 1_000_000
_NONE: list[str] = []  # stands for every key that nothing was found for, and stays empty


@dataclass(frozen=True, slots=True)
class Target:
    """Where the rows belong: a programme, or a register of no programme."""

    programme: Programme | None


class Scope:
    """The services that rows may be, by those codes and spellings that rows have, and the programme's places."""

    def __init__(self, state: State, target: Target, keys: Iterable[Key]) -> None:
        self.state, self.programme = state, target.programme
        programme = target.programme.id if target.programme else ""
        self.services = {each.service.id: each for each in state.members(programme)} if programme else state.services
        self.codes: dict[str, list[str]] = {}
        self.names: dict[bytes, list[str]] = {}
        for key in keys:
            self.codes |= dict.fromkeys(key.codes, _NONE)
            self.names[key.name] = _NONE
        self.places: dict[int, str] = {}
        for entry in self.services.values():
            for code in entry.service.procedure_codes:
                _add(self.codes, code.code, entry.service.id)
            if entry.service.display_name:
                _add(self.names, name_key(entry.spelling), entry.service.id)
            for membership in entry.service.memberships:
                if programme and membership.programme == programme and membership.plan_number:
                    self.places[membership.plan_number] = entry.service.id

    def takes_id(self, name: str) -> bool:
        """Whether a row may bring this id with it: only where there are no services yet that it may have meant instead."""
        return not self.services and _ID.fullmatch(name) is not None and name not in self.state.names

    @cached_property
    def free(self) -> frozenset[int]:
        """Places of the plan that no service fills."""
        return frozenset(self.free_numbers())

    def free_numbers(self) -> Iterator[int]:
        """Those places, the first one first."""
        if self.programme is None:
            return
        left = self.programme.planned_count - len(self.services)
        for number in range(1, self.programme.planned_count + 1):
            if left <= 0:
                return
            if number not in self.places:
                left -= 1
                yield number


def _add(found: dict[K, list[str]], key: K, service: str) -> None:
    known = found.get(key)
    if known:
        known.append(service)
    elif known is not None:
        found[key] = [service]


class Maker:
    """Makes new services and suggestions, none twice."""

    def __init__(self, scope: Scope, taken: Container[str | int], cite: Callable[[int], str]) -> None:
        self.scope, self.cite = scope, cite
        self._names = set[str]()
        self._made = 0
        services = (each.service for each in scope.services.values())
        slots = (each for each in services if each.naming is Naming.SLOT and each.id not in taken)
        number = {service: place for place, service in scope.places.items()}
        self.slots = iter(sorted((each.id for each in slots), key=lambda each: (number.get(each, 0), each)))
        self.numbers = (place for place in scope.free_numbers() if place not in taken)
        self._taken = taken
        self._comparisons = 0

    @cached_property
    def _words(self) -> dict[str, frozenset[str]]:
        return {
            each.id: frozenset(fold(each.display_name).split())
            for each in (entry.service for entry in self.scope.services.values())
            if each.display_name and each.id not in self._taken
        }

    def is_taken(self, name: str) -> bool:
        """Whether an id or alias is or was in use, or a row before got it."""
        return name in self.scope.state.names or name in self._names or name in self._taken

    def keep(self, service: Service) -> Service:
        """Give the service with its alias, and keep its names."""
        service = with_alias(service, self.is_taken)
        self._names |= {service.id, service.alias}
        return service

    def is_full(self) -> bool:
        """Whether the plan has no place left for one more."""
        programme = self.scope.programme
        return programme is not None and len(self.scope.services) + self._made >= programme.planned_count

    def new(self, entry: Entry, number: int = 0, service_id: str = "") -> Service:
        """Make the service of a row that is none yet."""
        programme, row = self.scope.programme, entry.key.row
        self._made += 1
        if programme is not None:
            wanted = f"{programme.id[:50].rstrip('-')}-{number:03d}"
        else:
            code = next(iter(entry.key.codes), "")
            wanted = f"tthc-{code.replace('.', '-')}" if code else alias_of(entry.told.display_name) or f"row-{row}"
        name, count = wanted, 2
        while not service_id and self.is_taken(name):
            name, count = f"{wanted[:57].rstrip('-')}-{count}", count + 1
        places = (Membership(programme.id, number),) if programme else ()
        return replace(entry.told, id=service_id or name, memberships=places, provenance=(self.cited("", row),))

    def cited(self, field: str, row: int) -> Provenance:
        """Name the list as the source of a field."""
        return Provenance(field, ProvenanceKind.IMPORTED, self.cite(row))

    def alike(self, entry: Entry) -> str:
        """Find the named service whose words are nearest to a row's, where they are near enough to ask about."""
        words = frozenset(fold(entry.told.display_name).split())
        self._comparisons += len(self._words)
        if not words or self._comparisons > _MOST_COMPARISONS:
            return ""
        best = max(
            ((len(words & other) / len(words | other), service) for service, other in self._words.items()),
            default=(0.0, ""),
        )
        return best[1] if best[0] >= _ALIKE else ""
