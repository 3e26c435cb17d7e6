"""The parts live and die with the command that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.cli.children import Children
from tests.support.up import gone

_SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


def wait_for(condition: object, seconds: float = 10.0) -> bool:
    """Look until it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.01)
    return False


def test_all_are_stopped_in_order(tmp_path: Path) -> None:
    """The parts are told one after the other, and all are gone."""
    children = Children(tmp_path, os.environ)
    started = [children.start(name, _SLEEPER) for name in ("nats", "catalog", "status")]
    children.stop(("status", "catalog", "nats"))

    assert [child.process.poll() for child in started] == [-signal.SIGTERM] * 3


def test_one_that_ends_is_noticed_with_its_last_lines(tmp_path: Path) -> None:
    """A part that ended by itself is named, and its log says why."""
    children = Children(tmp_path, os.environ)
    children.start("catalog", _SLEEPER)
    broken = children.start("status", [sys.executable, "-c", "print('no room'); raise SystemExit(1)"])
    broken.process.wait(timeout=10)

    ended = children.ended()
    children.stop(())

    assert ended is broken
    assert broken.last_lines() == ["no room"]


def test_log_of_the_start_before_is_kept(tmp_path: Path) -> None:
    """A new start begins a new log and keeps the one before."""
    children = Children(tmp_path, os.environ)
    for text in ("first", "second"):
        children.start("catalog", [sys.executable, "-c", f"print('{text}')"]).process.wait(timeout=10)
    children.stop(())

    assert (tmp_path / "catalog.log").read_text() == "second\n"
    assert (tmp_path / "catalog.log.1").read_text() == "first\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's end")
def test_none_outlives_a_killed_parent(tmp_path: Path) -> None:
    """Kill -9 of the command leaves no part behind."""
    program = (
        "import os, sys, time; from pathlib import Path; from services.cli.children import Children;"
        f"c = Children(Path({str(tmp_path)!r}), os.environ).start('catalog', {_SLEEPER!r});"
        "print(c.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()

    assert wait_for(lambda: gone(child))
