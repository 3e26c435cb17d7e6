"""Servers that tests start end with them, even when the tests are killed."""

import shutil
import signal


def ending_with_us(command: list[str], stop_signal: signal.Signals = signal.SIGTERM) -> list[str]:
    """Give a command that is told to stop when the thread which runs it is gone; as it is where there is no setpriv."""
    setpriv = shutil.which("setpriv")
    return [setpriv, f"--pdeathsig={stop_signal.name.removeprefix('SIG')}", *command] if setpriv else command
