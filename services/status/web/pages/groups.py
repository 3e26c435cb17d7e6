"""The tables of the overview: the plan divided by field and by agency.

Invariant: a table's lines add up to its last one, and what is not known is a line of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.status import domain
from services.status.domain import Counts, GroupBy, Listed, Outcome, Scope, Survey
from services.status.web.wording import OUTCOMES, Words

_MOST_GROUPS = 100
RARE = (Outcome.UNCERTAIN, Outcome.SUSPENDED, Outcome.WITHDRAWN)
"""Shown only where there are some."""


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One line of a table; `value` is what the list of services is narrowed down by."""

    text: str
    value: str
    inferred: bool
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table by field or by agency."""

    kind: str
    title: str
    first: str
    heads: tuple[str, ...]
    lines: tuple[GroupLine, ...]
    total: tuple[str, ...]
    left_out: str


def numbers_of(total: Counts) -> dict[Outcome, int]:
    """Give the number of each class of counting, in the order in which pages show them."""
    return {outcome: int(getattr(total, key.partition(".")[2])) for outcome, key in OUTCOMES.items()}


def table_of(by: GroupBy, survey: Survey, total: Counts, words: Words) -> Table:
    """Divide the survey's services, the total of which is known."""
    groups = domain.count_groups(survey, by)
    kind = by.name.lower()
    rare = [outcome for outcome, number in numbers_of(total).items() if number and outcome in RARE]
    inferred = survey.sum(_inferred) if by is GroupBy.FIELD else {}
    names = ("planned", "completed", "share", "in_progress", "blocked")
    heads = [words(f"screen.status.column_{name}") for name in names]
    heads += [words.outcome(outcome) for outcome in rare] + [words("screen.status.column_not_reported")]

    def cells(counts: Counts) -> tuple[str, ...]:
        numbers = numbers_of(counts)
        return (
            words.number(counts.planned),
            words.number(counts.completed),
            words.percent(counts.completed, counts.planned),
            words.number(counts.in_progress),
            words.number(counts.blocked),
            *(words.number(numbers[outcome]) for outcome in rare),
            words.number(counts.not_reported),
        )

    # What is not known comes last, however many there are.
    shown = [*groups[: _MOST_GROUPS - 1], groups[-1]] if len(groups) > _MOST_GROUPS else list(groups)
    left_out = len(groups) - len(shown)
    return Table(
        kind,
        words(f"page.by_{kind}"),
        words(f"term.{kind}"),
        tuple(heads),
        tuple(
            GroupLine(
                words(f"term.{kind}_not_known") if group.not_known else group.key,
                "-" if group.not_known else group.key,
                group.key in inferred,
                cells(group.counts),
            )
            for group in shown
        ),
        cells(total),
        words("page.groups_left_out", number=words.number(left_out)) if left_out else "",
    )


def _inferred(_: Scope, one: Listed) -> Iterator[str]:
    """Give the field of a service that was put into it by inference."""
    if one.version.field:
        kinds = {entry.field: entry.kind for entry in one.version.provenance}
        if kinds.get("field", kinds.get("", "")) == "INFERRED":
            yield one.version.field
