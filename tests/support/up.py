"""`tiendo up` as a newcomer types it, and the commands beside it."""

import contextlib
import os
import signal
import subprocess
import sysconfig
from pathlib import Path

from tests.support.forked import run
from tests.support.ports import free_port


class Up:
    """One `tiendo up`, or another command that runs a whole, on free ports in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, command: str = "up") -> None:
        """`arguments` follow the command."""
        self.folder, self._arguments = folder, (command, *arguments)
        self.nats_port, self.web_port = free_port(), free_port()
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("TIENDO_")}
        self.environ |= {
            "TIENDO_DATA_DIR": str(folder / ".tiendo"),
            "TIENDO_NATS_URL": f"nats://127.0.0.1:{self.nats_port}",
            "TIENDO_STATUS_WEB_PORT": str(self.web_port),
            "LANG": "C.UTF-8",
            "COLUMNS": "400",  # the addresses make the commands long
        }
        for service in ("catalog", "integration", "status"):
            self.environ[f"TIENDO_{service.upper()}_ADDRESS"] = f"127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[str] | None = None
        self.lines: list[str] = []

    def start(self) -> list[str]:
        """Start it; give what it printed up to the end of the panel."""
        command = [str(Path(sysconfig.get_path("scripts")) / "tiendo"), "--lang", "en", *self._arguments]
        self.process = subprocess.Popen(
            command, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines = []
        self.read_on("╰")
        return self.lines

    def read_on(self, text: str) -> None:
        """Read what it prints, up to a line with this text."""
        assert self.process
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if text in line:
                return
        raise AssertionError("\n".join(self.lines))

    def kill(self) -> None:
        """End it as a crash would (kill -9)."""
        assert self.process
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()

    @property
    def page_url(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.web_port}"

    def collect(self) -> None:
        """Take note that it ended by itself."""
        assert self.process
        self.process.communicate(timeout=15)

    def parts(self) -> dict[int, str]:
        """The processes that it started, with their command lines."""
        assert self.process
        found = {}
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit() and _parent(folder) == self.process.pid:
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
        return found

    def stop(self) -> tuple[int, str]:
        """Press Ctrl-C; give exit code and last words."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        text, _ = self.process.communicate(timeout=15)
        return self.process.returncode, text

    def tiendo(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a second terminal."""
        return run("services.cli", *arguments, env=self.environ)


def _parent(folder: Path) -> int:
    return int((folder / "stat").read_text().rpartition(")")[2].split()[1])


def gone(pid: int) -> bool:
    """Whether a process has ended, or only waits to be collected."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
