"""Measures the pages at the server: each after a change, and asked for again. `python -m benchmarks.pages [SERVICES]`.

Invariant: nothing here is asserted; what is measured is the time in the application, without a network.
"""

import asyncio
import statistics
import sys
import time
from datetime import UTC, datetime

import httpx

from services.common.dates import EffectiveDate, PartialDate
from services.common.journal import Head
from services.common.snapshot import Live, Reached
from services.status.config import StatusSettings
from services.status.domain import Programme, ProgrammeVersion, ServiceHistory, ServiceVersion, Stage, Step, StepKind
from services.status.projection import ReadModel
from services.status.report import Desk as Reports
from services.status.storage import State
from services.status.watch import Watches
from services.status.web import Desk, build_app

PLAN = "bca-2022"
ROUNDS = 5
PATHS = ("/", "/services", "/services?q=ho+chieu", "/services?sort=name", "/services/s-1", "/attention")


def history(number: int, now: datetime) -> ServiceHistory:
    """A service; one of twenty has something reported."""
    name = f"Đăng ký dịch vụ công số {number} về cư trú và hộ chiếu" if number % 3 else ""
    memberships = ((PLAN, number),)
    version = ServiceVersion(now, f"dich-vu-{number}", name, f"Lĩnh vực {number % 40}", memberships=memberships)
    effective = EffectiveDate(PartialDate(2022, 1 + number % 9, 1 + number % 28))
    step = Step(1, now, StepKind.ADVANCED, effective, stage=Stage.INTEGRATED)
    return ServiceHistory(f"s-{number}", (version,), () if number % 20 else (step,))


async def main(services: int) -> None:
    """Ask for each page after each of some changes, and again."""
    now = datetime.now(UTC)
    histories = {each.id: each for each in (history(number, now) for number in range(1, services + 1))}
    version = ProgrammeVersion(now, "Đề án", "", services, PartialDate(2022), PartialDate(2022))
    programmes = {PLAN: Programme(PLAN, (version,))}

    def state(sequence: int) -> State:
        histories["s-1"] = history(1, now)
        return State(Head("epoch", sequence, "", now), ReadModel(programmes, dict(histories)))

    live, stopping = Live(state(1), "progress", Reached()), asyncio.Event()
    desk = Desk(
        live=live,
        watches=Watches(live, None, stopping, bookmark_seconds=15, longest_seconds=60),  # type: ignore[arg-type]
        find_progress=lambda *_: (),
        feeds={},
        clock=lambda: now,
        default_programme=PLAN,
        stopping=stopping,
        allowed_days=StatusSettings().allowed_days,
        reports=Reports(),
    )
    transport = httpx.ASGITransport(build_app(desk))
    async with httpx.AsyncClient(transport=transport, base_url="http://pages") as client:

        async def ask(path: str) -> float:
            begun = time.perf_counter()
            answer = await client.get(path)
            assert answer.status_code == 200, path
            return 1000 * (time.perf_counter() - begun)

        for path in PATHS:
            first = await ask(path)
            changed: list[float] = []
            again: list[float] = []
            for _ in range(ROUNDS):
                live.advance(state(live.current.head.sequence + 1), [])
                changed.append(await ask(path))
                again.append(await ask(path))
            print(
                f"{path:<24} first {first:8.1f} ms   after a change {statistics.median(changed):8.1f} ms"
                f"   again {statistics.median(again):6.1f} ms"
            )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 227))
