"""Reading a statement as far as a server must: where an INSERT's data begins, which format an answer has.

ClickHouse's HTTP interface takes statement and data in one stream. The engine wants them apart.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

#: What an answer is written in when neither the statement nor the request says it.
DEFAULT_FORMAT = "TabSeparated"

_TOKEN = re.compile(
    rb"""(?P<space>\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)
    |(?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_SETTINGS = re.compile(
    rb"\s+(SETTINGS\s+\w+\s*=\s*(?:'(?:[^'\\]|\\.)*'|[\w.+-]+)(?:\s*,\s*\w+\s*=\s*(?:'(?:[^'\\]|\\.)*'|[\w.+-]+))*)",
    re.IGNORECASE,
)
_BEFORE_DATA = re.compile(rb"(?:\s*;)?[ \t\f]*\r?\n?")
#: How statements begin that put something on the disk; those that make room there are not among them.
_WRITING = frozenset(
    {b"ALTER", b"ATTACH", b"CREATE", b"EXCHANGE", b"INSERT", b"OPTIMIZE", b"RENAME", b"REPLACE", b"UPDATE"}
)
_INPUT = re.compile(rb"\binput\s*\(", re.IGNORECASE)


class Insert(NamedTuple):
    """An INSERT that takes data.

    statement: up to its settings. settings: `SETTINGS …` or nothing. data_at: where in the text data begins.
    """

    statement: str
    settings: str
    format: str
    data_at: int


class Statement(NamedTuple):
    """What a server must know of any other statement. `refused`: why a server does not run it, else None. `writes`:
    whether it needs room on the disk."""

    format: str | None
    refused: str | None
    writes: bool


class _Token(NamedTuple):
    text: bytes
    start: int
    end: int


def insert_in(text: bytes) -> Insert | None:
    """The INSERT that `text` begins with, if it takes data; None for everything else, INSERT … SELECT included.

    Raises UnicodeDecodeError where the statement is no text.
    """
    tokens = _tokens(text)
    if next(tokens, _Token(b"", 0, 0)).text != b"INSERT":
        return None
    settings_at = None
    for token in tokens:
        if token.text in {b"SELECT", b"WITH", b"FROM", b"WATCH", b";"}:
            return None
        if token.text == b"SETTINGS":
            settings_at = token.start
        if token.text == b"VALUES":
            return _insert(text, settings_at, token, b"Values", token.end)
        if token.text == b"FORMAT":
            return _formatted(text, settings_at, token, next(tokens, None))
    return None


def inspect(text: bytes) -> Statement:
    """The format an answer will have, and whether a server would refuse to run the statement."""
    tokens = list(_tokens(text))
    words = [token.text for token in tokens]
    while words and words[-1] == b";":
        words.pop()
    return Statement(_answer_format(text, tokens), _refusal(text, words), bool(_WRITING.intersection(words[:1])))


def _formatted(text: bytes, settings_at: int | None, keyword: _Token, name: _Token | None) -> Insert | None:
    if name is None:
        return None
    end = name.end
    late = _SETTINGS.match(text, end)
    before = _BEFORE_DATA.match(text, late.end() if late else end)
    insert = _insert(text, settings_at, keyword, text[name.start : end], before.end() if before else end)
    return insert._replace(settings=late[1].decode()) if late else insert


def _insert(text: bytes, settings_at: int | None, keyword: _Token, format_: bytes, data_at: int) -> Insert:
    """settings_at: where SETTINGS stands, before the format; None where there are none."""
    end = keyword.start if settings_at is None else settings_at
    return Insert(text[:end].decode(), text[end : keyword.start].decode(), format_.decode(), data_at)


def _answer_format(text: bytes, tokens: list[_Token]) -> str | None:
    for keyword, name in zip(reversed(tokens[:-1]), reversed(tokens[1:]), strict=True):
        if keyword.text == b"FORMAT":
            return text[name.start : name.end].decode("ascii", "replace")
    return None


def _refusal(text: bytes, words: list[bytes]) -> str | None:
    pairs = set(pairwise(words))
    if not words:
        return "Code: 62. DB::Exception: Syntax error: empty query. (SYNTAX_ERROR)"
    if b";" in words:
        return "Code: 62. DB::Exception: Syntax error (Multi-statements are not allowed). (SYNTAX_ERROR)"
    if (b"INTO", b"OUTFILE") in pairs or (b"FROM", b"INFILE") in pairs:
        return "Code: 344. DB::Exception: Files of the client are out of a server's reach. (SUPPORT_IS_DISABLED)"
    if words[0] == b"INSERT" and _INPUT.search(text):
        return "Code: 48. DB::Exception: input() is not implemented by the embedded server. (NOT_IMPLEMENTED)"
    return None


def _tokens(text: bytes) -> Iterator[_Token]:
    """Words in capitals, quoted names as they are, `;`; only outside brackets and comments."""
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in b"([{":
            depth += 1
        elif token in b")]}":
            depth -= 1
        elif depth == 0 and not match["space"]:
            yield _Token(token if match["quoted"] else token.upper(), match.start(), match.end())
