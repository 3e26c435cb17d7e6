"""What holds for every test: it ends in time, and a slow machine is no fault of a property."""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

from tests.support.limits import Limits

settings.register_profile("tiendo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tiendo")


def pytest_configure(config: pytest.Config) -> None:
    """Bound the time of each test."""
    config.pluginmanager.register(Limits())


def pytest_xdist_auto_num_workers() -> int:
    """Run more tests at once than there are cores, for they wait for processes half of their time."""
    cores = os.cpu_count() or 1
    return cores + (cores + 1) // 2


def pytest_collection_finish() -> None:
    """Look for garbage among what the tests make, not among the code and the thousands of tests that were read."""
    gc.collect()
    gc.freeze()
