"""The engines that every contract is held to: each test that takes one of these runs once on each."""

from pathlib import Path

import pytest

from tests.support.databases import ENGINES, migrated_database
from tests.support.transfers import Databases


@pytest.fixture(params=ENGINES)
def kind(request: pytest.FixtureRequest) -> str:
    """An engine."""
    return str(request.param)


@pytest.fixture
def catalog_database(kind: str, tmp_path: Path) -> str:
    """The URL of an empty catalog."""
    return migrated_database(kind, "catalog", tmp_path)


@pytest.fixture
def integration_database(kind: str, tmp_path: Path) -> str:
    """The URL of an empty integration database."""
    return migrated_database(kind, "integration", tmp_path)


@pytest.fixture
def status_database(kind: str, tmp_path: Path) -> str:
    """The URL of an empty status database."""
    return migrated_database(kind, "status", tmp_path)


@pytest.fixture
def databases(tmp_path: Path) -> Databases:
    """None yet."""
    return Databases(tmp_path)
