"""Compiled PyTorch in hand-made traces: what is a call, what it covers, and in which module."""

import json

import numpy as np
import pytest

from attrib.analysis.attribution.host.torch_kernels import common_scope, is_wrapper
from attrib.analysis.attribution.host.torch_partition import torch_steps
from attrib.analysis.attribution.partitions import TimedStep, step_windows
from attrib.model.compiled import Compiled, CompiledGraph, KernelLaunch
from attrib.model.work import Member
from attrib.traces import read_kineto

REGION = "Torch-Compiled Region: 0/0"
GRAPH = "## Call CompiledFxGraph None ##"


def launch(kernel, *members, partial=()):
    return KernelLaunch(
        kernel=kernel, members=tuple(map(member, members)), partial=tuple(map(member, partial))
    )


def member(text):
    return Member(*text.split("|"))


def inductor(*launches, region=REGION):
    return Compiled(compiler="inductor", graphs=(CompiledGraph(region=region, launches=launches),))


def partition(tmp_path, compiled, *events):
    """A step of 1,000 microseconds that holds `(name, start, duration)`."""
    rows = [("attrib.step#0", 0, 1000), *events]
    events = [
        {
            "ph": "X", "cat": "user_annotation" if name.startswith(("attrib", "##")) else "cpu_op", "name": name,
            "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": {},
        }
        for name, ts, dur in rows
    ]  # fmt: skip
    path = tmp_path / "trace.json"
    path.write_text(json.dumps({"schemaVersion": 1, "baseTimeNanoseconds": 0, "traceEvents": events}))
    table = read_kineto(path)
    windows = step_windows(table, table.steps(), [TimedStep(0, 10**9, 0)])
    found = torch_steps(table, windows, compiled).partition
    found.self_check()
    return found


def test_the_turn_tells_launches_of_one_kernel_apart(tmp_path):
    compiled = inductor(
        launch("aten::addmm", "a|aten::linear|linear"),
        launch("k", "a.norm|aten::layer_norm|n0", "a.drop|aten::dropout|d0"),
        launch("aten::addmm", "b|aten::linear|linear_1"),
        launch("k", "b.norm|aten::layer_norm|n1"),
    )
    found = partition(
        tmp_path, compiled,
        ("TorchDynamo Cache Lookup", 5, 4), (REGION, 10, 900), (GRAPH, 20, 800),
        ("aten::addmm", 30, 10), ("aten::expand", 31, 2), ("k", 50, 10), ("aten::addmm", 70, 10), ("k", 90, 10),
    )  # fmt: skip
    assert [(w.scope, w.op, [m.name for m in w.members]) for w in found.work] == [
        ("a", "aten::addmm", ["linear"]), ("a", "k", ["n0", "d0"]),
        ("b", "aten::addmm", ["linear_1"]), ("b.norm", "k", ["n1"]),
    ]  # fmt: skip
    assert found.work[0].inner == ("aten::expand",)
    assert found.work_ns[:, 0].tolist() == [10_000] * 4
    assert found.parts_ns[0, 0] == 960_000
    # Three events wrap the calls: what recording them costs lands in dispatch.
    assert (found.inside.tolist(), found.outside.tolist()) == ([2, 1, 1, 1, 3], [1, 0, 0, 0, 7])


def test_another_number_of_launches_than_recorded_is_not_guessed_at(tmp_path):
    compiled = inductor(launch("k", "a|aten::add|x"), launch("j", "b|aten::mul|y"))
    found = partition(
        tmp_path, compiled,
        ("module: ", 1, 990), (REGION, 10, 900), (GRAPH, 20, 800), ("k", 30, 10), ("k", 50, 10), ("j", 70, 10),
    )  # fmt: skip
    assert [(w.scope, w.op, w.members) for w in found.work] == [
        ("", "k", ()), ("", "k", ()), ("b", "j", (member("b|aten::mul|y"),)),
    ]  # fmt: skip


def test_what_python_runs_around_a_graph_is_an_ordinary_call(tmp_path):
    compiled = inductor(launch("aten::addmm", "a|aten::linear|linear"))
    found = partition(
        tmp_path, compiled,
        (REGION, 10, 900), (GRAPH, 20, 100), ("aten::addmm", 30, 10),
        ("module: late", 200, 100), ("Torch-Compiled Region: 1/0", 205, 90), ("aten::addmm", 210, 10),
        ("aten::addmm", 400, 10),
    )  # fmt: skip
    assert [(w.scope, len(w.members)) for w in found.work] == [("a", 1), ("late", 0), ("", 0)]


def test_one_code_for_several_modules_computes_in_the_module_that_runs_it(tmp_path):
    compiled = inductor(
        launch("aten::addmm", "layers.0.dense|aten::linear|linear"), launch("k", "|aten::add|add")
    )
    runs = [
        event
        for i, start in enumerate((100, 300))
        for event in (
            (f"module: layers.{i}", start, 90), (REGION, start + 2, 80), (GRAPH, start + 4, 70),
            ("aten::addmm", start + 10, 10), ("k", start + 30, 10),
        )
    ]  # fmt: skip
    found = partition(tmp_path, compiled, *runs)
    assert [w.scope for w in found.work] == ["layers.0.dense", "layers.0", "layers.1.dense", "layers.1"]
    members = [m for w in found.work for m in w.members]
    assert len(set(members)) == len(members), "each run's ops are ops of their own"


def test_an_op_belongs_to_the_launch_of_its_result(tmp_path):
    compiled = inductor(
        launch("k", "mask|aten::ge|ge", partial=["att|aten::scaled_dot_product_attention|sdpa"]),
        launch("cast", partial=["att|aten::scaled_dot_product_attention|sdpa"]),
    )
    found = partition(
        tmp_path, compiled, (REGION, 10, 900), (GRAPH, 20, 800), ("k", 30, 10), ("cast", 50, 10)
    )
    assert [[m.name for m in w.members] for w in found.work] == [["ge"], ["sdpa"]]


def test_a_traced_module_gives_its_calls_their_scope(tmp_path):
    long = "fused_" + "_".join(["mul"] * 30)
    compiled = Compiled(
        compiler="torchscript",
        graphs=(
            CompiledGraph(
                region="forward",
                launches=(
                    launch("aten::linear", "a|aten::linear|1"), launch(long, "act|aten::mul|2", "act|aten::mul|3"),
                    launch("aten::size", "a|aten::size|4"),
                ),
            ),
        ),
    )  # fmt: skip
    hashed = long[:64] + "_1234567890"
    found = partition(tmp_path, compiled, ("forward", 10, 900), ("aten::linear", 30, 10), (hashed, 50, 10))
    assert [(w.id, len(w.members)) for w in found.work] == [("a/aten::linear#0", 0), (f"act/{hashed}#0", 2)]


def test_wrappers_of_a_foreign_trace_are_no_calls(tmp_path):
    found = partition(tmp_path, None, (REGION, 10, 900), (GRAPH, 20, 800), ("triton_poi_fused_add_0", 30, 10))
    assert [w.op for w in found.work] == ["triton_poi_fused_add_0"]
    assert found.parts_ns.sum() == 990_000


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CompiledFunction", True), ("graph_3_inductor_wrapper_call", True), ("Pregraph bytecode", True),
        ("AOTDispatcher Runtime Wrapper Prologue", True), ("forward", True),
        ("aten::linear", False), ("graph_0_cpp_fused_add_0", False), ("forward_features", False),
    ],
)  # fmt: skip
def test_which_events_only_wrap_others(name, expected):
    assert is_wrapper(name) is expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (["a.b.c|aten::add", "a.b.d|aten::mul"], "a.b"), (["a.b|aten::add", "a.bc|aten::mul"], "a"),
        (["a|aten::add", "|aten::mul"], ""), (["a.b|aten::add", "z|aten::select"], "a.b"),
        (["a.x|aten::view", "a.y|aten::view"], "a"),
    ],
)  # fmt: skip
def test_a_kernel_lies_in_the_innermost_module_of_what_computes_in_it(members, expected):
    assert common_scope(tuple(map(member, members))) == expected


def test_steps_stay_exact_with_many_runs_of_one_graph(tmp_path):
    compiled = inductor(launch("k", "|aten::add|add"))
    events = [(REGION, 2, 990), *[(GRAPH, 10 + 30 * i, 20) for i in range(30)]]
    found = partition(tmp_path, compiled, *events, *[("k", 12 + 30 * i, 3) for i in range(30)])
    assert np.all(found.work_ns == 3_000)
    assert len({m.name for w in found.work for m in w.members}) == 30
