"""Files that operators write in YAML or in JSON."""

import json
from typing import Any

import yaml


def read(text: str) -> Any:
    """What the text says. Raises ValueError where it is neither.

    JSON is only nearly YAML: not where tabs indent it, as in Snowplow's examples, nor in its escapes and exponents.
    """
    try:
        return json.loads(text)
    except ValueError as no_json:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as no_yaml:
            raise ValueError(str(no_json if text.lstrip().startswith("{") else no_yaml)) from no_yaml
