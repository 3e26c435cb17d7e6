"""What one service's database holds, in short, and how a reader of it finds every fault.

Invariant: `Tally` sees each line that passes, so what was written, read back or compared is what was counted and hashed.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from services.common.chain import check_chain
from services.common.journal import Head, Row
from services.common.tables import Summary

JOURNAL, HEAD = "journal", "journal_head"
_TELL_ROWS = 2000

# Told while rows pass: table, rows so far, rows in all.
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class TableContents:
    """One table's columns in their order, and its lines in short."""

    columns: tuple[str, ...]
    summary: Summary


@dataclass(frozen=True, slots=True)
class Contents:
    """One service's data: in which schema, up to which journal row, which tables."""

    service: str
    schema: str
    head: Head
    tables: Mapping[str, TableContents]

    def to_json(self) -> str:
        """Write it down."""
        head = {**asdict(self.head), "recorded_time": self.head.recorded_time.isoformat()}
        tables = {
            name: {"columns": table.columns, **asdict(table.summary)} for name, table in sorted(self.tables.items())
        }
        told = {"service": self.service, "schema": self.schema, "head": head, "tables": tables}
        return json.dumps(told, indent=1, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Contents":
        """Read it again. Raises ValueError, KeyError or TypeError for anything else."""
        told = json.loads(text)
        head = told["head"]
        head = Head(head["epoch"], head["sequence"], head["digest"], datetime.fromisoformat(head["recorded_time"]))
        tables = {
            name: TableContents(tuple(table["columns"]), Summary(table["rows"], table["sha256"]))
            for name, table in told["tables"].items()
        }
        return cls(told["service"], told["schema"], head, tables)


class Source(Protocol):
    """Where data comes from: a database, or a back-up."""

    @property
    def contents(self) -> Contents:
        """What is there."""

    def lines(self, table: str) -> Iterator[str]:
        """Give a table's lines, as `tables.lines` words them."""


class Tally:
    """Passes lines on, and counts and hashes them on the way."""

    def __init__(self, rows: Iterable[str], tell: Tell = lambda *_: None, table: str = "", of: int = 0) -> None:
        """`tell` hears now and then how far it is."""
        self._rows, self._tell, self._table, self._of = rows, tell, table, of
        self._count, self._hash = 0, hashlib.sha256()

    def __iter__(self) -> Iterator[str]:
        for line in self._rows:
            self._count += 1
            self._hash.update(line.encode() + b"\n")
            if self._count % _TELL_ROWS == 0:
                self._tell(self._table, self._count, self._of)
            yield line
        self._tell(self._table, self._count, self._of)

    def drain(self) -> Summary:
        """Let all lines pass, to nobody."""
        for _ in self:
            pass
        return self.summary

    @property
    def summary(self) -> Summary:
        """What passed so far."""
        return Summary(self._count, self._hash.hexdigest())


def check_journal(head: Head, columns: Sequence[str], rows: Iterable[str], *, whole: bool) -> None:
    """Check the chain of a journal given as lines. Raises BrokenChainError."""
    sequence, digest, payload = (columns.index(name) for name in ("sequence", "digest", "payload"))

    def read(values: list[Any]) -> Row:
        return Row(head.epoch, values[sequence], values[digest], base64.b64decode(values[payload]))

    check_chain(head, (read(json.loads(line)) for line in rows), whole=whole)


def head_of(columns: Sequence[str], rows: Iterable[str]) -> Head | None:
    """Read the head row; None where there is none."""
    for line in rows:
        told = dict(zip(columns, json.loads(line), strict=True))
        recorded_time = datetime.fromisoformat(told["recorded_time"])
        return Head(told["epoch"], told["sequence"], told["digest"], recorded_time)
    return None
