"""A test that hangs fails in time, and the suite goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONFTEST = """
from tests.support.limits import Limits


def pytest_configure(config):
    config.pluginmanager.register(Limits(1, 1))
"""
WELL = """

def test_well():
    pass
"""
HANGS = {
    "a call that never returns": """
import threading


def test_hangs():
    threading.Event().wait()
""",
    "a task that cannot be cancelled": """
import asyncio


async def test_hangs():
    async def deaf():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

    await asyncio.create_task(deaf())
""",
    "a process that does not end": """
import subprocess
import sys


def test_hangs():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        process.wait()
    finally:
        process.kill()
""",
    "what prepares a test": """
import pytest
import time


@pytest.fixture
def slow():
    time.sleep(60)


def test_hangs(slow):
    pass
""",
}


@pytest.mark.parametrize("kind", HANGS)
def test_a_hanging_test_fails_and_the_next_one_runs(tmp_path: Path, kind: str) -> None:
    """Whatever it hangs in, it is ended after its time with the place it hung at; the tests after it run."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_hanging.py").write_text(HANGS[kind] + WELL)
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "-o", "asyncio_mode=auto", "-v", str(tmp_path)]
    done = subprocess.run(
        [*command, "-c", "/dev/null", "--rootdir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert done.returncode == 1
    assert "test_hangs" in done.stdout
    assert "not done after 1 s" in done.stdout
    assert "test_well PASSED" in done.stdout
