"""How a page says things: words, figures, dates and names in the reader's language.

Invariant: a text is the same here as in the commands; nothing is worded twice.
"""

from collections.abc import Iterable
from datetime import datetime

from services.common import figures
from services.common.dates import EffectiveDate, PartialDate
from services.common.words import Lang, keys, word
from services.status import domain

OUTCOMES = {
    domain.Outcome.COMPLETED: "count.completed",
    domain.Outcome.IN_PROGRESS: "count.in_progress",
    domain.Outcome.UNCERTAIN: "count.uncertain",
    domain.Outcome.SUSPENDED: "count.suspended",
    domain.Outcome.WITHDRAWN: "count.withdrawn",
    domain.Outcome.NOT_REPORTED: "count.not_reported",
}
"""The classes of counting in the order in which pages show them."""


class Words:
    """One language."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang

    def __call__(self, key: str, **values: object) -> str:
        """Give the text of a key. Raises KeyError."""
        return word(key, self.lang, **values)

    def known(self, section: str, value: str) -> str:
        """Word a value of the contract; one that has no words stands as it is."""
        key = f"{section}.{value}"
        return word(key, self.lang) if key in keys() else value

    def number(self, value: int) -> str:
        """Show a whole number."""
        return figures.number(value, self.lang)

    def decimal(self, value: float) -> str:
        """Show a number with one decimal."""
        shown = f"{value:,.1f}"
        return shown.translate(str.maketrans(",.", ".,")) if self.lang is Lang.VI else shown

    def percent(self, part: int, whole: int) -> str:
        """Show a share."""
        return figures.percent(part, whole, self.lang)

    def date(self, value: PartialDate | None) -> str:
        """Show a date as precise as it is known."""
        return figures.NOTHING if value is None else value.show()

    def effective(self, value: EffectiveDate | None) -> str:
        """Show when something happened, in a column."""
        return figures.NOTHING if value is None else value.show("vi" if self.lang is Lang.VI else "en")

    def within(self, value: PartialDate) -> str:
        """Say in a sentence which period is meant: "trong năm 2022"."""
        return figures.when(value.year, value.month, value.day, at_latest=False, lang=self.lang)

    def instant(self, value: datetime, *, seconds: bool = False) -> str:
        """Show a moment in Vietnam time."""
        return figures.instant(value, seconds=seconds)

    def title(self, display_name: str, plan_number: int) -> str:
        """Give a service's name, or its number in the plan while it has none."""
        if display_name:
            return display_name
        return figures.slot_name(plan_number, self.lang) if plan_number else self("naming.UNNAMED")

    def stage(self, stage: int) -> str:
        """Name a stage."""
        return self(f"stage.{domain.Stage(stage).name}")

    def outcome(self, outcome: domain.Outcome) -> str:
        """Name a class of counting."""
        return self(OUTCOMES[outcome])

    def evidence(self, entries: Iterable[domain.Evidence]) -> list[domain.Evidence]:
        """Give what there is of evidence."""
        return [entry for entry in entries if any(entry)]
