"""What the rows of a progress list say: which service, which stage, when, on what evidence.

Invariant: a date never gains precision, a service is found by its id, code, exact name or number and never by likeness, and
whatever cannot be read is a problem with its cell.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from services.cli.lists import CODE_HEADINGS, Match
from services.common.dates import EffectiveDate, PartialDate, check_not_future, parse_date
from services.common.errors import Refusal
from services.common.sheets import Cell, Column, Kind, ListRow
from services.common.text import fold, spelling
from services.common.words import Lang, word
from tiendo.catalog.v1 import service_pb2
from tiendo.integration.v1 import integration_pb2

COLUMNS = (
    Column("service", ("ma he thong", "service id", "service", "id")),
    Column("plan_number", ("so trong ke hoach", "so thu tu", "so", "plan number", "number", "no")),
    Column("code", CODE_HEADINGS, exact=True),
    Column("name", ("ten dich vu", "ten dich vu cong", "ten thu tuc", "ten", "service name", "name")),
    Column("stage", ("giai doan", "giai doan da dat", "stage", "stage reached")),
    Column("date", ("ngay thuc hien", "ngay hoan thanh", "thoi diem thuc hien", "ngay", "date it happened", "date")),
    Column("evidence", ("minh chung", "so van ban", "van ban", "evidence")),
    Column("obstacle", ("vuong mac", "kho khan vuong mac", "ly do vuong mac", "obstacle")),
)
NEEDED = ("service", "plan_number", "code", "name")
_AT_LATEST = re.compile(
    r"^(?:đến hết|đến|chậm nhất|muộn nhất|trước hoặc trong|by|at the latest|until)\s+", re.IGNORECASE
)
_PERIOD = re.compile(r"^(?:ngày|tháng|năm)\s+", re.IGNORECASE)
_DATE_LIKE = re.compile(r"[0-9]{1,4}(?:[/-][0-9]{1,4}){0,2}")
_OTHER_SIGNS = re.compile(r"([0-9]{1,2})[.-]([0-9]{1,2})[.-]([0-9]{4})")


class Problem(NamedTuple):
    """What is wrong with a cell, worded."""

    row: int
    cell: str
    text: str


@dataclass(frozen=True)
class Step:
    """One step that a row asks for; `when` None where it gives no date. `cells` names its cells by field."""

    row: int
    service: str
    stage: integration_pb2.Stage.ValueType
    when: EffectiveDate | None
    evidence: str
    obstacle: str
    cells: Mapping[str, str]


class ProblemError(Exception):
    """A cell cannot be taken: the field, and what is wrong with it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field, self.text = field, text


class Services:
    """The services of a programme by everything that a row may call them."""

    def __init__(self, services: Iterable[service_pb2.Service], programme: str) -> None:
        """`programme` is a resource name: whose plan numbers count."""
        self.all: dict[str, service_pb2.Service] = {}
        self._names: dict[str, str] = {}
        self._codes: dict[str, set[str]] = defaultdict(set)
        self._spellings: dict[str, set[str]] = defaultdict(set)
        self._numbers: dict[int, str] = {}
        for service in services:
            own = service.name.rpartition("/")[2]
            self.all[own] = service
            self._names |= {name: own for name in (own, service.alias, *service.former_aliases) if name}
            for code in service.procedure_codes:
                self._codes[code.code].add(own)
            if service.display_name:
                self._spellings[spelling(service.display_name)].add(own)
            for place in service.memberships:
                if place.programme == programme and place.plan_number:
                    self._numbers[place.plan_number] = own

    def find(self, row: ListRow, matched: Match | None, lang: Lang) -> str:
        """Find a row's service. Raises ProblemError."""
        if matched is not None:
            found = self._names.get(matched.service) or self._numbers.get(matched.plan_number)
            if found is None:
                raise self._none("service", matched.service or str(matched.plan_number), lang)
            return found
        if text := row.text("service"):
            found = self._names.get(text.removeprefix("services/"))
            if found is None:
                raise self._none("service", text, lang)
            return found
        told = {
            "code": self._codes.get(row.text("code"), set()),
            "name": self._spellings.get(spelling(row.text("name")), set()) if row.text("name") else set(),
            "plan_number": self._numbered(row.text("plan_number"), lang),
        }
        candidates = [(field, found) for field, found in told.items() if found]
        if not candidates:
            field = next((each for each in told if row.text(each)), "name")
            raise self._none(field, row.text(field), lang)
        shared = set.intersection(*(found for _, found in candidates))
        if len(shared) != 1:
            names = ", ".join(sorted(set.union(*(found for _, found in candidates))))
            raise ProblemError(candidates[0][0], word("list_problem.which", lang, names=names))
        [service] = shared
        if all(field == "plan_number" for field, _ in candidates):
            self._check_same(row, service, lang)
        return service

    def _numbered(self, text: str, lang: Lang) -> set[str]:
        if not text:
            return set()
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 0
        if number not in self._numbers:
            raise self._none("plan_number", text, lang)
        return {self._numbers[number]}

    def _check_same(self, row: ListRow, service: str, lang: Lang) -> None:
        """Refuse a number alone where the row gives a name or code too, which the service is not known by.

        Numbers are often the list's own, and a place without a name may be anything.
        """
        known = self.all[service]
        for field, own in (
            ("name", known.display_name),
            ("code", ", ".join(each.code for each in known.procedure_codes)),
        ):
            if not row.text(field):
                continue
            if own:
                raise ProblemError(field, word("list_problem.other", lang, id=service, known=own, row=row.number))
            raise ProblemError(field, word("list_problem.unnamed", lang, id=service, row=row.number))

    @staticmethod
    def _none(field: str, text: str, lang: Lang) -> ProblemError:
        return ProblemError(field, word("list_problem.no_service", lang, text=text[:80] or "–"))


def step_of(
    row: ListRow, services: Services, matched: Callable[[ListRow], Match | None], today: date, lang: Lang
) -> Step | list[Problem]:
    """Read one row; every wrong cell of it is a problem."""
    problems: list[Problem] = []
    service, stage, when = "", integration_pb2.STAGE_UNSPECIFIED, None
    try:
        row.check_exact("code")
        service = services.find(row, matched(row), lang)
    except Refusal as refusal:
        problems.append(Problem(row.number, row.place("code"), refusal.message.partition(": ")[2]))
    except ProblemError as problem:
        problems.append(Problem(row.number, row.place(problem.field), problem.text))
    try:
        stage = _stage(row.text("stage"), lang)
    except ProblemError as problem:
        problems.append(Problem(row.number, row.place("stage"), problem.text))
    try:
        when = effective(row.cell("date"), lang)
        if when is not None:
            check_not_future(when, today, "date")
    except ProblemError as problem:
        problems.append(Problem(row.number, row.place("date"), problem.text))
    except Refusal:
        problems.append(Problem(row.number, row.place("date"), word("error.DATE_IN_FUTURE", lang)))
    if problems:
        return problems
    cells = {field: row.place(field) for field in ("service", "stage", "date", "evidence", "obstacle")}
    return Step(row.number, service, stage, when, row.text("evidence"), row.text("obstacle"), cells)


def _stage(text: str, lang: Lang) -> integration_pb2.Stage.ValueType:
    """Read a stage by its code or its words in either language."""
    for name, number in integration_pb2.Stage.items():
        code = name.removeprefix("STAGE_")
        if number and fold(text) in {
            fold(code.replace("_", " ")),
            fold(word(f"stage.{code}", Lang.VI)),
            fold(word(f"stage.{code}", Lang.EN)),
        }:
            return number
    listed = ", ".join(name.removeprefix("STAGE_") for name, number in integration_pb2.Stage.items() if number)
    raise ProblemError("stage", word("list_problem.stage", lang, text=text[:80] or "–", choices=listed))


def effective(cell: Cell, lang: Lang) -> EffectiveDate | None:
    """Read when it happened, as precisely as it is written; None for an empty cell. Raises ProblemError.

    What the file stores as a date loses what was typed: the first of a month may have been the month alone, so it is refused.
    """
    text = " ".join(cell.text.split())
    if not text:
        return None
    if cell.kind is Kind.DATE and text.endswith("-01"):
        typed = PartialDate.from_iso(text)
        shown = {"day": typed.show(), "month": typed.show()[3:]}
        raise ProblemError("date", word("list_problem.first_of_month", lang, **shown))
    bare, at_latest = _AT_LATEST.subn("", text)
    bare = _OTHER_SIGNS.sub(r"\1/\2/\3", _PERIOD.sub("", bare)) if cell.kind is not Kind.DATE else bare
    try:
        return EffectiveDate(parse_date(bare), bool(at_latest))
    except Refusal:
        key = "list_problem.no_such_date" if _DATE_LIKE.fullmatch(bare) else "screen.common.wrong_date"
        raise ProblemError("date", word(key, lang, text=text[:40])) from None
