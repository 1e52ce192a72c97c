"""The part of the API's OpenAPI file that an operation has to keep to: names, types, what is required and allowed.

`operations.json` holds this part, so that the contract is tested also where the OpenAPI file is not at hand.
"""

from __future__ import annotations

from typing import Any

_KEPT = ("type", "enum", "const", "pattern", "minLength")


def resolved(node: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """Follow references."""
    while "$ref" in node:
        target: Any = spec
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def reduced(node: dict[str, Any], spec: dict[str, Any], name: str = "") -> dict[str, Any]:
    """Keep of a schema what says whether a value is allowed; an object with listed properties takes no others."""
    node = resolved(node, spec)
    if name == "remote_fields":
        return {"type": "object"}
    kept: dict[str, Any] = {key: node[key] for key in _KEPT if key in node}
    for key in ("anyOf", "oneOf"):
        if key in node:
            kept["anyOf"] = [reduced(option, spec) for option in node[key]]
    if "items" in node:
        kept["items"] = reduced(node["items"], spec)
    if "properties" in node:
        kept["properties"] = {key: reduced(child, spec, key) for key, child in node["properties"].items()}
        kept["required"] = sorted(node.get("required", []))
        kept["additionalProperties"] = False
    return kept


def operations(spec: dict[str, Any]) -> dict[str, Any]:
    """Reduce every operation of the unified ATS API.

    Args:
        spec: The OpenAPI document.

    Returns:
        By method and path: the `query` parameters and the `body`, as JSON schemas.
    """
    found: dict[str, Any] = {}
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            if "Unified ATS API" not in operation.get("tags", []):
                continue
            query: dict[str, Any] = {}
            required = []
            for raw in operation.get("parameters", []):
                parameter = resolved(raw, spec)
                if parameter["in"] == "query":
                    schema = reduced(parameter["schema"], spec)
                    schema["type"] = "string"  # on the wire
                    query[parameter["name"]] = schema
                    required += [parameter["name"]] if parameter.get("required") else []
            entry: dict[str, Any] = {
                "query": {"type": "object", "properties": query, "required": required, "additionalProperties": False}
            }
            if "requestBody" in operation:
                entry["body"] = reduced(operation["requestBody"]["content"]["application/json"]["schema"], spec)
            found[f"{method.upper()} {path}"] = entry
    return dict(sorted(found.items()))
