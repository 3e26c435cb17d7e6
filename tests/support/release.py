"""`python -m tests.support.release FOLDER`: a small installation's data in the newest schemas, to be kept with a release.

Every kind of row is among it. What is written there is never made again: it is what a released version has really written.
Run it when a schema is released that the folders of `tests/released` do not have yet.
"""

import asyncio
import shutil
import sqlite3
import sys
import zipfile
from pathlib import Path
from typing import Any

from tests.support.stack import SERVICES, Stack, running_stack
from tiendo.catalog.v1 import catalog_service_pb2 as catalog_pb
from tiendo.catalog.v1 import programme_pb2, service_pb2
from tiendo.common.v1 import date_pb2, provenance_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.integration.v1 import integration_service_pb2 as integration_pb
from tiendo.status.v1 import status_service_pb2 as status_pb

PROGRAMME = "programmes/bca-2022"
NAMES = {1: "Đăng ký thường trú", 2: "Khai báo tạm vắng", 3: "", 4: "Thông báo lưu trú", 5: ""}
_SECONDS = 15


def day(year: int, month: int = 0, number: int = 0, *, at_latest: bool = False) -> date_pb2.EffectiveDate:
    """An effective date."""
    return date_pb2.EffectiveDate(
        date=date_pb2.PartialDate(year=year, month=month, day=number),
        at_latest=at_latest,
    )


async def write_catalog(stack: Stack) -> str:
    """Five services, two of them slots, one renamed, one retired; give the last revision."""
    stub = stack.catalog_stub
    programme = programme_pb2.Programme(display_name="Đề án 2022", planned_count=6)
    await stub.CreateProgramme(
        catalog_pb.CreateProgrammeRequest(programme_id="bca-2022", programme=programme, request_id="release/programme"),
        timeout=_SECONDS,
    )
    for number, name in NAMES.items():
        service = service_pb2.Service(
            display_name=name, memberships=[service_pb2.Membership(programme=PROGRAMME, plan_number=number)]
        )
        request = catalog_pb.CreateServiceRequest(
            service_id=f"bca-{number:03}", service=service, request_id=f"release/service/{number}"
        )
        reply: Any = await stub.CreateService(request, timeout=_SECONDS)
    renamed = service_pb2.Service(
        name="services/bca-002",
        display_name="Khai báo tạm vắng, tạm trú",
        field="Cư trú",
        procedure_codes=[service_pb2.ProcedureCode(code="1.003290")],
    )
    await stub.UpdateService(catalog_pb.UpdateServiceRequest(service=renamed), timeout=_SECONDS)
    retired = catalog_pb.RetireServiceRequest(
        name="services/bca-004", date=date_pb2.PartialDate(year=2022, month=11), reason="Thủ tục đã bãi bỏ"
    )
    reply = await stub.RetireService(retired, timeout=_SECONDS)
    return str(reply.revision)


async def write_integration(stack: Stack, at_least: str) -> str:
    """One service complete by a month, one corrected, one blocked, one withdrawn, checks and links; give the last revision."""
    stub = stack.integration_stub
    evidence = [provenance_pb2.Evidence(note="số văn bản 12/BC")]
    first, second, third, fourth = (f"integrations/bca-{number:03}" for number in (1, 2, 3, 4))
    checks: dict[str, Any] = {"check": integration_pb2.CHECK_PAYMENT, "state": integration_pb2.CHECK_STATE_PASSED}
    links: dict[str, Any] = {"portal": integration_pb2.PORTAL_MINISTRY, "uri": "https://example.test/dich-vu/1"}
    advance, integrated = integration_pb.AdvanceIntegrationRequest, integration_pb2.STAGE_INTEGRATED
    built = integration_pb2.STAGE_BUILT
    requests: list[tuple[str, Any]] = [
        ("SetConnectionCheck", integration_pb.SetConnectionCheckRequest(name=first, date=day(2022, 8), **checks)),
        ("SetPortalLink", integration_pb.SetPortalLinkRequest(name=first, **links)),
        (
            "AdvanceIntegration",
            advance(name=first, stage=integrated, effective_date=day(2022, 9, at_latest=True), evidence=evidence),
        ),
        ("AdvanceIntegration", advance(name=second, stage=integrated, effective_date=day(2022, 10, 5))),
        (
            "CorrectTransition",
            integration_pb.CorrectTransitionRequest(name=second, annul=True, reason="ghi nhầm dịch vụ"),
        ),
        ("AdvanceIntegration", advance(name=third, stage=built, effective_date=day(2022, 10))),
        (
            "BlockIntegration",
            integration_pb.BlockIntegrationRequest(name=third, effective_date=day(2022, 11, 1), reason="chờ kết nối"),
        ),
        (
            "WithdrawIntegration",
            integration_pb.WithdrawIntegrationRequest(name=fourth, effective_date=day(2022, 11), reason="bãi bỏ"),
        ),
    ]
    # Last, so that the steps have the numbers that they had before there were portal checks. No such name exists.
    requests.append(("CheckPortal", integration_pb.CheckPortalRequest(name=first)))
    for number, (verb, request) in enumerate(requests, 1):
        request.request_id = f"release/step/{number}"
        request.at_least.append(at_least)
        reply = await getattr(stub, verb)(request, timeout=_SECONDS)
    return str(reply.revision)


async def write_history(stack: Stack) -> None:
    """Write all of it, and return once status counts it."""
    catalog = await write_catalog(stack)
    integration = await write_integration(stack, catalog)
    request = status_pb.GetCompletionRequest(at_least=[catalog, integration])
    await stack.status_stub.GetCompletion(request, timeout=_SECONDS)


def put_letters_aside(folder: Path) -> None:
    """Add what only a version of the future causes: rows that could not be read."""
    epoch = "fedcba9876543210"
    with sqlite3.connect(folder / "integration.db") as connection:
        letter = ("catalog", epoch, 3, b"\xff\xfe", "DecodeError: of a newer version")
        connection.execute("INSERT INTO dead_letter VALUES (?, ?, ?, ?, ?)", letter)
    with sqlite3.connect(folder / "status.db") as connection:
        connection.execute("INSERT INTO dead_letter VALUES (?, ?, ?, ?)", ("integration", 900, b"\x00", "DecodeError"))


async def main(target: Path) -> None:
    """Make the data, and unpack its back-up into the folder."""
    async with running_stack() as stack:
        await write_history(stack)
        rebuilt = await asyncio.to_thread(stack.run, "services.status", "rebuild")
        assert rebuilt.returncode == 0, rebuilt.stderr
        put_letters_aside(stack.folder)
        file = stack.folder / "back-up"
        for service in reversed(SERVICES):
            done = await asyncio.to_thread(stack.run, f"services.{service}", "backup", str(file))
            assert done.returncode == 0, done.stdout + done.stderr
        shutil.rmtree(target, ignore_errors=True)
        with zipfile.ZipFile(file) as archive:
            archive.extractall(target)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
