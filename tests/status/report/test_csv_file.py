"""The services line by line, as programs and people read them."""

import csv
import io
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.cells import unguarded
from services.common.dates import PartialDate
from services.common.words import Lang
from services.status.report import Format
from tests.support.office import convert
from tests.support.reports import HOSTILE, add_autumn, held_up, made, seeded


def rows(content: bytes) -> list[list[str]]:
    """Read the file as a program does."""
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_the_form_is_one_that_spreadsheets_read() -> None:
    """A byte order mark, commas, CRLF, every cell quoted; the headings are the service sheet's, in both languages."""
    content = made(seeded(), Format.CSV)
    first, *rest = content.decode("utf-8-sig").split("\r\n")

    assert content.startswith(b"\xef\xbb\xbf")
    assert first.startswith('"Số thứ tự","Mã hệ thống","Tên dịch vụ","Mã TTHC",')
    assert first.endswith('"Liên kết Cổng DVCQG","Nguồn số liệu"')
    assert len(rest) == 228
    assert rest[-1] == ""
    assert "\n" not in "".join(rest)
    english = rows(made(seeded(), Format.CSV, Lang.EN))
    assert english[0][:4] == ["No.", "Id", "Service name", "Procedure code"]
    assert english[1][11:13] == ["by 09/2022", "30/09/2022"]


def test_lines_hold_what_is_known() -> None:
    """Codes, dates and names are those of the workbook, as text."""
    found = {row[1]: row for row in rows(made(seeded(add_autumn), Format.CSV, as_of=PartialDate(2022, 10)))}

    assert found["bca-012"][2:4] == ["Đăng ký tạm trú", "1.003290; 2.001100"]
    assert found["bca-012"][11:13] == ["05/10/2022", "05/10/2022"]
    assert found["bca-001"][11:13] == ["đến 09/2022", "30/09/2022"]
    assert Counter(row[10] for row in found.values())["Chưa có báo cáo"] == 212


@settings(max_examples=20)
@given(st.lists(HOSTILE, min_size=20, max_size=20))
def test_hostile_texts_survive(texts: list[str]) -> None:
    """No cell begins a formula, and dropping one ' at its beginning gives each text back."""
    cells = [row[14] for row in rows(made(held_up(texts), Format.CSV))[1:]]

    assert [unguarded(cell) for cell in cells] == texts
    assert not any(cell.lstrip(' \n"').startswith(("=", "+", "-", "@", "＝", "\t")) for cell in cells)


def test_an_office_program_calculates_nothing(tmp_path: Path) -> None:
    """LibreOffice opens the file with every text as it was meant to be read, letters and all."""
    texts = ["=1+1", "+84", "@SUM(1)", "＝1+1", ' "=2*3"', "Đặng Thị Ệ"]
    made(held_up(texts), Format.CSV, folder=tmp_path)

    saved = convert(tmp_path / "bca-2022-2022-08.csv", "ods", tmp_path, "--infilter=CSV:44,34,76")
    again = convert(saved, "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true", tmp_path)

    cells = [row[14] for row in csv.reader(again.read_text("utf-8-sig").splitlines())][1:]
    assert cells == ["'=1+1", "'+84", "'@SUM(1)", "'＝1+1", '\' "=2*3"', "Đặng Thị Ệ"]
