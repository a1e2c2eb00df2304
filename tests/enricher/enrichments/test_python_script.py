"""Operators' Python functions: what they may do, and what holds them back."""

import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from enricher.enrichments import python_script
from enricher.enrichments.contract import Enrichment, EnrichmentRefused, Patch, Resources
from enricher.script_metrics import ScriptMetrics
from tests.enricher.enrichments.drafts import draft, failure

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
