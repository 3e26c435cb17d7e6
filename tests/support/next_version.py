"""Tiendo as its next version might be: a copy of the code whose catalog has one more schema."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NEXT = "9999"
_SCRIPT = '''"""Programmes get a short name."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    op.add_column("programme", sa.Column("short_name", sa.String(length=50), nullable=True))
'''


def copy_next_version(folder: Path, *, before: str) -> Path:
    """Copy the code into `folder` and add a schema after `before`; give what to put on PYTHONPATH."""
    copy = folder / "next"
    shutil.copytree(ROOT / "services", copy / "services")
    script = copy / "services" / "catalog" / "migrations" / "versions" / f"{NEXT}_short_name.py"
    script.write_text(_SCRIPT.format(revision=NEXT, before=before))
    return copy


def run_with(code: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m …` with `services` from that folder, to its end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIENDO_")}
    path = os.pathsep.join((str(code), str(ROOT), str(ROOT / "proto" / "gen")))
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env={**kept, "PYTHONPATH": path, **environ},
        cwd=code,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
