"""Imports that come twice, together with other writers, too long, or that nobody waits for."""

import asyncio
import gc
import time
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.catalog.importing import receiving, running
from services.catalog.importing import report as reporting
from services.catalog.wire import service_etag
from tests.support.catalog import create, fill, refusal, running_catalog
from tests.support.importing import import_list, journal_length, last_events, requests
from tests.support.lists import export, workbook
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import import_pb2


async def test_a_request_id_has_one_effect_and_one_reply(tmp_path: Path) -> None:
    """The same id, options and file again gives the same report and no event; another file under that id is refused."""
    file = workbook(tmp_path / "list.xlsx", [("Tên",), ("Một",)])
    other = workbook(tmp_path / "other.xlsx", [("Tên",), ("Hai",)])
    async with running_catalog(tmp_path) as catalog:
        first = await import_list(catalog, file, register=True, request_id="r1")
        after = await journal_length(catalog)
        again = await import_list(catalog, file, register=True, request_id="r1")
        reused = await refusal(
            _whole(catalog.stub.ImportServices(requests(other, register=True, request_id="r1", file_name="list.xlsx")))
        )
        assert await journal_length(catalog) == after

    assert (again.rows, again.summary) == (first.rows, first.summary)
    assert reused == ("FAILED_PRECONDITION", "REQUEST_ID_REUSED", "request_id")


async def _whole(parts: AsyncIterable[Message]) -> Message:
    return [part async for part in parts][-1]


async def test_what_is_no_import_is_refused(tmp_path: Path) -> None:
    """A file without options, options twice, a large piece, an unknown programme, an empty match: each by its field."""
    file = workbook(tmp_path / "list.xlsx", [("Tên",), ("Một",)])
    options = pb.ImportServicesRequest(options=import_pb2.ImportOptions(file_name="a.csv", register=True))
    piece = pb.ImportServicesRequest(chunk=b"x")
    wrong: dict[str, list[pb.ImportServicesRequest]] = {
        "options": [piece],
        "chunk": [options, pb.ImportServicesRequest(chunk=b"x" * 70_000)],
    }
    async with running_catalog(tmp_path) as catalog:
        told = {field: await refusal(_whole(catalog.stub.ImportServices(iter(sent)))) for field, sent in wrong.items()}
        twice = await refusal(_whole(catalog.stub.ImportServices(iter([options, options]))))
        empty = await refusal(_whole(catalog.stub.ImportServices(iter([]))))
        unknown = await refusal(_whole(catalog.stub.ImportServices(requests(file, programme="programmes/khong-co"))))
        match = [import_pb2.RowMatch(number=2)]
        nothing = await refusal(_whole(catalog.stub.ImportServices(requests(file, register=True, matches=match))))
        default = await refusal(
            _whole(catalog.stub.ImportServices(requests(file, register=True, defaults={"name": "x"})))
        )
        column = await refusal(
            _whole(catalog.stub.ImportServices(requests(file, register=True, column_map={"Tên": "colour"})))
        )

    assert told == {
        "options": ("INVALID_ARGUMENT", "MISSING_VALUE", "options"),
        "chunk": ("INVALID_ARGUMENT", "INVALID_VALUE", "chunk"),
    }
    assert twice == ("INVALID_ARGUMENT", "INVALID_VALUE", "options")
    assert empty == ("INVALID_ARGUMENT", "MISSING_VALUE", "options")
    assert unknown == ("NOT_FOUND", "PROGRAMME_NOT_FOUND", "options.programme")
    assert nothing == ("INVALID_ARGUMENT", "MISSING_VALUE", "options.matches[0]")
    assert default == ("INVALID_ARGUMENT", "UNKNOWN_FIELD", "options.defaults")
    assert column == ("INVALID_ARGUMENT", "UNKNOWN_FIELD", "column_map")


@pytest.mark.parametrize("few", [0, 2000])
async def test_the_same_list_sent_at_once_is_applied_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Whoever comes second finds the catalog moved on and decides anew, in its transaction or before it: no row twice."""
    monkeypatch.setattr(running, "_FEW", few)
    file = workbook(tmp_path / "list.xlsx", export(40), merges={"A1:E1": "DANH MỤC"})
    async with running_catalog(tmp_path) as catalog:
        reports = await asyncio.gather(*(import_list(catalog, file, register=True) for _ in range(3)))
        events = await last_events(catalog, 0)
        state = catalog.runtime.live.current

    assert sorted(report.summary.created for report in reports) == [0, 0, 40]
    assert all(report.summary.applied for report in reports)
    assert [event.sequence for event in events] == list(range(1, 41))
    assert {event.service_created.service.name for event in events} == {f"services/{each}" for each in state.services}
    assert [event.service_created.service.etag for event in events] == [
        service_etag(state.services[event.service_created.service.name.removeprefix("services/")].service)
        for event in events
    ]


async def test_a_list_in_the_way_of_others_loses_nothing(tmp_path: Path) -> None:
    """Commands that go on while lists come in are all done, in one chain with them."""
    file = workbook(tmp_path / "list.xlsx", export(300), merges={"A1:E1": "DANH MỤC"})
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog, 0)
        begun = await journal_length(catalog)
        importing = asyncio.create_task(import_list(catalog, file, register=True))
        await asyncio.gather(*(create(catalog, number) for number in range(1, 61)))
        report = await importing
        rows = [event for after in range(begun, begun + 360, 100) for event in await last_events(catalog, after)]

    assert report.counts == {"created": 300}
    assert {event.sequence for event in rows} == set(range(begun + 1, begun + 361))
    by_sequence = {event.sequence: event for event in rows}
    assert all(
        by_sequence[number].previous_digest == by_sequence[number - 1].digest
        for number in range(begun + 2, begun + 361)
    )


async def test_a_kept_report_too_long_to_keep_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long report only the summary is kept for its request id, and it says that the rows are left out."""
    monkeypatch.setattr(reporting, "_KEPT_BYTES", 10)
    file = workbook(tmp_path / "list.xlsx", [("Tên",), ("Một",)])
    async with running_catalog(tmp_path) as catalog:
        first = await import_list(catalog, file, register=True, request_id="r1")
        again = await import_list(catalog, file, register=True, request_id="r1")

    assert (len(first.rows), first.summary.rows_left_out) == (1, False)
    assert (again.rows, again.summary.rows_left_out, again.summary.created) == ([], True, 1)


async def test_a_list_too_long_is_refused_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row more than are taken, and none is looked at any further."""
    monkeypatch.setattr(receiving, "MOST_ROWS", 3)
    file = workbook(tmp_path / "list.xlsx", [("Tên",), *((f"Mẫu {word}",) for word in "abcd")])
    async with running_catalog(tmp_path) as catalog:
        told = await refusal(_whole(catalog.stub.ImportServices(requests(file, register=True))))

    assert told == ("INVALID_ARGUMENT", "TOO_MANY", "file")


async def test_a_caller_that_leaves_holds_up_nobody(tmp_path: Path) -> None:
    """A long list whose sender goes away is given up; the next one is read, and Python collects as before."""
    long = workbook(tmp_path / "long.xlsx", export(20_000), merges={"A1:E1": "DANH MỤC"})
    short = workbook(tmp_path / "short.xlsx", [("Tên",), ("Một",)])
    async with running_catalog(tmp_path) as catalog:
        leaving = catalog.stub.ImportServices(requests(long, register=True))
        async for _ in leaving:
            leaving.cancel()
            break
        report = await import_list(catalog, short, register=True)
        assert await journal_length(catalog) == 1

    assert report.counts == {"created": 1}
    assert gc.isenabled()


async def test_health_answers_while_a_long_list_comes_in(tmp_path: Path) -> None:
    """Ten thousand rows are read, decided and written, and who asks meanwhile waits as good as never."""
    file = workbook(tmp_path / "list.xlsx", export(10_000), merges={"A1:E1": "DANH MỤC"})
    async with running_catalog(tmp_path) as catalog:
        health: Any = health_pb2_grpc.HealthStub(catalog.channel)
        coming = asyncio.create_task(import_list(catalog, file, register=True))
        waits = []
        while not coming.done():
            begun = time.monotonic()
            await health.Check(health_pb2.HealthCheckRequest())
            waits.append(time.monotonic() - begun)
            await asyncio.sleep(0.01)
        report = await coming

    assert report.counts == {"created": 10_000}
    assert len(waits) > 20
    # Client, server and whatever else runs share this machine, so now and then one waits for the other.
    assert sorted(waits)[len(waits) // 2] < 0.2
