"""How long a test may take: one that hangs fails, says what it waited for, and lets the others go on."""

import asyncio
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

_AGAIN_SECONDS = 5  # it may have ended in something that swallows whatever comes


class Limits:
    """A plugin that bounds set-up, call and tear-down of each test.

    Those marked e2e, which start processes, may take longer, and those marked limit(seconds) as long as they say.
    """

    def __init__(self, seconds: float = 120, e2e_seconds: float = 300) -> None:
        self._seconds, self._e2e_seconds = seconds, e2e_seconds

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Bound what prepares a test."""
        with self._within(item):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Bound a test itself."""
        with self._within(item):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Bound what clears up after a test."""
        with self._within(item):
            return (yield)

    @contextmanager
    def _within(self, item: pytest.Item) -> Iterator[None]:
        own = item.get_closest_marker("limit")
        seconds = own.args[0] if own else self._e2e_seconds if item.get_closest_marker("e2e") else self._seconds

        def too_long(_number: int, _frame: FrameType | None) -> None:
            _show_tasks()
            pytest.fail(f"not done after {seconds:g} s")

        before = signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _show_tasks() -> None:
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return
    for task in tasks:
        task.print_stack(file=sys.stderr)
