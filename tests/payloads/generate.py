"""Values of the contract's schemas, for Hypothesis.

Covers what the contract uses of JSON Schema. The tests that draw from it check each value with a
validator that was not written here, so a mistake in here cannot pass for a truth.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import strategies as st

from .contract import document

characters = st.characters(codec="utf-8")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(characters, max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(characters, max_size=5), inner, max_size=2),
    max_leaves=5,
)
FORMATS = {
    "date-time": st.datetimes(
        min_value=dt.datetime(1970, 1, 2),
        max_value=dt.datetime(9998, 12, 30),
        timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes))),
    ).map(dt.datetime.isoformat),
    "uuid": st.uuids().map(str),
    "email": st.emails(),
    "uri": st.sampled_from(["https://shop.example/", "https://example.com/a?b=c#d"]),
    "decimal": st.decimals(0, 9999, places=3).map(str),
}


def instances(schema: dict[str, Any], *required: str) -> st.SearchStrategy[Any]:
    """Return a strategy for the values a schema allows; ``required`` fields are always there."""
    if "$ref" in schema:
        target = document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return instances(target | {key: value for key, value in schema.items() if key != "$ref"}, *required)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type", "object" if "properties" in schema else "any")
    strategies = [_of_type(kind, schema, required) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return st.one_of(strategies)


def _of_type(kind: str, schema: dict[str, Any], required: tuple[str, ...]) -> st.SearchStrategy[Any]:
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema.get("minimum", -(2**40)), schema.get("maximum", 2**40))
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"])
        case "string" if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        case "string":
            return st.text(characters, min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", 30))
        case "array":
            return st.lists(instances(schema.get("items", {})), max_size=3)
        case "object":
            return _object(schema, required)
    return json_values


def _object(schema: dict[str, Any], required: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: instances(field) for name, field in schema.get("properties", {}).items()}
    needed = {*schema.get("required", ()), *required}
    known = st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in needed},
        optional={name: field for name, field in fields.items() if name not in needed},
    )
    extra = schema.get("additionalProperties")
    values = instances(extra) if isinstance(extra, dict) else json_values
    names = st.text(characters, min_size=1, max_size=8).filter(lambda name: name not in fields)
    return st.builds(lambda unknown, named: unknown | named, st.dictionaries(names, values, max_size=2), known)
