"""Random instances of a schema, and mutations that stand close to its borders."""

import copy
from random import Random
from typing import Any

from shared.iglu.registry import Document

_UUID = "5c33fccf-6be5-4ce6-afb1-e34026a3ca75"
_TEXTS = (
    "", "a", "é", "𝒳", "abc\n", "abc\u2028", "1.2.3", "1.2.3\n", "٣.٣.٣", "x y", "\u00a0", "\x85", "%zz", "-", "0",
    "-1.5", "$x", "sp_", "a=b", "iglu:com.acme/x/jsonschema/1-0-0", "iglu:com.acme/x/jsonschema/1-0-0\n", "QUJD",
    "QUJDRA==", _UUID, _UUID.upper(), _UUID + "\n", _UUID.replace("-", ""), "{" + _UUID + "}", "2024-02-29T23:59:59Z",
    "2023-02-29T00:00:00Z", "2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "2024-01-31T00:00:00",
    "2024-01-31 00:00:00Z", "2024-01-31t00:00:00.123456789z", "2024-04-31T00:00:00+01:00", "2024-01-31T24:00:00Z",
    "2024-01-31T00:00:00Z\n",
    "2024-02-29", "2024-02-30", "10:00:00", "10:00:00Z", "https://example.com/?q=a|b#ü", "//host", "javascript:void(0)",
    "/path", "http://a b", "mailto:a@b.example", "a@b", "a@b.example", "a@@b.example", "192.0.2.1", "192.0.2.256",
    "1.2.3", "::1", "fe80::1%eth0", "1:2:3:4:5:6:7:8", "host-name.example", "-host", "a_b", "x" * 65, "x" * 300,
    "\ud800",
)  # fmt: skip
_OTHERS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 1.0, 0.5, -0.0, 0.07, 0.29, 19.99, 0.005, 1e-9, 1e22, 1e308, float("inf"),
    float("nan"), 2**31 - 1, 2**31, 2**53 + 1, 2**63, 2**64, 10**40, [], {}, [None], [1, 1.0], [1, True], [[]],
    {"": None}, {"a": {"b": 1}},
)  # fmt: skip


def instances(document: Document, rng: Random, count: int) -> list[Any]:
    """Half of them likely to conform, the rest one to three mutations away."""
    made = [_value(document, document, rng, 0) for _ in range(count)]
    return [instance if rng.random() < 0.4 else mutated(instance, rng) for instance in made]


def mutated(instance: Any, rng: Random) -> Any:
    holder = [copy.deepcopy(instance)]
    for _ in range(rng.randint(1, 3)):
        places = list(_places(holder))
        _mutate(*rng.choice(places), rng)
    return holder[0]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with each of its keys."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    below = [value[key] for key in keys if isinstance(value[key], (dict, list))]
    return [(value, key) for key in keys] + [place for part in below for place in _places(part)]


def _mutate(holder: Any, key: Any, rng: Random) -> None:
    choice = rng.random()
    if choice < 0.15 and isinstance(holder, dict):
        del holder[key]
    elif choice < 0.3 and isinstance(holder[key], dict):
        holder[key][rng.choice(["extra", "", "schema", "a b", "x" * 130])] = copy.deepcopy(rng.choice(_OTHERS))
    elif choice < 0.4 and isinstance(holder[key], list) and holder[key]:
        holder[key].append(copy.deepcopy(holder[key][0]))
    elif choice < 0.7:
        holder[key] = rng.choice(_TEXTS)
    else:
        holder[key] = copy.deepcopy(rng.choice(_OTHERS))


def _value(schema: Any, root: Document, rng: Random, depth: int) -> Any:
    schema = _chosen(schema, root, rng)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    types = schema.get("type") or rng.choice(["object", "string", "integer", "null"])
    kind = rng.choice(types) if isinstance(types, list) else types
    if kind == "object":
        return _object(schema, root, rng, depth)
    if kind == "array":
        return _array(schema, root, rng, depth)
    return _scalar(kind, schema, rng)


def _chosen(schema: Any, root: Document, rng: Random) -> Document:
    """The schema with one branch of its alternatives, and with what it refers to."""
    merged = dict(schema) if isinstance(schema, dict) else {}
    for keyword in ("anyOf", "oneOf", "allOf"):
        if merged.get(keyword):
            merged |= rng.choice(merged[keyword])
    reference = merged.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/definitions/"):
        merged |= root["definitions"].get(reference.removeprefix("#/definitions/"), {})
    return merged


def _object(schema: Document, root: Document, rng: Random, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    often = rng.choice([0.1, 0.5, 1.0]) if depth < 4 else 0.0
    required = schema.get("required", [])
    names = [name for name in properties if name in required or rng.random() < often]
    return {name: _value(properties[name], root, rng, depth + 1) for name in names}


def _array(schema: Document, root: Document, rng: Random, depth: int) -> list[Any]:
    items = schema.get("items", {})
    least = schema.get("minItems", 0)
    count = max(least, min(schema.get("maxItems", 3), rng.randint(0, 3)) if depth < 5 else 0)
    members = items if isinstance(items, list) else [items] * count
    return [_value(member, root, rng, depth + 1) for member in members]


def _scalar(kind: str, schema: Document, rng: Random) -> Any:
    if kind == "string":
        return _text(schema, rng)
    if kind == "boolean":
        return rng.random() < 0.5
    if kind not in ("integer", "number"):
        return None
    low, high = schema.get("minimum", -1000), schema.get("maximum", 1000)
    near = [low, high, low + 1, (low + high) // 2]
    step = schema.get("multipleOf", 1)
    return rng.choice(near) if kind == "integer" else rng.choice([*near, round(rng.randint(0, 999) * step, 6)])


def _text(schema: Document, rng: Random) -> str:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 40)
    if rng.random() < 0.6 and ("format" in schema or "pattern" in schema):
        return rng.choice(_TEXTS)
    length: int = rng.choice([shortest, min(longest, 70_000), min(longest, shortest + 3)])
    return "x" * length
