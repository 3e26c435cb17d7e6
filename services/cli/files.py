"""A file that a command writes for its user.

Invariant: the file appears under its name once it is whole; until then, and after a failure, what stood there stays.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def appearing(file: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that takes its name at the end of the block, and is gone when the block fails. Raises OSError."""
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with beside.open("xb") as content:
            yield content
            content.flush()
            os.fsync(content.fileno())
        beside.replace(file)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
