"""Requests that HTTP's grammar refuses although they can be understood: some clients send events in them."""

import re

#: A request line; control characters that end lines, or texts, are for nobody to guess at.
_REQUEST_LINE = re.compile(rb"([A-Z]+) (/[^\r\n\0]*) (HTTP/1\.[01])")

#: What no target may hold: spaces, controls and whatever is not ASCII.
_UNWRITTEN = re.compile(rb"[^!-~]")

#: Headers that say nothing of where a request ends; of several the first counts.
_ONCE = (b"user-agent", b"content-type")

_BLANK_LINE = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*([0-9]{1,18})[ \t]*\r\n", re.IGNORECASE)
_CODING = re.compile(rb"\r\nTransfer-Encoding:", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


def apart(data: bytes) -> list[bytes]:
    """Requests that came together, cut from each other as far as their heads tell where they end.

    A parser that is given the pieces one after the other reads what it would have read of the whole.
    """
    pieces, begin = [], 0
    while (end := _end(data, begin)) is not None and end < len(data):
        pieces.append(data[begin:end])
        begin = end
    return [*pieces, data[begin:]]


def _end(data: bytes, begin: int) -> int | None:
    blank = data.find(_BLANK_LINE, begin)
    if blank < 0:
        return None
    head = data[begin : blank + 2]
    if length := _LENGTH.search(head):
        return blank + len(_BLANK_LINE) + int(length[1])
    if not _CODING.search(head):
        return blank + len(_BLANK_LINE)
    last = data.find(_LAST_CHUNK, blank + 2)
    return last + len(_LAST_CHUNK) if last >= 0 else None


def mended(data: bytes) -> bytes | None:
    """The bytes from a request's beginning on, as they should have been sent; None where they are not to be mended."""
    line, end, rest = data.partition(b"\r\n")
    found = _REQUEST_LINE.fullmatch(line)
    if not end or found is None:
        return None
    target = _UNWRITTEN.sub(lambda byte: b"%%%02X" % byte[0][0], found[2])
    head, blank, body = rest.partition(b"\r\n\r\n")
    repaired = b"%b %b %b\r\n%b%b%b" % (found[1], target, found[3], _each_once(head) if blank else head, blank, body)
    return repaired if repaired != data else None


def _each_once(head: bytes) -> bytes:
    kept: dict[bytes, bytes] = {}
    for place, line in enumerate(head.split(b"\r\n")):
        name = line.partition(b":")[0].lower()
        kept.setdefault(name if name in _ONCE else b"%d" % place, line)
    return b"\r\n".join(kept.values())
