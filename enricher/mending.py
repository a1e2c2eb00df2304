"""Repairs the broken JSON of trackers, as the first evnt did. For who asks for it: what is repaired is a guess."""

import json
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from shared.process import Misconfigured

#: The JSON text of a body, a self-describing event or contexts → the text that is read in its place.
Mend = Callable[[str], str]


def untouched(text: str) -> str:
    return text


def repairer() -> Mend:
    """Raises Misconfigured where the `repair` extra is not installed."""
    if find_spec("json_repair") is None:
        raise Misconfigured("enricher.validation.repair_json needs a package: pip install 'evnt[repair]'")
    repair: Callable[[str], str] = import_module("json_repair").repair_json

    def mend(text: str) -> str:
        """What is JSON stays as it is; what can't become an object stays too, and is refused as it came."""
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            better = repair(text)
            return better if better.startswith("{") else text
        return text

    return mend
