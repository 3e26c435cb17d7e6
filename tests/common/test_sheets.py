"""Lists are read as they stand: formats, headers, merged cells, numbers, notes."""

import unicodedata
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.cells import guarded
from services.common.errors import Reason, Refusal
from services.common.sheets import Kind, cell_name, one_line, texts, workbooks
from services.common.sheets.container import Look
from tests.support.lists import (
    HEADINGS,
    csv_text,
    export,
    json_text,
    ministry_export,
    pairs,
    read,
    saved_as,
    workbook,
)

ROWS = (("Mã thủ tục", "Tên"), ("1.003290", "Cấp, đổi; thử"), ("2.000100", 'Tên "trong" ngoặc\nhai dòng'))
CLEAN = [("1.003290", "Cấp, đổi; thử"), ("2.000100", 'Tên "trong" ngoặc hai dòng')]
EXPORTED = [(code, one_line(name), agency) for code, name, _, agency, _ in export()[2:]]


def refused(path: Path, given: dict[str, str] | None = None) -> Refusal:
    """Read a list that must be refused."""
    with pytest.raises(Refusal) as caught:
        read(path, given)
    return caught.value


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_csv_of_every_kind_is_recognised(tmp_path: Path, delimiter: str, encoding: str) -> None:
    """Delimiter and encoding are found by themselves, with a byte order mark or without; the header is known in each."""
    file = tmp_path / "list.csv"
    file.write_bytes(csv_text(ROWS, delimiter).encode(encoding))

    assert pairs(file) == CLEAN


def test_a_csv_that_names_its_delimiter(tmp_path: Path) -> None:
    """The line sep=; that Excel writes is no row of the list."""
    file = tmp_path / "list.csv"
    file.write_text("sep=;\r\n" + csv_text(ROWS, ";"), encoding="utf-8")

    assert pairs(file) == CLEAN


def test_json_is_a_list_of_objects(tmp_path: Path) -> None:
    """Keys are headings; a number in the code column stays a number, and its place is named by row and key."""
    file = tmp_path / "list.json"
    file.write_text(json_text(ROWS), encoding="utf-8")
    assert pairs(file) == CLEAN

    file.write_text('[{"Mã số": "1.000100", "Tên": "Một"}, {"Tên": "Hai", "Mã số": 1.003290}]', encoding="utf-8")
    first, second = read(file)[1]
    first.check_exact("code")
    with pytest.raises(Refusal) as caught:
        second.check_exact("code")

    assert (caught.value.reason, caught.value.fields) == (Reason.NUMBER_AS_CODE, ("[2].Mã số",))
    assert second.cell("code").text == "1.003290"


@pytest.mark.parametrize(
    "content",
    [
        "[1]",
        "[{}",
        '[{"a": 1} {"a": 2}]',
        "[]x",
        "{}",
        "[" * 100_000,
        '[{"a": 1}]]',
        '[{"a":1},',
        "[,]",
    ],
)
def test_json_of_another_shape_is_refused(tmp_path: Path, content: str) -> None:
    """What is no list of flat objects is refused as a whole, whatever is wrong with it."""
    file = tmp_path / "list.json"
    file.write_text(content)

    assert refused(file).metadata["fault"] == "not_json"


@pytest.fixture(scope="module", params=["xlsx", "ods", "xls", "csv"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An export, codes stored as numbers, and merged cells: each in one of the formats that an office program saves."""
    folder = tmp_path_factory.mktemp("lists")
    numbers = [HEADINGS, (1.00329, "Một"), ("1.003290", "Hai"), (1234, "Ba"), ("0001234", "Bốn")]
    merged = [
        HEADINGS,
        *((f"1.{number:06d}", f"Tên {number}") for number in range(12)),
        (),
        ("", "Mười ba"),
        ("", "Mười bốn"),
    ]
    files = {
        "export": ministry_export(folder / "export.xlsx"),
        "numbers": workbook(folder / "numbers.xlsx", numbers, number_format="0000000"),
        "merged": workbook(folder / "merged.xlsx", merged, merges={"D2:D13": "Đơn vị thử", "A15:A16": "1.000999"}),
    }
    if request.param != "xlsx":
        files = dict(zip(files, saved_as(request.param, folder, *files.values()), strict=True))
    return files


def test_a_ministry_export_is_read_alike_in_every_format(kept: dict[str, Path]) -> None:
    """339 procedures under a merged banner, saved anew by an office program: every code, name and agency is the same."""
    found, entries, skipped = read(kept["export"])

    assert [(row.text("code"), row.text("name"), row.text("agency")) for row in entries] == EXPORTED
    assert [row.number for row in entries] == list(range(3, 342))
    assert (found.header_row, skipped) == (2, [])
    assert {field: heading for field, (_, heading) in found.used.items()} == {
        "code": "Mã số",
        "name": "Tên",
        "agency": "Cơ quan thực hiện",
        "field": "Lĩnh vực",
    }
    assert found.unused == ("Cơ quan ban hành",)
    for row in entries:
        row.check_exact("code")


def test_a_code_stored_as_a_number_is_never_guessed(kept: dict[str, Path]) -> None:
    """Whatever its format shows, a numeric code is refused with sheet and cell; a text of digits is kept."""
    entries = read(kept["numbers"])[1]
    told = []
    for row in entries:
        try:
            row.check_exact("code")
            told.append(row.text("code"))
        except Refusal as refusal:
            told.append(refusal.message)

    assert told[1] == "1.003290"
    assert told[3] == "0001234"
    if kept["numbers"].suffix == ".csv":  # which holds what was shown; that it is no code is seen by its form
        assert told[0::2] == ["0000001", "0001234"]
        return
    assert "A2: 1.00329 is stored as a number" in told[0]
    assert "store the column as text" in told[0]
    assert "A4: 1234 is stored as a number" in told[2]


def test_a_merged_value_holds_for_all_its_rows(kept: dict[str, Path]) -> None:
    """A column merged over twelve rows gives all twelve its value; a merge over the code column is an error of each row."""
    entries = read(kept["merged"])[1]
    if kept["merged"].suffix == ".csv":
        # Who saves as CSV keeps a merged value in its first row alone, and nothing tells that it was for others too.
        assert [row.text("agency") for row in entries][:12] == ["Đơn vị thử"] + [""] * 11
        return
    assert [row.text("agency") for row in entries] == ["Đơn vị thử"] * 12 + ["", ""]
    with pytest.raises(Refusal) as caught:
        entries[13].check_exact("code")

    assert caught.value.reason is Reason.MERGED_CODE
    assert caught.value.metadata == {"cell": "A16", "sheet": "Danh mục", "range": "A15:A16"}


def test_rows_that_are_no_entries_are_told_apart(tmp_path: Path) -> None:
    """Titles, the header repeated, column numbers, headings in between, sums and notes are no entries; what went wrong is."""
    rows = [
        ("CƠ QUAN THỬ",),
        ("DANH MỤC",),
        ("STT", "Mã số", "Tên"),
        ("(1)", "(2)", "(3)"),
        ("I", "", "LĨNH VỰC MỘT"),
        (1, "1.000010", "Một"),
        (),
        ("STT", "Mã số", "Tên"),
        (2, "", "Không có mã"),
        ("", 1.5, ""),
        ("", "", "LĨNH VỰC HAI"),
        ("", "", "Chỉ có tên"),
        ("", "Tổng cộng", "2 thủ tục"),
        ("Ghi chú: lập năm 2022",),
        ("Người lập biểu", "", "Nguyễn Văn Thử"),
    ]
    _, entries, skipped = read(workbook(tmp_path / "list.xlsx", rows, merges={"A16:C16": "Hết"}))

    assert [row.number for row in entries] == [6, 9, 10, 12]
    assert [row.number for row in skipped] == [4, 5, 8, 11, 13, 14, 15, 16]


def test_headings_are_known_whatever_their_spelling(tmp_path: Path) -> None:
    """Capitals, accents, blanks and Unicode form of a heading do not count; what is unknown may be named by its user."""
    rows = [(unicodedata.normalize("NFD", "MÃ  SỐ "), "ten thu tuc", "Ai làm?"), ("1.000010", "Một", "Đơn vị")]
    file = workbook(tmp_path / "list.xlsx", rows)

    assert read(file)[0].unused == ("Ai làm?",)
    _, entries, _ = read(file, {"ai làm": "agency"})
    assert entries[0].text("agency") == "Đơn vị"
    assert read(file, {"Mã số": "-"})[0].used.keys() == {"name"}
    assert refused(file, {"Tên thủ tục": "colour"}).metadata["allowed"] == "-, agency, code, field, name"
    assert refused(file, {"Cột lạ": "field"}).reason is Reason.HEADER_NOT_FOUND


def test_another_sheet_is_read_when_named(tmp_path: Path) -> None:
    """The first visible sheet is read unless another is named; a sheet without known headings says which others there are."""
    file = workbook(tmp_path / "list.xlsx", [HEADINGS, ("1.000010", "Một")], more_sheets=["Trang hai"])

    assert read(file, sheet="Danh mục")[1][0].text("name") == "Một"
    with pytest.raises(Refusal) as empty:
        read(file, sheet="Trang hai")
    with pytest.raises(Refusal) as unknown:
        read(file, sheet="Không có")

    assert empty.value.metadata["sheets"] == "Danh mục, Trang hai"
    assert unknown.value.metadata["fault"] == "no_such_sheet"


def test_dates_numbers_and_flags_keep_their_kind(tmp_path: Path) -> None:
    """A cell tells how it is stored: a date is no text, and a whole number has no decimals."""
    file = tmp_path / "list.xlsx"
    workbook(file, [("Tên", "Mã số"), ("a", date(2022, 10, 5)), ("b", 12), ("c", True)])

    kinds = [(row.cell("code").text, row.cell("code").kind) for row in read(file)[1]]

    assert kinds == [("2022-10-05", Kind.DATE), ("12", Kind.NUMBER), ("TRUE", Kind.FLAG)]


def test_names_are_kept_in_one_form() -> None:
    """NFC and NFD, double blanks and line breaks of a name give one text."""
    assert one_line(unicodedata.normalize("NFD", "Đăng ký  thường trú\n ")) == "Đăng ký thường trú"


def test_cells_are_named_as_a_spreadsheet_names_them() -> None:
    """Columns go A … Z, AA …."""
    assert [cell_name(12, column) for column in (0, 25, 26, 701, 702)] == ["A12", "Z12", "AA12", "ZZ12", "AAA12"]


written = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\x85"), max_size=30
)
tables = st.lists(st.tuples(written, written, written), min_size=1, max_size=8).map(
    lambda rows: [("Mã số", "Tên", "Lĩnh vực"), *((f"1.{n:06d}", *row[1:]) for n, row in enumerate(rows))]
)


@given(tables, st.sampled_from(["xlsx", ",", ";", "\t", "json"]))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], form: str
) -> None:
    """Whatever texts a list holds, each cell comes back as it was written, in CSV from behind the guard against formulas."""
    file = tmp_path_factory.getbasetemp() / f"round-trip.{form if form.isalpha() else 'csv'}"
    # The child's own readers: a process for each example would take a minute.
    if form == "xlsx":
        found = workbooks.open_rows(workbook(file, rows), "", Look("xlsx", 0))[2]
    else:
        file.write_text(
            json_text(rows) if form == "json" else csv_text([[*map(guarded, row)] for row in rows], form),
            encoding="utf-8",
            newline="",
        )
        found = texts.json_rows(file) if form == "json" else texts.csv_rows(file)

    cells = {number: [*row, "", "", ""] for number, row in found}

    for number, row in enumerate(rows, start=0 if form == "json" else 1):
        assert cells[number][:3] == list(row)
        assert not any(cells[number][3:])
