"""Orders are total, and pages give what stays listed exactly once."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Reason, Refusal
from services.common.listing import Order, Page, SortKey, check_reply, page, parse_order, query_hash
from services.common.resources import seal


@dataclass(frozen=True)
class Entry:
    """A thing to list."""

    name: str
    naming: str
    number: int


ENTRIES = (
    Entry("services/bca-001", "NAMED", 1),
    Entry("services/bca-002", "NAMED", 2),
    Entry("services/bca-012", "SLOT", 12),
)

KEYS: dict[str, Any] = {"name": lambda e: e.name, "naming": lambda e: e.naming, "number": lambda e: e.number}


def order_of(text: str, default: str = "") -> Order[Entry]:
    """Read an order over entries."""
    return parse_order(text, KEYS, lambda entry: entry.name, default)


@pytest.mark.parametrize(
    ("text", "numbers", "spelling"),
    [
        ("", [1, 2, 12], ""),
        ("naming", [1, 2, 12], "naming"),
        ("naming asc", [1, 2, 12], "naming"),
        ("naming desc", [12, 1, 2], "naming desc"),
        (" naming  desc ,number desc ", [12, 2, 1], "naming desc,number desc"),
        ("number desc", [12, 2, 1], "number desc"),
    ],
)
def test_orders(text: str, numbers: list[int], spelling: str) -> None:
    """An order sorts by its fields in turn and settles ties by the unique key; blanks do not change its spelling."""
    order = order_of(text)

    assert [entry.number for entry in order.sort(reversed(ENTRIES))] == numbers
    assert order.text == spelling
    assert order.descending[-1] is False


def test_default_order() -> None:
    """An empty order is the method's default one."""
    assert order_of("", default="number desc").text == order_of("number desc").text
    assert order_of("name", default="number desc").text == "name"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("colour", Reason.UNKNOWN_FIELD),
        ("name, colour desc", Reason.UNKNOWN_FIELD),
        ("name down", Reason.INVALID_VALUE),
        ("name desc desc", Reason.INVALID_VALUE),
        ("name,,number", Reason.INVALID_VALUE),
        (",", Reason.INVALID_VALUE),
        ("name, name desc", Reason.INVALID_VALUE),
    ],
)
def test_other_orders_are_refused(text: str, reason: Reason) -> None:
    """An order that names an unknown field or cannot be read is refused."""
    with pytest.raises(Refusal) as caught:
        order_of(text)

    assert (caught.value.reason, caught.value.fields) == (reason, ("order_by",))


HASH = query_hash("ListServices", "naming = SLOT", "name")


def ask(
    keys: list[tuple[SortKey, ...]],
    size: int = 0,
    token: str = "",
    query: str = HASH,
    descending: tuple[bool, ...] = (),
) -> Page:
    """Ask for a page of at most 5, 3 by default."""
    return page(
        keys,
        page_size=size,
        page_token=token,
        query_hash=query,
        default_size=3,
        max_size=5,
        descending=descending,
    )


def keys_of(*numbers: int) -> list[tuple[SortKey, ...]]:
    """Make sort keys of numbers."""
    return [(number,) for number in numbers]


def test_page_sizes() -> None:
    """No size means the default, too large a one the maximum, and the last page has no token."""
    keys = keys_of(*range(7))

    assert ask(keys)[:2] == (0, 3)
    assert ask(keys, 2)[:2] == (0, 2)
    assert ask(keys, 1_000_000)[:2] == (0, 5)
    assert ask(keys, 4, ask(keys, 3).next_page_token) == (3, 7, "")
    assert ask(keys_of(1, 2, 3)) == (0, 3, "")
    assert ask([]) == (0, 0, "")


def test_pages_end_early_where_items_are_large() -> None:
    """A page ends before the item that would fill it, never before its first, and the next goes on with that item."""
    sizes = [400_000, 500_000, 200_000, 3_000_000, 1]
    seen: list[tuple[int, int]] = []
    token = ""
    while True:
        found = page(
            keys_of(*range(5)),
            page_size=5,
            page_token=token,
            query_hash=HASH,
            default_size=3,
            max_size=5,
            size_of=sizes.__getitem__,
        )
        seen.append(found[:2])
        token = found.next_page_token
        if not token:
            break

    assert seen == [(0, 2), (2, 3), (3, 4), (4, 5)]


def test_what_fits_no_reply_is_refused() -> None:
    """Four mebibytes less a little are the most; the refusal says how many of what was asked for fit."""
    check_reply([4 * 1024 * 1024 - 64 * 1024], "names")
    with pytest.raises(Refusal) as caught:
        check_reply([2_000_000, 2_000_000, 200_000], "names")

    assert (caught.value.reason, caught.value.fields) == (Reason.TOO_MANY, ("names",))
    assert caught.value.metadata == {"limit": "2", "count": "3"}


def test_negative_page_sizes_are_refused() -> None:
    """A page size below 0 is refused with its value."""
    with pytest.raises(Refusal) as caught:
        ask(keys_of(1), -1)

    assert (caught.value.reason, caught.value.fields) == (Reason.INVALID_PAGE_SIZE, ("page_size",))
    assert caught.value.metadata == {"value": "-1"}


def test_list_that_became_shorter_than_the_token() -> None:
    """A token whose item and all that followed are gone gives an empty last page."""
    token = ask(keys_of(1, 2, 3, 4)).next_page_token

    assert ask(keys_of(1, 2), token=token) == (2, 2, "")
    assert ask([], token=token) == (0, 0, "")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "đ",
        ask(keys_of(1, 2, 3, 4)).next_page_token + "A",
        ask(keys_of(1, 2, 3, 4), query=query_hash("other")).next_page_token,
        seal(b"[]"),
        seal(b"{}"),
        seal(b"["),
        seal(b"[" * 40_000),
        seal(f'["{HASH}"]'.encode()),
        seal(f'["{HASH}","a"]'.encode()),
        seal(f'["{HASH}",1,2]'.encode()),
        seal(f'["{HASH}",null]'.encode()),
        seal(f'["{HASH}",true]'.encode()),
    ],
)
def test_foreign_page_tokens_are_refused(token: str) -> None:
    """A token we did not give, or gave for another query, is refused."""
    with pytest.raises(Refusal) as caught:
        ask(keys_of(1, 2, 3, 4), token=token)

    assert (caught.value.reason, caught.value.fields) == (Reason.INVALID_PAGE_TOKEN, ("page_token",))


def test_query_hash_keeps_parts_apart() -> None:
    """Queries that differ only in where a part ends have different hashes."""
    assert query_hash("a", "bc") != query_hash("ab", "c")
    assert query_hash("a", "") != query_hash("a")


ROWS = st.frozensets(st.tuples(st.integers(0, 3), st.text("ab", max_size=2), st.integers(0, 30)), max_size=25)


@given(
    stays=ROWS,
    changing=st.lists(ROWS, min_size=1, max_size=6),
    size=st.integers(0, 6),
    descending=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_what_stays_listed_comes_exactly_once(
    stays: frozenset[tuple[int, str, int]],
    changing: list[frozenset[tuple[int, str, int]]],
    size: int,
    descending: tuple[bool, bool, bool],
) -> None:
    """Walking the pages while others come and go gives each row that stays exactly once, in order."""
    parts = tuple(zip((lambda r: r[0], lambda r: r[1], lambda r: r[2]), descending, strict=True))
    order: Order[tuple[int, str, int]] = Order(parts, "")
    seen: list[tuple[int, str, int]] = []
    token = ""
    # At most 50 rows are listed at once, so a walk that takes longer than this goes in circles.
    for turn in range(100):
        rows = order.sort(stays | changing[min(turn, len(changing) - 1)])
        start, stop, token = ask([order.key(row) for row in rows], size, token, descending=order.descending)
        seen += rows[start:stop]
        if not token:
            break

    assert not token
    assert [row for row in seen if row in stays] == order.sort(stays)
    assert len(seen) == len(set(seen))


def test_a_page_of_a_long_list_takes_few_looks() -> None:
    """Finding a page among 100,000 keys looks at some seventeen of them, not at all."""

    class Keys(list[tuple[SortKey, ...]]):
        looks = 0

        def __getitem__(self, index: Any) -> Any:
            Keys.looks += 1
            return super().__getitem__(index)

    keys = Keys(keys_of(*range(100_000)))
    token = ask(keys_of(0, 1, 70_000, 70_001)).next_page_token
    found = ask(keys, 5, token)

    assert found[:2] == (70_001, 70_006)
    assert Keys.looks <= 20
