"""Integration's tables, its state in memory, and the working set of one transaction.

Invariant: a row's `body` is the very message that the journal row of its last change carries, and the checkpoint in the
catalog's journal moves in the transaction of what the catalog's rows did.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import CheckConstraint, Connection, LargeBinary, func, insert, select
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.common.db import Sequence64, table_of, upsert
from services.common.feed import Checkpoint
from services.common.journal import Head, Journal, Row
from services.common.listing import Order
from services.common.resources import Revision
from services.common.text import fold, sort_key
from services.common.writer import Work
from services.integration.domain import Integration


class Base(SQLModel, registry=registry()):
    """Integration's own tables, apart from those of other services in one process."""


class IntegrationRow(Base, table=True):
    """An integration."""

    __tablename__ = "integration"
    __table_args__ = (
        CheckConstraint("stage BETWEEN 1 AND 7", name="integration_stage"),
        CheckConstraint("condition BETWEEN 1 AND 4", name="integration_condition"),
    )

    id: str = Field(primary_key=True, max_length=63)
    stage: int
    condition: int
    version: int = Field(sa_type=Sequence64)
    update_actor: str = Field(max_length=200)
    change: str = Field(max_length=200)
    body: bytes = Field(sa_type=LargeBinary)


class TransitionRow(Base, table=True):
    """An entry of a history; never changed."""

    __tablename__ = "transition"
    __table_args__ = (CheckConstraint("kind BETWEEN 1 AND 9", name="transition_kind"),)

    integration_id: str = Field(primary_key=True, max_length=63)
    number: int = Field(primary_key=True)
    kind: int
    body: bytes = Field(sa_type=LargeBinary)


class CheckpointRow(Base, table=True):
    """How far another service's journal was followed."""

    __tablename__ = "checkpoint"

    source: str = Field(primary_key=True, max_length=32)
    epoch: str = Field(max_length=64)
    sequence: int = Field(sa_type=Sequence64)
    digest: str = Field(max_length=64)


class DeadLetterRow(Base, table=True):
    """A row of another journal that could not be read, put aside with its reason."""

    __tablename__ = "dead_letter"

    source: str = Field(primary_key=True, max_length=32)
    epoch: str = Field(primary_key=True, max_length=64)
    sequence: int = Field(primary_key=True, sa_type=Sequence64)
    payload: bytes = Field(sa_type=LargeBinary)
    reason: str = Field(max_length=500)


metadata = Base.metadata
journal = Journal(metadata)
_INSERT_TRANSITIONS = insert(table_of(TransitionRow))
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
        return State(head, checkpoint, all_entries, self.names | _names(entries), dead_letters)


def _names(entries: Iterable[Entry]) -> dict[str, str]:
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
    decode: Callable[[Sequence[Row]], list[Entry]],
) -> tuple[State, list[Row]]:
    """Add what others committed after `state`, up to `head`; give it with their rows."""
    if (state.head.epoch, state.head.sequence) == (head.epoch, head.sequence):
        return state, []
    rows = journal.read_between(connection, state.head.sequence, head)
    checkpoint, dead_letters = read_checkpoint(connection), count_dead_letters(connection)
    return state.changed(head, checkpoint, decode(rows), dead_letters), rows


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


class IntegrationWork(Work[State]):
    """What one transaction decides on and will write."""

    def __init__(self, connection: Connection, state: State, now: datetime) -> None:
        super().__init__(connection, journal, state, now)
        self.checkpoint = state.checkpoint
        self._entries: dict[str, Entry] = {}
        self._names: dict[str, str] = {}
        self._added: dict[str, list[dict[str, Any]]] = {}
        self._dead: list[dict[str, Any]] = []
        self._dead_letters = state.dead_letters

    def reread_checkpoint(self) -> Checkpoint:
        """Give the checkpoint in force: the table's, which another process may have moved without adding a row.

        Only what this very transaction has moved already is newer than the table.
        """
        if self.checkpoint == self.state.checkpoint:
            self.checkpoint = read_checkpoint(self.connection)
        return self.checkpoint

    def find(self, name: str) -> Entry | None:
        """Find an integration by its service's id or alias, as of now."""
        service_id = self._names.get(name) or self.state.names.get(name, "")
        return self.find_id(service_id)

    def find_id(self, service_id: str) -> Entry | None:
        """Find an integration by its service's id alone, as of now."""
        return self._entries.get(service_id) or self.state.entries.get(service_id)

    def history(self, integration_id: str) -> list[bytes]:
        """Give an integration's entries as messages, those added in this transaction included."""
        added = [row["body"] for row in self._added.get(integration_id, [])]
        return read_history(self.connection, integration_id) + added

    def put(self, entry: Entry) -> None:
        """Keep a new or changed integration for writing."""
        self._entries[entry.integration.service_id] = entry
        self._names |= _names([entry])

    def add_transition(self, integration_id: str, number: int, kind: int, message: bytes) -> None:
        """Keep a new entry of a history for writing."""
        row = {"integration_id": integration_id, "number": number, "kind": kind, "body": message}
        self._added.setdefault(integration_id, []).append(row)

    def put_aside(self, row: Row, reason: str) -> None:
        """Keep a catalog row that cannot be read, with why."""
        values = {"source": CATALOG, "epoch": row.epoch, "sequence": row.sequence, "payload": row.payload}
        self._dead.append({**values, "reason": reason[:500]})

    def flush(self) -> None:
        """Write changed integrations, new entries, dead letters and the checkpoint."""
        changed = [
            {
                "id": entry.integration.service_id,
                "stage": int(entry.integration.stage),
                "condition": int(entry.integration.condition),
                "version": entry.integration.version,
                "update_actor": entry.integration.update_actor,
                "change": entry.change,
                "body": entry.message,
            }
            for entry in self._entries.values()
        ]
        upsert(self.connection, table_of(IntegrationRow), changed, keys=("id",))
        if added := [row for rows in self._added.values() for row in rows]:
            self.connection.execute(_INSERT_TRANSITIONS, added)
        if self._dead:
            upsert(self.connection, table_of(DeadLetterRow), self._dead, keys=("source", "epoch", "sequence"))
            self._dead_letters = count_dead_letters(self.connection)
        if self.checkpoint != self.state.checkpoint:
            place = self.checkpoint
            values = {"source": CATALOG, "epoch": place.epoch, "sequence": place.sequence, "digest": place.digest}
            upsert(self.connection, table_of(CheckpointRow), [values], keys=("source",))

    def result(self) -> State:
        """Give the state after the commit."""
        if not self.rows and self.checkpoint == self.state.checkpoint:
            return self.state
        return self.state.changed(self.head, self.checkpoint, self._entries.values(), self._dead_letters)
