"""A part that ends is started again, at once or after a pause that grows."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.children import Child, Children
from services.cli.restarts import Restarts

_SLEEPER = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"]


class Watched:
    """One part that is looked after, on a clock that the test moves; `told` are the ends that were told."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.told: list[str] = []
        self.children = Children(folder, os.environ)
        self.children.start("status-2", _SLEEPER)
        self.restarts = Restarts(self.children, lambda child: self.told.append(child.name), lambda: self.now)

    @property
    def running(self) -> list[Child]:
        """The parts that there are."""
        return self.children.running

    def crash(self) -> None:
        """Let the part end."""
        (child,) = self.running
        child.process.kill()
        child.process.wait()

    def look_after(self, seconds: float) -> bool:
        """Look again, so many seconds later; tell whether the part runs."""
        self.now += seconds
        self.restarts.look()
        return len(self.running) == 1


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A part, ended after the test."""
    made = Watched(tmp_path)
    yield made
    made.children.stop(())


def test_the_first_end_is_mended_at_once(watched: Watched) -> None:
    """A part that ends is told of and runs again, another process under the same name."""
    (before,) = watched.running
    watched.crash()

    assert watched.look_after(0)
    assert watched.told == ["status-2"]
    assert watched.running[0].name == "status-2"
    assert watched.running[0].process.pid != before.process.pid


def test_one_that_keeps_ending_waits_longer_and_longer(watched: Watched) -> None:
    """After the second end in a row it waits 1 s, after the third 2 s; each end is told."""
    watched.crash()
    watched.look_after(0)
    watched.crash()
    second = [watched.look_after(0), watched.look_after(0.9), watched.look_after(0.1)]
    watched.crash()
    third = [watched.look_after(0), watched.look_after(1.9), watched.look_after(0.1)]

    assert (second, third) == ([False, False, True], [False, False, True])
    assert watched.told == ["status-2"] * 3


def test_one_that_ran_long_is_mended_at_once_again(watched: Watched) -> None:
    """An end long after the one before counts as the first."""
    for _ in range(3):
        watched.crash()
        watched.look_after(0)
        watched.look_after(2)
    watched.now += 40
    watched.crash()

    assert watched.look_after(0)
