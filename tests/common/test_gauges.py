"""The event loop's lag is seen while it lasts, kept for a while, and forgotten."""

import asyncio
import time

from services.common.gauges import LoopLag


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


async def looked_at(lag: LoopLag) -> asyncio.Task[None]:
    """Let it begin to look."""
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    return task


async def test_a_hold_up_is_seen_while_it_lasts() -> None:
    """Before the first look there is none; a look that is overdue counts from when it was due, whoever asks."""
    clock = Clock()
    lag = LoopLag(clock)
    at_first = lag.seconds()
    task = await looked_at(lag)
    readings = []
    for clock.now in (100.1, 100.25, 100.75, 103.25):
        readings.append(lag.seconds())
    task.cancel()

    assert at_first == 0
    assert readings == [0, 0, 0.5, 3]


async def test_the_worst_is_kept_for_half_a_minute_to_a_minute() -> None:
    """After it is over a hold-up is told for 30 to 60 s, then forgotten; a worse one takes its place."""
    clock = Clock()
    lag = LoopLag(clock)
    task = await looked_at(lag)
    task.cancel()
    readings = []
    for now, late in (
        (102.25, 2.0),
        (110.0, 0.5),
        (133.0, 0.0),
        (150.0, 0.1),
        (163.1, 0.0),
        (193.2, 0.0),
        (223.3, 0.0),
    ):
        clock.now = now
        lag._due = now - late
        lag.note()
        readings.append(round(lag.seconds(), 3))

    assert readings == [2.0, 2.0, 2.0, 2.0, 0.1, 0.0, 0.0]


async def test_a_blocked_loop_is_measured_for_real() -> None:
    """Half a second of blocking is at least 0.25 s of lag: what was due within it came late by the rest."""
    lag = LoopLag()
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0.01)
    time.sleep(0.6)  # noqa: ASYNC251 (the blocking that is to be seen)
    await asyncio.sleep(0.01)
    task.cancel()

    assert lag.seconds() > 0.25
