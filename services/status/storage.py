"""Status's tables, its state in memory, and the working set of one transaction.

Invariant: rows of the sources, the checkpoints behind them and the progress they made move in one transaction; the read
model is a fold of the rows kept here, so the same rows always give the same model.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, LargeBinary, delete, func, insert, select, update
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.common.db import Sequence64, table_of, upsert
from services.common.feed import Checkpoint
from services.common.journal import Head, Journal, Row
from services.common.resources import Revision
from services.common.snapshot import TAIL_ROWS, Answers
from services.common.work import Work
from services.status.projection import Fact, ReadModel, fold
from tiendo.status.v1 import events_pb2

SOURCES = ("catalog", "integration")


class Base(SQLModel, registry=registry()):
    """Status's own tables, apart from those of other services in one process."""


class FollowedRow(Base, table=True):
    """A source's journal row as it was applied."""

    __tablename__ = "followed"

    source: str = Field(primary_key=True, max_length=32)
    sequence: int = Field(primary_key=True, sa_type=Sequence64)
    digest: str = Field(max_length=64)
    payload: bytes = Field(sa_type=LargeBinary)


class CheckpointRow(Base, table=True):
    """How far a source's journal was followed."""

    __tablename__ = "checkpoint"

    source: str = Field(primary_key=True, max_length=32)
    epoch: str = Field(max_length=64)
    sequence: int = Field(sa_type=Sequence64)
    digest: str = Field(max_length=64)


class DeadLetterRow(Base, table=True):
    """A source's row that could not be read, put aside with its reason."""

    __tablename__ = "dead_letter"

    source: str = Field(primary_key=True, max_length=32)
    sequence: int = Field(primary_key=True, sa_type=Sequence64)
    payload: bytes = Field(sa_type=LargeBinary)
    reason: str = Field(max_length=500)


class ProjectionRow(Base, table=True):
    """How often the read model was rebuilt: whoever holds another number reads it anew."""

    __tablename__ = "projection"

    id: int = Field(primary_key=True)
    generation: int


metadata = Base.metadata
journal = Journal(metadata, whole=False, tokens_of=events_pb2.ProgressEvent)

# Made once: building a statement costs three times as much as running it.
_checkpoint, _dead_source = table_of(CheckpointRow).c, table_of(DeadLetterRow).c.source
_GENERATION = select(table_of(ProjectionRow).c.generation)
_CHECKPOINTS = select(_checkpoint.source, _checkpoint.epoch, _checkpoint.sequence, _checkpoint.digest)
_DEAD_LETTERS = select(_dead_source, func.count()).group_by(_dead_source)
_INSERT_FOLLOWED = insert(table_of(FollowedRow))

Decode = Callable[[str, Row], Fact | None]


@dataclass(frozen=True)
class State:
    """The read model as of one row of each source, and the head of the progress journal. Never changed."""

    head: Head
    model: ReadModel = field(default_factory=ReadModel)
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    generation: int = 0
    dead_letters: dict[str, int] = field(default_factory=dict)
    first_sequence: int = 1

    @cached_property
    def answers(self) -> Answers:
        """Answers given from this state."""
        return Answers()

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Service ids by every alias they ever had."""
        return {
            version.alias: history.id
            for history in self.model.services.values()
            for version in history.versions
            if version.alias
        }

    def checkpoint(self, source: str) -> Checkpoint:
        """How far a source was followed."""
        return self.checkpoints.get(source, Checkpoint())

    @property
    def revisions(self) -> list[str]:
        """Catalog's and integration's journal, as far as the state includes them."""
        places = ((source, self.checkpoint(source)) for source in SOURCES)
        return [Revision(source, place.epoch, place.sequence).encode() for source, place in places if place.epoch]


def load(connection: Connection, decode: Decode, since: State | None = None) -> State:
    """Read the state from the tables, as of one head; `since` spares reading what it includes, of the same generation."""
    model = since.model if since else ReadModel()
    columns = table_of(FollowedRow).c
    checkpoints = read_checkpoints(connection)
    for source in SOURCES:
        rows = connection.execute(
            select(columns.sequence, columns.digest, columns.payload)
            .where(columns.source == source, columns.sequence > (since.checkpoint(source).sequence if since else 0))
            .order_by(columns.sequence),
        )
        epoch = checkpoints.get(source, Checkpoint()).epoch
        facts = (decode(source, Row(epoch, row.sequence, row.digest, row.payload)) for row in rows)
        model = fold(model, (fact for fact in facts if fact is not None))
    return State(
        journal.read_head(connection),
        model,
        checkpoints,
        read_generation(connection),
        _count_dead_letters(connection),
        journal.first_sequence(connection),
    )


def catch_up(connection: Connection, state: State, head: Head, decode: Decode) -> tuple[State, Iterable[Row]]:
    """Add what others committed after `state`, up to `head`; give it with the newest progress rows."""
    rebuilt = state.generation != read_generation(connection)
    if state.head.is_at(head) and not rebuilt and state.checkpoints == read_checkpoints(connection):
        return state, ()
    after = max(head.sequence - TAIL_ROWS, state.head.sequence if state.head.epoch == head.epoch else 0)
    return load(connection, decode, None if rebuilt else state), [*journal.read_between(connection, after, head)]


def read_generation(connection: Connection) -> int:
    """Give how often the read model was rebuilt."""
    return connection.execute(_GENERATION).scalar() or 0


def read_checkpoints(connection: Connection) -> dict[str, Checkpoint]:
    """Give how far each source was followed."""
    return {source: Checkpoint(*place) for source, *place in connection.execute(_CHECKPOINTS)}


def _count_dead_letters(connection: Connection) -> dict[str, int]:
    return {name: number for name, number in connection.execute(_DEAD_LETTERS)}  # noqa: C416 (no pairs to mypy)


def replace_model(
    connection: Connection,
    followed: Mapping[str, Sequence[Row]],
    dead: Sequence[dict[str, Any]],
) -> None:
    """Put other source rows in the place of all that were followed, and count one generation on."""
    for row in (FollowedRow, CheckpointRow, DeadLetterRow):
        connection.execute(delete(table_of(row)))
    aside = {(letter["source"], letter["sequence"]) for letter in dead}
    for source, rows in followed.items():
        values = [
            {"source": source, "sequence": row.sequence, "digest": row.digest, "payload": row.payload}
            for row in rows
            if (source, row.sequence) not in aside
        ]
        if values:
            connection.execute(insert(table_of(FollowedRow)), values)
        if rows:
            last = rows[-1]
            place = {"source": source, "epoch": last.epoch, "sequence": last.sequence, "digest": last.digest}
            connection.execute(insert(table_of(CheckpointRow)), [place])
    if dead:
        connection.execute(insert(table_of(DeadLetterRow)), list(dead))
    generation = read_generation(connection)
    table = table_of(ProjectionRow)
    if generation:
        connection.execute(update(table).values(generation=generation + 1))
    else:
        connection.execute(insert(table).values(id=1, generation=1))


class StatusWork(Work[State]):
    """What one transaction folds and will write."""

    def __init__(self, connection: Connection, state: State, now: datetime) -> None:
        super().__init__(connection, journal, state, now)
        self.model = state.model
        self.checkpoints = dict(state.checkpoints)
        self._followed: list[dict[str, Any]] = []
        self._dead: list[dict[str, Any]] = []
        self._causes_emitted: set[str] = set()

    def checkpoint(self, source: str) -> Checkpoint:
        """How far a source was followed, as of now."""
        return self.checkpoints.get(source, Checkpoint())

    def follow(self, source: str, row: Row) -> None:
        """Keep a source's row for writing, and move the checkpoint to it."""
        values = {"source": source, "sequence": row.sequence, "digest": row.digest, "payload": row.payload}
        self._followed.append(values)
        self.checkpoints[source] = Checkpoint(row.epoch, row.sequence, row.digest)

    def put_aside(self, source: str, row: Row, reason: str) -> None:
        """Keep a row that cannot be read, with why, and move the checkpoint to it."""
        values = {"source": source, "sequence": row.sequence, "payload": row.payload, "reason": reason[:500]}
        self._dead.append(values)
        self.checkpoints[source] = Checkpoint(row.epoch, row.sequence, row.digest)

    def new_causes(self, causes: Sequence[str]) -> set[str]:
        """Give those of the causes that no progress event has yet."""
        told = journal.known_causes(self.connection, causes) if causes else set()
        new = set(causes) - told - self._causes_emitted
        self._causes_emitted |= new
        return new

    def flush(self) -> None:
        """Write followed rows, dead letters and checkpoints."""
        if self._followed:
            self.connection.execute(_INSERT_FOLLOWED, self._followed)
        upsert(self.connection, table_of(DeadLetterRow), self._dead, keys=("source", "sequence"))
        moved = [
            {"source": source, "epoch": place.epoch, "sequence": place.sequence, "digest": place.digest}
            for source, place in self.checkpoints.items()
            if place != self.state.checkpoint(source)
        ]
        upsert(self.connection, table_of(CheckpointRow), moved, keys=("source",))

    def result(self) -> State:
        """Give the state after the commit."""
        if self.checkpoints == self.state.checkpoints and not self.rows:
            return self.state
        dead = dict(self.state.dead_letters)
        for letter in self._dead:
            dead[letter["source"]] = dead.get(letter["source"], 0) + 1
        return State(
            self.head,
            self.model,
            self.checkpoints,
            self.state.generation,
            dead,
            self.state.first_sequence,
        )
