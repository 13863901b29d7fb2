"""The reference of the REST operations, from the OpenAPI document."""

from __future__ import annotations

import json
from typing import Any

from docs_site import openapi
from docs_site.markdown import sentence, table


def markdown() -> str:
    """Return a section for each operation, and one for each kind of body."""
    document = json.loads(openapi.document_text())
    operations = [
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    bodies = [_body(name, schema) for name, schema in document["components"]["schemas"].items()]
    return "\n".join(["## Operations\n", *operations, "## Bodies\n", *bodies])


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = [
        [
            f"`{parameter['name']}`",
            parameter["in"],
            _kind(parameter["schema"]),
            parameter.get("description", ""),
        ]
        for parameter in operation.get("parameters", [])
    ]
    bodies = [[f"`{media}`", _kind(body["schema"])] for media, body in _contents(operation.get("requestBody", {}))]
    answers = [
        [
            status,
            answer["description"],
            ", ".join(dict.fromkeys(_kind(body["schema"]) for _, body in _contents(answer))),
            ", ".join(f"`{name.lower()}`" for name in answer.get("headers", {})),
        ]
        for status, answer in operation["responses"].items()
    ]
    return "\n".join(
        [
            f"### {method.upper()} `{path}`\n",
            f"{operation.get('description', '')}\n",
            table(["parameter", "in", "values", "meaning"], parameters),
            table(["body sent", "is"], bodies),
            table(["status", "when", "body", "headers"], answers),
        ]
    )


def _contents(message: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return list(message.get("content", {}).items())


def _body(name: str, schema: dict[str, Any]) -> str:
    fields = [
        [f"`{key}`", _kind(field), field.get("description", "")] for key, field in schema.get("properties", {}).items()
    ]
    what = f"{sentence(schema.get('description', ''))}\n"
    if "enum" in schema:
        what += f"\nOne of {_kind(schema)}.\n"
    return "\n".join([f"### {name}\n", what, table(["key", "values", "meaning"], fields)])


def _kind(schema: dict[str, Any]) -> str:
    """Return what a value may be, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}{_bounds(schema)}"
    if schema.get("format") == "binary":
        return "bytes"
    if schema.get("type") == "object" and "properties" in schema:
        return "; ".join(f"part `{key}`: {field.get('description', '')}" for key, field in schema["properties"].items())
    return f"{schema.get('format') or schema.get('type', 'any value')}{_bounds(schema)}"


_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
    "minItems": "at least",
    "maxItems": "at most",
    "maxLength": "at most",
}


def _bounds(schema: dict[str, Any]) -> str:
    units = {"minItems": " items", "maxItems": " items", "maxLength": " characters"}
    told = [f", {words} {schema[key]}{units.get(key, '')}" for key, words in _BOUNDS.items() if key in schema]
    return "".join(told)
