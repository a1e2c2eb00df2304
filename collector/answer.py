"""What a tracker gets back."""

from base64 import b64decode
from dataclasses import dataclass
from typing import Final

PIXEL: Final = b64decode("R0lGODlhAQABAPAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")

Headers = list[tuple[str, str]]


@dataclass(slots=True, init=False)
class Answer:
    """Headers in the order in which they are sent; those of the server itself come on top."""

    status: int
    headers: Headers
    body: bytes

    def __init__(self, status: int, headers: Headers, body: bytes = b"") -> None:
        self.status = status
        self.headers = headers
        self.body = body
