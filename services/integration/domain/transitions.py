"""The state machine: which step leads where, and what a step that was taken leaves behind.

Invariant: an integration is never BLOCKED at INTEGRATED nor SUSPENDED before LIVE_ON_MINISTRY_PORTAL, and the last
days of its effective dates never go back.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import TypedDict, Unpack

from services.common.dates import EffectiveDate, PartialDate, check_not_future
from services.common.errors import Reason, Refusal
from services.integration.domain.values import (
    Check,
    CheckState,
    Condition,
    Evidence,
    Integration,
    Stage,
    Transition,
    TransitionKind,
    check_evidence,
    check_reason,
)

_VERBS = {
    TransitionKind.ADVANCED: "advance",
    TransitionKind.REVERTED: "revert",
    TransitionKind.BLOCKED: "block",
    TransitionKind.UNBLOCKED: "unblock",
    TransitionKind.SUSPENDED: "suspend",
    TransitionKind.RESUMED: "resume",
    TransitionKind.WITHDRAWN: "withdraw",
    TransitionKind.REINSTATED: "reinstate",
}
_ENTRANCES = {
    TransitionKind.BLOCKED: Condition.BLOCKED,
    TransitionKind.SUSPENDED: Condition.SUSPENDED,
    TransitionKind.WITHDRAWN: Condition.WITHDRAWN,
}
_EXITS = {
    TransitionKind.UNBLOCKED: Condition.BLOCKED,
    TransitionKind.RESUMED: Condition.SUSPENDED,
    TransitionKind.REINSTATED: Condition.WITHDRAWN,
}
_WAY_OUT = {condition: kind for kind, condition in _EXITS.items()}
_REASON_REQUIRED = {TransitionKind.REVERTED, *_ENTRANCES}

Step = tuple[Integration, Transition]
"""The integration after a step, and the entry that records it."""


class Told(TypedDict):
    """What is told with every step, and who tells it when.

    `effective_date`: None where nothing was said. `today`: the Vietnam day of `now`. `now`: when it is recorded, UTC.
    """

    effective_date: EffectiveDate | None
    reason: str
    evidence: Sequence[Evidence]
    today: date
    now: datetime
    actor: str


def advance(state: Integration, stage: Stage, **told: Unpack[Told]) -> Step:
    """Move to a later stage; stages may be skipped.

    Raises Refusal: ILLEGAL_TRANSITION when the stage is not later, NOT_ACTIVE, CHECK_NOT_PASSED for INTEGRATED while a
    check is PENDING or FAILED, DATE_IN_FUTURE, DATE_GOES_BACK, and those of the texts.
    """
    return _step(state, TransitionKind.ADVANCED, stage, **told)


def revert(state: Integration, stage: Stage, **told: Unpack[Told]) -> Step:
    """Move back to an earlier stage, with a reason. Raises Refusal as `advance` does, and EMPTY_REASON."""
    return _step(state, TransitionKind.REVERTED, stage, **told)


def block(state: Integration, **told: Unpack[Told]) -> Step:
    """Record, with a reason, that work is held up; not at INTEGRATED. Raises Refusal as `revert` does."""
    return _step(state, TransitionKind.BLOCKED, state.stage, **told)


def unblock(state: Integration, **told: Unpack[Told]) -> Step:
    """Record that work goes on. Raises Refusal ILLEGAL_TRANSITION when it is not BLOCKED."""
    return _step(state, TransitionKind.UNBLOCKED, state.stage, **told)


def suspend(state: Integration, **told: Unpack[Told]) -> Step:
    """Record, with a reason, that what was live is off; from LIVE_ON_MINISTRY_PORTAL on. Raises as `revert` does."""
    return _step(state, TransitionKind.SUSPENDED, state.stage, **told)


def resume(state: Integration, **told: Unpack[Told]) -> Step:
    """Record that it is live again. Raises Refusal ILLEGAL_TRANSITION when it is not SUSPENDED."""
    return _step(state, TransitionKind.RESUMED, state.stage, **told)


def withdraw(state: Integration, **told: Unpack[Told]) -> Step:
    """Take it out of the plan, with a reason. Raises Refusal as `revert` does."""
    return _step(state, TransitionKind.WITHDRAWN, state.stage, **told)


def reinstate(state: Integration, **told: Unpack[Told]) -> Step:
    """Put it back into the plan, at the stage it had. Raises Refusal ILLEGAL_TRANSITION when it is not WITHDRAWN."""
    return _step(state, TransitionKind.REINSTATED, state.stage, **told)


def show_day(day: date) -> str:
    """The day as dd/mm/yyyy."""
    return PartialDate.of_day(day).show()


def after(stage: Stage, condition: Condition, kind: TransitionKind, to_stage: Stage) -> tuple[Stage, Condition] | None:
    """Where a step leads, or None where the state machine has no such step; `to_stage` counts only for moves of stage.

    Everything but the way out of a condition asks for ACTIVE, so what is not ACTIVE keeps its stage.
    """
    if kind in _EXITS:
        return (stage, Condition.ACTIVE) if condition is _EXITS[kind] else None
    if condition is not Condition.ACTIVE:
        return None
    if kind is TransitionKind.ADVANCED:
        return (to_stage, condition) if to_stage > stage else None
    if kind is TransitionKind.REVERTED:
        return (to_stage, condition) if to_stage < stage else None
    if kind is TransitionKind.BLOCKED and stage is Stage.INTEGRATED:
        return None
    if kind is TransitionKind.SUSPENDED and stage < Stage.LIVE_ON_MINISTRY_PORTAL:
        return None
    return stage, _ENTRANCES[kind]


def _step(state: Integration, kind: TransitionKind, stage: Stage, **told: Unpack[Told]) -> Step:
    # What is wrong whatever the state comes before what is wrong because of it.
    reason = check_reason(told["reason"], required=kind in _REASON_REQUIRED)
    evidence = check_evidence(told["evidence"])
    if told["effective_date"]:
        check_not_future(told["effective_date"], told["today"], "effective_date")
    place = after(state.stage, state.condition, kind, stage)
    if place is None:
        raise _refusal(state, kind, stage)
    if kind is TransitionKind.ADVANCED and stage is Stage.INTEGRATED:
        _require_checks(state)
    effective_date = _date_of_step(state, told["effective_date"], told["today"])
    to_stage, to_condition = place
    number = state.transition_count + 1
    transition = Transition(
        number=number,
        kind=kind,
        from_stage=state.stage,
        to_stage=to_stage,
        from_condition=state.condition,
        to_condition=to_condition,
        effective_date=effective_date,
        reason=reason,
        evidence=evidence,
        actor=told["actor"],
        recorded_time=told["now"],
    )
    after_it = state.changed(
        told["now"],
        told["actor"],
        stage=to_stage,
        condition=to_condition,
        effective_date=effective_date,
        transition_count=number,
        reason="" if to_condition is Condition.ACTIVE else reason,
    )
    return after_it, transition


def _date_of_step(state: Integration, given: EffectiveDate | None, today: date) -> EffectiveDate:
    """The given date, in order after the newest; without one, "at the latest today".

    The newest entry may be dated "2022" while 2022 still runs: its last day lies after today, and today's date would
    go back behind it. "At the latest 2022" is said then. That claims the same, for either is certain from the day of
    recording and possible from the programme's start, and it holds no day that nobody told and none to come.
    """
    latest = state.effective_date
    if given is None:
        if latest and latest.date.last_day() > today:
            return EffectiveDate(latest.date, at_latest=True)
        return EffectiveDate(PartialDate.of_day(today), at_latest=True)
    if latest and given.date.last_day() < latest.date.last_day():
        raise Refusal(
            Reason.DATE_GOES_BACK,
            f"{given.date.show()} ends before {show_day(latest.date.last_day())}, the last day of the entry it follows;"
            f" give {latest.date.show()} or a later date, or correct that entry first with "
            f"CorrectTransition (`tiendo integration correct {state.service_id}`)",
            field="effective_date",
            metadata={"name": state.name, "latest": latest.date.last_day().isoformat()},
        )
    return given


def _require_checks(state: Integration) -> None:
    for check in Check:
        check_state = state.check(check).state
        if check_state in (CheckState.PENDING, CheckState.FAILED):
            raise Refusal(
                Reason.CHECK_NOT_PASSED,
                f"{state.name} cannot become INTEGRATED while check {check.name} is {check_state.name}; "
                "set it to PASSED or NOT_REQUIRED first",
                field="stage",
                metadata={"name": state.name, "check": check.name, "state": check_state.name},
            )


def _call(kind: TransitionKind, service_id: str) -> str:
    """How to take that step: the method, and the command line for it."""
    return f"{_VERBS[kind].capitalize()}Integration (`tiendo integration {_VERBS[kind]} {service_id}`)"


def _refusal(state: Integration, kind: TransitionKind, stage: Stage) -> Refusal:
    """Why there is no such step from here, and what to do instead."""
    name, condition = state.name, state.condition
    already_withdrawn = kind is TransitionKind.WITHDRAWN and condition is Condition.WITHDRAWN
    if condition is not Condition.ACTIVE and kind not in _EXITS and not already_withdrawn:
        way_out = _WAY_OUT[condition]
        return Refusal(
            Reason.NOT_ACTIVE,
            f"{name} is {condition.name} and takes no other step; call {_call(way_out, state.service_id)} first",
            field="name",
            metadata={
                "name": name,
                "condition": condition.name,
                "remedy": f"{_VERBS[way_out].capitalize()}Integration",
            },
        )
    return Refusal(
        Reason.ILLEGAL_TRANSITION,
        f"{name} is {_no_such_step(state, kind, stage)}",
        field="stage" if kind in (TransitionKind.ADVANCED, TransitionKind.REVERTED) else "name",
        metadata={"name": name, "stage": state.stage.name, "condition": condition.name, "step": kind.name},
    )


def _no_such_step(state: Integration, kind: TransitionKind, stage: Stage) -> str:
    here, service_id = state.stage.name, state.service_id
    correct = f"CorrectTransition (`tiendo integration correct {service_id}`)"
    if kind in _EXITS:
        now = state.condition.name
        if state.condition is Condition.ACTIVE:
            return f"{now}, not {_EXITS[kind].name}; there is nothing to {_VERBS[kind]}, leave the call out"
        return f"{now}, not {_EXITS[kind].name}; call {_call(_WAY_OUT[state.condition], service_id)} instead"
    if kind is TransitionKind.WITHDRAWN:
        return (
            "WITHDRAWN already; leave the call out, or put it back into the plan with "
            f"{_call(TransitionKind.REINSTATED, service_id)}"
        )
    if kind is TransitionKind.BLOCKED:
        return (
            "at INTEGRATED, where no work is left to hold up; if it is off, call "
            f"{_call(TransitionKind.SUSPENDED, service_id)}, "
            f"if it went back, {_call(TransitionKind.REVERTED, service_id)}"
        )
    if kind is TransitionKind.SUSPENDED:
        block_it = _call(TransitionKind.BLOCKED, service_id)
        return f"at {here} and on no portal yet; if work is held up, call {block_it} instead"
    if stage is state.stage:
        return f"at {here} already; give another stage, or correct the entry that says so with {correct}"
    if kind is TransitionKind.ADVANCED:
        return (
            f"at {here}, which is later than {stage.name}; if it went back, call "
            f"{_call(TransitionKind.REVERTED, service_id)}, if an entry is wrong, {correct}"
        )
    return f"at {here}, which is earlier than {stage.name}; call {_call(TransitionKind.ADVANCED, service_id)} instead"
