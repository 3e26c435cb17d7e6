"""Rows of a text file: CSV and JSON. Runs in the child process only.

Invariant: the file is read a piece at a time, and every value of it is a text as it stands there, save JSON's own numbers.
"""

import csv
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.common.cells import guarded, unguarded
from services.common.sheets.cells import Kind, RawCell, RawRow
from services.common.sheets.container import FaultError

_DELIMITERS = (";", ",", "\t")
_SAMPLE_RECORDS = 60
_SAMPLE_CHARACTERS = 200_000
_LONGEST_CELL = 100_000
_MOST_KEYS = 500
_CHUNK = 64 * 1024
_BLANK = " \t\r\n"


def _encoding(first: bytes) -> str:
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in first:
        return "utf-16-le" if first[1::2].count(0) >= first[::2].count(0) else "utf-16-be"
    return "utf-8-sig"


def _open(path: Path) -> io.TextIOWrapper:
    with path.open("rb") as file:
        encoding = _encoding(file.read(4096))
    return path.open(encoding=encoding, newline="")


def csv_rows(path: Path) -> Iterator[RawRow]:
    """Read records; a record is a row, whatever line breaks its cells hold. Raises FaultError."""
    csv.field_size_limit(_LONGEST_CELL)
    try:
        with _open(path) as text:
            delimiter, skip = _delimiter(text.read(_SAMPLE_CHARACTERS))
            text.seek(0)
            for number, record in enumerate(csv.reader(text, delimiter=delimiter), start=1):
                if number > skip and any(map(str.strip, record)):
                    yield number, [*map(_as_it_was, record)]
    except UnicodeError:
        raise FaultError("not_utf8") from None
    except csv.Error:
        raise FaultError("cell_too_long") from None


def _as_it_was(cell: str) -> str:
    """Take off the ' that our own files, and careful ones of others, put before what looks like a formula."""
    text = unguarded(cell)
    return text if text != cell and guarded(text) == cell else cell


def _delimiter(sample: str) -> tuple[str, int]:
    """Find the delimiter that cuts the most records to one and the same width; give it and how many first rows name it."""
    lines = sample.lstrip("\ufeff").splitlines()
    if lines and lines[0].lower().startswith("sep=") and lines[0][4:] in _DELIMITERS:
        return lines[0][4:], 1
    best, delimiter = (0, 0), ","
    for each in _DELIMITERS:
        records = itertools.islice(csv.reader(io.StringIO(sample, newline=""), delimiter=each), _SAMPLE_RECORDS)
        widths = Counter(len(record) for record in records if len(record) > 1)
        width, count = max(widths.items(), key=lambda pair: (pair[1], pair[0]), default=(0, 0))
        if (count, width) > best:
            best, delimiter = (count, width), each
    return delimiter, 0


def json_rows(path: Path) -> Iterator[RawRow]:
    """Read a list of objects: its keys as the first row, numbered 0, then a row for each object. Raises FaultError."""
    try:
        keys: dict[str, int] = {}
        for each in _objects(path):
            for key in each:
                keys.setdefault(key, len(keys))
            if len(keys) > _MOST_KEYS:
                raise FaultError("too_costly")
        yield 0, list(keys)
        for number, each in enumerate(_objects(path), start=1):
            cells: list[RawCell] = [""] * len(keys)
            for key, value in each.items():
                cells[keys[key]] = _json_cell(value)
            yield number, cells
    except UnicodeError:
        raise FaultError("not_utf8") from None
    except (ValueError, RecursionError):
        raise FaultError("not_json") from None


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    """Take one object after the other off the text, so that no more than one and a piece is held."""
    decoder = json.JSONDecoder(parse_float=_Digits, parse_int=_Digits, parse_constant=_Digits)
    with _open(path) as text:
        held = text.read(_CHUNK).lstrip(_BLANK + "\ufeff")
        if not held.startswith("["):
            raise ValueError("no list")
        held, whole = held[1:], False
        while True:
            held = held.lstrip(_BLANK)
            if held.startswith("]"):
                if held[1:].strip(_BLANK) or text.read(_CHUNK).strip(_BLANK):
                    raise ValueError("more follows")
                return
            try:
                value, end = decoder.raw_decode(held)
                # What follows must be there, or the value may go on.
                rest = held[end:].lstrip(_BLANK)
                if not rest and not whole:
                    raise ValueError("not yet")
            except ValueError:
                piece = text.read(max(_CHUNK, len(held)))
                if whole or len(held) > 64 * _LONGEST_CELL:
                    raise
                held, whole = held + piece, not piece
                continue
            if not isinstance(value, dict) or rest[:1] not in {",", "]"}:
                raise ValueError("no object")
            held = rest.removeprefix(",")
            yield value


class _Digits(str):
    """A number of JSON, as it is written there."""

    __slots__ = ()


def _json_cell(value: Any) -> RawCell:
    match value:
        case None:
            return ""
        case _Digits():
            return [Kind.NUMBER.value, str(value), ""]
        case bool():
            return [Kind.FLAG.value, str(value).upper(), ""]
        case str():
            return value
        case _:
            return [Kind.PARTS.value, json.dumps(value, ensure_ascii=False), ""]
