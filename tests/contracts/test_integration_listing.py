"""Reads of integration, over gRPC, on both engines."""

from tests.support.integration import (
    NAMED,
    Integration,
    day,
    integration_of,
    refused,
    running_integration,
    running_journal,
)
from tiendo.integration.v1 import integration_pb2 as ip
from tiendo.integration.v1 import integration_service_pb2 as pb


async def listed(service: Integration, page_size: int = 0, **fields: str) -> list[str]:
    """Walk all pages of a list and give the ids, as often as they came."""
    found: list[str] = []
    request = pb.ListIntegrationsRequest(page_size=page_size, **fields)
    while True:
        reply = await service.call("ListIntegrations", request)
        found += [integration.service.removeprefix("services/") for integration in reply.integrations]
        if not reply.next_page_token:
            assert reply.total_size == len(found)
            return found
        request.page_token = reply.next_page_token


async def test_a_new_integration_is_selected_and_nothing_more(integration_database: str) -> None:
    """Of a service that the catalog just told of, every check is unknown and no date is held."""
    async with integration_of(integration_database) as service:
        found = await service.get("bca-001")
        history = await service.history("bca-001")

    assert (found.name, found.service) == ("integrations/bca-001", "services/bca-001")
    assert (found.alias, found.display_name) == ("dang-ky-thuong-tru", NAMED)
    assert list(found.programmes) == ["programmes/bca-2022"]
    assert (found.stage, found.condition, found.reason) == (ip.STAGE_SELECTED, ip.CONDITION_ACTIVE, "")
    assert not found.HasField("effective_date")
    assert list(found.checks) == [
        ip.ConnectionCheck(check=check, state=ip.CHECK_STATE_UNKNOWN)  # type: ignore[arg-type]
        for check in range(1, 7)
    ]
    assert (found.transition_count, history) == (0, [])


async def test_id_alias_and_former_alias_find_the_same(integration_database: str) -> None:
    """A renamed service is found by every name it ever had, in reads and in commands."""
    async with running_journal() as catalog:
        catalog.add("service_updated", 1, "Khai báo tạm vắng", former_aliases=["dang-ky-thuong-tru"])
        async with running_integration(integration_database, catalog.port) as service:
            names = ["bca-001", "khai-bao-tam-vang", "dang-ky-thuong-tru"]
            found = [(await service.get(name, catalog.revision)).name for name in names]
            moved = await service.advance("dang-ky-thuong-tru", ip.STAGE_BUILT)

    assert found == ["integrations/bca-001"] * 3
    assert moved.integration.name == "integrations/bca-001"


async def test_filters_choose_by_stage_condition_naming_check_and_words(integration_database: str) -> None:
    """Each field of a filter, alone and joined, in any case."""
    async with integration_of(integration_database, slots=5) as service:
        await service.advance("bca-002", ip.STAGE_BUILT)
        await service.call("BlockIntegration", pb.BlockIntegrationRequest(name="integrations/bca-003", reason="chờ"))
        await service.call(
            "SetConnectionCheck",
            pb.SetConnectionCheckRequest(
                name="integrations/bca-004", check=ip.CHECK_PAYMENT, state=ip.CHECK_STATE_FAILED
            ),
        )
        found = {
            text: await listed(service, filter=text)
            for text in (
                "stage = BUILT",
                "stage = built AND condition = Active",
                "condition = BLOCKED",
                "naming = NAMED",
                'check = "PAYMENT:FAILED"',
                'check = "payment:failed"',
                'text : "thuong dang ky"',
                'text = "thuong dang ky"',
                "text : bca-005",
                "naming = SLOT AND NOT (stage = BUILT OR condition = BLOCKED)",
            )
        }

    assert found == {
        "stage = BUILT": ["bca-002"],
        "stage = built AND condition = Active": ["bca-002"],
        "condition = BLOCKED": ["bca-003"],
        "naming = NAMED": ["bca-001"],
        'check = "PAYMENT:FAILED"': ["bca-004"],
        'check = "payment:failed"': ["bca-004"],
        'text : "thuong dang ky"': ["bca-001"],
        'text = "thuong dang ky"': ["bca-001"],
        "text : bca-005": ["bca-005"],
        "naming = SLOT AND NOT (stage = BUILT OR condition = BLOCKED)": ["bca-004", "bca-005"],
    }


async def test_orders_and_pages_give_each_exactly_once(integration_database: str) -> None:
    """By name, stage, time of change and Vietnamese alphabet, in pages of two; a token fits its own query only."""
    async with running_journal(0) as catalog:
        for number, name in enumerate(["Đăng ký", "Cấp đổi", "Dán nhãn", ""], 1):
            catalog.add("service_created", number, name)
        async with running_integration(integration_database, catalog.port) as service:
            await service.get("bca-004", catalog.revision)
            await service.advance("bca-003", ip.STAGE_INTEGRATED)
            await service.advance("bca-001", ip.STAGE_BUILT)
            found = {
                order: await listed(service, 2, order_by=order)
                for order in ("", "name desc", "stage desc", "display_name", "update_time desc, name desc")
            }
            first = await service.call("ListIntegrations", pb.ListIntegrationsRequest(page_size=2))
            other = await refused(
                service.call(
                    "ListIntegrations",
                    pb.ListIntegrationsRequest(page_token=first.next_page_token, order_by="stage"),
                )
            )

    assert found == {
        "": ["bca-001", "bca-002", "bca-003", "bca-004"],
        "name desc": ["bca-004", "bca-003", "bca-002", "bca-001"],
        "stage desc": ["bca-003", "bca-001", "bca-002", "bca-004"],
        "display_name": ["bca-004", "bca-002", "bca-003", "bca-001"],
        "update_time desc, name desc": ["bca-004", "bca-003", "bca-002", "bca-001"],
    }
    assert other.short == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", "page_token")


async def test_a_list_holds_one_programme_or_all(integration_database: str) -> None:
    """The installation's programme where none is named, another by its name, every integration for `-`."""
    async with running_journal(2) as catalog:
        catalog.add("service_created", 3, programme="other")
        async with running_integration(integration_database, catalog.port) as service:
            await service.get("bca-003", catalog.revision)
            found = [await listed(service, programme=name) for name in ("", "programmes/other", "programmes/-")]

    assert found == [["bca-001", "bca-002"], ["bca-003"], ["bca-001", "bca-002", "bca-003"]]


async def test_a_history_comes_in_pages(integration_database: str) -> None:
    """Oldest first, each entry once, with the number of all."""
    async with integration_of(integration_database) as service:
        for stage in range(2, 8):
            await service.advance("bca-001", stage, effective_date=day(2022, stage))
        request = pb.ListTransitionsRequest(parent="integrations/dang-ky-thuong-tru", page_size=4)
        first = await service.call("ListTransitions", request)
        request.page_token = first.next_page_token
        second = await service.call("ListTransitions", request)

    assert [entry.number for entry in first.transitions] == [1, 2, 3, 4]
    assert [entry.number for entry in second.transitions] == [5, 6]
    assert (first.total_size, second.total_size, second.next_page_token) == (6, 6, "")


async def test_replies_name_what_they_are_current_through(integration_database: str) -> None:
    """Every read names a revision of integration and one of the catalog, and both may be asked for."""
    async with running_journal() as catalog, running_integration(integration_database, catalog.port) as service:
        await service.get("bca-003", catalog.revision)
        moved = await service.advance("bca-001", ip.STAGE_BUILT)
        at_least = [moved.revision, catalog.revision]
        one = await service.call(
            "GetIntegration", pb.GetIntegrationRequest(name="integrations/bca-001", at_least=at_least)
        )
        many = await service.call("ListIntegrations", pb.ListIntegrationsRequest(at_least=at_least))
        history = await service.call(
            "ListTransitions", pb.ListTransitionsRequest(parent="integrations/bca-001", at_least=at_least)
        )

    assert list(one.revisions) == list(many.revisions) == list(history.revisions) == at_least
