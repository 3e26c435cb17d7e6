"""The look at a file before anything reads it: which format it is, and whether its container can be trusted.

Invariant: every part of an archive is inflated once, counted, and thrown away; a part that is larger than it says, or that
declares entities, is refused before a parser sees it.
"""

import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MOST_PARTS = 2000
MOST_INFLATED = 256 * 1024 * 1024
_CHUNK = 256 * 1024
_OVERLAP = 64
_ENTITIES = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_SPANS = re.compile(rb'number-(?:rows|columns)-spanned="(?!1")')
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENCRYPTED = 0x1
_OLE = b"\xd0\xcf\x11\xe0"
_ODS = b"application/vnd.oasis.opendocument.spreadsheet"


class FaultError(Exception):
    """The file is not read; the argument is the fault's short name, `file_fault.*` in words.toml."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a file is: xlsx, xls, ods, csv or json; its size when inflated; whether an ods may have merged cells."""

    form: str
    inflated_bytes: int
    spans: bool = False


def look(path: Path, name: str) -> Look:
    """Tell the format by the content; the file's `name` decides only between CSV and JSON. Raises FaultError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(4096)
    if not first.strip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"):
        raise FaultError("empty")
    if first.startswith(b"PK"):
        try:
            return _look_inside(path)
        except (zipfile.BadZipFile, zlib.error, struct.error, OSError, ValueError, NotImplementedError, KeyError):
            raise FaultError("damaged") from None
    if first.startswith(_OLE):
        return Look("xls", size)
    ending = name.lower().rpartition(".")[2]
    start = first.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").lstrip(b"\xff\xfe \t\r\n")[:1]
    if ending == "json" or (ending != "csv" and start in {b"[", b"{"}):
        return Look("json", size)
    if b"\0" in first and not _utf16(first):
        raise FaultError("unknown_format")
    return Look("csv", size)


def _utf16(first: bytes) -> bool:
    """Whether so many zeros stand at one parity alone that this is a text in UTF-16."""
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    even, odd = first[::2].count(0), first[1::2].count(0)
    return min(even, odd) * 20 < max(even, odd) > len(first) // 8


def _look_inside(path: Path) -> Look:
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        parts = archive.infolist()
        names = [part.filename for part in parts]
        if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_INFLATED:
            raise FaultError("bomb")
        if len(set(names)) < len(names):
            raise FaultError("damaged")
        if any(part.flag_bits & _ENCRYPTED for part in parts):
            raise FaultError("password")
        form = _form(archive, set(names))
        inflated, spans = 0, False
        for part in parts:
            size, has_spans = _inflate(file, part)
            inflated, spans = inflated + size, spans or (has_spans and part.filename == "content.xml")
        return Look(form, inflated, spans)


def _form(archive: zipfile.ZipFile, names: set[str]) -> str:
    if "xl/workbook.xml" in names:
        return "xlsx"
    told = b""
    if {"mimetype", "content.xml"} <= names and archive.getinfo("mimetype").file_size < _CHUNK:
        told = archive.read("mimetype")
    if told.startswith(_ODS):  # a template is one too, `…spreadsheet-template`
        return "ods"
    raise FaultError("unknown_format")


def _inflate(file: BinaryIO, part: zipfile.ZipInfo) -> tuple[int, bool]:
    """Inflate one part as the archive stores it, whatever it says of its size; give its real size, and if spans occur."""
    file.seek(part.header_offset)
    header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if header[0] != b"PK\x03\x04":
        raise FaultError("damaged")
    file.seek(header[-2] + header[-1], 1)
    if part.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise FaultError("unknown_format")
    inflater = zlib.decompressobj(-zlib.MAX_WBITS) if part.compress_type == zipfile.ZIP_DEFLATED else None
    # Only markup: elsewhere these bytes mean nothing.
    markup = part.filename.lower().endswith((".xml", ".rels", ".vml"))
    left, size, spans, before = part.compress_size, 0, False, b""
    while left:
        raw = file.read(min(left, _CHUNK))
        if not raw:
            raise FaultError("damaged")
        left -= len(raw)
        while raw:
            piece = inflater.decompress(raw, _CHUNK) if inflater else raw
            raw = inflater.unconsumed_tail if inflater else b""
            size += len(piece)
            if size > part.file_size:
                raise FaultError("bomb")
            if markup:
                if not before and piece.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise FaultError("external")
                seen = before + piece
                if _ENTITIES.search(seen):
                    raise FaultError("external")
                spans = spans or _SPANS.search(seen) is not None
                before = seen[-_OVERLAP:]
    return size, spans
