"""The JSON Schema of `report.json`, generated from the structs: `python -m attrib.report.schema`."""

import inspect
import json
import sys
from typing import Any

import msgspec

from attrib.model.document import SCHEMA_VERSION
from attrib.report.json_report import Report


def report_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of `report.json`. Unknown keys are allowed: later minor versions add some."""
    schema: dict[str, Any] = msgspec.json.schema(Report)
    body = schema["$defs"]["Report"]
    body["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    body["required"] = ["schema_version", *body["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"attrib report, version {SCHEMA_VERSION}",
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


def schema_text() -> str:
    """The schema as it is published in `docs/report.schema.json`."""
    return json.dumps(report_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
