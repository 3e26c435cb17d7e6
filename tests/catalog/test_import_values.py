"""What the cells of a list say of a service: taken, kept with its source, or refused by the cell."""

import json
import unicodedata
from pathlib import Path

import pytest

from tests.support.catalog import create, fill, running_catalog
from tests.support.importing import import_list, journal_length
from tests.support.lists import HEADINGS, workbook
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import import_pb2, service_pb2
from tiendo.common.v1 import provenance_pb2


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
