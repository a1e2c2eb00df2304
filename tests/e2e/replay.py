"""Recorded requests, sent byte by byte over a socket, each from a loopback address of its own.

The address tells afterwards which row and which bad row came of which request, where the payload has no id.
"""

import base64
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from http.cookies import SimpleCookie
from typing import Any

#: Seconds until a request that gets no answer fails.
_TIMEOUT_S = 20


@dataclass(frozen=True)
class Answer:
    """What the collector said; header names in lower case, every value kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


def source_address(number: int) -> str:
    """The loopback address of the number-th request: 127.77.x.y, never .0 or .255."""
    high, low = divmod(number, 250)
    return f"127.77.{high}.{low + 1}"


def seen_address(number: int, request: dict[str, Any]) -> str:
    """The visitor's address to the collector: the first hop that a proxy named, else where the connection came from."""
    named = (value for name, value in request["headers"] if name.lower() == "x-forwarded-for")
    hop = re.match(r"[\"\[ ]*(\d+(?:\.\d+){3}|[0-9a-f:.]+)", next(named, "").lower())
    return hop[1] if hop else source_address(number)


def request_bytes(request: dict[str, Any]) -> bytes:
    """The request exactly as recorded: target, header names, order and body."""
    lines = [f"{request['method']} {request['target']} HTTP/{request['http_version']}"]
    lines += [f"{name}: {value}" for name, value in request["headers"]]
    head = "\r\n".join(lines) + "\r\n\r\n"
    return head.encode("latin-1") + base64.b64decode(request["body_b64"] or "")


def send(port: int, number: int, request: dict[str, Any]) -> Answer:
    """One request on one connection from the number-th source address."""
    with socket.create_connection(
        ("127.0.0.1", port), timeout=_TIMEOUT_S, source_address=(source_address(number), 0)
    ) as connection:
        connection.sendall(request_bytes(request))
        with HTTPResponse(connection, method=request["method"]) as response:
            response.begin()
            body = response.read()
            headers = tuple((name.lower(), value) for name, value in response.getheaders())
            return Answer(response.status, headers, body)


def takes_cookie_away(answer: Answer) -> bool:
    """Who becomes anonymous with a cookie loses it."""
    morsel = SimpleCookie(answer.header("set-cookie")).get("sp")
    if morsel is None or morsel.value or not morsel["expires"]:
        return False
    return parsedate_to_datetime(morsel["expires"]) < datetime.now(UTC)
