"""The office program and the PDF tools that judge files as their readers' machines do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def convert(file: Path, kind: str, folder: Path, *options: str) -> Path:
    """Open a file in LibreOffice and save it as another kind; skips where it is missing, but fails in CI."""
    program = shutil.which("soffice")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("soffice is missing: install libreoffice-calc")
        pytest.skip("soffice is missing: install libreoffice-calc to prove what an office program makes of the file")
    target = folder / kind.partition(":")[0]
    command = [program, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless"]
    command += ["--convert-to", kind, "--outdir", str(target), *options, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return target / f"{file.stem}.{kind.partition(':')[0]}"
