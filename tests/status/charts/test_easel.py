"""Charts are drawn by a process of their own, which holds nobody up and leaves nothing behind."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio
from pypdf import PdfReader

from services.common.words import Lang
from services.status.charts import DrawingError, Easel, Format, Order
from services.status.domain import Interval
from tests.support.status_facts import TODAY, plan, seed
from tests.support.surveys import burn_up, forecast

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROWN, AHEAD = burn_up(plan(), seed(), TODAY, interval=Interval.MONTH), forecast(plan(), seed(), TODAY)
MOST_LAG_SECONDS = 0.4
"""Made on the loop, the first drawing alone would hold it up for half a second on an idle machine, longer on a busy one."""


def order(label: str = 'Tiến độ "<&>"', **look: Any) -> Order:
    """A chart of the real programme; by another label it is another one."""
    return Order(GROWN, AHEAD, Lang.VI, label, **look)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def easel() -> AsyncIterator[Easel]:
    """One process that draws."""
    drawn_by = Easel()
    yield drawn_by
    await drawn_by.close()


def is_gone(pid: int) -> bool:
    """Whether a process has ended, if perhaps nobody has asked how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


async def wait_gone(pid: int) -> None:
    """Return when a process has ended. Raises TimeoutError."""
    async with asyncio.timeout(10):
        while not is_gone(pid):
            await asyncio.sleep(0.02)


async def test_each_format_holds_the_words(easel: Easel) -> None:
    """SVG and PDF hold the words with all their accents, and what the chart shows as text; the PNG is a picture."""
    svg, png, pdf = [await easel.draw(order(format=kind)) for kind in Format]

    drawing = ET.fromstring(svg)
    words = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert {"chưa có báo cáo", "Mục tiêu 227", "11", "01/2022"} <= set(words)
    assert drawing.get("aria-label") == 'Tiến độ "<&>"'
    assert (drawing.get("width"), drawing.get("height")) == ("720", "300")
    assert png.startswith(b"\x89PNG")
    text = PdfReader(BytesIO(pdf)).pages[0].extract_text()
    assert "chưa có báo cáo" in text
    assert "Mục tiêu 227" in text


async def test_what_was_drawn_is_kept(easel: Easel) -> None:
    """The same chart is drawn once, however many ask for it, at once or later."""
    first, again = await asyncio.gather(easel.draw(order("a")), easel.draw(order("a")))
    assert first is again is await easel.draw(order("a"))


async def test_a_killed_process_is_replaced(easel: Easel) -> None:
    """The next chart comes after the process that draws was killed."""
    await easel.draw(order("b"))
    before = easel.pid
    assert before
    os.kill(before, signal.SIGKILL)

    assert (await easel.draw(order("c"))).startswith(b"<svg")
    assert easel.pid != before


async def test_what_cannot_be_drawn_is_told(easel: Easel) -> None:
    """An order that the process cannot draw is an error with a reason, and the same process draws the next."""
    wrong: Any = "xx"
    broken = replace(order("d"), lang=wrong)
    await easel.draw(order("e"))
    before = easel.pid

    with pytest.raises(DrawingError, match="KeyError"):
        await easel.draw(broken)
    assert (await easel.draw(order("f"))).startswith(b"<svg")
    assert easel.pid == before


async def test_nobody_waits_for_a_process_that_hangs(easel: Easel) -> None:
    """Who gives up a chart that does not come makes room: a process that works takes the place of the one that hangs."""
    await easel.draw(order("g"))
    hanging = easel.pid
    assert hanging
    os.kill(hanging, signal.SIGSTOP)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(easel.draw(order("h")), 0.3)
    assert (await easel.draw(order("h"))).startswith(b"<svg")
    await wait_gone(hanging)
    hasty = Easel(patience_seconds=0.001)
    with pytest.raises(DrawingError, match="within"):
        await hasty.draw(order("i"))
    await hasty.close()


async def test_the_loop_goes_on_while_a_chart_is_drawn() -> None:
    """From the start of the process to its end, the loop that watches are served on is not held up."""
    easel, lags = Easel(), [0.0]
    await easel.close()

    async def look() -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.005)
            lags.append(time.perf_counter() - begun - 0.005)

    looking = asyncio.create_task(look())
    for number in range(3):
        await easel.draw(order(f"j{number}"))
    pid = easel.pid
    await easel.close()
    looking.cancel()

    assert len(lags) > 50
    assert max(lags) < MOST_LAG_SECONDS
    assert pid
    assert is_gone(pid)


HOLDER = """
import asyncio, sys
from services.status import app
from services.status.charts import Easel
from tests.status.charts.test_easel import order

async def hold():
    easel = Easel()
    await easel.draw(order())
    print(easel.pid, *(name for name in ("altair", "vl_convert", "narwhals") if name in sys.modules), flush=True)
    await asyncio.sleep(60)

asyncio.run(hold())
"""


async def test_it_ends_with_a_service_that_is_killed() -> None:
    """After kill -9 of the service nothing that draws is left; and the service itself never imported the library."""
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, stdout=PIPE)
    try:
        assert holder.stdout
        pid, *imported = (await holder.stdout.readline()).decode().split()
        assert imported == []
        assert not is_gone(int(pid))
    finally:
        holder.kill()
        await holder.communicate()
    try:
        await wait_gone(int(pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
