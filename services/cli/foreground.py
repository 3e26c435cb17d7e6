"""A whole installation in the foreground: started in a folder of its own, looked after, stopped with this process.

Invariant: what it started is gone when it is gone, and the data stays; one folder is used by one of these at a time.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from services.cli import pages, running
from services.cli.addresses import WEB_SETTING, Addresses, calling_host
from services.cli.children import Child, Children, EndedError
from services.cli.engines import Engine
from services.cli.launch import Launch, names
from services.cli.restarts import Restarts
from services.cli.session import Session, StopError
from services.common.config import SERVICES
from services.common.ports import PortTakenError, check_port

_LOOK_SECONDS = 0.2
_STOP_ORDER = ("status", "integration", "catalog", "nats", "postgres")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Attendance:
    """Looks after the parts that run."""

    def __init__(self, session: Session, children: Children, shape: Engine) -> None:
        def tell(child: Child) -> None:
            session.complain(session.word("screen.up.part_restarted", part=child.name, log=child.log))

        self._children, self._several = children, shape.replicas > 1
        self._restarts = Restarts(children, tell)

    def during(self, seconds: float) -> None:
        """Do so for this time. Raises EndedError where a part ended of which there is only one."""
        end = time.monotonic() + seconds
        while True:
            if self._several:
                self._restarts.look()
            elif (ended := self._children.ended()) is not None:
                raise EndedError(ended)
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _LOOK_SECONDS))


def run(
    session: Session,
    folder: Path,
    addresses: Addresses,
    make_shape: Callable[[Session, Addresses, Path], Engine],
    then: Callable[[Engine, Attendance], None],
    *,
    setting: str,
) -> None:
    """Start everything, do `then` until interrupted, and stop; `setting` is what names another folder.

    Raises StopError when it was told why it cannot start or that a part ended, and what `then` raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with running.alone(folder) as is_alone:
        if not is_alone:
            session.complain(session.word("screen.up.already", folder=folder, setting=setting))
            raise StopError(1)
        shape = make_shape(session, addresses, folder)
        page_ports = pages.find(addresses.host, [name for service in SERVICES for name in names(shape, service)])
        _check_ports(session, addresses, shape, page_ports)
        running.tell(folder, shape.environ())
        children = Children(shape.folder / "logs", os.environ | addresses.environ() | shape.environ())
        for number in _SIGNALS:
            signal.signal(number, signal.default_int_handler)
        # With --json the standard output is JSON alone.
        say = session.complain if session.as_json else session.say
        code = 0
        try:
            Launch(session, children, addresses, shape, page_ports).run()
            pages.write(folder, calling_host(addresses.host), page_ports)
            then(shape, Attendance(session, children, shape))
        except KeyboardInterrupt:
            say("")
            say(session.word("screen.up.stopping"))
        except EndedError as end:
            code = 1
            session.complain(session.word("screen.up.part_ended", part=end.child.name, log=end.child.log))
            for line in end.child.last_lines():
                session.complain(f"  {line}")
        except BaseException:
            _stop(children)
            raise
        finally:
            pages.remove(folder)
        _stop(children)
        say(session.word("screen.up.stopped", folder=shape.folder))
        if code:
            raise StopError(code)


def _stop(children: Children) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # it is on its way out, and bounded
    children.stop(_STOP_ORDER)


def _check_ports(session: Session, addresses: Addresses, shape: Engine, page_ports: Mapping[str, int]) -> None:
    wanted = [(addresses.host, addresses.ports[service], f"TIENDO_{service.upper()}_PORT") for service in SERVICES]
    wanted += [(addresses.host, port, pages.setting(name)) for name, port in page_ports.items()]
    if addresses.web_port is not None:
        wanted.append((addresses.host, addresses.web_port, WEB_SETTING))
    wanted += [(host, port, "TIENDO_NATS_URL") for host, port in shape.servers]
    taken = False
    for host, port, setting in wanted:
        try:
            check_port(host, port, setting)
        except PortTakenError:
            session.complain(session.word("screen.up.port_taken", port=port, setting=setting))
            taken = True
    if taken:
        raise StopError(1)
