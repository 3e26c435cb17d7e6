"""How processes of ours begin and end: by their exit code, with all that they printed, having read what they need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BE = "import sys; sys.path.insert(0, {folder!r}); from services.common.process import be; be('program_of_test', 'word')"

READ = """
import sys
from services.common.program import main
try:
    main("catalog")
except SystemExit:
    pass
print()
print(*sys.modules)
"""


def run_program(folder: Path, body: str, output: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """Be a program with this body."""
    (folder / "program_of_test.py").write_text(f"import sys\n\ndef main(word):\n    {body}\n")
    command = [sys.executable, "-c", BE.format(folder=str(folder))]
    return subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("body", "code"),
    [("pass", 0), ("sys.exit()", 0), ("sys.exit(3)", 3), ("sys.exit('what to mend')", 1), ("raise ValueError", 1)],
)
def test_it_ends_with_its_exit_code(tmp_path: Path, body: str, code: int) -> None:
    """Whatever ends the program, its exit code says so, and a fault still shows where it was."""
    ended = run_program(tmp_path, body)

    assert ended.returncode == code
    assert ("Traceback" in ended.stderr) == ("raise" in body)
    assert ("what to mend" in ended.stderr) == ("mend" in body)


def test_all_that_it_printed_is_out(tmp_path: Path) -> None:
    """What still stood in a buffer when the program ended comes out, however long it is."""
    ended = run_program(tmp_path, "print(word * 50_000); print('last', file=sys.stderr)")

    assert ended.stdout == "word" * 50_000 + "\n"
    assert ended.stderr == "last\n"


def test_output_that_cannot_be_written_is_no_success(tmp_path: Path) -> None:
    """A full disk under the output is not passed over."""
    with Path("/dev/full").open("w") as full:
        ended = run_program(tmp_path, "print(word)", full.fileno())

    assert ended.returncode != 0
    assert "No space left" in ended.stderr


@pytest.mark.parametrize(
    ("word", "unread"),
    [
        ("schema", {"alembic", "grpc", "nats", "services.catalog.storage", "services.catalog.app"}),
        ("migrate", {"grpc.aio", "nats", "services.catalog.rpc", "services.catalog.app"}),
        ("backup", {"grpc.aio", "nats", "services.catalog.rpc", "services.catalog.app"}),
        ("serve", {"alembic", "httpx", "opentelemetry.exporter.otlp.proto.grpc"}),
    ],
)
def test_a_command_reads_no_code_that_it_does_not_need(tmp_path: Path, word: str, unread: set[str]) -> None:
    """Reading code takes most of a short command's time, so each reads its own and no more."""
    words = [word, str(tmp_path / "copy.zip")] if word == "backup" else [word]
    done = subprocess.run(
        [sys.executable, "-c", READ, *words],
        env=os.environ | {"TIENDO_DATA_DIR": str(tmp_path), "TIENDO_CATALOG_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    read = set(done.stdout.splitlines()[-1].split())

    assert "services.catalog.config" in read
    assert read & unread == set()
