"""Whole captures of small models: what every trace directory must hold, and must not."""

import gzip
import json
import os
import socket
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import msgspec
import onnx
import pytest

from attrib.capture import CaptureOptions, Handover, SideError, capture
from attrib.errors import AttribError
from attrib.model.manifest import Manifest, OutputDifference

pytestmark = pytest.mark.engines

QUICK = {"iterations": 3, "rounds": 4, "warmup": 3, "threads": 1, "launches": 1, "max_time": 0.0}


def manifest_of(directory):
    return msgspec.json.decode((directory / "manifest.json").read_bytes(), type=Manifest)


def outputs_of(directory):
    return msgspec.json.decode((directory / "outputs.json").read_bytes(), type=list[OutputDifference])


def torch_events(directory, folder="torch"):
    return json.loads(gzip.decompress((directory / folder / "trace.json.gz").read_bytes()))["traceEvents"]


def ort_events(directory, folder="ort"):
    return json.loads(gzip.decompress((directory / folder / "profile.json.gz").read_bytes()))


def latency_rows(directory):
    import pyarrow.parquet as pq

    with (directory / "latency.parquet").open("rb") as stream:
        return pq.read_table(stream).to_pylist()


@pytest.fixture(scope="module", params=["dynamo", pytest.param("torchscript", marks=pytest.mark.slow)])
def captured(request, tmp_path_factory):
    """A two-layer BERT through either exporter."""
    from tests.capture.factories import write_factories

    folder = tmp_path_factory.mktemp("capture")
    private = folder / "tmp"
    private.mkdir()
    patch = pytest.MonkeyPatch()
    patch.setenv("TMPDIR", str(private))
    patch.setattr(tempfile, "tempdir", None)
    options = CaptureOptions(
        model=f"{write_factories(folder)}:bert",
        output=folder / "out",
        exporter=request.param,
        command=f"attrib profile --model {folder}/my_models.py:bert",
        **QUICK,
    )
    try:
        directory = capture(options)
    finally:
        patch.undo()
    return request.param, directory, list(private.iterdir())


def test_both_sides_are_complete(captured):
    exporter, directory, _ = captured
    manifest = manifest_of(directory)
    assert {side.state for side in manifest.sides.values()} == {"complete"}
    assert {phase.state for phase in manifest.phases} == {"complete"}
    assert manifest.sides["onnxruntime"].exporter == exporter
    assert manifest.sides["onnxruntime"].opset >= 17
    assert {side.threads for side in manifest.sides.values()} == {1}


def test_every_file_is_listed_with_its_hash(captured):
    import hashlib

    _, directory, _ = captured
    files = {entry.path: entry for entry in manifest_of(directory).files}
    found = {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()}
    assert found == {*files, "manifest.json"}
    for path, entry in files.items():
        assert hashlib.sha256((directory / path).read_bytes()).hexdigest() == entry.sha256


def test_temporary_folder_is_gone(captured):
    assert captured[2] == []


def test_outputs_agree(captured):
    rows = outputs_of(captured[1])
    assert [row.name for row in rows] == ["last_hidden_state", "pooler_output"]
    assert all(row.equal for row in rows)


def test_weights_never_reach_the_trace_directory(captured):
    _, directory, _ = captured
    parameters = manifest_of(directory).workload.parameters
    graphs = list((directory / "onnx").iterdir())
    assert parameters > 100_000
    for graph in graphs:
        model = onnx.load(graph, load_external_data=False)
        kept = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
        assert kept < 2000, graph.name
        assert graph.stat().st_size < 4 * parameters / 2  # half of the float32 weights


def test_nothing_names_the_machine_the_user_or_a_path(captured):
    _, directory, _ = captured
    secrets = [
        str(directory.parent),
        str(Path.home()),
        "/tmp/",
        tempfile.gettempdir() + "/",
        os.sep + "site-packages",
    ]
    host = socket.gethostname()
    secrets += [f'"{host}"'] if len(host) < 5 else [host]
    for file in directory.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode(errors="replace")
            assert [secret for secret in secrets if secret in text] == [], file.name


def test_every_profiled_torch_step_has_one_range_and_one_latency(captured):
    _, directory, _ = captured
    steps = [event["name"] for event in torch_events(directory) if event["name"].startswith("attrib.step#")]
    profiled = [r for r in latency_rows(directory) if r["engine"] == "torch" and r["phase"] == "profiled"]
    assert len(steps) == len(set(steps)) == len(profiled) > 0


def test_torch_step_range_fits_its_latency(captured):
    _, directory, _ = captured
    ranges = sorted(
        (event["ts"], event["dur"])
        for event in torch_events(directory)
        if event["name"].startswith("attrib.step#")
    )
    rows = [r for r in latency_rows(directory) if r["engine"] == "torch" and r["phase"] == "profiled"]
    for (_, duration), row in zip(ranges, sorted(rows, key=lambda r: r["start_ns"]), strict=True):
        assert duration * 1000 <= row["wall_ns"]


def test_modules_are_named_in_the_trace(captured):
    names = Counter(event["name"] for event in torch_events(captured[1]))
    assert names["module: encoder.layer.1.attention.self.query"] == names["module: "] > 0


def test_every_profiled_ort_step_holds_one_run(captured):
    """The profile has warm-up runs too: the profiled ones are those inside the profiled latencies."""
    _, directory, _ = captured
    base = int(manifest_of(directory).sides["onnxruntime"].settings["profiling_start_ns"])
    runs = [base + event["ts"] * 1000 for event in ort_events(directory) if event["name"] == "model_run"]
    rows = [r for r in latency_rows(directory) if r["engine"] == "onnxruntime" and r["phase"] == "profiled"]
    slack = 5_000  # two clocks are read, and the profile counts in whole microseconds
    for row in rows:
        begin, end = row["start_ns"] - slack, row["start_ns"] + row["wall_ns"]
        assert sum(begin <= run <= end for run in runs) == 1
    assert len(runs) > len(rows) > 0


def test_optimized_graph_is_the_one_that_was_profiled(captured):
    _, directory, _ = captured
    executed = {
        event["name"].removesuffix("_kernel_time")
        for event in ort_events(directory)
        if event.get("cat") == "Node"
    }
    graph = onnx.load(directory / "onnx/optimized.onnx", load_external_data=False).graph
    assert executed <= {node.name for node in graph.node}


def test_plain_rounds_hold_both_sides(captured):
    rows = [row for row in latency_rows(captured[1]) if row["phase"] == "plain"]
    assert Counter((row["engine"], row["block"]) for row in rows) == {
        (engine, block): 3 for engine in ("torch", "onnxruntime") for block in range(4)
    }


def test_command_is_recorded_without_its_path(captured):
    assert manifest_of(captured[1]).command == "attrib profile --model my_models.py:bert"


def options(factories, function, **changes):
    return CaptureOptions(model=f"{factories}:{function}", output=factories.parent / "out", **QUICK | changes)


@pytest.mark.parametrize("function", ["named", pytest.param("positional", marks=pytest.mark.slow)])
@pytest.mark.parametrize("exporter", ["dynamo", pytest.param("torchscript", marks=pytest.mark.slow)])
def test_dict_none_and_nested_outputs_have_the_same_names_on_both_sides(factories, function, exporter):
    directory = capture(options(factories, function, exporter=exporter))
    assert [(row.name, row.equal) for row in outputs_of(directory)] == [
        ("hidden", True), ("pair.0", True), ("pair.1", True),
    ]  # fmt: skip


def test_model_that_cannot_be_exported_keeps_the_torch_side(factories):
    with pytest.raises(
        SideError, match="the dynamo exporter cannot export this model: GuardOnDataDependent"
    ) as e:
        capture(options(factories, "branching"))
    manifest = manifest_of(e.value.directory)
    assert {role: side.state for role, side in manifest.sides.items()} == {
        "torch": "complete", "onnxruntime": "failed",
    }  # fmt: skip
    assert next(phase for phase in manifest.phases if phase.name == "export").state == "failed"
    assert torch_events(e.value.directory)
    assert "--exporter torchscript" in e.value.hint


@pytest.mark.parametrize(
    ("function", "says"),
    [("raising", "IndexError"), ("only_module", "gave a Net"), ("dying", "killed by SIGKILL")],
)
def test_factory_that_does_not_work_leaves_nothing(factories, function, says):
    with pytest.raises(AttribError, match=says):
        capture(options(factories, function))
    assert not (factories.parent / "out").exists()


@pytest.mark.parametrize(
    ("engine", "folders"),
    [
        ("torch", ["torch", "torch-2"]),
        pytest.param("onnxruntime", ["ort", "ort-2"], marks=pytest.mark.slow),
    ],
)
def test_one_engine_against_itself(factories, engine, folders):
    directory = capture(options(factories, "named", against_itself=engine))
    manifest = manifest_of(directory)
    assert [side.folder for side in manifest.sides.values()] == folders
    assert {side.engine for side in manifest.sides.values()} == {engine}
    assert all(row.equal and row.max_abs == 0 for row in outputs_of(directory))
    assert all(any((directory / folder).iterdir()) for folder in folders)


def test_graph_of_the_user_is_run(factories):
    first = options(factories, "named")
    import torch

    from attrib.capture.workload.factory import call_factory

    module, inputs, _ = call_factory(first.model, factories.parent)
    graph = factories.parent / "mine.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (), str(graph), kwargs=inputs, input_names=["a", "b"], verbose=False)
    directory = capture(options(factories, "named", onnx=graph))
    manifest = manifest_of(directory)
    assert manifest.sides["onnxruntime"].exporter == "file"
    assert any("matched by order: x -> a, scale -> b" in warning for warning in manifest.warnings)


def test_graph_of_the_user_with_other_inputs_is_refused(factories):
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    node = helper.make_node("Relu", ["image"], ["y"])
    ends = [value("image", TensorProto.FLOAT, [1, 3, 8, 8])], [value("y", TensorProto.FLOAT, [1, 3, 8, 8])]
    graph = factories.parent / "other.onnx"
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(
        helper.make_model(helper.make_graph([node], "g", *ends), opset_imports=opsets, ir_version=8), graph
    )
    with pytest.raises(SideError, match=r"image float\[1,3,8,8\].*x float\[2,4,16\], scale float\[\]"):
        capture(options(factories, "named", onnx=graph))


@pytest.mark.slow
def test_unknown_provider_is_named_with_the_known_ones(factories):
    with pytest.raises(SideError, match="has no NoSuchExecutionProvider") as caught:
        capture(options(factories, "named", providers=("NoSuchExecutionProvider",)))
    assert "CPUExecutionProvider" in caught.value.hint


@pytest.mark.slow
def test_directory_of_hugging_face(tmp_path):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
        "cat",
        "sat",
        "down",
        *(f"w{i}" for i in range(91)),
    ]
    config = BertConfig(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=100,
        max_position_embeddings=64,
    )  # fmt: skip
    folder = tmp_path / "small-bert"
    BertModel(config).save_pretrained(folder)
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(folder)

    text = CaptureOptions(
        model=str(folder), output=tmp_path / "text", seq_len=8, text=("the cat sat", "down"), **QUICK
    )
    manifest = manifest_of(capture(text))
    assert (manifest.workload.weights, manifest.workload.text) == ("pretrained", True)
    assert (manifest.workload.model, manifest.workload.batch_size) == ("small-bert", 2)

    for attention in ("eager", "sdpa"):
        head = CaptureOptions(
            model=str(folder), output=tmp_path / attention, seq_len=8, task="text-classification",
            attention=attention, padding=0.5, **QUICK,
        )  # fmt: skip
        manifest = manifest_of(capture(head))
        assert "2 new tensors of the head random" in manifest.workload.weights
        assert manifest.sides["torch"].settings["attention"] == attention

    with pytest.raises(AttribError, match="the model has 64 positions"):
        capture(CaptureOptions(model=str(folder), output=tmp_path / "long", seq_len=65, **QUICK))


def test_live_module_from_python_is_handed_over(tmp_path):
    import torch

    handover = Handover(torch.nn.Linear(16, 4), (torch.ones(2, 16),))
    directory = capture(CaptureOptions(model="Linear", output=tmp_path / "out", **QUICK), handover=handover)
    manifest = manifest_of(directory)
    assert (manifest.workload.model, manifest.workload.source) == ("Linear", "module")
    assert [row.equal for row in outputs_of(directory)] == [True]


def test_live_module_of_a_local_class_is_refused_with_a_way_out(tmp_path):
    import torch

    class Local(torch.nn.Linear):
        pass

    with pytest.raises(AttribError, match="cannot be handed to a worker") as caught:
        capture(
            CaptureOptions(model="Local", output=tmp_path / "out", **QUICK),
            handover=Handover(Local(2, 2), (torch.ones(1, 2),)),
        )
    assert "file.py:factory" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_full_disk_keeps_what_was_complete(factories, monkeypatch):
    from attrib.capture.storage.writer import TraceWriter

    create = TraceWriter.create

    def full(self, path):
        if path == "latency.parquet":
            raise AttribError("the disk is full: latency.parquet could not be written")
        return create(self, path)

    monkeypatch.setattr(TraceWriter, "create", full)
    with pytest.raises(AttribError, match="the disk is full"):
        capture(options(factories, "named"))
    directory = factories.parent / "out"
    manifest = manifest_of(directory)
    assert {side.state for side in manifest.sides.values()} == {"interrupted"}
    assert next(phase for phase in manifest.phases if phase.name == "write").state == "failed"
    assert torch_events(directory)
    assert ort_events(directory)


THREADS = """
import os
import torch

def net():
    torch.set_num_threads(int(os.environ.get("NET_THREADS", "1")))
    return torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.GELU()), (torch.randn(2, 3, 8),)
"""


@pytest.mark.slow
def test_manifest_says_what_was_set_behind_the_options(tmp_path):
    (tmp_path / "net.py").write_text(THREADS)
    options = CaptureOptions(
        model=f"{tmp_path}/net.py:net",
        output=tmp_path / "out",
        session_options=(
            "execution_mode=parallel",
            "intra_op_num_threads=3",
            "session.set_denormal_as_zero=1",
        ),
        disabled_optimizers=("MatMulAddFusion",),
        io_binding=True,
        env=("NET_THREADS=4",),
        **QUICK | {"threads": 2},
    )
    manifest = manifest_of(capture(options))
    torch, ort = manifest.sides["torch"], manifest.sides["onnxruntime"]
    assert (torch.threads, ort.threads) == (4, 3)
    assert manifest.asked.env == {"NET_THREADS": "4"}
    assert ort.session_options == dict(pair.split("=") for pair in options.session_options)
    assert ort.disabled_optimizers == ("MatMulAddFusion",)
    expected = {"execution_mode": "parallel", "inter_op_threads": "2", "preallocated_outputs": "true"}
    assert ort.settings.items() >= expected.items()
    graph = onnx.load(tmp_path / "out/onnx/optimized.onnx", load_external_data=False).graph
    assert "MatMul" in {node.op_type for node in graph.node}
