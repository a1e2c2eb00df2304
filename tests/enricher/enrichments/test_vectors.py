"""Every vector of the field: the same configuration and input, the same answer."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enricher.enrichments import ORDER
from enricher.enrichments.contract import Failure
from tests.enricher.enrichments.cases import RUNNERS, Case, Failed
from tests.enricher.enrichments.drafts import float32
from tests.vectors import vectors

_PLACE = ("geo_latitude", "geo_longitude")
_IDENTIFIERS = {getattr(step.module, "IDENTIFIER", step.name) for step in ORDER}


@pytest.mark.vectors
@pytest.mark.parametrize("vector", vectors("enrichments"))
def test_enrichment(vector: dict[str, Any], tmp_path: Path) -> None:
    if vector.get("match") == "live":
        pytest.skip("needs a service on the internet")
    if "error" not in vector and (vector.get("config") or {}).get("jsAllowedJavaClasses"):
        pytest.skip("we choose to differ: scripts run in QuickJS, which has no classes of Java")
    run = RUNNERS[vector["enrichment"].split()[0]]
    if "error" not in vector:
        compare(_decided(vector["expected"]), run(Case(vector, tmp_path)), vector.get("match"))
        return
    with pytest.raises(Failed) as failed:
        run(Case(vector, tmp_path))
    explain(vector["error"], failed.value)


def _decided(expected: Any) -> Any:
    """Upstream puts Scala's `Some(…)` around each item of an array in an address, and takes the case of headers' names
    for nothing; evnt writes the items, and headers in lower case."""
    if isinstance(expected, str):
        return re.sub(r"Some\((.*?)\)(?=,|$)", r"\1", expected)
    if not isinstance(expected, dict):
        return expected
    decided = {name: _decided(part) for name, part in expected.items()}
    if isinstance(decided.get("headers"), dict):
        decided["headers"] = {name.lower(): value for name, value in decided["headers"].items()}
    return decided


def compare(expected: Any, actual: dict[str, Any], match: str | None) -> None:
    """`expected` names the parts that count; `match` says how to compare them."""
    how, _, path = (match or "").partition(":")
    part = _part(actual, path)
    if how == "unordered":
        for name, wanted in expected.items():
            assert Counter(map(_canonical, part[name])) == Counter(map(_canonical, wanted))
    elif how == "subset":
        assert _listed(expected, part) == _float32(expected)
    elif how == "absent":
        assert _is_absent(expected, part)
    else:
        assert match is None
        for name, wanted in expected.items():
            partial = name == "parsed" or _is_event(actual[name])
            found = _listed(wanted, actual[name]) if partial else actual[name]
            assert found == _float32(wanted)


def _part(made: Any, path: str) -> Any:
    """`contexts[0].data` of what came of it."""
    for name, place in re.findall(r"(\w+)|\[(\d+)\]", path):
        made = made[name] if name else made[int(place)]
    return made


def _is_absent(unwanted: Any, found: Any) -> bool:
    """Nothing of what is listed is there: names, values under names, or items of a list, also by their schema."""
    if isinstance(found, dict) and isinstance(unwanted, dict):
        return all(_is_absent(one, found.get(name)) for name, one in unwanted.items())
    if isinstance(found, dict):
        return all(not found.get(name) for name in unwanted)
    if isinstance(found, list):
        ones = unwanted if isinstance(unwanted, list) else [unwanted]
        return not any(one == item or one == item.get("schema") for one in ones for item in found)
    return found is None or found != unwanted


def _is_event(found: Any) -> bool:
    """All columns of an event: those that a vector names count."""
    return isinstance(found, dict) and "app_id" in found and "schema" not in found


def _listed(wanted: Any, found: Any) -> Any:
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {name: _listed(part, found.get(name)) for name, part in wanted.items()}
    return found


def _float32(wanted: Any) -> Any:
    """Places in 32 bits, as the columns hold them."""
    if not isinstance(wanted, dict):
        return wanted
    return {
        name: float32(part) if name in _PLACE and part is not None else _float32(part) for name, part in wanted.items()
    }


def _canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True)


def explain(error: dict[str, Any], failed: Failed) -> None:
    """The vector's words about an error, each of those that are there."""
    if error.get("stage") in ("config", "init"):
        assert failed.stage == "config"
    if error.get("enrichment_identifier"):
        assert error["enrichment_identifier"] in _IDENTIFIERS
    for word, holds in _WORDS.items():
        if word in error:
            assert holds(error[word], failed), (word, error[word], failed.messages)
    for name in ("field", "value", "expectation"):
        if name in error:
            (failure,) = failed.failures
            said = {"field": failure.field, "value": failure.value, "expectation": failure.message}[name]
            assert _capitalised(said) == _capitalised(error[name])
    wanted = error.get("failures", failed.failures)
    for one, failure in zip(wanted, failed.failures, strict=True):
        _explain_failure(one, failure)


def _capitalised(text: str | None) -> str | None:
    """The older flavour's texts start in lower case; evnt's are the newer one's."""
    return text and text[:1].upper() + text[1:]


_WORDS: dict[str, Callable[[Any, Failed], bool]] = {
    "contains": lambda word, failed: any(word in message for message in failed.messages),
    "equals": lambda word, failed: word in failed.messages,
    "startswith": lambda word, failed: any(message.startswith(word) for message in failed.messages),
    "count": lambda word, failed: len(failed.messages) == word,
}


def _explain_failure(wanted: Any, failure: Failure) -> None:
    if isinstance(wanted, Failure):
        return
    if isinstance(wanted, str):
        assert failure.message == wanted
        return
    if wanted.get("message") == "InputData":
        assert (failure.field, failure.value) == (wanted["field"], wanted["value"])
        assert failure.message == wanted["expectation"]
    if "error" in wanted:
        assert failure.message == wanted["error"]
    if "contains" in wanted:
        assert wanted["contains"] in failure.message
