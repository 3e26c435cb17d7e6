"""What commands that take a list share: the options, which row is which service, and how a wrong cell is told.

Invariant: whatever is wrong with a list is told by its cell, with what helps, in the user's language.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from services.cli.session import Session, UsageProblemError
from services.client import RefusedError
from services.common.errors import Refusal
from services.common.sheets import UNUSED, Column, Columns, Skipped, read_list
from services.common.words import word_error

FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="XLSX, XLS, ODS, CSV or JSON.")]
TargetOption = Annotated[str, typer.Option("--programme", help="Its id; default: the installation's.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only tell what would happen.")]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="HEADING=FIELD", help="What a column is; FIELD - leaves it out. Repeat for several."),
]
SheetOption = Annotated[str, typer.Option("--sheet", help="The sheet; default: the first that is visible.")]
AcceptOption = Annotated[
    list[str] | None,
    typer.Option("--accept", metavar="SERVICE=ROW", help="That a row (or its code) is this service, or plan number."),
]
MappingOption = Annotated[
    str, typer.Option("--mapping", metavar="FILE", help="A list with columns service or plan_number, and row or code.")
]
RowsOption = Annotated[int, typer.Option("--limit", min=0, help="Show at most so many rows; 0: all.")]

CODE_HEADINGS = ("ma so", "ma tthc", "ma thu tuc", "ma thu tuc hanh chinh", "procedure code", "code")
_MAPPING = (
    Column("service", ("ma he thong", "service id", "service", "id", "slot")),
    Column("plan_number", ("so trong ke hoach", "so thu tu", "plan number", "number", "so", "no")),
    Column("row", ("dong", "row")),
    Column("code", CODE_HEADINGS, exact=True),
)
_BRIEF = 48
_ROW = re.compile(r"(?:(?:row|dòng)\s*)?([0-9]{1,7})", re.IGNORECASE)


class Match(NamedTuple):
    """That a row (its number, or its code) is a service (its id, or its plan number); what is not said is 0 or empty."""

    row: int
    code: str
    service: str
    plan_number: int


def opened(session: Session, file: str) -> Path:
    """Give the path of a file that is there. Raises UsageProblemError."""
    path = Path(file)
    if not path.is_file():
        raise UsageProblemError(session.word("screen.list.no_file", file=file))
    return path


def pairs(session: Session, texts: Sequence[str] | None, option: str) -> list[tuple[str, str]]:
    """Read what was typed as LEFT=RIGHT; the last sign parts them, for a heading may hold one. Raises UsageProblemError."""
    made = []
    for text in texts or ():
        left, sign, right = (part.strip() for part in text.rpartition("="))
        if not (left and sign and right):
            raise UsageProblemError(session.word("screen.list.no_pair", option=option, text=text))
        made.append((left, right))
    return made


def match_of(session: Session, place: str, row: str) -> Match:
    """Read one match: the service (or plan number), and the row (or its code). Raises UsageProblemError."""
    number = _ROW.fullmatch(row)
    is_code = re.fullmatch(r"\d\.\d{6}", row, re.ASCII)
    if not (number or is_code):
        raise UsageProblemError(session.word("screen.list.no_row", text=row))
    is_number = place.isascii() and place.isdigit()
    return Match(
        int(number[1]) if number else 0,
        "" if number else row,
        "" if is_number else place,
        int(place) if is_number else 0,
    )


def matches(session: Session, accepted: Sequence[str] | None, mapping: str) -> list[Match]:
    """Give every match that was typed or stands in a mapping file. Raises UsageProblemError, RefusedError."""
    made = [match_of(session, place, row) for place, row in pairs(session, accepted, "--accept")]
    if not mapping:
        return made
    path = opened(session, mapping)
    with told_here(), read_list(path, path.name, _MAPPING, ("row", "code")) as (_, _, rows):
        for row in rows:
            if isinstance(row, Skipped):
                continue
            place = row.text("service") or row.text("plan_number")
            if not place:
                raise UsageProblemError(session.word("screen.list.no_place", file=mapping, row=row.number))
            if not row.text("row"):
                row.check_exact("code")
            made.append(match_of(session, place, row.text("row") or row.text("code")))
    return made


@contextmanager
def told_here() -> Iterator[None]:
    """Turn a refusal of this process into one that a command tells."""
    try:
        yield
    except Refusal as refusal:
        field = refusal.fields[0] if refusal.fields else ""
        raise RefusedError(
            str(refusal.reason), refusal.message, refusal.kind.value, field, dict(refusal.metadata)
        ) from None


def problem_text(session: Session, reason: str, metadata: Mapping[str, str], message: str) -> str:
    """Word what is wrong with a cell; the service's own words for a new reason."""
    try:
        return word_error(reason, session.lang, metadata)
    except KeyError:
        return message


def show_columns(session: Session, file: str, sheet: str, header_row: int, used: Sequence[tuple[str, str]]) -> None:
    """Say where the list was found and what each of its columns is taken for: (heading, field)."""
    key = "screen.list.read_sheet" if sheet else "screen.list.read"
    session.say(session.word(key, file=file, **({"sheet": sheet} if sheet else {}), row=header_row))
    session.say("  " + " · ".join(f"{heading} → {_field(session, field)}" for heading, field in used))


def show_unused(session: Session, headings: Sequence[str]) -> None:
    """Say which columns are left out."""
    if headings:
        session.say("  " + session.word("screen.list.unused", columns=" · ".join(headings)))


def used_columns(columns: Columns) -> list[tuple[str, str]]:
    """Give heading and field of each column that is used, from left to right."""
    return [(heading, field) for field, (_, heading) in sorted(columns.used.items(), key=lambda pair: pair[1])]


def _field(session: Session, field: str) -> str:
    return session.word(f"list_field.{field}")


def show_first(
    session: Session,
    headers: Sequence[str],
    rows: Iterable[tuple[str, ...]],
    limit: int,
    *,
    numbers: Sequence[int] = (),
) -> None:
    """Print a table of the first `limit` rows, 0 for all of them, and say how many more there are."""
    coming = iter(rows)
    session.table(headers, [*islice(coming, limit or None)], numbers=numbers)
    if rest := sum(1 for _ in coming):
        session.say(session.word("screen.list.more", count=rest))


def brief(name: str) -> str:
    """Cut a name to what tells it from others."""
    return name if len(name) <= _BRIEF else name[: _BRIEF - 1].rstrip() + "…"


def column_map(session: Session, texts: Sequence[str] | None, fields: Sequence[str]) -> dict[str, str]:
    """Read the user's own headings. Raises UsageProblemError for a field that is none of `fields`."""
    made = dict(pairs(session, texts, "--map"))
    for field in made.values():
        if field not in {*fields, UNUSED}:
            choices = ", ".join((*fields, UNUSED))
            raise UsageProblemError(session.word("screen.common.unknown_choice", value=field, choices=choices))
    return made
