"""Whatever commands come, in whatever order, through all three services: the figures are those of counting by hand."""

import os
from itertools import product

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.machine import Commands

# `suite` is what every run of the tests does, the same while the code stays the same (hypothesis draws on the constants it
# finds there); `long` looks further, and elsewhere each time.
_PROFILES = {
    "suite": settings(max_examples=30, stateful_step_count=40, derandomize=True),
    "long": settings(max_examples=2000, stateful_step_count=60, derandomize=False),
}
PROFILE = settings(
    _PROFILES[os.environ.get("INVARIANTS_PROFILE", "suite")],
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    report_multiple_bugs=False,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_whatever_the_commands_the_figures_are_those_of_counting_by_hand() -> None:
    """What the machine asserts after each command holds, and the commands were accepted and refused on the way."""
    run_state_machine_as_test(Commands, settings=PROFILE)

    # Where the commands do not reach, the rest says nothing.
    methods = {method for method, _ in Commands.tried}
    assert len(methods) == 17
    missed = [one for one in product(methods, ("accepted", "refused")) if not Commands.tried[one]]
    # Thirty short tales may lack the rarest pairs; two thousand may not.
    assert len(missed) <= (0 if PROFILE.max_examples >= 1000 else 3), missed
