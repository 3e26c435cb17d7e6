"""Whether a port can be listened on.

Invariant: a port that somebody listens on is told with the setting that moves it.
"""

import errno
import socket


class PortTakenError(Exception):
    """The port cannot be had, mostly because another program listens; the message names port and setting."""


def check_port(host: str, port: int, setting: str) -> None:
    """Raise PortTakenError when the port cannot be listened on: gRPC itself names no cause."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            if failure.errno == errno.EADDRINUSE:
                raise PortTakenError(
                    f"port {port} on {host} is taken by another program; stop it or set {setting}"
                ) from failure
            raise PortTakenError(
                f"port {port} on {host} cannot be listened on ({failure.strerror}); set {setting} or TIENDO_HOST"
            ) from failure
