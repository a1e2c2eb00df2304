"""The Iglu vocabulary: how a schema is named, and which warehouse column its data goes to."""

import re
from functools import lru_cache
from typing import NamedTuple

_URI = re.compile(r"iglu:([a-zA-Z0-9-_.]+)/([a-zA-Z0-9-_]+)/([a-zA-Z0-9-_]+)/([0-9]*(?:-(?:[0-9]*)){2})", re.ASCII)
_VERSION = re.compile(r"([1-9][0-9]*)-(0|[1-9][0-9]*)-(0|[1-9][0-9]*)", re.ASCII)
_LARGEST = 2**31 - 1
_LONGEST_PART = 128


class InvalidIgluUri(ValueError):
    """Not an Iglu URI; `code` is INVALID_IGLUURI or INVALID_SCHEMAVER, as Iglu's own clients say."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class SchemaKey(NamedTuple):
    """A schema's name. `iglu:com.acme/cart/jsonschema/1-0-2` is model 1, revision 0, addition 2."""

    vendor: str
    name: str
    format: str
    version: str

    @property
    def uri(self) -> str:
        return f"iglu:{self.vendor}/{self.name}/{self.format}/{self.version}"

    @property
    def path(self) -> str:
        """Where the schema lies below `schemas/` in a static registry."""
        return f"{self.vendor}/{self.name}/{self.format}/{self.version}"

    @property
    def model(self) -> int:
        return int(self.version.split("-", 1)[0])

    @classmethod
    def parse(cls, uri: str) -> "SchemaKey":
        """Raises InvalidIgluUri."""
        match = _URI.fullmatch(uri)
        if match is None or any(len(part) > _LONGEST_PART for part in match.groups()[:3]):
            raise InvalidIgluUri("INVALID_IGLUURI", uri)
        key = cls(*match.groups())
        version = _VERSION.fullmatch(key.version)
        if version is None or any(int(part) > _LARGEST for part in version.groups()):
            raise InvalidIgluUri("INVALID_SCHEMAVER", uri)
        return key


class SchemaCriterion(NamedTuple):
    """A family of schemas: `iglu:com.acme/cart/jsonschema/1-*-*`; None stands for any number."""

    vendor: str
    name: str
    format: str
    model: int | None = None
    revision: int | None = None
    addition: int | None = None

    def matches(self, key: SchemaKey) -> bool:
        if (self.vendor, self.name, self.format) != key[:3]:
            return False
        parts = (int(part) for part in key.version.split("-"))
        return all(want in (None, part) for want, part in zip(self[3:], parts, strict=True))

    @property
    def text(self) -> str:
        version = "-".join("*" if part is None else str(part) for part in self[3:])
        return f"iglu:{self.vendor}/{self.name}/{self.format}/{version}"


def _snake(text: str) -> str:
    return re.sub(r"([^A-Z_])([A-Z])", r"\1_\2", re.sub(r"[.-]", "_", text)).lower()


@lru_cache(maxsize=4096)
def column_suffix(vendor: str, name: str, model: int) -> str:
    """The part after `contexts_` or `unstruct_event_`: `com_acme_cart_1` (Snowplow's Analytics SDK rule)."""
    return f"{re.sub(r'[.-]', '_', vendor).lower()}_{_snake(name)}_{model}"
