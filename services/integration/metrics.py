"""What integration measures besides what every service does.

Invariant: an integration whose portal nobody has looked at counts as neither reachable nor unreachable.
"""

from collections.abc import Callable

from services.common.metrics import DEAD_LETTERS, Metric, Metrics
from services.common.snapshot import Live
from services.integration.storage import CATALOG, State

PORTAL_UNREACHABLE = Metric(
    "tiendo.portal.unreachable_services",
    "gauge",
    "{service}",
    "The services claimed to be live whose portal did not answer when last looked at.",
    (),
    ("integration",),
)

METRICS = (PORTAL_UNREACHABLE,)


def observe(metrics: Metrics, live: Live[State], unreachable: Callable[[], int] = lambda: 0) -> None:
    """Measure all of this module; `unreachable` counts the services whose portal was looked at last in vain."""
    metrics.observe(DEAD_LETTERS, lambda: [(live.current.dead_letters, {"source": CATALOG})])
    metrics.observe(PORTAL_UNREACHABLE, lambda: [(unreachable(), {})])
