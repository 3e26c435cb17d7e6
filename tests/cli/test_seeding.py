"""The seed as commands: what is sent is what the data says, by ids that never change."""

from services.cli.seed import load
from services.cli.seeding import completion_request, partial_date, programme_request, service_request
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import integration_pb2


def test_programme_command_equals_the_data() -> None:
    """The programme is sent as the source says it."""
    request = programme_request(load().programme)

    assert request.programme_id == "bca-2022"
    assert request.programme.planned_count == 227
    assert request.programme.target_date == date_pb2.PartialDate(year=2022)
    assert request.programme.owner == "Bộ Công an"
    assert request.request_id == "seed/bca-2022"
    assert all(entry.citation for entry in request.programme.provenance)


def test_every_service_is_sent_once_with_its_number() -> None:
    """227 commands, ids and numbers in the order of the plan, each with its own request id."""
    requests = [service_request(service, "bca-2022") for service in load().services]

    assert [request.service_id for request in requests] == [f"bca-{number:03d}" for number in range(1, 228)]
    assert [request.service.memberships[0].plan_number for request in requests] == list(range(1, 228))
    assert {request.service.memberships[0].programme for request in requests} == {"programmes/bca-2022"}
    assert len({request.request_id for request in requests}) == 227
    assert all(len(request.service.provenance) for request in requests)


def test_slots_carry_no_invented_name() -> None:
    """216 services have a number and nothing else."""
    slots = [service_request(service, "bca-2022").service for service in load().services[11:]]

    assert len(slots) == 216
    assert {(slot.display_name, slot.english_gloss, slot.field) for slot in slots} == {("", "", "")}


def test_completions_are_one_command_dated_at_the_latest() -> None:
    """The 11 are integrated at the latest by September 2022, cited, all or nothing."""
    request = completion_request(load().completions, "bca-2022", ["revision"])

    assert [each.name for each in request.requests] == [f"integrations/bca-{number:03d}" for number in range(1, 12)]
    assert {each.stage for each in request.requests} == {integration_pb2.STAGE_INTEGRATED}
    assert all(
        each.effective_date == date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=2022, month=9), at_latest=True)
        for each in request.requests
    )
    assert all("Đến tháng 9/2022" in each.evidence[0].note for each in request.requests)
    assert not any(each.request_id or each.at_least for each in request.requests)
    assert list(request.at_least) == ["revision"]
    assert request.request_id == "seed/bca-2022/completed"


def test_dates_keep_their_precision() -> None:
    """A month stays a month."""
    assert partial_date("2022-09") == date_pb2.PartialDate(year=2022, month=9)
    assert partial_date("2022-09-30") == date_pb2.PartialDate(year=2022, month=9, day=30)
