"""Hostile files are refused in seconds, in little memory, and take nobody down."""

import resource
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.errors import Reason, Refusal
from services.common.sheets import reading
from services.common.sheets.child import MEMORY_BYTES
from services.common.sheets.reading import read_sheet
from tests.support.lists import HEADINGS, read, workbook

SHEET = "xl/worksheets/sheet1.xml"
_SECONDS = 5.0


def rebuilt(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Copy an archive with some parts changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, change(part.filename, old.read(part.filename)))
    return target


def plain(folder: Path) -> Path:
    """A good list."""
    return workbook(folder / "good.xlsx", [HEADINGS, ("1.003290", "Một"), ("1.003300", "Hai")])


def with_entity(folder: Path) -> Path:
    """A sheet that declares an external entity and uses it."""
    entity = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'

    def change(name: str, content: bytes) -> bytes:
        return entity + content.partition(b"?>")[2] if name == SHEET else content

    return rebuilt(plain(folder), folder / "entity.xlsx", change)


def with_laughs(folder: Path) -> Path:
    """A part whose entities multiply, behind a comment that is longer than any piece it is read by."""
    laughs = b"".join(b'<!ENTITY a%d "%s">' % (n + 1, b"&a%d;" % n * 10) for n in range(9))
    text = (
        b'<?xml version="1.0"?><!--'
        + b"x" * 300_000
        + b'--><!DOCTYPE x [<!ENTITY a0 "lol">'
        + laughs
        + b"]><x>&a9;</x>"
    )
    return rebuilt(plain(folder), folder / "laughs.xlsx", lambda name, old: text if name == SHEET else old)


def swollen(folder: Path) -> Path:
    """A part that unpacks to 2 GB."""
    target = folder / "swollen.xlsx"
    with (
        zipfile.ZipFile(plain(folder)) as old,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for part in old.infolist():
            new.writestr(part.filename, old.read(part.filename))
        with new.open("xl/media/image1.xml", "w", force_zip64=True) as part_file:
            for _ in range(2048):
                part_file.write(b" " * 1024 * 1024)
    return target


def lying(folder: Path) -> Path:
    """A part that unpacks to 40 MB and says that it has 10 bytes."""
    target = rebuilt(
        plain(folder), folder / "lying.xlsx", lambda name, old: b" " * 40_000_000 if name == SHEET else old
    )
    content = target.read_bytes().replace(struct.pack("<I", 40_000_000), struct.pack("<I", 10))
    target.write_bytes(content)
    return target


def far_apart(folder: Path) -> Path:
    """Two cells at opposite corners of the largest sheet there can be."""

    def change(name: str, content: bytes) -> bytes:
        return (
            content.replace(b'r="E1"', b'r="XFD1"')
            .replace(b'r="3"', b'r="1048576"')
            .replace(b'r="A3"', b'r="A1048576"')
        )

    return rebuilt(plain(folder), folder / "far.xlsx", lambda name, old: change(name, old) if name == SHEET else old)


def repeated(folder: Path) -> Path:
    """An ODS file whose one row is repeated a million times, each cell sixteen thousand times."""
    target = folder / "repeated.ods"
    names = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="{}" xmlns:text="{}"'.format(
        "urn:oasis:names:tc:opendocument:xmlns:table:1.0", "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
    )
    row = (
        '<table:table-row table:number-rows-repeated="1048576"><table:table-cell office:value-type="string" '
        'table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell></table:table-row>'
    )
    content = (
        f'<?xml version="1.0"?><office:document-content {names}><office:body><office:spreadsheet><table:table table:name="a">'
        f"{row}</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    return target


def protected(folder: Path) -> Path:
    """An archive with a password."""
    target = folder / "protected.xlsx"
    content = bytearray(plain(folder).read_bytes())
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + 8] |= 1
        place = content.find(b"PK\x01\x02", place + 4)
    target.write_bytes(content)
    return target


def cut(folder: Path) -> Path:
    """Half a workbook."""
    target = folder / "cut.xlsx"
    content = plain(folder).read_bytes()
    target.write_bytes(content[: len(content) // 2])
    return target


def unclosed(folder: Path) -> Path:
    """A quotation mark that is never closed."""
    target = folder / "unclosed.csv"
    target.write_text('Mã số;Tên\n1.003290;"Một' + "\nx;y" * 100_000, encoding="utf-8")
    return target


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    """A file with this content."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


HOSTILE = {
    "external entity": (with_entity, "external"),
    "entities that multiply": (with_laughs, "external"),
    "2 GB in a part": (swollen, "bomb"),
    "a lie about its size": (lying, "bomb"),
    "the largest sheet": (far_apart, "too_costly"),
    "a row repeated": (repeated, "damaged"),
    "a password": (protected, "password"),
    "half a workbook": (cut, "damaged"),
    "an old workbook's first bytes alone": (
        written("x.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\xff" * 5000),
        "damaged",
    ),
    "an unclosed quotation": (unclosed, "cell_too_long"),
    "deep JSON": (written("x.json", b'[{"a":' * 200_000), "not_json"),
    "a picture": (written("x.xlsx", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20), "unknown_format"),
    "an archive of something else": (written("x.zip", b"PK\x05\x06" + b"\0" * 18), "unknown_format"),
    "nothing": (written("x.csv", b"\xef\xbb\xbf\r\n"), "empty"),
    "an old encoding": (written("x.csv", "Mã số;Tên\n1.003290;Một\n".encode("cp1258", "replace")), "not_utf8"),
    "invalid UTF-8": (written("x.csv", b"Ma so;Ten\n1.003290;\xff\xfe\n"), "not_utf8"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_quickly(tmp_path: Path, kind: str) -> None:
    """It is refused with the right words in under 5 s and 300 MB, whatever it would have become."""
    make, fault = HOSTILE[kind]
    file = make(tmp_path)
    begun = time.monotonic()

    with pytest.raises(Refusal) as caught:
        read(file)

    assert (caught.value.reason, caught.value.metadata.get("fault")) == (Reason.FILE_UNREADABLE, fault)
    assert time.monotonic() - begun < _SECONDS
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < MEMORY_BYTES


def test_a_file_over_the_limit_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit no process is started."""
    monkeypatch.setattr(reading, "MOST_BYTES", 10)

    with pytest.raises(Refusal) as caught:
        read(plain(tmp_path))

    assert caught.value.metadata["fault"] == "too_large"


def test_a_reader_that_stops_early_leaves_no_process(tmp_path: Path) -> None:
    """Whoever takes a few rows and goes is not waited for by a child that has more."""
    file = workbook(tmp_path / "long.xlsx", [HEADINGS, *((f"1.{n:06d}", "Tên") for n in range(20_000))])

    begun = time.monotonic()
    with read_sheet(file, file.name) as sheet:
        first = next(sheet.rows)

    assert first[0] == 1
    assert time.monotonic() - begun < _SECONDS


@given(
    content=st.binary(max_size=300), start=st.sampled_from([b"", b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"[", b"\xff\xfe"])
)
@settings(max_examples=15)
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, start: bytes, content: bytes) -> None:
    """No content breaks the reader in another way than by a refusal."""
    file = tmp_path_factory.getbasetemp() / "any-bytes"
    file.write_bytes(start + content)

    try:
        read(file)
    except Refusal as refusal:
        assert refusal.reason in {Reason.FILE_UNREADABLE, Reason.HEADER_NOT_FOUND}
