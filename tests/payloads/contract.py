"""The contract's schemas, and a validator that was not written here."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

CONTRACT = Path(__file__).parent.parent / "contract" / "integrations-v2.yaml"


@functools.cache
def document() -> dict[str, Any]:
    return yaml.safe_load(CONTRACT.read_text())


def schema(name: str) -> dict[str, Any]:
    return document()["components"]["schemas"][name]


def _allow_null(node: Any) -> None:
    """Mend the one contradiction that cannot be avoided: a nullable enum that does not list null."""
    if isinstance(node, dict):
        if "null" in (node.get("type") or ()) and isinstance(node.get("enum"), list) and None not in node["enum"]:
            node["enum"] = [*node["enum"], None]
        for value in node.values():
            _allow_null(value)
    elif isinstance(node, list):
        for value in node:
            _allow_null(value)


@functools.cache
def validator(name: str, *, literal: bool = False) -> Draft202012Validator:
    """A validator for a schema, formats asserted; ``literal`` takes the nullable enums at their word."""
    contents = copy.deepcopy(document())
    if not literal:
        _allow_null(contents)
    resource = Resource(contents=contents, specification=DRAFT202012)
    registry = Registry().with_resource("urn:contract", resource)
    checker = FormatChecker(["date-time", "date", "uuid", "email"])
    return Draft202012Validator(
        {"$ref": f"urn:contract#/components/schemas/{name}"}, registry=registry, format_checker=checker
    )


def problems(name: str, value: Any, *, literal: bool = False) -> list[str]:
    return sorted(
        f"{error.json_path}: {error.message}" for error in validator(name, literal=literal).iter_errors(value)
    )
