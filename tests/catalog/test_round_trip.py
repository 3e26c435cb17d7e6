"""Whatever the catalog holds: a file of it, imported, is the same catalog again, save what that kind of file does not carry."""

import asyncio
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.catalog import Catalog, running_catalog
from tests.support.importing import import_list, journal_length
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import export_pb2, programme_pb2, service_pb2
from tiendo.common.v1 import date_pb2

_WORDS = (
    "Đăng ký",
    "thường trú",
    "ĐƯỜNG BỘ",
    "Nghiêng ngả",
    "hoà",
    "hòa",
    "quỹ Ỷ lại",
    "giấy phép lái xe",
    "ð",
    "số 2",
)
_STARTS = (
    "=",
    "+",
    "-",
    "@",
    "'",
    "''",
    '"',
    " =",
    "＝",
    "＋",
    "“=",
    "\u200b=",
    "=1+1",
    "- ",
    "_x0041_",
    "1.00",
    "\ufeff",
)
_ENDS = (
    "",
    "",
    "'",
    '"',
    ' "trong" nháy',
    "; nữa",
    ", nữa",
    "  hai  ô trống",
    "\u00a0dính",
    " &amp; <b>",
    " _x000D_",
)
_LEVELS = {1: ("1", "2", "3", "4"), 2: ("MOT_PHAN", "TOAN_TRINH")}
_NUMBER = itertools.count(1)

texts = st.builds(
    lambda start, words, end, form: unicodedata.normalize(form, start + " ".join(words) + end),
    st.sampled_from(("", "", *_STARTS)),
    st.lists(st.sampled_from(_WORDS), min_size=1, max_size=4),
    st.sampled_from(_ENDS)
    | st.text(
        st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="\ufffe\uffff"), max_size=6
    ),
    st.sampled_from(("NFC", "NFD")),
)
several = st.lists(texts, max_size=3)
dates = st.none() | st.builds(
    lambda year, month, day: date_pb2.PartialDate(year=year, month=month or (day and 7), day=day),
    st.integers(2010, 2020),
    st.integers(0, 12),
    st.sampled_from([0, 0, 28]),
)
ends = st.none() | st.sampled_from([date_pb2.PartialDate(year=2021), date_pb2.PartialDate(year=2099)])
codes = st.builds(
    service_pb2.ProcedureCode,
    code=st.sampled_from(["1.003290", "1.000000", "2.000100", "0.000001", "1.003300"]),
    valid_from=dates,
    valid_to=ends,
)
agencies = st.builds(service_pb2.Agency, agency=texts, valid_from=dates, valid_to=ends)
ratings = st.sampled_from([(scheme, level) for scheme, known in _LEVELS.items() for level in known]).flatmap(
    lambda rating: st.builds(
        lambda date: service_pb2.OnlineLevel(scheme=rating[0], level=rating[1], date=date),  # type: ignore[arg-type]
        dates,
    )
)
services = st.builds(
    service_pb2.Service,
    display_name=st.just("") | texts,
    english_gloss=st.just("") | texts,
    procedure_codes=st.lists(codes, max_size=3),
    field=st.just("") | texts,
    agencies=st.lists(agencies, max_size=3),
    levels=several,
    audiences=several,
    channels=several,
    online_levels=st.lists(ratings, max_size=4),
)
catalogs = st.lists(st.tuples(services, st.booleans(), st.booleans()), min_size=1, max_size=6)
forms = st.sampled_from(
    [("csv", "VIETNAMESE"), ("csv", "ENGLISH"), ("xlsx", "VIETNAMESE"), ("xlsx", "ENGLISH"), ("json", "")]
)


@dataclass
class Pair:
    """A catalog to export from and one to import into, and the loop that they run on."""

    folder: Path
    runner: asyncio.Runner
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    catalogs: list[Catalog] = field(default_factory=list)

    async def start(self) -> None:
        """Run both."""
        for name in ("one", "other"):
            (self.folder / name).mkdir()
            self.catalogs.append(await self.stack.enter_async_context(running_catalog(self.folder / name)))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both catalogs, for every example: each has programmes of its own there."""
    with asyncio.Runner() as runner:
        made = Pair(tmp_path_factory.mktemp("pair"), runner)
        runner.run(made.start())
        yield made
        runner.run(made.stack.aclose())


def one_line(text: str) -> str:
    """A text as lists keep it: every run of blanks is one."""
    return " ".join(text.split())


def in_a_cell(values: Sequence[str], parting: str = "[;]") -> list[str]:
    """Several values as one cell of lines gives them: parted at each sign that parts, without a bullet."""
    parts = (re.sub("^[-–•+*] +", "", one_line(part)) for part in re.split(";", "; ".join(values)))
    return [text for part in parts for each in re.split(parting, part) if (text := each.strip())]


def latest(ratings: Sequence[service_pb2.OnlineLevel]) -> list[tuple[int, str]]:
    """The rating that was made last, of each service at most one."""
    when = [
        (each.date.year, each.date.month or 12, each.date.day or 31) if each.date.year else (0, 0, 0)
        for each in ratings
    ]
    last = max(range(len(ratings)), key=lambda place: (when[place], place), default=None)
    return [] if last is None else [(ratings[last].scheme, ratings[last].level)]


def carried(service: service_pb2.Service, programme: str, form: str) -> dict[str, Any]:
    """What a kind of file carries of a service."""
    is_json = form == "json"
    owners = [each.agency for each in service.agencies if is_json or (each.valid_to.year in {0, 2099})]
    return {
        "id": service.name,
        "names": [one_line(service.display_name), one_line(service.english_gloss), one_line(service.field)],
        "numbers": [each.plan_number for each in service.memberships if each.programme == programme],
        "codes": [*map(str, service.procedure_codes)]
        if is_json
        else [*dict.fromkeys(each.code for each in service.procedure_codes)],
        "agencies": [*map(str, service.agencies)] if is_json else in_a_cell(owners),
        "levels": [*map(one_line, service.levels)] if is_json else in_a_cell(service.levels, "[;,]"),
        "audiences": [*map(one_line, service.audiences)] if is_json else in_a_cell(service.audiences),
        "channels": [*map(one_line, service.channels)] if is_json else in_a_cell(service.channels),
        "ratings": [*map(str, service.online_levels)] if is_json else latest(service.online_levels),
    }


async def listed(catalog: Catalog, programme: str) -> list[service_pb2.Service]:
    """The services of a programme."""
    return list((await catalog.stub.ListServices(pb.ListServicesRequest(programme=programme, page_size=100))).services)


async def round_trip(
    pair: Pair, drawn: Sequence[tuple[service_pb2.Service, bool, bool]], form: str, language: str
) -> None:
    """Make the services, export them, import the file here and there, and look."""
    one, other = pair.catalogs
    number = next(_NUMBER)
    programme, second = f"programmes/p{number}", f"programmes/q{number}"
    for catalog, name in ((one, programme), (one, second), (other, programme)):
        plan = programme_pb2.Programme(display_name="Mẫu", planned_count=12)
        await catalog.stub.CreateProgramme(
            pb.CreateProgrammeRequest(programme_id=name.partition("/")[2], programme=plan)
        )
    for place, (service, in_second, numbered) in enumerate(drawn, start=1):
        made = service_pb2.Service()
        made.CopyFrom(service)
        made.memberships.add(programme=programme, plan_number=2 * place if numbered else 0)
        if in_second:
            made.memberships.add(programme=second, plan_number=place)
        await one.stub.CreateService(pb.CreateServiceRequest(service_id=f"m{number}-{place}", service=made))
    asked = pb.ExportServicesRequest(
        programme=programme,
        format=export_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{form.upper()}"),
        language=export_pb2.ExportLanguage.Value(f"EXPORT_LANGUAGE_{language or 'UNSPECIFIED'}"),
    )
    file = pair.folder / f"services.{form}"
    file.write_bytes(b"".join([part.chunk async for part in one.stub.ExportServices(asked)]))
    before = await journal_length(one)
    same = await import_list(one, file, programme=programme)
    there = await import_list(other, file, programme=programme)

    assert same.counts == {"unchanged": len(drawn)}, (same.problems(), [each.changes for each in same.rows])
    assert await journal_length(one) == before
    assert there.counts == {"created": len(drawn)}, there.problems()
    assert [carried(each, programme, "json") for each in await listed(other, programme)] == [
        carried(each, programme, form) if form == "json" else as_json(carried(each, programme, form))
        for each in await listed(one, programme)
    ]


def as_json(told: dict[str, Any]) -> dict[str, Any]:
    """What lines carry, as it stands in a catalog: without dates."""
    return told | {
        "codes": [str(service_pb2.ProcedureCode(code=each)) for each in told["codes"]],
        "agencies": [str(service_pb2.Agency(agency=each)) for each in told["agencies"]],
        "ratings": [str(service_pb2.OnlineLevel(scheme=scheme, level=level)) for scheme, level in told["ratings"]],
    }


@given(catalogs, forms)
@settings(max_examples=20)
def test_a_file_of_the_catalog_is_the_catalog_again(
    pair: Pair, drawn: list[tuple[service_pb2.Service, bool, bool]], form: tuple[str, str]
) -> None:
    """Imported where it came from nothing changes; where nothing is yet the same services come out, under their own ids.

    Lines and workbooks leave out: dates, former owners, all ratings but the latest, that a value of several holds a
    semicolon (a level a comma) or begins with a bullet. No file brings places in other programmes, sources, aliases,
    retirements and versions, nor more than one blank in a row.
    """
    pair.runner.run(round_trip(pair, drawn, *form))
