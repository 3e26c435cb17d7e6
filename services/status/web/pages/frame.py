"""What stands around every page.

Invariant: the number of those that want attention is the attention page's own.
"""

from typing import Any

from services.common.errors import Refusal
from services.status.web.asked import Asked
from services.status.web.desk import Desk
from services.status.web.pages.attention import found


async def frame(desk: Desk, ask: Asked) -> dict[str, Any]:
    """Give how many want attention; None where nobody knows."""
    try:
        return {"wanting": (await found(desk, desk.live.current, ask)).wanting}
    except Refusal:
        return {"wanting": None}
