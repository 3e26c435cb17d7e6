"""A list on its way in: received to a file of its own, then read in a thread, its entries checked one by one.

Invariant: the file is gone when the import ends, however it ends, and the event loop never reads it.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from services.catalog.importing.entries import COLUMNS, DEFAULTS, Entry, entry_of
from services.common.errors import Reason, Refusal
from services.common.sheets import MOST_BYTES, Columns, ListRow, Sheet, Skipped, read_list, unreadable
from services.common.text import clean
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import import_pb2

MOST_CHUNK_BYTES = 64 * 1024
MOST_MATCHES = 20_000
_NEEDED = ("name", "code")


@dataclass(frozen=True, slots=True)
class Received:
    """The options, and the file with its SHA-256 in hexadecimal."""

    options: import_pb2.ImportOptions
    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Source:
    """What values of a list cite, and how it was read."""

    file_name: str
    digest: str
    day: date
    sheet: Sheet
    columns: Columns
    skipped: tuple[Skipped, ...]

    def citation(self, row: int) -> str:
        """Name file, digest, sheet, row and date."""
        sheet = f", {self.sheet.name[:100]}" if self.sheet.name else ""
        return f"{self.file_name}{sheet}, dòng {row}; SHA-256 {self.digest}; nhập ngày {self.day:%d/%m/%Y}"


@asynccontextmanager
async def received(requests: AsyncIterator[pb.ImportServicesRequest]) -> AsyncIterator[Received]:
    """Take options and file. Raises Refusal MISSING_VALUE, INVALID_VALUE, TOO_MANY, FILE_UNREADABLE."""
    options: import_pb2.ImportOptions | None = None
    size, digest = 0, hashlib.sha256()
    with tempfile.NamedTemporaryFile(prefix="tiendo-list-") as file:
        async for request in requests:
            if request.WhichOneof("part") == "options":
                if options is not None or size:
                    raise Refusal(Reason.INVALID_VALUE, "comes once, and before the file", field="options")
                options = _checked(request.options)
                continue
            if options is None:
                raise Refusal(Reason.MISSING_VALUE, "must be the first message", field="options")
            if len(request.chunk) > MOST_CHUNK_BYTES:
                raise Refusal(
                    Reason.INVALID_VALUE,
                    f"{len(request.chunk)} bytes; at most {MOST_CHUNK_BYTES} in a message",
                    field="chunk",
                )
            size += len(request.chunk)
            if size > MOST_BYTES:
                raise unreadable("too_large", most=f"{MOST_BYTES // 1024 // 1024} MiB")
            digest.update(request.chunk)
            await asyncio.to_thread(file.write, request.chunk)
        if options is None:
            raise Refusal(Reason.MISSING_VALUE, "must be the first message", field="options")
        file.flush()
        yield Received(options, Path(file.name), digest.hexdigest())


def _checked(options: import_pb2.ImportOptions) -> import_pb2.ImportOptions:
    clean(options.file_name, "options.file_name", limit=200, required=True)
    if len(options.matches) > MOST_MATCHES:
        raise Refusal(
            Reason.TOO_MANY,
            f"{len(options.matches)} matches; at most {MOST_MATCHES} are taken",
            field="options.matches",
            metadata={"limit": str(MOST_MATCHES), "count": str(len(options.matches))},
        )
    for field in options.defaults:
        if field not in DEFAULTS:
            offered = ", ".join(sorted(DEFAULTS))
            raise Refusal(
                Reason.UNKNOWN_FIELD,
                f"{field!r} takes no default; there are {offered}",
                field="options.defaults",
                metadata={"name": field, "allowed": offered},
            )
    return options


def read_entries(received: Received, day: date, tell: Callable[[int], None]) -> tuple[Source, list[Entry]]:
    """Read the file, in a thread; `tell` hears how many entries there are so far. Raises Refusal as `read_list` does."""
    options = received.options
    name = clean(options.file_name, "options.file_name", limit=200, required=True)
    given, skipped, entries = dict(options.column_map), list[Skipped](), list[Entry]()
    with read_list(received.path, name, COLUMNS, _NEEDED, given=given, sheet=options.sheet) as (sheet, columns, rows):
        for row in _told(rows, tell):
            if isinstance(row, Skipped):
                skipped.append(row)
            else:
                entries.append(entry_of(row, dict(options.defaults)))
    return Source(name, received.digest, day, sheet, columns, tuple(skipped)), entries


def _told(rows: Iterator[ListRow | Skipped], tell: Callable[[int], None]) -> Iterator[ListRow | Skipped]:
    for count, row in enumerate(rows, start=1):
        yield row
        tell(count)
