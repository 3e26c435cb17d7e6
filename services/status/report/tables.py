"""The tables of a report in words: which columns each has, and what stands in them.

Invariant: a cell is a text as it is to be shown, a number, a day or a moment in Vietnam; codes are texts.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, Literal, NamedTuple, TypeVar

from services.common.dates import EffectiveDate, PartialDate
from services.common.figures import NOTHING, VIETNAM, hundredths, instant, slot_name, when
from services.common.words import Lang, word
from services.status.domain import Condition, Counts, EventKind, Evidence, Group, GroupBy, OnlineLevel, Outcome
from services.status.report.content import Report
from services.status.report.lines import EntryLine, ServiceLine

Cell = str | int | float | date | datetime | None
"""None is an empty cell."""

T = TypeVar("T")

LINES = ("planned", "completed", "in_progress", "blocked", "uncertain", "suspended", "withdrawn", "not_reported")
"""The lines of the summary, names of Counts; blocked is an of-which of the one before it, the others make the plan."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column: the key of its heading, its width in characters, what stands in it, and how numbers in it look."""

    key: str
    width: int
    get: Callable[[T, Lang], Cell]
    numbers: Literal["count", "share", "rank"] = "count"


def heading(column: Column[T], lang: Lang) -> str:
    """Give a column's heading."""
    return word(column.key, lang)


def share(part: int, whole: int) -> Cell:
    """Give a share in per cent with two decimals, as screens round it; "–" of nothing."""
    figure = hundredths(part, whole)
    return NOTHING if figure is None else figure / 100


def effective_text(effective: EffectiveDate | None, lang: Lang) -> str:
    """Show when something happened, as reported: "05/10/2022", "10/2022", "đến 09/2022"."""
    if effective is None:
        return ""
    if not effective.at_latest:
        return effective.date.show()
    return when(effective.date.year, effective.date.month, effective.date.day, at_latest=True, lang=lang)


def date_text(value: PartialDate, lang: Lang) -> str:
    """Say inside a sentence on which day or within which period: "trong năm 2022"."""
    return when(value.year, value.month, value.day, at_latest=False, lang=lang)


def evidence_text(evidence: Iterable[Evidence]) -> str:
    """Show evidence in one line."""
    return "; ".join(part for each in evidence for part in (each.document_number, each.note, each.link) if part)


def name_text(name: str, number: int, lang: Lang) -> str:
    """Give a service's name, or its place in the plan while it has none."""
    if name:
        return name
    return slot_name(number, lang) if number else word("naming.UNNAMED", lang)


def programme_name(report: Report, lang: Lang) -> str:
    """Name the programme."""
    version = report.programme
    return version.english_gloss or version.display_name if lang is Lang.EN else version.display_name


def as_of_text(report: Report, lang: Lang) -> str:
    """Say what the figures are as of."""
    return word("screen.status.as_of", lang, as_of=report.as_of.show())


def remarks(report: Report, lang: Lang) -> list[str]:
    """Give what else the question names, so that no figure is read without it."""
    lines = []
    if report.compare:
        lines.append(word("report.compared", lang, date=report.compare.show()))
    if not report.is_all_known:
        lines.append(word("screen.status.known_at", lang, time=instant(report.known_at, seconds=True)))
    if report.filter:
        lines.append(word("report.filter", lang, filter=report.filter))
    return lines


def source_texts(report: Report, lang: Lang) -> list[str]:
    """Give a line for each document that the figures rest on."""
    return [word("screen.status.source", lang, citation=citation) for citation in report.sources()]


def standing_text(line: ServiceLine, lang: Lang) -> str:
    """Say which line of the summary counts the service, work that is held up by itself."""
    reading = line.reading
    if reading.outcome is Outcome.IN_PROGRESS and reading.condition is Condition.BLOCKED:
        return word("condition.BLOCKED", lang)
    return word(f"count.{reading.outcome.name.lower()}", lang)


def _level_text(level: OnlineLevel | None, lang: Lang) -> str:
    if level is None:
        return ""
    if level.scheme == "ND43_2011":
        return word("report.cell.level_nd43", lang, level=level.level)
    key = _ONLINE_LEVELS.get(level.level)
    return word(key, lang) if key else level.level


_ONLINE_LEVELS = {"MOT_PHAN": "term.online_level_partial", "TOAN_TRINH": "term.online_level_full"}


def _provenance_text(line: ServiceLine, lang: Lang) -> str:
    """Say where the values come from: "Theo tài liệu nguồn: Tên dịch vụ; Suy luận: Lĩnh vực, Số thứ tự"."""
    fields: dict[str, list[str]] = {}
    for entry in line.provenance:
        fields.setdefault(entry.kind, []).append(_field_text(entry.field, lang))
    return "; ".join(_kind_text(kind, [name for name in names if name], lang) for kind, names in fields.items())


def _kind_text(kind: str, fields: list[str], lang: Lang) -> str:
    shown = word(f"provenance.{kind}", lang)
    return word("report.cell.source_of", lang, kind=shown, fields=", ".join(fields)) if fields else shown


def _field_text(path: str, lang: Lang) -> str:
    key = _FIELDS.get(path)
    return word(key, lang) if key else path


_FIELDS = {
    "display_name": "term.display_name",
    "english_gloss": "term.english_gloss",
    "procedure_codes": "term.procedure_code",
    "field": "term.field",
    "agencies": "term.agency",
    "levels": "term.level",
    "audiences": "report.column.audience",
    "channels": "term.channel",
    "online_levels": "term.online_level",
    "memberships": "report.cell.memberships",
    "memberships.plan_number": "term.plan_number",
}

SERVICE_COLUMNS: tuple[Column[ServiceLine], ...] = (
    Column("term.plan_number", 7, lambda line, _: line.number or None, numbers="rank"),
    Column("term.id", 9, lambda line, _: line.id),
    Column("term.display_name", 38, lambda line, lang: name_text(line.name, line.number, lang)),
    Column("term.procedure_code", 10, lambda line, _: "; ".join(line.codes)),
    Column("term.field", 20, lambda line, _: line.field),
    Column("term.agency", 18, lambda line, _: line.agency),
    Column("term.level", 11, lambda line, _: "; ".join(line.levels)),
    Column("report.column.audience", 13, lambda line, _: "; ".join(line.audiences)),
    Column("term.online_level", 11, lambda line, lang: _level_text(line.online_level, lang)),
    Column("term.stage", 24, lambda line, lang: word(f"stage.{line.reading.stage.name}", lang)),
    Column("term.condition", 24, standing_text),
    Column("term.completed_date", 12, lambda line, lang: effective_text(line.completed, lang)),
    Column("report.column.certain_from", 11, lambda line, _: line.certain_from),
    Column("term.evidence", 40, lambda line, _: evidence_text(line.evidence)),
    Column("report.column.blocked_reason", 18, lambda line, _: line.blocked_reason),
    Column("report.column.ministry_link", 18, lambda line, _: line.ministry_link),
    Column("report.column.national_link", 18, lambda line, _: line.national_link),
    Column("term.provenance", 44, _provenance_text),
)


def _day_or_text(effective: EffectiveDate | None, lang: Lang) -> Cell:
    if effective is not None and effective.date.day and not effective.at_latest:
        return effective.date.first_day()
    return effective_text(effective, lang)


def _event_word(kind: EventKind, lang: Lang) -> str:
    return word(f"event.{kind.type}", lang)


def _event_text(line: EntryLine, lang: Lang) -> str:
    if line.target is not None:
        kind, effective = line.target
        key = "report.cell.redates" if line.effective else "report.cell.annuls"
        return word(key, lang, event=_event_word(kind, lang), date=effective_text(effective, lang))
    text = _event_word(line.event, lang)
    return f"{text} {word('screen.integration.history_annulled', lang)}" if line.annulled else text


ENTRY_COLUMNS: tuple[Column[EntryLine], ...] = (
    Column("term.plan_number", 7, lambda line, _: line.number or None, numbers="rank"),
    Column("term.id", 9, lambda line, _: line.id),
    Column("term.display_name", 38, lambda line, lang: name_text(line.name, line.number, lang)),
    Column("term.event", 26, _event_text),
    Column(
        "report.column.from_stage",
        22,
        lambda line, lang: line.from_stage and word(f"stage.{line.from_stage.name}", lang),
    ),
    Column(
        "report.column.to_stage", 24, lambda line, lang: line.to_stage and word(f"stage.{line.to_stage.name}", lang)
    ),
    Column("term.effective_date", 14, lambda line, lang: _day_or_text(line.effective, lang)),
    Column("term.recorded_time", 17, lambda line, _: line.recorded.astimezone(VIETNAM).replace(tzinfo=None)),
    Column("term.actor", 20, lambda line, _: line.actor),
    Column("term.reason", 32, lambda line, _: line.reason),
    Column("term.evidence", 40, lambda line, _: evidence_text(line.evidence)),
)


class GroupLine(NamedTuple):
    """A line of a table of groups; a number 0 is the total's."""

    number: int
    name: str
    counts: Counts
    source: str = ""


def group_lines(report: Report, by: GroupBy, lang: Lang) -> Iterator[GroupLine]:
    """Give a line for each group."""
    groups = report.by_field if by is GroupBy.FIELD else report.by_agency
    sources = report.group_sources(by)
    for place, group in enumerate(groups, 1):
        kinds = [word(f"provenance.{kind}", lang) for kind in sources.get(group.key, ())]
        yield GroupLine(place, _group_name(group, by, lang), group.counts, "; ".join(kinds))


def total_line(report: Report, lang: Lang) -> GroupLine:
    """Give the line below the groups."""
    return GroupLine(0, word("term.total", lang), report.total)


def _group_name(group: Group, by: GroupBy, lang: Lang) -> str:
    return word(f"term.{by.name.lower()}_not_known", lang) if group.not_known else group.key


def group_columns(by: GroupBy) -> tuple[Column[GroupLine], ...]:
    """Give the columns of a table of groups."""
    counted: Iterable[tuple[str, str]] = (
        ("count.in_progress", "in_progress"),
        ("report.column.blocked", "blocked"),
        ("count.uncertain", "uncertain"),
        ("count.suspended", "suspended"),
        ("report.column.withdrawn", "withdrawn"),
        ("count.not_reported", "not_reported"),
    )
    return (
        Column("report.column.row", 6, lambda line, _: line.number or None, numbers="rank"),
        Column(f"term.{by.name.lower()}", 52, lambda line, _: line.name),
        Column("report.column.planned", 10, lambda line, _: line.counts.planned),
        Column("count.completed", 13, lambda line, _: line.counts.completed),
        Column(
            "report.column.share", 9, lambda line, _: share(line.counts.completed, line.counts.planned), numbers="share"
        ),
        *(Column(key, 12, _count_of(name)) for key, name in counted),
        Column("term.provenance", 24, lambda line, _: line.source),
    )


def _count_of(name: str) -> Callable[[GroupLine, Lang], Cell]:
    return lambda line, _: int(getattr(line.counts, name))
