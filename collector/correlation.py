"""One id for a request in its answer, in the log, and in whatever stands before the collector."""

import re
from contextvars import ContextVar

HEADER = "X-Request-ID"

_FIT = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

#: The id of the request that the running task serves; None where it has none.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def sent_id(value: str | None) -> str | None:
    """The id that came with a request, if it can stand in headers and logs."""
    return value if value is not None and _FIT.fullmatch(value) else None
