"""The commands' front: options, exit codes, and what is said when nobody answers."""

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.main import app
from tests.support.ports import free_port


def nowhere() -> dict[str, str]:
    """Settings that point to where nobody is."""
    port = free_port()
    return {
        "TIENDO_CATALOG_ADDRESS": f"127.0.0.1:{port}",
        "TIENDO_INTEGRATION_ADDRESS": f"127.0.0.1:{port}",
        "TIENDO_STATUS_ADDRESS": f"127.0.0.1:{port}",
        "TIENDO_NATS_URL": f"nats://127.0.0.1:{port}",
        "LC_ALL": "C",
    }


def run(*arguments: str, environ: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run a command in this process; gives the exit code, the output and the error output."""
    result = CliRunner().invoke(app, list(arguments), env=dict(environ or nowhere()))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("catalog", "list"),
        ("catalog", "name", "bca-012", "Đăng ký tạm trú"),
        ("integration", "advance", "bca-012", "--to", "INTEGRATED"),
        ("watch",),
        ("seed",),
    ],
)
def test_nobody_there_is_exit_code_3(command: tuple[str, ...]) -> None:
    """Without services a command says which address did not answer, and ends with 3."""
    code, _, said = run(*command)

    assert code == 3
    assert "Cannot reach 127.0.0.1:" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "command",
    [
        ("integration", "advance", "bca-012", "--to", "DONE"),
        ("integration", "advance", "bca-012", "--to", "BUILT", "--date", "31/02/2022"),
        ("integration", "advance", "bca-012"),
        ("integration", "block", "bca-012"),
        ("integration", "correct", "bca-012", "--reason", "x"),
        ("integration", "correct", "bca-012", "--reason", "x", "--annul", "--date", "2022"),
        ("integration", "check", "bca-012", "payment", "maybe"),
        ("catalog", "update", "bca-012"),
        ("status", "--as-of", "13/2022"),
        ("status", "--known-at", "yesterday"),
        ("status", "--by", "colour"),
        ("status", "repair"),
        ("watch", "--only", "nonsense"),
        ("serve", "kitchen"),
        ("migrate", "kitchen"),
        ("status", "--lang", "fr"),
        ("no-such-command",),
        ("status", "--no-such-option"),
    ],
)
def test_wrong_usage_is_exit_code_2(command: tuple[str, ...]) -> None:
    """What was typed wrongly is told before anything is sent."""
    code, _, said = run(*command)

    assert code == 2
    assert said
    assert "Traceback" not in said


def test_language_is_taken_before_and_after_the_command() -> None:
    """`tiendo --lang vi status` and `tiendo status --lang vi` are the same."""
    before, after = run("--lang", "vi", "status")[2], run("status", "--lang", "vi")[2]

    assert before.startswith("Không kết nối được")
    assert after.startswith("Không kết nối được")


def test_errors_are_json_when_json_is_asked() -> None:
    """A program reads the failure as it reads the answer."""
    code, out, said = run("status", "--json")

    assert code == 3
    assert out == ""
    assert json.loads(said)["error"]["code"] == "UNAVAILABLE"


def test_mistyped_setting_stops_the_command() -> None:
    """A setting nobody knows is named with the nearest one."""
    code, _, said = run("status", environ={**nowhere(), "TIENDO_DATA_DIRR": "x"})

    assert code == 2
    assert "did you mean TIENDO_DATA_DIR?" in said


def test_help_shows_the_shared_options_on_every_command() -> None:
    """--lang and --json are found where they are looked for."""
    for command in (("status",), ("watch",), ("catalog", "get"), ("integration", "unblock"), ("doctor",), ("up",)):
        code, out, _ = run(*command, "--help")

        assert code == 0
        assert "--lang" in out
        assert "--json" in out


def test_up_refuses_a_taken_port_and_names_the_setting(tmp_path: Path) -> None:
    """A port in use is told before anything is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        environ = {"TIENDO_DATA_DIR": str(tmp_path), "TIENDO_CATALOG_PORT": str(port), "LC_ALL": "C"}
        environ |= {"TIENDO_INTEGRATION_PORT": str(free_port()), "TIENDO_STATUS_PORT": str(free_port())}
        environ |= {"TIENDO_NATS_URL": f"nats://127.0.0.1:{free_port()}", "TIENDO_STATUS_WEB_PORT": ""}
        code, _, said = run("up", environ=environ)

    assert code == 1
    assert said == f"Port {port} is taken by another program; stop it or set TIENDO_CATALOG_PORT\n"
    assert not (tmp_path / "logs").exists()


def test_module_is_the_program_too() -> None:
    """`python -m services.cli` is `tiendo`."""
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "--help"], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0
    assert "programme of online public services" in done.stdout
