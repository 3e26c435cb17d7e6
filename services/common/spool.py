"""A long list kept in a file: what it holds takes hardly any memory.

Invariant: what is read is equal to what was appended, in that order; the file has no name and is gone with the list.
"""

import io
import pickle
import tempfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from functools import cached_property
from operator import attrgetter
from typing import IO, Any, TypeVar, overload

# Packed together: one by one costs three times as much, and more at once makes finding a single one slow.
_BLOCK = 32

T = TypeVar("T")


class Spool(Sequence[T]):
    """Values in the order in which they were appended: plain ones, frozen dataclasses and messages. One thread at a time."""

    def __init__(self) -> None:
        self._starts = array("Q", [0])
        self._last: list[T] = []
        self._kept: dict[int, list[T]] = {}

    def append(self, value: T) -> None:
        """Add a value."""
        self._last.append(value)
        if len(self._last) == _BLOCK:
            packed = io.BytesIO()
            _Pickler(packed, pickle.HIGHEST_PROTOCOL).dump(self._last)
            self._file.seek(self._starts[-1])
            self._file.write(packed.getbuffer())
            self._starts.append(self._starts[-1] + packed.tell())
            self._last = []

    def __len__(self) -> int:
        return (len(self._starts) - 1) * _BLOCK + len(self._last)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        block, inside = divmod(range(len(self))[place], _BLOCK)
        if block == len(self._starts) - 1:
            return self._last[inside]
        if block not in self._kept:
            # Two, for a place is often asked for together with another one.
            self._kept = dict([*self._kept.items()][-1:]) | {block: self._block(block)}
        return self._kept[block][inside]

    def __iter__(self) -> Iterator[T]:
        for block in range(len(self._starts) - 1):
            yield from self._block(block)
        yield from self._last

    @cached_property
    def _file(self) -> IO[bytes]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the list)
        weakref.finalize(self, file.close)
        return file

    def _block(self, block: int) -> list[T]:
        start, end = self._starts[block : block + 2]
        self._file.seek(start)
        # Nobody else can write to a file without a name, so nothing strange is unpacked.
        values: list[T] = pickle.loads(self._file.read(end - start))  # noqa: S301
        return values


class _Pickler(pickle.Pickler):
    """Packs a dataclass with slots by the values of its fields, five times as fast as Python's own way."""

    def reducer_override(self, value: Any) -> Any:
        """Say how a value is made again."""
        kind = type(value)
        fields = getattr(kind, "__match_args__", ())
        return (kind, attrgetter(*fields)(value)) if len(fields) > 1 and "__slots__" in vars(kind) else NotImplemented
