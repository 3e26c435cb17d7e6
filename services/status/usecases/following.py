"""What status does: fold source rows into the read model and tell the progress; read the progress journal; rebuild.

Invariant: a row that was taken before, and a progress event whose cause was told before, add nothing.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError
from sqlalchemy import Engine

from services.common.dates import vietnam_day
from services.common.db import open_engine, read_transaction, write_transaction
from services.common.envelope import header_of
from services.common.errors import Reason, Refusal
from services.common.feed import Checkpoint
from services.common.journal import Row, utc_now
from services.common.resources import Revision, decode_revision
from services.status import storage, wire
from services.status.projection import Fact, follow
from services.status.storage import SOURCES, StatusWork

_ROWS_A_READ = 1000


class MovedOnError(Exception):
    """A source was followed further than it had been read for a rebuild."""


class _UnreadableError(Exception):
    """A source's row cannot be read; the text says why."""


def _read(source: str, row: Row) -> tuple[Fact | None, Revision | None]:
    """Give a row's fact, and the catalog revision it waits for."""
    try:
        text = wire.catalog_revision_of(row) if source == "integration" else ""
        return wire.fact_of(source, row), decode_revision(text, "catalog_revision") if text else None
    except (DecodeError, ValueError, Refusal) as fault:
        raise _UnreadableError(f"{type(fault).__name__}: {fault}") from None


def decode(source: str, row: Row) -> Fact | None:
    """Read a source's row that was applied before; None for one that means nothing here."""
    return wire.fact_of(source, row)


def follow_source(work: StatusWork, source: str, rows: Sequence[Row]) -> Checkpoint:
    """Fold a source's rows and tell their progress; give the checkpoint reached.

    An integration row waits for the catalog revision it was decided on: the rows from there on are left for later.
    A row that cannot be read is put aside with its reason.
    """
    facts: list[Fact] = []
    for row in rows:
        place = work.checkpoint(source)
        if row.epoch == place.epoch and row.sequence <= place.sequence:
            continue
        if not _follows(row, place):
            break
        try:
            fact, awaited = _read(source, row)
        except _UnreadableError as fault:
            work.put_aside(source, row, str(fault))
            continue
        if awaited is not None and not _is_joined(work, awaited):
            break
        work.follow(source, row)
        if fact is not None:
            facts.append(fact)
    if facts:
        work.model, drafts = follow(work.model, facts, vietnam_day(work.now))
        new = work.new_causes([draft.cause for draft in drafts])
        for draft in drafts:
            if draft.cause in new:
                work.emit(wire.event_of(draft), draft.cause)
    return work.checkpoint(source)


def _follows(row: Row, place: Checkpoint) -> bool:
    header = header_of(row.payload)
    return (header.sequence, header.previous_digest) == (place.sequence + 1, place.digest)


def _is_joined(work: StatusWork, wanted: Revision) -> bool:
    """Whether the catalog was followed up to the revision that an integration row names."""
    catalog = work.checkpoint("catalog")
    # A row decided on an older catalog, since replaced, has nothing left to wait for.
    return bool(catalog.epoch) and (catalog.epoch != wanted.epoch or catalog.sequence >= wanted.sequence)


def read_progress(engine: Engine, after: int, limit: int) -> tuple[list[Row], int]:
    """Give progress rows after a sequence, and the first number that is retained."""
    with read_transaction(engine) as connection:
        return storage.journal.read(connection, after, limit), storage.journal.first_sequence(connection)


def find_progress(engine: Engine, epoch: str, numbers: range, wanted: Callable[[bytes], bool], limit: int) -> list[Row]:
    """Give the first `limit` wanted progress rows among `numbers`, in their order. Raises Refusal TOKEN_EXPIRED."""
    found: list[Row] = []
    with read_transaction(engine) as connection:
        if storage.journal.read_head(connection).epoch != epoch:
            raise Refusal(Reason.TOKEN_EXPIRED, "the progress journal was replaced; read from its start again")
        while numbers and len(found) < limit:
            part, numbers = numbers[:_ROWS_A_READ], numbers[_ROWS_A_READ:]
            rows = storage.journal.read(connection, min(part[0], part[-1]) - 1, len(part))
            found += [row for row in rows[:: part.step] if row.sequence in part and wanted(row.payload)]
    return found[:limit]


def read_checkpoints(url: str) -> dict[str, Checkpoint]:
    """Give how far each source was followed."""
    engine = open_engine(url)
    try:
        with read_transaction(engine) as connection:
            return storage.read_checkpoints(connection)
    finally:
        engine.dispose()


def rebuild(
    url: str, followed: Mapping[str, Sequence[Row]], before: Mapping[str, Checkpoint], now: datetime | None = None
) -> str:
    """Put the read model together anew from whole source journals, in one transaction.

    `before` is how far they were followed when reading them began. The progress journal and its tokens stay, unless a
    source is no longer the one that was followed (another epoch, or another digest at the checkpoint): then progress
    begins a new epoch. Raises MovedOnError, with nothing written, when a source was followed beyond `followed` meanwhile.
    """
    engine = open_engine(url)
    try:
        with write_transaction(engine) as connection:
            storage.journal.lock_head(connection)
            places = storage.read_checkpoints(connection)
            replaced = [source for source in SOURCES if not _continues(places.get(source), followed[source])]
            if any(places.get(source) != before.get(source) for source in replaced):
                raise MovedOnError
            storage.replace_model(connection, followed, _dead_letters(followed))
            if replaced:
                storage.journal.begin_epoch(connection, secrets.token_hex(8), now or utc_now())
        counted = ", ".join(f"{source} up to row {len(followed[source])}" for source in SOURCES)
        told = f"; {' and '.join(replaced)} was replaced, so progress begins a new epoch" if replaced else ""
        return f"rebuilt from {counted}{told}"
    finally:
        engine.dispose()


def _dead_letters(followed: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    dead: list[dict[str, Any]] = []
    for source in SOURCES:
        for row in followed[source]:
            try:
                _read(source, row)
            except _UnreadableError as fault:
                letter = {
                    "source": source,
                    "sequence": row.sequence,
                    "payload": row.payload,
                    "reason": str(fault)[:500],
                }
                dead.append(letter)
    return dead


def _continues(place: Checkpoint | None, rows: Sequence[Row]) -> bool:
    if place is None or not place.sequence:
        return True
    if len(rows) < place.sequence:
        return False
    row = rows[place.sequence - 1]
    return (row.epoch, row.digest) == (place.epoch, place.digest)
