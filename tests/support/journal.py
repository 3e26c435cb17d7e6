"""A journal in memory, filled with real progress events, for tests of what publishes and follows one."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.common.envelope import cloud_event, join_events, seal
from services.common.journal import Head, Row, digest_of
from services.common.relay import Publication
from tiendo.common.v1 import event_pb2
from tiendo.status.v1 import events_pb2

EPOCH = "00112233445566aa"
OTHER_EPOCH = "ffeeddccbbaa9900"
START = datetime(2022, 10, 5, 1, 0, tzinfo=UTC)
ACTOR = "Nguyễn Văn Đức"


def event_of(row: Row) -> events_pb2.ProgressEvent:
    """Read a row, its digest set."""
    event = events_pb2.ProgressEvent.FromString(row.payload)
    event.digest = row.digest
    return event


def body_of(row: Row) -> bytes:
    """Word a row as the CloudEvent that is published."""
    event = event_of(row)
    return cloud_event(
        event, source="/tiendo/status", type="tiendo.progress.v1.service.integrated", subject=event.service
    )


def publication_of(row: Row) -> Publication:
    """Publish a row on one subject."""
    return Publication("tiendo.progress.v1.bca-2022.service_integrated.bca-012", body_of(row))


class MemoryJournal:
    """Rows of one epoch; also answers as a source does."""

    def __init__(self, epoch: str = EPOCH) -> None:
        self.epoch = epoch
        self.rows: list[Row] = []
        self.reads = 0
        self.asked = asyncio.Event()

    def add(self, count: int = 1, *, reason: str = "") -> list[Row]:
        """Append rows; `reason` makes them differ from others with the same numbers."""
        for _ in range(count):
            sequence = len(self.rows) + 1
            event = events_pb2.ProgressEvent(
                epoch=self.epoch,
                sequence=sequence,
                previous_digest=self.rows[-1].digest if self.rows else "",
                actor=ACTOR,
                kind=events_pb2.PROGRESS_EVENT_KIND_SERVICE_INTEGRATED,
                service="services/bca-012",
                reason=reason,
            )
            event.recorded_time.FromDatetime(START + timedelta(seconds=sequence))
            payload = event.SerializeToString(deterministic=True)
            self.rows.append(Row(self.epoch, sequence, digest_of(payload), payload))
        return self.rows[-count:]

    async def head(self) -> Head:
        """Return the newest row."""
        last = self.rows[-1] if self.rows else None
        sequence, digest = (last.sequence, last.digest) if last else (0, "")
        return Head(self.epoch, sequence, digest, START + timedelta(seconds=sequence))

    async def read(self, after: int, limit: int) -> Sequence[Row]:
        """Return what follows."""
        self.reads += 1
        return self.rows[after : after + limit]

    async def list_events(self, after: int, _epoch: str, page_size: int) -> bytes:
        """Answer as ListEvents does."""
        self.asked.set()
        head = await self.head()
        message = event_pb2.JournalHead(epoch=head.epoch, sequence=head.sequence, digest=head.digest)
        rows = self.rows[after : after + page_size]
        return join_events([seal(row.payload, row.digest) for row in rows], message.SerializeToString())
