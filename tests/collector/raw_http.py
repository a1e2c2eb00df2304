"""HTTP as bytes over a socket, for what no client library sends."""

import asyncio
from dataclasses import dataclass

#: Longest wait for an answer or a closed connection, seconds.
PATIENCE_S = 15


@dataclass(frozen=True)
class Answer:
    """A parsed answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def exchange(port: int, data: bytes, *, method: str = "GET", patience_s: float = PATIENCE_S) -> Answer | None:
    """Send bytes on a new connection; the first answer, or None when the server closed without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(patience_s):
            writer.write(data)
            return await read_answer(reader, method)
    except ConnectionError:
        return None
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader, method: str = "GET") -> Answer | None:
    """The next answer on a connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
    return Answer(int(first.split(" ")[1]), headers, await reader.readexactly(length))


def post(body: bytes, *headers: str, path: str = "/com.acme/v1") -> bytes:
    """A well-formed POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: collector.example.com", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
