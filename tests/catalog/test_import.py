"""Lists become services only as they say, all or nothing, and twice changes nothing."""

from pathlib import Path

import pytest

from services.common.cells import guarded
from services.common.sheets import one_line
from services.common.words import Lang, word_error
from tests.support.catalog import create, everything, fill, name, running_catalog
from tests.support.importing import error_name, import_list, journal_length, last_events
from tests.support.lists import export, ministry_export, saved_as, workbook
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import export_pb2, import_pb2, programme_pb2, service_pb2
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


async def test_a_service_of_another_programme_is_told_from_none(tmp_path: Path) -> None:
    """A row that names a service which the programme does not have says so; one that names nothing at all says that."""
    file = workbook(tmp_path / "list.xlsx", [("Mã hệ thống", "Tên"), ("bca-001", "Một")])
    unknown = workbook(tmp_path / "unknown.xlsx", [("Mã hệ thống", "Tên"), ("bca-999", "Hai")])
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog, 2)
        other = programme_pb2.Programme(display_name="Kế hoạch khác", planned_count=5)
        await catalog.stub.CreateProgramme(pb.CreateProgrammeRequest(programme_id="khac", programme=other))
        reports = [await import_list(catalog, file, programme="programmes/khac"), await import_list(catalog, unknown)]
    told = [problem for report in reports for row in report.rows for problem in row.problems]

    assert [error_name(problem) for problem in told] == ["SERVICE_NOT_FOUND"] * 2
    assert [word_error("SERVICE_NOT_FOUND", Lang.EN, problem.metadata) for problem in told] == [
        "Service bca-001 is none of programme khac; name one of that programme, or leave the cell empty.",
        "There is no service bca-999; look for it with: tiendo catalog search.",
    ]


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
