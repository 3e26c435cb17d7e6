"""A file that a command writes, for its user or for other processes.

Invariant: the file appears under its name once it is whole; until then, and after a failure, what stood there stays.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from services.cli.client import REFUSED
from services.cli.session import Session, StopError


def refuse_existing(session: Session, file: Path, *, force: bool) -> None:
    """Say so and stop (StopError) where the file is there and is not to be replaced."""
    if file.exists() and not force:
        session.complain(session.word("screen.file.exists", file=file))
        raise StopError(REFUSED)


@contextmanager
def written(session: Session, file: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """Give a file to write as `appearing` does. Says so and stops (StopError) where it is there by then, or cannot be written."""
    try:
        with appearing(file) as content:
            yield content
            refuse_existing(session, file, force=force)
    except OSError as failure:
        session.complain(session.word("screen.file.not_written", file=file, why=failure.strerror))
        raise StopError(REFUSED) from None


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


def write_json(file: Path, value: Any) -> None:
    """Write a value that other processes, or later starts, read. Raises OSError."""
    with appearing(file) as content:
        content.write(f"{json.dumps(value, indent=1)}\n".encode())
