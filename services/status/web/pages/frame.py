"""What stands around every page.

Invariant: the number of those that want attention is the attention page's own, and every page says whose figures it shows.
"""

from typing import Any

from services.common.errors import Refusal
from services.common.words import Lang
from services.status.domain import EVERYTHING, ProgrammeVersion
from services.status.web.asked import Asked
from services.status.web.desk import Desk
from services.status.web.pages.attention import found


async def frame(desk: Desk, ask: Asked) -> dict[str, Any]:
    """Give the programme's name and how many want attention; None where nobody knows."""
    state = desk.live.current
    try:
        version = state.model.programme(ask.programme).as_known(ask.known_at or EVERYTHING)
        wanting = (await found(desk, state, ask)).wanting
    except Refusal:
        return {"programme": None, "wanting": None}
    return {"programme": title_of(version, ask.lang), "wanting": wanting}


def title_of(version: ProgrammeVersion, lang: Lang) -> str:
    """Name a programme: in English by its gloss, where it has one."""
    return version.english_gloss if lang is Lang.EN and version.english_gloss else version.display_name
