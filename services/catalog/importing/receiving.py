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

from services.catalog.importing.columns import COLUMNS, DEFAULTS
from services.catalog.importing.entries import Entries, entry_of
from services.common.errors import Reason, Refusal
from services.common.sheets import MOST_BYTES, Columns, ListRow, Sheet, Skipped, read_list, unreadable
from services.common.text import clean
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import import_pb2

MOST_CHUNK_BYTES = 64 * 1024
MOST_MATCHES = 20_000
MOST_ROWS = 100_000
_NEEDED = ("name", "code", "service")


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
    with tempfile.NamedTemporaryFile(prefix="tiendo-list-") as file:
        options: import_pb2.ImportOptions | None = None
        size, digest = 0, hashlib.sha256()
        refused: Refusal | None = None
        async for request in requests:
            size += len(request.chunk)
            if refused is not None:
                # Who is refused while still sending may see its own transport's error instead: hear it out, within reason.
                if size > 2 * MOST_BYTES:
                    break
                continue
            try:
                options = _taken(request, options, size)
            except Refusal as refusal:
                refused = refusal
                continue
            digest.update(request.chunk)
            if request.chunk:
                await asyncio.to_thread(file.write, request.chunk)
        if refused is not None:
            raise refused
        if options is None:
            raise Refusal(Reason.MISSING_VALUE, "must be the first message", field="options")
        file.flush()
        yield Received(options, Path(file.name), digest.hexdigest())


def _taken(
    request: pb.ImportServicesRequest, options: import_pb2.ImportOptions | None, size: int
) -> import_pb2.ImportOptions:
    """Check one message of an import, `size` bytes being its file's so far; give the options."""
    if request.WhichOneof("part") == "options":
        if options is not None:
            raise Refusal(Reason.INVALID_VALUE, "comes once, and before the file", field="options")
        return _checked(request.options)
    if options is None:
        raise Refusal(Reason.MISSING_VALUE, "must be the first message", field="options")
    if len(request.chunk) > MOST_CHUNK_BYTES:
        raise Refusal(
            Reason.INVALID_VALUE,
            f"{len(request.chunk)} bytes; at most {MOST_CHUNK_BYTES} in a message",
            field="chunk",
        )
    if size > MOST_BYTES:
        raise unreadable("too_large", most=f"{MOST_BYTES // 1024 // 1024} MiB")
    return options


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


def read_entries(received: Received, day: date, tell: Callable[[int], None]) -> tuple[Source, Entries]:
    """Read the file, in a thread; `tell` hears how many entries there are. Raises Refusal as `read_list` does, and TOO_MANY."""
    options = received.options
    name = clean(options.file_name, "options.file_name", limit=200, required=True)
    given, defaults = dict(options.column_map), dict(options.defaults)
    skipped, entries = list[Skipped](), Entries()
    with read_list(received.path, name, COLUMNS, _NEEDED, given=given, sheet=options.sheet) as (sheet, columns, rows):
        for row in _told(rows, tell):
            if isinstance(row, Skipped):
                skipped.append(row)
            else:
                entries.append(entry_of(row, defaults))
            if max(len(entries), len(skipped)) > MOST_ROWS:
                raise Refusal(
                    Reason.TOO_MANY,
                    f"more than {MOST_ROWS} rows; split the list",
                    field="file",
                    metadata={"limit": str(MOST_ROWS), "count": f"> {MOST_ROWS}"},
                )
    return Source(name, received.digest, day, sheet, columns, tuple(skipped)), entries


def _told(rows: Iterator[ListRow | Skipped], tell: Callable[[int], None]) -> Iterator[ListRow | Skipped]:
    for count, row in enumerate(rows, start=1):
        yield row
        tell(count)
