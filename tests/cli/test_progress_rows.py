"""Rows of a progress list are read as they are written, and what cannot be read is told by its cell."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from services.cli.lists import Match
from services.cli.progress_rows import COLUMNS, NEEDED, Problem, ProblemError, Services, Step, effective, step_of
from services.common.sheets import Cell, Kind, ListRow, read_list
from services.common.words import Lang
from tests.support.lists import workbook
from tiendo.catalog.v1 import service_pb2
from tiendo.integration.v1 import integration_pb2

PROGRAMME = "programmes/thu"
TODAY = date(2022, 12, 1)
HEADINGS = ("Số thứ tự", "Mã TTHC", "Tên dịch vụ", "Giai đoạn", "Ngày thực hiện", "Minh chứng", "Vướng mắc")


def service(number: int, name: str = "", *codes: str) -> service_pb2.Service:
    """A service thu-<number> of the programme."""
    return service_pb2.Service(
        name=f"services/thu-{number}",
        display_name=name,
        memberships=[service_pb2.Membership(programme=PROGRAMME, plan_number=number)],
        procedure_codes=[service_pb2.ProcedureCode(code=code) for code in codes],
    )


SERVICES = Services(
    [
        service(1, "Mẫu một", "1.000010"),
        service(2, "Mẫu hai"),
        service(3),
        service(4, "Mẫu bốn"),
        service(5, "Mẫu bốn"),
    ],
    PROGRAMME,
)


def steps(folder: Path, *rows: tuple[Any, ...], matched: Match | None = None) -> list[Step | list[Problem]]:
    """Read these rows."""
    file = workbook(folder / "list.xlsx", [HEADINGS, *rows])
    with read_list(file, file.name, COLUMNS, NEEDED) as (_, _, found):
        return [step_of(row, SERVICES, lambda _: matched, TODAY, Lang.EN) for row in found if isinstance(row, ListRow)]


def test_a_row_names_its_service_by_number_code_or_name(tmp_path: Path) -> None:
    """Each alone will do, and several that agree; the stage is known by its words in both languages or its code."""
    found = steps(
        tmp_path,
        ("1", "", "", "Đã xây dựng", "09/2022", "12/QĐ", ""),
        ("", "1.000010", "", "BUILT", "đến 09/2022", "", "chờ"),
        ("", "", "MẪU  hai", "Live on the Ministry portal", "", "", ""),
        ("1", "1.000010", "Mẫu một", "live_on_ministry_portal", "2022", "", ""),
        ("3", "", "", "Tested", "05/10/2022", "", ""),
    )

    assert [step.service for step in found if isinstance(step, Step)] == ["thu-1", "thu-1", "thu-2", "thu-1", "thu-3"]
    assert [integration_pb2.Stage.Name(step.stage) for step in found if isinstance(step, Step)] == [
        "STAGE_BUILT",
        "STAGE_BUILT",
        "STAGE_LIVE_ON_MINISTRY_PORTAL",
        "STAGE_LIVE_ON_MINISTRY_PORTAL",
        "STAGE_TESTED",
    ]
    first, second, third = found[:3]
    assert isinstance(first, Step)
    assert isinstance(second, Step)
    assert isinstance(third, Step)
    assert (first.evidence, second.obstacle, third.when) == ("12/QĐ", "chờ", None)


def test_a_row_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    """Two services, an own numbering, a name that two have, a place without a name: none is taken for certain."""
    found = steps(
        tmp_path,
        ("2", "1.000010", "", "BUILT", "", "", ""),
        ("2", "", "Tên khác", "BUILT", "", "", ""),
        ("3", "", "Tên mới", "BUILT", "", "", ""),
        ("", "", "Mẫu bốn", "BUILT", "", "", ""),
        ("9", "", "", "BUILT", "", "", ""),
        ("", "1.000020", "", "BUILT", "", "", ""),
        ("4", "", "Mẫu bốn", "BUILT", "", "", ""),
    )

    wrong = [problem for each in found if not isinstance(each, Step) for problem in each]
    assert [problem.cell for problem in wrong] == ["B2", "C3", "C4", "C5", "A6", "B7"]
    assert "thu-1, thu-2" in wrong[0].text
    assert "--accept thu-3=4" in wrong[2].text
    assert isinstance(found[6], Step)
    assert found[6].service == "thu-4"


def test_somebodys_word_decides(tmp_path: Path) -> None:
    """An explicit match is taken, whatever the row calls the service."""
    [step] = steps(tmp_path, ("3", "", "Tên mới", "BUILT", "", "", ""), matched=Match(2, "", "", 3))

    assert isinstance(step, Step)
    assert step.service == "thu-3"


def test_every_wrong_cell_of_a_row_is_told(tmp_path: Path) -> None:
    """One look at a list finds all that is wrong with it."""
    [wrong] = steps(tmp_path, ("9", 1.00329, "", "Xây rồi", "31/09/2022", "", ""))

    assert not isinstance(wrong, Step)
    assert [problem.cell for problem in wrong] == ["B2", "D2", "E2"]
    assert "stored as a number" in wrong[0].text
    assert "There is no date 31/09/2022" in wrong[2].text


@pytest.mark.parametrize(
    ("text", "iso", "at_latest"),
    [
        ("09/2022", "2022-09", False),
        ("9/2022", "2022-09", False),
        ("tháng 9/2022", "2022-09", False),
        ("đến 09/2022", "2022-09", True),
        ("Đến tháng 9/2022", "2022-09", True),
        ("by 09/2022", "2022-09", True),
        ("năm 2022", "2022", False),
        ("05/10/2022", "2022-10-05", False),
        ("05.10.2022", "2022-10-05", False),
        ("2022-10-05", "2022-10-05", False),
    ],
)
def test_a_date_keeps_its_precision(text: str, iso: str, at_latest: bool) -> None:
    """A month stays a month and "đến" at the latest, as it is written."""
    when = effective(Cell(text), Lang.EN)

    assert when is not None
    assert (when.date.iso(), when.at_latest) == (iso, at_latest)


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (Cell("31/09/2022"), "There is no date 31/09/2022"),
        (Cell("00/2022"), "There is no date 00/2022"),
        (Cell("9.2022", Kind.NUMBER), "Cannot read the date"),
        (Cell("sớm"), "Cannot read the date “sớm”"),
        (Cell("2022-09-01", Kind.DATE), "01/09/2022 or 09/2022"),
        (Cell("2022-09-02 10:30:00", Kind.DATE), "Cannot read the date"),
    ],
)
def test_a_date_that_is_none_is_refused(cell: Cell, told: str) -> None:
    """No such day, no date at all, and a cell that may have been a month before the file made a day of it."""
    with pytest.raises(ProblemError) as caught:
        effective(cell, Lang.EN)

    assert told in caught.value.text


def test_a_real_date_and_a_year_are_taken() -> None:
    """A date cell with a day of its own, and a year stored as a number, say no more than they do."""
    day = effective(Cell("2022-10-05", Kind.DATE), Lang.EN)
    year = effective(Cell("2022", Kind.NUMBER), Lang.EN)

    assert day is not None
    assert year is not None
    assert (day.date.iso(), year.date.iso()) == ("2022-10-05", "2022")
