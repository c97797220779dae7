"""Models of transformers: fewer layers, their inputs, and what cannot be asked of them."""

import pytest

from attrib.capture.workers.messages import Recipe
from attrib.errors import AttribError
from attrib.zoo.architectures import ARCHITECTURES

pytestmark = pytest.mark.engines


def recipe(name, **changes):
    values = {
        "kind": "configuration", "location": name, "task": ARCHITECTURES[name].task, "batch_size": 1,
        "seq_len": None, "device": "cpu", "precision": "fp32", "attention": "eager", "seed": 0, "padding": 0.0,
    } | changes  # fmt: skip
    return Recipe(**values)


def configuration(name, layers, **changes):
    from transformers import AutoConfig

    from attrib.capture.workload.pretrained import _prepare

    made = AutoConfig.for_model(ARCHITECTURES[name].model_type, **ARCHITECTURES[name].values)
    return _prepare(made, recipe(name, layers=layers, **changes))


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n != "resnet-18"])
def test_every_text_model_counts_its_layers_in_one_way(name):
    assert configuration(name, 2).num_hidden_layers == 2
    assert configuration(name, None).num_hidden_layers > 2


def test_convolutional_network_is_cut_after_a_stage():
    config = configuration("resnet-18", 2)
    assert (config.depths, config.hidden_sizes) == ([2, 2], [64, 128])


@pytest.mark.parametrize(("name", "has"), [("bert-base-uncased", "12 layers"), ("resnet-18", "4 stages")])
def test_more_layers_than_there_are_cannot_be_built(name, has):
    with pytest.raises(AttribError, match=f"the model has {has}, --layers asks for 13") as caught:
        configuration(name, 13)
    assert caught.value.hint == f"--layers {has.split()[0]}"


def test_decoder_fills_no_cache():
    assert configuration("gpt2", None).use_cache is False
    assert configuration("gpt2", None, cache_length=5).use_cache is True


def test_attention_is_chosen_only_where_there_is_one():
    from attrib.capture.workload.pretrained import attention_of

    assert attention_of(configuration("t5-small", None), "sdpa") == {"attn_implementation": "sdpa"}
    assert attention_of(configuration("resnet-18", None), "sdpa") == {}


def test_encoder_of_t5_is_built_with_one_layer_and_runs():
    from attrib.capture.workload.build import build

    built = build(recipe("t5-small", layers=1, seq_len=8))
    assert type(built.module).__name__ == "T5EncoderModel"
    assert {name: tuple(v.shape) for name, v in built.inputs.items()} == {
        "input_ids": (1, 8),
        "attention_mask": (1, 8),
    }
    assert built.first_outputs()["last_hidden_state"].shape == (1, 8, 512)


def test_convolutional_network_gets_as_many_images_as_the_batch_says():
    from attrib.capture.workload.build import build

    built = build(recipe("resnet-18", layers=1, batch_size=2, attention="sdpa"))
    assert built.inputs["pixel_values"].shape == (2, 3, 224, 224)
    assert built.first_outputs()["last_hidden_state"].shape == (2, 64, 56, 56)


@pytest.mark.parametrize(
    ("given", "option"),
    [({"seq_len": 128}, "--seq-len"), ({"padding": 0.5}, "--padding"), ({"text": ("a",)}, "--text")],
)
def test_what_is_for_text_does_not_apply_to_images(given, option):
    from attrib.capture.workload.build import build

    with pytest.raises(AttribError, match=f"{option} does not apply: resnet takes images"):
        build(recipe("resnet-18", layers=1, **given))


def test_model_that_takes_neither_text_nor_images_is_refused_by_what_it_takes():
    from types import SimpleNamespace

    from attrib.capture.workload.model_inputs import model_inputs

    module = SimpleNamespace(main_input_name="input_features", config=SimpleNamespace(model_type="whisper"))
    with pytest.raises(AttribError, match="whisper takes input_features") as caught:
        model_inputs(recipe("t5-small"), module)
    assert "factory" in caught.value.hint


def test_task_that_transformers_has_no_class_for_is_one_line():
    from attrib.capture.workload.build import build

    with pytest.raises(AttribError, match="transformers cannot build the model: ValueError") as caught:
        build(recipe("resnet-18", layers=1, task="question-answering"))
    assert "\n" not in str(caught.value)


def test_stored_weights_are_loaded_in_the_precision_that_was_asked_for(tmp_path):
    import torch

    from attrib.capture.workload.build import build
    from tests.capture.sentence_model import write_model

    model = write_model(tmp_path)
    from transformers import BertModel

    BertModel.from_pretrained(model).half().save_pretrained(model)
    for precision, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
        values = {
            "kind": "directory",
            "location": str(model),
            "task": "",
            "precision": precision,
            "seq_len": 8,
        }
        module = build(recipe("bert-base-uncased", **values)).module
        assert {parameter.dtype for parameter in module.parameters()} == {dtype}
