"""Bad input to the catalog: each gets its status, reason and field, and writes nothing."""

from pathlib import Path
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.catalog import fill, refusal, running_catalog
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import programme_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2

BAD = "INVALID_ARGUMENT"
NAME = "services/bca-001"


def update(*mask: str, **fields: Any) -> pb.UpdateServiceRequest:
    """A request to change bca-001."""
    return pb.UpdateServiceRequest(service=service_pb2.Service(name=NAME, **fields), update_mask=FieldMask(paths=mask))


def create(service_id: str, **fields: Any) -> pb.CreateServiceRequest:
    """A request to add a service."""
    return pb.CreateServiceRequest(service_id=service_id, service=service_pb2.Service(**fields))


CASES: list[tuple[str, Any, tuple[str, str, str]]] = [
    ("GetService", pb.GetServiceRequest(), (BAD, "MISSING_VALUE", "name")),
    ("GetService", pb.GetServiceRequest(name="bca-001"), (BAD, "INVALID_NAME", "name")),
    ("GetService", pb.GetServiceRequest(name="services/BCA"), (BAD, "INVALID_NAME", "name")),
    ("GetService", pb.GetServiceRequest(name="services/none"), ("NOT_FOUND", "SERVICE_NOT_FOUND", "name")),
    ("GetService", pb.GetServiceRequest(name=NAME, at_least=["x"]), (BAD, "INVALID_TOKEN", "at_least[0]")),
    ("GetProgramme", pb.GetProgrammeRequest(name="programmes/x"), ("NOT_FOUND", "PROGRAMME_NOT_FOUND", "name")),
    ("BatchGetServices", pb.BatchGetServicesRequest(), (BAD, "MISSING_VALUE", "names")),
    ("BatchGetServices", pb.BatchGetServicesRequest(names=[NAME] * 1001), (BAD, "TOO_MANY", "names")),
    (
        "BatchGetServices",
        pb.BatchGetServicesRequest(names=[NAME, "services/x"]),
        ("NOT_FOUND", "SERVICE_NOT_FOUND", "names[1]"),
    ),
    ("ListServices", pb.ListServicesRequest(page_size=-1), (BAD, "INVALID_PAGE_SIZE", "page_size")),
    ("ListServices", pb.ListServicesRequest(page_token="x"), (BAD, "INVALID_PAGE_TOKEN", "page_token")),
    ("ListServices", pb.ListServicesRequest(filter="naming ="), (BAD, "INVALID_FILTER", "filter")),
    ("ListServices", pb.ListServicesRequest(filter="colour = red"), (BAD, "UNKNOWN_FIELD", "filter")),
    ("ListServices", pb.ListServicesRequest(filter="naming = HALF"), (BAD, "UNKNOWN_VALUE", "filter")),
    ("ListServices", pb.ListServicesRequest(order_by="colour"), (BAD, "UNKNOWN_FIELD", "order_by")),
    ("SearchServices", pb.SearchServicesRequest(), (BAD, "MISSING_VALUE", "query")),
    ("SearchServices", pb.SearchServicesRequest(query="x" * 501), (BAD, "TEXT_TOO_LONG", "query")),
    ("CreateService", create(""), (BAD, "MISSING_VALUE", "service_id")),
    ("CreateService", create("a b"), (BAD, "INVALID_NAME", "service_id")),
    ("CreateService", create("a" * 64), (BAD, "INVALID_NAME", "service_id")),
    ("CreateService", create("bca-001"), ("ALREADY_EXISTS", "ALREADY_EXISTS", "service_id")),
    ("CreateService", create("x", display_name="a\0"), (BAD, "INVALID_CHARACTER", "service.display_name")),
    (
        "CreateService",
        create("x", procedure_codes=[{"code": "1" * 300}]),
        (BAD, "INVALID_VALUE", "service.procedure_codes[0].code"),
    ),
    (
        "CreateService",
        create("x", procedure_codes=[{"code": "1.003290", "valid_from": {"year": 2022, "month": 2, "day": 31}}]),
        (BAD, "INVALID_DATE", "service.procedure_codes[0].valid_from.day"),
    ),
    (
        "CreateService",
        create("x", online_levels=[{"level": "4"}]),
        (BAD, "MISSING_VALUE", "service.online_levels[0].scheme"),
    ),
    (
        "CreateService",
        create("x", provenance=[{"citation": "c"}]),
        (BAD, "MISSING_VALUE", "service.provenance[0].kind"),
    ),
    (
        "CreateService",
        create("x", provenance=[{"citation": "c", "kind": 99}]),
        (BAD, "UNKNOWN_VALUE", "service.provenance[0].kind"),
    ),
    (
        "CreateService",
        create("x", memberships=[{"programme": "x"}]),
        (BAD, "INVALID_NAME", "service.memberships[0].programme"),
    ),
    (
        "CreateService",
        create("x", memberships=[{"programme": "programmes/x"}]),
        ("NOT_FOUND", "PROGRAMME_NOT_FOUND", "service.memberships[0]"),
    ),
    (
        "CreateService",
        create("x", provenance=[{"kind": 1, "citation": "ă" * 1000}] * 100),
        (BAD, "EVENT_TOO_LARGE", ""),
    ),
    (
        "CreateService",
        pb.CreateServiceRequest(service_id="x", request_id="ổ"),
        (BAD, "INVALID_REQUEST_ID", "request_id"),
    ),
    ("UpdateService", update("no_such"), (BAD, "INVALID_MASK", "update_mask")),
    ("UpdateService", update("displayName"), (BAD, "INVALID_MASK", "update_mask")),
    ("UpdateService", update("etag"), (BAD, "INVALID_MASK", "update_mask")),
    ("UpdateService", update("name"), (BAD, "INVALID_MASK", "update_mask")),
    ("UpdateService", update("memberships.plan_number"), (BAD, "INVALID_MASK", "update_mask")),
    ("UpdateService", update(etag="x", field="f"), ("ABORTED", "STALE_ETAG", "service.etag")),
    (
        "UpdateService",
        pb.UpdateServiceRequest(service=service_pb2.Service(name=NAME), evidence=[provenance_pb2.Evidence()]),
        (BAD, "EMPTY_EVIDENCE", "evidence[0]"),
    ),
    ("RetireService", pb.RetireServiceRequest(name=NAME), (BAD, "EMPTY_REASON", "reason")),
    (
        "RetireService",
        pb.RetireServiceRequest(name=NAME, reason="r", replaced_by=NAME),
        (BAD, "INVALID_VALUE", "replaced_by"),
    ),
    (
        "RetireService",
        pb.RetireServiceRequest(name=NAME, reason="r", date=date_pb2.PartialDate(month=2)),
        (BAD, "INVALID_DATE", "date.year"),
    ),
    ("CreateProgramme", pb.CreateProgrammeRequest(programme_id="-"), (BAD, "INVALID_NAME", "programme_id")),
    (
        "CreateProgramme",
        pb.CreateProgrammeRequest(programme_id="bca-2022"),
        ("ALREADY_EXISTS", "ALREADY_EXISTS", "programme_id"),
    ),
    (
        "CreateProgramme",
        pb.CreateProgrammeRequest(programme_id="x", programme=programme_pb2.Programme(display_name="x")),
        (BAD, "INVALID_VALUE", "programme.planned_count"),
    ),
    (
        "CreateProgramme",
        pb.CreateProgrammeRequest(programme_id="x", programme=programme_pb2.Programme(planned_count=1)),
        (BAD, "MISSING_VALUE", "programme.display_name"),
    ),
    ("ListEvents", pb.ListEventsRequest(after_sequence=-1), (BAD, "INVALID_VALUE", "after_sequence")),
    ("ListEvents", pb.ListEventsRequest(epoch="0" * 16), ("FAILED_PRECONDITION", "EPOCH_CHANGED", "epoch")),
]


async def test_bad_input_is_named_and_writes_nothing(tmp_path: Path) -> None:
    """Each bad request is refused with its code, reason and field; afterwards the journal has no row more."""
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog)
        before = catalog.runtime.live.current.head
        told = [await refusal(getattr(catalog.stub, method)(request)) for method, request, _ in CASES]
        after = catalog.runtime.live.current.head

    assert [(method, answer) for (method, _, _), answer in zip(CASES, told, strict=True)] == [
        (method, wanted) for method, _, wanted in CASES
    ]
    assert after == before


async def test_a_named_service_never_becomes_a_slot_again(tmp_path: Path) -> None:
    """Emptying the name is refused, and the name stays."""
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog)
        await catalog.stub.UpdateService(update(display_name="Khai báo tạm vắng"))
        emptied = await refusal(catalog.stub.UpdateService(update("display_name")))

    assert emptied == ("FAILED_PRECONDITION", "NAME_REQUIRED", "service.display_name")


async def test_bytes_that_are_no_text_and_requests_too_large_are_refused_and_the_next_call_is_fine(
    tmp_path: Path,
) -> None:
    """FF FE in a text and a request of 4 MiB + 1 get an answer of ours; the service goes on."""
    async with running_catalog(tmp_path) as catalog:
        await fill(catalog)
        raw: Any = catalog.channel.unary_unary("/tiendo.catalog.v1.CatalogService/GetService")
        broken = await refusal(raw(b"\x0a\x02\xff\xfe"))
        large = await refusal(raw(b"\x0a" + b"\xfd\xff\xff\x01" + b"x" * (4 * 1024 * 1024 - 3)))
        reply = await catalog.stub.GetService(pb.GetServiceRequest(name=NAME))

    assert broken == (BAD, "INVALID_VALUE", "request")
    assert large[:2] == ("RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE")
    assert reply.service.name == NAME
