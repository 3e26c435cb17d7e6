"""Whole tables as lines of text: the same rows give the same lines on both engines, in the order of their keys.

Invariant: what `fill` wrote of the lines that `lines` gave reads as the same lines again, bit for bit.

A line is the JSON array of a row's values in the order of the columns: bytes in base64, instants in UTC with microseconds.
The tables are read from the database, not from the code, so that those of an older schema are carried as well.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Column, Connection, DateTime, LargeBinary, MetaData, String, Table, insert, select

from services.common.db import UtcDateTime

# Which schema it is and who serves it belong to a database, not to its data.
NOT_DATA = frozenset({"alembic_version", "lease"})

_ROWS_A_STEP = 200


@dataclass(frozen=True, slots=True)
class Summary:
    """What a table holds, in short: `sha256` is that of its lines, each ended by a line feed."""

    rows: int
    sha256: str


def all_tables(connection: Connection) -> dict[str, Table]:
    """Describe every table that is in the database, by name."""
    metadata = MetaData()
    metadata.reflect(connection, resolve_fks=False)
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, DateTime):
                column.type = UtcDateTime()
    return {table.name: table for table in metadata.sorted_tables}


def data_tables(connection: Connection) -> dict[str, Table]:
    """Describe the tables that hold data."""
    return {name: table for name, table in all_tables(connection).items() if name not in NOT_DATA}


def lines(connection: Connection, table: Table, columns: Sequence[str] = ()) -> Iterator[str]:
    """Give a table's rows as lines, without their line feeds: all columns, or these in this order."""
    chosen = [table.columns[name] for name in columns] or list(table.columns)
    # A text key is ordered by its bytes on both engines; PostgreSQL's own order depends on the installation.
    keys = [
        column.collate("C") if connection.dialect.name == "postgresql" and isinstance(column.type, String) else column
        for column in table.primary_key
    ]
    chosen_rows = select(*chosen).order_by(*keys)
    with connection.execute(chosen_rows, execution_options={"yield_per": _ROWS_A_STEP}) as found:
        for row in found:
            yield json.dumps([_written(value) for value in row], ensure_ascii=False, separators=(",", ":"))


def fill(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[str]) -> None:
    """Insert rows given as lines of these columns. Raises ValueError for a line or column that does not fit."""
    read = [_reader(table.columns[name]) for name in columns if name in table.columns]
    if len(read) != len(columns):
        raise ValueError(f"table {table.name} has no column {set(columns) - set(table.columns.keys())}")
    waiting = iter(rows)
    while step := list(islice(waiting, _ROWS_A_STEP)):
        values = [
            {name: None if value is None else of(value) for name, of, value in zip(columns, read, row, strict=True)}
            for row in map(json.loads, step)
        ]
        connection.execute(insert(table), values)


def _written(value: Any) -> Any:
    match value:
        case bool():
            return int(value)  # as SQLite keeps it
        case None | int() | float() | str():
            return value
        case bytes() | memoryview():
            return base64.b64encode(value).decode()
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"a {type(value).__name__} has no place in a line")


def _reader(column: Column[Any]) -> Callable[[Any], Any]:
    if isinstance(column.type, UtcDateTime):
        return datetime.fromisoformat
    if isinstance(column.type, LargeBinary):
        return lambda text: base64.b64decode(text, validate=True)
    return lambda value: value
