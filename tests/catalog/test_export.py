"""The services as a file: what other programs read there is what the catalog holds."""

import asyncio
import csv
import io
import json
import tempfile
import tracemalloc
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pyshacl
import pytest
import pytest_asyncio
from google.protobuf import json_format
from python_calamine import CalamineWorkbook
from rdflib import RDF, Graph, Literal, Namespace, URIRef
from rdflib.namespace import DCTERMS

from services.catalog import exporting
from services.catalog.exporting import Export, Format
from services.common.cells import unguarded
from services.common.words import Lang
from tests.support.calls import reason_of, refused
from tests.support.catalog import Catalog, fill, running_catalog
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import export_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:(ConjunctiveGraph|Dataset)[. ].*deprecated"),  # rdflib and pyshacl use them
]

SHAPES = Path(__file__).parent / "export_shapes.ttl"
CPSV, CV = Namespace("http://purl.org/vocab/cpsv#"), Namespace("http://data.europa.eu/m8g/")
SCHEMA, TIENDO = Namespace("https://schema.org/"), Namespace("urn:tiendo:terms:")
HOSTILE = ["=1+1", "+84", "-5", "@x", "'=1", "'quoted'", " =1", 'a "b", c; d', "=HYPERLINK(1)"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def catalog(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Catalog]:
    """A programme of 20: three slots, one service of which all is known, some with hostile names, one retired."""
    async with running_catalog(tmp_path_factory.mktemp("catalog")) as running:
        await fill(running, 3, planned=20)
        whole = service_pb2.Service(
            display_name="Đăng ký tạm trú",
            english_gloss="Registration of temporary residence",
            field="Đăng ký, quản lý cư trú",
            levels=["tỉnh", "xã"],
            audiences=["Công dân Việt Nam"],
            channels=["Trực tiếp", "Trực tuyến"],
            memberships=[service_pb2.Membership(programme="programmes/bca-2022", plan_number=4)],
        )
        whole.procedure_codes.add(code="1.003290")
        whole.procedure_codes.add(code="2.000100")
        whole.agencies.add(agency="Cục cũ", valid_to=date_pb2.PartialDate(year=2019))
        whole.agencies.add(agency="Cục mới", valid_from=date_pb2.PartialDate(year=2020))
        whole.online_levels.add(scheme=service_pb2.ONLINE_LEVEL_SCHEME_ND43_2011, level="4").date.year = 2020
        whole.online_levels.add(scheme=service_pb2.ONLINE_LEVEL_SCHEME_ND42_2022, level="TOAN_TRINH").date.year = 2022
        kind = provenance_pb2.PROVENANCE_KIND_REPORTED
        whole.provenance.add(field="agencies", kind=kind, citation="Công văn 1")
        whole.provenance.add(kind=kind, citation="Công văn 2")
        services = [("whole", whole)]
        services += [(f"hostile-{place}", service_pb2.Service(display_name=name)) for place, name in enumerate(HOSTILE)]
        for place, (name, service) in enumerate(services, 4):
            if not service.memberships:
                service.memberships.add(programme="programmes/bca-2022", plan_number=place)
            await running.stub.CreateService(pb.CreateServiceRequest(service_id=name, service=service))
        await running.stub.RetireService(
            pb.RetireServiceRequest(name="services/hostile-0", reason="bãi bỏ", replaced_by="services/whole")
        )
        yield running


async def export(catalog: Catalog, kind: str, **fields: Any) -> tuple[export_pb2.ExportHeader, bytes]:
    """Fetch a file: its header, and its bytes."""
    form = export_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{kind}")
    parts = [part async for part in catalog.stub.ExportServices(pb.ExportServicesRequest(format=form, **fields))]
    assert all(0 < len(part.chunk) <= 64 * 1024 for part in parts[1:])
    return parts[0].header, b"".join(part.chunk for part in parts)


async def listed(catalog: Catalog) -> list[service_pb2.Service]:
    """The services as a list gives them."""
    return list((await catalog.stub.ListServices(pb.ListServicesRequest(page_size=100))).services)


async def test_lines_hold_no_formula_and_every_text(catalog: Catalog) -> None:
    """The CSV file has a byte order mark and known headings; no cell begins a formula, and dropping a ' gives each text back."""
    header, content = await export(catalog, "CSV")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    services = await listed(catalog)

    assert content.startswith(b"\xef\xbb\xbf")
    assert (header.file_name, header.media_type) == ("bca-2022.csv", "text/csv; charset=utf-8")
    assert header.service_count == len(rows) - 1 == len(services)
    assert ",".join(rows[0]) == (
        "Số thứ tự trong kế hoạch,Mã hệ thống,Tên dịch vụ,Tên tiếng Anh,Mã TTHC,Lĩnh vực,Cơ quan,Cấp thực hiện,"
        "Đối tượng thực hiện,Mức độ,Cách thức thực hiện,Nguồn số liệu"
    )
    assert not [cell for row in rows for cell in row if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}]
    assert [unguarded(row[2]) for row in rows[1:]] == [service.display_name for service in services]
    assert [row[:2] for row in rows[1:4]] == [["1", "bca-001"], ["2", "bca-002"], ["3", "bca-003"]]
    assert rows[4][3:] == [
        "Registration of temporary residence",
        "1.003290; 2.000100",
        "Đăng ký, quản lý cư trú",
        "Cục mới",
        "tỉnh; xã",
        "Công dân Việt Nam",
        "Toàn trình",
        "Trực tiếp; Trực tuyến",
        "Cơ quan: Theo báo cáo. Công văn 1; Theo báo cáo. Công văn 2",
    ]


async def test_a_workbook_holds_texts_only(catalog: Catalog) -> None:
    """Every cell of the workbook is a text as the catalog has it, codes with their zeros; headings in the language asked for."""
    _, content = await export(catalog, "XLSX", language="EXPORT_LANGUAGE_ENGLISH")
    (sheet,) = (CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0),)
    rows = sheet.to_python()
    services = await listed(catalog)

    assert rows[0][:5] == ["Plan number", "Id", "Service name", "English gloss", "Procedure code"]
    assert all(isinstance(cell, str) for row in rows for cell in row)
    assert [row[2] for row in rows[1:]] == [service.display_name for service in services]
    assert (rows[4][0], rows[4][4], rows[4][9]) == ("4", "1.003290; 2.000100", "Fully online")


async def test_json_is_all_that_the_catalog_holds(catalog: Catalog) -> None:
    """The JSON file is read by protobuf's own mapping as the very services of a list; a filter narrows it."""
    header, content = await export(catalog, "JSON")
    _, named = await export(catalog, "JSON", filter="naming = NAMED AND field : *")
    empty = (await export(catalog, "JSON", filter='field = "none"'))[1]
    read = [json_format.ParseDict(each, service_pb2.Service()) for each in json.loads(content)]
    reply = await catalog.stub.ListServices(pb.ListServicesRequest(page_size=100))

    assert read == list(reply.services)
    assert list(header.revisions) == list(reply.revisions)
    assert [each["name"] for each in json.loads(named)] == ["services/whole"]
    assert json.loads(empty) == []


async def test_linked_data_says_what_is_known_and_no_more(catalog: Catalog) -> None:
    """The JSON-LD file has the shape it claims; what is not known is not there, and is counted; provenance is kept."""
    _, content = await export(catalog, "JSON_LD")
    graph = Graph().parse(data=content.decode(), format="json-ld")
    valid, _, report = pyshacl.validate(graph, shacl_graph=str(SHAPES), shacl_graph_format="turtle")
    services = await listed(catalog)
    whole, retired = URIRef("urn:tiendo:services/whole"), URIRef("urn:tiendo:services/hostile-0")
    dataset = URIRef("urn:tiendo:datasets/bca-2022")
    left_out = {
        str(graph.value(each, TIENDO["term"])): int(str(graph.value(each, TIENDO.services)))
        for each in graph.objects(dataset, TIENDO.leftOut)
    }
    (authority,) = graph.objects(whole, CV.hasCompetentAuthority)
    codes = {str(graph.value(each, SCHEMA.value)) for each in graph.objects(whole, SCHEMA.identifier)}
    citations = {
        str(graph.value(each, DCTERMS.bibliographicCitation)) for each in graph.objects(whole, DCTERMS.provenance)
    }

    assert valid, report
    assert len(set(graph.subjects(RDF.type, CPSV.PublicService))) == len(services)
    assert set(graph.subjects(RDF.type, SCHEMA.GovernmentService)) == set(graph.subjects(RDF.type, CPSV.PublicService))
    assert set(graph.objects(whole, DCTERMS.title)) == {
        Literal("Đăng ký tạm trú", lang="vi"),
        Literal("Registration of temporary residence", lang="en"),
    }
    assert str(authority) == "urn:tiendo:agency/C%E1%BB%A5c%20m%E1%BB%9Bi"
    assert codes == {"1.003290", "2.000100"}
    assert citations == {"Công văn 1", "Công văn 2"}
    assert graph.value(retired, DCTERMS.isReplacedBy) == whole
    assert left_out == {
        str(DCTERMS.title): 3,
        str(DCTERMS.description): len(services),
        str(CV.hasCompetentAuthority): len(services) - 1,
    }


async def test_the_shapes_find_what_is_wrong(catalog: Catalog) -> None:
    """A made-up description, a second identifier, an authority that is none: each breaks a shape that held before."""
    _, content = await export(catalog, "JSON_LD")
    whole = URIRef("urn:tiendo:services/whole")
    graph = Graph().parse(data=content.decode(), format="json-ld")
    found = []
    for term, value in (
        (RDF.type, CPSV.PublicService),
        (DCTERMS.description, Literal("made up", lang="vi")),
        (DCTERMS.identifier, Literal("other")),
        (CV.hasCompetentAuthority, Literal("Cục")),
    ):
        told = (whole, term, value) in graph
        graph.add((whole, term, value))
        found.append(pyshacl.validate(graph, shacl_graph=str(SHAPES), shacl_graph_format="turtle")[0])
        if not told:
            graph.remove((whole, term, value))

    assert found == [True, False, False, False]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"format": 0}, "MISSING_VALUE"),
        ({"format": 9}, "UNKNOWN_VALUE"),
        ({"format": 1, "language": 9}, "UNKNOWN_VALUE"),
        ({"format": 1, "programme": "programmes/none"}, "PROGRAMME_NOT_FOUND"),
        ({"format": 1, "filter": "bogus = 1"}, "UNKNOWN_FIELD"),
        ({"format": 1, "at_least": ["nonsense"]}, "INVALID_TOKEN"),
    ],
)
async def test_what_cannot_be_exported_is_refused(catalog: Catalog, fields: dict[str, Any], reason: str) -> None:
    """A refusal comes before the first byte."""

    async def read() -> None:
        async for _ in catalog.stub.ExportServices(pb.ExportServicesRequest(**fields)):
            raise AssertionError("something came")

    assert reason_of(await refused(read())) == reason


@pytest.mark.parametrize("kind", Format)
async def test_length_costs_no_memory(catalog: Catalog, kind: Format) -> None:
    """Ten times as many services take no more memory; the pieces come as they are made."""
    state = catalog.runtime.live.current
    entry = state.services["whole"]

    async def peak(count: int) -> int:
        whole = Export(state.programmes["bca-2022"], [entry] * count, Lang.VI, date(2022, 10, 1))
        tracemalloc.start()
        try:
            async for _ in exporting.pieces(whole, kind):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    await peak(10)
    few, many = await peak(200), await peak(2000)

    assert many - few < 300_000


async def test_who_gives_up_leaves_nothing_behind(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export that is given up halfway ends, and its temporary files go with it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    state = catalog.runtime.live.current
    whole = Export(None, [state.services["whole"]] * 200_000, Lang.VI, date(2022, 10, 1))

    async def read() -> None:
        async for _ in exporting.pieces(whole, Format.XLSX):
            pass

    def left() -> list[Path]:
        return list(tmp_path.iterdir())

    reading = asyncio.create_task(read())
    while not left():
        await asyncio.sleep(0.01)
    reading.cancel()
    await asyncio.wait({reading}, timeout=5)

    assert reading.cancelled()
    assert left() == []
