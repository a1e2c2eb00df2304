"""The schemas that evnt ships: complete, in order, and equivalent to the published ones of the same name."""

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from enricher.iglu.compiled import compile_schema
from enricher.iglu.contract import InvalidSchema, Report
from enricher.iglu.engine import CompiledSchema
from shared.badrow import VERSIONS
from shared.iglu.config import BUNDLED
from shared.schema import SchemaKey
from tests.schemas.central import CENTRAL, document, json_schemas, needs_central, rounds, seed
from tests.schemas.instances import instances
from tests.vectors import ROOT, TRAFFIC, folder

KEYS = json_schemas(BUNDLED)
VENDORS = sorted({key.vendor for key in KEYS})
PUBLISHED = [key for key in KEYS if (CENTRAL / key.path).exists()]

#: Named in comments of trackers' sources only: never sent, and published nowhere.
NEVER_SENT = {
    "com.snowplowanalytics.snowplow.media/player/jsonschema/1-0-0",
    "com.vimeo/interactive_overlay_click_event/jsonschema/1-0-0",
}

#: Sent by official trackers that the list of the recorded ones leaves out: vendor → who sends all that it published.
SENT_BESIDES = {
    "com.amazon.aws.ec2": "the Scala tracker, of the machine it runs on",
    "com.google.cloud.gce": "the Scala tracker, of the machine it runs on",
    "com.google.ga4": "the tag for server-side Google Tag Manager, of events of Google Analytics 4",
    "com.google.ga4.enhanced-measurement": "the same tag",
    "com.google.tag-manager.server-side": "the same tag, and web pages that tell its container more",
    "com.snowplowanalytics.signals": "the Signals plugin of the JavaScript tracker",
    "dev.amp.snowplow": "the tracker for AMP pages",
    "io.augur.snowplow": "the JavaScript tracker 2, with Augur",
}

#: Keywords of which reports quote a part of the schema's document.
QUOTING = {"not", "oneOf"}

_ANNOTATIONS = {"default", "description", "examples", "title"}
_SCHEMA_MAPS = {"definitions", "dependencies", "patternProperties", "properties"}


def listed() -> set[str]:
    """What the recordings' own account, or that of the usual ones, says that official trackers send."""
    places = (folder("EVNT_TRAFFIC", TRAFFIC) / "README.md", ROOT / TRAFFIC / "README.md")
    texts = [place.read_text("utf-8") for place in places if place.exists()]
    return set(re.findall(r"^\| `([\w.-]+/[\w-]+/jsonschema/[\d-]+)` \|", "\n".join(texts), re.MULTILINE))


LISTED = listed()


def compiled(root: Path, key: SchemaKey) -> CompiledSchema:
    made = compile_schema(key, document(root, key))
    assert not isinstance(made, InvalidSchema), (key.uri, made)
    return made


def facts(schema: Any, *, names: bool = False) -> Any:
    """A document without its annotations; `names`: its keys are names of properties, not keywords."""
    if isinstance(schema, list):
        return [facts(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: facts(value, names=not names and key in _SCHEMA_MAPS)
        for key, value in schema.items()
        if names or key not in _ANNOTATIONS
    }


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_schema_is_valid_and_lies_where_it_says(vendor: str) -> None:
    for key in KEYS:
        if key.vendor == vendor:
            compiled(BUNDLED, key)
            assert document(BUNDLED, key)["self"] == key._asdict()


@needs_central
@pytest.mark.parametrize("vendor", sorted({key.vendor for key in PUBLISHED}) or ["absent"])
def test_the_facts_are_those_of_the_published_schema(vendor: str) -> None:
    for key in PUBLISHED:
        if key.vendor == vendor:
            assert facts(document(BUNDLED, key)) == facts(document(CENTRAL, key)), key.uri


@needs_central
def test_the_verdicts_are_those_of_the_published_schema() -> None:
    for key in PUBLISHED:
        ours, theirs = compiled(BUNDLED, key), compiled(CENTRAL, key)
        rng = Random(f"{seed()} {key.uri}")  # what is drawn for one does not depend on which others there are
        for instance in instances(document(CENTRAL, key), rng, rounds(4)):
            assert verdict(ours, instance) == verdict(theirs, instance), f"{key.uri}, seed {seed()}"


def verdict(schema: CompiledSchema, instance: Any) -> set[Report]:
    """Reports; those that quote the document without the quotation, since annotations and order are not its facts."""
    found = schema.reports(instance)
    return {one._replace(message="", targets=()) if one.keyword in QUOTING else one for one in found}


@pytest.mark.skipif(not LISTED, reason=f"{TRAFFIC}/README.md is not on this machine: no list of what trackers send")
def test_every_schema_that_official_trackers_send_is_here() -> None:
    assert len(LISTED) > 100
    assert LISTED - {key.path for key in KEYS} == NEVER_SENT


@needs_central
@pytest.mark.parametrize("vendor", SENT_BESIDES)
def test_every_schema_that_further_official_trackers_send_is_here(vendor: str) -> None:
    published = {key.path for key in json_schemas(CENTRAL) if key.vendor == vendor}
    assert published
    assert published - {key.path for key in KEYS} == set()


def test_every_schema_that_the_code_names_is_here() -> None:
    named: set[str] = set()
    for process in ("collector", "enricher", "loader", "shared", "cli"):
        for file in (ROOT / process).rglob("*.py"):
            named |= set(re.findall(r"iglu:([\w.-]+/[\w-]+/jsonschema/\d+-\d+-\d+)", file.read_text("utf-8")))
    made_up = {path for path in named if path.startswith(("com.acme", "com.example", "vendor/name"))}
    assert named - made_up - {key.path for key in KEYS} == set()


def test_every_bad_row_has_its_schema() -> None:
    rows = {f"com.snowplowanalytics.snowplow.badrows/{kind}/jsonschema/{version}" for kind, version in VERSIONS.items()}
    assert rows - {key.path for key in KEYS} == set()


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("com.amplitude/payload/jsonschema/1-0-0", {"data": {"event_type": "watch", "user_id": 7}}),
        ("com.segment/track/jsonschema/1-0-0", {"event": "Order Done", "userId": 7, "properties": {"total": 3}}),
        ("com.segment/identify/jsonschema/1-0-0", {"userId": None, "traits": {}, "more": [1]}),
        ("com.segment/alias/jsonschema/2-0-0", {"previousId": "old", "userId": "new"}),
        ("com.urbanairship.connect/RICH_HEAD/jsonschema/1-0-0", {"type": "RICH_HEAD", "body": {}}),
    ],
)
def test_what_bridges_emit_and_nobody_publishes_has_a_lenient_schema(path: str, data: Any) -> None:
    assert compiled(BUNDLED, SchemaKey.parse(f"iglu:{path}")).reports(data) == ()


def test_the_facts_leave_out_annotations_only() -> None:
    schema = {
        "title": "x",
        "properties": {"title": {"title": "x", "type": "null"}},
        "items": [{"default": 1}],
    }
    assert facts(schema) == {"properties": {"title": {"type": "null"}}, "items": [{}]}
