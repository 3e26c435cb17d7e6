"""The doctor finds what is not well and says what to do."""

import asyncio
import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from typer.testing import CliRunner

from services.cli import pages
from services.cli.doctor import Finding, _pages, source_findings
from services.cli.main import app
from services.cli.session import Session
from services.cli.streams import look
from services.common.config import Settings
from services.common.words import Lang
from tests.support.nats import running_nats
from tests.support.ports import free_port
from tiendo.status.v1 import freshness_pb2


@contextmanager
def old_broker() -> Iterator[str]:
    """A server that greets as an old nats-server does; gives its address."""
    server = socket.create_server(("127.0.0.1", 0))
    greeting = {"server_id": "x", "version": "2.9.25", "proto": 1, "max_payload": 1_048_576, "headers": True}

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"INFO " + json.dumps(greeting).encode() + b"\r\n")
                try:
                    while received := connection.recv(4096):
                        connection.sendall(b"PONG\r\n" * received.count(b"PING"))
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"nats://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(timeout=5)


def run_doctor(**settings: str) -> tuple[int, str]:
    """Run the doctor where no service is, unless told otherwise."""
    nowhere = f"127.0.0.1:{free_port()}"
    environ = {f"TIENDO_{name}_ADDRESS": nowhere for name in ("CATALOG", "INTEGRATION", "STATUS")}
    environ |= {"TIENDO_NATS_URL": f"nats://{nowhere}", "TIENDO_STATUS_WEB_PORT": "", "LC_ALL": "C", **settings}
    result = CliRunner().invoke(app, ["doctor"], env=environ)
    return result.exit_code, result.stdout


def source(**fields: object) -> freshness_pb2.SourceFreshness:
    """A source that is followed well, changed by `fields`."""
    values: dict[str, object] = {"source": "integration", "state": freshness_pb2.FOLLOW_STATE_CURRENT, **fields}
    return freshness_pb2.SourceFreshness(**values)  # type: ignore[arg-type]


def test_nothing_running_is_told_part_by_part() -> None:
    """Each part that is away has its line with the command that starts it."""
    code, said = run_doctor()

    assert code == 1
    assert "Start the NATS server: tiendo up" in said
    assert [line.split(": ")[-1] for line in said.splitlines()[-3:]] == [
        "tiendo serve catalog",
        "tiendo serve integration",
        "tiendo serve status",
    ]


def test_port_of_another_program_names_the_setting() -> None:
    """A program that listens there and is not ours is told apart from silence."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = run_doctor(TIENDO_STATUS_ADDRESS=f"127.0.0.1:{port}")

    assert code == 1
    assert f"port {port}" in said
    assert "taken by another program; stop it or set TIENDO_STATUS_PORT" in said


def test_port_of_the_pages_taken_names_its_setting() -> None:
    """Status does not start where its pages' port is another program's: the doctor says which setting helps."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = run_doctor(TIENDO_STATUS_WEB_PORT=str(port))

    assert code == 1
    assert f"port {port}" in said
    assert "taken by another program; stop it or set TIENDO_STATUS_WEB_PORT" in said


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("", "catalog: {database} has schema none, wanted 0001; run: tiendo migrate"),
        ("0002", "catalog: {database} has schema 0002, newer than this program (0001); install the newer version"),
        ("0001", ""),
    ],
)
def test_a_wrong_schema_names_the_database_both_numbers_and_the_remedy(
    tmp_path: Path, version: str, words: str
) -> None:
    """A service that is away because of its database is told apart from one that was not started."""
    file = tmp_path / "catalog.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.executemany("INSERT INTO alembic_version VALUES (?)", [(version,)] if version else [])
    code, said = run_doctor(TIENDO_DATA_DIR=str(tmp_path))

    told = [line for line in said.splitlines() if line.startswith("FAIL  databases")]
    assert code == 1
    assert [line.removeprefix("FAIL  databases    ") for line in told] == (
        [words.format(database=f"sqlite:///{file}")] if words else []
    )
    assert [file.name for file in tmp_path.glob("*.db")] == ["catalog.db"]


def test_a_database_that_does_not_answer_names_its_setting() -> None:
    """The database of a service that is away may be away itself."""
    code, said = run_doctor(TIENDO_STATUS_DATABASE_URL=f"postgresql://u:secret@127.0.0.1:{free_port()}/x")

    assert code == 1
    assert "status: the database does not answer; start it or mend TIENDO_STATUS_DATABASE_URL" in said
    assert "secret" not in said


def test_old_broker_names_both_versions() -> None:
    """An old server is found and told to be upgraded."""
    with old_broker() as url:
        code, said = run_doctor(TIENDO_NATS_URL=url)

    assert code == 1
    assert "nats-server 2.9.25, wanted 2.14 or newer; upgrade it" in said


@pytest.mark.parametrize("address", ["nats://127.0.0.1:abc", "nats://127.0.0.1:99999"])
def test_an_address_that_is_none_is_a_finding(address: str) -> None:
    """A broker's address that leads nowhere is told as one that does not answer, and no fault of doctor's own."""
    code, said = run_doctor(TIENDO_NATS_URL=address)

    assert code == 1
    assert f"{address} does not answer" in said


async def test_a_broker_is_found_by_every_way_to_write_its_address() -> None:
    """Without its scheme, and as the second of two, it is there all the same."""
    async with running_nats() as server:
        await asyncio.to_thread(look, server.url, make=True)
        bare = server.url.removeprefix("nats://")
        for address in (bare, f"nats://127.0.0.1:{free_port()}, {server.url}"):
            _, said = await asyncio.to_thread(run_doctor, TIENDO_NATS_URL=address)
            assert "3 streams" in said


async def test_missing_streams_are_found_and_made() -> None:
    """A broker without streams is told of; making them twice changes nothing."""
    async with running_nats() as server:
        before = await asyncio.to_thread(look, server.url, make=False)
        made = await asyncio.to_thread(look, server.url, make=True)
        again = await asyncio.to_thread(look, server.url, make=True)
        code, said = await asyncio.to_thread(run_doctor, TIENDO_NATS_URL=server.url)

    names = ["TIENDO_CATALOG", "TIENDO_INTEGRATION", "TIENDO_PROGRESS"]
    assert before.streams == dict.fromkeys(names, "missing")
    assert made.streams == dict.fromkeys(names, "made")
    assert again.streams == dict.fromkeys(names, "present")
    assert code == 1
    assert "3 streams" in said


def test_mistyped_setting_is_a_fail() -> None:
    """The doctor finds what would stop a start."""
    code, said = run_doctor(TIENDO_DATA_DIRR="x")

    assert code == 1
    assert said.startswith("FAIL  settings")
    assert "did you mean TIENDO_DATA_DIR?" in said


def test_a_page_that_does_not_answer_names_its_setting(tmp_path: Path) -> None:
    """A service that answers and whose page does not is a warning with the fix; of one that is away nothing is added."""
    pages.write(tmp_path, "127.0.0.1", {"catalog": free_port(), "status": free_port()})
    session, settings = Session(Lang.EN, False, ""), Settings(data_dir=tmp_path)
    (finding,) = _pages(session, settings, ["catalog"])

    assert (finding.level, finding.subject) == ("warn", "metrics")
    assert finding.text.endswith("does not answer; set TIENDO_CATALOG_METRICS_PORT and restart it")
    assert list(_pages(session, settings, [])) == []


def test_source_that_is_followed_well_is_no_finding() -> None:
    """Nothing is said of what is well."""
    assert list(source_findings(source(), Lang.EN)) == []


def test_lag_is_a_warning_that_asks_for_nothing() -> None:
    """A few seconds behind is told as what it is."""
    behind = source(state=freshness_pb2.FOLLOW_STATE_CATCHING_UP, lag_rows=12, lag=Duration(seconds=3))

    assert list(source_findings(behind, Lang.EN)) == [
        Finding("warn", "status", "12 rows behind integration for 3 s, catching up; nothing to do")
    ]


def test_lag_that_stays_is_a_fail() -> None:
    """Half a minute behind is not catching up."""
    stuck = source(state=freshness_pb2.FOLLOW_STATE_CATCHING_UP, lag_rows=12, lag=Duration(seconds=60))

    (finding,) = source_findings(stuck, Lang.EN)

    assert finding.level == "fail"
    assert finding.text.endswith("restart it: tiendo serve status")


def test_dead_letters_and_a_journal_gone_back_name_the_rebuild() -> None:
    """What only a rebuild mends says so with the exact command."""
    halted = source(state=freshness_pb2.FOLLOW_STATE_HALTED, dead_letters=2)

    findings = list(source_findings(halted, Lang.EN))

    assert [finding.level for finding in findings] == ["fail", "fail"]
    assert "the journal of integration went back" in findings[0].text
    assert "2 events of integration could not be read" in findings[1].text
    assert all(finding.text.endswith("tiendo status rebuild") for finding in findings)


def test_source_away_names_the_command_that_starts_it() -> None:
    """Status answers on with what it has, and says what is missing."""
    (finding,) = source_findings(source(state=freshness_pb2.FOLLOW_STATE_UNREACHABLE), Lang.EN)

    assert finding.text.endswith("tiendo serve integration")


def test_passwords_in_addresses_are_not_shown(tmp_path: Path) -> None:
    """Doctor and migrate name the broker that is away without the password in its address; migrate is not done: exit 3."""
    url = f"nats://operator:hunter2@127.0.0.1:{free_port()}"
    _, doctor = run_doctor(TIENDO_NATS_URL=url)
    environ = {"TIENDO_NATS_URL": url, "TIENDO_DATA_DIR": str(tmp_path)}
    migrated = CliRunner(env=environ).invoke(app, ["--lang", "en", "migrate"])

    assert "hunter2" not in doctor + migrated.output
    assert "nats://127.0.0.1" in doctor
    assert "nats://127.0.0.1" in migrated.output
    assert migrated.exit_code == 3
