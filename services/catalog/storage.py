"""The catalog's tables, its state in memory, and the working set of one transaction.

Invariant: a row's `body` is the very message that the journal row of its last change carries; the other columns are for
constraints and for people who look.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Self, cast

from sqlalchemy import CheckConstraint, Connection, LargeBinary, Select, select
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.catalog.domain import Programme, Service
from services.common.db import Sequence64, table_of, upsert
from services.common.envelope import content
from services.common.journal import Head, Journal, Row
from services.common.listing import Order
from services.common.snapshot import Answers, Newest
from services.common.spool import Spool
from services.common.text import fold, sort_key
from services.common.work import Work


class Base(SQLModel, registry=registry()):
    """The catalog's own tables, apart from those of other services in one process."""


class ProgrammeRow(Base, table=True):
    """A programme."""

    __tablename__ = "programme"
    __table_args__ = (CheckConstraint("planned_count >= 1", name="programme_planned_count"),)

    id: str = Field(primary_key=True, max_length=63)
    display_name: str = Field(max_length=500)
    planned_count: int
    version: int = Field(sa_type=Sequence64)
    update_actor: str = Field(max_length=200)
    body: bytes = Field(sa_type=LargeBinary)


class ServiceRow(Base, table=True):
    """A service."""

    __tablename__ = "service"
    __table_args__ = (
        CheckConstraint("naming IN ('SLOT', 'NAMED')", name="service_naming"),
        CheckConstraint("(naming = 'SLOT') = (display_name = '')", name="service_name_of_its_naming"),
    )

    id: str = Field(primary_key=True, max_length=63)
    alias: str = Field(max_length=63)
    display_name: str = Field(max_length=1000)
    naming: str = Field(max_length=8)
    version: int = Field(sa_type=Sequence64)
    update_actor: str = Field(max_length=200)
    body: bytes = Field(sa_type=LargeBinary)


metadata = Base.metadata
journal = Journal(metadata)


@dataclass(frozen=True, slots=True)
class ProgrammeEntry:
    """A programme and its message."""

    programme: Programme
    message: bytes


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A service with what reads need ready: its message as a chunk of a list, its search text and sort key."""

    service: Service
    chunk: bytes
    haystack: str
    sort_key: str

    @property
    def message(self) -> bytes:
        """Its message; kept in the chunk alone, or each would be in memory twice."""
        return content(self.chunk)

    @property
    def spelling(self) -> str:
        """What all spellings of its name share; see `text.spelling`."""
        return self.sort_key.rpartition("!")[0]


def service_entry(service: Service, chunk: bytes) -> ServiceEntry:
    """Prepare a service for reading."""
    words = (
        service.display_name,
        service.english_gloss,
        service.field,
        service.alias,
        service.id,
        *(code.code for code in service.procedure_codes),
        *(str(membership.plan_number) for membership in service.memberships if membership.plan_number),
    )
    return ServiceEntry(service, chunk, fold(" ".join(words)), sort_key(service.display_name))


@dataclass(frozen=True)
class State:
    """The whole catalog as of one journal row. Never changed; lists that were asked for are kept with it."""

    head: Head
    programmes: dict[str, ProgrammeEntry] = field(default_factory=dict)
    services: dict[str, ServiceEntry] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Ids, aliases and former aliases, each with the id it finds."""

    @cached_property
    def answers(self) -> Answers:
        """Pages given from this state."""
        return Answers()

    @cached_property
    def lists(self) -> dict[tuple[str, ...], Any]:
        """Sorted lists by what was asked, made once a state."""
        return {}

    def find(self, name: str) -> ServiceEntry | None:
        """Find a service by id or alias."""
        return self.services.get(self.names.get(name, ""))

    def members(self, programme: str) -> list[ServiceEntry]:
        """The services that a programme counts; all for an empty programme."""
        if not programme:
            return list(self.services.values())
        return [
            entry
            for entry in self.services.values()
            if any(membership.programme == programme for membership in entry.service.memberships)
        ]

    def sorted(
        self,
        programme: str,
        order: Order[ServiceEntry],
    ) -> tuple[list[ServiceEntry], list[tuple[Any, ...]]]:
        """The members in an order, with their sort keys."""
        asked = (programme, order.text)
        made = self.lists.get(asked)
        if made is None:
            entries = order.sort(self.members(programme))
            made = self.lists[asked] = (entries, [order.key(entry) for entry in entries])
        return made

    def changed(self, head: Head, programmes: Iterable[ProgrammeEntry], services: Iterable[ServiceEntry]) -> "State":
        """The state after some resources changed."""
        all_programmes, all_services, names = self.programmes, self.services, self.names
        if programmes := list(programmes):
            all_programmes = all_programmes | {entry.programme.id: entry for entry in programmes}
        if services := list(services):
            all_services = all_services | {entry.service.id: entry for entry in services}
            names = names | names_of(services)
        return State(head, all_programmes, all_services, names)


def names_of(entries: Iterable[ServiceEntry]) -> dict[str, str]:
    """Every id, alias and former alias, with the id it finds."""
    return {
        name: entry.service.id
        for entry in entries
        for name in (entry.service.id, entry.service.alias, *entry.service.former_aliases)
        if name
    }


def _stored(table: type[SQLModel]) -> Select[Any]:
    columns = table_of(table).c
    return select(columns.body, columns.version, columns.update_actor).order_by(columns.id)


Decoded = tuple[list[ProgrammeEntry], list[ServiceEntry]]


def load(
    connection: Connection,
    programme: Callable[[bytes, int, str], ProgrammeEntry],
    service: Callable[[bytes, int, str], ServiceEntry],
) -> State:
    """Read the state from the tables, as of one head. The functions read a stored message, its version and actor."""
    head = journal.read_head(connection)
    programmes = [programme(*row) for row in connection.execute(_stored(ProgrammeRow))]
    services = [service(*row) for row in connection.execute(_stored(ServiceRow))]
    return State(head).changed(head, programmes, services)


def catch_up(
    connection: Connection,
    state: State,
    head: Head,
    decode: Callable[[Iterable[Row]], Decoded],
) -> tuple[State, Iterable[Row]]:
    """Add what others committed after `state`, up to `head`; give it with their newest rows."""
    if state.head.is_at(head):
        return state, ()
    rows = Newest(journal.read_between(connection, state.head.sequence, head))
    return state.changed(head, *decode(rows)), rows.kept


class CatalogWork(Work[State]):
    """What one transaction decides on and will write."""

    def __init__(self, connection: Connection, state: State, now: datetime) -> None:
        super().__init__(connection, journal, state, now)
        self._programmes: dict[str, ProgrammeEntry] = {}
        self._services: dict[str, ServiceEntry] = {}
        self._names: dict[str, str] = {}
        self._counts: dict[str, dict[str, int]] = {}

    @classmethod
    def prepared(cls, state: State, now: datetime) -> "CatalogWork":
        """Begin a set that decides on memory alone, for another to adopt: long work must not hold the journal's lock."""
        work = cls(cast("Connection", None), state, now)
        work.rows = Spool()
        return work

    def adopt(self, prepared: Self) -> None:
        """Take over what was prepared; see `Work.adopt`."""
        super().adopt(prepared)
        # Of its own kind, so what is private there is known here.
        self._programmes |= prepared._programmes
        self._services |= prepared._services
        self._names |= prepared._names
        self._counts = prepared._counts

    def programme(self, programme_id: str) -> Programme | None:
        """Give a programme as of now."""
        entry = self._programmes.get(programme_id) or self.state.programmes.get(programme_id)
        return entry.programme if entry else None

    def service(self, name: str) -> Service | None:
        """Give a service by id or alias, as of now."""
        service_id = self._names.get(name) or self.state.names.get(name, "")
        entry = self._services.get(service_id) or self.state.services.get(service_id)
        return entry.service if entry else None

    def is_taken(self, name: str) -> bool:
        """Whether an id or alias is or was in use."""
        return name in self._names or name in self.state.names

    def places(self, programme: str) -> dict[str, int]:
        """Give the members of a programme with their plan numbers, as of now."""
        if programme not in self._counts:
            self._counts[programme] = {
                service.id: membership.plan_number
                for service in (entry.service for entry in (self.state.services | self._services).values())
                for membership in service.memberships
                if membership.programme == programme
            }
        return self._counts[programme]

    def put_programme(self, entry: ProgrammeEntry) -> None:
        """Keep a new or changed programme for writing."""
        self._programmes[entry.programme.id] = entry

    def put_service(self, entry: ServiceEntry) -> None:
        """Keep a new or changed service for writing."""
        service = entry.service
        self._services[service.id] = entry
        self._names |= names_of([entry])
        numbers = {membership.programme: membership.plan_number for membership in service.memberships}
        for programme, places in self._counts.items():
            places.pop(service.id, None)
            if programme in numbers:
                places[service.id] = numbers[programme]

    def flush(self) -> None:
        """Write changed programmes and services."""
        upsert(
            self.connection,
            table_of(ProgrammeRow),
            (
                {
                    "id": entry.programme.id,
                    "display_name": entry.programme.display_name,
                    "planned_count": entry.programme.planned_count,
                    "version": entry.programme.version,
                    "update_actor": entry.programme.update_actor,
                    "body": entry.message,
                }
                for entry in self._programmes.values()
            ),
            keys=("id",),
        )
        upsert(
            self.connection,
            table_of(ServiceRow),
            (
                {
                    "id": entry.service.id,
                    "alias": entry.service.alias,
                    "display_name": entry.service.display_name,
                    "naming": entry.service.naming.name,
                    "version": entry.service.version,
                    "update_actor": entry.service.update_actor,
                    "body": entry.message,
                }
                for entry in self._services.values()
            ),
            keys=("id",),
        )

    def result(self) -> State:
        """Give the state after the commit."""
        if not self.rows:
            return self.state
        return self.state.changed(self.head, self._programmes.values(), self._services.values())
