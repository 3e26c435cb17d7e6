"""The facts status keeps, in the numbers and words of the contracts.

Invariant: a fact is never changed; whatever holds later is another fact with its own recorded time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import NamedTuple, Protocol, TypeVar

from services.common.dates import EffectiveDate, PartialDate, iso_instant
from services.common.errors import Reason, Refusal

EVERYTHING = datetime.max.replace(tzinfo=UTC)
"""The `known_at` that leaves nothing out."""


class Stage(IntEnum):
    """How far the work is, in order; the numbers are those of tiendo.integration.v1.Stage."""

    SELECTED = 1
    STANDARDISED = 2
    REENGINEERED = 3
    BUILT = 4
    TESTED = 5
    LIVE_ON_MINISTRY_PORTAL = 6
    INTEGRATED = 7


class Condition(IntEnum):
    """Whether the work goes on; the numbers are those of tiendo.integration.v1.Condition."""

    ACTIVE = 1
    BLOCKED = 2
    SUSPENDED = 3
    WITHDRAWN = 4


class StepKind(IntEnum):
    """What an entry says; the numbers are those of tiendo.integration.v1.TransitionKind, without CORRECTED."""

    ADVANCED = 1
    REVERTED = 2
    BLOCKED = 3
    UNBLOCKED = 4
    SUSPENDED = 5
    RESUMED = 6
    WITHDRAWN = 7
    REINSTATED = 8


class EventKind(IntEnum):
    """What a progress event tells; the numbers are those of tiendo.status.v1.ProgressEventKind."""

    SERVICE_ADDED = 1
    SERVICE_NAMED = 2
    SERVICE_ADVANCED = 3
    SERVICE_INTEGRATED = 4
    SERVICE_REVERTED = 5
    SERVICE_CORRECTED = 6
    SERVICE_BLOCKED = 7
    SERVICE_UNBLOCKED = 8
    SERVICE_SUSPENDED = 9
    SERVICE_RESUMED = 10
    SERVICE_WITHDRAWN = 11
    SERVICE_REINSTATED = 12
    SERVICE_STALLED = 13
    SERVICE_UNREACHABLE = 14
    SERVICE_REACHABLE = 15
    PROGRAMME_MILESTONE = 16
    PROGRAMME_TARGET_PASSED = 17

    @property
    def token(self) -> str:
        """The word in a subject: `service_integrated`."""
        return self.name.lower()

    @property
    def type(self) -> str:
        """The word in an event's type: `service.integrated`, `programme.target_passed`."""
        return self.token.replace("_", ".", 1)


class Evidence(NamedTuple):
    """What backs a claim; carried along, never read."""

    document_number: str = ""
    link: str = ""
    note: str = ""


class Provenance(NamedTuple):
    """Where a value comes from: the field's path ("" for all others), the kind by its short name, the citation."""

    field: str
    kind: str
    citation: str


class OnlineLevel(NamedTuple):
    """A rating: the scheme by its short name (`ND42_2022`), the level in it, when it was rated so."""

    scheme: str
    level: str
    date: PartialDate | None


Dated = tuple[str, PartialDate | None, PartialDate | None]
"""A value with the days from and to which it holds, both included; None where open or not known."""


class _Recorded(Protocol):
    @property
    def recorded(self) -> datetime: ...


_Version = TypeVar("_Version", bound=_Recorded)


def latest_known(versions: Sequence[_Version], known_at: datetime) -> _Version | None:
    """Give the last version recorded up to `known_at`, or None; recorded times never go back."""
    for version in reversed(versions):
        if version.recorded <= known_at:
            return version
    return None


@dataclass(frozen=True, slots=True)
class ProgrammeVersion:
    """A programme as it was recorded at one instant."""

    recorded: datetime
    display_name: str
    english_gloss: str
    planned: int
    start: PartialDate | None
    target: PartialDate | None
    owner: str = ""
    provenance: tuple[Provenance, ...] = ()

    def first_day(self) -> date | None:
        """Give the day from which "at the latest" facts are possible; None: from any time on."""
        return self.start.first_day() if self.start else None


@dataclass(frozen=True, slots=True)
class Programme:
    """A programme and what was recorded of it, oldest first; at least one version."""

    id: str
    versions: tuple[ProgrammeVersion, ...]

    def as_known(self, known_at: datetime) -> ProgrammeVersion:
        """Give the version that held at `known_at`. Raises Refusal PROGRAMME_NOT_FOUND before the first one."""
        if version := latest_known(self.versions, known_at):
            return version
        raise Refusal(
            Reason.PROGRAMME_NOT_FOUND,
            f"programmes/{self.id} was not known at {iso_instant(known_at)}; "
            f"ask as known at {iso_instant(self.versions[0].recorded)} or later",
            field="known_at",
            metadata={"name": f"programmes/{self.id}"},
        )


@dataclass(frozen=True, slots=True)
class ServiceVersion:
    """A service as the catalog recorded it at one instant; empty texts are not known, an empty name is a slot.

    `memberships` are (programme id, plan number), the number 0 where there is none; `replaced_by` is an id.
    """

    recorded: datetime
    alias: str
    display_name: str
    field: str = ""
    agencies: tuple[Dated, ...] = ()
    levels: tuple[str, ...] = ()
    memberships: tuple[tuple[str, int], ...] = ()
    retired: bool = False
    replaced_by: str = ""
    english_gloss: str = ""
    codes: tuple[Dated, ...] = ()
    audiences: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    online_levels: tuple[OnlineLevel, ...] = ()
    provenance: tuple[Provenance, ...] = ()

    def counted_by(self, programme_id: str) -> bool:
        """Whether the programme counts the service."""
        for programme, _ in self.memberships:  # noqa: SIM110 (counting asks it of every service; a generator doubles it)
            if programme == programme_id:
                return True
        return False

    def agency_on(self, day: date) -> str:
        """Give the agency that owns the service on the day; of several the one that began last, "" for none."""
        owner, since = "", date.min
        for agency, begin, end in self.agencies:
            begins = begin.first_day() if begin else date.min
            if since <= begins <= day and (end is None or day <= end.last_day()):
                owner, since = agency, begins
        return owner


@dataclass(frozen=True, slots=True)
class Step:
    """An entry that sets the stage or the condition; exactly one of the two is given."""

    number: int
    recorded: datetime
    kind: StepKind
    effective: EffectiveDate
    stage: Stage | None = None
    condition: Condition | None = None
    reason: str = ""
    actor: str = ""
    evidence: tuple[Evidence, ...] = ()

    @property
    def event(self) -> EventKind:
        """The one progress event of the step; reaching INTEGRATED is not told as an advance as well."""
        if self.kind is StepKind.ADVANCED and self.stage is Stage.INTEGRATED:
            return EventKind.SERVICE_INTEGRATED
        return EventKind[f"SERVICE_{self.kind.name}"]


@dataclass(frozen=True, slots=True)
class Correction:
    """An entry about an earlier one: it happened on `effective`, or, where that is None, it never happened."""

    number: int
    recorded: datetime
    target: int
    effective: EffectiveDate | None
    reason: str = ""
    actor: str = ""
    evidence: tuple[Evidence, ...] = ()

    @property
    def annul(self) -> bool:
        """Whether the earlier entry never happened."""
        return self.effective is None


Entry = Step | Correction


@dataclass(frozen=True, slots=True)
class CheckReport:
    """How a connection check stands, by the short names of the contract; `effective` is None exactly for UNKNOWN."""

    check: str
    state: str
    recorded: datetime
    effective: EffectiveDate | None
    actor: str = ""
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkReport:
    """Where a portal, by its short name, shows the service; an empty uri: it no longer does, or nobody knows where."""

    portal: str
    uri: str
    recorded: datetime
    actor: str = ""


@dataclass(frozen=True, slots=True)
class PortalReport:
    """What a portal, by its short name, answers for a link; `detail` says why it counts as unreachable."""

    portal: str
    uri: str
    reachable: bool
    detail: str
    recorded: datetime
