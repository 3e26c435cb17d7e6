"""What a released version has written is served by this one: figures, histories, tokens, request ids."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.common import db
from services.common.resources import Revision
from tests.support.databases import ENGINES, new_database
from tests.support.journals import assert_chained, integration_events, progress_events
from tests.support.release import day
from tests.support.released import RELEASES, put_back, released
from tests.support.stack import SERVICES, running_stack
from tests.support.watchers import Watcher
from tiendo.catalog.v1 import catalog_service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2, integration_service_pb2
from tiendo.status.v1 import status_service_pb2

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("released")]

NAMES = {
    "services/bca-001": ("Đăng ký thường trú", "dang-ky-thuong-tru"),
    "services/bca-002": ("Khai báo tạm vắng, tạm trú", "khai-bao-tam-vang-tam-tru"),
    "services/bca-003": ("", ""),
    "services/bca-004": ("Thông báo lưu trú", "thong-bao-luu-tru"),
    "services/bca-005": ("", ""),
}


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("release", RELEASES)
async def test_this_version_serves_what_a_release_has_written(release: str, kind: str, tmp_path: Path) -> None:
    """Migrated and started: figures as then, the journals go on, an old token and an old request id work as before."""
    urls = {service: new_database(kind, tmp_path) for service in SERVICES}
    for service, url in urls.items():
        engine = db.open_engine(url)
        await asyncio.to_thread(put_back, engine, released(release, service))
        engine.dispose()
    settings = {f"TIENDO_{service.upper()}_DATABASE_URL": url for service, url in urls.items()}
    settings["TIENDO_STATUS_CALENDAR_SECONDS"] = "0"
    written = released(release, "status").contents.head
    # Sent again with the id it had then, and then a step of today.
    again: Any = integration_service_pb2.AdvanceIntegrationRequest(
        name="integrations/bca-001",
        stage=integration_pb2.STAGE_INTEGRATED,
        effective_date=day(2022, 9, at_latest=True),
        evidence=[provenance_pb2.Evidence(note="số văn bản 12/BC")],
        request_id="release/step/3",
    )
    new = integration_service_pb2.AdvanceIntegrationRequest(
        name="integrations/bca-005", stage=integration_pb2.STAGE_TESTED, effective_date=day(2022, 12, 1)
    )

    async with running_stack(seeded=False, **settings) as stack:
        listed = await stack.catalog_stub.ListServices(catalog_service_pb2.ListServicesRequest(), timeout=10)
        before = await integration_events(stack)
        repeated = await stack.integration_stub.AdvanceIntegration(again, timeout=10)
        watcher = Watcher(stack)
        watcher.tokens.append(Revision("progress", written.epoch, 5).encode())
        await watcher.start()
        step = await stack.integration_stub.AdvanceIntegration(new, timeout=10)
        asked = status_service_pb2.GetCompletionRequest(
            at_least=[step.revision], as_of=date_pb2.PartialDate(year=2022, month=12, day=31)
        )
        total = (await stack.status_stub.GetCompletion(asked, timeout=10)).total
        progress = await progress_events(stack)
        await watcher.has_seen(progress[-1])
        await watcher.stop()
        after = await integration_events(stack)

    assert {service.name: (service.display_name, service.alias) for service in listed.services} == NAMES
    # Five made, one described anew, then its check, its link and this.
    assert repeated.revision == Revision("integration", before[0].epoch, 9).encode()
    assert [event.sequence for event in after] == list(range(1, len(before) + 2))
    assert after[:-1] == before
    assert_chained(after)
    assert (total.planned, total.listed, total.completed, total.blocked, total.withdrawn) == (6, 5, 1, 1, 1)
    assert (total.in_progress, total.not_reported, total.uncertain, total.suspended) == (2, 2, 0, 0)
    assert (progress[0].epoch, progress[-1].sequence) == (written.epoch, written.sequence + 1)
    assert [event.sequence for event in watcher.seen] == list(range(6, written.sequence + 2))
    assert watcher.endings == []
