"""Reads the folder of configuration files, prepares what they switch on, and notices changes.

A file is YAML or JSON: one self-describing configuration as Snowplow documents it, or an
`enrichments` array of them. Whatever can't be used is refused with the file and the key; nothing is guessed.
"""

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from enricher.enrichments import ORDER, Step
from enricher.enrichments.contract import Asset, Enrichment, EnrichmentRefused, Resources
from enricher.enrichments.parts.files import Stamp, path_of, stamp, stamps
from shared.document import read
from shared.schema import InvalidIgluUri, SchemaCriterion, SchemaKey

_ARRAY = SchemaCriterion("com.snowplowanalytics.snowplow", "enrichments", "jsonschema", 1, 0)
_SUFFIXES = (".yml", ".yaml", ".json")
_HEAD = ("vendor", "name", "enabled", "parameters")


class Configuration(NamedTuple):
    """One self-describing configuration and the file it stands in."""

    file: str
    key: SchemaKey
    data: Mapping[str, Any]

    @property
    def enabled(self) -> bool:
        return self.data.get("enabled") is not False

    @property
    def parameters(self) -> dict[str, Any]:
        """`parameters`, and what stands beside them: `emitEvent` and its like."""
        beside = {name: value for name, value in self.data.items() if name not in _HEAD}
        return {**(self.data.get("parameters") or {}), **beside}

    def where(self, key: str) -> str:
        """The key's place in the file; "" is all parameters together."""
        if not key:
            return "data.parameters"
        return f"data.{key}" if key.partition(".")[0] in self.data else f"data.parameters.{key}"


class Problem(NamedTuple):
    """What was expected of an option."""

    key: str
    message: str


class Chosen(NamedTuple):
    """A step that is on, with its validated configuration; `source` is None where no file names it."""

    step: Step
    config: Any
    source: Configuration | None

    @property
    def place(self) -> str:
        """Where what is wrong with it can be mended."""
        return self.source.file if self.source else self.step.name

    @property
    def assets(self) -> tuple[Asset, ...]:
        listed = getattr(self.step.module, "assets", None)
        return tuple(listed(self.config)) if listed else ()


def configurations(folder: Path) -> tuple[list[Configuration], list[str]]:
    """What the folder's files say, in the order of their names, and what is wrong with them. A folder that can't be
    listed is wrong: nothing would be masked that it, or a folder of another name, says to mask."""
    found: list[Configuration] = []
    problems = _unlisted(folder)
    for path in _files(folder):
        try:
            found += _read(path)
        except (ValueError, OSError) as error:
            problems.append(f"{path}: {error}")
    return found, problems


def _unlisted(folder: Path) -> list[str]:
    try:
        next(folder.iterdir(), None)
    except (NotADirectoryError, FileNotFoundError):
        return [f"{folder} is not a folder (enricher.enrichments)"]
    except OSError as error:
        return [f"{folder} can't be listed (enricher.enrichments): {error.strerror}"]
    return []


def _files(folder: Path) -> list[Path]:
    """None of a folder that can't be listed."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    except OSError:
        return []


def _read(path: Path) -> Iterator[Configuration]:
    key, data = _self_describing(read(path.read_text(encoding="utf-8")))
    if _ARRAY.matches(key):
        if not isinstance(data, list):
            raise ValueError("data: expected an array of configurations")
        for item in data:
            yield _configuration(path, *_self_describing(item))
    else:
        yield _configuration(path, key, data)


def _configuration(path: Path, key: SchemaKey, data: Any) -> Configuration:
    if not isinstance(data, dict):
        raise ValueError("data: expected an object")
    for part, said in (("vendor", key.vendor), ("name", key.name)):
        if data.get(part) != said:
            raise ValueError(f"data.{part}: expected {said}, as in the schema, not {data.get(part)!r}")
    if not isinstance(data.get("parameters", {}), dict):
        raise ValueError("data.parameters: expected an object")
    if not isinstance(data.get("enabled"), bool | None):
        raise ValueError(f"data.enabled: expected true or false, not {data['enabled']!r}")
    return Configuration(str(path), key, data)


def _self_describing(document: Any) -> tuple[SchemaKey, Any]:
    if not isinstance(document, dict) or set(document) != {"schema", "data"}:
        raise ValueError("expected a self-describing configuration: the keys `schema` and `data`, nothing else")
    try:
        return SchemaKey.parse(str(document["schema"])), document["data"]
    except InvalidIgluUri as error:
        raise ValueError(f"schema: {error}") from error


def choose(found: Sequence[Configuration]) -> tuple[list[Chosen], list[str]]:
    """What is on, in the order of the steps, and what is wrong with the configurations."""
    chosen: list[Chosen] = []
    problems = [_unknown(one) for one in found if not any(_is_of(one, step) for step in ORDER)]
    for step in ORDER:
        mine = [one for one in found if _is_of(one, step)]
        problems += _unsupported(mine, step) + _duplicates(mine, step)
        for one in mine:
            if one.enabled:
                config, wrong = validated(step, one.parameters)
                problems += [f"{one.file}: {one.where(problem.key)}: {problem.message}" for problem in wrong]
                chosen += [Chosen(step, config, one)] if not wrong else []
        if step.default is not None and (step.always or not mine) and not any(one.enabled for one in mine):
            chosen.append(Chosen(step, step.module.Config.model_validate(step.default), None))
    return chosen, problems


def validated(step: Step, parameters: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    """The step's Config, or per key what was expected."""
    try:
        return step.module.Config.model_validate(parameters), []
    except ValidationError as error:
        return None, [_explained(problem) for problem in error.errors()]


def _explained(problem: Mapping[str, Any]) -> Problem:
    key = ".".join(str(part) for part in problem["loc"])
    return Problem(key, problem["msg"].removeprefix("Value error, "))


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def prepared(one: Chosen, resources: Resources) -> Any:
    """Its state. Raises EnrichmentRefused whatever goes wrong: to mend a file, its name says more than a traceback."""
    try:
        return one.step.module.prepare(one.config, resources)
    except (EnrichmentRefused, OSError, UnicodeError) as refused:
        raise EnrichmentRefused(f"{one.place}: {refused}") from refused
    except Exception as error:
        raise EnrichmentRefused(f"{one.place}: it can't be used, unforeseen {_named(error)}") from error


def _is_of(one: Configuration, step: Step) -> bool:
    return any(one.key.name == criterion.name for criterion in step.criteria)


def _unknown(one: Configuration) -> str:
    names = [criterion.name for step in ORDER for criterion in step.criteria]
    near = difflib.get_close_matches(one.key.name, names, 1)
    hint = f", did you mean {near[0]}?" if near else ""
    return f"{one.file}: schema: there is no enrichment {one.key.name}{hint}"


def _unsupported(mine: Iterable[Configuration], step: Step) -> list[str]:
    return [
        f"{one.file}: schema: Schema key {one.key.uri} is not supported. "
        f"A '{step.name}' enrichment must have schema {step.module.SCHEMA.text}."
        for one in mine
        if not any(criterion.matches(one.key) for criterion in step.criteria)
    ]


def _duplicates(mine: Iterable[Configuration], step: Step) -> list[str]:
    enabled = [one for one in mine if one.enabled]
    if step.several or len(enabled) < 2:
        return []
    files = ", ".join(one.file for one in enabled)
    return [f"{files}: {step.name} is switched on more than once: keep one"]


class Reloaded(NamedTuple):
    """The files changed, and this runs from now on."""

    names: tuple[str, ...]


class Refused(NamedTuple):
    """The files changed into something that can't be used; what ran before goes on."""

    message: str


class Enrichments:
    """The enrichments that a folder of files switches on, kept up to date.

    Raises EnrichmentRefused when made. `poll` costs a few stat calls; call it every few seconds between events.
    What did not change keeps its state, so caches and script engines survive a reload of others.
    """

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self._resources = Resources(folder, data_dir)
        self._prepared: dict[str, Any] = {}
        self._seen: dict[Path, Stamp] = {}
        self._current = self._load()

    @property
    def current(self) -> tuple[Enrichment, ...]:
        return self._current

    def poll(self) -> Reloaded | Refused | None:
        """Look at the files again. A change is judged once, so a refusal is not repeated until the next change."""
        if stamps({*self._seen, *_files(self._resources.folder)}) == self._seen:
            return None
        try:
            self._current = self._load()
        except EnrichmentRefused as refused:
            return Refused(str(refused))
        except Exception as error:  # noqa: BLE001 - one file that nobody thought of must not end all further reloads
            return Refused(f"unforeseen {_named(error)}")
        return Reloaded(tuple(one.name for one in self.current))

    def _load(self) -> tuple[Enrichment, ...]:
        """What is watched is noted before it is read, so a change in between shows at the next poll."""
        self._seen = stamps(_files(self._resources.folder))
        found, unreadable = configurations(self._resources.folder)
        chosen, wrong = choose(found)
        self._seen |= stamps(self._watched(chosen))
        if problems := unreadable + wrong:
            raise EnrichmentRefused("\n".join(problems))
        ready, problems = self._prepare_all(chosen)
        if problems:
            raise EnrichmentRefused("\n".join(problems))
        self._prepared = {identity: one.state for identity, one in ready}
        return tuple(one for _, one in ready)

    def _prepare_all(self, chosen: Iterable[Chosen]) -> tuple[list[tuple[str, Enrichment]], list[str]]:
        ready: list[tuple[str, Enrichment]] = []
        problems: list[str] = []
        for one in chosen:
            try:
                ready.append(self._prepare(one))
            except EnrichmentRefused as refused:
                problems.append(str(refused))
        return ready, problems

    def _prepare(self, one: Chosen) -> tuple[str, Enrichment]:
        module = one.step.module
        parameters = one.source.parameters if one.source else one.step.default
        files = [stamp(path) for path in self._watched((one,))]
        identity = json.dumps([one.step.name, parameters, files], default=str)
        state = self._prepared.get(identity)
        if state is None:
            state = prepared(one, self._resources)
        identifier = getattr(module, "IDENTIFIER", one.step.name)
        ask: Callable[..., Any] | None = getattr(module, "ask", None)
        foresee: Callable[..., None] | None = getattr(module, "foresee", None)
        return identity, Enrichment(one.step.name, identifier, _uri(one), state, module.enrich, ask, foresee)

    def _watched(self, chosen: Iterable[Chosen]) -> list[Path]:
        return [path_of(asset, self._resources) for one in chosen for asset in one.assets]


def _uri(one: Chosen) -> str | None:
    """What a bad row names; an enrichment that is part of the protocol is named only where a file configures it."""
    if one.source:
        return one.source.key.uri
    criterion: SchemaCriterion = one.step.module.SCHEMA
    return None if one.step.always else criterion.text.replace("*", "0")
