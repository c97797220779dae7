"""Every rewrite through the exporter's worker, opsets and dynamic shapes, and one whole capture with two rewrites."""

import json
import tempfile

import msgspec
import numpy as np
import onnx
import pytest

from attrib.capture import CaptureOptions, SideError, capture
from attrib.capture.workers.messages import Export, Exported, Optimize, Optimized, Recipe
from attrib.capture.workers.process import WorkerError
from attrib.capture.workload.inputs import load_inputs
from attrib.errors import AttribError, UsageError
from attrib.model.manifest import TOLERANCES, Manifest
from attrib.rewrite.registry import REWRITES

pytestmark = pytest.mark.engines

QUICK = {"iterations": 2, "rounds": 2, "warmup": 2, "threads": 1, "launches": 1, "max_time": 0.0}


def recipe_of(location, **changes):
    values = {
        "kind": "factory", "location": location, "task": "", "batch_size": 1, "seq_len": 8, "device": "cpu",
        "precision": "fp32", "attention": "eager", "seed": 0, "padding": 0.0,
    } | changes  # fmt: skip
    return Recipe(**values)


@pytest.fixture(scope="module")
def exported(export_worker, tmp_path_factory):
    """The exporter's worker, a folder, the recipe of a two-layer BERT and the file that it exported there."""
    folder = tmp_path_factory.mktemp("rewrites")
    return export_worker.worker, folder, export_worker.recipe, export_worker.export("torchscript", folder)


def rewritten(exported, *names):
    worker, folder, recipe, model = exported
    own = tempfile.mkdtemp(dir=folder)
    return worker.ask(
        Optimize(
            recipe=recipe, model=model.model, inputs=str(folder / "inputs.npz"), rewrites=names, folder=own
        ),
        Optimized,
    )  # fmt: skip


def run(file, inputs):
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: inputs[i.name] for i in session.get_inputs()})


@pytest.mark.parametrize("name", REWRITES)
def test_rewrite_computes_the_same_within_its_precision_and_keeps_its_source(exported, name):
    _, folder, _, model = exported
    before = {path.name: path.read_bytes() for path in folder.glob("exported.onnx*")}
    reply = rewritten(exported, name)
    (entry,) = reply.rewrites
    (file,) = reply.models
    assert (entry.name, entry.graph) == (name, "onnx/rewritten-1.onnx")
    assert entry.tool.split()[0] == REWRITES[name].package
    graph = onnx.load(file, load_external_data=False).graph
    assert entry.nodes == len(graph.node) > 0
    assert any(tensor.external_data for tensor in graph.initializer)
    inputs = load_inputs(folder / "inputs.npz")
    for own, other in zip(run(model.model, inputs), run(file, inputs), strict=True):
        largest = np.abs(own).max()
        tolerance = TOLERANCES[REWRITES[name].precision or "fp32"]
        assert np.abs(own - other).max() <= tolerance * largest
    assert {path.name: path.read_bytes() for path in folder.glob("exported.onnx*")} == before


def test_fusions_take_the_architecture_from_the_configuration(exported):
    (entry,) = rewritten(exported, "ort-transformers").rewrites
    assert (entry.settings["model_type"], entry.settings["num_heads"]) == ("bert", "2")
    assert "4 SkipLayerNormalization" in entry.settings["fused"]


def test_static_quantization_says_what_calibrated_it(exported):
    (entry,) = rewritten(exported, "int8-qoperator").rewrites
    assert "workload's inputs and 7 seeded variations" in entry.settings["calibration"]


def test_rewrites_follow_each_other_and_one_that_changes_nothing_says_so(exported):
    reply = rewritten(exported, "onnxslim", "onnxslim", "int8-dynamic")
    assert [entry.graph for entry in reply.rewrites] == [f"onnx/rewritten-{i}.onnx" for i in (1, 2, 3)]
    assert reply.notes == ("--optimize onnxslim changed no node of the graph",)
    assert reply.rewrites[0].nodes == reply.rewrites[1].nodes < reply.rewrites[2].nodes


def test_rewrite_that_fails_is_one_line_with_its_name(exported, tmp_path):
    worker, folder, recipe, _ = exported
    (tmp_path / "broken.onnx").write_bytes(b"\x08")
    command = Optimize(
        recipe=recipe, model=str(tmp_path / "broken.onnx"), inputs=str(folder / "inputs.npz"),
        rewrites=("onnxslim",), folder=str(tmp_path),
    )  # fmt: skip
    with pytest.raises(WorkerError, match="--optimize onnxslim failed: ") as caught:
        worker.ask(command, Optimized)
    assert "\n" not in str(caught.value)
    assert "leave out --optimize onnxslim" in caught.value.hint


@pytest.mark.parametrize(
    ("exporter", "opset", "says"),
    [
        ("dynamo", 14, r"the dynamo exporter cannot write this model in opset 14: .* from opset 18"),
        ("torchscript", 24, r"the torchscript exporter cannot write this model in opset 24: "),
    ],
)
def test_opset_that_an_exporter_cannot_write_is_refused_with_those_that_it_can(
    exported, tmp_path, exporter, opset, says
):
    worker, _, recipe, _ = exported
    with pytest.raises(UsageError, match=says) as caught:
        worker.ask(Export(recipe=recipe, exporter=exporter, opset=opset, folder=str(tmp_path)), Exported)
    assert "--opset 17 to 25" in caught.value.hint
    assert "--opset 14 to 23" in caught.value.hint


@pytest.mark.parametrize(("exporter", "opset"), [("dynamo", 17), ("torchscript", 14), ("torchscript", 23)])
def test_opset_at_the_limit_is_written(exported, tmp_path, exporter, opset):
    worker, _, recipe, _ = exported
    reply = worker.ask(Export(recipe=recipe, exporter=exporter, opset=opset, folder=str(tmp_path)), Exported)
    model = onnx.load(reply.model, load_external_data=False)
    assert reply.opset == opset == next(o.version for o in model.opset_import if o.domain == "")


def symbols(file):
    graph = onnx.load(file, load_external_data=False).graph
    return [[d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] for value in graph.input]


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_tokens_get_a_batch_and_a_sequence(exported, tmp_path, exporter):
    from transformers import BertConfig, BertModel

    worker, _, _, _ = exported
    config = BertConfig(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, vocab_size=100
    )
    model = BertModel(config).eval()
    model.save_pretrained(tmp_path / "bert")
    recipe = recipe_of(str(tmp_path / "bert"), kind="directory")
    command = Export(recipe=recipe, exporter=exporter, opset=None, folder=str(tmp_path), dynamic_shapes=True)
    file = worker.ask(command, Exported).model
    assert symbols(file)[:2] == [["batch", "sequence"]] * 2
    for batch, length in ((1, 8), (3, 20)):
        ids = np.random.default_rng(0).integers(5, 100, (batch, length))
        own = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        assert run(file, own)[0].shape == (batch, length, 64)


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_inputs_of_a_factory_get_a_batch(exported, factories, tmp_path, exporter):
    worker, _, _, _ = exported
    command = Export(
        recipe=recipe_of(f"{factories}:positional"), exporter=exporter, opset=None, folder=str(tmp_path),
        dynamic_shapes=True,
    )  # fmt: skip
    assert symbols(worker.ask(command, Exported).model) == [["batch", 4, 16], []]


def test_inputs_without_a_common_batch_are_refused(exported, tmp_path):
    worker, _, _, _ = exported
    (tmp_path / "two.py").write_text(
        "import torch\n"
        "class Two(torch.nn.Module):\n"
        "    def forward(self, a, b):\n"
        "        return a @ b\n"
        "def make():\n"
        "    return Two(), (torch.ones(2, 3), torch.ones(3, 4))\n"
    )
    command = Export(
        recipe=recipe_of(f"{tmp_path / 'two.py'}:make"), exporter="dynamo", opset=None, folder=str(tmp_path),
        dynamic_shapes=True,
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"no common batch in the inputs: a \[2, 3\], b \[3, 4\]") as caught:
        worker.ask(command, Exported)
    assert "leave out --dynamic-shapes" in caught.value.hint


def test_capture_keeps_every_graph_of_the_chain_and_the_models_with_weights(factories, tmp_path):
    models = tmp_path / "models"
    directory = capture(
        CaptureOptions(
            model=f"{factories}:bert",
            output=tmp_path / "out",
            optimize=("onnxslim", "int8-dynamic"),
            save_models=models,
            **QUICK,
        )
    )
    manifest = msgspec.json.decode((directory / "manifest.json").read_bytes(), type=Manifest)
    side = manifest.sides["onnxruntime"]
    chain = ["onnx/exported.onnx", "onnx/optimized.onnx", "onnx/rewritten-1.onnx", "onnx/rewritten-2.onnx"]
    assert [entry.path for entry in manifest.files if entry.path.startswith("onnx/")] == chain
    assert [(rewrite.name, rewrite.graph) for rewrite in side.rewrites] == [
        ("onnxslim", chain[2]),
        ("int8-dynamic", chain[3]),
    ]
    assert (side.settings["precision"], side.settings["shapes"]) == ("int8", "static")
    assert manifest.sides["torch"].settings["precision"] == "fp32"
    assert {row["tolerance"] for row in json.loads((directory / "outputs.json").read_text())} == {0.1}
    assert any("--optimize int8-dynamic computes in int8" in warning for warning in manifest.warnings)
    inputs = load_inputs(directory / "inputs.npz")
    for name in chain:
        assert run(str(models / name.removeprefix("onnx/")), inputs)[0].shape == (1, 32, 64)
        stripped = onnx.load(directory / name, load_external_data=False).graph
        assert all(len(tensor.raw_data) < 1024 for tensor in stripped.initializer)


@pytest.mark.slow
def test_users_graph_is_rewritten_in_a_copy(factories, exported, tmp_path):
    from shutil import copyfile

    (tmp_path / "mine").mkdir()
    _, folder, _, _ = exported
    for part in ("exported.onnx", "exported.onnx.data"):
        copyfile(folder / part, tmp_path / "mine" / part)
    before = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    directory = capture(
        CaptureOptions(
            model=f"{factories}:bert",
            onnx=tmp_path / "mine/exported.onnx",
            output=tmp_path / "out",
            optimize=("int8-qdq",),
            save_models=tmp_path / "models",
            **QUICK,
        )
    )
    manifest = msgspec.json.decode((directory / "manifest.json").read_bytes(), type=Manifest)
    assert manifest.sides["onnxruntime"].state == "complete"
    assert manifest.sides["onnxruntime"].rewrites[0].name == "int8-qdq"
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == before
    assert (tmp_path / "models/exported.onnx.data").stat().st_size == len(before["exported.onnx.data"])


@pytest.mark.slow
def test_impossible_opset_leaves_nothing_behind(factories, tmp_path):
    with pytest.raises(UsageError, match="cannot write this model in opset 14"):
        capture(CaptureOptions(model=f"{factories}:bert", output=tmp_path / "out", opset=14, **QUICK))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_bfloat16_that_a_provider_cannot_run_is_one_line(factories, tmp_path):
    with pytest.raises(
        SideError, match="cannot run this model in bfloat16 on CPUExecutionProvider"
    ) as caught:
        capture(CaptureOptions(model=f"{factories}:bert", output=tmp_path / "out", precision="bf16", **QUICK))
    assert "--precision fp32" in caught.value.hint
    assert isinstance(caught.value, AttribError)
