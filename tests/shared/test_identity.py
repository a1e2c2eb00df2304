"""Ids: of the versions that they claim to be, and in the order in which they were made."""

from uuid import RFC_4122, UUID, uuid5

from shared import identity


def test_message_ids_are_version_7_and_tell_their_time() -> None:
    before = identity.now_ms()
    made = [UUID(identity.uuid7()) for _ in range(100)]
    assert {(one.version, one.variant) for one in made} == {(7, RFC_4122)}
    assert all(before <= one.int >> 80 <= identity.now_ms() for one in made)
    assert len({one.int & (1 << 62) - 1 for one in made}) == 100


def test_ids_of_visitors_are_version_4() -> None:
    made = [UUID(identity.uuid4()) for _ in range(100)]
    assert {(one.version, one.variant) for one in made} == {(4, RFC_4122)}
    assert len(set(made)) == 100


def test_derived_ids_are_the_standard_librarys() -> None:
    namespace = identity.uuid7()
    assert identity.uuid5(namespace, "0.1") == str(uuid5(UUID(namespace), "0.1"))
