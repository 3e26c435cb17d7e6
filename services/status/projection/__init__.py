"""The read model: what the journals of catalog and integration say, folded, and the progress that each fact makes.

Invariant: the model follows from the facts alone, each source folded by itself; how they came in batches, and which
source came first, never shows.
"""

from services.status.projection.calendar import Due, draft_of, due
from services.status.projection.facts import (
    CheckReported,
    CorrectionRecorded,
    Fact,
    IntegrationKnown,
    LinkReported,
    Origin,
    PortalReported,
    ProgrammeRecorded,
    ServiceRecorded,
    StepRecorded,
)
from services.status.projection.model import CompletionSummary, ReadModel, apply, fold
from services.status.projection.progress import (
    MILESTONES,
    CorrectionSummary,
    ProgressDraft,
    follow,
    progress,
)

__all__ = [
    "MILESTONES",
    "CheckReported",
    "CompletionSummary",
    "CorrectionRecorded",
    "CorrectionSummary",
    "Due",
    "Fact",
    "IntegrationKnown",
    "LinkReported",
    "Origin",
    "PortalReported",
    "ProgrammeRecorded",
    "ProgressDraft",
    "ReadModel",
    "ServiceRecorded",
    "StepRecorded",
    "apply",
    "draft_of",
    "due",
    "fold",
    "follow",
    "progress",
]
