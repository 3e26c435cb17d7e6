"""Integrations as messages."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.dates import EffectiveDate, PartialDate
from services.common.errors import Refusal
from services.integration import domain, wire
from services.integration.domain import Evidence, Integration
from services.integration.domain.transitions import Told
from tests.support.integration import ACTOR, NOW
from tiendo.integration.v1 import events_pb2, integration_pb2

_PROGRAMMES, _FORMER = ("bca-2022", "bca-2023"), ("ten-cu",)
_VERBS = (domain.block, domain.unblock, domain.suspend, domain.resume, domain.withdraw, domain.reinstate)
_TODAY = date(2100, 3, 3)

Change = tuple[str, int, int]


def changed(state: Integration, change: Change, now: datetime) -> Integration:
    """Take a step or make a setting; refused ones change nothing."""
    kind, first, second = change
    dated = EffectiveDate(PartialDate(2022, first % 12 + 1), at_latest=second % 2 == 0) if second % 3 else None
    told: Told = {
        "effective_date": dated,
        "reason": f"lý do {first}",
        "evidence": [Evidence("1/QĐ")],
        "today": _TODAY,
        "now": now,
        "actor": ACTOR,
    }
    stage = domain.Stage(first % 7 + 1)
    try:
        if kind == "stage":
            verb = domain.advance if stage > state.stage else domain.revert
            return verb(state, stage, **told)[0]
        if kind == "condition":
            return _VERBS[first % len(_VERBS)](state, **told)[0]
        if kind == "check":
            check = domain.Check(first % len(domain.Check) + 1)
            standing = domain.CheckState(second % len(domain.CheckState) + 1)
            return domain.set_check(
                state, check, standing, effective_date=dated, evidence=[], today=_TODAY, now=now, actor=ACTOR
            )
        portal = domain.Portal(first % len(domain.Portal) + 1)
        if kind == "answer":
            found = domain.Found(200, "" if second % 2 else "HTTP 404", timedelta(milliseconds=first))
            link = next((link for link in state.portal_links if link.portal is portal), domain.PortalLink(portal, ""))
            made = domain.answered(state, link, found, now=now, actor=ACTOR)
            return made[0] if made else state
        uri = f"https://example.vn/{second}" if second % 2 else ""
        return domain.set_portal_link(state, portal, uri, now=now, actor=ACTOR)
    except Refusal:
        return state


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"integration_created": {}}, "made from the catalog"),
        ({"integration_advanced": {}}, "stage: BUILT"),
        ({"integration_blocked": {}}, "condition: SUSPENDED"),
        (
            {"connection_check_set": {"check": {"check": "CHECK_E_FORM", "state": "CHECK_STATE_FAILED"}}},
            "e form check: FAILED",
        ),
        ({"portal_link_set": {"link": {"portal": "PORTAL_NATIONAL"}}}, "link to the national portal"),
        ({"transition_corrected": {"corrected": {"number": 3}}}, "entry 3 corrected"),
    ],
)
def test_an_event_is_said_in_a_few_words(event: dict[str, Any], words: str) -> None:
    """What a stale etag missed is told as a person would say it; a step by what it is about, stage or condition."""
    after = integration_pb2.Integration(
        stage=integration_pb2.STAGE_BUILT, condition=integration_pb2.CONDITION_SUSPENDED
    )

    assert wire.change_words(events_pb2.IntegrationEvent(integration=after, **event)) == words


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["stage", "condition", "check", "link", "link", "answer", "answer"]),
            st.integers(0, 20),
            st.integers(0, 20),
        ),
        max_size=12,
    )
)
def test_a_change_written_into_the_message_before_is_the_whole_written_anew(changes: list[Change]) -> None:
    """Whatever changed, in whatever order, what is stored is the integration as it is."""
    state = domain.new_integration("bca-012", "ten", "Tên", NOW, ACTOR)
    message = wire.integration_out(state, _PROGRAMMES, _FORMER)
    for turn, change in enumerate(changes):
        after = changed(state, change, NOW + timedelta(seconds=turn))
        message = wire.integration_changed(message.SerializeToString(), state, after)
        state = after

    assert message == wire.integration_out(state, _PROGRAMMES, _FORMER)
    assert wire.integration_of(message, state.version) == state
