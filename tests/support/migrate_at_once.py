"""`python -m tests.support.migrate_at_once URL COUNT`: so many processes migrate the catalog at the same moment.

Each prints its outcome on a line.
"""

import multiprocessing
import sys
from multiprocessing.synchronize import Barrier

from services.catalog.config import CatalogSettings
from services.catalog.storage import journal
from services.common.config import Settings
from services.common.db import open_engine
from services.common.migrations import migrate_service


def migrate_after(barrier: Barrier, url: str) -> None:
    """Wait for the others, then migrate."""
    barrier.wait()
    try:
        found, made = migrate_service("catalog", Settings(), CatalogSettings(database_url=url), journal)
        print(f"{found} {made}\n", end="", flush=True)
    except Exception as failure:  # noqa: BLE001 (whatever it is, it is what happened)
        print(f"{type(failure).__name__}: {failure}".splitlines()[0] + "\n", end="", flush=True)


def main(url: str, count: int) -> None:
    """Start them, and wait for all."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(count)
    # The driver is read once for all; nothing is connected.
    open_engine(url).dispose()
    processes = [context.Process(target=migrate_after, args=(barrier, url)) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
