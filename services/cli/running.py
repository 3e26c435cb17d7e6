"""What a running `tiendo up` tells the commands that open databases themselves: where these are.

Invariant: what it says holds only while that command runs; afterwards nobody is led by it.
"""

import contextlib
import fcntl
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from services.cli.files import write_json

_LOCK = "up.lock"
_FILE = "up.json"
_TRIES, _TRY_SECONDS = 4, 0.05


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Hold the folder for this process, and tell whether that was possible; the system lets go when the process ends."""
    with (folder / _LOCK).open("w") as lock:
        yield any(_take(lock) for _ in range(_TRIES))


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        time.sleep(_TRY_SECONDS)  # a command that only asks, as below, holds it for a moment
        return False
    return True


def tell(folder: Path, settings: Mapping[str, str]) -> None:
    """Say which settings the running parts have besides the defaults."""
    write_json(folder / _FILE, dict(settings))


def heard(folder: Path) -> dict[str, str]:
    """Give the settings of the `tiendo up` that runs on this folder; none where none runs."""
    with contextlib.suppress(OSError, ValueError, AttributeError), (folder / _LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            settings = json.loads((folder / _FILE).read_text(encoding="utf-8"))
            return {str(name): str(value) for name, value in settings.items()}
    return {}
