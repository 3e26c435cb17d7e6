"""What one row of a source's journal tells the projection.

Invariant: a fact names the row it comes from, so whatever follows from it can be told apart from a repeat.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.status.domain import (
    CheckReport,
    Correction,
    Evidence,
    LinkReport,
    PortalReport,
    ProgrammeVersion,
    ServiceVersion,
    Step,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """The row of the source's journal: where, when and by whom it was recorded."""

    source: Literal["catalog", "integration"]
    epoch: str
    sequence: int
    recorded: datetime
    actor: str = ""
    request_id: str = ""
    traceparent: str = ""

    def cause(self, programme_id: str) -> str:
        """Give the cause of what the row means for one programme: `integration/<epoch>/<sequence>/<programme>`."""
        return f"{self.source}/{self.epoch}/{self.sequence}/{programme_id}"


@dataclass(frozen=True, slots=True)
class ProgrammeRecorded:
    """The catalog created or changed a programme; `id` is the programme's."""

    origin: Origin
    id: str
    version: ProgrammeVersion


@dataclass(frozen=True, slots=True)
class ServiceRecorded:
    """The catalog created or changed a service; `named_now` where this row gave a slot its name."""

    origin: Origin
    id: str
    version: ServiceVersion
    named_now: bool = False
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class IntegrationKnown:
    """Integration has the service; says nothing beyond its selection."""

    origin: Origin
    id: str


@dataclass(frozen=True, slots=True)
class StepRecorded:
    """A step of the service's integration."""

    origin: Origin
    id: str
    step: Step


@dataclass(frozen=True, slots=True)
class CorrectionRecorded:
    """An earlier step of the service's integration was re-dated or annulled."""

    origin: Origin
    id: str
    correction: Correction


@dataclass(frozen=True, slots=True)
class CheckReported:
    """A connection check of the service was set."""

    origin: Origin
    id: str
    report: CheckReport


@dataclass(frozen=True, slots=True)
class LinkReported:
    """A portal link of the service was set or removed."""

    origin: Origin
    id: str
    report: LinkReport


@dataclass(frozen=True, slots=True)
class PortalReported:
    """A portal answers otherwise than before for a link of the service."""

    origin: Origin
    id: str
    report: PortalReport


Fact = (
    ProgrammeRecorded
    | ServiceRecorded
    | IntegrationKnown
    | StepRecorded
    | CorrectionRecorded
    | CheckReported
    | LinkReported
    | PortalReported
)
