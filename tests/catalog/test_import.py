"""Lists become services only as they say, all or nothing, and twice changes nothing."""

import asyncio
import gc
import json
import time
import unicodedata
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.catalog.importing import receiving, running
from services.catalog.importing import report as reporting
from services.catalog.wire import service_etag
from services.common.cells import guarded
from services.common.sheets import one_line
from tests.support.catalog import create, everything, fill, name, refusal, running_catalog
from tests.support.importing import import_list, journal_length, last_events, requests
from tests.support.lists import HEADINGS, export, ministry_export, saved_as, workbook
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import export_pb2, import_pb2, service_pb2
from tiendo.common.v1 import provenance_pb2


async def test_a_ministry_export_becomes_a_register(tmp_path: Path) -> None:
    """339 procedures in 23 fields, 140 without an agency, come in by one call, no code altered; twice changes nothing."""
    file = ministry_export(tmp_path / "danh-muc.xlsx")
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog)
        first = await import_list(catalog, file, register=True)
        after = await journal_length(catalog)
        again = await import_list(catalog, file, register=True)
        ids = await everything(catalog, pb.ListServicesRequest(programme="programmes/-", page_size=1000))
        found = await catalog.stub.BatchGetServices(
            pb.BatchGetServicesRequest(names=[f"services/{each}" for each in ids if each.startswith("tthc-")])
        )
        members = await everything(catalog, pb.ListServicesRequest(programme="programmes/bca-2022"))
        events = await last_events(catalog, after - 339)

        assert await journal_length(catalog) == after

    rows = export()[2:]
    assert first.counts == {"created": 339}
    assert (first.summary.applied, first.summary.header_row, first.summary.format) == (True, 2, "xlsx")
    assert first.phases == {"IMPORT_PHASE_READING", "IMPORT_PHASE_APPLYING"}
    assert (again.counts, again.summary.applied) == ({"unchanged": 339}, True)
    assert sorted(service.procedure_codes[0].code for service in found.services) == sorted(row[0] for row in rows)
    by_code = {service.procedure_codes[0].code: service for service in found.services}
    for row in rows:
        service = by_code[row[0]]
        assert (service.display_name, service.field) == (one_line(row[1]), row[4])
        assert [each.agency for each in service.agencies] == ([row[3]] if row[3] else [])
    assert len({service.field for service in found.services}) == 23
    assert members == ["bca-001", "bca-002", "bca-003"]
    assert [event.WhichOneof("event") for event in events] == ["service_created"] * 339
    assert [event.service_created.service.procedure_codes[0].code for event in events] == [row[0] for row in rows]
    cited = found.services[0].provenance[0]
    assert cited.kind == provenance_pb2.PROVENANCE_KIND_IMPORTED
    assert first.summary.digest in cited.citation
    assert "danh-muc.xlsx, Danh mục, dòng " in cited.citation


async def test_codes_turned_into_numbers_are_refused_row_by_row(tmp_path: Path) -> None:
    """The same list with numeric codes: all 339 rows are rejected, each with sheet and cell, and nothing is applied."""
    file = ministry_export(tmp_path / "danh-muc.xlsx", codes_as_numbers=True)
    async with running_catalog(tmp_path) as catalog:
        report = await import_list(catalog, file, register=True)
        assert await journal_length(catalog) == 0

    assert (report.counts, report.summary.applied, report.summary.revision) == ({"rejected": 339}, False, "")
    assert report.problems() == [(row, "NUMBER_AS_CODE", f"A{row}") for row in range(3, 342)]
    assert report.rows[0].problems[0].metadata["sheet"] == "Danh mục"
    assert "store the column as text" in report.rows[0].problems[0].message


async def test_the_same_list_in_another_format_changes_nothing(tmp_path: Path) -> None:
    """What an office program saves of an imported list says the same of every service."""
    file = ministry_export(tmp_path / "danh-muc.xlsx")
    [other] = saved_as("ods", tmp_path, file)
    async with running_catalog(tmp_path) as catalog:
        await import_list(catalog, file, register=True)
        report = await import_list(catalog, other, register=True)

    assert report.counts == {"unchanged": 339}


async def test_an_explicit_mapping_fills_the_slots(tmp_path: Path) -> None:
    """216 rows for 216 slots: the dry run says what will happen and does nothing, the import does it, ids and numbers stay."""
    rows = export(216)
    file = workbook(tmp_path / "list.xlsx", rows, merges={"A1:E1": "DANH MỤC"})
    matches = [import_pb2.RowMatch(number=row, plan_number=row + 9) for row in range(3, 219)]
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog, 227)
        for number in range(1, 12):
            await name(catalog, f"bca-{number:03}", f"Dịch vụ mẫu {'abcdefghijk'[number - 1]}")
        before = await journal_length(catalog)
        dry = await import_list(catalog, file, matches=matches, dry_run=True)
        assert await journal_length(catalog) == before
        done = await import_list(catalog, file, matches=matches)
        again = await import_list(catalog, file)
        events = await last_events(catalog, before)
        found = await catalog.stub.GetService(pb.GetServiceRequest(name="services/bca-012"))

    assert (dry.counts, dry.summary.applied) == ({"named": 216}, False)
    assert (done.counts, done.summary.applied, done.rows) == ({"named": 216}, True, dry.rows)
    assert again.counts == {"unchanged": 216}
    assert [event.WhichOneof("event") for event in events] == ["service_named"] * 216
    assert [event.service_named.service.name for event in events] == [f"services/bca-{n:03}" for n in range(12, 228)]
    assert found.service.memberships[0].plan_number == 12
    assert found.service.display_name == rows[2][1]
    assert {entry.field for entry in found.service.provenance} == {"display_name", "procedure_codes", "field"}


async def test_a_row_is_never_a_service_by_likeness(tmp_path: Path) -> None:
    """By code, then by exact name; what only looks alike, and what is new, is rejected with a suggestion to confirm."""
    rows = [
        ("Mã số", "Tên", "Lĩnh vực"),
        ("1.000010", "Tên khác hẳn", "Một"),
        ("", "ĐĂNG  KÝ thường trú", "Hai"),
        ("", "Cấp lại, đổi thẻ mẫu thử nghiệm nhỏ", "Ba"),
        ("1.000020", "Hoàn toàn mới", "Bốn"),
    ]
    file = workbook(tmp_path / "list.xlsx", rows)
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog, 4)
        code = service_pb2.ProcedureCode(code="1.000010")
        await name(catalog, "bca-001", "Khai báo mẫu", procedure_codes=[code])
        await name(catalog, "bca-002", "Đăng ký thường trú")
        await name(catalog, "bca-003", "Cấp đổi thẻ mẫu thử nghiệm nhỏ")
        report = await import_list(catalog, file)
        accepted = [
            import_pb2.RowMatch(number=4, service="bca-003"),
            import_pb2.RowMatch(code="1.000020", service="bca-004"),
        ]
        done = await import_list(catalog, file, matches=accepted)

    assert report.counts == {"changed": 2, "rejected": 2}
    assert [row.service for row in report.rows[:2]] == ["services/bca-001", "services/bca-002"]
    assert report.problems() == [(4, "NOT_CONFIRMED", "4"), (5, "NOT_CONFIRMED", "5")]
    assert [row.suggestion for row in report.rows[2:]] == ["services/bca-003", "services/bca-004"]
    assert [change.field for change in report.rows[1].changes] == ["field"]
    assert done.counts == {"changed": 3, "named": 1}


async def test_more_rows_than_places_are_refused(tmp_path: Path) -> None:
    """A programme takes new rows while places are free, and not one more."""
    rows = [("Mã số", "Tên"), *((f"1.{n:06d}", f"Mẫu {word}") for n, word in enumerate(("một", "hai", "ba", "bốn")))]
    file = workbook(tmp_path / "list.xlsx", rows)
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog, 1, planned=4)
        await name(catalog, "bca-001", "Có sẵn")
        full = await import_list(catalog, file)
        fits = workbook(tmp_path / "fits.xlsx", rows[:4])
        done = await import_list(catalog, fits)
        ids = await everything(catalog, pb.ListServicesRequest())

    assert full.counts == {"created": 3, "rejected": 1}
    assert full.problems() == [(5, "PLAN_CONFLICT", "5")]
    assert done.counts == {"created": 3}
    assert ids == ["bca-001", "bca-2022-002", "bca-2022-003", "bca-2022-004"]


async def test_rows_that_repeat_are_found(tmp_path: Path) -> None:
    """One code twice, one name in two spellings: rejected with the earlier row; word for word again: skipped once."""
    rows = [
        ("Mã số", "Tên"),
        ("1.000010", "Một"),
        ("1.000010", "Hai"),
        ("", "Đăng ký tạm trú"),
        ("", "đăng ký  TẠM TRÚ"),
        ("1.000010", "Một"),
        ("1.000030", "Cùng tên"),
        ("1.000040", "Cùng tên"),
    ]
    async with running_catalog(tmp_path) as catalog:
        report = await import_list(catalog, workbook(tmp_path / "list.xlsx", rows), register=True)

    assert report.problems() == [(3, "DUPLICATE_ROW", "A3"), (5, "DUPLICATE_ROW", "B5")]
    assert report.counts == {"created": 4, "rejected": 2, "skipped": 1}


async def test_one_name_in_both_unicode_forms_is_one_record(tmp_path: Path) -> None:
    """Imported in NFC and again in NFD: one service, found by either form."""
    nfd = unicodedata.normalize("NFD", "Đăng ký tạm trú")
    async with running_catalog(tmp_path) as catalog:
        await import_list(catalog, workbook(tmp_path / "a.xlsx", [("Tên",), ("Đăng ký tạm trú",)]), register=True)
        again = await import_list(catalog, workbook(tmp_path / "b.xlsx", [("Tên",), (nfd,)]), register=True)
        search = pb.SearchServicesRequest(query=nfd, programme="programmes/-")
        [found] = (await catalog.stub.SearchServices(search)).services

    assert again.counts == {"unchanged": 1}
    assert found.display_name == unicodedata.normalize("NFC", nfd)


@pytest.mark.parametrize(
    ("row", "reason", "cell"),
    [
        (("1.00329", "Một", ""), "INVALID_VALUE", "A2"),
        (("1.003290", "Một\1hai", ""), "INVALID_CHARACTER", "B2"),
        (("1.003290", "x" * 1001, ""), "TEXT_TOO_LONG", "B2"),
        (("x" * 300, "Một", ""), "INVALID_VALUE", "A2"),
        (("1.003290", "Một", "Mức độ lạ"), "UNKNOWN_VALUE", "C2"),
        (("1.003290", "", ""), "MISSING_VALUE", "B2"),
    ],
)
async def test_what_the_rules_forbid_is_named_by_its_cell(
    tmp_path: Path, row: tuple[str, ...], reason: str, cell: str
) -> None:
    """A value that no other way in would take is rejected here too, with the cell; nothing is stored."""
    keys = ("Mã số", "Tên", "Mức độ")
    file = tmp_path / "list.csv"
    file.write_bytes(("Mã số;Tên;Mức độ\r\n" + ";".join(row) + "\r\n").encode())
    async with running_catalog(tmp_path) as catalog:
        report = await import_list(catalog, file, register=True)
        as_json = tmp_path / "list.json"
        as_json.write_text(json.dumps([dict(zip(keys, row, strict=True))]))
        other = await import_list(catalog, as_json, register=True)
        assert await journal_length(catalog) == 0

    assert report.problems() == [(2, reason, cell)]
    assert [each[:2] for each in other.problems()] == [(1, reason)]


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


async def test_values_that_others_brought_keep_their_source(tmp_path: Path) -> None:
    """Only what the list changes cites the list; an empty cell takes nothing away, and codes are added, not replaced."""
    rows = [HEADINGS, ("1.000010", "Đăng ký mẫu", "", "", "Lĩnh vực mới")]
    inferred = provenance_pb2.Provenance(kind=provenance_pb2.PROVENANCE_KIND_INFERRED, citation="suy luận")
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog, 0)
        await create(
            catalog,
            1,
            "Đăng ký mẫu",
            agencies=[service_pb2.Agency(agency="Cục A")],
            procedure_codes=[service_pb2.ProcedureCode(code="1.000099")],
            provenance=[inferred],
        )
        match = [import_pb2.RowMatch(number=2, plan_number=1)]
        report = await import_list(catalog, workbook(tmp_path / "list.xlsx", rows), matches=match)
        found = (await catalog.stub.GetService(pb.GetServiceRequest(name="services/bca-001"))).service

    assert [(change.field, change.before, change.after) for change in report.rows[0].changes] == [
        ("field", "", "Lĩnh vực mới"),
        ("procedure_codes", "1.000099", "1.000099; 1.000010"),
    ]
    assert [each.agency for each in found.agencies] == ["Cục A"]
    assert [(entry.field, entry.kind) for entry in found.provenance] == [
        ("", provenance_pb2.PROVENANCE_KIND_INFERRED),
        ("field", provenance_pb2.PROVENANCE_KIND_IMPORTED),
        ("procedure_codes", provenance_pb2.PROVENANCE_KIND_IMPORTED),
    ]


async def test_columns_of_a_list_say_all_that_a_service_holds(tmp_path: Path) -> None:
    """Level, audience, online level, channel and gloss are read, several in a cell; defaults stand for empty cells."""
    headings = (
        "STT",
        "Tên thủ tục",
        "Cấp thực hiện",
        "Đối tượng thực hiện",
        "Mức độ",
        "Cách thức thực hiện",
        "Lĩnh vực",
    )
    rows = [
        headings,
        (
            1,
            "Mẫu một",
            "Cấp Bộ, Cấp Tỉnh",
            "Công dân;\nTổ chức (không gồm hợp tác xã, khác)",
            "Toàn trình",
            "Trực tuyến",
            "",
        ),
        (2, "Mẫu hai", "", "", "Mức độ 3", "", "Riêng"),
    ]
    async with running_catalog(tmp_path) as catalog:
        report = await import_list(
            catalog,
            workbook(tmp_path / "list.xlsx", rows),
            register=True,
            defaults={"field": "Chung", "level": "Cấp Xã"},
        )
        names = [row.service for row in report.rows]
        one, two = (await catalog.stub.BatchGetServices(pb.BatchGetServicesRequest(names=names))).services

    assert list(report.summary.unused_columns) == ["STT"]
    assert (list(one.levels), list(two.levels)) == (["Cấp Bộ", "Cấp Tỉnh"], ["Cấp Xã"])
    assert list(one.audiences) == ["Công dân", "Tổ chức (không gồm hợp tác xã, khác)"]
    assert (one.online_levels[0].level, two.online_levels[0].level) == ("TOAN_TRINH", "3")
    assert (one.field, two.field) == ("Chung", "Riêng")


async def test_a_zero_character_in_a_name_is_refused(tmp_path: Path) -> None:
    """U+0000, which one database takes and the other does not, reaches neither."""
    file = tmp_path / "list.json"
    file.write_text('[{"name": "M\\u0000t"}]')
    async with running_catalog(tmp_path) as catalog:
        report = await import_list(catalog, file, register=True)

    assert report.problems() == [(1, "INVALID_CHARACTER", "[1].name")]


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


async def test_a_file_of_ours_comes_back_without_a_change(tmp_path: Path) -> None:
    """Slots "not yet named" and guarded names say nothing new; a number of another service is a contradiction."""
    names = ("=SUM(A1)", "'Tên trong nháy", "+84 mẫu", "Mẫu thường")
    headings = "Số thứ tự trong kế hoạch,Mã hệ thống,Tên dịch vụ,Mã TTHC,Cơ quan,Mức độ"
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog, 0)
        agencies = [service_pb2.Agency(agency="Cục A"), service_pb2.Agency(agency="Cục B")]
        for number, each in enumerate(names, start=1):
            await create(catalog, number, each, agencies=agencies)
        await create(catalog, 5)
        lines = [f'{n},bca-{n:03},"{guarded(each)}",,Cục A; Cục B,' for n, each in enumerate(names, start=1)]
        file = tmp_path / "services.csv"
        file.write_text("\r\n".join([headings, *lines, "5,bca-005,Mục số 5 (chưa có tên),,,"]), encoding="utf-8-sig")
        same = await import_list(catalog, file)
        file.write_text(f"{headings}\r\n2,bca-001,,,,Toàn trình", encoding="utf-8-sig")
        contradiction = await import_list(catalog, file)
        file.write_text(f"{headings}\r\n5,bca-005,,,,Toàn trình", encoding="utf-8-sig")
        slot = await import_list(catalog, file)
        found = (await catalog.stub.GetService(pb.GetServiceRequest(name="services/bca-005"))).service

    assert same.counts == {"unchanged": 5}, same.problems()
    assert contradiction.problems() == [(2, "AMBIGUOUS_ROW", "2")]
    assert (slot.counts, found.naming) == ({"changed": 1}, service_pb2.NAMING_SLOT)


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


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("language", ["VIETNAMESE", "ENGLISH"])
async def test_an_export_comes_back_without_a_change(tmp_path: Path, form: str, language: str) -> None:
    """Services as they are handed on, formula-like names and slots among them, are the ones that are there."""
    asked = pb.ExportServicesRequest(
        format=export_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{form.upper()}"),
        language=export_pb2.ExportLanguage.Value(f"EXPORT_LANGUAGE_{language}"),
    )
    level = service_pb2.OnlineLevel(scheme=service_pb2.ONLINE_LEVEL_SCHEME_ND42_2022, level="TOAN_TRINH")
    told = {
        "english_gloss": "Sample",
        "field": "Lĩnh vực thử",
        "levels": ["Bộ", "Tỉnh"],
        "audiences": ["Công dân", "Tổ chức"],
        "channels": ["Trực tuyến"],
        "online_levels": [level],
        "agencies": [service_pb2.Agency(agency="Cục A"), service_pb2.Agency(agency="Cục B")],
        "procedure_codes": [service_pb2.ProcedureCode(code="1.003290"), service_pb2.ProcedureCode(code="1.003300")],
    }
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog, 2)
        await create(catalog, 3, "=SUM(A1)")
        await create(catalog, 4, "Mẫu đủ", **told)
        file = tmp_path / f"services.{form}"
        file.write_bytes(b"".join([part.chunk async for part in catalog.stub.ExportServices(asked)]))
        report = await import_list(catalog, file)

    assert report.counts == {"unchanged": 4}, report.problems()


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
    # Client and server share this one process and its interpreter, so now and then one waits for the other.
    assert sorted(waits)[len(waits) * 9 // 10] < 0.2
    assert max(waits) < 1.5


async def test_json_of_another_kind_in_a_cell_is_named(tmp_path: Path) -> None:
    """Objects where a text belongs, or that are not the contract's, are problems of their cells; what is not used may be any."""
    file = tmp_path / "list.json"
    rows = [
        {"name": {"vi": "Một"}},
        {"name": "Hai", "code": [{"code": "1.003290", "colour": "red"}]},
        {"name": "Ba", "code": [{"code": "1.00329"}]},
        {"name": "Bốn", "level": ["Tỉnh", {"x": 1}]},
        {"name": "Năm", "agency": [{"agency": "Cục A", "validFrom": {"year": 2020, "month": 13}}]},
        {"name": "Sáu", "level": ["Tỉnh, xã"], "code": ["1.003300"], "else": {"deep": [1]}},
    ]
    file.write_text(json.dumps(rows))
    async with running_catalog(tmp_path) as catalog:
        report = await import_list(catalog, file, register=True)

    assert [problem for problem in report.problems() if problem[0] != 6] == [
        (1, "INVALID_VALUE", "[1].name"),
        (2, "INVALID_VALUE", "[2].code"),
        (3, "INVALID_VALUE", "[3].code"),
        (4, "INVALID_VALUE", "[4].level"),
        (5, "INVALID_DATE", "[5].agency"),
    ]
    assert report.counts == {"rejected": 5, "created": 1}


async def test_a_list_brings_its_ids_only_where_nothing_is_yet(tmp_path: Path) -> None:
    """Into an empty programme, under its ids and numbers; elsewhere an unknown id stays a mistake; none is taken twice."""
    first, typo = tmp_path / "first.csv", tmp_path / "typo.csv"
    headings = "Mã hệ thống;Số trong kế hoạch;Tên\n"
    first.write_text(f"{headings}m-2;2;Mẫu hai\nm-3;;\nm-1;1;Mẫu một\n", encoding="utf-8")
    typo.write_text(f"{headings}m-4;;Mẫu bốn\n", encoding="utf-8")
    full, twice = tmp_path / "full.csv", tmp_path / "twice.csv"
    full.write_text(headings + "".join(f"n-{n};;Mẫu {n}\n" for n in range(5)), encoding="utf-8")
    twice.write_text(f"{headings}n-1;1;Mẫu\nn-2;1;Mẫu khác\nn-3;9;Mẫu nữa\n", encoding="utf-8")
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog, 0, planned=4)
        refused = [await import_list(catalog, each) for each in (full, twice)]
        made = await import_list(catalog, first)
        same = await import_list(catalog, first)
        other = await import_list(catalog, typo)
        found = (await catalog.stub.ListServices(pb.ListServicesRequest())).services

    assert [report.problems() for report in refused] == [
        [(6, "PLAN_CONFLICT", "6")],
        [(2, "AMBIGUOUS_ROW", "2"), (3, "AMBIGUOUS_ROW", "3"), (4, "PLAN_CONFLICT", "4")],
    ]
    assert (made.counts, same.counts) == ({"created": 3}, {"unchanged": 3})
    assert other.problems() == [(2, "SERVICE_NOT_FOUND", "2")]
    assert [(each.name, each.memberships[0].plan_number, each.display_name) for each in found] == [
        ("services/m-1", 1, "Mẫu một"),
        ("services/m-2", 2, "Mẫu hai"),
        ("services/m-3", 0, ""),
    ]
