"""Ports for what tests start.

Invariant: a port is given once a test process, by no other test process of the same run, and is none that the system takes
for a client's connection: between its being found free and its being listened on, anybody could get such a one.
"""

import os
import random
from functools import cache

from services.cli.ports import find_free

_FIRST, _SHARE, _SHARES = 10_111, 1000, 7
_GIVEN: list[int] = []


def free_port() -> int:
    """A port nobody listens on now."""
    _GIVEN.append(find_free("127.0.0.1", _GIVEN, lambda: random.choice(_mine())))
    return _GIVEN[-1]


@cache
def _mine() -> range:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    first = _FIRST + int(worker) % _SHARES * _SHARE
    return range(first, first + _SHARE)
