"""The image: its recipe passes the linter, and what it copies is enough to build Tiendo and nothing else."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.deployment import DEPLOY, ROOT, check, is_pinned

RECIPE = (DEPLOY / "Dockerfile").read_text()


def instructions(name: str) -> list[str]:
    """The arguments of an instruction, wherever it stands."""
    joined = re.sub(r"\\\n", " ", RECIPE)
    return [line.split(None, 1)[1] for line in joined.splitlines() if line.startswith(f"{name} ")]


def test_the_linter_finds_nothing() -> None:
    """Hadolint has no remark."""
    done = check("hadolint", "--no-color", "deploy/Dockerfile")

    assert (done.returncode, done.stdout) == (0, "")


def test_it_is_small_and_not_root() -> None:
    """Two stages from one pinned image; the last is no root user by number, and carries no builder's tools."""
    bases = [base.split()[0] for base in instructions("FROM")]

    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert is_pinned(bases[0])
    assert instructions("USER") == ["10001:10001"]
    assert "COPY --from=build /opt/tiendo /opt/tiendo" in RECIPE
    assert "--require-hashes" in RECIPE


def test_what_is_copied_builds_the_whole(tmp_path: Path) -> None:
    """A wheel built from the copied files alone, none ignored, holds every module and data file of services/ and the protos."""
    allowed = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = {word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]}
    for name in copied:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    wheels = tmp_path / "wheels"
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(wheels), str(tmp_path)], check=True, timeout=120)
    with zipfile.ZipFile(next(wheels.glob("tiendo-*.whl"))) as wheel:
        held = set(wheel.namelist())

    assert copied == allowed
    expected = {
        str(path.relative_to(root))
        for root, folder in ((ROOT, ROOT / "services"), (ROOT / "proto" / "gen", ROOT / "proto" / "gen" / "tiendo"))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected - held == set()


def locked(name: str) -> set[str]:
    """What a lock names."""
    return {canonicalize_name(each) for each in re.findall(r"(?m)^([\w.-]+)==", (ROOT / name).read_text())}


def needed(*distributions: str) -> set[str]:
    """All that distributions need here, and all that this needs."""
    found = set[str]()
    waiting = [(distribution, frozenset({""})) for distribution in distributions]
    while waiting:
        distribution, extras = waiting.pop()
        for requirement in map(Requirement, requires(distribution) or []):
            wanted = (canonicalize_name(requirement.name), frozenset({"", *requirement.extras}))
            marker = requirement.marker
            if wanted[0] not in found and (
                marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
            ):
                found.add(wanted[0])
                waiting.append(wanted)
    return found


def test_the_lock_holds_what_runs_and_no_tools() -> None:
    """All that Tiendo needs to run or to be built is in the lock that the image is installed from, and nothing else."""
    # Another system's terminal needs one package more.
    assert locked("requirements.lock") - {"colorama"} == needed("tiendo", "hatchling") | {"hatchling"}


def test_the_tools_are_locked_apart() -> None:
    """Checks and tests, and all that these need, are in the other lock or run anyway; no package is in both."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    tools = {canonicalize_name(Requirement(each).name) for each in groups["dev"]}
    runs, besides = locked("requirements.lock"), locked("requirements-dev.lock")

    assert runs & besides == set()
    assert tools | needed(*tools) <= runs | besides
