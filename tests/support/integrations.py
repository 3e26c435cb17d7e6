"""Integrations as values, and steps on them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.common.dates import EffectiveDate, PartialDate
from services.common.errors import Refusal
from services.integration import domain
from services.integration.domain import Check, CheckState, Condition, Integration, Stage

NOW = datetime(2022, 10, 10, 3, 0, tzinfo=UTC)
TODAY = date(2022, 10, 10)
LATER = datetime(2022, 10, 11, 3, 0, tzinfo=UTC)
CORRECT = "CorrectTransition (`tiendo integration correct bca-012`)"


def on(year: int, month: int = 0, day: int = 0) -> EffectiveDate:
    """On that date."""
    return EffectiveDate(PartialDate(year, month, day))


def by(year: int, month: int = 0, day: int = 0) -> EffectiveDate:
    """At the latest on that date."""
    return EffectiveDate(PartialDate(year, month, day), at_latest=True)


def told(**given: Any) -> Any:
    """What is told with a step; a reason is, a date is not."""
    return {
        "effective_date": None,
        "reason": "theo báo cáo",
        "evidence": (),
        "today": TODAY,
        "now": NOW,
        "actor": "an",
    } | given


def an_integration(stage: Stage = Stage.SELECTED, condition: Condition = Condition.ACTIVE, **given: Any) -> Integration:
    """An integration somewhere on its way."""
    fresh = domain.new_integration("bca-012", "dang-ky-tam-tru", "Đăng ký tạm trú", NOW)
    return replace(fresh, stage=stage, condition=condition, **given)


def with_check(state: Integration, check: Check, check_state: CheckState) -> Integration:
    """The integration with that check set."""
    return domain.set_check(
        state, check, check_state, effective_date=None, evidence=(), today=TODAY, now=NOW, actor="an"
    )


def refusal_of(step: Callable[..., object], *given: Any, **more: Any) -> Refusal:
    """The refusal the step ends in."""
    with pytest.raises(Refusal) as refused:
        step(*given, **more)
    return refused.value
