"""Operators' JavaScript: what it may do, and what holds it back."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from enricher.enrichments import javascript_script
from enricher.enrichments.contract import EnrichmentRefused, Patch, Resources
from tests.enricher.enrichments.drafts import draft, failure

_SCHEMA = "iglu:com.acme/x/jsonschema/1-0-0"


def script(source: str, **options: Any) -> javascript_script.State:
    packed = base64.urlsafe_b64encode(source.encode()).decode()
    return javascript_script.prepare(javascript_script.Config(script=packed, **options), Resources(Path(), Path()))


def test_an_endless_script_is_stopped_and_the_next_event_runs() -> None:
    state = script("function process(e) { while (e.getApp_id() == 'loop') {} e.setApp_id('done') }", timeout=50)
    assert "interrupted" in failure(javascript_script.enrich(draft({"app_id": "loop"}), state))
    assert javascript_script.enrich(draft({"app_id": "x"}), state) == Patch({"app_id": "done"}, [], [])


def test_a_script_that_does_not_load_again_goes_on_with_what_it_has() -> None:
    last = int(time.time() * 1000) + 400
    source = f"if (Date.now() > {last}) {{ throw 'late' }}"
    state = script(
        source + "function process(e) { while (e.getApp_id() == 'loop') {} e.setApp_id('done') }", timeout=800
    )
    for _ in range(2):
        assert "interrupted" in failure(javascript_script.enrich(draft({"app_id": "loop"}), state))
    assert javascript_script.enrich(draft({"app_id": "x"}), state) == Patch({"app_id": "done"}, [], [])


def test_a_greedy_script_is_stopped_and_its_memory_is_free_again() -> None:
    source = """
        var kept = [];
        function process(e) { if (e.getApp_id()) { while (true) { kept.push('x'.repeat(1000) + kept.length) } } }
    """
    state = script(source, memory=8, timeout=5_000)
    for _ in range(3):
        assert "out of memory" in failure(javascript_script.enrich(draft({"app_id": "x"}), state))
        assert javascript_script.enrich(draft(), state) == Patch({}, [], [])


def test_a_recursive_script_is_stopped() -> None:
    state = script("function f() { return f() + 1 } function process(e) { f() }")
    assert "stack" in failure(javascript_script.enrich(draft(), state)).lower()


def test_types_of_columns() -> None:
    state = script(
        """
        function process(e) {
            e.setApp_id([typeof e.getBr_viewwidth(), typeof e.tr_total, typeof e.getUser_id()].join());
            e.setBr_viewwidth(e.getBr_viewwidth() + 1); e.setTr_total(2.5); e.setBr_cookies(1); e.page_title = null;
        }
        """
    )
    before = draft({"br_viewwidth": "7", "tr_total": "1.50", "page_title": "t"})
    patch = javascript_script.enrich(before, state)
    assert patch is not None
    assert patch.fields == {
        "app_id": "number,number,object",
        "br_viewwidth": "8",
        "tr_total": "2.5",
        "br_cookies": "1",
        "page_title": "",
    }


def test_changes_survive_a_failure() -> None:
    patch = javascript_script.enrich(draft(), script("function process(e) { e.setApp_id('x'); throw 'no' }"))
    assert patch is not None
    assert patch.fields == {"app_id": "x"}
    assert failure(patch) == "Error during execution of JavaScript function: [no]"


def test_a_value_that_does_not_fit_is_a_failure() -> None:
    patch = javascript_script.enrich(draft(), script("function process(e) { e.setBr_viewwidth('wide') }"))
    assert "br_viewwidth: wide is not an integer" in failure(patch)


@pytest.mark.parametrize(
    "schema", ["", "iglu:acme", "iglu:com.acme/x/jsonschema/1-0", "iglu:com.acme/x/jsonschema/0-0-0"]
)
def test_entities_of_no_schema_can_not_be_set(schema: str) -> None:
    inside = json.dumps({"schema": schema, "data": {}})
    for text in (f'{{"schema":"{_SCHEMA}","data":[{inside}]}}', f'{{"schema":"{schema}","data":[]}}'):
        patch = javascript_script.enrich(draft(), script(f"function process(e) {{ e.setContexts({text!r}) }}"))
        assert f"invalid contexts json: {text}" in failure(patch)


def test_globals_stay_from_event_to_event() -> None:
    state = script("var n = 0; function process(e) { n++; e.setBr_viewwidth(n) }")
    javascript_script.enrich(draft(), state)
    patch = javascript_script.enrich(draft(), state)
    assert patch is not None
    assert patch.fields == {"br_viewwidth": "2"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("var x = 1", "it defines no function"),
        ("while (true) {}", "interrupted"),
        ("function f() { return f() + 1 } f()", "call stack"),
        ("var Url = Java.type('java.net.URL')", "Java class java.net.URL is not available"),
    ],
)
def test_a_script_that_cannot_be_used_is_refused(source: str, said: str) -> None:
    with pytest.raises(EnrichmentRefused, match=said):
        script(source)


@pytest.mark.parametrize(("text", "said"), [("", "is empty"), ("ICAg", "is empty"), ("§", "not URL-safe base64")])
def test_what_is_no_script_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        javascript_script.Config.model_validate({"script": text})


def test_java_is_refused_by_name() -> None:
    patch = javascript_script.enrich(draft(), script("function process(e) { Java.type('java.util.Date') }"))
    assert "Java class java.util.Date is not available" in failure(patch)


def test_what_a_script_defines_is_its_own() -> None:
    source = """
        var org = {acme: 'x'}, print = function (text) { return text }; print('top');
        JSON.stringify = JSON.parse = function () { return 'mine' };
        Object.prototype.toJSON = function () { return 'mine' };
        function process(e) { e.setApp_id(print(org.acme)) }
    """
    assert javascript_script.enrich(draft(), script(source)) == Patch({"app_id": "x"}, [], [])


@pytest.mark.parametrize("returned", ["function () {}", "undefined", "null", "Symbol('x')"])
def test_what_has_no_json_is_no_result(returned: str) -> None:
    assert javascript_script.enrich(draft(), script(f"function process(e) {{ return {returned} }}")) == Patch(
        {}, [], []
    )


def test_what_is_nested_too_deep_to_read_is_a_failure() -> None:
    """How deep that is depends on the Python: where this can be read, it is no context, or left to validation."""
    deep = "var a = []; for (var i = 0; i < 3000; i++) { a = [a] }"
    patch = javascript_script.enrich(draft(), script(f"function process(e) {{ {deep} return a }}"))
    said = failure(patch)
    assert "Could not parse output JSON of Javascript function. Error: [" in said or "not self-desribing" in said
    entity = "{schema: 'iglu:com.acme/x/jsonschema/1-0-0', data: a}"
    change = f"e.setContexts(JSON.stringify({{schema: 'iglu:a/b/jsonschema/1-0-0', data: [{entity}]}}))"
    patch = javascript_script.enrich(draft(), script(f"function process(e) {{ {deep} {change} }}"))
    assert patch is not None
    assert patch.entities or "recursion" in failure(patch)
