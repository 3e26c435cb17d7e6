"""Integration's state in memory, and how it is read from the tables.

Invariant: a state is that of one journal row, whether it was read from the tables or followed from the state before.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, func, select

from services.common.db import table_of
from services.common.feed import Checkpoint
from services.common.journal import Head, Row
from services.common.listing import Order
from services.common.resources import Revision
from services.common.snapshot import Newest
from services.common.text import fold, sort_key
from services.integration.domain import Integration
from services.integration.storage.tables import CheckpointRow, DeadLetterRow, IntegrationRow, TransitionRow, journal

CATALOG = "catalog"


@dataclass(frozen=True)
class Entry:
    """An integration with what the catalog told of its service, and what reads need ready."""

    integration: Integration
    programmes: tuple[str, ...]
    former_aliases: tuple[str, ...]
    change: str
    """The last change in a few words, for whoever comes with a stale etag."""
    message: bytes
    chunk: bytes

    @cached_property
    def haystack(self) -> str:
        """Its text for searching, folded."""
        return fold(f"{self.integration.display_name} {self.integration.alias} {self.integration.service_id}")

    @cached_property
    def sort_key(self) -> str:
        """Its place in the Vietnamese alphabet."""
        return sort_key(self.integration.display_name)


@dataclass(frozen=True)
class State:
    """All integrations as of one journal row. Never changed; lists that were asked for are kept with it."""

    head: Head
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    entries: dict[str, Entry] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Service ids, aliases and former aliases, each with the id it finds."""
    dead_letters: int = 0

    @cached_property
    def lists(self) -> dict[tuple[str, ...], Any]:
        """Sorted lists by what was asked, made once a state."""
        return {}

    def find(self, name: str) -> Entry | None:
        """Find an integration by its service's id or alias."""
        return self.entries.get(self.names.get(name, ""))

    def sorted(self, programme: str, order: Order[Entry]) -> tuple[list[Entry], list[tuple[Any, ...]]]:
        """Give a programme's integrations (all for an empty one) in an order, with their sort keys."""
        asked = (programme, order.text)
        made = self.lists.get(asked)
        if made is None:
            members = [entry for entry in self.entries.values() if not programme or programme in entry.programmes]
            entries = order.sort(members)
            made = self.lists[asked] = (entries, [order.key(entry) for entry in entries])
        return made

    def changed(
        self, head: Head, checkpoint: Checkpoint, entries: Iterable[Entry], dead_letters: int | None = None
    ) -> "State":
        """Give the state after some integrations changed or the checkpoint moved."""
        dead_letters = self.dead_letters if dead_letters is None else dead_letters
        if not (entries := list(entries)):
            return State(head, checkpoint, self.entries, self.names, dead_letters)
        all_entries = self.entries | {entry.integration.service_id: entry for entry in entries}
        return State(head, checkpoint, all_entries, self.names | names_of(entries), dead_letters)


def names_of(entries: Iterable[Entry]) -> dict[str, str]:
    """Give the names that find these integrations, each with the id it finds."""
    return {
        name: entry.integration.service_id
        for entry in entries
        for name in (entry.integration.service_id, entry.integration.alias, *entry.former_aliases)
        if name
    }


def catalog_revision(checkpoint: Checkpoint) -> str:
    """Give the catalog revision that a checkpoint stands for; empty before the first row."""
    return Revision(CATALOG, checkpoint.epoch, checkpoint.sequence).encode() if checkpoint.epoch else ""


def load(connection: Connection, stored: Callable[[bytes, int, str], Entry]) -> State:
    """Read the state from the tables, as of one head. `stored` takes message, version and last change."""
    head = journal.read_head(connection)
    columns = table_of(IntegrationRow).c
    rows = connection.execute(select(columns.body, columns.version, columns.change).order_by(columns.id))
    entries = [stored(*row) for row in rows]
    return State(head).changed(head, read_checkpoint(connection), entries, count_dead_letters(connection))


def catch_up(
    connection: Connection,
    state: State,
    head: Head,
    decode: Callable[[State, Iterable[Row]], list[Entry]],
) -> tuple[State, Iterable[Row]]:
    """Add what others committed after `state`, up to `head`; give it with their newest rows."""
    if state.head.is_at(head):
        return state, ()
    rows = Newest(journal.read_between(connection, state.head.sequence, head))
    checkpoint, dead_letters = read_checkpoint(connection), count_dead_letters(connection)
    return state.changed(head, checkpoint, decode(state, rows), dead_letters), rows.kept


def count_dead_letters(connection: Connection) -> int:
    """Give how many of the catalog's rows were put aside."""
    return connection.execute(select(func.count()).select_from(table_of(DeadLetterRow))).scalar_one()


def read_checkpoint(connection: Connection) -> Checkpoint:
    """Give how far the catalog's journal was followed."""
    columns = table_of(CheckpointRow).c
    found = connection.execute(
        select(columns.epoch, columns.sequence, columns.digest).where(columns.source == CATALOG),
    ).first()
    return Checkpoint(*found) if found else Checkpoint()


def read_history(connection: Connection, integration_id: str) -> list[bytes]:
    """Give an integration's entries as messages, in order."""
    columns = table_of(TransitionRow).c
    statement = select(columns.body).where(columns.integration_id == integration_id).order_by(columns.number)
    return list(connection.execute(statement).scalars())
