"""What can be ordered of the process that draws, and how its answer begins.

Invariant: an order is the whole of what its drawing depends on, so that equal orders have the same drawing.
"""

import hashlib
import struct
from dataclasses import dataclass
from enum import StrEnum

from services.common.words import Lang
from services.status.domain import BurnUp
from services.status.forecast import Forecast

HEAD = struct.Struct(">?Q")
"""Whether what follows is a drawing, or the reason why there is none, and how many bytes it has."""


class Format(StrEnum):
    """What kind of file; the value is how its name ends."""

    SVG = "svg"
    PNG = "png"
    PDF = "pdf"


@dataclass(frozen=True, slots=True)
class Order:
    """A burn-up chart. `label` says in words what it shows; `narrow` is for phones, `dark` for pages by night."""

    data: BurnUp
    ahead: Forecast | None
    lang: Lang
    label: str
    dark: bool = False
    narrow: bool = False
    format: Format = Format.SVG

    @property
    def reference(self) -> str:
        """A short text that is another one when the drawing is."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]
