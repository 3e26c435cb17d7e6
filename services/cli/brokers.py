"""The NATS servers that `tiendo up` runs: one, or a cluster of three.

Invariant: what a server has acknowledged is on its disk.
"""

import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

# As deploy/nats.conf has them, where the reasons stand; accounts are left out, for everyone here may look.
_LIMITS = """\
max_payload: 1MB
max_connections: 1000
max_pending: 64MB
write_deadline: "10s"
"""


def program() -> str | None:
    """Find nats-server in this environment, else on the path."""
    names = [Path(sysconfig.get_path("scripts")) / "nats-server", Path(sys.executable).parent / "nats-server"]
    return next((str(path) for path in names if path.exists()), shutil.which("nats-server"))


def single(program: str, folder: Path, host: str, port: int) -> list[str]:
    """Write the configuration of a server that stands alone; give its command line."""
    text = f"jetstream {{ store_dir: {_quoted(folder / 'nats')}, sync_interval: always, max_file_store: 8GB }}\n"
    return _command(program, folder / "nats.conf", text, host, port)


def cluster(
    program: str, folder: Path, servers: Sequence[tuple[str, int]], route_ports: Sequence[int]
) -> dict[str, list[str]]:
    """Write the configurations of servers that are one cluster, and give each server's name and command line.

    `servers`: host and port of each for clients. The stores go by the names, so the ports may change between starts.
    """
    places = [f"{_host(host)}:{port}" for (host, _), port in zip(servers, route_ports, strict=True)]
    routes = ", ".join(f'"nats://{place}"' for place in places)
    commands = {}
    for number, ((host, port), place) in enumerate(zip(servers, places, strict=True), start=1):
        name = f"nats-{number}"
        store = f"{{ store_dir: {_quoted(folder / name)}, sync_interval: always, max_file_store: 6GB }}"
        text = (
            f"server_name: {name}\njetstream {store}\n"
            f'cluster {{ name: tiendo, listen: "{place}", routes: [{routes}] }}\n{_LIMITS}'
        )
        commands[name] = _command(program, folder / f"{name}.conf", text, host, port)
    return commands


def _command(program: str, file: Path, text: str, host: str, port: int) -> list[str]:
    file.write_text(text, encoding="utf-8")
    return [program, "-c", str(file), "-a", _host(host).strip("[]"), "-p", str(port)]


def _host(name: str) -> str:
    return "127.0.0.1" if name == "localhost" else name


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
