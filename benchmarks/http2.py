"""A gRPC client that costs next to nothing: prepared HTTP/2 frames on one blocking connection.

Invariant: every call it counts was answered with a message; one that was not raises, so no figure rests on errors. A client
made of a gRPC library would be the bottleneck itself.
"""

import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_WINDOW = 1 << 30
_READ_BYTES = 1 << 18


@dataclass(frozen=True)
class Load:
    """What a run of calls took: answers a second, and each call's seconds from its sending to its end."""

    per_second: float
    seconds: list[float]


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _text(value: str) -> bytes:
    encoded = value.encode()
    assert len(encoded) < 127
    return bytes((len(encoded),)) + encoded


class Connection:
    """One connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._authority = f"127.0.0.1:{port}"
        self._buffer = bytearray()
        self._stream = 1
        self._window = 65_535
        self._taken = 0
        self._kept: bytearray | None = None
        settings = struct.pack(">HI", 4, _WINDOW)
        grown = struct.pack(">I", _WINDOW)
        self._send(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", _frame(_SETTINGS, 0, 0, settings), _frame(_WINDOW_UPDATE, 0, 0, grown)
        )

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def run(self, method: str, requests: Sequence[bytes], at_once: int) -> Load:
        """Make a call for each serialized request, `at_once` in flight. Raises RuntimeError for one without a message."""
        headers = (
            # From HPACK's static table: POST, http, then names :path, :authority, content-type with new values.
            b"\x83\x86\x04" + _text(method) + b"\x01" + _text(self._authority)
            + b"\x0f\x10" + _text("application/grpc") + b"\x00" + _text("te") + _text("trailers")
        )  # fmt: skip
        begun: dict[int, float] = {}
        answered: set[int] = set()
        took: list[float] = []
        waiting = iter(requests)
        left = len(requests)
        start = time.perf_counter()
        more = True
        while left:
            frames: list[bytes] = []
            while more and len(begun) < at_once and self._window > 65_535 // 2:
                request = next(waiting, None)
                if request is None:
                    more = False
                    break
                body = b"\x00" + struct.pack(">I", len(request)) + request
                frames.append(_frame(_HEADERS, _END_HEADERS, self._stream, headers))
                frames.append(_frame(_DATA, _END_STREAM, self._stream, body))
                self._window -= len(body)
                begun[self._stream] = time.perf_counter()
                self._stream += 2
            self._send(*frames)
            for kind, flags, stream, payload in self._receive():
                if kind == _DATA and payload:
                    answered.add(stream)
                if kind == _RESET or (kind in {_DATA, _HEADERS} and flags & _END_STREAM):
                    if stream not in answered:
                        raise RuntimeError(f"{method}: a call was answered without a message")
                    answered.discard(stream)
                    took.append(time.perf_counter() - begun.pop(stream))
                    left -= 1
        return Load(len(requests) / (time.perf_counter() - start), took)

    def call(self, method: str, request: bytes) -> bytes:
        """Make one call and give its serialized answer."""
        kept = self._kept = bytearray()
        self.run(method, [request], 1)
        self._kept = None
        return bytes(kept[5:])

    def _send(self, *frames: bytes) -> None:
        if frames:
            self._socket.sendall(b"".join(frames))

    def _receive(self) -> list[tuple[int, int, int, bytes]]:
        """Wait for frames; answer what the connection itself asks for, give the rest."""
        received = self._socket.recv(_READ_BYTES)
        if not received:
            raise RuntimeError("the server closed the connection")
        self._buffer += received
        frames: list[tuple[int, int, int, bytes]] = []
        at = 0
        while len(self._buffer) - at >= 9:
            length = int.from_bytes(self._buffer[at : at + 3])
            if len(self._buffer) - at < 9 + length:
                break
            kind, flags = self._buffer[at + 3], self._buffer[at + 4]
            stream = int.from_bytes(self._buffer[at + 5 : at + 9]) & 0x7FFFFFFF
            payload = bytes(self._buffer[at + 9 : at + 9 + length])
            at += 9 + length
            self._take(kind, flags, stream, payload)
            frames.append((kind, flags, stream, payload))
        del self._buffer[:at]
        return frames

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            self._send(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._send(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload)
        elif kind == _GOAWAY:
            raise RuntimeError("the server goes away")
        elif kind == _DATA:
            if self._kept is not None:
                self._kept += payload
            self._taken += len(payload)
            if self._taken > _WINDOW // 2:
                self._send(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._taken)))
                self._taken = 0
