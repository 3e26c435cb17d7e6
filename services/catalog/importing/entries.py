"""What one row of a list says of a service, checked by itself.

Invariant: an entry without problems holds only values that the catalog's rules take; every problem names its cell.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format

from services.catalog import wire
from services.catalog.domain import (
    Agency,
    Membership,
    OnlineLevel,
    OnlineLevelScheme,
    ProcedureCode,
    Service,
    checked_service,
    new_service,
)
from services.catalog.importing.columns import COLUMN_OF, COLUMNS
from services.common.errors import Reason, Refusal
from services.common.sheets import ListRow, lines_of, one_line
from services.common.spool import Spool
from services.common.text import fold, spelling
from services.common.words import Lang, word
from tiendo.catalog.v1 import service_pb2

# Where JSON holds objects, they are those of the contract: its name for them there, and in a service.
_MESSAGES = {
    "code": ("procedureCodes", "procedure_codes"),
    "agency": ("agencies", "agencies"),
    "online_level": ("onlineLevels", "online_levels"),
    "memberships": ("memberships", "memberships"),
}
_TOLD = 200
_OBJECTS = "holds objects of JSON; give a text, or a list of texts"
_NO_LEVEL = frozenset({"", "khong", "chua cung cap", "con lai", "cung cap thong tin truc tuyen"})
_SERVICE_WORDS = re.compile(r"^(?:(?:dich vu cong truc tuyen|dich vu cong|dich vu|dvctt|dvc|muc do|muc|level) )+")
_LEVELS = {
    "mot phan": OnlineLevel(OnlineLevelScheme.ND42_2022, "MOT_PHAN", None),
    "partly online": OnlineLevel(OnlineLevelScheme.ND42_2022, "MOT_PHAN", None),
    "toan trinh": OnlineLevel(OnlineLevelScheme.ND42_2022, "TOAN_TRINH", None),
    "fully online": OnlineLevel(OnlineLevelScheme.ND42_2022, "TOAN_TRINH", None),
} | {text: OnlineLevel(OnlineLevelScheme.ND43_2011, text, None) for text in "1234"}
# What our own files call a place without a name: no name either.
_PLACEHOLDER = re.compile(
    "|".join(
        re.escape(word(key, lang, **{"number": 0} if key == "naming.SLOT" else {})).replace("0", "[0-9]+")
        for key in ("naming.SLOT", "naming.UNNAMED")
        for lang in Lang
    )
)
_BLANK = new_service("row", datetime.min.replace(tzinfo=UTC), "")


@dataclass(frozen=True, slots=True)
class Key:
    """What tells which service a row is: its number in the file, and `service` (id or alias), where it names one.

    `name` is as `name_key` gives it, empty where it has none; `plan_number` is 0 where not told.
    """

    row: int
    codes: tuple[str, ...]
    name: bytes
    service: str
    plan_number: int
    memberships: tuple[Membership, ...]
    has_problems: bool

    def number_in(self, programme: str) -> int:
        """The plan number that it gives itself in a programme; 0 where it gives none."""
        return self.plan_number or next(
            (place.plan_number for place in self.memberships if place.programme == programme), 0
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One row.

    `told` holds the values given, in an otherwise empty service; `cells` names the cells of its name and code.
    """

    key: Key
    told: Service
    cells: tuple[str, str]
    problems: tuple[Refusal, ...]


class Entries:
    """All rows of a list, of which the keys alone are in memory."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.keys: list[Key] = []
        self._whole = Spool[Entry]()
        for entry in entries:
            self.append(entry)

    def append(self, entry: Entry) -> None:
        """Add the next row."""
        self.keys.append(entry.key)
        self._whole.append(entry)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, place: int) -> Entry:
        return self._whole[place]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._whole)


def entry_of(row: ListRow, defaults: Mapping[str, str]) -> Entry:
    """Read one row; `defaults` stand for empty cells."""
    problems: list[Refusal] = []

    def text(field: str) -> str:
        return row.text(field) or one_line(defaults.get(field, ""))

    def lines(field: str) -> list[str]:
        return row.lines(field) or lines_of(defaults.get(field, ""))

    def tried(read: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return read()
        except Refusal as refusal:
            problems.append(refusal.with_traceback(None))  # which would hold every row's frames
            return otherwise

    told = replace(
        _BLANK,
        display_name="" if _PLACEHOLDER.fullmatch(row.text("name")) else row.text("name"),
        english_gloss=row.text("english_gloss"),
        memberships=tried(lambda: _objects(row, "memberships"), ()),
        procedure_codes=tried(lambda: _objects(row, "code") or _codes(row), ()),
        field=text("field"),
        agencies=tried(lambda: _objects(row, "agency"), ())
        or tuple(Agency(agency, None, None) for agency in lines("agency")),
        levels=tuple(lines("level") if row.parts("level") else levels_of(lines("level"))),
        audiences=tuple(lines("audience")),
        channels=tuple(lines("channel")),
        online_levels=tried(
            lambda: _objects(row, "online_level") or _online_levels(text("online_level"), row.place("online_level")),
            (),
        ),
    )
    plan_number = tried(lambda: _plan_number(row), 0)
    told = tried(lambda: _checked(told, row), told)
    problems += _objects_for_texts(row)
    service = row.text("service").removeprefix("services/")
    if not (told.display_name or told.procedure_codes or service or plan_number or problems):
        problems.append(Refusal(Reason.MISSING_VALUE, "the row has no name; give it one", field=row.place("name")))
    if problems:
        # Its text may be of any length; what is told of the row needs no more.
        told = replace(_BLANK, display_name=told.display_name[:_TOLD])
    cells = (row.place("name"), row.place("code"))
    key = Key(
        row.number,
        tuple(code.code for code in told.procedure_codes),
        name_key(spelling(told.display_name)),
        service,
        plan_number,
        told.memberships,
        bool(problems),
    )
    return Entry(key, told, cells, tuple(problems))


def name_key(spelled: str) -> bytes:
    """Give what stands for a name, as `text.spelling` spells it, among many: short, and by chance never another's."""
    return hashlib.blake2b(spelled.encode(), digest_size=16).digest() if spelled else b""


def levels_of(lines: Iterable[str]) -> list[str]:
    """Give the levels of government that lines of a list name, a comma parting them too."""
    return [part for line in lines for each in line.split(",") if (part := each.strip())]


def _objects(row: ListRow, field: str) -> tuple[Any, ...]:
    """Read what our own JSON holds as objects, dates included; empty for any other cell. Raises Refusal INVALID_VALUE."""
    parts = row.parts(field)
    if not (isinstance(parts, list) and parts and all(isinstance(each, dict) for each in parts)):
        return ()
    key, name = _MESSAGES[field]
    try:
        message = json_format.ParseDict({key: parts}, service_pb2.Service())
        values: tuple[Any, ...] = getattr(wire.service_in(message, _BLANK, [name]), name)
    except json_format.ParseError:
        raise Refusal(Reason.INVALID_VALUE, _OBJECTS, field=row.place(field)) from None
    except Refusal as refusal:
        raise _at_cell(refusal, row) from None
    return values


def _objects_for_texts(row: ListRow) -> list[Refusal]:
    """Refuse what JSON holds where only texts are taken."""
    return [
        Refusal(Reason.INVALID_VALUE, _OBJECTS, field=row.place(column.field))
        for column in COLUMNS
        if (parts := row.parts(column.field)) is not None and not _fits(parts, column.field)
    ]


def _fits(parts: Any, field: str) -> bool:
    return isinstance(parts, list) and (
        all(isinstance(each, str) for each in parts)
        or (field in _MESSAGES and all(isinstance(each, dict) for each in parts))
    )


def _codes(row: ListRow) -> tuple[ProcedureCode, ...]:
    row.check_exact("code")
    codes = dict.fromkeys(re.split(r"[;,\s]+", row.text("code")))
    return tuple(ProcedureCode(code, None, None) for code in codes if code)


def _plan_number(row: ListRow) -> int:
    text = row.text("plan_number")
    if text and not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) > 0):
        raise Refusal(Reason.INVALID_VALUE, f"{text[:40]!r} is no plan number", field=row.place("plan_number"))
    return int(text or 0)


def _online_levels(text: str, cell: str) -> tuple[OnlineLevel, ...]:
    word = _SERVICE_WORDS.sub("", f"{fold(text)} ").strip() if text else ""
    if word in _NO_LEVEL:
        return ()
    if word not in _LEVELS:
        raise Refusal(
            Reason.UNKNOWN_VALUE,
            f"{text[:40]!r} is no online level; give Một phần, Toàn trình, or 1 to 4, or leave the column out",
            field=cell,
            metadata={"value": text[:40]},
        )
    return (_LEVELS[word],)


def _checked(told: Service, row: ListRow) -> Service:
    try:
        return checked_service(told)
    except Refusal as refusal:
        raise _at_cell(refusal, row) from None


def _at_cell(refusal: Refusal, row: ListRow) -> Refusal:
    """Blame the cell for what the catalog's rules refuse of a service."""
    path = refusal.fields[0]
    field = path.removeprefix("service.").partition("[")[0]
    place = row.place(COLUMN_OF.get(field, field))
    return Refusal(refusal.reason, refusal.message.removeprefix(f"{path}: "), field=place, metadata=refusal.metadata)
