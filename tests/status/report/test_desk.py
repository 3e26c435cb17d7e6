"""Few reports are made at a time, and none that nobody waits for."""

import asyncio
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.common.words import Lang
from services.status.domain import ServiceHistory
from services.status.report import AbandonedError, Desk, Format, make
from services.status.storage import State
from services.status.usecases import Question
from tests.support.reports import TODAY, seeded

QUESTION = Question("bca-2022")


class Gated(dict[str, ServiceHistory]):
    """Services that can be looked at once the gate is open; counts who stands before it."""

    def __init__(self, services: Any) -> None:
        super().__init__(services)
        self.gate, self.waiting, self._lock = threading.Event(), 0, threading.Lock()

    def values(self) -> Any:
        """Wait for the gate."""
        with self._lock:
            self.waiting += 1
        self.gate.wait(20)
        with self._lock:
            self.waiting -= 1
        return super().values()


def left_in(folder: Path) -> list[str]:
    """Name what is in a folder."""
    return [entry.name for entry in folder.iterdir()]


def gated() -> tuple[State, Gated]:
    """The real programme behind a gate."""
    state = seeded()
    services = Gated(state.model.services)
    return replace(state, model=replace(state.model, services=services)), services


async def size(desk: Desk, state: State, kind: Format = Format.CSV) -> int:
    """Have a report made; give its size."""
    async with desk.file(state, QUESTION, kind, Lang.VI, today=TODAY) as made:
        return made.size_bytes


async def until_waiting(services: Gated, number: int) -> None:
    """Return once so many stand before the gate, and whoever else may come has had the time to."""
    async with asyncio.timeout(20):
        while services.waiting < number:
            await asyncio.to_thread(lambda: None)
    for _ in range(50):
        await asyncio.to_thread(lambda: None)


async def test_two_at_a_time_and_the_others_wait() -> None:
    """Of four reports asked for at once two are begun, and all four are made."""
    state, services = gated()
    desk = Desk()
    asked = [asyncio.create_task(size(desk, state)) for _ in range(4)]

    await until_waiting(services, 2)
    begun = services.waiting
    services.gate.set()
    sizes = await asyncio.gather(*asked)

    assert begun == 2
    assert len(set(sizes)) == 1


async def test_a_report_nobody_waits_for_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place is free for the next, and nothing of it is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    state, services = gated()
    desk = Desk(1)
    left = asyncio.create_task(size(desk, state, Format.XLSX))
    await until_waiting(services, 1)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    next_one = asyncio.create_task(size(desk, state))
    await until_waiting(services, 1)
    still_one = services.waiting

    services.gate.set()

    assert await next_one > 1000
    assert still_one == 1
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("kind", [Format.XLSX, Format.CSV])
def test_making_stops_half_way(kind: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once nobody waits the rows that are left are not written, and no file stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with pytest.raises(AbandonedError):
        make(seeded(), QUESTION, kind, Lang.VI, today=TODAY, halted=lambda: True)

    assert left_in(tmp_path) == []
