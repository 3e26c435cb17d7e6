"""Rebuilding and attaching, with the whole running: the same figures from the journals alone."""

import asyncio
import sqlite3
from typing import Any

import pytest

from tests.support.stack import Stack, running_stack
from tiendo.status.v1 import freshness_pb2, status_service_pb2

pytestmark = [pytest.mark.e2e]

TABLES = ("followed", "checkpoint", "dead_letter", "journal")


def dump(stack: Stack) -> dict[str, list[Any]]:
    """Every row of status's read model and progress journal."""
    with sqlite3.connect(stack.folder / "status.db") as connection:
        return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES}


async def test_a_rebuild_gives_the_same_tables() -> None:
    """`status rebuild` from the journals alone gives the read model bit for bit, and leaves progress and tokens alone."""
    async with running_stack(seeded=True) as stack:
        before = dump(stack)
        answer = await stack.status_stub.GetCompletion(status_service_pb2.GetCompletionRequest(), timeout=5)

        done = await asyncio.to_thread(stack.run, "services.status", "rebuild")
        after = dump(stack)
        async with asyncio.timeout(15):
            while not await is_current(stack):
                await asyncio.sleep(0.05)
        again = await stack.status_stub.GetCompletion(status_service_pb2.GetCompletionRequest(), timeout=5)

        assert done.returncode == 0, done.stderr
        assert after == before
        assert (again.total, again.watch_token) == (answer.total, answer.watch_token)


async def is_current(stack: Stack) -> bool:
    """Whether status follows both sources to their heads."""
    answer = await stack.status_stub.GetFreshness(status_service_pb2.GetFreshnessRequest(), timeout=5)
    return all(source.state == freshness_pb2.FOLLOW_STATE_CURRENT for source in answer.sources)


async def test_attaching_the_same_catalog_adds_nothing() -> None:
    """`integration attach` on a catalog that was not replaced reads it all and changes nothing."""
    async with running_stack(seeded=True) as stack:
        done = await asyncio.to_thread(stack.run, "services.integration", "attach")

        assert done.returncode == 0, done.stderr
        assert "0 integrations made or described anew" in done.stdout
