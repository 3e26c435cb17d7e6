"""What integration measures besides what every service does.

Invariant: an integration whose portal nobody has looked at counts as neither reachable nor unreachable.
"""

from services.common.metrics import DEAD_LETTERS, Metric, Metrics
from services.common.snapshot import Live
from services.integration import domain
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


def observe(metrics: Metrics, live: Live[State]) -> None:
    """Measure all of this module."""
    metrics.observe(DEAD_LETTERS, lambda: [(live.current.dead_letters, {"source": CATALOG})])
    metrics.observe(PORTAL_UNREACHABLE, lambda: [(unreachable(live.current), {})])


def unreachable(state: State) -> int:
    """Count the services claimed to be live on a portal that answered last that they are not."""
    return sum(domain.is_claimed_unreachable(entry.integration) for entry in state.entries.values())
