"""What the tests of deploy/ share: its files, and the tools that judge them."""

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def tool(name: str) -> str:
    """The path of a checker. Without it a test skips on a laptop, saying so, and fails in CI."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            raise AssertionError(f"{name} is not installed; .ci/run and requirements-dev.lock bring the checkers")
        pytest.skip(f"{name} is not installed, so its files are NOT checked here")
    return found


def check(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a checker at the root of the repository, to its end."""
    command = [tool(name), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def load(path: Path) -> Any:
    """The one document of a YAML file."""
    return yaml.safe_load(path.read_text())


def texts() -> Iterator[tuple[str, str]]:
    """Every file under deploy/ with its content."""
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(DEPLOY)), path.read_text()


def is_pinned(image: str) -> bool:
    """Whether an image is named with a full version, which nobody moves to other content."""
    return re.fullmatch(r"[a-z0-9./-]+:v?\d+(\.\d+){1,2}(-[a-z0-9.]+)*(@sha256:[0-9a-f]{64})?", image) is not None
