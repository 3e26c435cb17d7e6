"""The back-up file: a ZIP archive, for each service a folder of its tables and a file that says what they hold.

    catalog.json  catalog/journal.jsonl  catalog/journal_head.jsonl  catalog/service.jsonl  …

Invariant: `<service>.json` is written last and names the length and SHA-256 of every table, so a part that was cut off or
changed is never taken for whole.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from services.common.contents import JOURNAL as JOURNAL_TABLE
from services.common.contents import Contents, TableContents, Tally, Tell, check_journal

FORMAT = 1


class ArchiveError(Exception):
    """The file is not a whole back-up; the text says what is wrong with it."""


class Archived:
    """One service's part of a back-up: of the file, or of a folder with the same content."""

    def __init__(self, place: Path, service: str) -> None:
        """Read what the part holds. Raises ArchiveError."""
        self._place = place
        with _readable():
            if not place.exists():
                raise ArchiveError("there is no such file")
            try:
                with self._open(f"{service}.json") as file:
                    text = file.read()
            except (KeyError, FileNotFoundError):
                raise ArchiveError(f"it has no whole part of {service}") from None
            if json.loads(text)["format"] != FORMAT:
                raise ArchiveError("it was written by a newer version of Tiendo")
            self.contents = Contents.from_json(text)

    def lines(self, table: str) -> Iterator[str]:
        """Give a table's lines. Raises ArchiveError on the way."""
        with _readable(), self._open(f"{self.contents.service}/{table}.jsonl") as file:
            for line in file:
                yield line.rstrip("\n")

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[str]]:
        if self._place.is_dir():
            with (self._place / name).open(encoding="utf-8", newline="\n") as file:
                yield file
        else:
            with zipfile.ZipFile(self._place) as archive, archive.open(name) as member:
                yield io.TextIOWrapper(member, encoding="utf-8", newline="\n")

    def check(self, tell: Tell, *, whole: bool) -> None:
        """Read all of it: every table as it was written, the journal's chain unbroken. Raises ArchiveError, BrokenChainError."""
        for name, table in self.contents.tables.items():
            rows = Tally(self.lines(name), tell, name, table.summary.rows)
            if name == JOURNAL_TABLE:
                check_journal(self.contents.head, table.columns, rows, whole=whole)
            else:
                rows.drain()
            if rows.summary != table.summary:
                raise ArchiveError(f"its table {self.contents.service}/{name} is not as it was written")


def write_part(
    file: Path, service: str, tables: Mapping[str, tuple[tuple[str, ...], Tally]]
) -> dict[str, TableContents]:
    """Add a service's tables, columns and lines each, to the file, which is made if need be; give what was written."""
    with zipfile.ZipFile(file, "a", compression=zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, (_, rows) in tables.items():
            with archive.open(f"{service}/{name}.jsonl", "w", force_zip64=True) as member:
                for line in rows:
                    member.write(line.encode() + b"\n")
    return {name: TableContents(columns, rows.summary) for name, (columns, rows) in tables.items()}


def close_part(file: Path, contents: Contents) -> None:
    """Say what the part holds, which makes it whole."""
    told = {"format": FORMAT, **json.loads(contents.to_json())}
    with zipfile.ZipFile(file, "a", compression=zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{contents.service}.json", json.dumps(told, indent=1, ensure_ascii=False))


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError) as problem:
        raise ArchiveError(f"it is no back-up, or was cut off or changed ({problem})") from None
    except (KeyError, ValueError, TypeError) as problem:
        raise ArchiveError(f"it cannot be read ({type(problem).__name__})") from None
    except OSError as problem:
        raise ArchiveError(problem.strerror or "it cannot be read") from None
