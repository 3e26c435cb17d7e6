"""A report as the page to sign, A4.

Invariant: names and figures go to the typesetter as data, never as its language; what a person fills in is left as dots.
"""

import json
from collections.abc import Iterable
from datetime import UTC
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

import typst

from services.common.figures import NOTHING, number, percent
from services.common.words import Lang, word
from services.status.report.content import Report
from services.status.report.lines import ServiceLine
from services.status.report.tables import as_of_text, name_text, programme_name, remarks, source_texts

_LINES = ("planned", "completed", "in_progress", "uncertain", "suspended", "withdrawn", "not_reported")
_DOTS = "……………………………"
_DOCUMENTS_KEPT = 11
_MOST_NAMES = 2_000  # about 60 pages; who needs more takes the workbook


def paper(report: Report, lang: Lang) -> bytes:
    """Give the PDF; a long list of services goes on over further pages, the signatures stay together.

    At most 2,000 services are named, for what follows from more is no page to sign.
    """
    data = json.dumps(_data(report, lang), ensure_ascii=False)
    compiler = typst.Compiler(_template(), font_paths=_fonts(), sys_inputs={"data": data})
    made = compiler.compile(format="pdf", timestamp=int(report.made.timestamp()))
    assert isinstance(made, bytes)
    # It keeps what it worked out until so many further documents were made: tens of MiB for each long list.
    for _ in range(_DOCUMENTS_KEPT):
        typst.Compiler(b"", font_paths=_fonts()).compile(format="pdf")
    return made


@cache
def _template() -> bytes:
    return (files(__package__) / "paper.typ").read_bytes()


@cache
def _fonts() -> typst.Fonts:
    # Only those of the package: the page looks the same wherever it is made.
    return typst.Fonts(include_system_fonts=False)


def _data(report: Report, lang: Lang) -> dict[str, Any]:
    def text(key: str, **values: object) -> str:
        return word(f"report.{key}", lang, **values)

    made, owner = report.made.astimezone(UTC), report.programme.owner
    completed = [_named(line, lang) for line in islice(report.completed(), _MOST_NAMES)]
    blocked = islice(report.blocked(), _MOST_NAMES)
    obstacles = [(name_text(line.name, line.number, lang), line.blocked_reason) for line in blocked]
    revision = text("revision", revision=" · ".join(report.revisions))
    shown = report.as_of.show()
    if lang is Lang.VI and report.as_of.precision == "month":
        shown = shown.lstrip("0")  # "tháng 9/2022", as official documents write it
    return {
        "lang": lang.value,
        "made": [made.year, made.month, made.day, made.hour, made.minute, made.second],
        "owner": owner,
        "owner_or_dots": owner or _DOTS,
        "as_of": text(f"paper.as_of_{report.as_of.precision.upper()}", date=shown),
        "running": f"{programme_name(report, lang)} · {as_of_text(report, lang)}",
        "remarks": remarks(report, lang),
        "heads": _heads(lang),
        "rows": _rows(report, lang),
        "obstacles_head": text("paper.obstacles"),
        "obstacles_none": "" if obstacles else text("paper.no_obstacles"),
        "obstacles": obstacles,
        "obstacles_rest": _rest(report.total.blocked, lang),
        "completed_head": text("paper.completed_list"),
        "completed_none": "" if completed else text("paper.none_completed"),
        "completed": completed,
        "completed_rest": _rest(report.total.completed, lang),
        "sources": source_texts(report, lang),
        "revision": revision,
    } | {name: text(f"paper.{name}") for name in _FIXED}


_FIXED = (
    "country",
    "motto",
    "title",
    "subtitle",
    "page",
    "place_and_date",
    "prepared_by",
    "prepared_sign",
    "head_of_unit",
    "head_sign",
)


def _named(line: ServiceLine, lang: Lang) -> tuple[str, str]:
    """Give a service's name as the source has it, and what it means in English for readers of that."""
    return name_text(line.name, line.number, lang), line.english_gloss if lang is Lang.EN else ""


def _rest(number_of_names: int, lang: Lang) -> str:
    rest = number_of_names - _MOST_NAMES
    return word("report.paper.rest", lang, number=number(rest, lang)) if rest > 0 else ""


def _heads(lang: Lang) -> list[str]:
    heads = [word(f"report.column.{key}", lang) for key in ("row", "item", "number")]
    return [*heads, word("term.share", lang), word("report.column.change", lang), word("term.note", lang)]


def _rows(report: Report, lang: Lang) -> Iterable[list[str]]:
    total = report.total
    notes = {
        "in_progress": f"{word('count.blocked', lang)}: {number(total.blocked, lang)}",
        "not_reported": word("screen.status.not_reported", lang),
    }
    rows = []
    for place, name in enumerate(_LINES, 1):
        value = int(getattr(total, name))
        rows.append(
            [
                str(place),
                word("report.paper.planned" if name == "planned" else f"count.{name}", lang),
                number(value, lang),
                percent(value, total.planned, lang),
                _change(value - int(getattr(report.before, name)), lang) if report.before else NOTHING,
                notes.get(name, ""),
            ]
        )
    return rows


def _change(difference: int, lang: Lang) -> str:
    sign = "+" if difference > 0 else "-" if difference < 0 else ""
    return sign + number(abs(difference), lang)
