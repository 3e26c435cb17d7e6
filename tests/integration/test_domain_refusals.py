"""What a step is refused for, in words that name the field and the fix; and the limits of its texts."""

from collections.abc import Callable
from typing import Any

import pytest

from services.common.errors import Reason
from services.integration import domain
from services.integration.domain import Check, CheckState, Condition, Evidence, Stage
from tests.support.integrations import CORRECT, an_integration, refusal_of, told, with_check


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            lambda: domain.advance(
                with_check(an_integration(), Check.PAYMENT, CheckState.FAILED), Stage.INTEGRATED, **told()
            ),
            (
                "stage: integrations/bca-012 cannot become INTEGRATED while check PAYMENT is FAILED; "
                "set it to PASSED or NOT_REQUIRED first"
            ),
        ),
        (
            lambda: domain.advance(an_integration(Stage.BUILT, Condition.BLOCKED), Stage.TESTED, **told()),
            (
                "name: integrations/bca-012 is BLOCKED and takes no other step; "
                "call UnblockIntegration (`tiendo integration unblock bca-012`) first"
            ),
        ),
        (
            lambda: domain.withdraw(an_integration(Stage.INTEGRATED, Condition.SUSPENDED), **told()),
            (
                "name: integrations/bca-012 is SUSPENDED and takes no other step; "
                "call ResumeIntegration (`tiendo integration resume bca-012`) first"
            ),
        ),
        (
            lambda: domain.advance(an_integration(Stage.TESTED), Stage.BUILT, **told()),
            (
                "stage: integrations/bca-012 is at TESTED, which is later than BUILT; if it went back, call "
                f"RevertIntegration (`tiendo integration revert bca-012`), if an entry is wrong, {CORRECT}"
            ),
        ),
        (
            lambda: domain.advance(an_integration(Stage.TESTED), Stage.TESTED, **told()),
            (
                "stage: integrations/bca-012 is at TESTED already; give another stage, "
                f"or correct the entry that says so with {CORRECT}"
            ),
        ),
        (
            lambda: domain.revert(an_integration(Stage.BUILT), Stage.TESTED, **told()),
            (
                "stage: integrations/bca-012 is at BUILT, which is earlier than TESTED; "
                "call AdvanceIntegration (`tiendo integration advance bca-012`) instead"
            ),
        ),
        (
            lambda: domain.block(an_integration(Stage.INTEGRATED), **told()),
            (
                "name: integrations/bca-012 is at INTEGRATED, where no work is left to hold up; if it is off, call "
                "SuspendIntegration (`tiendo integration suspend bca-012`), if it went back, "
                "RevertIntegration (`tiendo integration revert bca-012`)"
            ),
        ),
        (
            lambda: domain.suspend(an_integration(Stage.BUILT), **told()),
            (
                "name: integrations/bca-012 is at BUILT and on no portal yet; if work is held up, "
                "call BlockIntegration (`tiendo integration block bca-012`) instead"
            ),
        ),
        (
            lambda: domain.unblock(an_integration(Stage.BUILT), **told()),
            "name: integrations/bca-012 is ACTIVE, not BLOCKED; there is nothing to unblock, leave the call out",
        ),
        (
            lambda: domain.resume(an_integration(Stage.BUILT, Condition.WITHDRAWN), **told()),
            (
                "name: integrations/bca-012 is WITHDRAWN, not SUSPENDED; "
                "call ReinstateIntegration (`tiendo integration reinstate bca-012`) instead"
            ),
        ),
        (
            lambda: domain.withdraw(an_integration(Stage.BUILT, Condition.WITHDRAWN), **told()),
            (
                "name: integrations/bca-012 is WITHDRAWN already; leave the call out, or put it back into the plan "
                "with ReinstateIntegration (`tiendo integration reinstate bca-012`)"
            ),
        ),
    ],
)
def test_a_refusal_names_the_field_and_the_fix(step: Callable[[], object], message: str) -> None:
    """The message alone tells what is wrong, where, and what to call instead."""
    assert refusal_of(step).message == message


@pytest.mark.parametrize("verb", ["block", "suspend", "withdraw", "revert"])
@pytest.mark.parametrize("reason", ["", " \n\t", "\u200b"])
def test_a_step_that_takes_something_away_needs_a_reason(verb: str, reason: str) -> None:
    """A reason that shows nothing is EMPTY_REASON."""
    given = (Stage.BUILT,) if verb == "revert" else ()
    state = an_integration(Stage.LIVE_ON_MINISTRY_PORTAL)
    refused = refusal_of(getattr(domain, verb), state, *given, **told(reason=reason))

    assert (refused.reason, refused.message) == (Reason.EMPTY_REASON, "reason: is empty; give a text")


@pytest.mark.parametrize(
    ("given", "reason", "field"),
    [
        ({"reason": "x" * 2_001}, Reason.TEXT_TOO_LONG, "reason"),
        ({"reason": "a\x00b"}, Reason.INVALID_CHARACTER, "reason"),
        ({"evidence": [Evidence(note="ok")] * 21}, Reason.TOO_MANY, "evidence"),
        ({"evidence": [Evidence(note="ok"), Evidence(" ", "", "\n")]}, Reason.EMPTY_EVIDENCE, "evidence[1]"),
        ({"evidence": [Evidence("x" * 101)]}, Reason.TEXT_TOO_LONG, "evidence[0].document_number"),
        ({"evidence": [Evidence(note="x" * 10_001)]}, Reason.TEXT_TOO_LONG, "evidence[0].note"),
        ({"evidence": [Evidence(link="https://a.vn/" + "x" * 2_000)]}, Reason.TEXT_TOO_LONG, "evidence[0].link"),
        ({"evidence": [Evidence(link="ftp://a.vn")]}, Reason.INVALID_VALUE, "evidence[0].link"),
        ({"evidence": [Evidence(link="javascript:alert(1)")]}, Reason.INVALID_VALUE, "evidence[0].link"),
        ({"evidence": [Evidence(link="https://")]}, Reason.INVALID_VALUE, "evidence[0].link"),
        ({"evidence": [Evidence(link="https://[::1")]}, Reason.INVALID_VALUE, "evidence[0].link"),
        ({"evidence": [Evidence(link="https://a.vn:99999/")]}, Reason.INVALID_VALUE, "evidence[0].link"),
        ({"evidence": [Evidence(link="https://a.vn/b c")]}, Reason.INVALID_VALUE, "evidence[0].link"),
    ],
)
def test_texts_keep_their_limits(given: dict[str, Any], reason: Reason, field: str) -> None:
    """What is too long, too many, empty or no web address is refused by its own field."""
    refused = refusal_of(domain.advance, an_integration(), Stage.BUILT, **told(**given))

    assert (refused.reason, refused.fields) == (reason, (field,))


def test_texts_up_to_their_limits_are_taken() -> None:
    """2,000 characters of reason and 20 pieces of evidence are fine."""
    full = Evidence("x" * 100, "HTTPS://a.vn/" + "x" * 1_987, "y" * 2_000)
    _, entry = domain.block(an_integration(), **told(reason="ế" * 2_000, evidence=[full] * 20))

    assert entry.reason == "ế" * 2_000
    assert entry.evidence == (full,) * 20
