"""Mistakes: entries that re-date or annul earlier ones, and what the history says with them applied.

Invariant: entries are never changed; the stage, condition, date and reason of an integration are always the replay of
the entries that stand. A history is whole and in order: entry n is at place n - 1.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

from services.common.dates import EffectiveDate, check_not_future
from services.common.errors import Reason, Refusal
from services.integration.domain.transitions import after, show_day
from services.integration.domain.values import (
    Condition,
    Correction,
    Evidence,
    Integration,
    Stage,
    Transition,
    TransitionKind,
    check_evidence,
    check_reason,
)


class Outcome(NamedTuple):
    """What a chain of entries leads to; the fields are those of Integration."""

    stage: Stage
    condition: Condition
    effective_date: EffectiveDate | None
    reason: str


class BrokenHistoryError(Exception):
    """A chain holds an entry that the state machine does not allow after those before it."""

    def __init__(self, entry: Transition, stage: Stage, condition: Condition) -> None:
        self.entry, self.stage, self.condition = entry, stage, condition
        super().__init__(f"entry {entry.number} ({entry.kind.name}) cannot follow {stage.name}, {condition.name}")


def mark(history: Sequence[Transition]) -> tuple[Transition, ...]:
    """The history with `annulled_by` and `redated_by` (the last one) filled in from its corrections."""
    marked = [replace(entry, annulled_by=0, redated_by=0) for entry in history]
    for entry in history:
        if entry.correction:
            place = entry.correction.transition - 1
            if entry.correction.annul:
                marked[place] = replace(marked[place], annulled_by=entry.number)
            else:
                marked[place] = replace(marked[place], redated_by=entry.number)
    return tuple(marked)


def standing(history: Sequence[Transition]) -> tuple[Transition, ...]:
    """The entries that stand, in order, each with the date that holds for it; corrections are not among them.

    Their `from_stage` and `from_condition` stay as recorded, though an entry between may have been annulled since.
    """
    return tuple(
        replace(entry, effective_date=history[entry.redated_by - 1].effective_date) if entry.redated_by else entry
        for entry in mark(history)
        if not entry.correction and not entry.annulled_by
    )


def replay(chain: Sequence[Transition]) -> Outcome:
    """What the standing entries lead to, by the same state machine that recorded them; checks are not looked at again.

    Raises BrokenHistoryError at the first entry that could not follow.
    """
    stage, condition = Stage.SELECTED, Condition.ACTIVE
    for entry in chain:
        place = after(stage, condition, entry.kind, entry.to_stage)
        if place is None:
            raise BrokenHistoryError(entry, stage, condition)
        stage, condition = place
    if not chain:
        return Outcome(stage, condition, None, "")
    return Outcome(
        stage, condition, chain[-1].effective_date, "" if condition is Condition.ACTIVE else chain[-1].reason
    )


def correct(
    state: Integration,
    history: Sequence[Transition],
    number: int,
    *,
    annul: bool,
    effective_date: EffectiveDate | None,
    reason: str,
    evidence: Sequence[Evidence],
    today: date,
    now: datetime,
    actor: str,
) -> tuple[Integration, Transition, Transition]:
    """Annul an entry, or re-date it to `effective_date`: the integration, the correcting entry, the corrected one.

    `number` 0 means the newest entry that stands and is no correction. The corrected entry is given as recorded.
    Raises Refusal: EMPTY_REASON and those of the texts; MISSING_VALUE or INVALID_VALUE unless exactly one of `annul`
    and `effective_date` is given; DATE_IN_FUTURE; TRANSITION_NOT_FOUND; NOT_CORRECTABLE for an annulled entry or a
    correction; DATE_GOES_BACK when the last days would no longer be in order with those of the standing neighbours;
    CORRECTION_BREAKS_HISTORY when a later entry could not follow without the annulled one.
    """
    reason = check_reason(reason, required=True)
    evidence = check_evidence(evidence)
    if effective_date is None and not annul:
        raise Refusal(
            Reason.MISSING_VALUE, "is empty; give the date on which it happened, or annul it", field="effective_date"
        )
    if effective_date is not None:
        if annul:
            raise Refusal(Reason.INVALID_VALUE, "is given with a new date; give only one of both", field="annul")
        check_not_future(effective_date, today, "effective_date")
    chain = list(standing(history))
    place = _place_in_chain(state, history, chain, number)
    target = history[chain[place].number - 1]
    if effective_date is None:
        del chain[place]
    else:
        _check_order(state, chain, place, effective_date)
        chain[place] = replace(chain[place], effective_date=effective_date)
    try:
        outcome = replay(chain)
    except BrokenHistoryError as broken:
        raise _breaks_history(state, target, broken) from None
    correction = Transition(
        number=state.transition_count + 1,
        kind=TransitionKind.CORRECTED,
        from_stage=state.stage,
        to_stage=outcome.stage,
        from_condition=state.condition,
        to_condition=outcome.condition,
        effective_date=effective_date,
        reason=reason,
        evidence=evidence,
        actor=actor,
        recorded_time=now,
        correction=Correction(target.number, annul),
    )
    corrected = state.changed(now, actor, transition_count=correction.number, **outcome._asdict())
    return corrected, correction, replace(target, annulled_by=0, redated_by=0)


def _place_in_chain(state: Integration, history: Sequence[Transition], chain: Sequence[Transition], number: int) -> int:
    for place, entry in enumerate(chain):
        if entry.number == number:
            return place
    if number == 0 and chain:
        return len(chain) - 1
    about = {"name": state.name, "transition": str(number)}
    if not 1 <= number <= len(history):
        text = (
            f"{state.name} has no entry that stands; there is nothing to correct"
            if number == 0
            else f"{state.name} has no entry {number}; give the number of one in ListTransitions "
            f"(`tiendo integration history {state.service_id}`)"
        )
        raise Refusal(Reason.TRANSITION_NOT_FOUND, text, field="transition", metadata=about)
    entry = mark(history)[number - 1]
    text = (
        f"entry {number} of {state.name} is itself a correction; correct entry {entry.correction.transition} again"
        " if it still stands, or record the step anew"
        if entry.correction
        else f"entry {number} of {state.name} was annulled by entry {entry.annulled_by}; if it happened after all, "
        "record the step anew"
    )
    raise Refusal(Reason.NOT_CORRECTABLE, text, field="transition", metadata=about)


def _check_order(state: Integration, chain: Sequence[Transition], place: int, effective_date: EffectiveDate) -> None:
    """Refuse a date whose last day would not lie between those of the entries before and after."""
    last = effective_date.date.last_day()
    earliest = _last_day(chain[place - 1]) if place else None
    latest = _last_day(chain[place + 1]) if place + 1 < len(chain) else None
    if earliest and last < earliest:
        broken, side, entry = earliest, "before", chain[place - 1]
    elif latest and last > latest:
        broken, side, entry = latest, "after", chain[place + 1]
    else:
        return
    allowed = [
        f"not before {show_day(earliest)}" if earliest else "",
        f"not after {show_day(latest)}" if latest else "",
    ]
    raise Refusal(
        Reason.DATE_GOES_BACK,
        f"{effective_date.date.show()} ends {side} {show_day(broken)}, the last day of entry {entry.number}; "
        f"give a date that ends {' and '.join(filter(None, allowed))}, or correct entry {entry.number} first",
        field="effective_date",
        metadata={"name": state.name, "latest": broken.isoformat()},
    )


def _last_day(entry: Transition) -> date:
    # Only annulments have no date, and they do not stand.
    assert entry.effective_date is not None
    return entry.effective_date.date.last_day()


def _breaks_history(state: Integration, target: Transition, broken: BrokenHistoryError) -> Refusal:
    entry = broken.entry
    says = (
        f"{entry.kind.name} to {entry.to_stage.name}"
        if entry.kind in (TransitionKind.ADVANCED, TransitionKind.REVERTED)
        else entry.kind.name
    )
    return Refusal(
        Reason.CORRECTION_BREAKS_HISTORY,
        f"without entry {target.number} of {state.name} it would be {broken.stage.name} and {broken.condition.name} "
        f"before entry {entry.number} ({says}), which could not follow; annul entry {entry.number} first",
        field="transition",
        metadata={"name": state.name, "transition": str(entry.number)},
    )
