"""`pattern`: regular expressions as schema authors write them (Java's), for Python's `re` and for the fast engine.

A pattern is compiled once, when the schema is loaded. One that can't be compiled is ignored, as upstream does, and
`evnt schema lint` names it.
"""

import re
import warnings
from typing import Final, NamedTuple

from enricher.iglu.categories import members as category

_LINE_ENDS: Final = "\n\r\x85\u2028\u2029"

#: Java's classes mean ASCII; what stands between the brackets of a class.
_CLASSES: Final = {
    "d": "0-9",
    "w": "0-9A-Za-z_",
    "s": " \t-\r",
    "e": "\x1b",
    "h": " \t\xa0\u1680\u180e\u2000-\u200a\u202f\u205f\u3000",
    "v": "\n-\r\x85\u2028\u2029",
    r"p{Lower}": "a-z",
    r"p{Upper}": "A-Z",
    r"p{Alpha}": "A-Za-z",
    r"p{Digit}": "0-9",
    r"p{Alnum}": "0-9A-Za-z",
    r"p{XDigit}": "0-9A-Fa-f",
    r"p{Punct}": r"!-/:-@\[-`{-~",
    r"p{Space}": " \t-\r",
    r"p{Cntrl}": "\x00-\x1f\x7f",
    r"p{ASCII}": "\x00-\x7f",
}
_NEGATED: Final = {letter.upper(): _CLASSES[letter] for letter in "dwshv"}
#: The same between the brackets of another class, for those that have so few members that the others can be told.
_OTHERS: Final = {
    "D": "\x00-/:-\U0010ffff",
    "W": "\x00-/:-@\\[-^`{-\U0010ffff",
    "S": "\x00-\x08\x0e-\x1f!-\U0010ffff",
}

_ATOM = re.compile(
    r"\\[pP]\{\w+\}|\\[pP][A-Z]|\\x\{[0-9A-Fa-f]+\}|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\Q.*?(?:\\E|$)|\\.|"
    r"\{[0-9]+(?:,[0-9]*)?\}(?![+])|\{[0-9]+(?:,[0-9]*)?(?=\}[+])|\[\^?|\(\?<(?=[a-zA-Z])|\(\?:|\(\?|[*+?}][+]|&&|.",
    re.DOTALL,
)
_SAFE_ESCAPES: Final = frozenset("\\.^$|?*+()[]{}-/tnrf")


class Pattern(NamedTuple):
    """A pattern for both engines. `fast` is None where the two might read it differently."""

    text: str
    fast: str | None


def translate(java: str) -> Pattern | None:
    """None where the pattern can't be compiled."""
    try:
        pattern = _translated(java)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern.text)
    except (re.error, OverflowError, RecursionError):
        return None
    return pattern


def _translated(java: str) -> Pattern:
    text: list[str] = []
    fast: list[str | None] = []
    atoms, inside = _ATOM.findall(java), False
    for atom, following in zip(atoms, [*atoms[1:], ""], strict=False):
        piece, quick = _in_class(atom) if inside else _outside(atom, following)
        opening = bool(text) and inside and text[-1] in ("[", "[^")
        fast.append(None if atom == "]" and opening else quick)
        inside = atom[0] == "[" or (inside and (atom != "]" or opening))
        text.append(piece)
    alike = [piece for piece in fast if piece is not None]
    return Pattern("".join(text), "".join(alike) if len(alike) == len(fast) else None)


def _in_class(atom: str) -> tuple[str, str | None]:
    """An atom between brackets, for Python and for the fast engine. Neither has Java's classes inside of classes."""
    if atom[0] == "[" or atom == "&&":
        raise re.error("a class inside of a class")
    if atom[0] != "\\":
        return atom, None if atom == "&" else atom
    members = _members(atom[1:]) or _OTHERS.get(atom[1:])
    return (members, members) if members else _literal(atom)


_CATEGORY = re.compile(r"p(?:\{(?:Is)?([LMNPSZ][a-z]?)\}|([LMNPSZ]))")


def _members(name: str) -> str | None:
    """Of a class that Java has: what stands between its brackets."""
    match = _CATEGORY.fullmatch(name)
    return category(match[1] or match[2]) if match else _CLASSES.get(name)


def _outside(atom: str, following: str) -> tuple[str, str | None]:
    if atom == "$":  # the fast engine's `$` never stands before a last line break
        return _END, _FAST_END if following in ("", ")", "|") else None
    if atom in _OUTSIDE:
        return _OUTSIDE[atom]
    if (len(atom) == 1 and atom != "{") or atom in ("[^", "&&"):
        return atom, atom
    if atom == "{":
        raise re.error("repetition of nothing, or of no number of times")
    if atom[0] != "\\":
        return atom, atom if atom[-1] == "}" else None
    if members := _members(atom[1:]):
        return f"[{members}]", f"[{members}]"
    if atom[1] == "P" and (members := _members(f"p{atom[2:]}")):
        return f"[^{members}]", f"[^{members}]"
    return _literal(atom)


#: Where Java's `$` stands: at the end, or before a last line end of any kind.
_END: Final = r"(?=(?:\r\n|[\n\r\x85\u2028\u2029])?\Z)"
_FAST_END: Final = f"(?:\r\n|[{_LINE_ENDS}])?$"
_OUTSIDE: Final[dict[str, tuple[str, str | None]]] = {
    ".": (f"[^{_LINE_ENDS}]", f"[^{_LINE_ENDS}]"),
    "(?:": ("(?:", "(?:"),
    "(?<": ("(?P<", None),
    r"\z": (r"\Z", None),
    r"\Z": (_END, None),
    **{rf"\{letter}": (f"[^{members}]", f"[^{members}]") for letter, members in _NEGATED.items()},
}


def _literal(atom: str) -> tuple[str, str | None]:
    name = atom[1:]
    if name.startswith("Q"):
        return re.escape(name[1:].removesuffix(r"\E")), None
    if name.startswith("x{"):
        return rf"\U{int(name[2:-1], 16):08x}", None
    return atom, atom if name in _SAFE_ESCAPES else None
