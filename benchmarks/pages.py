"""Measures the pages at the server: each after a change, and asked for again. `python -m benchmarks.pages [SERVICES]`.

Invariant: nothing here is asserted; what is measured is the time in the application, without a network: in brackets that
of the processor, which other work on the machine does not lengthen.
"""

import asyncio
import logging
import statistics
import sys
import time
from datetime import UTC, datetime

import httpx
import structlog

from services.common.dates import EffectiveDate, PartialDate
from services.common.durations import RequestDurations
from services.common.journal import Head
from services.common.snapshot import Live, Reached
from services.status.config import StatusSettings
from services.status.domain import Programme, ProgrammeVersion, ServiceHistory, ServiceVersion, Stage, Step, StepKind
from services.status.projection import Origin, ReadModel, StepRecorded, apply
from services.status.report import Desk as Reports
from services.status.storage import State
from services.status.watch import Watches
from services.status.web import Desk, build_app

PLAN = "bca-2022"
ROUNDS = 5
Times = tuple[float, float]
"""Milliseconds that passed, and those that the processor worked."""
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
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    now = datetime.now(UTC)
    histories = {each.id: each for each in (history(number, now) for number in range(1, services + 1))}
    version = ProgrammeVersion(now, "Đề án", "", services, PartialDate(2022), PartialDate(2022))
    programmes = {PLAN: Programme(PLAN, (version,))}

    def after(state: State) -> State:
        """One service more has reached its goal."""
        sequence = state.head.sequence + 1
        effective = EffectiveDate(PartialDate(2022, 9, 28))
        step = Step(1, now, StepKind.ADVANCED, effective, stage=Stage.INTEGRATED)
        fact = StepRecorded(Origin("integration", "epoch", sequence, now), f"s-{20 * sequence + 1}", step)
        return State(Head("epoch", sequence, "", now), apply(state.model, fact))

    first_state = State(Head("epoch", 1, "", now), ReadModel(programmes, histories))
    live, stopping = Live(first_state, "progress", Reached()), asyncio.Event()
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
    transport = httpx.ASGITransport(build_app(desk, RequestDurations()))
    async with httpx.AsyncClient(transport=transport, base_url="http://pages") as client:

        async def ask(path: str) -> Times:
            begun, worked = time.perf_counter(), time.process_time()
            answer = await client.get(path)
            assert answer.status_code == 200, path
            return 1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - worked)

        for path in PATHS:
            first = await ask(path)
            changed: list[Times] = []
            again: list[Times] = []
            for _ in range(ROUNDS):
                live.advance(after(live.current), [])
                changed.append(await ask(path))
                again.append(await ask(path))
            print(f"{path:<22} first {shown([first])}   after a change {shown(changed)}   again {shown(again)}")


def shown(times: list[Times]) -> str:
    """Give the medians."""
    passed, worked = (statistics.median(each) for each in zip(*times, strict=True))
    return f"{passed:7.1f} ms ({worked:6.1f})"


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 227))
