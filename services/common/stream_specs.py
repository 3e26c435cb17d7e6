"""How the streams are kept: one for each journal.

Invariant: a stream is limited by its size alone, so that its last message always stays.
"""

from dataclasses import dataclass
from typing import Any, Literal

from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

_MAX_BYTES = 1 << 30
_MAX_MESSAGE_BYTES = 1 << 20  # the server's own default; an event of 128 KiB stays well below it as JSON


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One stream: where a service's journal is delivered to."""

    name: str
    subjects: tuple[str, ...]
    max_bytes: int = _MAX_BYTES
    num_replicas: int = 1

    def settings(self) -> dict[str, Any]:
        """Say how the stream is kept: limited by size alone, so that its last message always stays.

        The duplicate window is as small as the server allows (100 ms; less is its error 10052, and 0 means two
        minutes). Within it a row that a purge removed is answered with "duplicate" although it is no longer held: the
        relay asks again, and after 100 ms it is taken. The numbers refuse holes and repeats, not the window.

        Rollups are allowed so that a relay can begin again in one step where the stream was cut.
        """
        return {
            "name": self.name,
            "subjects": list(self.subjects),
            "storage": StorageType.FILE,
            "retention": RetentionPolicy.LIMITS,
            "discard": DiscardPolicy.OLD,
            "max_age": 0,
            "max_msgs": -1,
            "max_msgs_per_subject": -1,
            "max_bytes": self.max_bytes,
            "max_msg_size": _MAX_MESSAGE_BYTES,
            "num_replicas": self.num_replicas,
            "allow_direct": True,
            "allow_rollup_hdrs": True,
            "duplicate_window": 0.1,
        }


def stream_specs(*, max_bytes: int = _MAX_BYTES, num_replicas: int = 1) -> tuple[StreamSpec, ...]:
    """Return the three streams, one for each journal."""
    return tuple(
        StreamSpec(f"TIENDO_{word.upper()}", (f"tiendo.{word}.v1.>",), max_bytes, num_replicas)
        for word in ("catalog", "integration", "progress")
    )


async def ensure_stream(js: JetStreamContext, spec: StreamSpec) -> Literal["made", "present", "changed"]:
    """Make the stream, or mend what differs from its description; what is not described (its placement) stays.

    It never takes copies away: whoever names one server of a cluster does not mean that.

    Raises nats.js.errors.APIError when the server refuses, nats.errors.Error when it does not answer.
    """
    wanted = spec.settings()
    try:
        found = (await js.stream_info(spec.name)).config
    except NotFoundError:
        await js.add_stream(StreamConfig(**wanted))
        return "made"
    wanted["num_replicas"] = max(spec.num_replicas, found.num_replicas or 1)
    if all(getattr(found, name) == value for name, value in wanted.items()):
        return "present"
    await js.update_stream(found.evolve(**wanted))
    return "changed"
