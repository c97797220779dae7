"""OpenVINO on the CPU, for real: a second provider, compiled parts and fallback on a machine without a GPU.

The packages that hold ONNX Runtime's builds overwrite each other's files, so OpenVINO's lives in an environment of its own:
`.ci/openvino` makes one and runs these tests.
"""

import gzip
import json
import os
from pathlib import Path

import msgspec
import pytest

from attrib.api import load
from attrib.capture import CaptureOptions, SideError, capture
from attrib.model.manifest import OPTIMIZED, PARTITIONED, Manifest, OutputDifference
from tests.capture.factories import write_factories

PYTHON = os.environ.get("ATTRIB_OPENVINO_PYTHON", "")
OPENVINO, CPU = "OpenVINOExecutionProvider", "CPUExecutionProvider"
QUICK = {"iterations": 3, "rounds": 4, "warmup": 3, "threads": 1, "launches": 1, "max_time": 0.0}

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(
        not PYTHON,
        reason="ATTRIB_OPENVINO_PYTHON names no interpreter with onnxruntime-openvino: .ci/openvino makes one",
    ),
]

GUARDED = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


class Guard(nn.Module):
    def forward(self, x):
        return torch.nan_to_num(x)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([Block(16), Block(16)])
        self.guard = Guard()

    def forward(self, x):
        return self.layer[1](self.guard(self.layer[0](x)))


def guarded():
    torch.manual_seed(0)
    return Encoder(), (torch.randn(4, 4096, 16),)
"""
"""An encoder with `nan_to_num` between its layers: OpenVINO's provider takes neither its IsNaN nor its IsInf."""


def profiled(folder, model, **changes):
    options = CaptureOptions(
        model=model,
        output=folder / "out",
        ort_python=Path(PYTHON),
        providers=("openvino",),
        **QUICK | changes,
    )
    return capture(options)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A two-layer BERT as it is exported by default: with a guard against NaN in each attention."""
    folder = tmp_path_factory.mktemp("openvino")
    return profiled(folder, f"{write_factories(folder)}:bert")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same without these guards."""
    folder = tmp_path_factory.mktemp("openvino-whole")
    return profiled(folder, f"{write_factories(folder)}:bert", optimize=("drop-nan-guard",))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """The encoder with an op that the provider lacks between its layers."""
    folder = tmp_path_factory.mktemp("openvino-guarded")
    (folder / "guarded.py").write_text(GUARDED)
    return profiled(folder, f"{folder}/guarded.py:guarded")


def manifest_of(directory):
    return msgspec.json.decode((directory / "manifest.json").read_bytes(), type=Manifest)


def parts_of(directory):
    """Provider and op types of each part."""
    placement = load(directory).directory.placement("onnxruntime")
    return [(part.provider, [node.op for node in part.nodes]) for part in placement.parts]


def ran(directory):
    """Names of the nodes in the profile, with their provider."""
    events = json.loads(gzip.decompress((directory / "ort/profile.json.gz").read_bytes()))
    return {
        event["name"].removesuffix("_kernel_time"): event["args"]["provider"]
        for event in events
        if event.get("cat") == "Node" and "provider" in event.get("args", {})
    }


def test_manifest_says_which_runtime_ran_and_not_where(bert):
    side = manifest_of(bert).sides["onnxruntime"]
    assert side.package == "onnxruntime-openvino"
    assert side.interpreter
    assert side.requested_providers == (OPENVINO,)
    assert side.providers == (OPENVINO, CPU)
    assert str(Path(PYTHON).parent.parent) not in (bert / "manifest.json").read_text()


def test_provider_s_own_pool_has_as_many_threads(bert):
    """Left alone it takes as many as there are cores, whatever the session's option says."""
    side = manifest_of(bert).sides["onnxruntime"]
    assert side.threads == 1
    assert side.settings["provider_threads"] == f"{OPENVINO}:num_of_threads=1"


def test_outputs_agree(bert, whole, guarded):
    for directory in (bert, whole, guarded):
        rows = msgspec.json.decode((directory / "outputs.json").read_bytes(), type=list[OutputDifference])
        assert all(row.equal for row in rows)


def test_guards_of_the_attention_fall_back_and_cut_the_graph(bert):
    parts = parts_of(bert)
    assert [ops for provider, ops in parts if provider == CPU] == [["IsNaN"], ["IsNaN"]]
    assert sum(provider == OPENVINO for provider, _ in parts) == 3


def test_without_them_one_part_holds_the_model(whole):
    parts = parts_of(whole)
    assert [provider for provider, _ in parts] == [OPENVINO]
    assert len(parts[0][1]) > 50


def test_every_part_ran_as_one_node(bert, whole):
    for directory in (bert, whole):
        compiled = [ops for provider, ops in parts_of(directory) if provider == OPENVINO]
        nodes = [name for name, provider in ran(directory).items() if provider == OPENVINO]
        assert len(nodes) == len(compiled)


def test_op_that_the_provider_lacks_runs_on_the_cpu(guarded):
    fallen = [ops for provider, ops in parts_of(guarded) if provider == CPU]
    assert sorted(op for ops in fallen for op in ops) == ["IsInf", "IsNaN"]
    assert [name for name, provider in ran(guarded).items() if provider == CPU]


def test_fallback_is_found(guarded):
    (finding,) = [f for f in load(guarded).document.findings if f.id == "fallback-nodes"]
    assert finding.state == "failed"
    told = " ".join([finding.title, finding.summary, *(row.text for row in finding.evidence)])
    assert OPENVINO in told
    assert "IsNaN" in told


def test_graph_that_was_partitioned_is_kept_instead_of_the_optimized_one(bert):
    files = {entry.path: entry for entry in manifest_of(bert).files}
    assert files[OPTIMIZED].state == "missing"
    assert "compiled parts of the graph" in files[OPTIMIZED].reason
    assert files[PARTITIONED].state == "complete"


def test_every_placed_node_is_in_the_graph_that_was_partitioned(bert):
    import onnx

    graph = onnx.load(bert / PARTITIONED, load_external_data=False).graph
    known = {node.name: node.op_type for node in graph.node}
    placement = load(bert).directory.placement("onnxruntime")
    placed = {node.name: node.op for part in placement.parts for node in part.nodes}
    assert placed == known


def test_nothing_is_lost(bert, whole, guarded):
    for directory in (bert, whole, guarded):
        document = load(directory).document
        assert document.ledger
        assert sum(row.delta_ns for row in document.ledger) == document.latency.delta_ns.median


def test_provider_s_own_word_is_the_first_where_it_ran(bert):
    (finding,) = [f for f in load(bert).document.findings if f.id == "provider-not-used"]
    assert finding.state == "passed"


def test_cache_is_told_from_compiling(tmp_path):
    folder = tmp_path / "engines"
    states = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        directory = profiled(
            tmp_path / name, "two-linears", provider_options=(f"cache_dir={folder}", "num_of_threads=1"),
        )  # fmt: skip
        side = manifest_of(directory).sides["onnxruntime"]
        states.append(side.settings["compiled_engine_cache"])
        assert int(side.settings["session_creation_ms"]) > 0
        assert side.provider_options == {OPENVINO: {"cache_dir": "engines", "num_of_threads": "1"}}
    assert states == ["cold", "warm"]


@pytest.mark.parametrize("option", ["nonsense=1", "num_of_threads=many"])
def test_option_that_the_provider_refuses_is_an_error_and_no_run_on_the_cpu(tmp_path, option):
    """For the second one ONNX Runtime itself only logs a warning, and goes on with the CPU alone."""
    with pytest.raises(SideError) as caught:
        profiled(tmp_path, "two-linears", provider_options=(option,))
    assert option.partition("=")[0] in str(caught.value)
    assert manifest_of(caught.value.directory).sides["onnxruntime"].state == "failed"


def test_verify_measures_with_the_same_runtime(bert, cli, tmp_path):
    model = ("--model", f"{write_factories(tmp_path)}:bert")
    quick = ("--rounds", "2", "--iterations", "2", "--experiment", "opt-level-basic", "--no-report", "--json")
    asked = cli("verify", bert, *model, *quick)
    assert asked.returncode == 2
    assert "onnxruntime-openvino" in asked.stderr
    other = cli("verify", bert, *model, *quick, "--ort-python", _own())
    assert other.returncode == 3
    assert "cannot be compared" in other.stderr
    done = cli("verify", bert, *model, *quick, "--ort-python", PYTHON)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["state"] == "measured", result
    assert PYTHON not in "".join(file.read_text() for file in (bert / "verify").iterdir())


def _own():
    import sys

    return sys.executable
