"""The transformer of sentence-transformers: the same inputs and outputs as its own `encode` uses, on both backends."""

import gc
import json
from pathlib import Path

import numpy as np
import pytest

from attrib.capture.workers.messages import Recipe
from attrib.errors import AttribError
from tests.capture.sentence_model import write_model

pytestmark = pytest.mark.engines

TEXTS = ("The cat sat on the mat.", "it is", "Where was the dog in the rain, and the sun?", "IS it")

LONG, MIDDLE = [27, 25, 24, 13, 15, 24, 21, 6, 10, 24, 23, 7], [24, 11, 22, 20, 24, 19, 5]
PROMPT = [24, 11, 8]

RECORDED = {
    "plain": ({}, [LONG, MIDDLE, [17, 16], [16, 17]]),
    "lower case": ({"cased": True, "settings": {"do_lower_case": True}}, [LONG, MIDDLE, [17, 16], [16, 17]]),
    "case kept": ({"cased": True}, [[1, *LONG[1:]], [1, *MIDDLE[1:]], [17, 16], [1, 17]]),
    "prompt": (
        {"model": {"default_prompt_name": "query"}},
        [PROMPT + row for row in (LONG, MIDDLE, [17, 16], [16, 17])],
    ),
    "cut": ({"settings": {"max_seq_length": 6}}, [LONG[:4], MIDDLE[:4], [17, 16], [16, 17]]),
    "as many as there are positions": (
        {"positions": 8, "settings": {"max_seq_length": None}},
        [LONG[:6], MIDDLE[:6], [17, 16], [16, 17]],
    ),
}
"""How a directory is made -> the tokens of each row, without the first, the last and the padding, that `encode` of
sentence-transformers 6.2.0 gave to its transformer for `TEXTS`."""


def recipe(folder, **changes):
    values = {
        "kind": "sentence-transformer", "location": str(folder), "task": "", "batch_size": 1, "seq_len": None,
        "device": "cpu", "precision": "fp32", "attention": "sdpa", "seed": 0, "padding": 0.0, "text": TEXTS,
    } | changes  # fmt: skip
    return Recipe(**values)


def built(folder, **changes):
    from attrib.capture.workload.build import build

    return build(recipe(folder, **changes))


@pytest.mark.parametrize("name", RECORDED)
def test_transformer_gets_the_tokens_that_encode_gave_to_it(name, tmp_path):
    made, rows = RECORDED[name]
    inputs = built(write_model(tmp_path, **made)).inputs
    width = max(map(len, rows)) + 2
    whole = [[2, *row, 3] for row in rows]
    assert inputs["input_ids"].tolist() == [row + [0] * (width - len(row)) for row in whole]
    assert inputs["attention_mask"].sum(dim=1).tolist() == [len(row) for row in whole]
    assert list(inputs) == ["input_ids", "token_type_ids", "attention_mask"]


def test_only_what_encode_reads_is_an_output_and_it_holds_the_transformer_s_numbers(tmp_path):
    import torch
    from transformers import AutoModel

    ours = built(write_model(tmp_path))
    with torch.inference_mode():
        theirs = AutoModel.from_pretrained(tmp_path).eval()(**ours.inputs)
    outputs = ours.first_outputs()
    assert list(outputs) == ["last_hidden_state"]
    assert torch.equal(outputs["last_hidden_state"], theirs.last_hidden_state)


def test_rows_without_sentences_are_as_long_as_they_were_asked_to_be(tmp_path):
    model = write_model(tmp_path)
    inputs = built(model, text=(), batch_size=3, seq_len=20).inputs
    assert tuple(inputs["input_ids"].shape) == (3, 20)
    assert bool(inputs["attention_mask"].all())
    assert len({tuple(row) for row in inputs["input_ids"].tolist()}) == 3
    assert tuple(built(model, text=()).inputs["input_ids"].shape) == (1, 32)


def test_more_tokens_than_encode_keeps_are_refused(tmp_path):
    with pytest.raises(AttribError, match=r"keeps 32 tokens of a text .* asks for 33") as caught:
        built(write_model(tmp_path), seq_len=33)
    assert caught.value.hint == "--seq-len 32"


def test_graph_that_takes_segments_gets_zeros_where_the_tokenizer_gives_none(tmp_path):
    from onnx import TensorProto, helper, save

    model = write_model(tmp_path)
    settings = json.loads((model / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "attention_mask"]
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    assert "token_type_ids" not in built(model).inputs

    taken = helper.make_tensor_value_info("token_type_ids", TensorProto.INT64, ["rows", "tokens"])
    node = helper.make_node("Identity", ["token_type_ids"], ["out"])
    made = helper.make_tensor_value_info("out", TensorProto.INT64, ["rows", "tokens"])
    save(helper.make_model(helper.make_graph([node], "g", [taken], [made])), tmp_path / "model.onnx")
    segments = built(model, graph=str(tmp_path / "model.onnx")).inputs["token_type_ids"]
    assert segments.shape == (4, 14)
    assert not segments.any()


def test_weights_in_another_type_than_was_asked_for_are_refused(tmp_path):
    pytest.importorskip(
        "transformers", minversion="5", reason="older ones load weights as float32, whatever is stored"
    )
    from transformers import BertModel

    model = write_model(tmp_path)
    BertModel.from_pretrained(model).half().save_pretrained(model)
    with pytest.raises(AttribError, match="stored in float16, in which `encode` computes") as caught:
        built(model)
    assert caught.value.hint == "--precision fp16"


def test_code_of_the_directory_is_not_run(tmp_path):
    model = write_model(tmp_path)
    config = json.loads((model / "config.json").read_text())
    config |= {"model_type": "its_own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (model / "config.json").write_text(json.dumps(config))
    (model / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(AttribError, match="the model needs code of its own"):
        built(model)
    assert not (tmp_path / "ran").exists()


def spied(folder, texts, **backend):
    """What `encode` of sentence-transformers gives to its transformer and gets from it, and the file of its session."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, **backend)
    transformer = model[0].auto_model
    forward, calls = transformer.forward, []

    def spy(*args, **kwargs):
        calls.append((kwargs, forward(*args, **kwargs)))
        return calls[-1][1]

    transformer.forward = spy
    model.encode(list(texts), batch_size=len(texts))
    ((inputs, outputs),) = calls
    given = {name: value.numpy() for name, value in inputs.items() if hasattr(value, "numpy")}
    file = getattr(transformer, "session", None) and transformer.session._model_path
    return given, np.asarray(outputs.last_hidden_state), file


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RECORDED)
def test_torch_backend_itself_gets_and_returns_the_same(name, tmp_path):
    pytest.importorskip("sentence_transformers")
    texts = [*TEXTS, *(" ".join(TEXTS[:i]) for i in range(1, 4)), *("it is day", "day it is") * 9]
    model = write_model(tmp_path, **RECORDED[name][0])
    given, returned, _ = spied(model, texts)
    ours = built(model, text=tuple(texts))
    assert {name: array.tolist() for name, array in given.items()} == {
        name: tensor.tolist() for name, tensor in ours.inputs.items()
    }
    np.testing.assert_array_equal(ours.first_outputs()["last_hidden_state"].numpy(), returned)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [None, "model_O3.onnx", "onnx/model_O3.onnx"])
def test_onnx_backend_itself_gets_and_returns_the_same_from_the_same_file(name, tmp_path):
    import onnxruntime as ort

    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer

    optimum = pytest.importorskip("optimum.onnxruntime", exc_type=ImportError)
    try:  # its classes are imported when they are asked for, which fails with some releases of transformers
        assert optimum.ORTModelForFeatureExtraction
    except ImportError as error:
        pytest.skip(f"no onnx backend: {error}")

    from attrib.capture.workload.sources import resolve_source
    from attrib.model.capture_options import CaptureOptions

    own = {"provider": "CPUExecutionProvider"}
    model = write_model(tmp_path)
    exported = SentenceTransformer(str(model), backend="onnx", model_kwargs=dict(own), local_files_only=True)
    exported.save_pretrained(str(model))
    (model / "onnx" / "model_O3.onnx").write_bytes((model / "onnx" / "model.onnx").read_bytes())
    named = {"file_name": name} if name else {}
    given, returned, file = spied(model, TEXTS, backend="onnx", model_kwargs=own | named)

    options = CaptureOptions(sentence_transformer=str(model), onnx=Path(name) if name else None)
    source = resolve_source(options)
    assert source.onnx.samefile(file)
    ours = built(model, graph=str(source.onnx))
    assert {name: array.tolist() for name, array in given.items()} == {
        name: tensor.tolist() for name, tensor in ours.inputs.items()
    }
    session = ort.InferenceSession(source.onnx, providers=["CPUExecutionProvider"])
    feeds = {name: tensor.numpy() for name, tensor in ours.inputs.items()}
    (hidden,) = session.run(["last_hidden_state"], feeds)
    np.testing.assert_array_equal(hidden, returned)
    del exported
    gc.collect()  # optimum leaves temporary folders to the collector, which warns: here, where that is no error
