"""Bad input, over real gRPC: each case gets its status, reason and field, and changes nothing."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2, status_pb2

from tests.support.stack import ENGINES, Stack, running_stack
from tiendo.catalog.v1 import catalog_service_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import status_service_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

INTEGRATED = integration_pb2.STAGE_INTEGRATED
BUILT = integration_pb2.STAGE_BUILT


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=ENGINES)
async def stack(request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    """A seeded stack in which bca-020's payment check has failed: embedded, then as in production."""
    async with running_stack(request.param, seeded=True) as running:
        await running.integration_stub.SetConnectionCheck(
            integration_service_pb2.SetConnectionCheckRequest(
                name="integrations/bca-020",
                check=integration_pb2.CHECK_PAYMENT,
                state=integration_pb2.CHECK_STATE_FAILED,
            ),
            timeout=10,
        )
        yield running


@dataclass(frozen=True)
class Case:
    """One bad request and what it must be told."""

    name: str
    send: Callable[[Stack], Awaitable[Any]]
    code: grpc.StatusCode
    reason: str
    field: str


def advance(name: str = "integrations/bca-030", **fields: Any) -> Callable[[Stack], Awaitable[Any]]:
    """Send AdvanceIntegration to BUILT on 05/10/2022, changed as told."""
    values: dict[str, Any] = {"stage": BUILT, "effective_date": effective(2022, 10, 5)} | fields
    request = integration_service_pb2.AdvanceIntegrationRequest(name=name, **values)
    return lambda stack: stack.integration_stub.AdvanceIntegration(request, timeout=10)


def block(**fields: Any) -> Callable[[Stack], Awaitable[Any]]:
    """Send BlockIntegration."""
    request = integration_service_pb2.BlockIntegrationRequest(name="integrations/bca-030", **fields)
    return lambda stack: stack.integration_stub.BlockIntegration(request, timeout=10)


def services(**fields: Any) -> Callable[[Stack], Awaitable[Any]]:
    """Send ListServices."""
    request = catalog_service_pb2.ListServicesRequest(**fields)
    return lambda stack: stack.catalog_stub.ListServices(request, timeout=10)


def update(service: service_pb2.Service, *paths: str) -> Callable[[Stack], Awaitable[Any]]:
    """Send UpdateService."""
    request = catalog_service_pb2.UpdateServiceRequest(service=service, update_mask=FieldMask(paths=paths))
    return lambda stack: stack.catalog_stub.UpdateService(request, timeout=10)


def effective(year: int, month: int = 0, day: int = 0) -> date_pb2.EffectiveDate:
    """A date on which something happened."""
    return date_pb2.EffectiveDate(date=date_pb2.PartialDate(year=year, month=month, day=day))


INVALID = grpc.StatusCode.INVALID_ARGUMENT
REFUSED = grpc.StatusCode.FAILED_PRECONDITION
CASES = [
    Case(
        "unknown service in catalog",
        lambda stack: stack.catalog_stub.GetService(
            catalog_service_pb2.GetServiceRequest(name="services/no-such"), timeout=10
        ),
        grpc.StatusCode.NOT_FOUND,
        "SERVICE_NOT_FOUND",
        "name",
    ),
    Case(
        "unknown service in integration",
        advance("integrations/no-such"),
        grpc.StatusCode.NOT_FOUND,
        "INTEGRATION_NOT_FOUND",
        "name",
    ),
    Case("stale etag", advance(etag="AAAAAAAAAAAAAAAAAAAAAA"), grpc.StatusCode.ABORTED, "STALE_ETAG", "etag"),
    Case("illegal transition", advance("integrations/bca-001"), REFUSED, "ILLEGAL_TRANSITION", "stage"),
    Case(
        "a day that does not exist",
        advance(effective_date=effective(2022, 2, 31)),
        INVALID,
        "INVALID_DATE",
        "effective_date.date.day",
    ),
    Case(
        "a date in the future",
        advance(effective_date=effective(2999, 1, 1)),
        INVALID,
        "DATE_IN_FUTURE",
        "effective_date",
    ),
    Case(
        "integrated with a failed check",
        advance("integrations/bca-020", stage=INTEGRATED),
        REFUSED,
        "CHECK_NOT_PASSED",
        "stage",
    ),
    Case("empty reason", block(reason="  "), INVALID, "EMPTY_REASON", "reason"),
    Case(
        "a note of 10,001 characters",
        advance(evidence=[provenance_pb2.Evidence(note="ă" * 10_001)]),
        INVALID,
        "TEXT_TOO_LONG",
        "evidence[0].note",
    ),
    Case("U+0000 in a reason", block(reason="a\0b"), INVALID, "INVALID_CHARACTER", "reason"),
    Case(
        "U+0000 in a name",
        update(service_pb2.Service(name="services/bca-030", display_name="a\0b")),
        INVALID,
        "INVALID_CHARACTER",
        "service.display_name",
    ),
    Case("bad page token", services(page_token="nonsense"), INVALID, "INVALID_PAGE_TOKEN", "page_token"),
    Case(
        "unknown mask path",
        update(service_pb2.Service(name="services/bca-030"), "no_such"),
        INVALID,
        "INVALID_MASK",
        "update_mask",
    ),
    Case(
        "camel case in a mask",
        update(service_pb2.Service(name="services/bca-030"), "displayName"),
        INVALID,
        "INVALID_MASK",
        "update_mask",
    ),
    Case("unknown filter field", services(filter="colour = RED"), INVALID, "UNKNOWN_FIELD", "filter"),
    Case("page size -1", services(page_size=-1), INVALID, "INVALID_PAGE_SIZE", "page_size"),
    Case(
        "a request of 5 MiB",
        services(filter="x" * (5 * 1024 * 1024)),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "REQUEST_TOO_LARGE",
        "request",
    ),
    Case("unknown stage", advance(stage=99), INVALID, "UNKNOWN_VALUE", "stage"),
    Case("no stage", advance(stage=0), INVALID, "MISSING_VALUE", "stage"),
    Case(
        "unknown programme",
        lambda stack: stack.status_stub.GetCompletion(
            status_service_pb2.GetCompletionRequest(programme="programmes/no-such"), timeout=10
        ),
        grpc.StatusCode.NOT_FOUND,
        "PROGRAMME_NOT_FOUND",
        "programme",
    ),
    Case(
        "an impossible as-of",
        lambda stack: stack.status_stub.GetCompletion(
            status_service_pb2.GetCompletionRequest(as_of=date_pb2.PartialDate(year=2022, day=5)), timeout=10
        ),
        INVALID,
        "INVALID_DATE",
        "as_of.month",
    ),
    Case(
        "a watch token of ours that is none",
        lambda stack: stack.status_stub.WatchProgress(
            status_service_pb2.WatchProgressRequest(after="nonsense"), timeout=10
        ).read(),
        INVALID,
        "INVALID_TOKEN",
        "after",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_bad_input_is_refused_in_words(stack: Stack, case: Case) -> None:
    """Each bad request gets its status, reason and field in a message that names them, and no journal moves."""
    before = await heads(stack)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await case.send(stack)

    trailing = dict(caught.value.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    fields: list[str] = []
    for detail in status.details:
        detail.Unpack(info)
        if detail.Unpack(bad):
            fields = [violation.field for violation in bad.field_violations]
    assert (caught.value.code(), info.reason, info.domain, fields) == (case.code, case.reason, "tiendo", [case.field])
    assert case.field in status.message
    assert await heads(stack) == before


async def test_the_same_request_id_has_one_effect(stack: Stack) -> None:
    """A command sent twice with one request_id has one effect and one reply; another content is refused."""
    request_id = str(uuid.uuid4())
    first = await advance("integrations/bca-040", request_id=request_id)(stack)
    again = await advance("integrations/bca-040", request_id=request_id)(stack)

    assert again == first
    with pytest.raises(grpc.aio.AioRpcError, match="request_id"):
        await advance("integrations/bca-041", request_id=request_id)(stack)


async def test_no_log_holds_a_stack_trace(stack: Stack) -> None:
    """Refusals are no faults: after all of the above no service has logged a stack trace."""
    for service in ("catalog", "integration", "status"):
        assert "Traceback" not in stack.log(service)
        assert '"fault"' not in stack.log(service)


async def heads(stack: Stack) -> list[int]:
    """How long the journals of catalog and integration are."""
    catalog = await stack.catalog_stub.ListEvents(catalog_service_pb2.ListEventsRequest(page_size=1), timeout=10)
    integration = await stack.integration_stub.ListEvents(
        integration_service_pb2.ListEventsRequest(page_size=1), timeout=10
    )
    return [catalog.head.sequence, integration.head.sequence]
