"""A small installation to which anything may happen, and what must hold of it whatever does."""

import asyncio
import tempfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from google.protobuf.message import Message
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.common.db import read_transaction
from services.common.errors import Reason, Refusal
from services.common.resources import decode_revision
from tests.support import naive
from tests.support.acts import Act, acts
from tests.support.catalog_commands import PROGRAMMES, create, create_programme
from tests.support.commands import IDS, Clock, Command, When
from tests.support.installation import SERVICES, start_installation
from tiendo.catalog.v1 import catalog_service_pb2 as catalog_pb2
from tiendo.catalog.v1 import programme_pb2, service_pb2
from tiendo.common.v1 import date_pb2
from tiendo.integration.v1 import integration_pb2
from tiendo.integration.v1 import integration_service_pb2 as pb
from tiendo.status.v1 import status_service_pb2 as status_pb2

# Each commit waits for the disk; memory that looks like one spares two thirds of the time.
_FOLDERS = "/dev/shm" if Path("/dev/shm").is_dir() else None
_JOURNALS = ("catalog", "integration")
_UNMET = (integration_pb2.CHECK_STATE_PENDING, integration_pb2.CHECK_STATE_FAILED)


class Sent(NamedTuple):
    """A command that was accepted, and its reply's bytes."""

    part: str
    method: str
    request: Any
    reply: bytes


class Commands(RuleBasedStateMachine):
    """An installation, everything that its journals say, and what was answered before."""

    engine = "sqlite"
    tried: ClassVar = Counter[tuple[str, str]]()
    """How often each method was accepted, and refused."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.folder = tempfile.TemporaryDirectory(prefix="tiendo-commands-", dir=_FOLDERS)
        self.loop = asyncio.Runner()
        self.tiendo = self.loop.run(start_installation(self.engine, Path(self.folder.name), self.clock))
        self.events: dict[str, list[Any]] = {journal: [] for journal in _JOURNALS}
        self.accepted: list[Sent] = []
        self.answered: list[tuple[status_pb2.GetCompletionRequest, naive.Answer]] = []
        self.touched: set[str] = set()
        self.counted: Any = None
        plan = programme_pb2.Programme(name=PROGRAMMES[0], display_name="Đề án", planned_count=6)
        slots = [[service_pb2.Membership(programme=PROGRAMMES[0], plan_number=number)] for number in (1, 2, 3)]
        self.send("catalog", create_programme(plan), *(create(IDS[at], places) for at, places in enumerate(slots)))
        self.loop.run(self.tiendo.carry_all())
        self.read_journals()

    def teardown(self) -> None:
        """Let go of everything."""
        for name in SERVICES:
            self.loop.run(self.tiendo.stop(name))
        self.loop.close()
        self.folder.cleanup()

    def ask(self, part: str, method: str, request: Message) -> Any:
        """Read something."""
        return self.loop.run(self.tiendo.parts[part].ask(method, request))

    def state(self, part: str) -> Any:
        """Everything that a part knows."""
        return self.tiendo.parts[part].runtime.live.current

    def resources(self, part: str) -> Any:
        """Everything that a part knows of its resources; how far it follows others is none of them."""
        state = self.state(part)
        return (state.head, state.entries, state.names) if part == "integration" else state

    def read_journals(self) -> None:
        """Read on in both journals."""
        for part, module in (("catalog", catalog_pb2), ("integration", pb)):
            after = len(self.events[part])
            if self.tiendo.head(part) > after:
                new = self.ask(part, "ListEvents", module.ListEventsRequest(after_sequence=after)).events
                self.events[part] += new
                self.touched |= {event.integration.service for event in new if part == "integration"}

    def send(self, part: str, *commands: Command) -> list[Any]:
        """Send commands at once; give for each its reply's bytes, or its refusal. What is refused changes nothing."""
        self.read_journals()
        before, head = self.resources(part), len(self.events[part])
        for _, request in commands:
            request.request_id = request.request_id or f"request-{self.tried.total()}-{id(request)}"

        async def at_once() -> list[Any]:
            calls = (self.tiendo.parts[part].raw(method, request) for method, request in commands)
            return await asyncio.gather(*calls, return_exceptions=True)

        outcomes = self.loop.run(at_once())
        self.read_journals()
        rows = Counter(event.request_id for event in self.events[part][head:])
        for (method, request), outcome in zip(commands, outcomes, strict=True):
            refused = isinstance(outcome, Refusal)
            self.tried[method, "refused" if refused else "accepted"] += 1
            assert refused or isinstance(outcome, bytes), outcome
            if refused:
                assert rows[request.request_id] == 0
            elif method.startswith("Batch"):
                assert rows[request.request_id] in (0, len(request.requests))
            if not refused:
                self.accepted.append(Sent(part, method, request, outcome))
        assert rows or self.resources(part) == before
        return outcomes

    @rule(act=acts)
    def do(self, act: Act) -> None:
        """Let it happen."""
        getattr(self, act.what)(*act.told)

    def integrate(self, commands: list[Any]) -> None:
        """Send integration a command, or some at once."""
        listed = self.ask("integration", "ListIntegrations", pb.ListIntegrationsRequest(programme="programmes/-"))
        present = {one.name: one for one in listed.integrations}
        self.send("integration", *(command.request(present, self.clock.today) for command in commands))

    def describe(self, commands: list[Command]) -> None:
        """Send the catalog a command, or some at once."""
        self.send("catalog", *commands)

    def wait(self, hours: int) -> None:
        """Let time pass."""
        self.clock.tick(hours=hours)

    def carry(self, way: tuple[str, str], most: int, again: int) -> None:
        """Let a follower have some rows, old ones among them."""
        self.loop.run(self.tiendo.carry(*way, most=most, again=again))

    def restart(self, part: str) -> None:
        """Start a service again: what it reads from its tables is what it had in memory."""
        before = self.state(part)
        self.loop.run(self.tiendo.restart(part))

        assert self.state(part) == before

    def repeat(self, one: int, other: int) -> None:
        """Send an accepted command again, or another one under its request id: nothing happens twice, or by mistake."""
        first = self.accepted[one % len(self.accepted)]
        second = self.accepted[other % len(self.accepted)] if other % 2 else first
        if second.part != first.part:
            return
        request = type(second.request)()
        request.CopyFrom(second.request)
        request.request_id = first.request.request_id
        head = self.tiendo.head(first.part)
        (outcome,) = self.send(first.part, (second.method, request))

        assert self.tiendo.head(first.part) == head
        if (second.method, request) == (first.method, first.request):
            assert outcome == first.reply
        else:
            assert isinstance(outcome, Refusal)
            assert outcome.reason is Reason.REQUEST_ID_REUSED

    def assert_counted(self, request: status_pb2.GetCompletionRequest) -> Any:
        """The answer is the one counted by hand over the rows that status has; give it, None where it was refused."""
        known_at = request.known_at.ToDatetime(tzinfo=UTC) if request.HasField("known_at") else self.clock.now
        day = naive.last_day(request.as_of) if request.as_of.year else self.clock.today
        followed = [self.events[source][: self.state("status").checkpoint(source).sequence] for source in _JOURNALS]
        expected = naive.count(followed[0], followed[1], request.programme, day, known_at, int(request.group_by))
        try:
            reply = self.ask("status", "GetCompletion", request)
        except Refusal as refusal:
            assert refusal.reason is Reason.PROGRAMME_NOT_FOUND
            assert expected is None
            return None
        total = reply.total

        assert naive.read_answer(reply) == expected
        lines = (total.completed, total.uncertain, total.in_progress, total.suspended, total.withdrawn)
        assert sum(lines) + total.not_reported == total.planned
        assert total.blocked <= total.in_progress
        assert sum(one.count for one in total.by_stage) == total.listed == sum(one.count for one in total.by_condition)
        assert not any(group.not_known for group in reply.groups[:-1])
        return reply

    def question(self, programme: str, days: list[Any], known: tuple[int, int] | None, by: int) -> None:
        """Any question is answered as counted by hand; one about the past is kept, to be asked again."""
        for day in days:
            request = status_pb2.GetCompletionRequest(programme=programme, group_by=by)  # type: ignore[arg-type]
            request.as_of.CopyFrom(day.on(self.clock.today) if isinstance(day, When) else self.beside(*day))
            if known:
                instants = self.instants()
                instant = instants[known[0] % len(instants)] + timedelta(microseconds=known[1])
                request.known_at.FromDatetime(min(instant, self.clock.now))
            reply = self.assert_counted(request)
            places = [self.state("status").checkpoint(source).sequence for source in _JOURNALS]
            if reply and places == [len(self.events[source]) for source in _JOURNALS]:
                request.known_at.CopyFrom(reply.known_at)
                self.answered.append((request, naive.read_answer(reply)))
                self.clock.tick(microseconds=1)

    def instants(self) -> list[datetime]:
        """When something was recorded."""
        return sorted({naive.recorded(event) for events in self.events.values() for event in events})

    def beside(self, pick: int, days: int) -> date_pb2.PartialDate:
        """One of those days, or one just beside it."""
        edges = self.edges()
        day = edges[pick % len(edges)] + timedelta(days=days)
        return date_pb2.PartialDate(year=day.year, month=day.month, day=day.day)

    def edges(self) -> list[date]:
        """The days on which something told begins, ends or was recorded."""
        told = [naive.what_of(event) for event in self.events["integration"]]
        dates = [one.transition.effective_date.date for one in told if hasattr(one, "transition")]
        dates += [one.check.date.date for one in told if hasattr(one, "check")]
        edges = {edge(one) for one in dates if one.year for edge in (naive.first_day, naive.last_day)}
        edges |= {(naive.recorded(event) + timedelta(hours=7)).date() for event in self.events["integration"]}
        return sorted(edges)

    def look_back(self) -> None:
        """Once all are up to date, answers for a past instant are what they were, and those for every day as counted by hand.

        The tables hold what the journals say.
        """
        self.loop.run(self.tiendo.carry_all())
        self.read_journals()
        edges, instants = self.edges(), self.instants()
        for pick in range(max(len(edges), len(instants))):
            request = status_pb2.GetCompletionRequest(programme=PROGRAMMES[0], as_of=self.beside(pick, 0))
            self.assert_counted(request)
            request.as_of.CopyFrom(When(0, "day").on(self.clock.today))
            request.known_at.FromDatetime(instants[pick % len(instants)])
            self.assert_counted(request)

        for request, before in self.answered:
            assert naive.read_answer(self.ask("status", "GetCompletion", request)) == before
        for journal in _JOURNALS:
            runtime = self.tiendo.parts[journal].runtime
            with read_transaction(runtime.engine) as connection:
                stored = runtime.journal.read(connection, 0, 10_000)
            for row, event in zip(stored, self.events[journal], strict=True):
                assert type(event).FromString(row.payload) == _without(event, "digest")

    @invariant()
    def only_the_programme_moves_its_denominator(self) -> None:
        """The plan has the places that were told last, whatever became of its services; and all is counted."""
        self.read_journals()
        what = (self.clock.today, *(self.state("status").checkpoint(source) for source in _JOURNALS))
        if what == self.counted:
            return
        self.counted = what
        reply = self.assert_counted(status_pb2.GetCompletionRequest(programme=PROGRAMMES[0]))
        followed = decode_revision(reply.revisions[0], "revisions").sequence
        plans = (sent.request for sent in self.accepted if sent.method.endswith("Programme"))
        asked = {plan.request_id: plan.programme for plan in plans if plan.programme.name == PROGRAMMES[0]}
        told = [event.request_id for event in self.events["catalog"][:followed] if event.request_id in asked]

        assert reply.total.planned == asked[told[-1]].planned_count

    @invariant()
    def history_explains_the_present(self) -> None:
        """Folding an integration's history gives its stage, condition and date; no step was taken that may not be."""
        for service in self.touched:
            name = service.replace("services/", "integrations/")
            present = self.ask("integration", "GetIntegration", pb.GetIntegrationRequest(name=name)).integration
            history = self.ask("integration", "ListTransitions", pb.ListTransitionsRequest(parent=name)).transitions
            events = [event for event in self.events["integration"] if event.integration.service == service]
            told = naive.claims(history, datetime.max.replace(tzinfo=UTC))

            assert naive.transitions_of(events, service) == [
                _without(one, "annulled_by", "redated_by") for one in history
            ]
            assert [entry.number for entry in history] == list(range(1, present.transition_count + 1))
            assert naive.state_after(claim.step for claim in told) == (present.stage, present.condition)
            assert present.effective_date == (told[-1].when if told else type(present.effective_date)())
            naive.assert_in_order(told)
            for event in events:
                if event.integration_advanced.transition.to_stage == naive.INTEGRATED:
                    assert not [check for check in event.integration.checks if check.state in _UNMET]
        self.touched.clear()


def _without(message: Any, *fields: str) -> Any:
    bare = type(message)()
    bare.CopyFrom(message)
    for field in fields:
        bare.ClearField(field)
    return bare
