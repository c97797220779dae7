"""The JSON Schemas of `report.json` and of a diff, generated from the structs: `attrib schema`."""

import inspect
import json
import sys
from typing import Any

import msgspec

from attrib.model.diff import DIFF_VERSION
from attrib.model.document import SCHEMA_VERSION
from attrib.report.json_report import DiffReport, Report

SCHEMAS = {"report": (Report, SCHEMA_VERSION), "diff": (DiffReport, DIFF_VERSION)}
"""What is written as JSON, with the version of its schema."""


def schema_of(kind: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of `report.json` or of a diff. Unknown keys are allowed: later minor versions add some."""
    struct, version = SCHEMAS[kind]
    schema: dict[str, Any] = msgspec.json.schema(struct)
    body = schema["$defs"][struct.__name__]
    body["properties"]["schema_version"] = {"const": version}
    body["required"] = ["schema_version", *body["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"attrib {kind}, version {version}",
        **_clean(schema),
    }


def _clean(node: Any) -> Any:
    """Descriptions are docstrings: without their indentation, which differs between Python versions."""
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    cleaned = {key: _clean(value) for key, value in node.items()}
    if isinstance(text := node.get("description"), str):
        cleaned["description"] = inspect.cleandoc(text)
    return cleaned


def schema_text(kind: str = "report") -> str:
    """A schema as text; that of the report is published in `docs/report.schema.json`."""
    return json.dumps(schema_of(kind), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
