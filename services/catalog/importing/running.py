"""One import, from the first message to the last.

Invariant: what takes long runs in a thread, the reader's or the writer's; the loop only passes messages on.
"""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from services.catalog import usecases
from services.catalog.importing.applying import apply
from services.catalog.importing.entries import Entries
from services.catalog.importing.matching import Targets, decide
from services.catalog.importing.receiving import Received, Source, read_entries, received
from services.catalog.importing.report import RejectedError, Report
from services.catalog.importing.scope import Target
from services.catalog.storage import CatalogWork, State
from services.common.call import Call
from services.common.dates import vietnam_day
from services.common.endpoint import Endpoint
from services.common.envelope import split_events
from services.common.errors import Reason, Refusal
from services.common.resources import check_request_id, parse_name
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import import_pb2

_TELL_SECONDS = 0.25
_AT_ONCE = 1
# A list is prepared outside the transaction, so that it holds the journal's lock for its statements alone. Where others
# write meanwhile it is prepared again; the last time, and where the rows are few, within the transaction.
_TURNS = 4
_FEW = 2000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A list decided on one state: what it would write, its report, and what is kept of that; nothing where it is refused."""

    work: CatalogWork
    report: Report
    kept: bytes


class _Heard:
    """How many entries the reading thread has found; it stops there when nobody listens any more."""

    def __init__(self) -> None:
        self.rows, self.given_up = 0, False

    def __call__(self, rows: int) -> None:
        self.rows = rows
        if self.given_up:
            raise InterruptedError


class Imports:
    """Answers ImportServices; one file is read at a time, for it takes a process of its own, and memory."""

    def __init__(self, endpoint: Endpoint[State, CatalogWork]) -> None:
        self._endpoint = endpoint
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def answer(
        self, requests: AsyncIterator[pb.ImportServicesRequest], call: Call
    ) -> AsyncGenerator[bytes, None]:
        """Give progress, the rows, the summary. Refusals as in the contract."""
        endpoint = self._endpoint
        async with received(requests) as file:
            options = file.options
            check_request_id(options.request_id)
            state = await endpoint.read(options.at_least, call)
            _target(state, options, endpoint.default_programme)
            targets = _targets(options)
            heard = _Heard()
            with _no_collection(heard):
                reading = asyncio.create_task(self._read(file, heard))
                async for part in _meanwhile(reading, import_pb2.IMPORT_PHASE_READING, lambda: heard.rows):
                    yield part
                source, entries = reading.result()
                deciding = asyncio.create_task(_decided(endpoint, file, source, entries, targets, call))
                del reading, entries  # so that they are gone once they are decided
                async for part in _meanwhile(deciding, import_pb2.IMPORT_PHASE_APPLYING, lambda: heard.rows):
                    yield part
            parts = iter(deciding.result())
            while part := await asyncio.to_thread(next, parts, b""):
                yield part

    async def _read(self, file: Received, heard: _Heard) -> tuple[Source, Entries]:
        async with self._turn:
            return await asyncio.to_thread(read_entries, file, vietnam_day(self._endpoint.clock()), heard)


@contextmanager
def _no_collection(heard: _Heard) -> Iterator[None]:
    """Keep Python from looking for cycles meanwhile: with 100,000 rows in memory each look stops the loop for seconds.

    What a long list has brought stays for good, so later looks pass it over.
    """
    gc.disable()
    try:
        yield
    finally:
        heard.given_up = True
        if heard.rows > _FEW:
            gc.freeze()
        gc.enable()


async def _meanwhile(
    task: asyncio.Task[T], phase: import_pb2.ImportPhase.ValueType, rows: Callable[[], int]
) -> AsyncGenerator[bytes, None]:
    """Tell how far it is until the task ends, at least once."""
    try:
        while True:
            progress = import_pb2.ImportProgress(phase=phase, rows=rows())
            yield pb.ImportServicesResponse(progress=progress).SerializeToString()
            if (await asyncio.wait({task}, timeout=_TELL_SECONDS))[0]:
                return
    finally:
        task.cancel()  # where nobody listens any more


async def _decided(
    endpoint: Endpoint[State, CatalogWork],
    file: Received,
    source: Source,
    entries: Entries,
    targets: Targets,
    call: Call,
) -> Iterable[bytes]:
    """Decide every row and, where all are taken and it is no dry run, apply them; give the report's messages."""
    options = file.options

    def prepare(state: State) -> _Prepared:
        work, report = CatalogWork.prepared(state, endpoint.clock()), Report(source)
        target, caller = _target(state, options, endpoint.default_programme), call.caller(options)
        for decision in report.told(decide(entries, state, target, targets, source.citation)):
            if not (options.dry_run or report.is_rejected):
                apply(work, decision, caller)
        if options.dry_run or report.is_rejected:
            return _Prepared(work, report, b"")
        report.revision = endpoint.revision_of(work.head)
        return _Prepared(work, report, report.kept())

    if options.dry_run:
        return (await asyncio.to_thread(prepare, endpoint.live.current)).report.parts()
    whole: list[Report] = []
    for turn in range(_TURNS):
        ready = await asyncio.to_thread(prepare, endpoint.live.current)
        last = turn == _TURNS - 1 or len(entries) <= _FEW

        def applied(work: CatalogWork, ready: _Prepared = ready, last: bool = last) -> bytes:
            if not work.head.is_at(ready.work.state.head):
                if not last:
                    raise _MovedOnError
                ready = prepare(work.result())
            if ready.report.is_rejected:
                raise RejectedError(ready.report)
            work.adopt(ready.work)
            whole[:] = [ready.report]
            return ready.kept

        try:
            kept = await endpoint.command(options, call, applied, attached=file.digest)
        except _MovedOnError:
            continue
        except RejectedError as rejected:
            return rejected.report.parts()
        return whole[0].parts() if whole else split_events(kept)[0]
    raise AssertionError("the last turn decides")


class _MovedOnError(Refusal):
    """The catalog changed while a long list was prepared: it is prepared anew, outside the transaction."""

    def __init__(self) -> None:
        super().__init__(Reason.OVERLOADED, "the catalog changed meanwhile; try again", retry_seconds=1)


def _target(state: State, options: import_pb2.ImportOptions, default: str) -> Target:
    if options.register:
        return Target(None)
    programme_id = parse_name(options.programme, "programmes", "options.programme", default=default)
    entry = state.programmes.get(programme_id)
    if entry is None:
        raise usecases.programme_not_found(f"programmes/{programme_id}", "options.programme")
    return Target(entry.programme)


def _targets(options: import_pb2.ImportOptions) -> Targets:
    by_row: dict[int, str | int] = {}
    by_code: dict[str, str | int] = {}
    for index, match in enumerate(options.matches):
        place: str | int = match.plan_number or match.service.removeprefix("services/")
        if not place or not (match.number > 0 or match.code):
            raise Refusal(
                Reason.MISSING_VALUE,
                "needs a row or its code, and a service or its plan number",
                field=f"options.matches[{index}]",
            )
        known: dict[int, str | int] | dict[str, str | int] = by_row if match.number else by_code
        key = match.number or match.code
        if known.setdefault(key, place) != place:  # type: ignore[arg-type]
            raise Refusal(
                Reason.INVALID_VALUE,
                f"says of row {key} another thing than an earlier match",
                field=f"options.matches[{index}]",
            )
    return Targets(by_row, by_code)
