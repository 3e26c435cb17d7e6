"""The work on one simulated service, step by step, as an office might report it.

Invariant: days never go back, and each command is legal after those before it.
"""

import calendar
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

from google.protobuf.message import Message

from services.cli.seeding import partial_date
from services.common.words import Lang, word
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.integration.v1 import integration_service_pb2 as pb

_STARTED_WITHIN = 0.55
_STEP = 0.075  # of the programme's time, on the average
_SKIPPED = 0.12
_BY_MONTH, _AT_LATEST = 0.12, 0.06
_MAY_BE_SKIPPED = (integration_pb2.STAGE_STANDARDISED, integration_pb2.STAGE_TESTED)


Stage: TypeAlias = "integration_pb2.Stage.ValueType"
Check: TypeAlias = "integration_pb2.Check.ValueType"
CheckState: TypeAlias = "integration_pb2.CheckState.ValueType"


@dataclass(frozen=True, slots=True)
class Act:
    """A command for integration and the day on which it is sent; none is dated later."""

    day: date
    request: Message


class Work:
    """What happens to one service."""

    def __init__(self, service_id: str, chance: random.Random, first: date, days: int) -> None:
        """`days` is what the programme takes as planned, from `first` on."""
        self._id, self._chance, self._days = service_id, chance, days
        self._day = first + timedelta(days=round(chance.uniform(0, _STARTED_WITHIN) * days))
        self._sent = self._entries = 0

    def run(self, fate: str) -> Iterator[Act]:
        """Give the commands one after the other, to the service's end, whatever day that is."""
        if fate == "silent":
            return
        for stage in list(integration_pb2.Stage.values())[2:]:
            if stage in _MAY_BE_SKIPPED and self._chance.random() < _SKIPPED:
                continue
            yield from self._before(stage, fate)
            if (fate, stage) in {
                ("held_up", integration_pb2.STAGE_LIVE_ON_MINISTRY_PORTAL),
                ("withdrawn", integration_pb2.STAGE_BUILT),
            }:
                return
            self._wait()
            if (fate, stage) == ("redated", integration_pb2.STAGE_BUILT):
                yield from self._dated_wrongly(stage)
            else:
                yield self._advance(stage)
        if fate == "switched_off":
            self._wait(0.5)
            yield self._step(pb.SuspendIntegrationRequest(reason=self._reason("switched_off")))

    def _before(self, stage: Stage, fate: str) -> Iterator[Act]:
        """Give what happens between the stage before and this one."""
        live = integration_pb2.STAGE_LIVE_ON_MINISTRY_PORTAL
        if stage == integration_pb2.STAGE_BUILT:
            if fate == "blocked":
                self._wait(0.5)
                yield self._step(pb.BlockIntegrationRequest(reason=self._reason("blocked")))
                self._wait()
                yield self._step(pb.UnblockIntegrationRequest())
            if fate == "withdrawn":
                self._wait()
                yield self._step(pb.WithdrawIntegrationRequest(reason=self._reason("withdrawn")))
        elif stage == live:
            yield self._check(integration_pb2.CHECK_IDENTITY, integration_pb2.CHECK_STATE_PENDING)
            if fate == "held_up":
                self._wait(0.5)
                yield self._step(pb.BlockIntegrationRequest(reason=self._reason("held_up")))
            if fate == "reverted":
                self._wait(0.5)
                back = integration_pb2.STAGE_REENGINEERED
                yield self._step(pb.RevertIntegrationRequest(stage=back, reason=self._reason("reverted")))
                self._wait()
                yield self._advance(integration_pb2.STAGE_TESTED)
            if fate == "annulled":
                yield from self._of_another_service(live)
        elif stage == integration_pb2.STAGE_INTEGRATED:
            if fate == "suspended":
                self._wait(0.5)
                yield self._step(pb.SuspendIntegrationRequest(reason=self._reason("suspended")))
                self._wait(0.5)
                yield self._step(pb.ResumeIntegrationRequest())
            if fate == "check_failed":
                self._wait(0.3)
                yield self._check(integration_pb2.CHECK_PAYMENT, integration_pb2.CHECK_STATE_FAILED)
                self._wait()
                yield self._check(integration_pb2.CHECK_PAYMENT, integration_pb2.CHECK_STATE_PASSED)
            self._wait(0.3)
            yield self._check(integration_pb2.CHECK_IDENTITY, integration_pb2.CHECK_STATE_PASSED)

    def _wait(self, part: float = 1.0) -> None:
        """Let a part of a step's usual time pass, a day at the least."""
        mean = part * _STEP * self._days
        self._day += timedelta(days=1 + round(self._chance.gammavariate(2, mean / 2)))

    def _advance(self, stage: Stage) -> Act:
        request = pb.AdvanceIntegrationRequest(
            stage=stage,
            evidence=[
                provenance_pb2.Evidence(note=word("screen.simulate.evidence", Lang.VI, number=self._entries + 1))
            ],
        )
        drawn = self._chance.random()
        if drawn < _BY_MONTH:  # told at the month's end, and by the month alone
            self._day = self._day.replace(day=calendar.monthrange(self._day.year, self._day.month)[1])
            request.effective_date.date.CopyFrom(partial_date(f"{self._day:%Y-%m}"))
        elif drawn < _BY_MONTH + _AT_LATEST:
            request.effective_date.CopyFrom(
                date_pb2.EffectiveDate(date=partial_date(self._day.isoformat()), at_latest=True)
            )
        return self._step(request)

    def _dated_wrongly(self, stage: Stage) -> Iterator[Act]:
        """Give a step and, some days later, the day before as the one it was on."""
        meant = self._day
        self._day += timedelta(days=1)
        yield self._step(pb.AdvanceIntegrationRequest(stage=stage))
        entry = self._entries
        told = self._day
        self._day += timedelta(days=3)
        yield self._step(
            pb.CorrectTransitionRequest(
                transition=entry,
                effective_date=date_pb2.EffectiveDate(date=partial_date(meant.isoformat())),
                reason=word("screen.simulate.reason_redated", Lang.VI, date=f"{told:%d/%m/%Y}"),
            )
        )

    def _of_another_service(self, stage: Stage) -> Iterator[Act]:
        """Give a step that was another service's, and that it was."""
        self._wait(0.5)
        yield self._step(pb.AdvanceIntegrationRequest(stage=stage))
        entry = self._entries
        self._day += timedelta(days=2)
        request = pb.CorrectTransitionRequest(transition=entry, annul=True, reason=self._reason("annulled"))
        yield self._step(request)

    def _reason(self, fate: str) -> str:
        return word(f"screen.simulate.reason_{fate}", Lang.VI)

    def _check(self, check: Check, state: CheckState) -> Act:
        request = pb.SetConnectionCheckRequest(check=check, state=state)
        request.date.date.CopyFrom(partial_date(self._day.isoformat()))
        return self._act(request)

    def _step(self, request: Any) -> Act:
        """Date a step on the day, unless it has a date."""
        self._entries += 1
        if not isinstance(request, pb.CorrectTransitionRequest) and not request.HasField("effective_date"):
            request.effective_date.date.CopyFrom(partial_date(self._day.isoformat()))
        return self._act(request)

    def _act(self, request: Any) -> Act:
        self._sent += 1
        request.name = f"integrations/{self._id}"
        request.request_id = f"{self._id}/{self._sent}"
        return Act(self._day, request)
