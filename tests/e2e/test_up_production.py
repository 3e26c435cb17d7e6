"""`tiendo up --engine production`: what anybody sees of the production shape on one machine."""

import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.ports import free_port
from tests.support.up import Up, gone

pytestmark = pytest.mark.e2e

SEED_LINE = "11 / 227 completed (4.85 %), 216 not reported, as of 09/2022"
STEP = ("--to", "BUILT", "--date", "05/10/2022", "--lang", "en")


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running one, ended after the module."""
    started = Up(tmp_path_factory.mktemp("up"), "--engine", "production")
    started.environ["TIENDO_NATS_URL"] = ",".join(f"nats://127.0.0.1:{free_port()}" for _ in range(3))
    started.start()
    yield started
    if started.process and started.process.poll() is None:
        started.stop()


def count(up: Up, text: str) -> int:
    """How many of its parts have this in their command line."""
    return sum(text in command for command in up.parts().values())


def part(up: Up, text: str) -> int:
    """One of its parts, by what is in its command line."""
    return next(pid for pid, command in up.parts().items() if text in command)


def wait_for_count(up: Up, text: str, wanted: int) -> None:
    """Return once it has so many of these parts."""
    deadline = time.monotonic() + 30
    while count(up, text) != wanted:
        assert time.monotonic() < deadline, up.parts()
        time.sleep(0.05)


def test_everything_runs_and_the_commands_find_it(up: Up) -> None:
    """Three brokers, PostgreSQL and two of each service; doctor finds all well, and a step is counted."""
    for service in ("catalog", "integration", "status"):
        wait_for_count(up, f"services.{service}", 2)
    doctor = up.tiendo("doctor", "--lang", "en")
    advanced = up.tiendo("integration", "advance", "bca-012", *STEP)
    status = up.tiendo("status", "--lang", "en")

    panel = "\n".join(up.lines)
    assert SEED_LINE in panel
    assert "As in production: PostgreSQL · 3 NATS servers · 2 of each service" in panel
    assert (count(up, "nats-server"), count(up, "postgres -D")) == (3, 1)
    assert doctor.returncode == 0, doctor.stdout
    assert doctor.stdout.count("/metrics") == 6
    assert advanced.returncode == 0, advanced.stderr
    assert "Not reported 215" in " ".join(status.stdout.split())


def test_its_data_is_its_own(up: Up) -> None:
    """All its data is in a folder of its own; the embedded databases are neither there nor made."""
    folder = up.folder / ".tiendo"
    found = {file.name for file in folder.iterdir()}

    assert {"nats-1", "nats-2", "nats-3", "postgres", "logs"} <= {
        file.name for file in (folder / "production").iterdir()
    }
    assert found == {"production", "prometheus.json", "up.json", "up.lock"}


def test_commands_that_open_databases_open_the_right_ones(up: Up) -> None:
    """`migrate` and `status rebuild` in a second terminal work on what runs, not on the embedded databases."""
    migrated = up.tiendo("migrate", "--json")
    rebuilt = up.tiendo("status", "rebuild", "--lang", "en")

    assert migrated.returncode == 0, migrated.stderr
    assert migrated.stdout.count("nothing to do") == 3
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "catalog up to row 228" in rebuilt.stdout
    assert not list((up.folder / ".tiendo").glob("*.db"))


@pytest.mark.parametrize(
    ("command", "name", "number"), [("services.status", "status-", 2), ("postgres -D", "postgres", 1)]
)
def test_a_part_that_crashes_is_started_again(up: Up, command: str, name: str, number: int) -> None:
    """A part killed -9 is named, started again, and everything is well again within seconds."""
    killed = part(up, command)
    os.kill(killed, signal.SIGKILL)
    up.read_on("ended by itself and is started again")
    wait_for_count(up, command, number)
    # A service looks at its database every few seconds, so one answer may still be from before the kill.
    deadline, well = time.monotonic() + 20, 0
    while well < 2 and time.monotonic() < deadline:
        time.sleep(1)
        doctor = up.tiendo("doctor", "--lang", "en")
        well = 0 if doctor.returncode else well + 1

    assert name in up.lines[-1]
    assert killed not in up.parts()
    assert well == 2, doctor.stdout


def test_a_killed_one_leaves_nothing_and_the_next_goes_on(up: Up) -> None:
    """Kill -9 of the command ends all its parts; the next start shows what was recorded; Ctrl-C ends all of them too."""
    parts = up.parts()
    up.kill()
    deadline = time.monotonic() + 20
    while not all(map(gone, parts)) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [command for pid, command in parts.items() if not gone(pid)]
    up.start()
    shown = up.tiendo("integration", "history", "bca-012", "--lang", "en")
    parts = up.parts()
    code, words = up.stop()

    assert left == []
    assert "SELECTED → BUILT" in shown.stdout
    assert (code, "The data is kept in" in words) == (0, True)
    assert [command for pid, command in parts.items() if not gone(pid)] == []
    assert not (up.folder / ".tiendo" / "prometheus.json").exists()


def test_ports_that_are_taken_are_named(up: Up) -> None:
    """Another program on a broker's port stops the start, which names the port and what to set."""
    port = int(up.environ["TIENDO_NATS_URL"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        done = up.tiendo("up", "--engine", "production", "--lang", "en")

    assert done.returncode == 1
    assert f"Port {port} is taken by another program; stop it or set TIENDO_NATS_URL" in done.stderr
