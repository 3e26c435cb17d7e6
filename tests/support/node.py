"""Node with packages of its registry, for tests that ask other people's programs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def install(folder: Path) -> None:
    """Install what the package.json there names. Skips where there is no npm or no registry; under CI that fails."""
    npm = shutil.which("npm")
    lacking = "npm is not installed"
    if npm:
        command = [npm, "install", "--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0:
            return
        lacking = f"npm install: {done.stderr.strip()[-500:]}"
    if os.environ.get("CI"):
        pytest.fail(lacking)
    pytest.skip(f"NOT TESTED, {lacking}")
