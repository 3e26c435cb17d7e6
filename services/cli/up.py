"""`tiendo up`: all of Tiendo on this machine, as processes: a broker, three services, the first programme.

Invariant: whatever ends this command ends its processes too, in order and within ten seconds, and the data stays; nothing
that was started before it is touched.
"""

import asyncio
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from services.cli import output, seeding, status
from services.cli.client import REFUSED, UNREACHABLE, CommandError, Session
from services.common.broker import Broker, ensure_stream, stream_specs
from services.common.config import SERVICES
from services.common.server import PortTakenError, check_port
from tiendo.status.v1 import status_service_pb2 as pb

_START_SECONDS = 60.0
_STOP_SECONDS = 9.5
_POLL_SECONDS = 0.03
_LAST_LINES = 15
_DIE_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG


class _StopError(Exception):
    """Somebody asked for the end."""


def run(session: Session) -> None:
    """Start everything, show the panel, wait for Ctrl-C, stop everything."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    together = _Together(session)
    try:
        together.start()
        shown = panel(session)
        # Commands are shown whole, however narrow the terminal: they are there to be copied.
        Console(highlight=False, width=max(output.console.width, shown.width or 0)).print(shown)
        together.wait()
    except _StopError:
        pass
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if together.started:
            output.line(session.word("screen.up.stopping"))
            together.stop()
            output.line(session.word("screen.up.stopped", folder=session.settings.data_dir.resolve()))


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _StopError


class _Together:
    """The processes of one `tiendo up`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._folder = session.settings.data_dir.resolve()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        nats = urlsplit(session.settings.nats_url)
        self._nats_port = nats.port or 4222

    @property
    def started(self) -> bool:
        """Whether there is anything to stop."""
        return bool(self._processes)

    def start(self) -> None:
        """Start the parts; raises CommandError naming what did not."""
        output.line(self._session.word("screen.up.starting"))
        self._check_ports()
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        self._spawn("nats", self._nats_command())
        self._migrate()
        for service in SERVICES:
            self._spawn(service, [sys.executable, "-m", f"services.{service}"])
        self._wait_for("nats", lambda: bool(make_streams(self._session.settings.nats_url, seconds=0.5)))
        for service in SERVICES:
            self._wait_for(service, partial(self._serves, service))
        output.line(self._session.word("screen.up.seeding"))
        revision = seed(self._session)
        self._session.call(self._session.status.GetCompletion, pb.GetCompletionRequest(at_least=[revision]), seconds=30)

    def wait(self) -> None:
        """Return never; raises CommandError when a part ends by itself."""
        while True:
            for name in self._processes:
                self._check_alive(name)
            time.sleep(0.5)

    def stop(self) -> None:
        """End the parts: who follows first, the broker last."""
        end = time.monotonic() + _STOP_SECONDS
        for group in (("status", "integration", "catalog"), ("nats",)):
            running = [self._processes[name] for name in group if name in self._processes]
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                try:
                    process.wait(max(0.1, end - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()

    def _check_ports(self) -> None:
        settings = self._session.settings
        taken = [(service, *_host_and_port(settings.address_of(service))) for service in SERVICES]
        for service, host, port in taken:
            self._check_port(host, port, f"TIENDO_{service.upper()}_PORT")
        self._check_port("127.0.0.1", self._nats_port, "TIENDO_NATS_URL")

    def _check_port(self, host: str, port: int, setting: str) -> None:
        try:
            check_port(host, port, setting)
        except PortTakenError:
            text = self._session.word("screen.up.port_taken", port=port, setting=setting)
            raise CommandError(REFUSED, text) from None

    def _migrate(self) -> None:
        environ = self._environ()
        running = {
            service: subprocess.Popen(
                [sys.executable, "-m", f"services.{service}", "migrate"],
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for service in SERVICES
        }
        for process in running.values():
            text, _ = process.communicate()
            if process.returncode:
                raise CommandError(REFUSED, text.strip())

    def _environ(self) -> dict[str, str]:
        environ = dict(os.environ) | {"TIENDO_DATA_DIR": str(self._folder), "TIENDO_LOG_FORMAT": "json"}
        for service in SERVICES:
            # Where callers look is where the service listens.
            environ[f"TIENDO_{service.upper()}_PORT"] = str(
                _host_and_port(self._session.settings.address_of(service))[1]
            )
        return environ

    def _nats_command(self) -> list[str]:
        store = self._folder / "nats"
        store.mkdir(exist_ok=True)
        config = self._folder / "nats.conf"
        config.write_text(
            "# Made by `tiendo up` at every start.\n"
            f"host: 127.0.0.1\nport: {self._nats_port}\n"
            f'jetstream {{\n  store_dir: "{store}"\n  sync_interval: always\n}}\n',
        )
        return [nats_server(), "-c", str(config)]

    def _spawn(self, name: str, command: list[str]) -> None:
        log = self._log(name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        with log.open("wb") as file:
            self._processes[name] = subprocess.Popen(
                command,
                env=self._environ(),
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 (no threads yet)
            )

    def _log(self, name: str) -> Path:
        return self._folder / "logs" / f"{name}.log"

    def _check_alive(self, name: str) -> None:
        if self._processes[name].poll() is not None:
            lines = self._log(name).read_text(errors="replace").splitlines()[-_LAST_LINES:]
            text = self._session.word("screen.up.part_ended", part=name, log=self._log(name))
            raise CommandError(REFUSED, "\n".join((text, *lines)))

    def _wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + _START_SECONDS
        while not ready():
            self._check_alive(name)
            if time.monotonic() > end:
                text = self._session.word("screen.up.part_ended", part=name, log=self._log(name))
                raise CommandError(UNREACHABLE, text)
            time.sleep(_POLL_SECONDS)

    def _serves(self, service: str) -> bool:
        stub: Any = health_pb2_grpc.HealthStub(self._session.channel(service))
        try:
            reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=1, wait_for_ready=True)
        except grpc.RpcError:
            return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def _die_with_parent() -> None:
    """Let the kernel end the child when this process is killed without a chance to do it."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def nats_server() -> str:
    """Find the embedded broker: it is in the interpreter's scripts folder, which need not be on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise CommandError(REFUSED, "nats-server")
    return found


def make_streams(nats_url: str, *, seconds: float = 2.0) -> list[str]:
    """Make missing streams, where the broker answers; a line for each says what was found or made, none: it is away."""
    return asyncio.run(_make_streams(nats_url, seconds))


async def _make_streams(nats_url: str, seconds: float) -> list[str]:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    broker = Broker(nats_url.split(","), name="tiendo-cli", retry_seconds=(0.05, 0.1))
    broker.start()
    try:
        async with asyncio.timeout(seconds):
            await broker.wait_connected()
        js = broker.client().jetstream()
        return [f"{spec.name}: {await ensure_stream(js, spec)}" for spec in stream_specs()]
    except TimeoutError:
        return []
    finally:
        await broker.close()


def seed(session: Session) -> str:
    """Send the first programme; give the revision that includes it. Raises CommandError."""

    async def send() -> str:
        settings = session.settings
        async with (
            grpc.aio.insecure_channel(settings.catalog_address) as catalog,
            grpc.aio.insecure_channel(settings.integration_address) as integration,
        ):
            return await seeding.send(catalog, integration)

    try:
        return asyncio.run(send())
    except grpc.RpcError as failure:
        raise session.explain(failure) from None


def command_prefix(session: Session) -> str:
    """Give what to type for `tiendo` in a new terminal, as it stands: its path where needed, and addresses not the default."""
    here = Path(sys.argv[0]).resolve()
    found = shutil.which("tiendo")
    name = "tiendo" if found and Path(found).resolve() == here else shlex.quote(str(here))
    names = [f"{service}_address" for service in SERVICES] + ["nats_url"]
    defaults = type(session.settings).model_fields
    changed = [
        f"TIENDO_{setting.upper()}={shlex.quote(str(getattr(session.settings, setting)))}"
        for setting in names
        if getattr(session.settings, setting) != defaults[setting].default
    ]
    return " ".join((*changed, name))


def panel(session: Session) -> Panel:
    """Give the panel that `tiendo up` ends in."""
    answer = session.call(session.status.GetCompletion, pb.GetCompletionRequest())
    settings = session.settings
    ports = {service: _host_and_port(settings.address_of(service))[1] for service in SERVICES}
    prefix = command_prefix(session)
    commands = [("status", "status"), ("watch", "watch"), ('catalog search "ho chieu"', "search"), ("doctor", "doctor")]
    width = max(len(text) for text, _ in commands) + len(prefix) + 4
    lines = [
        status.summary(session, answer),
        session.word("screen.up.grpc", host=settings.host, **ports),
        session.word("screen.up.nats", address=settings.nats_url),
        session.word("screen.up.second_terminal"),
        *(f"  {prefix} {text}".ljust(width) + session.word(f"screen.up.{key}") for text, key in commands),
        session.word("screen.up.foot"),
    ]
    wide = max(len(line) for line in lines) + 4
    return Panel(
        Text("\n".join(lines), no_wrap=True, overflow="ignore"),
        title=session.word("screen.up.title"),
        title_align="left",
        width=max(wide, 73),
    )
