"""What integration's endpoints share: the catalog's feed, finding an integration, the revisions of an answer.

Invariant: NOT_FOUND for a service is said only after the catalog's head was reached.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.common.call import Call
from services.common.endpoint import Endpoint
from services.common.envelope import chunk
from services.common.errors import Reason, Refusal
from services.common.feed import Feed, FeedHaltedError, PeerUnavailableError
from services.common.resources import parse_name
from services.integration import usecases
from services.integration.storage import CATALOG, Entry, IntegrationWork, State

DEFAULT_PAGE = 50
MOST_A_PAGE = 1000

T = TypeVar("T")


class Base(Endpoint[State, IntegrationWork]):
    """Base of integration's RPCs."""

    feed: Feed
    """The catalog's feed; set by the composition root."""

    def revisions(self, state: State) -> list[str]:
        """Own journal first, then the catalog's."""
        return [self.revision_of(state.head), *self.reached.revisions(CATALOG)]

    async def sure(self, call: Call, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask; where there is no such integration, catch up with the catalog's head first and ask again."""
        try:
            return await ask()
        except Refusal as refusal:
            if refusal.reason is not Reason.INTEGRATION_NOT_FOUND:
                raise
            missing = refusal
        try:
            await self.feed.catch_up(call.wait_seconds())
        except (PeerUnavailableError, TimeoutError):
            why = "the catalog does not answer whether the service exists; try again"
        except FeedHaltedError as halt:
            why = f"the catalog is not followed any more ({halt})"
        else:
            return await ask()
        raise Refusal(
            Reason.PEER_UNAVAILABLE,
            f"{missing.metadata['name']} is not known here, and {why}",
            field=missing.fields[0],
            metadata={"peer": CATALOG},
            retry_seconds=1,
        )

    def find(self, name: str, field: str) -> Entry:
        """Find an integration by name. Raises Refusal INVALID_NAME, INTEGRATION_NOT_FOUND."""
        entry = self.live.current.find(parse_name(name, "integrations", field))
        if entry is None:
            raise usecases.not_found(name, field)
        return entry

    def tail(self, state: State, field: int) -> bytes:
        """Give the revisions of a state as the last field of a reply."""
        return b"".join(chunk(field, revision.encode()) for revision in self.revisions(state))


async def call_of(found: Callable[[], T]) -> T:
    """Give what a plain function gives, as `sure` asks for it."""
    return found()
