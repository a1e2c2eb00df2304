"""Files that operators write in YAML or in JSON."""

import json
import re
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

_DATE = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_TOO_DEEP = "nested too deeply"


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML's own readers keep the last without a word; dates are texts,
    since no option is one and impossible ones are no errors of YAML's."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - so declared by the library
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _DATE]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            if (key.tag, key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is there twice", problem_mark=key.start_mark)
            seen.add((key.tag, key.value))
        return node


def read(text: str) -> Any:
    """What the text says. Raises ValueError where it is neither.

    JSON is only nearly YAML: not where tabs indent it, as in Snowplow's examples, nor in its escapes and exponents.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    except ValueError as no_json:
        try:
            return read_yaml(text)
        except ValueError as no_yaml:
            raise ValueError(str(no_json if text.lstrip().startswith("{") else no_yaml)) from no_yaml


def read_yaml(text: str) -> Any:
    """What the text says as YAML. Raises ValueError where it is none, has a key twice, or is nested without end."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise ValueError(_said(error)) from error
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error


def _said(error: yaml.MarkedYAMLError) -> str:
    """Without the lines that the library shows, and the names that it took a value for: there may be a password."""
    words = ", ".join(filter(None, (error.context, error.problem)))
    if isinstance(error, ComposerError | ConstructorError):
        words = re.sub(r"'[^']*'", "there", words)
    mark = error.problem_mark or error.context_mark
    return f"{words} (line {mark.line + 1}, column {mark.column + 1})" if mark else words
