"""Operators' functions: what they may do, and what holds them back."""

import base64
import json
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from enricher.enrichments import javascript_script, python_script
from enricher.enrichments.contract import Enrichment, EnrichmentRefused, Patch, Resources
from enricher.script_metrics import ScriptMetrics
from tests.enricher.enrichments.drafts import draft

CONTEXT = {"schema": "iglu:com.acme/x/jsonschema/1-0-0", "data": {"a": [1]}}


def prepared(folder: Path, source: str, **options: Any) -> python_script.State:
    (folder / "script.py").write_text(textwrap.dedent(source))
    config = python_script.Config(module="script.py", **options)
    return python_script.prepare(config, Resources(folder, folder))


def applied(folder: Path, source: str, **options: Any) -> Patch | None:
    state = prepared(folder, source, **options)
    before = draft(
        {"app_id": "shop", "br_viewwidth": "7", "tr_total": "1.50"},
        contexts=[CONTEXT],
        unstruct=CONTEXT,
        derived=[CONTEXT],
        headers=["X-A: 1"],
        parameters={"e": "pv"},
    )
    patch = python_script.enrich(before, state)
    assert before.contexts[0].data == {"a": [1]}
    return patch


def failure(patch: Patch | None) -> str:
    assert patch is not None
    (found,) = patch.failures
    return found.message


def test_a_function_sees_the_event(tmp_path: Path) -> None:
    patch = applied(
        tmp_path,
        """
        def enrich(event):
            event.contexts[0]["data"]["a"].append(2)
            seen = [event["app_id"], event["br_viewwidth"], event["tr_total"], event["user_id"], len(event.contexts),
                    event.unstruct_event["data"], event.derived_contexts[0]["schema"], event.headers,
                    event.parameters["e"], "app_id" in event]
            return [{"schema": "iglu:com.acme/seen/jsonschema/1-0-0", "data": {"seen": seen}}]
        """,
    )
    assert patch is not None
    assert patch.contexts[0].data["seen"] == [
        "shop",
        7,
        1.5,
        None,
        1,
        {"a": [1]},
        CONTEXT["schema"],
        [["X-A", "1"]],
        "pv",
        True,
    ]


def test_a_function_sets_columns_and_drops(tmp_path: Path) -> None:
    patch = applied(
        tmp_path,
        """
        def enrich(event):
            event["app_id"] = "a\\tb"
            event["br_viewwidth"] = 12
            event["user_id"] = None
            assert event["app_id"] == "a    b"
            event.drop()
        """,
    )
    assert patch == Patch({"app_id": "a    b", "br_viewwidth": "12", "user_id": ""}, [], drop=True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("return {}", "ValueError: expected a list of contexts or None, not dict"),
        ("return [{'schema': 'x'}]", "a context is"),
        ("return [{'schema': 'iglu:x', 'data': {}}]", "INVALID_IGLUURI"),
        ("event['no_such'] = 1", "there is no column no_such"),
        ("event['br_viewwidth'] = 'wide'", "br_viewwidth: wide is not an integer"),
        ("event['br_viewwidth'] = 2 ** 31", "br_viewwidth: 2147483648 is not an integer of 32 bits"),
        ("event['true_tstamp'] = 'yesterday'", "true_tstamp: yesterday is not a time"),
        ("event['event_id'] = 'one'", "event_id: one is not a UUID"),
        ("event['contexts'] = '{}'", "contexts: entities can't be set as a text"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise BaseException('all')", "BaseException: all"),
        ("return [{'schema': 'iglu:com.acme/x/jsonschema/1-0-0', 'data': {'a': object()}}]", "TypeError: "),
        ("return [{'schema': 'iglu:com.acme/x/jsonschema/1-0-0', 'data': {None: 1}}]", "TypeError: "),
        ("a = []; a.append(a); return [{'schema': 'iglu:com.acme/x/jsonschema/1-0-0', 'data': a}]", "RecursionError: "),
        ("event['no_such']", "KeyError: 'no_such'"),
        ("event['br_cookies'] = 2", "neither 1 nor 0"),
    ],
)
def test_what_goes_wrong_is_a_failure_of_the_event(tmp_path: Path, body: str, said: str) -> None:
    assert said in failure(applied(tmp_path, f"def enrich(event):\n    {body}"))


def test_what_a_function_returned_stays_as_it_was(tmp_path: Path) -> None:
    """Events are written some time after the function saw them."""
    state = prepared(
        tmp_path,
        """
        kept = {"schema": "iglu:com.acme/x/jsonschema/1-0-0", "data": {"n": 0, "pair": (1, 2)}}
        def enrich(event):
            kept["data"]["n"] += 1
            return [kept]
        """,
    )
    patches = [python_script.enrich(draft(), state) for _ in range(2)]
    assert [patch and patch.contexts[0].data for patch in patches] == [{"n": n, "pair": [1, 2]} for n in (1, 2)]


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("true_tstamp", "'2026-01-02T03:04:05+01:00'", "2026-01-02 02:04:05.000"),
        ("true_tstamp", "'2026-01-02 03:04:05.678'", "2026-01-02 03:04:05.678"),
        ("event_id", "'6A2F0C3E-6f6f-4f0b-9a53-6d1a3e0b2f10'", "6A2F0C3E-6f6f-4f0b-9a53-6d1a3e0b2f10"),
        ("domain_sessionid", "'mine'", "mine"),
        ("tr_total", "__import__('decimal').Decimal('1.10')", "1.10"),
        ("br_viewwidth", "-2 ** 31", "-2147483648"),
    ],
)
def test_columns_take_what_they_can_hold(column: str, value: str, text: str, tmp_path: Path) -> None:
    patch = applied(tmp_path, f"def enrich(event):\n    event[{column!r}] = {value}")
    assert patch == Patch({column: text}, [])


def test_errors_can_be_ignored(tmp_path: Path) -> None:
    state = prepared(tmp_path, "def enrich(event): raise ValueError", ignore_errors=True)
    assert python_script.enrich(draft(), state) is None
    assert state.tallies["enrich"].failures == 1


def test_a_file_that_never_ends_to_load_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text("while True: pass")
    with pytest.raises(EnrichmentRefused, match=r"s\.py can't be loaded: OverBudget: it took longer than .* 50 ms"):
        python_script.load(tmp_path / "s.py", "enrich", 50)


@pytest.mark.parametrize(
    "source",
    [
        "def enrich(event):\n    while True: pass",
        "def enrich(event):\n    try:\n        while True: pass\n    except Exception:\n        pass",
        "import time\ndef enrich(event): time.sleep(60)",
        "def enrich(event):\n    try:\n        while True: pass\n    except:\n        while True: pass",
    ],
)
def test_an_endless_function_is_interrupted(tmp_path: Path, source: str) -> None:
    state = prepared(tmp_path, source, budget_ms=20)
    assert failure(python_script.enrich(draft(), state)) == "it took longer than its budget of 20 ms"
    assert state.tallies["enrich"].over_budget == 1
    quick = prepared(tmp_path, "def enrich(event): event['app_id'] = 'x'", budget_ms=1_000)
    assert python_script.enrich(draft(), quick) == Patch({"app_id": "x"}, [])


def test_in_another_thread_lateness_is_reported(tmp_path: Path) -> None:
    state = prepared(tmp_path, "import time\ndef enrich(event): time.sleep(0.05)", budget_ms=10)
    found: list[Patch | None] = []
    thread = threading.Thread(target=lambda: found.append(python_script.enrich(draft(), state)))
    thread.start()
    thread.join()
    assert "longer than its budget" in failure(found[0])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def enrich(event:", "SyntaxError"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = 1", "defines no function enrich(event)"),
    ],
)
def test_a_module_that_cannot_be_used_is_refused(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(EnrichmentRefused) as refused:
        prepared(tmp_path, source)
    assert said in str(refused.value)


def test_without_apply_nothing_changes(tmp_path: Path) -> None:
    state = prepared(tmp_path, "def enrich(event): event.drop()", apply=False)
    assert python_script.enrich(draft(), state) is None
    assert (state.tallies["enrich"].calls, state.tallies["enrich"].dropped) == (1, 1)


def test_a_shadow_is_compared_and_never_applied(tmp_path: Path) -> None:
    (tmp_path / "next.py").write_text("def enrich(event): event['app_id'] = 'b' if event['platform'] else 'a'")
    state = prepared(tmp_path, "def enrich(event): event['app_id'] = 'a'", shadow="next.py")
    for platform in ("", "web", ""):
        assert python_script.enrich(draft({"platform": platform}), state) == Patch({"app_id": "a"}, [])
    assert (state.tallies["shadow"].agreed, state.tallies["shadow"].differed) == (2, 1)


def test_metrics_say_what_functions_did(tmp_path: Path) -> None:
    state = prepared(tmp_path, "def enrich(event): event.drop()")
    enrichment = Enrichment("python_script", "python_script", None, state, python_script.enrich)
    registry = CollectorRegistry()
    registry.register(ScriptMetrics(lambda: [enrichment]))
    python_script.enrich(draft(), state)
    labels = {"enrichment": "python_script", "place": "0", "function": "enrich"}
    assert registry.get_sample_value("evnt_enricher_script_calls_total", labels) == 1
    assert registry.get_sample_value("evnt_enricher_script_dropped_total", labels) == 1


# ---- JavaScript ---------------------------------------------------------------------------------------------------


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
    for text in (f'{{"schema":"{CONTEXT["schema"]}","data":[{inside}]}}', f'{{"schema":"{schema}","data":[]}}'):
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
    deep = "var a = []; for (var i = 0; i < 3000; i++) { a = [a] }"
    patch = javascript_script.enrich(draft(), script(f"function process(e) {{ {deep} return a }}"))
    assert "Could not parse output JSON of Javascript function. Error: [" in failure(patch)
    entity = "{schema: 'iglu:com.acme/x/jsonschema/1-0-0', data: a}"
    change = f"e.setContexts(JSON.stringify({{schema: 'iglu:a/b/jsonschema/1-0-0', data: [{entity}]}}))"
    patch = javascript_script.enrich(draft(), script(f"function process(e) {{ {deep} {change} }}"))
    assert "recursion" in failure(patch)
