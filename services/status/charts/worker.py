"""`python -m services.status.charts.worker`: draws what is ordered on standard input, until that ends.

Invariant: each order gets one answer, in its turn, and nothing is fetched from anywhere. It takes 140 MB.
"""

import os
import pickle
import signal
import sys
from typing import BinaryIO
from xml.sax.saxutils import quoteattr

import vl_convert

from services.status.charts.burn_up import burn_up_spec
from services.status.charts.order import HEAD, Format, Order

_PNG_SCALE = 2


def draw(order: Order) -> bytes:
    """Draw."""
    spec = burn_up_spec(order)
    match order.format:
        case Format.SVG:
            drawing = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
            return drawing.replace("<svg ", f'<svg role="img" aria-label={quoteattr(order.label)} ', 1).encode()
        case Format.PNG:
            return vl_convert.vegalite_to_png(spec, scale=_PNG_SCALE, allowed_base_urls=[])
        case Format.PDF:
            return vl_convert.vegalite_to_pdf(spec, allowed_base_urls=[])


def answer(orders: BinaryIO, drawings: BinaryIO) -> None:
    """Draw one order after the other. Raises EOFError at their end, BrokenPipeError where nobody takes the drawing."""
    while True:
        order = pickle.load(orders)  # noqa: S301 (our parent's own pipe)
        try:
            done, content = True, draw(order)
        except Exception as failure:  # noqa: BLE001 (whatever it is, the caller is told and the next order drawn)
            done, content = False, f"{type(failure).__name__}: {failure}".encode()
        drawings.write(HEAD.pack(done, len(content)) + content)
        drawings.flush()


def main() -> None:
    """Draw until the parent closes the pipe or is gone; a Ctrl-C in its terminal is its own matter."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        answer(sys.stdin.buffer, sys.stdout.buffer)
    except (EOFError, BrokenPipeError):
        # Not sys.exit: flushing what nobody reads would fail once more.
        os._exit(0)


if __name__ == "__main__":
    main()
