"""Parts that end by themselves are started again.

Invariant: a part that keeps ending is started at ever longer intervals, so that it takes nothing from the others, and never
given up.
"""

import time
from collections.abc import Callable

from services.cli.children import Child, Children

_STEADY_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 30.0


class Restarts:
    """Looks after running parts; call `look` again and again."""

    def __init__(
        self, children: Children, tell: Callable[[Child], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`tell` is called for each end."""
        self._children, self._tell, self._clock = children, tell, clock
        self._due: list[tuple[float, Child]] = []
        self._last: dict[str, tuple[float, float]] = {}  # by name: when it ended, and the pause that followed

    def look(self) -> None:
        """Tell of what ended, and start again what is due: at once the first time, later and later when it keeps ending."""
        now = self._clock()
        while (child := self._children.ended()) is not None:
            self._children.forget(child)
            self._tell(child)
            ended, pause = self._last.get(child.name, (float("-inf"), 0.0))
            steady = now - ended - pause > _STEADY_SECONDS
            pause = 0.0 if steady else min(max(1.0, 2 * pause), _LONGEST_PAUSE_SECONDS)
            self._last[child.name] = (now, pause)
            self._due.append((now + pause, child))
        for due in [each for each in self._due if each[0] <= now]:
            self._due.remove(due)
            self._children.restart(due[1])
