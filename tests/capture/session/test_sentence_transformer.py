"""A capture of sentence-transformers from its directory: the file that runs, what is kept of it, and how it is repeated."""

import pytest

from attrib.capture import CaptureOptions, capture
from attrib.capture.export.exporters import EXPORTERS
from attrib.capture.session.request_from_manifest import options_of
from attrib.capture.workers.messages import Recipe
from attrib.capture.workload.build import build
from attrib.errors import UsageError
from attrib.traces.directory.trace_directory import open_directory
from tests.capture.sentence_model import write_model

pytestmark = [pytest.mark.engines, pytest.mark.slow]

QUICKLY = {"launches": 1, "max_time": 0.0, "rounds": 2, "iterations": 2, "warmup": 1}


@pytest.mark.filterwarnings("ignore")  # of the exporter, which traces
def test_torch_backend_runs_against_the_file_of_the_onnx_backend(tmp_path):
    model = write_model(tmp_path / "my-sentences")
    (model / "onnx").mkdir()
    texts = ("the cat sat on the mat", "it is")
    own = {
        "batch_size": 2,
        "seq_len": None,
        "device": "cpu",
        "precision": "fp32",
        "attention": "eager",
        "seed": 0,
    }
    kind = {"kind": "sentence-transformer", "location": str(model), "task": "", "padding": 0.0, "text": texts}
    EXPORTERS["torchscript"].write(
        build(Recipe(**own, **kind)), ["last_hidden_state"], None, None, model / "onnx" / "model.onnx"
    )
    given = {"sentence_transformer": str(model), "text": texts}
    root = capture(CaptureOptions(**given, **QUICKLY, output=tmp_path / "traces"))

    directory = open_directory(root)
    manifest = directory.manifest
    assert (manifest.workload.model, manifest.workload.batch_size, manifest.workload.seq_len) == (
        "my-sentences",
        2,
        8,
    )
    assert manifest.sides["onnxruntime"].exporter == "file"
    assert [(output.name, output.equal) for output in directory.outputs()] == [("last_hidden_state", True)]
    assert str(tmp_path).encode() not in (root / "manifest.json").read_bytes()

    with pytest.raises(UsageError, match="one of sentence-transformers"):
        options_of(manifest, text=given["text"])
    again = options_of(manifest, **given)
    assert (again.model, again.sentence_transformer) == ("", str(model))
    assert again.onnx == model / "onnx" / "model.onnx"
    (model / "onnx" / "model.onnx").unlink()
    with pytest.raises(UsageError, match="ONNX file"):
        options_of(manifest, **given)
