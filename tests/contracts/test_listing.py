"""Lists, search and single reads of the catalog, over gRPC, on both engines."""

import unicodedata

import pytest
from google.rpc import error_details_pb2

from tests.support.calls import detail, refused
from tests.support.catalog import Catalog, create, everything, fill, name, refusal, running_catalog
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import programme_pb2
from tiendo.common.v1 import provenance_pb2


async def found(catalog: Catalog, query: str) -> list[str]:
    """Ids that a search gives, best first."""
    reply = await catalog.stub.SearchServices(pb.SearchServicesRequest(query=query))
    return [service.name.removeprefix("services/") for service in reply.services]


@pytest.mark.parametrize("order", ["", "name desc", "display_name", "update_time desc", "plan_number desc"])
async def test_pages_give_each_of_227_exactly_once(catalog_database: str, order: str) -> None:
    """In every order a walk of uneven pages gives the whole plan once."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 227)
        seen = await everything(catalog, pb.ListServicesRequest(page_size=50, order_by=order))

    assert sorted(seen) == [f"bca-{number:03}" for number in range(1, 228)]
    if not order:
        assert seen == sorted(seen)


async def test_what_stays_listed_comes_once_while_names_change(catalog_database: str) -> None:
    """A name given between two pages neither repeats nor hides a service."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 20)
        first = await catalog.stub.ListServices(pb.ListServicesRequest(page_size=7))
        await name(catalog, "bca-003", "Khai báo tạm vắng")
        rest = await everything(catalog, pb.ListServicesRequest(page_size=7, page_token=first.next_page_token))

    assert [service.name.removeprefix("services/") for service in first.services] + rest == [
        f"bca-{number:03}" for number in range(1, 21)
    ]


async def assert_in_dictionary_order(catalog_database: str) -> None:
    """đ follows d, and tones decide between words of the same letters."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 0)
        for number, display_name in enumerate(["Đổi thẻ", "Dấu nổi", "Ảnh", "Anh"], start=1):
            await create(catalog, number, display_name)
        seen = await everything(catalog, pb.ListServicesRequest(order_by="display_name"))
    assert seen == ["bca-004", "bca-003", "bca-002", "bca-001"]


async def test_names_are_listed_as_a_vietnamese_dictionary_has_them(catalog_database: str) -> None:
    """The order is the dictionary's, whatever the database's own order is."""
    await assert_in_dictionary_order(catalog_database)


async def test_names_sorted_by_their_code_points_are_noticed(
    catalog_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above can fail: where names are their own sort keys, đ and accented letters come last."""
    monkeypatch.setattr("services.catalog.storage.sort_key", lambda text: text)

    with pytest.raises(AssertionError):
        await assert_in_dictionary_order(catalog_database)


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ("naming = SLOT", ["bca-002", "bca-003"]),
        ("naming = slot AND retired = False", ["bca-002"]),
        ("programme = BCA-2022 AND naming != Slot", ["bca-001"]),
        ('text = "thường đăng"', ["bca-001"]),
        ('field = "cu tru"', ["bca-001"]),
        ('NOT field = "Cư trú"', ["bca-002", "bca-003"]),
        ("code = 1.003290", ["bca-001"]),
        ("level = Xã AND retired = false", ["bca-001"]),
        ('text : "thuong dang"', ["bca-001"]),
        ("retired = true", ["bca-003"]),
        ("agency = C06", ["bca-001"]),
    ],
)
async def test_filters_find_what_they_say(catalog_database: str, condition: str, ids: list[str]) -> None:
    """Values compare without case and accents, conditions combine, and an agency is the one owning it today."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        owners = [{"agency": "X01", "valid_to": {"year": 2020}}, {"agency": "C06", "valid_from": {"year": 2021}}]
        codes = [{"code": "1.003290"}]
        fields = {"field": "Cư trú", "levels": ["xã"], "agencies": owners, "procedure_codes": codes}
        await name(catalog, "bca-001", "Đăng ký thường trú", **fields)
        await catalog.stub.RetireService(pb.RetireServiceRequest(name="services/bca-003", reason="Bãi bỏ"))
        seen = await everything(catalog, pb.ListServicesRequest(filter=condition))

    assert seen == ids


@pytest.mark.parametrize(
    "query",
    ["đất đai", "dat dai", "DAT DAI", "Đai Đất", unicodedata.normalize("NFD", "Đất đai"), "đ", "1.003290", "dat-dai"],
)
async def test_search_knows_no_accents_case_order_or_normal_form(catalog_database: str, query: str) -> None:
    """Whatever way it is typed, the service named in NFD is found and stored in NFC."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        spelled = unicodedata.normalize("NFD", "Đất đai")
        named = await name(catalog, "bca-002", spelled, procedure_codes=[{"code": "1.003290"}])
        seen = await found(catalog, query)

    assert seen == ["bca-002"]
    assert named.display_name == "Đất đai"


async def test_the_best_comes_first(catalog_database: str) -> None:
    """An exact name (its words may repeat), then names that begin so, then the rest by plan number."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 0)
        await create(catalog, 1, "Xin cấp, cấp lại hộ chiếu")
        await create(catalog, 2, "Cấp, cấp lại hộ chiếu phổ thông")
        await create(catalog, 3, "Cấp, cấp lại hộ chiếu")
        seen = await found(catalog, "cap cap lai ho chieu")
        by_number = await found(catalog, "3")
        nothing = await found(catalog, "?")

    assert seen == ["bca-003", "bca-002", "bca-001"]
    assert by_number[0] == "bca-003"
    assert nothing == []


async def test_a_page_of_long_texts_stays_below_a_mebibyte(catalog_database: str) -> None:
    """A page ends early where texts are long, and the walk still gives every service once."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 0)
        source = [{"kind": "PROVENANCE_KIND_REPORTED", "citation": "x" * 1000}] * 60
        for number in range(1, 31):
            await create(catalog, number, provenance=source)
        page = await catalog.stub.ListServices(pb.ListServicesRequest(page_size=1000))
        seen = await everything(catalog, pb.ListServicesRequest(page_size=1000))

    assert page.ByteSize() < 1024 * 1024
    assert page.total_size == 30
    assert seen == [f"bca-{number:03}" for number in range(1, 31)]


async def test_a_page_of_long_programmes_stays_below_a_mebibyte(catalog_database: str) -> None:
    """A page of programmes ends early too, and the walk gives each once."""
    source = [provenance_pb2.Provenance(kind=provenance_pb2.PROVENANCE_KIND_REPORTED, citation="đ" * 1000)] * 50
    seen: list[str] = []
    sizes: list[int] = []
    async with running_catalog(catalog_database) as catalog:
        for number in range(12):
            programme = programme_pb2.Programme(display_name="Đề án", planned_count=1, provenance=source)
            create_it = pb.CreateProgrammeRequest(programme_id=f"p-{number:02}", programme=programme)
            await catalog.stub.CreateProgramme(create_it)
        request = pb.ListProgrammesRequest(page_size=1000)
        while True:
            page = await catalog.stub.ListProgrammes(request)
            seen += [programme.name for programme in page.programmes]
            sizes.append(page.ByteSize())
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token

    assert max(sizes) < 1024 * 1024
    assert len(sizes) == 2
    assert seen == [f"programmes/p-{number:02}" for number in range(12)]


async def test_a_batch_that_fits_no_reply_is_refused_with_what_fits(catalog_database: str) -> None:
    """More than 4 MiB of services are refused before they are sent; as many as fit are answered."""
    source = [provenance_pb2.Provenance(kind=provenance_pb2.PROVENANCE_KIND_REPORTED, citation="x" * 1000)] * 100
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 0)
        await create(catalog, 1, provenance=source)
        too_many = pb.BatchGetServicesRequest(names=["services/bca-001"] * 50)
        failure = await refused(catalog.stub.BatchGetServices(too_many))
        told = detail(failure, error_details_pb2.ErrorInfo)
        fit = int(told.metadata["limit"])
        reply = await catalog.stub.BatchGetServices(pb.BatchGetServicesRequest(names=["services/bca-001"] * fit))

    assert (failure.code().name, told.reason, told.metadata["count"]) == ("INVALID_ARGUMENT", "TOO_MANY", "50")
    assert fit == 40
    assert len(reply.services) == 40


async def test_a_read_includes_the_write_whose_revision_it_names(catalog_database: str) -> None:
    """A command's revision is reached at once by the replica that wrote it, and is what reads then name."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog)
        written = await catalog.stub.CreateService(pb.CreateServiceRequest(service_id="extra"))
        request = pb.GetServiceRequest(name="services/extra", at_least=[written.revision])
        read = await catalog.stub.GetService(request)

    assert read.service == written.service
    assert list(read.revisions) == [written.revision]


async def test_an_empty_programme_is_the_default_and_a_hyphen_is_all(catalog_database: str) -> None:
    """Services outside the programme are listed under programmes/- only."""
    async with running_catalog(catalog_database) as catalog:
        await fill(catalog, 2)
        await catalog.stub.CreateService(pb.CreateServiceRequest(service_id="alone"))
        default = await everything(catalog, pb.ListServicesRequest())
        every = await everything(catalog, pb.ListServicesRequest(programme="programmes/-"))
        other = await refusal(catalog.stub.ListServices(pb.ListServicesRequest(programme="programmes/none")))

    assert default == ["bca-001", "bca-002"]
    assert every == ["alone", "bca-001", "bca-002"]
    assert other == ("NOT_FOUND", "PROGRAMME_NOT_FOUND", "programme")
