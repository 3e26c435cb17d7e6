"""Histories of integrations, and steps on them."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from services.common.dates import EffectiveDate
from services.integration import domain
from services.integration.domain import Stage, Transition
from tests.support.integrations import on

NOW = datetime(2022, 10, 20, 3, 0, tzinfo=UTC)
TODAY = date(2022, 10, 20)


class Case:
    """One integration and its history, as a service keeps them."""

    def __init__(self) -> None:
        self.state = domain.new_integration("bca-012", "", "", NOW)
        self.history: list[Transition] = []
        self.today, self.now = TODAY, NOW

    def told(self, when: EffectiveDate | None, reason: str) -> Any:
        """The part every command has."""
        return {
            "effective_date": when,
            "reason": reason,
            "evidence": (),
            "today": self.today,
            "now": self.now,
            "actor": "an",
        }

    def do(self, verb: Callable[..., Any], *more: Any, when: EffectiveDate | None = None, reason: str = "vì") -> "Case":
        """Take a step and keep its entry."""
        self.state, entry = verb(self.state, *more, **self.told(when, reason))
        self.history.append(entry)
        return self

    def correct(self, number: int, when: EffectiveDate | None = None, *, reason: str = "nhầm") -> Transition:
        """Re-date an entry, or annul it when no date is given; the entry that was wrong."""
        self.state, entry, corrected = domain.correct(
            self.state, self.history, number, annul=when is None, **self.told(when, reason)
        )
        self.history.append(entry)
        return corrected


def a_case() -> Case:
    """BUILT on 01/10, blocked on 05/10, unblocked on 10/10, TESTED on 15/10/2022."""
    case = Case()
    case.do(domain.advance, Stage.BUILT, when=on(2022, 10, 1))
    case.do(domain.block, when=on(2022, 10, 5), reason="thiếu dữ liệu")
    case.do(domain.unblock, when=on(2022, 10, 10))
    return case.do(domain.advance, Stage.TESTED, when=on(2022, 10, 15))
