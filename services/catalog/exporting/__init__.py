"""The services as a file: lines for spreadsheets, a workbook, JSON, linked data.

Invariant: a file is made of one state and piece by piece, so it costs the same memory whatever its length; it says nothing
that the catalog does not hold.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from enum import IntEnum

from services.catalog.exporting.content import Export
from services.catalog.exporting.linked import json_ld
from services.catalog.exporting.plain import json_list
from services.catalog.exporting.tables import csv_lines, workbook
from services.common.errors import Reason, Refusal
from services.common.words import Lang
from tiendo.catalog.v1 import export_pb2

__all__ = ["Export", "Format", "header", "known_format", "known_language", "pieces"]

_PIECE_BYTES = 64 * 1024


class Format(IntEnum):
    """What file to make; the numbers are those of tiendo.catalog.v1.ExportFormat."""

    CSV = 1
    XLSX = 2
    JSON = 3
    JSON_LD = 4


_MAKERS: dict[Format, Callable[[Export], Iterator[bytes]]] = {
    Format.CSV: csv_lines,
    Format.XLSX: workbook,
    Format.JSON: json_list,
    Format.JSON_LD: json_ld,
}
_MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.JSON: "application/json",
    Format.JSON_LD: "application/ld+json",
}
_SUFFIXES = {Format.CSV: "csv", Format.XLSX: "xlsx", Format.JSON: "json", Format.JSON_LD: "jsonld"}


def known_format(number: int) -> Format:
    """Read a format of the contract. Raises Refusal MISSING_VALUE, UNKNOWN_VALUE."""
    if not number:
        raise Refusal(Reason.MISSING_VALUE, "say which file to make: CSV, XLSX, JSON or JSON_LD", field="format")
    try:
        return Format(number)
    except ValueError:
        raise Refusal(
            Reason.UNKNOWN_VALUE,
            f"{number} is no format known here; there are CSV, XLSX, JSON and JSON_LD",
            field="format",
            metadata={"value": str(number)},
        ) from None


def known_language(number: int) -> Lang:
    """Read a language of the contract. Raises Refusal UNKNOWN_VALUE."""
    languages = {
        0: Lang.VI,
        export_pb2.EXPORT_LANGUAGE_VIETNAMESE: Lang.VI,
        export_pb2.EXPORT_LANGUAGE_ENGLISH: Lang.EN,
    }
    if number not in languages:
        raise Refusal(
            Reason.UNKNOWN_VALUE,
            f"{number} is no language known here; there are VIETNAMESE and ENGLISH",
            field="language",
            metadata={"value": str(number)},
        )
    return languages[number]


def header(export: Export, format: Format, revisions: Sequence[str]) -> bytes:  # noqa: A002 (the contract's word)
    """Say what is known of a file before its first byte: a serialized ExportHeader."""
    return export_pb2.ExportHeader(
        file_name=f"{export.name}.{_SUFFIXES[format]}",
        media_type=_MEDIA_TYPES[format],
        service_count=len(export.entries),
        revisions=revisions,
    ).SerializeToString()


async def pieces(export: Export, format: Format) -> AsyncGenerator[bytes, None]:  # noqa: A002 (the contract's word)
    """Give the file in pieces of at most 64 KiB, each made in a thread once it is asked for."""
    made = _pieces(_MAKERS[format](export))
    step: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, made, None))
            piece = await asyncio.shield(step)
            if piece is None:
                return
            if piece:
                yield piece
    finally:
        # Who gives up does not end the thread: what it writes into is let go of once it has come to rest.
        if step is not None:
            await asyncio.wait({step})
        made.close()


def _pieces(parts: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Join small parts and cut large ones; an empty part gives an empty piece, between which whoever waits may give up."""
    held = bytearray()
    for part in parts:
        held += part
        while len(held) >= _PIECE_BYTES or not part:
            yield bytes(held[:_PIECE_BYTES])
            del held[:_PIECE_BYTES]
            if not part:
                break
    while held:
        yield bytes(held[:_PIECE_BYTES])
        del held[:_PIECE_BYTES]
