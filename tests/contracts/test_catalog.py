"""Commands of the catalog, and that they are kept, over gRPC, on both engines."""

import asyncio
from datetime import UTC
from itertools import pairwise

import grpc.aio
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2

from services.catalog import storage, usecases
from services.common.dates import iso_instant
from services.common.db import read_transaction
from services.common.errors import Refusal
from services.common.journal import digest_of
from services.common.work import Caller
from tests.support.calls import detail, refused
from tests.support.catalog import Catalog, create, fill, name, refusal, running_catalog
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import events_pb2, programme_pb2, service_pb2
from tiendo.common.v1 import provenance_pb2

NAME = "Đăng ký thường trú"


def told_of(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """What belongs to a refusal's reason."""
    return dict(detail(error, error_details_pb2.ErrorInfo).metadata)


async def events(catalog: Catalog) -> list[events_pb2.CatalogEvent]:
    """The whole journal."""
    return list((await catalog.stub.ListEvents(pb.ListEventsRequest(page_size=1000))).events)


async def test_naming_a_slot_keeps_its_number_and_identity(catalog_database: str) -> None:
    """A slot that gets its name keeps id and plan number, and the journal says service_named, with what backs it."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        await catalog.stub.UpdateService(
            pb.UpdateServiceRequest(
                service=service_pb2.Service(name="services/bca-002", display_name=NAME, field="Cư trú"),
                evidence=[provenance_pb2.Evidence(document_number="12/QĐ-BCA")],
            ),
        )
        found = (await catalog.stub.GetService(pb.GetServiceRequest(name="services/dang-ky-thuong-tru"))).service
        last = (await events(catalog))[-1]

    assert found.name == "services/bca-002"
    assert found.display_name == NAME
    assert found.naming == service_pb2.NAMING_NAMED
    assert found.memberships[0].plan_number == 2
    assert last.WhichOneof("event") == "service_named"
    assert last.service_named.service == found
    assert list(last.service_named.changed_fields) == ["field"]
    assert last.service_named.evidence[0].document_number == "12/QĐ-BCA"


async def test_older_aliases_still_find_a_renamed_service(catalog_database: str) -> None:
    """After a renaming both aliases find the service, and nobody else may take either as an id."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        await name(catalog, "bca-001", NAME)
        renamed = await name(catalog, "dang-ky-thuong-tru", "Khai báo tạm vắng")
        names = ["services/dang-ky-thuong-tru", "services/khai-bao-tam-vang"]
        found = await catalog.stub.BatchGetServices(pb.BatchGetServicesRequest(names=names))
        same = await name(catalog, "bca-002", NAME)
        taken = await refusal(catalog.stub.CreateService(pb.CreateServiceRequest(service_id="dang-ky-thuong-tru")))

    assert (renamed.alias, list(renamed.former_aliases)) == ("khai-bao-tam-vang", ["dang-ky-thuong-tru"])
    assert [service.name for service in found.services] == ["services/bca-001", "services/bca-001"]
    assert same.alias == "dang-ky-thuong-tru-2"
    assert taken == ("ALREADY_EXISTS", "ALREADY_EXISTS", "service_id")


async def test_a_request_id_has_one_effect_and_one_reply(catalog_database: str) -> None:
    """The same id and content again gives the same reply and no event; another content is refused."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        request = pb.CreateServiceRequest(service_id="extra", request_id="one")
        replies = await asyncio.gather(*(catalog.stub.CreateService(request) for _ in range(5)))
        count = len(await events(catalog))
        request.service.field = "Cư trú"
        reused = await refusal(catalog.stub.CreateService(request))

    assert {reply.SerializeToString() for reply in replies} == {replies[0].SerializeToString()}
    assert count == 5
    assert reused == ("FAILED_PRECONDITION", "REQUEST_ID_REUSED", "request_id")


async def test_an_update_that_changes_nothing_writes_nothing(catalog_database: str) -> None:
    """It replies with the present resource and the revision of the head."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        before = await catalog.stub.GetService(pb.GetServiceRequest(name="services/bca-001"))
        reply = await catalog.stub.UpdateService(pb.UpdateServiceRequest(service=before.service))
        count = len(await events(catalog))

    assert reply.service == before.service
    assert [reply.revision] == list(before.revisions)
    assert count == 4


async def test_a_stale_etag_is_refused_and_nothing_is_lost(catalog_database: str) -> None:
    """Of two updates with one etag the first wins; the second is told to look again."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        etag = (await catalog.stub.GetService(pb.GetServiceRequest(name="services/bca-001"))).service.etag
        first = await name(catalog, "bca-001", NAME, etag=etag)
        second = await refusal(name(catalog, "bca-001", "Một tên khác", etag=etag))
        now = (await catalog.stub.GetService(pb.GetServiceRequest(name="services/bca-001"))).service

    assert first.etag != etag
    assert second == ("ABORTED", "STALE_ETAG", "service.etag")
    assert now == first


async def test_a_stale_etag_says_what_changed_when_and_by_whom(catalog_database: str) -> None:
    """The refusal tells the resource's last change, be it long stored or made in the same transaction."""

    def stale() -> pb.UpdateServiceRequest:
        return pb.UpdateServiceRequest(service=service_pb2.Service(name="services/bca-001", etag="old", field="x"))

    def change_and_miss_it(work: storage.CatalogWork) -> None:
        service = service_pb2.Service(name="services/bca-001", field="Cư trú, đi lại", levels=["xã"])
        usecases.update_service(work, service, (), (), Caller("lan"))
        usecases.update_service(work, stale().service, (), (), Caller("lan"))

    told: list[str] = []
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 1)
        told.append(told_of(await refused(catalog.stub.UpdateService(stale())))["change"])
        await name(catalog, "bca-001", NAME, field="Cư trú")
        told.append(told_of(await refused(catalog.stub.UpdateService(stale())))["change"])
        with pytest.raises(Refusal) as together:
            await catalog.runtime.writer.run(change_and_miss_it)
        await catalog.stub.RetireService(pb.RetireServiceRequest(name="services/bca-001", reason="Bãi bỏ"))
        last = await refused(catalog.stub.UpdateService(stale()))
        present = (await catalog.stub.GetService(pb.GetServiceRequest(name="services/bca-001"))).service
        programme = programme_pb2.Programme(name="programmes/bca-2022", planned_count=300)
        await catalog.stub.UpdateProgramme(pb.UpdateProgrammeRequest(programme=programme))
        programme.etag = "old"
        other = await refused(catalog.stub.UpdateProgramme(pb.UpdateProgrammeRequest(programme=programme)))

    when = iso_instant(present.update_time.ToDatetime(tzinfo=UTC))
    assert told == ["created", "named, field"]
    assert together.value.metadata["change"] == "field, levels"
    assert told_of(last) == {
        "name": "services/bca-001",
        "changed_time": when,
        "changed_by": "anonymous",
        "change": "retired",
    }
    assert (last.details() or "").startswith(
        f"service.etag: services/bca-001 was changed at {when} by anonymous (retired)"
    )
    assert told_of(other)["change"] == "planned_count"


async def test_a_mask_changes_only_what_it_names(catalog_database: str) -> None:
    """A named field that is empty is emptied; a set field outside the mask stays; an empty mask keeps what is left out."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        await name(catalog, "bca-001", NAME, field="Cư trú", levels=["xã"])
        asked = service_pb2.Service(name="services/bca-001", channels=["trực tuyến"])
        mask = FieldMask(paths=["field"])
        masked = (await catalog.stub.UpdateService(pb.UpdateServiceRequest(service=asked, update_mask=mask))).service
        unmasked = (await catalog.stub.UpdateService(pb.UpdateServiceRequest(service=asked))).service

    assert (masked.field, list(masked.levels), list(masked.channels)) == ("", ["xã"], [])
    assert (unmasked.display_name, list(unmasked.levels), list(unmasked.channels)) == (NAME, ["xã"], ["trực tuyến"])


async def test_retiring_is_done_once_and_changes_no_count(catalog_database: str) -> None:
    """A retired service stays a member and names what takes its place; the second time is refused."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        request = pb.RetireServiceRequest(name="services/bca-001", reason="Bãi bỏ", replaced_by="services/bca-002")
        retired = (await catalog.stub.RetireService(request)).service
        again = await refusal(catalog.stub.RetireService(request))
        listed = await catalog.stub.ListServices(pb.ListServicesRequest())

    assert retired.retirement.replaced_by == "services/bca-002"
    assert retired.memberships[0].plan_number == 1
    assert again == ("FAILED_PRECONDITION", "ALREADY_RETIRED", "name")
    assert listed.total_size == 3


async def test_a_plan_takes_no_more_than_it_has_places(catalog_database: str) -> None:
    """Full plans, taken and outside numbers, and a denominator below a number in use are conflicts."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 2, planned=3)
        outside = await refusal(create(catalog, 4))
        taken = await refusal(
            catalog.stub.CreateService(
                pb.CreateServiceRequest(
                    service_id="other",
                    service=service_pb2.Service(
                        memberships=[service_pb2.Membership(programme="programmes/bca-2022", plan_number=2)]
                    ),
                ),
            ),
        )
        smaller = programme_pb2.Programme(name="programmes/bca-2022", planned_count=1)
        shrunk = await refusal(catalog.stub.UpdateProgramme(pb.UpdateProgrammeRequest(programme=smaller)))
        await create(catalog, 3)
        full = await refusal(
            catalog.stub.CreateService(
                pb.CreateServiceRequest(
                    service_id="other",
                    service=service_pb2.Service(memberships=[service_pb2.Membership(programme="programmes/bca-2022")]),
                ),
            ),
        )

    assert outside == ("FAILED_PRECONDITION", "PLAN_CONFLICT", "service.memberships[0]")
    assert taken == ("FAILED_PRECONDITION", "PLAN_CONFLICT", "service.memberships[0]")
    assert shrunk == ("FAILED_PRECONDITION", "PLAN_CONFLICT", "programme.planned_count")
    assert full == ("FAILED_PRECONDITION", "PLAN_CONFLICT", "service.memberships[0]")


async def test_the_journal_is_one_chain_without_gaps(catalog_database: str) -> None:
    """Rows count 1, 2, 3 …, each names the digest before it, and its own is the SHA-256 of the stored bytes."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 20)
        listed = await events(catalog)

    assert [event.sequence for event in listed] == list(range(1, 22))
    for before, event in pairwise(listed):
        assert event.previous_digest == before.digest
    for event in listed:
        digest, event.digest = event.digest, ""

        assert digest_of(event.SerializeToString(deterministic=True)) == digest


async def test_a_restart_keeps_everything(catalog_database: str) -> None:
    """State loaded from the tables, and state folded from the journal, equal the one that was shown."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        await name(catalog, "bca-001", NAME, procedure_codes=[{"code": "1.003290"}])
        await name(catalog, "bca-001", "Khai báo tạm vắng")
        await catalog.stub.RetireService(pb.RetireServiceRequest(name="services/bca-003", reason="Bãi bỏ"))
        shown = catalog.runtime.live.current
        with read_transaction(catalog.runtime.engine) as connection:
            rows = storage.journal.read(connection, 0, 1000)
    folded = storage.State(shown.head).changed(shown.head, *usecases.decode(rows))
    async with running_catalog(catalog_database) as catalog:
        loaded = catalog.runtime.live.current
        found = (await catalog.stub.GetService(pb.GetServiceRequest(name="services/dang-ky-thuong-tru"))).service

    assert loaded == shown
    assert folded == shown
    assert found.display_name == "Khai báo tạm vắng"
