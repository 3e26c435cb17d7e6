"""What the catalog holds: programmes, services, and what is told of them.

Invariant: values never change; whether a service is named follows from its name alone.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.common.dates import PartialDate


class Naming(IntEnum):
    """Whether the official name is known; numbers as in the contract."""

    SLOT = 1
    NAMED = 2


class ProvenanceKind(IntEnum):
    """How we came to hold a value; numbers as in the contract."""

    SOURCE_DOCUMENT = 1
    INFERRED = 2
    IMPORTED = 3
    REPORTED = 4


class OnlineLevelScheme(IntEnum):
    """By which decree an online level was rated; numbers as in the contract."""

    ND43_2011 = 1
    ND42_2022 = 2


@dataclass(frozen=True, slots=True)
class Provenance:
    """The source of one field, or of every field that has no entry of its own (empty `field`)."""

    field: str
    kind: ProvenanceKind
    citation: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What backs a change."""

    document_number: str
    link: str
    note: str


@dataclass(frozen=True, slots=True)
class Membership:
    """That a programme counts the service; plan number 0: no number."""

    programme: str
    plan_number: int


@dataclass(frozen=True, slots=True)
class ProcedureCode:
    """A code of the national database of administrative procedures, kept as text."""

    code: str
    valid_from: PartialDate | None
    valid_to: PartialDate | None


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency that owned the service for a time."""

    agency: str
    valid_from: PartialDate | None
    valid_to: PartialDate | None


@dataclass(frozen=True, slots=True)
class OnlineLevel:
    """One rating of the online level, with its scheme."""

    scheme: OnlineLevelScheme
    level: str
    date: PartialDate | None


@dataclass(frozen=True, slots=True)
class Retirement:
    """That the procedure was abolished."""

    date: PartialDate | None
    reason: str
    replaced_by: str


@dataclass(frozen=True, slots=True)
class Programme:
    """A plan with a fixed denominator."""

    id: str
    display_name: str
    english_gloss: str
    planned_count: int
    start_date: PartialDate | None
    target_date: PartialDate | None
    owner: str
    provenance: tuple[Provenance, ...]
    create_time: datetime
    update_time: datetime
    update_actor: str
    version: int


@dataclass(frozen=True, slots=True)
class Service:
    """One online public service, named or a slot."""

    id: str
    alias: str
    former_aliases: tuple[str, ...]
    display_name: str
    english_gloss: str
    memberships: tuple[Membership, ...]
    procedure_codes: tuple[ProcedureCode, ...]
    field: str
    agencies: tuple[Agency, ...]
    levels: tuple[str, ...]
    audiences: tuple[str, ...]
    channels: tuple[str, ...]
    online_levels: tuple[OnlineLevel, ...]
    provenance: tuple[Provenance, ...]
    retirement: Retirement | None
    create_time: datetime
    update_time: datetime
    update_actor: str
    version: int

    @property
    def naming(self) -> Naming:
        """Follows from the name."""
        return Naming.NAMED if self.display_name else Naming.SLOT


def new_programme(programme_id: str, now: datetime, actor: str) -> Programme:
    """Give a programme of which only the id is known."""
    return Programme(programme_id, "", "", 0, None, None, "", (), now, now, actor, 0)


def new_service(service_id: str, now: datetime, actor: str) -> Service:
    """Give a slot of which only the id is known."""
    return Service(service_id, "", (), "", "", (), (), "", (), (), (), (), (), (), None, now, now, actor, 0)
