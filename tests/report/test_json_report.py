"""`report.json`: the same bytes for the same document, refused by name where unknown, and true to its schema."""

import json
import math
from pathlib import Path

import jsonschema
import msgspec
import pytest

from attrib.errors import AttribError, InternalError
from attrib.report.json_report import from_json, to_json
from attrib.report.schema import schema_of, schema_text
from tests.report.factory import document, hostile, huge, mismatched, not_significant, one_sided

PUBLISHED = Path(__file__).parents[2] / "docs" / "report.schema.json"
MAKERS = (document, one_sided, not_significant, mismatched)


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_written_is_read_back(make):
    assert from_json(to_json(make())) == make()


@pytest.mark.parametrize("make", [*MAKERS, hostile])
def test_report_follows_the_published_schema(make):
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text())).validate(json.loads(to_json(make())))


def test_published_schema_is_the_one_of_the_structs():
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m attrib.report.schema > docs/report.schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(schema_of("report"))


def test_schema_refuses_another_version_and_allows_new_keys():
    validator = jsonschema.Draft202012Validator(schema_of("report"))
    body = json.loads(to_json(document()))
    assert validator.is_valid(body | {"added_later": 1})
    assert not validator.is_valid(body | {"schema_version": 2})
    del body["latency"]
    assert not validator.is_valid(body)


def test_keys_are_those_of_the_design():
    body = json.loads(to_json(document()))
    assert {"schema_version", "workload", "environment", "comparability", "latency", "coverage", "ledger", "causes",
            "findings"} <= body.keys()  # fmt: skip
    assert body["latency"].keys() == {
        "torch_ns", "onnxruntime_ns", "delta_ns", "significant", "ratio", "launches",
    }  # fmt: skip
    assert {"id", "region", "module", "cause", "torch_calls", "onnx_nodes", "providers", "shapes", "torch_ns",
            "onnxruntime_ns", "delta_ns", "low_ns", "high_ns", "match"} <= body["ledger"][0].keys()  # fmt: skip
    assert sum(row["delta_ns"] for row in body["ledger"]) == body["latency"]["delta_ns"]["median"]


def test_order_of_dictionaries_does_not_show():
    base = document()
    turned = msgspec.structs.replace(
        base,
        sides=dict(reversed(base.sides.items())),
        environment=msgspec.structs.replace(
            base.environment, packages=dict(reversed(base.environment.packages.items()))
        ),
    )
    assert to_json(turned) == to_json(base)


def test_unknown_version_is_refused_by_name():
    data = to_json(document()).replace(b'"schema_version": 1', b'"schema_version": 7')
    with pytest.raises(AttribError, match="schema version '7'; this attrib reads version 1") as caught:
        from_json(data)
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[1]", "cannot be read"),
        (b"{}", "names no schema_version"),
        (b'{"schema_version": 1}', "missing required field `attrib_version`"),
        (b'{"schema_version": "' + b"x" * 5000 + b'"}', "schema version 'xxxxxxxxxxxxxxxxxxxx';"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(data, message):
    with pytest.raises(AttribError, match=message) as caught:
        from_json(data)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_lone_surrogates_are_written_as_escapes():
    data = to_json(document(command="bad\ud800text", warnings=("\udfff",)))
    assert from_json(data).command == "bad\\ud800text"
    assert to_json(hostile()) == to_json(hostile())


def test_figure_that_json_cannot_say_is_a_bug():
    base = mismatched()
    broken = msgspec.structs.replace(
        base, outputs=(msgspec.structs.replace(base.outputs[0], max_abs=math.nan),)
    )
    with pytest.raises(InternalError, match=r"last_hidden_state.*max_abs"):
        to_json(broken)


def test_ten_thousand_rows_are_all_there():
    assert len(from_json(to_json(huge())).ledger) == 10_000
