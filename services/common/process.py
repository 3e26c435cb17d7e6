"""How a process of ours begins and ends.

Invariant: what it printed is out before it ends; a process whose output cannot be written ends as Python ends it.
"""

import contextlib
import gc
import os
import sys
from importlib import import_module
from typing import Any


def read(module: str) -> Any:
    """Import a module and all that it needs; what that made is never looked at for garbage, for all of it stays."""
    # Reading code makes hardly any garbage, yet looking for it takes a fifth of the time.
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.freeze()
        gc.enable()


def be(module: str, *arguments: str) -> None:
    """Be the program whose `main` a module holds, and end with its exit code. Returns only to be ended by Python."""
    try:
        read(module).main(*arguments)
        code = 0
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        code = ended.code or 0
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        # Python would take everything apart first, for longer than a short command took; the system frees it at once.
        os._exit(code)
    sys.exit(code)
