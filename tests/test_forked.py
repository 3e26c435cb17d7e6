"""A process forked for a test is one as any other: what ends it, what it prints and what it is told are its own."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.forked import Forked, run

Start = Callable[..., Forked]

TELL = """
import os, sys
print(os.getpid(), os.getsid(0), os.getcwd(), sys.argv[1:], dict(os.environ))
print("in the end", file=sys.stderr)
print("services.status.app" in sys.modules, len(os.listdir("/proc/self/task")))
"""
WAIT = "import time; print('begun', flush=True); time.sleep(60)"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a module with this text."""

    def start(text: str, *arguments: str, **environ: str) -> Forked:
        (tmp_path / "module_of_test.py").write_text(text)
        return Forked(["module_of_test", *arguments], env=environ, log=tmp_path / "log")

    monkeypatch.syspath_prepend(str(tmp_path))
    return start


def test_it_has_its_own_session_words_and_environment(start: Start, tmp_path: Path) -> None:
    """It finds what it was given and nothing else, and has the code in memory with nothing begun."""
    process = start(TELL, "one", "two", TIENDO_X="1")
    assert process.wait(timeout=20) == 0
    told = (tmp_path / "log").read_text().splitlines()
    environ = "{'TIENDO_X': '1'}"

    assert sorted(told) == sorted(
        [f"{process.pid} {process.pid} {Path.cwd()} ['one', 'two'] {environ}", "in the end", "True 1"]
    )
    assert process.pid != os.getpid()


@pytest.mark.parametrize(
    ("text", "code", "last"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('what to mend')", 1, "what to mend"),
        ("raise ValueError('x')", 1, "ValueError: x"),
        ("import os; os._exit(2)", 2, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
    ],
)
def test_its_end_is_told(start: Start, tmp_path: Path, text: str, code: int, last: str) -> None:
    """Its exit code, or the signal that killed it, is what any process would give; its last words are in the log."""
    assert start(text).wait(timeout=20) == code
    assert (tmp_path / "log").read_text().strip().endswith(last)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -15), (signal.SIGKILL, -9), (signal.SIGINT, 1)])
def test_a_signal_reaches_it(start: Start, tmp_path: Path, number: int, code: int) -> None:
    """It runs until it is ended; a signal ends it as it would end any other."""
    log = tmp_path / "log"
    process = start(WAIT)
    while not log.exists() or not log.read_text():
        assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.01)

    process.send_signal(number)

    assert process.wait(timeout=20) == code
    process.kill()


def test_a_short_one_is_run_to_its_end(start: Start) -> None:
    """What it printed and what it complained of come apart, with its exit code; one that takes too long is ended."""
    start("import sys; print('said'); print('complained', file=sys.stderr); sys.exit(4)").wait()
    done = run("module_of_test", env={})
    start(WAIT).kill()

    assert (done.returncode, done.stdout, done.stderr) == (4, "said\n", "complained\n")
    with pytest.raises(subprocess.TimeoutExpired):
        run("module_of_test", env={}, timeout=0.1)
