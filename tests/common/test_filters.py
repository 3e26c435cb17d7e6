"""Filters let through what they say, and what cannot be read is refused with the place."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Reason, Refusal
from services.common.filters import FilterField, parse_filter
from services.common.text import fold


@dataclass(frozen=True)
class Entry:
    """A thing to list."""

    name: str
    naming: str
    levels: tuple[str, ...] = ()
    title: str = ""
    number: int = 0


ENTRIES = (
    Entry("services/bca-001", "NAMED", ("bo", "tinh"), "Cấp lại hộ chiếu phổ thông", 1),
    Entry("services/bca-002", "NAMED", ("xa",), "Đăng ký thường trú", 2),
    Entry("services/bca-012", "SLOT", (), "", 12),
)

FIELDS = {
    "name": FilterField[Entry](lambda entry: (entry.name,)),
    "naming": FilterField[Entry](lambda entry: (entry.naming,), values=frozenset({"NAMED", "SLOT"})),
    "level": FilterField[Entry](lambda entry: entry.levels),
    "title": FilterField[Entry](lambda entry: (fold(entry.title),) if entry.title else (), fold=True),
    "text": FilterField[Entry](lambda entry: (fold(entry.title),), fold=True, words=True),
}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [1, 2, 12]),
        ("  ", [1, 2, 12]),
        ("naming = SLOT", [12]),
        ("naming=SLOT", [12]),
        ("naming != SLOT", [1, 2]),
        ("naming = slot", [12]),
        ("naming != Slot", [1, 2]),
        ("name = Services/BCA-002", [2]),
        ("name = services/bca-002", [2]),
        ('name = "services/bca-002"', [2]),
        ("level = bo", [1]),
        ("level : tinh", [1]),
        ("level : *", [1, 2]),
        ("NOT level : *", [12]),
        ('level : "*"', []),
        ("level != bo", [2, 12]),
        ('title = "dang ky thuong tru"', [2]),
        ('title = "ĐĂNG KÝ THƯỜNG TRÚ"', [2]),
        ("title = dang", []),
        ('title : "chieu ho"', [1]),
        ("title : đăng", [2]),
        ('title : "…"', []),
        ('text = "chieu ho"', [1]),
        ('text != "chieu ho"', [2, 12]),
        ("text != …", [1, 2, 12]),
        ("naming = NAMED AND level = xa", [2]),
        ("level = bo OR level = xa", [1, 2]),
        ("NOT naming = NAMED", [12]),
        ("NOT NOT naming = SLOT", [12]),
        # OR binds closer than AND.
        ("naming = SLOT AND level = bo OR level = xa", []),
        ("(naming = SLOT AND level = bo) OR level = xa", [2]),
        ('title = "a \\"b\\" \\\\c"', []),
    ],
)
def test_filters(text: str, numbers: list[int]) -> None:
    """A filter lets through exactly the entries it describes."""
    keeps = parse_filter(text, FIELDS)

    assert [entry.number for entry in ENTRIES if keeps(entry)] == numbers


def test_quoted_values_may_hold_quotes_and_backslashes() -> None:
    """A quoted value gives back its quotes, backslashes and signs as they are."""
    keeps = parse_filter('name = "a \\"b\\" \\\\ (AND) = c"', FIELDS)

    assert keeps(Entry('a "b" \\ (and) = c', "SLOT"))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("naming", 7),
        ("naming =", 9),
        ("naming SLOT", 8),
        ("naming = SLOT level = bo", 15),
        ("naming = SLOT AND", 18),
        ("AND naming = SLOT", 1),
        ("naming = AND", 10),
        ("(naming = SLOT", 15),
        ("naming = SLOT)", 14),
        ("()", 2),
        ("naming < SLOT", 8),
        ('title = "open', 9),
        ('"naming" = SLOT', 1),
        ("naming = a\\b", 11),
        ("x" * 2001, 2001),
        ("(" * 21 + "naming = SLOT" + ")" * 21, 22),
        ("NOT " * 21 + "naming = SLOT", 85),
    ],
)
def test_unreadable_filters_are_refused(text: str, position: int) -> None:
    """A filter that cannot be read is refused, with the place where reading stopped, counted from 1."""
    with pytest.raises(Refusal) as caught:
        parse_filter(text, FIELDS)

    assert (caught.value.reason, caught.value.fields) == (Reason.INVALID_FILTER, ("filter",))
    assert caught.value.metadata == {"position": str(position)}


def test_filters_may_nest_twenty_levels() -> None:
    """Twenty levels of nesting are read, and levels beside each other do not add up."""
    beside = " AND (naming = SLOT)" * 30 + " AND NOT naming = NAMED" * 30
    keeps = parse_filter("(" * 20 + "naming = SLOT" + ")" * 20 + beside, FIELDS)

    assert keeps(ENTRIES[2])


def test_unknown_filter_fields_are_refused() -> None:
    """A field the method does not offer is refused with the offered ones."""
    with pytest.raises(Refusal) as caught:
        parse_filter("naming = SLOT AND colour = red", FIELDS)

    assert (caught.value.reason, caught.value.fields) == (Reason.UNKNOWN_FIELD, ("filter",))
    assert caught.value.metadata == {"name": "colour", "allowed": "level, name, naming, text, title"}


@pytest.mark.parametrize("sign", ["=", "!=", ":"])
def test_unknown_enum_words_are_refused(sign: str) -> None:
    """A word an enum does not know is refused, not silently without a match."""
    with pytest.raises(Refusal) as caught:
        parse_filter(f"naming {sign} NAMING_SLOT", FIELDS)

    assert (caught.value.reason, caught.value.metadata["value"]) == (Reason.UNKNOWN_VALUE, "NAMING_SLOT")
    assert caught.value.message == "filter: naming has no value 'NAMING_SLOT'; give one of NAMED, SLOT"


@given(st.text(st.sampled_from('naming=SLOT ANDORNOT():!"\\*<đ\n\x00'), max_size=60) | st.text())
def test_any_filter_text_is_read_or_refused(text: str) -> None:
    """Whatever the text, a filter is read or refused, and never fails otherwise."""
    answer: object
    try:
        answer = parse_filter(text, FIELDS)(ENTRIES[0])
    except Refusal as refusal:
        answer = refusal.fields

    assert answer in (True, False, ("filter",))
