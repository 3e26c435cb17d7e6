"""Telling what the calendar alone brings about.

Invariant: a cause is told once, whoever finds it due and however often.
"""

from collections.abc import Mapping, Sequence

from services.common.dates import vietnam_day
from services.status import wire
from services.status.domain import Stage
from services.status.projection import Due, draft_of
from services.status.storage import StatusWork


def tell_due(work: StatusWork, found: Sequence[Due], allowed_days: Mapping[Stage, int]) -> None:
    """Tell those that still hold and were never told."""
    today = vietnam_day(work.now)
    new = work.new_causes([one.cause for one in found])
    for one in found:
        if one.cause in new and (draft := draft_of(work.model, one, today, allowed_days)):
            work.emit(wire.event_of(draft), draft.cause)
