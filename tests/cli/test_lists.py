"""What is typed and mapped beside a list is read as it is meant, or is wrong usage."""

from pathlib import Path

import pytest

from services.cli.lists import Match, brief, column_map, match_of, matches, pairs
from services.cli.session import Session, UsageProblemError
from services.client import RefusedError
from services.common.words import Lang
from tests.support.lists import workbook

SESSION = Session(Lang.EN, as_json=False, actor="lan")


@pytest.mark.parametrize(
    ("place", "row", "match"),
    [
        ("bca-012", "17", Match(17, "", "bca-012", 0)),
        ("bca-012", "row 17", Match(17, "", "bca-012", 0)),
        ("12", "dòng 17", Match(17, "", "", 12)),
        ("12", "1.003290", Match(0, "1.003290", "", 12)),
        ("dang-ky-thuong-tru", "1.003290", Match(0, "1.003290", "dang-ky-thuong-tru", 0)),
    ],
)
def test_a_match_is_a_service_or_number_and_a_row_or_code(place: str, row: str, match: Match) -> None:
    """Digits are a plan number on the left and a row on the right; a code has its dot."""
    assert match_of(SESSION, place, row) == match


def test_a_mapping_is_a_list_too(tmp_path: Path) -> None:
    """Any format will do, by id or number, by row or code; its first row of two numbers is no numbering of columns."""
    numbers = tmp_path / "a.csv"
    numbers.write_text("Số trong kế hoạch;Dòng\n1;2\n12;3\n", encoding="utf-8")
    codes = workbook(tmp_path / "b.xlsx", [("Mã hệ thống", "Mã số"), ("bca-012", "1.003290")])

    assert matches(SESSION, ["bca-013=4"], str(numbers)) == [
        Match(4, "", "bca-013", 0),
        Match(2, "", "", 1),
        Match(3, "", "", 12),
    ]
    assert matches(SESSION, None, str(codes)) == [Match(0, "1.003290", "bca-012", 0)]


def test_a_mapping_that_says_nothing_is_wrong_usage(tmp_path: Path) -> None:
    """Neither service nor number, no row, no file; and a code that lost its zeros is refused as in any list."""
    nobody = tmp_path / "a.csv"
    nobody.write_text("service;row\n;3\n", encoding="utf-8")
    spoilt = workbook(tmp_path / "b.xlsx", [("service", "code"), ("bca-012", 1.00329)])

    for given in (str(nobody), str(tmp_path / "none.csv")):
        with pytest.raises(UsageProblemError):
            matches(SESSION, None, given)
    with pytest.raises(UsageProblemError):
        match_of(SESSION, "bca-012", "seventeen")
    with pytest.raises(RefusedError) as refused:
        matches(SESSION, None, str(spoilt))

    assert (refused.value.reason, refused.value.field) == ("NUMBER_AS_CODE", "B2")


def test_headings_may_hold_any_sign() -> None:
    """The last = parts heading and field; a field that is none lists those there are."""
    assert pairs(SESSION, ["Mức = độ=online_level"], "--map") == [("Mức = độ", "online_level")]
    assert column_map(SESSION, ["Cột=-"], ["name"]) == {"Cột": "-"}
    with pytest.raises(UsageProblemError, match="name, -"):
        column_map(SESSION, ["Cột=colour"], ["name"])


def test_a_long_name_is_cut_for_the_screen() -> None:
    """A table stays a table, whatever names it holds."""
    assert brief("x" * 48) == "x" * 48
    assert brief("x" * 49) == "x" * 47 + "…"
