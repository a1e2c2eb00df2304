"""The resolver: which registry is asked, what is remembered, and what an outage means."""

import asyncio
from typing import Any

import pytest

from shared.iglu.history import back_off_s
from shared.iglu.registry import NOT_FOUND, Failure, Rank
from shared.iglu.resolver import Found, NotFound, SchemaResolver
from shared.schema import SchemaKey
from tests.shared.registries import KEY, Clock, FakeRegistry, having

DOWN = Failure("RepoFailure", "Unexpected server response: oops", outage=True)
REFUSED = Failure("ClientFailure", "Unexpected response code: 403")
HOUR = 3600.0


async def found(resolver: SchemaResolver, key: SchemaKey = KEY) -> Found:
    result = await resolver.lookup(key)
    assert isinstance(result, Found), result
    return result


async def missing(resolver: SchemaResolver, key: SchemaKey = KEY) -> NotFound:
    result = await resolver.lookup(key)
    assert isinstance(result, NotFound), result
    return result


async def test_registries_are_asked_by_vendor_prefix_then_class_then_priority() -> None:
    registries = [
        FakeRegistry("far", rank=Rank.HTTP, priority=0),
        FakeRegistry("near", rank=Rank.FOLDER, priority=9),
        FakeRegistry("memory", rank=Rank.MEMORY, priority=99),
        FakeRegistry("late", rank=Rank.HTTP, priority=7, prefixes=["com.ac"]),
        FakeRegistry("early", rank=Rank.HTTP, priority=3, prefixes=["org", "com.acme"]),
    ]
    order: list[str] = []
    for registry in registries:
        registry.asked = _Recorder(order, registry.name)
    await missing(SchemaResolver(registries, Clock()))
    assert order == ["early", "late", "memory", "near", "far"]


class _Recorder(list[str]):
    def __init__(self, order: list[str], name: str) -> None:
        super().__init__()
        self.order, self.registry = order, name

    def append(self, _: str) -> None:
        self.order.append(self.registry)


async def test_the_first_registry_that_has_the_schema_gives_it() -> None:
    first, second, third = FakeRegistry("a"), having("b", priority=1), having("c", priority=2)
    result = await found(SchemaResolver([third, second, first], Clock()))
    assert (result.document, result.key, result.superseded_by) == ({"from": "b"}, KEY, None)
    assert third.asked == []


async def test_a_success_is_kept_until_its_ttl() -> None:
    clock, registry = Clock(), having("a")
    resolver = SchemaResolver([registry], clock, ttl_s=10)
    assert (await found(resolver)).fresh_until == clock.now + 10
    clock.now += 9
    await found(resolver)
    assert len(registry.asked) == 1
    clock.now += 1
    registry.answers = {KEY.version: {"new": True}}
    assert (await found(resolver)).document == {"new": True}


async def test_a_success_without_ttl_is_kept_for_ever() -> None:
    clock, registry = Clock(), having("a")
    resolver = SchemaResolver([registry], clock)
    await found(resolver)
    clock.now += 1000 * HOUR
    await found(resolver)
    assert len(registry.asked) == 1


@pytest.mark.parametrize("failure", [NOT_FOUND, DOWN, REFUSED])
async def test_a_success_survives_a_failing_refresh_and_its_clock_restarts(failure: Failure) -> None:
    clock, registry = Clock(), having("a")
    resolver = SchemaResolver([registry], clock, ttl_s=10)
    await found(resolver)
    registry.answers, clock.now = failure, clock.now + 11
    assert (await found(resolver)).document == {"from": "a"}
    clock.now += 9
    await found(resolver)
    assert len(registry.asked) == 2


@pytest.mark.parametrize("options", [{"size": 0}, {"ttl_s": 0}, {"ttl_s": -1}])
async def test_nothing_is_kept_where_the_cache_is_switched_off(options: dict[str, Any]) -> None:
    registry = having("a")
    resolver = SchemaResolver([registry], Clock(), **options)
    await found(resolver)
    await found(resolver)
    assert len(registry.asked) == 2


async def test_the_least_recently_used_schema_goes_first() -> None:
    registry = FakeRegistry("a", {f"1-0-{n}": {"n": n} for n in range(3)})
    resolver = SchemaResolver([registry], Clock(), size=2)
    for version in ("1-0-0", "1-0-1", "1-0-0", "1-0-2", "1-0-0", "1-0-1"):
        await found(resolver, KEY._replace(version=version))
    assert registry.asked == ["1-0-0", "1-0-1", "1-0-2", "1-0-1"]


async def test_made_up_names_push_no_schema_out_of_memory() -> None:
    registry = having("a")
    resolver = SchemaResolver([registry], Clock(), size=2)
    await found(resolver)
    for version in ("1-0-1", "1-0-2", "1-0-3"):
        await missing(resolver, KEY._replace(version=version))
    await found(resolver)
    assert registry.asked.count(KEY.version) == 1
    await missing(resolver, KEY._replace(version="1-0-1"))
    assert registry.asked.count("1-0-1") == 2, "failures are bounded too"


async def test_one_lookup_at_a_time_is_under_way_for_a_schema() -> None:
    registry = having("a")
    registry.pause.clear()
    resolver = SchemaResolver([registry], Clock(), size=0)
    lookups = [asyncio.create_task(resolver.lookup(KEY)) for _ in range(20)]
    await asyncio.sleep(0)
    lookups[0].cancel()
    registry.pause.set()
    results = await asyncio.gather(*lookups[1:])
    assert len(registry.asked) == 1
    assert all(isinstance(result, Found) for result in results)


async def test_an_absent_schema_has_a_history_in_order_of_names() -> None:
    clock = Clock()
    resolver = SchemaResolver([FakeRegistry("b", DOWN), FakeRegistry("a", rank=Rank.FOLDER)], clock)
    result = await missing(resolver)
    at = {"attempts": 1, "lastAttempt": "2025-04-30T10:05:00.123Z"}
    assert result.history == [
        {"repository": "a", "errors": [{"error": "NotFound"}], **at},
        {"repository": "b", "errors": [DOWN.json()], **at},
    ]


async def test_who_has_said_not_found_is_left_alone_until_the_ttl() -> None:
    clock, registry = Clock(), FakeRegistry("a")
    resolver = SchemaResolver([registry], clock, ttl_s=600)
    assert (await missing(resolver)).fresh_until == clock.now + 600
    clock.now += 599
    await missing(resolver)
    assert len(registry.asked) == 1
    registry.answers, clock.now = {KEY.version: {}}, clock.now + 1
    await found(resolver)


async def test_not_found_is_for_ever_without_a_ttl() -> None:
    clock, registry = Clock(), FakeRegistry("a")
    resolver = SchemaResolver([registry], clock)
    await missing(resolver)
    clock.now += 1000 * HOUR
    await missing(resolver)
    assert len(registry.asked) == 1


async def test_who_is_out_of_order_is_asked_again_after_a_growing_pause() -> None:
    clock, gone, down = Clock(), FakeRegistry("gone"), FakeRegistry("down", DOWN)
    resolver = SchemaResolver([gone, down], clock, ttl_s=HOUR)
    await missing(resolver)
    clock.now += back_off_s(1) - 0.01
    await missing(resolver)
    assert len(down.asked) == 1
    clock.now += 0.02
    result = await missing(resolver)
    assert (len(gone.asked), len(down.asked)) == (1, 2)
    assert [known["attempts"] for known in result.history] == [2, 1]
    assert result.fresh_until == pytest.approx(clock.now + back_off_s(2))
    down.answers, clock.now = {KEY.version: {}}, clock.now + 61
    await found(resolver)


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 0.504), (2, 0.516), (8, 60.0), (9, 20.183), (12, 60.0), (13, 13.692), (50, 60.0)]
)
def test_the_pause_grows_to_a_minute(attempts: int, seconds: float) -> None:
    assert back_off_s(attempts) == pytest.approx(seconds)


async def test_distinct_errors_of_a_registry_add_up_to_a_limit() -> None:
    clock, registry = Clock(), FakeRegistry("a", DOWN)
    resolver = SchemaResolver([registry], clock)
    for n in range(40):
        registry.answers = Failure("RepoFailure", f"{n % 35}", outage=True)
        result = await missing(resolver)
        clock.now += 61
    assert len(result.history[0]["errors"]) == 32
    assert result.history[0]["attempts"] == 40


async def test_a_long_message_is_cut_to_what_bad_rows_hold() -> None:
    result = await missing(SchemaResolver([FakeRegistry("a", Failure("RepoFailure", "x" * 999))], Clock()))
    assert len(result.history[0]["errors"][0]["message"]) == 256


@pytest.mark.parametrize(
    ("registries", "outage"),
    [
        ([FakeRegistry("folder", rank=Rank.FOLDER)], False),
        ([FakeRegistry("folder", rank=Rank.FOLDER), FakeRegistry("central", DOWN)], True),
        ([FakeRegistry("folder", rank=Rank.FOLDER), FakeRegistry("central", REFUSED)], False),
        ([FakeRegistry("central"), FakeRegistry("other", DOWN)], False),
        ([FakeRegistry("central"), FakeRegistry("ours", DOWN, prefixes=["com.acme"])], True),
        ([FakeRegistry("central", DOWN), FakeRegistry("ours", prefixes=["com.acme"])], False),
        ([FakeRegistry("central", DOWN), FakeRegistry("ours", REFUSED, prefixes=["com.acme"])], True),
    ],
    ids=["nobody remote", "all down", "refused", "others know", "owner down", "owner knows", "owner refuses"],
)
async def test_an_outage_is_when_the_schema_may_exist_all_the_same(
    registries: list[FakeRegistry], outage: bool
) -> None:
    assert (await missing(SchemaResolver(registries, Clock()))).outage is outage


async def test_a_superseded_schema_is_replaced_from_the_same_registry() -> None:
    registry = FakeRegistry("a", {"1-0-0": {"$supersededBy": "1-0-1"}, "1-0-1": {"$supersededBy": "1-0-2"}})
    result = await found(SchemaResolver([registry, having("b", priority=1)], Clock()))
    assert (result.key.version, result.superseded_by) == ("1-0-1", "1-0-1")
    assert result.document == {"$supersededBy": "1-0-2"}, "one hop only"


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            "1-0-0",
            "Superseding version 1-0-0 isn't greater than the version of schema com.acme/cart/jsonschema/1-0-0",
        ),
        ("0-9-9", "Error while trying to decode superseding version: 0-9-9"),
        (3, "Error while trying to decode superseding version: 3"),
    ],
)
async def test_an_unusable_superseding_version_is_a_failure_of_the_registry(version: Any, message: str) -> None:
    registry = FakeRegistry("a", {"1-0-0": {"$supersededBy": version}})
    result = await missing(SchemaResolver([registry], Clock()))
    assert result.history[0]["errors"] == [{"error": "ClientFailure", "message": message}]


async def test_an_absent_superseding_schema_is_absent() -> None:
    registry = FakeRegistry("a", {"1-0-0": {"$supersededBy": "1-0-1"}})
    result = await missing(SchemaResolver([registry], Clock()))
    assert result.history[0]["errors"] == [{"error": "NotFound"}]


async def test_known_versions_come_from_all_registries_in_order_of_version() -> None:
    first = FakeRegistry("a", {"1-0-10": {"n": 10}, "2-0-0": {}})
    second = FakeRegistry("b", {"1-0-9": {"n": 9}, "1-0-10": {"n": 99}}, priority=1)
    resolver = SchemaResolver([second, first], Clock())
    assert await resolver.known_versions("com.acme", "cart", 1) == [{"n": 9}, {"n": 10}]
    assert await resolver.known_versions("com.acme", "cart", 3) == []


async def test_closing_ends_lookups_that_are_under_way() -> None:
    registry = having("a")
    registry.pause.clear()
    resolver = SchemaResolver([registry], Clock())
    waiting = asyncio.create_task(resolver.lookup(KEY))
    await asyncio.sleep(0)
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_closing_closes_every_registry() -> None:
    registries = [FakeRegistry("a"), FakeRegistry("b")]
    await SchemaResolver(registries, Clock()).close()
    assert all(registry.closed for registry in registries)
