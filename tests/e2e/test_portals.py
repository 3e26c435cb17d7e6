"""What a portal answers, from its own web server to whoever watches progress."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.common.figures import instant
from tests.support.stack import Stack, running_stack
from tests.support.watchers import Watcher
from tests.support.web import running_web
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import events_pb2, status_service_pb2

pytestmark = pytest.mark.e2e

NAME = "integrations/bca-001"
GONE = events_pb2.PROGRESS_EVENT_KIND_SERVICE_UNREACHABLE
BACK = events_pb2.PROGRESS_EVENT_KIND_SERVICE_REACHABLE


async def tiendo(stack: Stack, *arguments: str) -> tuple[int, list[str]]:
    """Run a command; give its exit code and the lines it printed."""
    environ = {name: value for name, value in stack.environ.items() if name.startswith("TIENDO_")} | {"COLUMNS": "140"}
    done = await asyncio.to_thread(lambda: CliRunner().invoke(app, arguments, env=environ))
    return done.exit_code, [line.rstrip() for line in done.output.splitlines()]


async def checks(stack: Stack) -> list[integration_pb2.PortalCheck]:
    """The checks of bca-001, newest first."""
    request = integration_service_pb2.ListPortalChecksRequest(parent=NAME)
    return list((await stack.integration_stub.ListPortalChecks(request, timeout=10)).checks)


async def completion(stack: Stack, revision: str) -> Any:
    """The counts that include this change."""
    request = status_service_pb2.GetCompletionRequest(at_least=[revision])
    return (await stack.status_stub.GetCompletion(request, timeout=10)).total


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of another time zone: moments are shown in Vietnam's all the same."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
async def test_a_portal_that_goes_and_comes_back_is_told() -> None:
    """A link is asked by itself soon after it was set; its portal is stopped, and started: a watcher hears of both."""
    settings = {
        "TIENDO_INTEGRATION_PORTAL_CHECK_SECONDS": "3600",
        "TIENDO_INTEGRATION_PORTAL_PRIVATE_ADDRESSES": "true",
    }
    check = integration_service_pb2.CheckPortalRequest(name=NAME)
    async with running_web() as web, running_stack(seeded=True, **settings) as stack:
        watcher = Watcher(stack)
        await watcher.start()
        none = await tiendo(stack, "integration", "check-portal", "bca-002", "--lang", "en")
        linked = await tiendo(stack, "integration", "link", "bca-001", "ministry", web.uri("/page"))
        async with asyncio.timeout(60):
            while not (by_clock := await checks(stack)):
                await asyncio.sleep(0.1)
        await web.stop()
        gone = await tiendo(stack, "integration", "check-portal", "bca-001", "--portal", "ministry", "--lang", "vi")
        await watcher.until(lambda: any(event.kind == GONE for event in watcher.seen))
        shown = await tiendo(stack, "integration", "get", "bca-001", "--lang", "en")
        await web.start()
        back = await stack.integration_stub.CheckPortal(check, timeout=30)
        await watcher.until(lambda: any(event.kind == BACK for event in watcher.seen))
        total = await completion(stack, back.revision)
        await watcher.stop()
        listed = await tiendo(stack, "integration", "portal-checks", "bca-001", "--lang", "en")
        as_json = await tiendo(stack, "integration", "portal-checks", "bca-001", "--json")
        kept = await checks(stack)
        integration_log = stack.log("integration")

    unreachable, reachable = (event for event in watcher.seen if event.kind in {GONE, BACK})
    record = "record it with tiendo integration link bca-002, then check again."
    assert none == (1, [f"Refused: bca-002 has no portal link to check; {record}"])
    assert linked[0] == 0
    assert [(each.answer, each.actor) for each in by_clock] == [
        (integration_pb2.PORTAL_ANSWER_REACHABLE, "portal-checks")
    ]
    assert gone[0] == 0
    assert "Cổng Dịch vụ công Bộ Công an không truy cập được từ" in gone[1][0]
    assert gone[1][0].endswith(": không nhận kết nối")
    assert [line.split() for line in shown[1] if "page" in line or "Unreachable" in line] == [
        ["Ministry", "portal", web.uri("/page")],
        ["Unreachable:", "no", "connection", "is", "accepted"],
    ]
    assert (unreachable.service, unreachable.reason, unreachable.portal) == (
        "services/bca-001",
        "no connection is accepted",
        integration_pb2.PORTAL_MINISTRY,
    )
    assert unreachable.evidence[0].link == reachable.evidence[0].link == web.uri("/page")
    assert unreachable.cause.startswith("integration/")
    assert (total.completed, total.not_reported) == (11, 216)
    assert [each.answer for each in kept] == [1, 2, 1]
    assert [each["answer"] for each in json.loads("\n".join(as_json[1]))["checks"]] == [
        "PORTAL_ANSWER_REACHABLE",
        "PORTAL_ANSWER_UNREACHABLE",
        "PORTAL_ANSWER_REACHABLE",
    ]
    assert [line[:16] for line in listed[1][1:]] == [instant(each.check_time.ToDatetime(tzinfo=UTC)) for each in kept]
    assert shown[1][-1].endswith(instant(back.integration.update_time.ToDatetime(tzinfo=UTC)))
    assert "publishing failed" not in integration_log
    assert len(listed[1]) == 4
