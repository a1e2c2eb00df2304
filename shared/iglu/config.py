"""The resolver's configuration: Snowplow's `resolver.json`, as YAML or JSON, unchanged.

Also accepted: the inner object without the self-describing wrapper, and `connection: {embedded: {path}}` with a path
relative to the configuration file. The schemas that evnt ships are always among the registries, whatever the file says:
without those of the tracker protocol nothing validates.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.document import read
from shared.iglu.folder import FolderRegistry
from shared.iglu.http import HttpRegistry
from shared.iglu.registry import Registry
from shared.iglu.resolver import SchemaResolver
from shared.schema import InvalidIgluUri, SchemaCriterion, SchemaKey

CRITERION: Final = SchemaCriterion("com.snowplowanalytics.iglu", "resolver-config", "jsonschema", 1, 0)

#: The schemas that come with evnt, and the name of their registry in a lookup history.
BUNDLED: Final = Path(__file__).parents[2] / "schemas"
BUNDLED_NAME: Final = "evnt bundled"


class ResolverRefused(Exception):
    """The configuration can't be used; `problems` says where and what was expected. The process must not start."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class HttpConnection(_Model):
    uri: str = Field(pattern=r"^https?://[^/\s]")
    apikey: str | None = Field(default=None, repr=False)


class EmbeddedConnection(_Model):
    path: str = Field(min_length=1)


class Connection(_Model):
    http: HttpConnection | None = None
    embedded: EmbeddedConnection | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "Connection":
        if (self.http is None) == (self.embedded is None):
            raise ValueError("expected either `http` or `embedded`")
        return self


class Repository(_Model):
    name: str = Field(min_length=1)
    priority: int = 0
    vendor_prefixes: tuple[str, ...] = Field(default=(), alias="vendorPrefixes")
    connection: Connection


class ResolverConfig(_Model):
    """cacheSize: schemas kept. cacheTtl: seconds they are kept before they are asked for again; absent: for ever."""

    cache_size: int = Field(default=500, alias="cacheSize", ge=0)
    cache_ttl: int | None = Field(default=None, alias="cacheTtl")
    repositories: tuple[Repository, ...] = ()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "ResolverConfig":
        twice = [name for name, times in Counter(known.name for known in self.repositories).items() if times > 1]
        if twice:
            raise ValueError(f"repository names must be unique, but occur more than once: {', '.join(twice)}")
        return self


def load(file: Path) -> ResolverConfig:
    """Raises ResolverRefused."""
    try:
        document = read(file.read_text("utf-8"))
    except OSError as error:
        raise ResolverRefused([f"{file}: {error.strerror}"]) from error
    except ValueError as error:
        raise ResolverRefused([f"{file}: not YAML or JSON: {error}"]) from error
    return parse(document, str(file))


def parse(document: Any, source: str) -> ResolverConfig:
    """`source` names the document in errors. Raises ResolverRefused."""
    try:
        return ResolverConfig.model_validate(_unwrapped(document, source))
    except ValidationError as error:
        raise ResolverRefused([_problem(source, fault) for fault in error.errors()]) from error


def open_resolver(config: ResolverConfig, folder: Path, clock: Callable[[], float]) -> SchemaResolver:
    """`folder`: what embedded paths are relative to."""
    registries = [_registry(known, folder) for known in config.repositories]
    if not any(isinstance(known, FolderRegistry) and known.root.resolve() == BUNDLED.resolve() for known in registries):
        registries.append(FolderRegistry(BUNDLED_NAME, BUNDLED))
    return SchemaResolver(registries, clock, config.cache_size, config.cache_ttl)


def _registry(known: Repository, folder: Path) -> Registry:
    if known.connection.http is not None:
        http = known.connection.http
        return HttpRegistry(known.name, http.uri, known.priority, known.vendor_prefixes, http.apikey)
    root = folder / (known.connection.embedded.path if known.connection.embedded else "")
    if not root.is_dir():
        raise ResolverRefused([f"repository {known.name}: {root} is not a folder"])
    return FolderRegistry(known.name, root, known.priority, known.vendor_prefixes)


def _unwrapped(document: Any, source: str) -> Any:
    if not isinstance(document, dict) or "data" not in document:
        return document
    try:
        key = SchemaKey.parse(str(document.get("schema")))
    except InvalidIgluUri as error:
        raise ResolverRefused([f"{source}: schema: {error}"]) from error
    if not CRITERION.matches(key):
        raise ResolverRefused([f"{source}: schema: expected {CRITERION.text}, found {key.uri}"])
    return document["data"]


def _problem(source: str, fault: Any) -> str:
    place = ".".join(str(step) for step in fault["loc"])
    return f"{source}: {place}: {fault['msg']}" if place else f"{source}: {fault['msg']}"
