"""What status knows and how it counts.

Invariant: an answer follows from the facts, a day and an instant alone; nothing here reads a clock.
"""

from services.status.domain.counting import (
    Completion,
    Counts,
    Group,
    GroupBy,
    Outcome,
    Reading,
    count,
    count_groups,
    counts_of,
    read,
    tally,
)
from services.status.domain.facts import (
    EVERYTHING,
    CheckReport,
    Condition,
    Correction,
    Entry,
    EventKind,
    Evidence,
    Programme,
    ProgrammeVersion,
    ServiceVersion,
    Stage,
    Step,
    StepKind,
)
from services.status.domain.history import BEGINNING, Link, ServiceHistory, standing

__all__ = [
    "BEGINNING",
    "EVERYTHING",
    "CheckReport",
    "Completion",
    "Condition",
    "Correction",
    "Counts",
    "Entry",
    "EventKind",
    "Evidence",
    "Group",
    "GroupBy",
    "Link",
    "Outcome",
    "Programme",
    "ProgrammeVersion",
    "Reading",
    "ServiceHistory",
    "ServiceVersion",
    "Stage",
    "Step",
    "StepKind",
    "count",
    "count_groups",
    "counts_of",
    "read",
    "standing",
    "tally",
]
