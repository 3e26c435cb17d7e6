"""Names, masks, etags, request ids and revisions: the small strings a client sends back to us.

Invariant: every string is checked whole before a part of it is used; what we did not give out is refused.
"""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Collection, Iterable
from typing import NamedTuple

from services.common.errors import Reason, Refusal

_ID = re.compile(r"[a-z0-9-]{1,63}")
_REQUEST_ID = re.compile(r"[\x20-\x7e]{1,128}")
_TOKEN_LIMIT = 65_536


def check_id(value: str, field: str) -> str:
    """Give the id or alias as given. Raises Refusal MISSING_VALUE when empty, else INVALID_NAME."""
    if not value:
        raise Refusal(Reason.MISSING_VALUE, "is empty; give an id such as bca-001", field=field)
    if not _ID.fullmatch(value):
        raise Refusal(
            Reason.INVALID_NAME, "is not an id; give 1 to 63 characters of a-z, 0-9 and the hyphen", field=field
        )
    return value


def parse_name(name: str, collection: str, field: str = "name", default: str = "") -> str:
    """Give the id or alias in `collection/id`; an empty name gives `default`, itself an id.

    Raises Refusal MISSING_VALUE for an empty name without default, INVALID_NAME for any other form.
    """
    if not name and default:
        return default
    if not name:
        raise Refusal(Reason.MISSING_VALUE, f"is empty; give {collection}/ID", field=field)
    before, slash, resource_id = name.partition("/")
    if before != collection or not slash or not _ID.fullmatch(resource_id):
        raise Refusal(
            Reason.INVALID_NAME,
            f"is not the name of one of the {collection}; give {collection}/ID, "
            "the ID being 1 to 63 characters of a-z, 0-9 and the hyphen",
            field=field,
        )
    return resource_id


def etag(content: bytes) -> str:
    """Give a short opaque text that changes whenever the content does: 22 characters, URL-safe."""
    return _base64(hashlib.sha256(content).digest()[:16])


def check_mask(paths: Iterable[str], allowed: Collection[str], field: str = "update_mask") -> frozenset[str]:
    """Give the fields a mask names, `*` standing for all allowed ones.

    An empty mask gives an empty set, which means every field that is populated in the message (AIP-134); the caller,
    who holds the message, applies that. Paths are written as in the proto, `display_name`; the JSON spelling is
    refused. Raises Refusal INVALID_MASK.
    """
    named = set(paths)
    offered = ", ".join(sorted(allowed))
    for path in sorted(named - {"*"}):
        if path not in allowed:
            raise Refusal(
                Reason.INVALID_MASK,
                f"{path!r} is unknown or may not be changed; name some of {offered}",
                field=field,
                metadata={"path": path, "allowed": offered},
            )
    return frozenset(allowed) if "*" in named else frozenset(named)


def check_request_id(value: str) -> str:
    """Give the request id as given; empty means none. Raises Refusal INVALID_REQUEST_ID."""
    if value and not _REQUEST_ID.fullmatch(value):
        raise Refusal(
            Reason.INVALID_REQUEST_ID, "give 1 to 128 printable ASCII characters, such as a UUID", field="request_id"
        )
    return value


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def seal(content: bytes) -> str:
    """Give an opaque URL-safe text of the content and a checksum, which guards against mistyping, not forging."""
    return _base64(zlib.crc32(content).to_bytes(4) + content)


def unseal(text: str) -> bytes | None:
    """Give the content of a sealed text, or None for anything `seal` never gave."""
    if not text or len(text) > _TOKEN_LIMIT:
        return None
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    content = sealed[4:]
    # Sealing again catches the other spellings that base64 decodes to the same bytes.
    return content if seal(content) == text else None


class Revision(NamedTuple):
    """A position in a journal: what a write reached, or what a read is current through."""

    journal: str
    epoch: str
    sequence: int

    def encode(self) -> str:
        """Give the opaque text clients keep and send back in `at_least`."""
        return seal(f"{self.journal}\x1f{self.epoch}\x1f{self.sequence}".encode())


def decode_revision(text: str, field: str) -> Revision:
    """Read back `Revision.encode()`. Raises Refusal INVALID_TOKEN for anything else."""
    try:
        journal, epoch, sequence = (unseal(text) or b"").decode().split("\x1f")
        revision = Revision(journal, epoch, int(sequence))
    except ValueError:
        revision = None
    if revision is None or revision.sequence < 0 or revision.encode() != text:
        raise Refusal(Reason.INVALID_TOKEN, "is not a revision of ours; send one from a reply, unchanged", field=field)
    return revision
