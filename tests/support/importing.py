"""Imports as a client sends them: the options, the file in pieces, then the report."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.catalog import Catalog
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import events_pb2, import_pb2
from tiendo.common.v1 import error_reason_pb2

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Report:
    """What came back, without the progress."""

    rows: list[import_pb2.RowResult]
    summary: import_pb2.ImportSummary
    phases: set[str]

    @property
    def counts(self) -> dict[str, int]:
        """The counts that are not zero."""
        names = ("created", "named", "changed", "unchanged", "rejected", "skipped")
        return {name: getattr(self.summary, name) for name in names if getattr(self.summary, name)}

    def problems(self) -> list[tuple[int, str, str]]:
        """Row, reason and cell of every problem."""
        return [(row.row, error_name(problem), problem.cell) for row in self.rows for problem in row.problems]


def error_name(problem: import_pb2.RowProblem) -> str:
    """The reason in short."""
    return error_reason_pb2.ErrorReason.Name(problem.reason).removeprefix("ERROR_REASON_")


async def requests(file: Path, **options: Any) -> AsyncIterator[pb.ImportServicesRequest]:
    """The messages of one import."""
    told = import_pb2.ImportOptions(**{"file_name": file.name} | options)
    yield pb.ImportServicesRequest(options=told)
    content = await asyncio.to_thread(file.read_bytes)
    for start in range(0, len(content), _CHUNK):
        yield pb.ImportServicesRequest(chunk=content[start : start + _CHUNK])


async def import_list(catalog: Catalog, file: Path, **options: Any) -> Report:
    """Import a file; give the report."""
    rows: list[import_pb2.RowResult] = []
    phases: set[str] = set()
    summary = None
    async for part in catalog.stub.ImportServices(requests(file, **options)):
        match part.WhichOneof("part"):
            case "progress":
                phases.add(import_pb2.ImportPhase.Name(part.progress.phase))
            case "rows":
                rows += part.rows.results
            case _:
                assert summary is None
                summary = part.summary
    assert summary is not None
    return Report(rows, summary, phases)


async def journal_length(catalog: Catalog) -> int:
    """How many rows the journal has."""
    return (await catalog.stub.ListEvents(pb.ListEventsRequest(page_size=1))).head.sequence


async def last_events(catalog: Catalog, after: int) -> list[events_pb2.CatalogEvent]:
    """The rows after a sequence."""
    return list((await catalog.stub.ListEvents(pb.ListEventsRequest(after_sequence=after, page_size=1000))).events)
