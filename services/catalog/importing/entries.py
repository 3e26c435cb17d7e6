"""What one row of a list says of a service, checked by itself.

Invariant: an entry without problems holds only values that the catalog's rules take; every problem names its cell.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from services.catalog.domain import (
    Agency,
    OnlineLevel,
    OnlineLevelScheme,
    ProcedureCode,
    Service,
    checked_service,
    new_service,
)
from services.common.errors import Reason, Refusal
from services.common.sheets import Column, ListRow, one_line
from services.common.text import fold, spelling
from services.common.words import Lang, word

COLUMNS = (
    Column(
        "code",
        (
            "ma thu tuc hanh chinh",
            "ma so thu tuc hanh chinh",
            "ma tthc",
            "ma so tthc",
            "ma thu tuc",
            "ma so thu tuc",
            "ma so",
            "ma dich vu cong",
            "ma",
            "procedure code",
            "code",
        ),
        exact=True,
    ),
    Column("service", ("ma he thong", "service id", "service", "id")),
    Column("plan_number", ("so trong ke hoach", "so thu tu trong ke hoach", "plan number")),
    Column(
        "name",
        (
            "ten thu tuc hanh chinh",
            "ten tthc",
            "ten thu tuc",
            "ten dich vu cong truc tuyen",
            "ten dich vu cong",
            "ten dich vu",
            "ten dvc",
            "ten dvctt",
            "thu tuc hanh chinh",
            "ten",
            "service name",
            "procedure name",
            "name",
        ),
    ),
    Column("english_gloss", ("ten tieng anh", "english gloss", "english name")),
    Column("field", ("linh vuc", "ten linh vuc", "field")),
    Column(
        "agency",
        (
            "co quan thuc hien",
            "don vi thuc hien",
            "co quan truc tiep thuc hien",
            "don vi chu tri",
            "co quan",
            "implementing agency",
            "agency",
            "owner",
        ),
    ),
    Column("level", ("cap thuc hien", "cap hanh chinh", "level of government", "level")),
    Column("audience", ("doi tuong thuc hien", "doi tuong", "audience")),
    Column("online_level", ("muc do", "muc do dvc", "muc do dich vu cong", "muc do cung cap", "online level")),
    Column("channel", ("cach thuc thuc hien", "hinh thuc thuc hien", "cach thuc nop ho so", "channel")),
)
DEFAULTS = frozenset({"field", "agency", "level", "audience", "online_level", "channel"})

# The catalog's name for what a column holds, to name the cell to blame.
_COLUMN_OF = {
    "display_name": "name",
    "english_gloss": "english_gloss",
    "procedure_codes": "code",
    "field": "field",
    "agencies": "agency",
    "levels": "level",
    "audiences": "audience",
    "channels": "channel",
    "online_levels": "online_level",
}
_TOLD = 200
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
class Entry:
    """One row: its number, what it says of the service it is (`service`: id or alias, `plan_number`: 0 where not told).

    `told` holds the values given, in an otherwise empty service; `spelling` is what all spellings of its name share, empty
    where it has none; `cells` names the cells of its name and code.
    """

    row: int
    told: Service
    spelling: str
    service: str
    plan_number: int
    cells: tuple[str, str]
    problems: tuple[Refusal, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """The procedure codes it gives."""
        return tuple(code.code for code in self.told.procedure_codes)


def entry_of(row: ListRow, defaults: Mapping[str, str]) -> Entry:
    """Read one row; `defaults` stand for empty cells."""
    problems: list[Refusal] = []

    def text(field: str) -> str:
        return row.text(field) or one_line(defaults.get(field, ""))

    def lines(field: str) -> list[str]:
        return row.lines(field) or [one_line(part) for part in defaults.get(field, "").split(";") if part.strip()]

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
        procedure_codes=tried(lambda: _codes(row), ()),
        field=text("field"),
        agencies=tuple(Agency(agency, None, None) for agency in lines("agency")),
        levels=tuple(part for line in lines("level") for each in line.split(",") if (part := each.strip())),
        audiences=tuple(lines("audience")),
        channels=tuple(lines("channel")),
        online_levels=tried(lambda: _online_levels(text("online_level"), row.place("online_level")), ()),
    )
    plan_number = tried(lambda: _plan_number(row), 0)
    told = tried(lambda: _checked(told, row), told)
    if not (told.display_name or told.procedure_codes or row.text("service") or plan_number or problems):
        problems.append(Refusal(Reason.MISSING_VALUE, "the row has no name; give it one", field=row.place("name")))
    if problems:
        # Its text may be of any length; what is told of the row needs no more.
        told = replace(_BLANK, display_name=told.display_name[:_TOLD])
    cells = (row.place("name"), row.place("code"))
    return Entry(
        row.number, told, spelling(told.display_name), row.text("service"), plan_number, cells, tuple(problems)
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
        path = refusal.fields[0]
        field = path.removeprefix("service.").partition("[")[0]
        place = row.place(_COLUMN_OF.get(field, field))
        message = refusal.message.removeprefix(f"{path}: ")
        raise Refusal(refusal.reason, message, field=place, metadata=refusal.metadata) from None
