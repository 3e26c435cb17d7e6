"""The house keeps its rules: imports, generated code, the words that others build on."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import services.catalog.wire
import services.integration.wire
import services.status.domain
import services.status.wire
from services.catalog.config import CatalogSettings
from services.cli.addresses import CatalogPort, IntegrationPort, StatusPort
from services.common.config import ServiceSettings, Settings
from services.integration.config import IntegrationSettings
from services.status.config import StatusSettings
from tiendo.catalog.v1 import events_pb2 as catalog_events_pb2
from tiendo.common.v1 import error_reason_pb2
from tiendo.integration.v1 import events_pb2 as integration_events_pb2
from tiendo.status.v1 import events_pb2 as progress_pb2

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))
SETTINGS: tuple[type[BaseSettings], ...] = (
    Settings,
    ServiceSettings,
    CatalogSettings,
    IntegrationSettings,
    StatusSettings,
    CatalogPort,
    IntegrationPort,
    StatusPort,
)
GOLDEN = ROOT / "tests" / "golden" / "contract.txt"


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool in a folder, its own code first on the path."""
    environ = dict(os.environ) | {"PYTHONPATH": f"{cwd}:{cwd / 'proto' / 'gen'}", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=120, check=False)


def lint_imports(folder: Path) -> str:
    """Run import-linter there; give what it printed."""
    return run([str(SCRIPTS / "lint-imports"), "--no-cache"], folder).stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code to plant faults in."""
    folder = tmp_path_factory.mktemp("copy")
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "services", folder / "services", ignore=skip)
    shutil.copytree(ROOT / "proto" / "gen", folder / "proto" / "gen", ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


# Each contract's name, with an import that only it forbids.
PLANTED = {
    "catalog: the rooms import downwards only": ("services/catalog/domain/rules.py", "import services.catalog.storage"),
    "integration: the rooms import downwards only": (
        "services/integration/wire/events.py",
        "import services.integration.rpc",
    ),
    "status: the rooms import downwards only": ("services/status/watch.py", "import services.status.rpc"),
    "the services meet in their protos and subjects only": (
        "services/status/config.py",
        "import services.catalog.domain",
    ),
    "common knows none of the services": ("services/common/relay.py", "import tiendo.catalog.v1.events_pb2"),
    "rules stay pure: no framework, no I/O": ("services/catalog/domain/rules.py", "import sqlmodel"),
    "use cases know neither grpc nor nats": ("services/integration/usecases/commands.py", "import nats"),
    "endpoints and consumers hold no SQL": ("services/status/consumers.py", "import sqlalchemy"),
    "only the process that draws imports the chart library": ("services/status/charts/order.py", "import vl_convert"),
    "only integration asks portals and imports the web client": ("services/common/peer.py", "import httpx"),
    "the client library knows the stubs only": ("services/client/errors.py", "import services.common.errors"),
    "the command line knows stubs, client and common only": ("services/cli/status.py", "import sqlalchemy"),
}
LAYERS = {
    "catalog": "catalog: the rooms import downwards only",
    "integration": "integration: the rooms import downwards only",
    "status": "status: the rooms import downwards only",
}


def contracts(printed: str) -> dict[str, str]:
    """What import-linter says of each contract: KEPT or BROKEN."""
    return dict(re.findall(r"^(.+) (KEPT|BROKEN)$", printed, re.MULTILINE))


def broken(printed: str) -> list[str]:
    """The contracts that import-linter found broken."""
    return [name for name, state in contracts(printed).items() if state == "BROKEN"]


def test_every_import_rule_holds() -> None:
    """No contract is broken as the code stands, and each is one that a planted import is known to break."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    printed = lint_imports(ROOT)

    assert {contract["name"] for contract in named} == set(PLANTED)
    assert contracts(printed) == dict.fromkeys(PLANTED, "KEPT"), printed


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_import_breaks_its_rule(copy: Path, contract: str) -> None:
    """One forbidden import breaks the contract that is meant for it, and no other."""
    place, line = PLANTED[contract]
    file = copy / place
    before = file.read_text()
    try:
        file.write_text(f"{before}\n{line}\n")
        printed = lint_imports(copy)
    finally:
        file.write_text(before)

    assert broken(printed) == [contract], printed


@pytest.mark.parametrize("service", LAYERS)
def test_a_file_without_a_place_is_refused(copy: Path, service: str) -> None:
    """A new room that no layer names breaks the layers of its service."""
    stray = copy / "services" / service / "utils.py"
    try:
        stray.write_text('"""Nowhere."""\n')
        printed = lint_imports(copy)
    finally:
        stray.unlink()

    assert broken(printed) == [LAYERS[service]]
    assert "utils" in printed


def test_the_generated_code_is_fresh(tmp_path: Path) -> None:
    """`make proto` in a copy gives byte for byte what is committed."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "proto", tmp_path / "proto", ignore=shutil.ignore_patterns("gen"))
    (tmp_path / "proto" / "gen").mkdir()
    for page in pages(tmp_path):
        (tmp_path / page).unlink()
    environment = Path(sys.prefix)

    # The environment is the one that runs: it is not to be made anew.
    kept = [word for mark in (".ready", ".tools") for word in ("-o", str(environment / mark))]
    made = run(["make", "proto", f"VENV={environment}", *kept], tmp_path)

    assert made.returncode == 0, made.stdout + made.stderr
    assert tree(tmp_path / "proto" / "gen") == tree(ROOT / "proto" / "gen")
    assert pages(tmp_path) == pages(ROOT)


def tree(folder: Path) -> dict[str, bytes]:
    """Every generated file with its content."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*.py*"))
        if file.suffix in {".py", ".pyi"}
    }


def pages(root: Path) -> dict[str, str]:
    """Every page that is made from the contract."""
    folder = root / "proto" / "docs"
    return {
        str(file.relative_to(root)): file.read_text()
        for suffix in ("md", "yaml")
        for file in folder.glob(f"*.{suffix}")
    }


def test_a_removed_field_is_refused(tmp_path: Path) -> None:
    """The check against the released contract fails when a field goes."""
    shutil.copytree(ROOT / "proto", tmp_path / "proto", ignore=shutil.ignore_patterns("gen"))
    file = tmp_path / "proto" / "tiendo" / "status" / "v1" / "completion.proto"
    text = file.read_text()
    file.write_text(re.sub(r"  // Left the plan;[^\n]*\n  optional int32 withdrawn = 8;\n", "", text))
    buf = [str(SCRIPTS / "buf"), "breaking", "proto", "--against", "proto/released.binpb"]

    broken = run(buf, tmp_path)

    assert file.read_text() != text
    assert broken.returncode != 0
    assert "withdrawn" in broken.stdout
    assert run(buf, ROOT).returncode == 0


def contract() -> list[str]:
    """What others build on, a line each: error reasons, subjects with their CloudEvents types."""
    lines = [f"error {name} = {number}" for name, number in error_reason_pb2.ErrorReason.items()]
    for prefix, event, wire in (
        ("tiendo.catalog.v1", catalog_events_pb2.CatalogEvent, services.catalog.wire),
        ("tiendo.integration.v1", integration_events_pb2.IntegrationEvent, services.integration.wire),
    ):
        names = [field.name for field in event.DESCRIPTOR.oneofs_by_name["event"].fields]
        lines += [f"event {prefix}.{name}.<service> {wire.event_type(name)}" for name in names]
    for name, number in progress_pb2.ProgressEventKind.items():
        if number:
            kind = services.status.domain.EventKind(number)
            assert f"PROGRESS_EVENT_KIND_{kind.name}" == name
            subject = f"{services.status.wire.TYPE_PREFIX}<programme>.{kind.token}.<service>"
            lines.append(f"event {subject} {services.status.wire.TYPE_PREFIX}{kind.type}")
    return lines


def test_names_that_others_build_on_stay() -> None:
    """Error reasons, subjects and event types are those of the golden list; a change there is a decision."""
    assert contract() == GOLDEN.read_text().splitlines()


def committed() -> list[Path]:
    """The files of the repository, without what is generated."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [ROOT / name for name in listed if not name.startswith("proto/gen/") and (ROOT / name).is_file()]


def test_no_registry_or_machine_is_named() -> None:
    """No committed text names a package registry's host or a folder of the machine it was written on."""
    hosts = "|".join(("pypi" + r"\.org", "python" + "hosted", "registry" + r"\.npmjs", "deb" + r"\.debian\.org"))
    wrong = re.compile(rf"{hosts}|(?<![\w.])/(?:root|home|work|Users)/")
    found = [
        f"{file.relative_to(ROOT)}: {match.group()}"
        for file in committed()
        if file.suffix not in {".binpb", ".png"} and (match := wrong.search(file.read_text(errors="replace")))
    ]

    assert found == []


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_setting_says_what_it_sets(settings: type[BaseSettings]) -> None:
    """Each field of each settings class has a description, of which the page of settings is made."""
    silent = [name for name, field in settings.model_fields.items() if not (field.description or "").strip()]

    assert silent == []


def test_every_settings_class_is_known_here() -> None:
    """No settings class escapes the check above."""
    found = set()
    for file in (ROOT / "services").rglob("*.py"):
        found |= set(re.findall(r"^class (\w+)\((?:Base|Service)Settings\)", file.read_text(), re.MULTILINE))

    assert found == {settings.__name__ for settings in SETTINGS}


def test_files_stay_short() -> None:
    """No file of the services is so long that it has more than one subject."""
    long = {
        str(file.relative_to(ROOT)): lines
        for file in (ROOT / "services").rglob("*.py")
        if (lines := len(file.read_text().splitlines())) > 330
    }

    assert long == {}
