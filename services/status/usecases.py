"""What status does: fold source rows into the read model and tell the progress; read the progress journal; rebuild.

Invariant: a row that was taken before, and a progress event whose cause was told before, add nothing.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from google.protobuf.message import DecodeError
from sqlalchemy import Engine

from services.common.dates import vietnam_day
from services.common.db import open_engine, read_transaction, write_transaction
from services.common.envelope import header_of
from services.common.errors import Refusal
from services.common.feed import Checkpoint
from services.common.journal import Row, utc_now
from services.common.resources import decode_revision
from services.status import storage, wire
from services.status.projection import Fact, follow
from services.status.storage import SOURCES, StatusWork


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
        place = work.checkpoints.get(source, Checkpoint())
        if row.epoch == place.epoch and row.sequence <= place.sequence:
            continue
        if not _follows(row, place):
            break
        try:
            if source == "integration" and not _is_joined(work, wire.catalog_revision_of(row)):
                break
            fact = wire.fact_of(source, row)
        except (DecodeError, ValueError, Refusal) as fault:
            work.put_aside(source, row, f"{type(fault).__name__}: {fault}")
            continue
        work.follow(source, row)
        if fact is not None:
            facts.append(fact)
    if facts:
        work.model, drafts = follow(work.model, facts, vietnam_day(work.now))
        new = work.new_causes([draft.cause for draft in drafts])
        for draft in drafts:
            if draft.cause in new:
                work.emit(wire.event_of(draft), draft.cause)
    return work.checkpoints.get(source, Checkpoint())


def _follows(row: Row, place: Checkpoint) -> bool:
    header = header_of(row.payload)
    return (header.sequence, header.previous_digest) == (place.sequence + 1, place.digest)


def _is_joined(work: StatusWork, revision: str) -> bool:
    """Whether the catalog was followed up to the revision that an integration row names."""
    if not revision:
        return True
    wanted = decode_revision(revision, "catalog_revision")
    catalog = work.checkpoints.get("catalog", Checkpoint())
    # A row decided on an older catalog, since replaced, has nothing left to wait for.
    return bool(catalog.epoch) and (catalog.epoch != wanted.epoch or catalog.sequence >= wanted.sequence)


def read_progress(engine: Engine, after: int, limit: int) -> tuple[list[Row], int]:
    """Give progress rows after a sequence, and the first number that is retained."""
    with read_transaction(engine) as connection:
        return storage.journal.read(connection, after, limit), storage.journal.first_sequence(connection)


def rebuild(url: str, followed: Mapping[str, Sequence[Row]], now: datetime | None = None) -> str:
    """Put the read model together anew from whole source journals, in one transaction.

    The progress journal and its tokens stay, unless a source is no longer the one that was followed (another epoch, or
    another digest at the checkpoint): then progress begins a new epoch.
    """
    engine = open_engine(url)
    try:
        with write_transaction(engine) as connection:
            storage.journal.lock_head(connection)
            before = storage.read_checkpoints(connection)
            dead: list[dict[str, Any]] = []
            for source in SOURCES:
                for row in followed[source]:
                    try:
                        wire.fact_of(source, row)
                    except (DecodeError, ValueError, Refusal) as fault:
                        reason = f"{type(fault).__name__}: {fault}"[:500]
                        letter = {"source": source, "sequence": row.sequence, "payload": row.payload, "reason": reason}
                        dead.append(letter)
            replaced = [source for source in SOURCES if not _continues(before.get(source), followed[source])]
            storage.replace_model(connection, followed, dead)
            if replaced:
                storage.journal.begin_epoch(connection, secrets.token_hex(8), now or utc_now())
        counted = ", ".join(f"{source} up to row {len(followed[source])}" for source in SOURCES)
        told = f"; {' and '.join(replaced)} was replaced, so progress begins a new epoch" if replaced else ""
        return f"rebuilt from {counted}{told}"
    finally:
        engine.dispose()


def _continues(before: Checkpoint | None, rows: Sequence[Row]) -> bool:
    if before is None or not before.epoch:
        return True
    if len(rows) < before.sequence:
        return False
    row = rows[before.sequence - 1] if before.sequence else None
    return row is None or (row.epoch, row.digest) == (before.epoch, before.digest)
