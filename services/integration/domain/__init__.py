"""The rules of integrations: pure functions from what stands and what is told to what stands then.

Invariant: nothing here reads a clock, draws a number or changes a value it was given; a refusal leaves no trace.
"""

from services.integration.domain.checks import set_check, set_portal_link
from services.integration.domain.corrections import correct, mark, replay, standing
from services.integration.domain.transitions import (
    advance,
    block,
    reinstate,
    resume,
    revert,
    suspend,
    unblock,
    withdraw,
)
from services.integration.domain.values import (
    Check,
    CheckState,
    Condition,
    ConnectionCheck,
    Correction,
    Evidence,
    Integration,
    Portal,
    PortalLink,
    Stage,
    Transition,
    TransitionKind,
    check_evidence,
    new_integration,
)

__all__ = [
    "Check",
    "CheckState",
    "Condition",
    "ConnectionCheck",
    "Correction",
    "Evidence",
    "Integration",
    "Portal",
    "PortalLink",
    "Stage",
    "Transition",
    "TransitionKind",
    "advance",
    "block",
    "check_evidence",
    "correct",
    "mark",
    "new_integration",
    "reinstate",
    "replay",
    "resume",
    "revert",
    "set_check",
    "set_portal_link",
    "standing",
    "suspend",
    "unblock",
    "withdraw",
]
