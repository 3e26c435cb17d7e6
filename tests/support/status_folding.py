"""Journals of facts, folded and told."""

from dataclasses import replace
from datetime import date
from typing import Literal

from services.status.domain import Entry, Evidence, ServiceVersion, Stage, Step
from services.status.projection import (
    CorrectionRecorded,
    Fact,
    IntegrationKnown,
    Origin,
    ProgrammeRecorded,
    ProgressDraft,
    ReadModel,
    ServiceRecorded,
    StepRecorded,
    apply,
    fold,
    progress,
)
from tests.support.status_facts import BY_SEPTEMBER, PLAN, SEEDED, programme_version, service_version, stage_step

TODAY = date(2024, 6, 21)
PAPER = (Evidence(document_number="12/BC"),)


def origin(source: Literal["catalog", "integration"], sequence: int) -> Origin:
    """A row of a source's journal."""
    return Origin(source, "00000000000000aa", sequence, SEEDED, actor="vt")


def programme(sequence: int = 1, planned: int = 227, programme_id: str = PLAN, start: str = "2022") -> Fact:
    """The catalog recorded a programme."""
    return ProgrammeRecorded(origin("catalog", sequence), programme_id, programme_version(planned, start=start))


def listed(number: int, sequence: int, version: ServiceVersion | None = None, *, named_now: bool = False) -> Fact:
    """The catalog recorded a service."""
    recorded = version or service_version(number)
    return ServiceRecorded(origin("catalog", sequence), f"bca-{number:03}", recorded, named_now)


def told(number: int, sequence: int, entry: Entry) -> Fact:
    """Integration recorded an entry."""
    place, service = origin("integration", sequence), f"bca-{number:03}"
    if isinstance(entry, Step):
        return StepRecorded(place, service, replace(entry, evidence=PAPER))
    return CorrectionRecorded(place, service, replace(entry, evidence=PAPER))


def seed_catalog() -> list[Fact]:
    """The programme and its 227 services."""
    return [programme(), *(listed(number, number + 1) for number in range(1, 228))]


def seed_integration() -> list[Fact]:
    """227 integrations, and the 11 of the source."""
    made: list[Fact] = [IntegrationKnown(origin("integration", n), f"bca-{n:03}") for n in range(1, 228)]
    done = [told(n, 227 + n, stage_step(1, Stage.INTEGRATED, BY_SEPTEMBER)) for n in range(1, 12)]
    return made + done


def seeded() -> ReadModel:
    """The model after the seed."""
    return fold(ReadModel(), seed_catalog() + seed_integration())


def step_by_step(model: ReadModel, facts: list[Fact], today: date = TODAY) -> tuple[ReadModel, list[ProgressDraft]]:
    """Fold the facts in one by one; every draft, repeats too."""
    drafts: list[ProgressDraft] = []
    for fact in facts:
        after = apply(model, fact)
        drafts += progress(model, after, fact, today)
        model = after
    return model, drafts


def kinds(drafts: list[ProgressDraft]) -> list[str]:
    """What the drafts tell, milestones with their per cent."""
    return [draft.kind.type + (f" {draft.milestone_percent}" if draft.milestone_percent else "") for draft in drafts]
