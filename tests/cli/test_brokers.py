"""The brokers' configuration is one that the server takes, whatever the folder is called."""

import subprocess
from pathlib import Path

from services.cli import brokers


def taken(command: list[str]) -> bool:
    """Whether nats-server accepts the configuration it is to start with."""
    return subprocess.run([*command, "-t"], capture_output=True, timeout=20, check=False).returncode == 0


def test_configurations_are_accepted(tmp_path: Path) -> None:
    """One server and each of three, in a folder with quotes, a backslash and Vietnamese letters in its name."""
    folder = tmp_path / 'thư mục "của" \\ tôi'
    folder.mkdir()
    program = brokers.program()
    assert program
    single = brokers.single(program, folder, "localhost", 7104)
    cluster = brokers.cluster(program, folder, [("127.0.0.1", 7104 + number) for number in range(3)], [1, 2, 3])

    assert taken(single)
    assert list(cluster) == ["nats-1", "nats-2", "nats-3"]
    assert all(map(taken, cluster.values()))
    assert all("sync_interval: always" in file.read_text() for file in folder.glob("*.conf"))
