"""Properties that are passed over quickly are those that jsonschema would pass."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from enricher.iglu.compiled import compile_schema
from enricher.iglu.engine import CompiledSchema
from shared.schema import SchemaKey

KEY = SchemaKey("com.acme", "x", "jsonschema", "1-0-0")


def compiled(document: dict[str, Any]) -> CompiledSchema:
    schema = compile_schema(KEY, document)
    assert isinstance(schema, CompiledSchema), schema
    return schema


texts = st.text("ab1-\n", max_size=4) | st.sampled_from(["2024-01-02", "0190a5d6-0000-4000-8000-000000000000"])
parts = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", ["string", "null"], ["null", "integer"], "integer", "number"]),
        "minimum": st.integers(-2, 2),
        "maximum": st.integers(-2, 2) | st.just(1.5),
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "enum": st.lists(texts, min_size=1, max_size=3, unique=True),
        "format": st.sampled_from(["date", "uuid", "unheard-of"]),
        "pattern": st.just("^a"),
    },
)


@settings(deadline=None)
@given(parts, texts | st.integers(-4, 4) | st.sampled_from([None, True, 1.0, 10**400]))
def test_a_property_is_judged_as_it_would_be_alone(part: dict[str, Any], value: Any) -> None:
    alone = [report.keyword for report in compiled(part).judge(value)]
    inside = [report.keyword for report in compiled({"properties": {"a": part}}).judge({"a": value})]
    assert inside == alone
