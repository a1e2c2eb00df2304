"""Compiled schemas by URI: what is known without asking, what is asked again, and what holds the pipeline up."""

import pytest

from enricher.iglu.contract import InvalidSchema, NotResolved, RegistriesUnavailable, Resolver
from enricher.iglu.engine import CompiledSchema
from enricher.iglu.resolver import IgluResolver
from shared.iglu.registry import NOT_FOUND, Failure
from shared.iglu.resolver import SchemaResolver
from shared.schema import InvalidIgluUri
from tests.shared.registries import KEY, Clock, FakeRegistry

DOWN = Failure("RepoFailure", "Unexpected server response: oops", outage=True)
STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}


class Setup:
    def __init__(self, *registries: FakeRegistry, size: int = 500, max_depth: int = 50) -> None:
        self.clock = Clock()
        schemas = SchemaResolver(registries, self.clock, ttl_s=600)
        self.resolver: Resolver = IgluResolver(schemas, self.clock, size, max_depth)

    async def compiled(self, uri: str = KEY.uri) -> CompiledSchema:
        schema = await self.resolver.resolve(uri)
        assert isinstance(schema, CompiledSchema)
        return schema


async def test_a_resolved_schema_is_known_until_its_ttl() -> None:
    setup = Setup(FakeRegistry("a", {"1-0-0": STRICT}))
    assert setup.resolver.cached(KEY.uri) is None
    schema = await setup.compiled()
    assert schema.key == KEY
    assert setup.resolver.cached(KEY.uri) is schema
    setup.clock.now += 600
    assert setup.resolver.cached(KEY.uri) is None


async def test_a_refresh_compiles_again_only_what_has_changed() -> None:
    registry = FakeRegistry("a", {"1-0-0": STRICT})
    setup = Setup(registry)
    first = await setup.compiled()
    setup.clock.now += 601
    assert await setup.compiled() is first
    registry.answers, setup.clock.now = {"1-0-0": {"type": "array"}}, setup.clock.now + 601
    assert (await setup.compiled()).reports([]) == ()


async def test_an_absent_schema_is_known_to_be_absent() -> None:
    setup = Setup(FakeRegistry("a"))
    missing = await setup.resolver.resolve(KEY.uri)
    assert isinstance(missing, NotResolved)
    assert missing.lookup_history[0]["errors"] == [{"error": "NotFound"}]
    assert setup.resolver.cached(KEY.uri) == missing


async def test_an_outage_is_no_verdict_on_the_event() -> None:
    registry = FakeRegistry("a", DOWN)
    setup = Setup(registry)
    with pytest.raises(RegistriesUnavailable, match=r"Could not reach Iglu Server for schema 'iglu:com.acme/cart"):
        await setup.resolver.resolve(KEY.uri)
    assert setup.resolver.cached(KEY.uri) is None
    registry.answers, setup.clock.now = {"1-0-0": STRICT}, setup.clock.now + 1
    await setup.compiled()


async def test_an_outage_does_not_touch_what_is_known() -> None:
    registry = FakeRegistry("a", {"1-0-0": STRICT})
    setup = Setup(registry)
    schema = await setup.compiled()
    registry.answers, setup.clock.now = DOWN, setup.clock.now + 601
    assert await setup.compiled() is schema


async def test_an_invalid_schema_is_an_answer() -> None:
    setup = Setup(FakeRegistry("a", {"1-0-0": {"type": "text"}}))
    assert isinstance(await setup.resolver.resolve(KEY.uri), InvalidSchema)
    assert isinstance(setup.resolver.cached(KEY.uri), InvalidSchema)


async def test_a_superseded_schema_validates_with_its_successor() -> None:
    setup = Setup(FakeRegistry("a", {"1-0-0": {"$supersededBy": "1-0-1"}, "1-0-1": STRICT}))
    schema = await setup.compiled()
    assert (schema.key.version, schema.superseded_by) == ("1-0-1", "1-0-1")
    assert [report.keyword for report in schema.reports({"b": 1})] == ["additionalProperties"]


async def test_a_successor_that_is_no_schema_is_named() -> None:
    setup = Setup(FakeRegistry("a", {"1-0-0": {"$supersededBy": "1-0-1"}, "1-0-1": {"type": "thing"}}))
    invalid = await setup.resolver.resolve(KEY.uri)
    assert isinstance(invalid, InvalidSchema)
    assert invalid.superseded_by == "1-0-1"


async def test_an_absent_successor_is_an_absent_schema() -> None:
    setup = Setup(FakeRegistry("a", {"1-0-0": {"$supersededBy": "1-0-1"}}))
    missing = await setup.resolver.resolve(KEY.uri)
    assert isinstance(missing, NotResolved)
    assert missing.lookup_history[0]["errors"] == [{"error": "NotFound"}]


async def test_what_is_no_iglu_uri_is_asked_of_nobody() -> None:
    registry = FakeRegistry("a", NOT_FOUND)
    with pytest.raises(InvalidIgluUri):
        await Setup(registry).resolver.resolve("iglu:com.acme/cart/jsonschema/0-0-0")
    assert registry.asked == []


async def test_the_oldest_schema_goes_when_there_are_too_many() -> None:
    setup = Setup(FakeRegistry("a", {"1-0-0": STRICT, "1-0-1": STRICT}), size=1)
    newer = KEY._replace(version="1-0-1").uri
    await setup.compiled()
    await setup.compiled(newer)
    assert setup.resolver.cached(KEY.uri) is None
    assert setup.resolver.cached(newer) is not None


async def test_made_up_names_push_no_schema_out_of_memory() -> None:
    setup = Setup(FakeRegistry("a", {"1-0-0": STRICT}), size=2)
    await setup.compiled()
    made_up = [KEY._replace(version=f"7-0-{n}").uri for n in range(3)]
    for uri in made_up:
        await setup.resolver.resolve(uri)
    assert setup.resolver.cached(KEY.uri) is not None
    assert [setup.resolver.cached(uri) is None for uri in made_up] == [True, False, False]


async def test_the_depth_limit_is_a_setting() -> None:
    setup = Setup(FakeRegistry("a", {"1-0-0": {}}), max_depth=2)
    schema = await setup.compiled()
    assert schema.reports({"a": 1}) == ()
    assert [report.path for report in schema.reports({"a": [1]})] == ["/"]


async def test_closing_closes_the_registries() -> None:
    registry = FakeRegistry("a")
    await Setup(registry).resolver.close()
    assert registry.closed
