"""What an integration is made of, and the forms its texts may have.

Invariant: values never change; a changed integration is a new one with the next version.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Self
from urllib.parse import urlsplit

from services.common.dates import EffectiveDate
from services.common.errors import Reason, Refusal
from services.common.text import clean

REASON_LIMIT = 2_000
DOCUMENT_NUMBER_LIMIT = 100
LINK_LIMIT = 2_000
NOTE_LIMIT = 2_000
EVIDENCE_LIMIT = 20


class Stage(IntEnum):
    """How far the work is, in order; the numbers are the contract's."""

    SELECTED = 1
    STANDARDISED = 2
    REENGINEERED = 3
    BUILT = 4
    TESTED = 5
    LIVE_ON_MINISTRY_PORTAL = 6
    INTEGRATED = 7


class Condition(IntEnum):
    """Whether the work goes on, and whether what was live still is."""

    ACTIVE = 1
    BLOCKED = 2
    SUSPENDED = 3
    WITHDRAWN = 4


class Check(IntEnum):
    """What is checked in parallel to the stages."""

    IDENTITY = 1
    POPULATION_DATABASE = 2
    PAYMENT = 3
    DOSSIER_SYNCHRONISATION = 4
    POST = 5
    E_FORM = 6


class CheckState(IntEnum):
    """How a check stands; PENDING and FAILED keep an integration from INTEGRATED."""

    UNKNOWN = 1
    NOT_REQUIRED = 2
    PENDING = 3
    PASSED = 4
    FAILED = 5


class Portal(IntEnum):
    """A portal that shows the service."""

    MINISTRY = 1
    NATIONAL = 2


class PortalAnswer(IntEnum):
    """What a portal answers when it is asked for a link."""

    REACHABLE = 1
    UNREACHABLE = 2


class TransitionKind(IntEnum):
    """What an entry of the history says."""

    ADVANCED = 1
    REVERTED = 2
    BLOCKED = 3
    UNBLOCKED = 4
    SUSPENDED = 5
    RESUMED = 6
    WITHDRAWN = 7
    REINSTATED = 8
    CORRECTED = 9


@dataclass(frozen=True, slots=True)
class Evidence:
    """What backs a claim; as told until `check_evidence` has seen it."""

    document_number: str = ""
    link: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionCheck:
    """How one check stands and since when; `date` is None exactly while it is UNKNOWN."""

    check: Check
    state: CheckState = CheckState.UNKNOWN
    date: EffectiveDate | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class PortalLink:
    """Where a portal shows the service."""

    portal: Portal
    uri: str


@dataclass(frozen=True, slots=True)
class PortalCheck:
    """One look at what a portal answers: recorded at `check_time`, the answer being the same since `since_time`.

    `http_status` is 0 where none came, `detail` empty exactly where it is REACHABLE.
    """

    portal: Portal
    uri: str
    answer: PortalAnswer
    http_status: int
    detail: str
    check_time: datetime
    latency: timedelta
    since_time: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class Integration:
    """One service's integration, as it stands.

    `checks` holds every check and `portal_links` the known links, both in the order of their enum. `effective_date` is
    that of the newest entry that stands, which is also the one with the latest last day; None before the first.
    `reason` says why it is not ACTIVE. `version` grows with every change that somebody decided. `portal_checks` holds, of
    each link that was asked, the check that last changed the answer, in the order of the enum.
    """

    service_id: str
    stage: Stage
    condition: Condition
    effective_date: EffectiveDate | None
    checks: tuple[ConnectionCheck, ...]
    portal_links: tuple[PortalLink, ...]
    transition_count: int
    reason: str
    create_time: datetime
    update_time: datetime
    update_actor: str
    version: int
    alias: str
    display_name: str
    portal_checks: tuple[PortalCheck, ...] = ()

    @property
    def name(self) -> str:
        """The resource name, `integrations/bca-012`."""
        return f"integrations/{self.service_id}"

    def check(self, check: Check) -> ConnectionCheck:
        """How this check stands."""
        return self.checks[check - 1]

    def portal_check(self, portal: Portal) -> PortalCheck | None:
        """The check that last changed what this portal answers; None where its link was never asked."""
        return next((check for check in self.portal_checks if check.portal is portal), None)

    def changed(self, now: datetime, actor: str, **changes: Any) -> Self:
        """The integration with these fields changed, as its next version."""
        return replace(self, update_time=now, update_actor=actor, version=self.version + 1, **changes)


@dataclass(frozen=True, slots=True)
class Correction:
    """What holds in place of entry `transition`: it never happened, or it happened on the correcting entry's date."""

    transition: int
    annul: bool


@dataclass(frozen=True, slots=True)
class Transition:
    """One entry of a history, as recorded; `annulled_by` and `redated_by` are 0 until `mark` fills them in.

    `effective_date` is None only where a correction annuls. The stages and conditions are those of the integration
    before and after the entry was recorded.
    """

    number: int
    kind: TransitionKind
    from_stage: Stage
    to_stage: Stage
    from_condition: Condition
    to_condition: Condition
    effective_date: EffectiveDate | None
    reason: str
    evidence: tuple[Evidence, ...]
    actor: str
    recorded_time: datetime
    correction: Correction | None = None
    annulled_by: int = 0
    redated_by: int = 0


def new_integration(service_id: str, alias: str, display_name: str, now: datetime, actor: str = "") -> Integration:
    """The integration of a service the catalog has just told of: SELECTED is all that is known."""
    return Integration(
        service_id=service_id,
        stage=Stage.SELECTED,
        condition=Condition.ACTIVE,
        effective_date=None,
        checks=tuple(ConnectionCheck(check) for check in Check),
        portal_links=(),
        transition_count=0,
        reason="",
        create_time=now,
        update_time=now,
        update_actor=actor,
        version=1,
        alias=alias,
        display_name=display_name,
    )


def check_reason(reason: str, *, required: bool) -> str:
    """The reason as it is stored, at most 2,000 characters. Raises Refusal EMPTY_REASON and those of `clean`."""
    return clean(
        reason, "reason", limit=REASON_LIMIT, required=required, multiline=True, empty_reason=Reason.EMPTY_REASON
    )


def check_evidence(evidence: Sequence[Evidence], field: str = "evidence") -> tuple[Evidence, ...]:
    """The evidence as it is stored.

    Raises Refusal TOO_MANY for more than 20, EMPTY_EVIDENCE where all parts are empty, INVALID_VALUE for a link that
    is not http or https, and those of `clean`; the field is that of the part, `evidence[2].link`.
    """
    if len(evidence) > EVIDENCE_LIMIT:
        raise Refusal(
            Reason.TOO_MANY,
            f"has {len(evidence):,} elements; give at most {EVIDENCE_LIMIT}",
            field=field,
            metadata={"limit": str(EVIDENCE_LIMIT), "count": str(len(evidence))},
        )
    return tuple(_check_one(one, f"{field}[{index}]") for index, one in enumerate(evidence))


def _check_one(evidence: Evidence, field: str) -> Evidence:
    checked = Evidence(
        clean(evidence.document_number, f"{field}.document_number", limit=DOCUMENT_NUMBER_LIMIT),
        check_link(evidence.link, f"{field}.link"),
        clean(evidence.note, f"{field}.note", limit=NOTE_LIMIT, multiline=True),
    )
    if checked == Evidence():
        raise Refusal(Reason.EMPTY_EVIDENCE, "is empty; give a document number, a link or a note", field=field)
    return checked


def check_link(link: str, field: str) -> str:
    """An http or https address of at most 2,000 characters, or empty.

    Raises Refusal INVALID_VALUE for anything else, and those of `clean`.
    """
    text = clean(link, field, limit=LINK_LIMIT)
    if text and not _is_web_address(text):
        raise Refusal(
            Reason.INVALID_VALUE, "is not a web address; give one that begins with https:// or http://", field=field
        )
    return text


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # Reading the port is what checks it.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and len(text.split()) == 1
    except ValueError:
        return False
