"""Which ports a start gives to its parts."""

import subprocess
import sys

from services.cli.ports import draw

DRAW = "from services.cli.ports import draw; print(*(draw() for _ in range(15)))"


def test_no_port_is_drawn_twice() -> None:
    """All that one start draws are different ports, none of which the system gives to a client's connection."""
    drawn = [draw() for _ in range(200)]

    assert len(set(drawn)) == 200
    assert all(1024 < port < 32768 for port in drawn)


def test_starts_at_once_draw_different_ports() -> None:
    """Two processes that live at the same time, and have not begun to listen, draw none alike."""
    both = [subprocess.Popen([sys.executable, "-c", DRAW], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    drawn = [process.communicate()[0].split() for process in both]

    assert [len(set(each)) for each in drawn] == [15, 15]
    assert not {*drawn[0]} & {*drawn[1]}
