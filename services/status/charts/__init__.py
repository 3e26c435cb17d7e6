"""Charts of the figures, as SVG for pages and as PNG or PDF for files.

`Easel.draw(order)` gives one; `worker.py` draws it in a process of its own, from what `burn_up.py` says that it shows.

Invariant: only that process imports the chart library, whose script engine holds a whole process up while it draws.
"""

from services.status.charts.easel import DrawingError, Easel
from services.status.charts.order import Format, Order

__all__ = ["DrawingError", "Easel", "Format", "Order"]
