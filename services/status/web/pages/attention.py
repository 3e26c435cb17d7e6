"""What holds the programme up: each with why, since when, whose it is and the command that mends it.

Invariant: services that are not reported are one line with their number, never listed one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from services.common.figures import NOTHING
from services.common.words import reworded
from services.status import usecases
from services.status.domain import EVERYTHING, AttentionKind, Item, TargetPassed
from services.status.storage import State
from services.status.web.asked import Asked
from services.status.web.desk import Desk, data_reference
from services.status.web.wording import Words

_MOST = 100


@dataclass(frozen=True, slots=True)
class Found:
    """What wants attention today or on the day asked about: how many items of each kind, and those that are shown.

    `wanting` counts the page's entries.
    """

    kinds: Mapping[AttentionKind, tuple[int, tuple[Item, ...]]]
    target_passed: TargetPassed | None
    not_reported: int
    wanting: int


@dataclass(frozen=True, slots=True)
class Line:
    """One service and one reason."""

    id: str
    title: str
    slot: bool
    why: tuple[str, ...]
    since: str
    days: str
    stage: str
    agency: str
    actor: str
    command: str


async def found(desk: Desk, state: State, ask: Asked) -> Found:
    """Look for what wants attention. Raises Refusal."""
    day = ask.as_of.last_day() if ask.as_of else desk.today()
    known_at = ask.known_at or EVERYTHING

    def make() -> Found:
        answer = usecases.attention(state, ask.programme, day, known_at, allowed_days=desk.allowed_days)
        wanting = len(answer.items) + (answer.target_passed is not None)
        kinds = {
            kind: (len(items), items[:_MOST])
            for kind, of_kind in groupby(answer.items, key=attrgetter("kind"))
            if (items := tuple(of_kind))
        }
        return Found(kinds, answer.target_passed, answer.not_reported, wanting)

    return await desk.work_out(state, ("attention", ask.programme, day, known_at), make)


async def attention(desk: Desk, ask: Asked, words: Words) -> dict[str, Any]:
    """Give the page. Raises Refusal."""
    state = desk.live.current
    answer = await found(desk, state, ask)
    groups = [
        (words(f"attention.{kind.name}"), words.number(number), [_line(item, words) for item in items])
        for kind, (number, items) in answer.kinds.items()
    ]
    cut = any(number > _MOST for number, _ in answer.kinds.values())
    passed, text = answer.target_passed, ""
    if passed:
        values = {name: words.number(getattr(passed, name)) for name in ("completed", "planned", "not_reported")}
        text = words("screen.status.target_passed", target=words.within(passed.target), **values)
    return {
        "page": "attention",
        "groups": groups,
        "cut": words("page.attention_cut", number=words.number(_MOST)) if cut else "",
        "passed": text,
        "not_reported": words("screen.attention.not_reported", not_reported=words.number(answer.not_reported))
        if answer.not_reported
        else "",
        "as_of": (ask.as_of.show() if ask.as_of else f"{desk.today():%d/%m/%Y}"),
        "asked": ask.as_of is not None,
        "known_at": words.instant(ask.known_at, seconds=True) if ask.known_at else "",
        "reference": data_reference(state),
    }


def _line(item: Item, words: Words) -> Line:
    why = [item.reason] if item.reason else []
    if item.check:
        why.append(words.known("check", item.check))
    if item.portal:
        why.append(words.known("portal", item.portal))
    if item.detail:
        why.append(reworded("portal_detail", item.detail, words.lang))
    if item.allowed_days:
        why.append(words("page.attention_allowed", days=words.number(item.allowed_days)))
    return Line(
        item.service,
        words.title(item.display_name, item.plan_number),
        not item.display_name,
        tuple(why),
        words.effective(item.since),
        words("page.days", days=words.number(item.days)) if item.since else NOTHING,
        words.stage(item.stage),
        item.agency or words("term.agency_not_known"),
        words("page.attention_by", actor=item.actor) if item.actor else "",
        item.command,
    )
