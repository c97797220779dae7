"""Traces that attrib did not record: module scopes, steps, and what is missing."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.attribution.host.foreign_steps import period, python_scopes
from attrib.api import load

OPS = ("aten::linear", "aten::gelu", "aten::linear")


def event(name: str, category: str, start: float, duration: float, **args: object) -> dict[str, object]:
    return {
        "ph": "X",
        "name": name,
        "cat": category,
        "ts": start,
        "dur": duration,
        "pid": 1,
        "tid": 1,
        "args": args,
    }


def step_of(start: float, *, modules: bool) -> list[dict[str, object]]:
    """One forward pass of 100 us: two linears of one class around a gelu of the outer module."""
    x = {"Input Dims": [[1, 8]], "Input type": ["float"]}
    ops = [event(op, "cpu_op", start + 10 + 30 * i, 20, **x) for i, op in enumerate(OPS)]
    if not modules:
        return ops
    spans = (("Net_0", 0, 100), ("Block_0", 5, 90), ("Linear_0", 9, 22), ("Linear_1", 69, 22))
    return [
        *(
            event(f"nn.Module: {name}", "python_function", start + begin, length)
            for name, begin, length in spans
        ),
        *ops,
    ]


def write(folder: Path, *, steps: int = 3, modules: bool = False, wrap: str = "") -> Path:
    events = [e for i in range(steps) for e in step_of(1000.0 * (i + 1), modules=modules)]
    if wrap:
        events += [event(wrap, "user_annotation", 1000.0 * (i + 1), 100) for i in range(steps)]
    (folder / "trace.json").write_text(json.dumps({"schemaVersion": 1, "traceEvents": events}))
    return folder


@pytest.mark.parametrize(("modules", "wrap"), [(False, ""), (True, ""), (False, "inference")])
def test_steps_are_found_without_annotations_of_the_profiler(tmp_path, modules, wrap):
    partition = load(write(tmp_path, modules=modules, wrap=wrap)).partitions["torch"]
    assert partition.steps == 2  # the first of three is the cold one
    assert [work.op for work in partition.work] == list(OPS)


def test_one_pass_alone_is_one_step(tmp_path):
    assert load(write(tmp_path, steps=1)).partitions["torch"].steps == 1


def test_python_events_give_the_path_of_modules_without_the_outermost(tmp_path):
    work = load(write(tmp_path, modules=True)).partitions["torch"].work
    assert [w.scope for w in work] == ["Block_0.Linear_0", "Block_0", "Block_0.Linear_1"]


def test_two_outermost_modules_keep_their_names():
    names = ["nn.Module: A_0", "nn.Module: L_0", "nn.Module: B_0"]
    starts, ends = np.array([0, 1, 20]), np.array([10, 5, 30])
    assert python_scopes(names, starts, ends) == ("A_0", "A_0.L_0", "B_0")


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(1, 5))
def test_a_repeated_sequence_has_a_period_that_divides_it(block, times):
    whole = block * times
    found = period(whole)
    assert len(whole) % found == 0
    assert whole == whole[:found] * (len(whole) // found)
    assert found <= len(block)


def test_a_directory_says_what_it_lacks_and_how_to_record_it(tmp_path):
    gaps = {gap.what: gap for gap in load(write(tmp_path)).document.gaps}
    assert gaps.keys() == {
        "ONNX Runtime's profile", "plain runs of both engines", "PyTorch's modules", "the machine's peaks",
    }  # fmt: skip
    assert "enable_profiling" in gaps["ONNX Runtime's profile"].how
    assert all(gap.cost and gap.how for gap in gaps.values())


def test_module_events_fill_the_gap_of_modules(tmp_path):
    assert "PyTorch's modules" not in {gap.what for gap in load(write(tmp_path, modules=True)).document.gaps}


def test_what_attrib_captured_lacks_nothing():
    sample = Path(__file__).parents[4] / "sample_traces" / "distilbert-base-uncased"
    document = load(sample).document
    measured = any(side.peaks for side in document.sides.values())
    assert [gap.what for gap in document.gaps] == ([] if measured else ["the machine's peaks"])
