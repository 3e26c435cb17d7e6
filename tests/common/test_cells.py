"""Texts as cells of a spreadsheet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.cells import CELL_LIMIT, fitted, guarded, looks_like_formula, unguarded

ALIVE = [
    "=1+1",
    "+84 24",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\rx",
    "＝1",
    "＋1",
    "－1",
    "＠a",
    "  =1",
    '"=1"',
    "“=1”",
    "\u200b=1",
    "\n=1",
]


@pytest.mark.parametrize("text", ALIVE)
def test_what_looks_like_a_formula_is_guarded(text: str) -> None:
    """Each sign that makes a spreadsheet calculate is found, full-width, after blanks and quotes too."""
    assert looks_like_formula(text)
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "Đăng ký thường trú", "1.003290", "a=1", "(−1)", "05/10/2022", "https://a.vn/?b=1"]
)
def test_plain_texts_stay(text: str) -> None:
    """A text that no program takes for a formula is left as it is."""
    assert guarded(text) == text


@given(st.text() | st.text("=+-@'\"＝ \t\r'", min_size=1))
def test_what_was_guarded_comes_back(text: str) -> None:
    """Dropping one ' gives every text back, one that begins with ' too; what is left guarded begins no formula."""
    assert unguarded(guarded(text)) == text
    assert not looks_like_formula(guarded(text)) or guarded(text).startswith("'")


@pytest.mark.parametrize("over", [0, 1, 500])
def test_a_cell_holds_so_much(over: int) -> None:
    """What fits is whole, what is longer is cut so that its mark fits too."""
    text = "đ" * (CELL_LIMIT + over)

    cell = fitted(text, "(cut)")

    assert len(cell) == CELL_LIMIT
    assert (cell == text) is (over == 0)
    assert cell.endswith("(cut)") is (over > 0)
