"""The units for one host: systemd takes them, and they leave a service little that it could do to its host."""

import re
import shutil
from pathlib import Path

import pytest

from services.common.config import SERVICES
from tests.support.deployment import DEPLOY, check

UNITS = DEPLOY / "systemd"
NAMES = ["tiendo-nats.service", "tiendo-migrate.service", *(f"tiendo-serve@{service}.service" for service in SERVICES)]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root folder as the runbook lays it out."""
    root = tmp_path_factory.mktemp("host")
    units = root / "etc" / "systemd" / "system"
    shutil.copytree(UNITS, units)
    system = Path("/usr/lib/systemd/system")  # what ours refer to: network-online.target and the like
    if system.exists():
        shutil.copytree(system, root / "usr/lib/systemd/system", symlinks=True, ignore_dangling_symlinks=True)
    for program in ("opt/tiendo/bin/tiendo", "opt/tiendo/bin/nats-server", "bin/kill"):
        path = root / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return root


@pytest.mark.parametrize("name", ["tiendo.target", *NAMES])
def test_systemd_takes_it(host: Path, name: str) -> None:
    """systemd-analyze verify has no remark on the unit."""
    unit = host / "etc" / "systemd" / "system" / name
    done = check("systemd-analyze", "verify", f"--root={host}", "--man=no", unit)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_it_is_confined(host: Path, name: str) -> None:
    """Systemd rates the exposure of each at 1.5 of 10 or less."""
    done = check("systemd-analyze", "security", f"--root={host}", "--offline=yes", "--threshold=15", "--no-pager", name)

    assert done.returncode == 0, done.stdout[-300:]


def test_the_target_starts_all_of_it() -> None:
    """One target starts the broker, the migration and the three services."""
    wanted = set(
        re.findall(r"\S+\.service", " ".join(re.findall(r"(?m)^Wants=(.*)$", (UNITS / "tiendo.target").read_text())))
    )

    assert wanted == set(NAMES)


def test_the_users_are_made(tmp_path: Path) -> None:
    """systemd-sysusers makes every user that a unit names."""
    folder = tmp_path / "usr" / "lib" / "sysusers.d"
    folder.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    shutil.copy(UNITS / "sysusers.conf", folder / "tiendo.conf")
    done = check("systemd-sysusers", f"--root={tmp_path}")
    made = {line.split(":")[0] for line in (tmp_path / "etc" / "passwd").read_text().splitlines()}

    assert "not a valid" not in done.stderr
    assert {
        user for file in UNITS.glob("*.service") for user in re.findall(r"(?m)^User=(\S+)", file.read_text())
    } <= made
