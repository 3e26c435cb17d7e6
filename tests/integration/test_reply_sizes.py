"""What integration answers fits into what a client takes, however long the texts are."""

from pathlib import Path

from tests.support.integration import Integration, integration_of, refused
from tiendo.common.v1 import provenance_pb2
from tiendo.integration.v1 import integration_pb2 as ip
from tiendo.integration.v1 import integration_service_pb2 as pb

MEBIBYTE = 1024 * 1024
LONG = [provenance_pb2.Evidence(note="x" * 2000)] * 20  # 40 KB
STEPS = [stage for stage in ip.Stage.values() if stage > ip.STAGE_SELECTED]


async def lengthen(service: Integration, *numbers: int) -> None:
    """Give these integrations 80 KB each."""
    for number in numbers:
        for check in (ip.CHECK_POST, ip.CHECK_E_FORM):
            name = f"integrations/bca-{number:03}"
            request = pb.SetConnectionCheckRequest(name=name, check=check, state=ip.CHECK_STATE_PASSED, evidence=LONG)
            await service.call("SetConnectionCheck", request)


async def test_a_page_of_long_integrations_stays_below_a_mebibyte(tmp_path: Path) -> None:
    """A page ends early where evidence is long, and the walk still gives every integration once."""
    seen: list[str] = []
    sizes: list[int] = []
    async with integration_of(tmp_path, slots=15) as service:
        await lengthen(service, *range(1, 16))
        request = pb.ListIntegrationsRequest(page_size=1000)
        while True:
            page = await service.call("ListIntegrations", request)
            seen += [integration.name for integration in page.integrations]
            sizes.append(page.ByteSize())
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token

    assert max(sizes) < MEBIBYTE
    assert len(sizes) == 2
    assert seen == [f"integrations/bca-{number:03}" for number in range(1, 16)]


async def test_a_page_of_a_long_history_stays_below_a_mebibyte(tmp_path: Path) -> None:
    """A page ends early where evidence is long, and the walk still gives every entry once."""
    seen: list[int] = []
    sizes: list[int] = []
    name = "integrations/bca-001"
    async with integration_of(tmp_path, slots=1) as service:
        for _ in range(15):
            await service.call("BlockIntegration", pb.BlockIntegrationRequest(name=name, reason="chờ", evidence=LONG))
            await service.call("UnblockIntegration", pb.UnblockIntegrationRequest(name=name, evidence=LONG))
        request = pb.ListTransitionsRequest(parent=name, page_size=1000)
        while True:
            page = await service.call("ListTransitions", request)
            seen += [entry.number for entry in page.transitions]
            sizes.append(page.ByteSize())
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token

    assert max(sizes) < MEBIBYTE
    assert len(sizes) == 2
    assert seen == list(range(1, 31))


async def test_a_batch_whose_reply_would_be_too_large_does_nothing(tmp_path: Path) -> None:
    """It is refused with how many fit; as many are then done, in a reply that a client takes."""
    async with integration_of(tmp_path, slots=9) as service:
        await lengthen(service, *range(1, 10))
        steps = [
            pb.AdvanceIntegrationRequest(name=f"integrations/bca-{number:03}", stage=stage)
            for number in range(1, 10)
            for stage in STEPS
        ]
        before = len(await service.events())
        refusal = await refused(
            service.call("BatchAdvanceIntegrations", pb.BatchAdvanceIntegrationsRequest(requests=steps))
        )
        after = len(await service.events())
        fit = int(refusal.metadata["limit"])
        request = pb.BatchAdvanceIntegrationsRequest(requests=steps[:fit])
        done = await service.call("BatchAdvanceIntegrations", request)

    assert refusal.short == ("INVALID_ARGUMENT", "TOO_MANY", "requests")
    assert refusal.metadata["count"] == "54"
    assert fit == 51
    assert before == after
    assert len(done.integrations) == 51
    assert 4 * MEBIBYTE - 160 * 1024 < done.ByteSize() < 4 * MEBIBYTE
