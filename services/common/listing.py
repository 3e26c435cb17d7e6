"""Orders and pages over lists that are already in memory.

Invariant: a page token holds the last sort key that was sent, never a position, so that what stays listed comes
exactly once whatever is added or removed around it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from services.common.errors import Reason, Refusal
from services.common.resources import seal, unseal

T = TypeVar("T")
SortKey = str | int


def unknown_field(name: str, known: Iterable[str], field: str) -> Refusal:
    """Word that a filter or an order, told by `field`, names what is not among the `known`."""
    offered = ", ".join(sorted(known))
    return Refusal(
        Reason.UNKNOWN_FIELD,
        f"{name!r} is not offered here; use one of {offered}",
        field=field,
        metadata={"name": name, "allowed": offered},
    )


@dataclass(frozen=True)
class Order(Generic[T]):
    """An order over all items in which no two are equal, because a unique tie-breaker comes last."""

    parts: tuple[tuple[Callable[[T], SortKey], bool], ...]
    """Each part's key, and whether it descends."""
    text: str
    """The order in one spelling, for a query's hash and for caches."""

    @property
    def descending(self) -> tuple[bool, ...]:
        """Whether each part descends."""
        return tuple(descends for _, descends in self.parts)

    def key(self, item: T) -> tuple[SortKey, ...]:
        """Give the item's sort key, as `page` takes it."""
        return tuple(get(item) for get, _ in self.parts)

    def sort(self, items: Iterable[T]) -> list[T]:
        """Give the items in this order."""
        ordered = list(items)
        # Sorting is stable, so the least part goes first; each pass compares plain values.
        for get, descends in reversed(self.parts):
            ordered.sort(key=get, reverse=descends)
        return ordered


def parse_order(
    text: str, keys: Mapping[str, Callable[[T], SortKey]], tie_breaker: Callable[[T], SortKey], default: str = ""
) -> Order[T]:
    """Read `display_name desc, name` (AIP-132); empty means `default`. `tie_breaker` is unique and always comes last.

    Raises Refusal UNKNOWN_FIELD for a name not in `keys`, INVALID_VALUE for what cannot be read or names a field twice.
    """
    parts: list[tuple[Callable[[T], SortKey], bool]] = []
    seen: dict[str, str] = {}
    for piece in (text.strip() or default).split(",") if text.strip() or default else ():
        name, *direction = piece.split() or [""]
        if name not in keys and name:
            raise unknown_field(name, keys, "order_by")
        if not name or name in seen or direction not in ([], ["asc"], ["desc"]):
            raise Refusal(
                Reason.INVALID_VALUE,
                'cannot be read; write field names once each, with commas between, each with " desc" or nothing after',
                field="order_by",
            )
        descends = direction == ["desc"]
        seen[name] = f"{name} desc" if descends else name
        parts.append((keys[name], descends))
    return Order((*parts, (tie_breaker, False)), ",".join(seen.values()))


class Page(NamedTuple):
    """The slice [start:stop] of the list, and the token for what follows it; empty at the end."""

    start: int
    stop: int
    next_page_token: str


# Clients take 4 MiB by default. A page ends at a quarter of that, so that one costs nobody much; what comes whole or not
# at all may fill it. Tokens and revisions come on top of either.
PAGE_BYTES = 1024 * 1024 - 64 * 1024
REPLY_BYTES = 4 * 1024 * 1024 - 64 * 1024


def fitting(sizes: Iterable[int], most: int = PAGE_BYTES) -> int:
    """Give how many of the first parts, of these sizes in bytes, fill at most `most`; one always fits."""
    total = count = 0
    for size in sizes:
        total += size
        if total > most and count:
            break
        count += 1
    return count


def check_reply(sizes: Sequence[int], field: str) -> None:
    """Refuse (TOO_MANY) what was asked for at once when its parts, of these sizes in bytes, do not fit into one reply."""
    fit = fitting(sizes, REPLY_BYTES)
    if fit < len(sizes):
        raise Refusal(
            Reason.TOO_MANY,
            f"the first {fit} of {len(sizes)} fill a reply; ask for at most so many at once",
            field=field,
            metadata={"limit": str(fit), "count": str(len(sizes))},
        )


def query_hash(*parts: str) -> str:
    """Give a short hash of all that makes a query this one: method, filter, order, parent; not the page size."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def page(
    sort_keys: Sequence[tuple[SortKey, ...]],
    *,
    page_size: int,
    page_token: str,
    query_hash: str,
    default_size: int,
    max_size: int,
    descending: Sequence[bool] = (),
    size_of: Callable[[int], int] | None = None,
) -> Page:
    """Give the page of a list whose unique sort keys are given in the list's order; takes O(log n) comparisons.

    `descending` says it of each part of the keys (`Order.descending`; none descends if left out). A page_size of 0 is
    the default, one above the maximum the maximum; with `size_of`, which gives the bytes of the item at an index, a page
    ends early at about 1 MiB. Raises Refusal INVALID_PAGE_SIZE below 0, and INVALID_PAGE_TOKEN
    for a token we did not give or gave for another query.
    """
    if page_size < 0:
        raise Refusal(
            Reason.INVALID_PAGE_SIZE,
            f"{page_size} is below 0; give 1 to {max_size}, or 0 for {default_size}",
            field="page_size",
            metadata={"value": str(page_size)},
        )
    start = 0
    if page_token:
        start = _after(sort_keys, _read_token(page_token, query_hash, sort_keys), descending)
    stop = min(start + min(page_size or default_size, max_size), len(sort_keys))
    if size_of:
        stop = start + fitting(size_of(index) for index in range(start, stop))
    if stop == len(sort_keys):
        return Page(start, stop, "")
    token = json.dumps([query_hash, *sort_keys[stop - 1]], separators=(",", ":"))
    return Page(start, stop, seal(token.encode()))


def _read_token(token: str, query_hash: str, sort_keys: Sequence[tuple[SortKey, ...]]) -> tuple[SortKey, ...]:
    try:
        content = json.loads(unseal(token) or b"")
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, list) and len(content) > 1 and content[0] == query_hash:
        last = tuple(content[1:])
        # With the right hash this is ours; the shapes are compared because the checksum stops no forger.
        if not sort_keys or [type(part) for part in last] == [type(part) for part in sort_keys[0]]:
            return last
    raise Refusal(
        Reason.INVALID_PAGE_TOKEN,
        "is not a token of this query; send next_page_token of its last reply, with the same filter and order",
        field="page_token",
    )


def _after(keys: Sequence[tuple[SortKey, ...]], last: tuple[SortKey, ...], descending: Sequence[bool]) -> int:
    """How many keys come before or are `last`: bisection that knows descending parts."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if _precedes(last, keys[middle], descending):
            high = middle
        else:
            low = middle + 1
    return low


def _precedes(one: tuple[SortKey, ...], other: tuple[SortKey, ...], descending: Sequence[bool]) -> bool:
    if not any(descending):
        return one < other
    for left, right, descends in zip(one, other, descending, strict=True):
        if left != right:
            return (left > right) if descends else (left < right)  # type: ignore[operator]
    return False
