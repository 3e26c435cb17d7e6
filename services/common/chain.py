"""Checks that a journal is whole: every row there, each with the digest of its bytes and naming the one before it.

Invariant: what passes ends at the very row that the head names, and no byte of an earlier row can have been changed since.
"""

from collections.abc import Iterable

from services.common.envelope import header_of
from services.common.journal import Head, Row, digest_of


class BrokenChainError(Exception):
    """The journal is not whole; the text names the first row that is wrong, and why."""


def check_chain(head: Head, rows: Iterable[Row], *, whole: bool = True) -> None:
    """Walk all rows, in order, to the head. Raises BrokenChainError.

    A journal that is not `whole` may begin later than with row 1, its first row being taken as it is, or have no rows left.
    """
    number, before = 0, ""
    for row in rows:
        first, number = not number, number + 1
        if first and not whole:
            number = row.sequence
        if row.sequence != number:
            raise BrokenChainError(f"row {number} is missing")
        if digest_of(row.payload) != row.digest:
            raise BrokenChainError(f"row {number} was changed: its bytes do not have its digest")
        try:
            header = header_of(row.payload)
        except ValueError:
            raise BrokenChainError(f"row {number} cannot be read") from None
        if (header.epoch, header.sequence) != (head.epoch, number):
            named = f"row {header.sequence} of {header.epoch}"
            raise BrokenChainError(f"row {number} calls itself {named}, the journal is {head.epoch}")
        if header.previous_digest != before and (whole or not first):
            raise BrokenChainError(f"row {number} does not follow row {number - 1}")
        before = row.digest
    trimmed = not whole and not number
    if not trimmed and (number, before) != (head.sequence, head.digest):
        raise BrokenChainError(f"it ends at row {number}, its head names row {head.sequence} or another digest")
