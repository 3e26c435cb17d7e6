"""The client: raw bytes in, raw bytes out, so that it costs as little as a Python client can.

Invariant: a round sends every request it was given, and counts only answers with status OK.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

import grpc.aio

SERVER_CORE, CLIENT_CORE = 0, 1


def pin(process_id: int, core: int) -> None:
    """Keep a process on one core, where the machine has it."""
    if core in os.sched_getaffinity(0) | {SERVER_CORE, CLIENT_CORE} and (os.cpu_count() or 1) > core:
        os.sched_setaffinity(process_id, {core})


async def rate(call: Any, requests: Sequence[bytes], at_once: int) -> float:
    """Send the requests, `at_once` in flight; give answers a second."""
    waiting = iter(requests)

    async def worker() -> None:
        for request in waiting:
            await call(request, timeout=30)

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return len(requests) / (time.perf_counter() - begun)


def method(channel: grpc.aio.Channel, name: str) -> Any:
    """Give a method that takes and gives bytes."""
    return channel.unary_unary(name)


def middle(figures: Sequence[float]) -> str:
    """Show median and range."""
    return f"{statistics.median(figures):,.0f} [{min(figures):,.0f}-{max(figures):,.0f}]"


def ratio(figures: Sequence[float], floor: Sequence[float]) -> float:
    """Give the ratio of the medians."""
    return statistics.median(figures) / statistics.median(floor)
