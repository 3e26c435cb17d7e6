"""The workbook, as those who open it find it."""

import io
import re
import zipfile
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from services.common.cells import CELL_LIMIT
from services.common.dates import PartialDate
from services.common.words import Lang
from services.status.report import Format
from services.status.storage import State
from tests.support.office import convert
from tests.support.peers import SEEDED, Peers
from tests.support.reports import HOSTILE, add_autumn, add_service, add_step, held_up, made, seeded, step
from tiendo.catalog.v1 import service_pb2
from tiendo.common.v1 import provenance_pb2

SHEETS = ["Tổng hợp", "Theo lĩnh vực", "Theo cơ quan", "Danh sách dịch vụ", "Lịch sử"]
# Copied by hand from what was agreed.
SUMMARY = ["Nội dung", "Số lượng", "Tỷ lệ (%)", "Kỳ trước", "Tăng, giảm", "Ghi chú"]
GROUPS = ["Kế hoạch", "Đã hoàn thành tích hợp", "Tỷ lệ (%)", "Đang triển khai", "Trong đó vướng mắc", "Chưa rõ ngày"]
GROUPS += ["Tạm ngừng cung cấp", "Đã rút", "Chưa có báo cáo", "Nguồn số liệu"]
SERVICES = ["Số thứ tự", "Mã hệ thống", "Tên dịch vụ", "Mã TTHC", "Lĩnh vực", "Cơ quan", "Cấp thực hiện"]
SERVICES += ["Đối tượng thực hiện", "Mức độ", "Giai đoạn", "Tình trạng", "Ngày hoàn thành", "Chắc chắn từ ngày"]
SERVICES += ["Minh chứng", "Lý do vướng mắc", "Liên kết Cổng Bộ", "Liên kết Cổng DVCQG", "Nguồn số liệu"]
HISTORY = ["Số thứ tự", "Mã hệ thống", "Tên dịch vụ", "Sự kiện", "Từ giai đoạn", "Đến giai đoạn", "Ngày thực hiện"]
HISTORY += ["Thời điểm ghi nhận", "Người ghi nhận", "Lý do", "Minh chứng"]


@pytest.fixture(scope="module")
def seed() -> State:
    """The real programme."""
    return seeded()


@pytest.fixture(scope="module")
def autumn() -> State:
    """The real programme, and an autumn that might have been."""
    return seeded(add_autumn)


def opened(content: bytes) -> dict[str, list[list[object]]]:
    """Give every sheet's rows."""
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {name: [list(row) for row in book.get_sheet_by_name(name).to_python()] for name in book.sheet_names}


def line(rows: list[list[object]], name: str) -> list[object]:
    """Give what stands right of a line's name, where it first stands."""
    return next(row[1:] for row in rows if row[0] == name)


def services(content: bytes) -> dict[object, dict[object, object]]:
    """Give the services by id, each by its headings."""
    rows = opened(content)["Danh sách dịch vụ"]
    return {row[1]: dict(zip(rows[1], row, strict=True)) for row in rows[2:]}


def test_sheets_and_columns_are_those_agreed(seed: State) -> None:
    """Five sheets with the columns of the agreed table, and the same ones in English."""
    book = opened(made(seed, Format.XLSX))
    english = opened(made(seed, Format.XLSX, Lang.EN))

    assert list(book) == SHEETS
    assert SUMMARY in book["Tổng hợp"]
    assert book["Theo lĩnh vực"][1] == ["STT", "Lĩnh vực", *GROUPS]
    assert book["Theo cơ quan"][1] == ["STT", "Cơ quan", *GROUPS]
    assert book["Danh sách dịch vụ"][1] == SERVICES
    assert book["Lịch sử"][1] == HISTORY
    assert list(english) == ["Summary", "By field", "By agency", "Services", "History"]
    assert english["Summary"][0][0] == "227 online public services of the Ministry of Public Security"
    assert [len(rows[1]) for rows in english.values()] == [len(rows[1]) for rows in book.values()]


def test_the_summary_says_what_it_is_of_and_where_it_comes_from(seed: State) -> None:
    """Programme, as of, target; the lines add up to the plan; source and data reference at the end."""
    rows = opened(made(seed, Format.XLSX))["Tổng hợp"]
    texts = [str(row[0]) for row in rows]

    assert texts[:3] == [
        "227 dịch vụ công trực tuyến của Bộ Công an",
        "Số liệu tính đến 09/2022",
        "Mục tiêu: hoàn thành tích hợp trong năm 2022",
    ]
    first = texts.index("Số dịch vụ trong kế hoạch")
    assert [row[:2] for row in rows[first : first + 8]] == [
        ["Số dịch vụ trong kế hoạch", 227],
        ["Đã hoàn thành tích hợp", 11],
        ["Đang triển khai", 0],
        ["trong đó vướng mắc", 0],
        ["Chưa rõ ngày", 0],
        ["Tạm ngừng cung cấp", 0],
        ["Đã rút khỏi kế hoạch", 0],
        ["Chưa có báo cáo", 216],
    ]
    assert [row[2] for row in rows[first : first + 8]] == [100, 4.85, 0, 0, 0, 0, 0, 95.15]
    assert {(row[3], row[4]) for row in rows[first : first + 8]} == {("–", "–")}
    assert rows[first + 7][5] == "không có nghĩa là chưa thực hiện"
    assert texts[-2].startswith("Nguồn: Báo cáo về chương trình phối hợp công tác dân vận năm 2022")
    assert texts[-1].startswith("Mã số liệu: ")
    assert "Cách hiểu các dòng" in texts


def test_a_day_to_compare_with_fills_its_columns(autumn: State) -> None:
    """Before and change are those of the same question on the earlier day."""
    content = made(autumn, Format.XLSX, as_of=PartialDate(2022, 10), compare=PartialDate(2022, 9, 29))
    rows = opened(content)["Tổng hợp"]

    assert [row[0] for row in rows if str(row[0]).startswith("So với")] == ["So với kỳ trước: 29/09/2022"]
    # On the last day but one of the month the 11 may be complete or not, and bca-014 was not switched off yet.
    assert line(rows, "Đã hoàn thành tích hợp")[:4] == [12, 5.29, 1, 11]
    assert line(rows, "Chưa rõ ngày")[:4] == [0, 0, 11, -11]
    assert line(rows, "Tạm ngừng cung cấp")[:4] == [1, 0.44, 0, 1]


def test_a_question_says_what_it_leaves_out(autumn: State) -> None:
    """A filter and an earlier knowledge stand above the figures."""
    known_at = SEEDED + timedelta(seconds=228)
    rows = opened(made(autumn, Format.XLSX, filter='field = "Đăng ký, quản lý cư trú"', known_at=known_at))["Tổng hợp"]
    texts = [str(row[0]) for row in rows[:6]]

    assert "Theo những gì đã ghi nhận đến 14/06/2024 08:03:48" in texts
    assert 'Chỉ gồm các dịch vụ khớp điều kiện: field = "Đăng ký, quản lý cư trú"' in texts
    assert line(rows, "Số dịch vụ trong kế hoạch")[0] == 3


def test_groups_add_up_and_say_how_they_were_made(autumn: State) -> None:
    """The lines of a group sheet add up to its last one, what is not known is a line, guesses are marked."""
    for sheet, unknown in (("Theo lĩnh vực", "Chưa rõ lĩnh vực"), ("Theo cơ quan", "Chưa rõ cơ quan")):
        rows = opened(made(autumn, Format.XLSX))[sheet][2:]
        *groups, total = rows
        assert total[1] == "Tổng cộng"
        assert groups[-1][1] == unknown
        for column in (2, 3, 5, 6, 7, 8, 9, 10):
            assert sum(int(str(row[column]).partition(".")[0]) for row in groups) == total[column]
    sources = {row[1]: row[11] for row in opened(made(autumn, Format.XLSX))["Theo lĩnh vực"]}
    assert sources["Quản lý xuất nhập cảnh"] == "Suy luận"
    assert {row[1]: row[11] for row in rows}["Cục Cảnh sát quản lý hành chính về trật tự xã hội"] == "Nhập từ danh mục"


def test_a_service_line_holds_what_is_known(autumn: State) -> None:
    """Codes are texts, the day of completion as reported, the certain day a real date."""
    found = services(made(autumn, Format.XLSX, as_of=PartialDate(2022, 10)))

    assert found["bca-001"]["Tên dịch vụ"] == "Cấp, cấp lại, sửa đổi, bổ sung hộ chiếu phổ thông"
    assert found["bca-001"]["Ngày hoàn thành"] == "đến 09/2022"
    assert found["bca-001"]["Chắc chắn từ ngày"] == date(2022, 9, 30)
    assert found["bca-001"]["Nguồn số liệu"].startswith("Theo tài liệu nguồn: Tên dịch vụ; Suy luận: ")  # type: ignore[attr-defined]
    assert found["bca-012"] == {
        "Số thứ tự": 12,
        "Mã hệ thống": "bca-012",
        "Tên dịch vụ": "Đăng ký tạm trú",
        "Mã TTHC": "1.003290; 2.001100",
        "Lĩnh vực": "Đăng ký, quản lý cư trú",
        "Cơ quan": "Cục Cảnh sát quản lý hành chính về trật tự xã hội",
        "Cấp thực hiện": "tỉnh; xã",
        "Đối tượng thực hiện": "công dân",
        "Mức độ": "toàn trình",
        "Giai đoạn": "Đã hoàn thành tích hợp",
        "Tình trạng": "Đã hoàn thành tích hợp",
        "Ngày hoàn thành": "05/10/2022",
        "Chắc chắn từ ngày": date(2022, 10, 5),
        "Minh chứng": "12/BC-C06",
        "Lý do vướng mắc": "",
        "Liên kết Cổng Bộ": "",
        "Liên kết Cổng DVCQG": "",
        "Nguồn số liệu": "Nhập từ danh mục; Suy luận: Lĩnh vực",
    }
    assert (found["bca-013"]["Tình trạng"], found["bca-013"]["Lý do vướng mắc"]) == ("Đang vướng mắc", "chờ kết nối")
    assert found["bca-014"]["Tình trạng"] == "Tạm ngừng cung cấp"
    assert found["bca-015"]["Tình trạng"] == "Đã rút khỏi kế hoạch"
    assert (found["bca-016"]["Ngày hoàn thành"], found["bca-016"]["Tình trạng"]) == ("", "Chưa có báo cáo")
    assert found["bca-227"]["Tên dịch vụ"] == "Mục số 227 (chưa có tên)"


@pytest.mark.parametrize("as_of", [PartialDate(2022, 9, 15), PartialDate(2022, 9), PartialDate(2022, 10)])
def test_every_line_of_the_summary_can_be_counted_in_the_list(autumn: State, as_of: PartialDate) -> None:
    """The services' "Tình trạng" are the summary's lines: filtering the list gives each number again."""
    book = opened(made(autumn, Format.XLSX, as_of=as_of))
    listed = Counter(row[10] for row in book["Danh sách dịch vụ"][2:])
    listed["Đang triển khai"] += listed["Đang vướng mắc"]
    rows = [
        row for row in book["Tổng hợp"] if isinstance(row[1], float) and row[0] in listed | Counter(["Chưa rõ ngày"])
    ]

    assert rows
    for row in rows:
        assert listed[row[0]] == row[1], row


def test_history_tells_each_entry(autumn: State) -> None:
    """What, from which stage to which, when, recorded when and by whom; a correction names what it is about."""
    rows = [row for row in opened(made(autumn, Format.XLSX, as_of=PartialDate(2022, 10)))["Lịch sử"][2:] if row[0] > 11]  # type: ignore[operator]
    told = [(row[1], row[3], row[4], row[5], row[6]) for row in rows]

    assert told[0] == (
        "bca-012",
        "Hoàn thành tích hợp",
        "Đã rà soát, lựa chọn",
        "Đã hoàn thành tích hợp",
        date(2022, 10, 5),
    )
    assert told[1] == ("bca-013", "Chuyển giai đoạn", "Đã rà soát, lựa chọn", "Đã xây dựng", "08/2022")
    assert told[2] == ("bca-013", "Phát sinh vướng mắc", "", "", date(2022, 9, 20))
    assert told[-2][1] == "Hoàn thành tích hợp (đã hủy)"
    assert told[-1][:4] == (
        "bca-016",
        "Đính chính: hủy “Hoàn thành tích hợp” (15/09/2022)",
        "Đã hoàn thành tích hợp",
        "Đã rà soát, lựa chọn",
    )
    assert isinstance(rows[0][7], datetime)
    assert (rows[0][8], rows[1][9], rows[2][9]) == ("vt", "", "chờ kết nối")
    # What happened after the day asked about is not a part of what the report says of that day.
    before = opened(made(autumn, Format.XLSX, as_of=PartialDate(2022, 9)))["Lịch sử"]
    assert "bca-012" not in {row[1] for row in before}


def test_a_workbook_prints_and_filters(seed: State) -> None:
    """A4 across, as wide as the paper, headings on every page and in sight, numbered pages, a filter on each list."""
    book = zipfile.ZipFile(io.BytesIO(made(seed, Format.XLSX)))
    sheets = [book.read(f"xl/worksheets/sheet{number}.xml").decode() for number in range(1, 6)]

    for sheet in sheets:
        assert 'orientation="landscape"' in sheet
        assert 'paperSize="9"' in sheet
        assert "<pane ySplit=" in sheet
        assert 'fitToPage="1"' in sheet
        assert "Trang &amp;P/&amp;N" in sheet
    assert all("<autoFilter " in sheet for sheet in sheets[1:])
    assert book.read("xl/workbook.xml").decode().count("_xlnm.Print_Titles") == 4
    assert "xl/charts/chart1.xml" in book.namelist()


def test_the_same_state_gives_the_same_bytes(seed: State) -> None:
    """Made twice, a file is byte for byte the same, dated by the state and with no word of the machine."""
    first, second = (made(seed, Format.XLSX) for _ in range(2))
    core = zipfile.ZipFile(io.BytesIO(first)).read("docProps/core.xml").decode()

    assert first == second
    assert seed.head.recorded_time.strftime("%Y-%m-%dT%H:%M:%SZ") in core
    assert "<dc:creator>Bộ Công an</dc:creator>" in core


@settings(max_examples=8)
@given(texts=st.lists(HOSTILE, min_size=30, max_size=30))
def test_hostile_texts_survive(texts: list[str]) -> None:
    """Whatever reasons hold, the workbook is whole, each cell is a text, and it is that text."""
    content = made(held_up(texts), Format.XLSX)
    sheets = zipfile.ZipFile(io.BytesIO(content))

    found = [row[14] for row in opened(content)["Danh sách dịch vụ"][2:]]

    # XML has no way to say the two characters that are none.
    assert found == [re.sub("[\ufffe\uffff]", "\ufffd", text) for text in texts]
    assert all(b"<f>" not in sheets.read(name) for name in sheets.namelist() if "worksheets" in name)
    assert all(b"hyperlink" not in sheets.read(name) for name in sheets.namelist() if "worksheets" in name)


def test_a_text_too_long_for_a_cell_is_cut_with_a_mark() -> None:
    """Evidence beyond what a cell holds ends in a mark, and the workbook opens."""

    def add(peers: Peers) -> None:
        done = step(1, "ADVANCED", "2022-08", to="INTEGRATED", note="đ" * 2000)
        done.evidence.extend([done.evidence[0]] * 19)
        add_step(peers, "bca-020", "integration_advanced", done)

    text = services(made(seeded(add), Format.XLSX))["bca-020"]["Minh chứng"]

    assert len(str(text)) == CELL_LIMIT
    assert str(text).endswith("đ … (đã cắt bớt)")


def test_a_day_before_the_calendar_of_spreadsheets_is_a_text() -> None:
    """What happened before 1901 is shown as it was, for spreadsheets have no such days."""

    def add(peers: Peers) -> None:
        add_step(peers, "bca-020", "integration_advanced", step(1, "ADVANCED", "1887-05-03", to="INTEGRATED"))

    found = services(made(seeded(add), Format.XLSX))["bca-020"]

    assert (found["Ngày hoàn thành"], found["Chắc chắn từ ngày"]) == ("03/05/1887", "03/05/1887")


def test_many_sources_are_cut_short() -> None:
    """Six documents are cited, and a sign says that there are more."""

    def add(peers: Peers) -> None:
        for number in range(20, 30):
            service = service_pb2.Service(
                name=f"services/bca-{number:03}",
                memberships=[service_pb2.Membership(programme="programmes/bca-2022", plan_number=number)],
                provenance=[
                    provenance_pb2.Provenance(
                        kind=provenance_pb2.PROVENANCE_KIND_SOURCE_DOCUMENT, citation=f"Văn bản {number}: mục 1."
                    )
                ],
            )
            add_service(peers, service, updated=True)
            done = step(1, "ADVANCED", "2022-08", to="INTEGRATED")
            add_step(peers, f"bca-{number:03}", "integration_advanced", done)

    texts = [str(row[0]) for row in opened(made(seeded(add), Format.XLSX))["Tổng hợp"]]

    assert [text for text in texts if text.startswith("Nguồn: ")][1:] == [
        *(f"Nguồn: Văn bản {number}: mục 1." for number in range(20, 25)),
        "Nguồn: …",
    ]


def test_an_office_program_keeps_it(autumn: State, tmp_path: Path) -> None:
    """Opened and saved by LibreOffice, codes keep their digits, days are days, and every letter is there."""
    made(autumn, Format.XLSX, folder=tmp_path, as_of=PartialDate(2022, 10))
    file = tmp_path / "bca-2022-2022-10.xlsx"

    saved = convert(file, "xlsx:Calc MS Excel 2007 XML", tmp_path)

    before, after = opened(file.read_bytes()), opened(saved.read_bytes())
    assert list(after) == SHEETS
    rows = {row[1]: row for row in after["Danh sách dịch vụ"]}
    assert rows["bca-012"][3] == "1.003290; 2.001100"
    assert rows["bca-012"][11:13] == ["05/10/2022", date(2022, 10, 5)]
    assert rows["bca-001"][11:13] == ["đến 09/2022", date(2022, 9, 30)]
    for sheet in SHEETS[1:]:
        width = len(before[sheet][1])
        assert [row[:width] for row in after[sheet]] == before[sheet]
