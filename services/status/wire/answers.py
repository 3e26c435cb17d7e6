"""Answers in the words of the contract.

Invariant: every count is sent, a zero too.
"""

from collections.abc import Iterable

from services.common.dates import EffectiveDate, PartialDate
from services.status import domain
from tiendo.common.v1 import date_pb2
from tiendo.status.v1 import completion_pb2


def date_out(date: PartialDate | None) -> date_pb2.PartialDate | None:
    """Write a date."""
    return None if date is None else date_pb2.PartialDate(year=date.year, month=date.month, day=date.day)


def effective_out(effective: EffectiveDate | None) -> date_pb2.EffectiveDate | None:
    """Write when something happened."""
    if effective is None:
        return None
    return date_pb2.EffectiveDate(date=date_out(effective.date), at_latest=effective.at_latest)


def counts_out(counts: domain.Counts) -> completion_pb2.Counts:
    """Write counts; every zero is sent."""
    return completion_pb2.Counts(
        planned=counts.planned,
        listed=counts.listed,
        completed=counts.completed,
        uncertain=counts.uncertain,
        in_progress=counts.in_progress,
        blocked=counts.blocked,
        suspended=counts.suspended,
        withdrawn=counts.withdrawn,
        not_reported=counts.not_reported,
        by_stage=[
            completion_pb2.StageCount(stage=int(stage), count=number)  # type: ignore[arg-type]
            for stage, number in counts.by_stage.items()
        ],
        by_condition=[
            completion_pb2.ConditionCount(condition=int(condition), count=number)  # type: ignore[arg-type]
            for condition, number in counts.by_condition.items()
        ],
    )


def groups_out(groups: Iterable[domain.Group]) -> list[completion_pb2.Group]:
    """Write the parts of a total."""
    return [
        completion_pb2.Group(key=group.key, not_known=group.not_known, counts=counts_out(group.counts))
        for group in groups
    ]
