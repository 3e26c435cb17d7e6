"""Free ports on this machine.

Invariant: none is given out that somebody listens on now.
"""

import random
from collections.abc import Callable, Container

from services.common.ports import PortTakenError, check_port

# Below those that the system gives to outgoing connections, which could take one before its part does.
_PORTS = range(17_111, 27_111)


def draw() -> int:
    """Give any port that a part may listen on."""
    return random.choice(_PORTS)  # noqa: S311  two starts must not choose alike, nothing else


def find_free(host: str, given: Container[int], draw: Callable[[], int] = draw) -> int:
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
