"""What status does: fold source rows and tell their progress, answer what is asked of a state, rebuild.

Invariant: writing goes through a working set that the writer gives; an answer comes from one state alone.
"""

from services.status.usecases.asking import (
    Answer,
    Question,
    attention,
    burn_up,
    completion,
    forecast,
    latest_report_day,
    parse_filter,
    surveyed,
)
from services.status.usecases.following import (
    MovedOnError,
    decode,
    find_progress,
    follow_source,
    read_checkpoints,
    read_progress,
    rebuild,
)
from services.status.usecases.telling import tell_due

__all__ = [
    "Answer",
    "MovedOnError",
    "Question",
    "attention",
    "burn_up",
    "completion",
    "decode",
    "find_progress",
    "follow_source",
    "forecast",
    "latest_report_day",
    "parse_filter",
    "read_checkpoints",
    "read_progress",
    "rebuild",
    "surveyed",
    "tell_due",
]
