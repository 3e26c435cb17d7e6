"""Builders of what status knows: the real plan of 227, and histories written in a line."""

from datetime import UTC, date, datetime, timedelta

from services.common.dates import EffectiveDate, PartialDate
from services.status.domain import (
    EVERYTHING,
    CheckReport,
    Condition,
    Correction,
    Entry,
    Programme,
    ProgrammeVersion,
    ServiceHistory,
    ServiceVersion,
    Stage,
    Step,
    StepKind,
    read,
)

PLAN = "bca-2022"
SEEDED = datetime(2024, 6, 14, 1, 0, tzinfo=UTC)
START, TODAY = date(2022, 1, 1), date(2024, 6, 20)
BY_SEPTEMBER = EffectiveDate(PartialDate(2022, 9), at_latest=True)


def on(text: str) -> EffectiveDate:
    """On a date, written 2022, 2022-09 or 2022-09-15."""
    return EffectiveDate(PartialDate.from_iso(text))


def by(text: str) -> EffectiveDate:
    """At the latest on a date."""
    return EffectiveDate(PartialDate.from_iso(text), at_latest=True)


def at(text: str) -> datetime:
    """The instant at noon in Vietnam of a day, written 2022-09-15."""
    return datetime.fromisoformat(f"{text}T05:00:00+00:00")


def stage_step(number: int, stage: Stage, effective: EffectiveDate, recorded: datetime = SEEDED) -> Step:
    """A step that reached a stage."""
    return Step(number, recorded, StepKind.ADVANCED, effective, stage=stage)


def reverted(number: int, stage: Stage, effective: EffectiveDate, recorded: datetime = SEEDED) -> Step:
    """A step back to a stage."""
    return Step(number, recorded, StepKind.REVERTED, effective, stage=stage, reason="làm lại")


CONDITION_AFTER = {
    StepKind.BLOCKED: Condition.BLOCKED,
    StepKind.UNBLOCKED: Condition.ACTIVE,
    StepKind.SUSPENDED: Condition.SUSPENDED,
    StepKind.RESUMED: Condition.ACTIVE,
    StepKind.WITHDRAWN: Condition.WITHDRAWN,
    StepKind.REINSTATED: Condition.ACTIVE,
}


def condition_step(number: int, kind: StepKind, effective: EffectiveDate, recorded: datetime = SEEDED) -> Step:
    """A step that set the condition."""
    return Step(number, recorded, kind, effective, condition=CONDITION_AFTER[kind], reason="vướng mắc")


def redated(number: int, target: int, effective: EffectiveDate, recorded: datetime) -> Correction:
    """A correction that gives an earlier step another date."""
    return Correction(number, recorded, target, effective, reason="ghi nhầm ngày")


def annulled(number: int, target: int, recorded: datetime) -> Correction:
    """A correction that takes an earlier step out."""
    return Correction(number, recorded, target, None, reason="ghi nhầm dịch vụ")


def programme_version(planned: int = 227, recorded: datetime = SEEDED, start: str = "2022") -> ProgrammeVersion:
    """The programme with so many places."""
    begins = PartialDate.from_iso(start) if start else None
    return ProgrammeVersion(
        recorded, "227 dịch vụ công", "227 services", planned, begins, PartialDate(2022), "Bộ Công an"
    )


def plan(planned: int = 227, recorded: datetime = SEEDED, start: str = "2022") -> Programme:
    """The programme with so many places, recorded once."""
    return Programme(PLAN, (programme_version(planned, recorded, start),))


def service_version(
    plan_number: int = 1,
    recorded: datetime = SEEDED,
    *,
    name: str = "",
    field: str = "",
    agencies: tuple[tuple[str, PartialDate | None, PartialDate | None], ...] = (),
    levels: tuple[str, ...] = (),
) -> ServiceVersion:
    """A member of the programme, a slot unless named."""
    return ServiceVersion(recorded, "", name, field, agencies, levels, ((PLAN, plan_number),))


def member(
    *entries: Entry, number: int = 1, checks: tuple[CheckReport, ...] = (), version: ServiceVersion | None = None
) -> ServiceHistory:
    """A member of the programme with its entries."""
    return ServiceHistory(f"bca-{number:03}", (version or service_version(number),), entries, checks)


def seed() -> list[ServiceHistory]:
    """The 227 of the source: 11 integrated by September 2022, and 216 places of which nothing more is known."""
    done = [member(stage_step(1, Stage.INTEGRATED, BY_SEPTEMBER), number=number) for number in range(1, 12)]
    return done + [member(number=number) for number in range(12, 228)]


LATER = SEEDED + timedelta(days=7)


def outcome(history: ServiceHistory, day: date) -> str:
    """The class of one service as known now, in a programme that began on START."""
    return read(history, day, EVERYTHING, START).outcome.name
