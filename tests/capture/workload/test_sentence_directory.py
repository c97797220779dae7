"""What a directory of sentence-transformers says of itself, and what is refused; no engine is needed."""

from pathlib import Path

import pytest

from attrib.capture.workload import sources
from attrib.capture.workload.sources import resolve_source
from attrib.errors import AttribError, UsageError
from attrib.model.capture_options import CaptureOptions
from tests.capture.sentence_model import MODULES, write_json, write_settings


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "my-sentences"
    write_settings(folder)
    write_json(folder / "config.json", {"model_type": "bert"})
    (folder / "model.safetensors").touch()
    return folder


def put(model, *names):
    for name in names:
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).touch()


def resolve(model, **options):
    return resolve_source(CaptureOptions(sentence_transformer=str(model), **options))


def module(kind, path=""):
    return [{"idx": 0, "name": "0", "path": path, "type": kind}, *MODULES[1:]]


def test_directory_is_named_without_its_path_and_says_that_attrib_exports(model):
    source = resolve(model)
    assert (source.kind, source.model, source.source) == ("sentence-transformer", "my-sentences", "directory")
    assert source.onnx is None
    assert "what ran is attrib's own export" in source.note


@pytest.mark.parametrize(
    ("files", "name", "taken"),
    [
        (["onnx/model.onnx"], None, "onnx/model.onnx"),
        (["model.onnx"], None, "model.onnx"),
        (["onnx/model.onnx", "onnx/model_O3.onnx"], None, "onnx/model.onnx"),
        (["onnx/model.onnx", "onnx/model_O3.onnx"], "onnx/model_O3.onnx", "onnx/model_O3.onnx"),
        (["onnx/model.onnx", "onnx/model_O3.onnx"], "model_O3.onnx", "onnx/model_O3.onnx"),
    ],
)
def test_file_is_the_one_that_the_onnx_backend_picks(files, name, taken, model):
    put(model, *files)
    source = resolve(model, onnx=Path(name) if name else None)
    assert (source.onnx, source.note) == (model / taken, "")


def test_other_files_are_named_where_the_backend_would_export(model):
    put(model, "onnx/model_O3.onnx")
    source = resolve(model)
    assert source.onnx is None
    assert "onnx/model_O3.onnx" in source.note


def test_file_that_is_not_there_is_refused_with_those_that_are(model):
    put(model, "onnx/model.onnx")
    with pytest.raises(
        AttribError, match=r"there is no file model_O4\.onnx in the model's directory"
    ) as caught:
        resolve(model, onnx=Path("model_O4.onnx"))
    assert caught.value.hint.startswith("--onnx onnx/model.onnx")


def test_transformer_in_a_folder_of_its_own_is_found(model):
    write_json(model / "modules.json", module("sentence_transformers.models.Transformer", "0_Transformer"))
    write_json(model / "0_Transformer" / "config.json", {"model_type": "t5", "is_encoder_decoder": True})
    put(model, "0_Transformer/model.safetensors", "0_Transformer/model.onnx")
    source = resolve(model)
    assert (source.onnx, source.task) == (model / "0_Transformer" / "model.onnx", "text-encoding")


@pytest.mark.parametrize(
    ("file", "value", "says"),
    [
        ("modules.json", module("custom_st.Transformer"), "needs code of its own .custom_st.Transformer"),
        ("modules.json", [*MODULES, {"type": "own.Head", "path": ""}], "needs code of its own .own.Head"),
        ("modules.json", module("sentence_transformers.models.StaticEmbedding"), "begins with a StaticEmbedding"),
        ("modules.json", module("sentence_transformers.models.Transformer", "../x"), "outside the directory"),
        ("modules.json", module("sentence_transformers.models.Transformer", "/etc"), "outside the directory"),
        ("modules.json", module("sentence_transformers.models.Transformer", "gone"), "has no config.json where"),
        ("modules.json", [], "is no directory of sentence-transformers"),
        ("modules.json", {"a": 1}, "modules.json cannot be read"),
        ("adapter_config.json", {}, "is an adapter"),
        ("sentence_bert_config.json", {"max_seq_length": "many"}, "sentence_bert_config.json cannot be read"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "sets transformer_task"),
        ("sentence_bert_config.json", {"model_args": {"torch_dtype": "float16"}}, "sets model_args"),
        ("sentence_bert_config.json", {"modality_config": {"message": {}}}, "sets modality_config"),
        ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "sets model_type SparseEncoder"),
    ],
)  # fmt: skip
def test_what_encode_does_beyond_text_through_one_transformer_is_refused(file, value, says, model):
    write_json(model / file, value)
    with pytest.raises(AttribError, match=says):
        resolve(model)


def test_settings_as_the_present_release_writes_them_are_followed(model):
    text = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
    written = {
        "transformer_task": "feature-extraction",
        "modality_config": text,
        "module_output_name": "token_embeddings",
    }
    write_json(model / "sentence_bert_config.json", written)
    write_json(model / "modules.json", module("sentence_transformers.base.modules.transformer.Transformer"))
    assert resolve(model).kind == "sentence-transformer"


def test_pickled_weights_are_refused(model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(AttribError, match="holds pickled weights only"):
        resolve(model)


@pytest.mark.parametrize("option", [{"layers": 1}, {"task": "fill-mask"}, {"padding": 0.5}])
def test_options_that_would_change_what_encode_runs_are_refused(option, model):
    with pytest.raises(UsageError, match="as its own `encode` runs it"):
        resolve(model, **option)


def test_hub_id_without_a_hub_says_so(monkeypatch):
    monkeypatch.setattr(sources, "_cached", lambda _repository: None)
    monkeypatch.setattr(sources, "hub_reachable", lambda: False)
    with pytest.raises(AttribError, match="org/model is no directory, and the hub cannot be reached"):
        resolve("org/model")


def test_directory_that_is_not_there_is_no_hub_id():
    with pytest.raises(AttribError, match="there is no directory"):
        resolve("./nowhere")


@pytest.mark.parametrize(
    ("name", "asked"), [("a-model", "sentence-transformers/a-model"), ("org/m", "org/m")]
)
def test_model_of_the_hub_is_fetched_with_its_graph(name, asked, model, monkeypatch):
    fetched = []

    def download(repository, onnx):
        fetched.append((repository, onnx))
        return model

    monkeypatch.setattr(sources, "hub_reachable", lambda: True)
    monkeypatch.setattr(sources, "_download", download)
    put(model, "onnx/model.onnx")
    source = resolve(name)
    assert fetched == [(asked, "model.onnx")]
    assert (source.model, source.source, source.onnx) == (name, "hub", model / "onnx/model.onnx")


def test_either_a_model_or_a_sentence_transformer_is_named():
    from attrib.capture.config.options import check_options

    with pytest.raises(UsageError, match="both name what to run"):
        check_options(CaptureOptions(model="bert-base-uncased", sentence_transformer="x"))
    with pytest.raises(UsageError, match="say nothing of what to run"):
        check_options(CaptureOptions())


def test_option_of_an_export_is_refused_where_the_directory_has_a_graph(model):
    from attrib.capture import capture

    put(model, "onnx/model.onnx")
    with pytest.raises(UsageError, match=r"the model's model\.onnx brings its own opset"):
        capture(CaptureOptions(sentence_transformer=str(model), opset=17))


def test_of_a_repository_the_graph_that_runs_is_fetched_with_its_weights_and_no_other(monkeypatch):
    import huggingface_hub
    from huggingface_hub.utils import filter_repo_objects

    asked = {}
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda _repository, **options: asked.update(options) or "/x"
    )
    wanted = ["modules.json", "1_Pooling/config.json", "model.safetensors", "tokenizer.json", "vocab.txt"]
    graph = ["onnx/model.onnx", "onnx/model.onnx_data"]
    others = ["onnx/model_O3.onnx", "openvino/model.xml", "pytorch_model.bin", "own.py"]

    def fetched():
        patterns = {name: asked[name] for name in ("allow_patterns", "ignore_patterns")}
        return list(filter_repo_objects([*wanted, *graph, *others], **patterns))

    sources._download("org/model", "model.onnx")
    assert fetched() == [*wanted, *graph]
    sources._download("org/model", "onnx/model_O3.onnx")
    assert fetched() == [*wanted, "onnx/model_O3.onnx"]
    sources._download("org/model")
    assert fetched() == wanted


def test_cache_without_a_graph_is_not_taken_for_the_model_s_files(model, monkeypatch):
    monkeypatch.setattr(sources, "_cached", lambda _repository: model)
    monkeypatch.setattr(sources, "hub_reachable", lambda: False)
    source = resolve("org/model")
    assert source.note.startswith("the local cache has no onnx/model.onnx of the model, and the hub cannot")
