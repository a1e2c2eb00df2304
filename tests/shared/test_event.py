"""The event table is a wire contract."""

from hashlib import sha256

from shared.event import FIELDS, INDEX, WIDTH

#: Of the names in their order. A change here changes the bytes on the enriched stream: think twice.
ORDER = "1f8979b7"


def test_order_and_number_of_columns_never_change() -> None:
    names = "\n".join(field.name for field in FIELDS)
    assert WIDTH == 131
    assert sha256(names.encode()).hexdigest()[:8] == ORDER
    assert [INDEX[field.name] for field in FIELDS] == list(range(WIDTH))


def test_every_column_has_one_source_per_parameter() -> None:
    parameters = [(name, field.part) for field in FIELDS for name in field.params]
    assert len(parameters) == len(set(parameters))


def test_pairs_feed_two_columns() -> None:
    halves = [(field.params, field.part) for field in FIELDS if field.part is not None]
    assert sorted(halves) == sorted((name, part) for name in (("res",), ("vp",), ("ds",)) for part in (0, 1))


def test_limits_are_of_texts() -> None:
    assert {field.kind for field in FIELDS if field.limit is not None} == {"text", "uuid"}
