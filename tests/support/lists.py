"""Lists as ministries send them, with invented texts: written as workbooks and texts, and saved anew by an office program."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from services.common.sheets import Column, Columns, ListRow, Skipped, read_list

HEADINGS = ("Mã số", "Tên", "Cơ quan ban hành", "Cơ quan thực hiện", "Lĩnh vực")
COLUMNS = (
    Column("code", ("ma so", "ma thu tuc"), exact=True),
    Column("name", ("ten", "ten thu tuc")),
    Column("agency", ("co quan thuc hien",)),
    Column("field", ("linh vuc",)),
)
FIELDS = 23
UNTOLD_AGENCIES = 140
_OFFICE_SECONDS = 120


def workbook(
    path: Path,
    rows: Sequence[Sequence[Any]],
    *,
    merges: Mapping[str, Any] | None = None,
    number_format: str = "",
    sheet: str = "Danh mục",
    more_sheets: Sequence[str] = (),
) -> Path:
    """Write rows from A1 on; texts as texts, numbers in `number_format`, `merges` as ranges with their value."""
    with xlsxwriter.Workbook(path, {"default_date_format": "dd/mm/yyyy"}) as book:
        page = book.add_worksheet(sheet)
        shown = book.add_format({"num_format": number_format}) if number_format else None
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, str):
                    page.write_string(number, column, value)
                elif value is not None:
                    page.write(number, column, value, shown)
        for cells, value in (merges or {}).items():
            page.merge_range(cells, value, shown)
        for name in more_sheets:
            book.add_worksheet(name)
    return path


def procedure(number: int) -> tuple[str, str, str, str, str]:
    """One invented entry: a code that ends in zeros now and then, a name of up to several hundred characters."""
    code = f"{1 + number % 3}.{(number * 10) % 1_000_000:06d}"
    name = f"Thử nghiệm số {number}: cấp, đổi giấy xác nhận mẫu" + " và phụ lục kèm theo" * (number % 30)
    agency = "" if number <= UNTOLD_AGENCIES else f"Đơn vị thử {number % 4}"
    return code, name, "Cơ quan thử", agency, f"Lĩnh vực thử {number % FIELDS}"


def export(count: int = 339) -> list[Sequence[Any]]:
    """The rows of a list of the shape of a ministry's export: an empty place for the banner, the header, the entries."""
    return [(), HEADINGS, *(procedure(number) for number in range(1, count + 1))]


def ministry_export(path: Path, count: int = 339, *, codes_as_numbers: bool = False) -> Path:
    """Write that list: the title merged over its five columns, the header in row 2, codes as text or spoilt."""
    rows = export(count)
    if codes_as_numbers:
        rows = [row if len(row) < 5 or row == HEADINGS else (float(row[0]), *row[1:]) for row in rows]
    return workbook(path, rows, merges={"A1:E1": "DANH MỤC THỬ NGHIỆM"}, number_format="0.000000")


def csv_text(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """Write CSV by hand, so that no library of ours is its own judge."""
    return "".join(delimiter.join(_quoted(cell, delimiter) for cell in row) + "\r\n" for row in rows)


def _quoted(cell: str, delimiter: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(sign in cell for sign in f'{delimiter}"\r\n') else cell


def json_text(rows: Sequence[Sequence[str]]) -> str:
    """Write a list of objects whose keys are the first row."""
    return json.dumps([dict(zip(rows[0], row, strict=True)) for row in rows[1:]], ensure_ascii=False)


def saved_as(ending: str, folder: Path, *sources: Path) -> list[Path]:
    """Save workbooks in another format as their user would; without an office program a test is skipped, in CI it fails."""
    office = shutil.which("soffice")
    if office is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("soffice is missing: install LibreOffice, CI must judge by what people save with")
        pytest.skip("soffice is missing: NOT TESTED that lists saved by LibreOffice are read alike")
    kind = f"{ending}:Text - txt - csv (StarCalc):44,34,76,1" if ending == "csv" else ending
    command = [office, "--headless", f"-env:UserInstallation=file://{folder}/office", "--convert-to", kind]
    subprocess.run(
        [*command, "--outdir", str(folder), *map(str, sources)],
        check=True,
        capture_output=True,
        timeout=_OFFICE_SECONDS,
    )
    return [folder / f"{source.stem}.{ending}" for source in sources]


def read(
    path: Path, given: Mapping[str, str] | None = None, *, sheet: str = ""
) -> tuple[Columns, list[ListRow], list[Skipped]]:
    """Read a list whole."""
    with read_list(path, path.name, COLUMNS, ("code", "name"), given=given, sheet=sheet) as (_, found, rows):
        entries: list[ListRow] = []
        skipped: list[Skipped] = []
        for row in rows:
            if isinstance(row, ListRow):
                entries.append(row)
            else:
                skipped.append(row)
        return found, entries, skipped


def pairs(path: Path) -> list[tuple[str, str]]:
    """Read codes and names."""
    return [(row.text("code"), row.text("name")) for row in read(path)[1]]
