"""Another service, as a feed asks it.

Invariant: rows come as the very bytes that are stored there.
"""

from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from services.common.call import TRANSPORT_BYTES
from services.common.feed import EpochChangedError, PeerUnavailableError


class Peer:
    """Another service's ListEvents, as raw bytes, for a feed."""

    def __init__(self, address: str, service: ServiceDescriptor, *, timeout_seconds: float = 5.0) -> None:
        """`service` is the peer's descriptor, for example `catalog_service_pb2.DESCRIPTOR.services_by_name[…]`."""
        self._address, self._timeout_seconds = address, timeout_seconds
        self._request = GetMessageClass(service.methods_by_name["ListEvents"].input_type)
        self._channel = grpc.aio.insecure_channel(
            address,
            options=(
                ("grpc.max_receive_message_length", TRANSPORT_BYTES),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.min_reconnect_backoff_ms", 5000),  # how long making a connection may take
                ("grpc.max_reconnect_backoff_ms", 1000),
            ),
        )
        self._call: Any = self._channel.unary_unary(f"/{service.full_name}/ListEvents")

    async def list_events(self, after: int, epoch: str, page_size: int) -> bytes:
        """Give a serialized ListEventsResponse. Raises PeerUnavailableError, EpochChangedError."""
        request = self._request(after_sequence=after, epoch=epoch, page_size=page_size)
        try:
            reply: bytes = await self._call(request.SerializeToString(), timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as failure:
            if failure.code() is grpc.StatusCode.FAILED_PRECONDITION:
                raise EpochChangedError from failure
            raise PeerUnavailableError(f"{self._address} does not answer ({failure.code().name})") from failure
        return reply

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()
