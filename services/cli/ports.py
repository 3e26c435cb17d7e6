"""Free ports on this machine.

Invariant: none is given out that somebody listens on now, nor one twice by the same start.
"""

import os
from collections.abc import Callable, Container, Iterator
from itertools import count

from services.common.ports import PortTakenError, check_port

# Below those that the system gives to outgoing connections, which could take one before its part does.
_PORTS = range(17_111, 27_111)
_OF_A_START = 20


def _numbers() -> Iterator[int]:
    # What starts beside us finds the same ports free until our parts listen; it has another number, and begins elsewhere.
    first = os.getpid() * _OF_A_START
    for number in count():
        yield _PORTS[(first + number) % len(_PORTS)]


_MINE = _numbers()


def draw() -> int:
    """Give the next port that a part may listen on; none comes twice."""
    return next(_MINE)


def find_free(host: str, given: Container[int] = (), draw: Callable[[], int] = draw) -> int:
    """Give a free port that is not among those `given` already."""
    while True:
        port = draw()
        if port in given:
            continue
        try:
            check_port(host, port, "")
        except PortTakenError:
            continue
        return port
