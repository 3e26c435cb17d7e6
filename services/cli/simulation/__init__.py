"""A programme that never was, for seeing pages and charts move: what is played, and the folder it is played in.

Invariant: everything of it says that it is a simulation, and none of it comes into a folder or an installation that holds
something else.
"""

from services.cli.simulation.folder import NotASimulationError, claim, kept
from services.cli.simulation.plan import (
    PROGRAMME_ID,
    Simulation,
    begin,
    plan,
    programme_request,
    service_requests,
)
from services.cli.simulation.work import Act

__all__ = [
    "PROGRAMME_ID",
    "Act",
    "NotASimulationError",
    "Simulation",
    "begin",
    "claim",
    "kept",
    "plan",
    "programme_request",
    "service_requests",
]
