"""Random commands to the catalog: programmes with few places, slots, names, groups, memberships."""

from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import strategies as st

from tests.support.commands import BEGUN, IDS, Command, When, ids
from tiendo.catalog.v1 import catalog_service_pb2 as catalog_pb2
from tiendo.catalog.v1 import programme_pb2, service_pb2
from tiendo.common.v1 import date_pb2

PROGRAMMES = ("programmes/bca-2022", "programmes/thi-diem")

programmes = st.sampled_from(PROGRAMMES)
places = st.lists(
    st.builds(service_pb2.Membership, programme=programmes, plan_number=st.integers(0, 7)),
    max_size=2,
    unique_by=lambda place: place.programme,
)


@st.composite
def descriptions(draw: st.DrawFn) -> service_pb2.Service:
    """What may be said of a service: its field, its levels, and an owner that changed on a day."""
    handed_over = When(draw(st.integers(-40, 20)), "day").on(BEGUN.date())
    owners = [
        service_pb2.Agency(agency="Cục A", valid_to=handed_over),
        service_pb2.Agency(agency="Cục B", valid_from=handed_over),
    ]
    return service_pb2.Service(
        field=draw(st.sampled_from(["", "Hộ chiếu", "Đăng ký xe"])),
        levels=draw(st.sampled_from([[], ["tỉnh"], ["bộ", "tỉnh"]])),
        agencies=draw(st.sampled_from([[], owners, owners[:1]])),
    )


def create(service: str, places: list[service_pb2.Membership]) -> Command:
    """Add a slot."""
    slot = service_pb2.Service(memberships=places)
    return "CreateService", catalog_pb2.CreateServiceRequest(service_id=service, service=slot)


def _update(service: str, change: service_pb2.Service, *paths: str) -> Command:
    changed = service_pb2.Service(name=f"services/{service}")
    changed.MergeFrom(change)
    return "UpdateService", catalog_pb2.UpdateServiceRequest(service=changed, update_mask=FieldMask(paths=paths))


def _retire(service: str) -> Command:
    return "RetireService", catalog_pb2.RetireServiceRequest(name=f"services/{service}", reason="bãi bỏ")


def _name(service: str, name: str) -> Command:
    return _update(service, service_pb2.Service(display_name=name), "display_name")


def _describe(service: str, told: service_pb2.Service) -> Command:
    return _update(service, told, "field", "levels", "agencies")


def _join(service: str, places: list[service_pb2.Membership]) -> Command:
    return _update(service, service_pb2.Service(memberships=places), "memberships")


def create_programme(programme: programme_pb2.Programme) -> Command:
    """Add a programme."""
    programme_id = programme.name.removeprefix("programmes/")
    return "CreateProgramme", catalog_pb2.CreateProgrammeRequest(programme_id=programme_id, programme=programme)


def _update_programme(programme: programme_pb2.Programme) -> Command:
    return "UpdateProgramme", catalog_pb2.UpdateProgrammeRequest(programme=programme)


plans = st.builds(
    programme_pb2.Programme,
    name=programmes,
    display_name=st.sampled_from(["Đề án 06", "Đề án"]),
    planned_count=st.integers(1, 9),
    start_date=st.sampled_from([None, date_pb2.PartialDate(year=2022), date_pb2.PartialDate(year=2022, month=9)]),
)
catalog_commands = st.one_of(
    st.builds(create, st.sampled_from(IDS), places),
    st.builds(_name, ids, st.sampled_from(["Đăng ký tạm trú", "Cấp hộ chiếu", "\0"])),
    st.builds(_describe, ids, descriptions()),
    st.builds(_join, ids, places),
    st.builds(_retire, ids),
    st.builds(create_programme, plans),
    st.builds(_update_programme, plans),
)
