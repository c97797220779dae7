"""A step with a cache: its inputs, its outputs, and that each step finds the cache as it was."""

import pytest

from attrib.capture.workers.messages import Recipe
from attrib.capture.workload.caches import cached_length
from attrib.errors import AttribError

pytestmark = pytest.mark.engines


def recipe(name="gpt2", **changes):
    values = {
        "kind": "configuration", "location": name, "task": "text-generation", "batch_size": 2, "seq_len": None,
        "device": "cpu", "precision": "fp32", "attention": "sdpa", "seed": 0, "padding": 0.0, "layers": 2,
        "cache_length": 7,
    } | changes  # fmt: skip
    return Recipe(**values)


@pytest.fixture(scope="module")
def gpt2():
    from attrib.capture.workload.build import build

    return build(recipe())


def test_a_step_takes_one_token_and_what_the_model_keeps_of_those_before(gpt2):
    shapes = {name: tuple(value.shape) for name, value in gpt2.inputs.items()}
    assert next(iter(shapes)) == "input_ids"
    assert shapes == {
        "input_ids": (2, 1),
        "attention_mask": (2, 8),
        **{
            f"past_key_values.{layer}.{what}": (2, 12, 7, 64) for layer in (0, 1) for what in ("key", "value")
        },
    }
    assert cached_length(shapes) == 7


def test_it_returns_the_cache_with_the_new_token(gpt2):
    outputs = gpt2.first_outputs()
    assert next(iter(outputs)) == "logits"
    assert outputs["logits"].shape == (2, 1, 50257)
    shapes = {name: tuple(value.shape) for name, value in outputs.items() if name != "logits"}
    assert set(shapes.values()) == {(2, 12, 8, 64)}
    assert list(shapes) == [f"present.{layer}.{what}" for layer in (0, 1) for what in ("key", "value")]


def test_every_step_finds_the_cache_as_it_was_and_says_what_one_without_a_cache_says(gpt2):
    import torch

    from attrib.capture.workload.model_inputs import model_inputs

    first, second = gpt2.first_outputs(), gpt2.first_outputs()
    for name, value in first.items():
        assert torch.equal(value, second[name])
    whole = model_inputs(recipe(seq_len=8), gpt2.module)
    with torch.inference_mode():
        at_once = gpt2.module(**whole, use_cache=False).logits[:, -1:]
    torch.testing.assert_close(first["logits"], at_once, rtol=1e-4, atol=1e-4)


def test_several_new_tokens_are_a_part_of_a_prompt(gpt2):
    from attrib.capture.workload.build import build

    built = build(recipe(seq_len=3, batch_size=1, layers=1))
    assert built.inputs["input_ids"].shape == (1, 3)
    assert built.inputs["attention_mask"].shape == (1, 10)
    assert built.first_outputs()["present.0.key"].shape == (1, 12, 10, 64)


def test_grouped_heads_are_kept_as_they_are():
    from attrib.capture.workload.build import build

    built = build(recipe("SmolLM2-135M", layers=1, batch_size=1))
    assert built.inputs["past_key_values.0.key"].shape == (1, 3, 7, 64)
    assert built.first_outputs()["present.0.value"].shape == (1, 3, 8, 64)


@pytest.mark.parametrize("name", ["t5-small", "bart-base"])
def test_a_decoder_with_an_encoder_writes_one_token_behind_those_that_it_wrote(name):
    import torch

    from attrib.capture.workload.build import build

    built = build(recipe(name, layers=1, seq_len=5))
    shapes = {name: tuple(value.shape) for name, value in built.inputs.items()}
    heads, width = (8, 512) if name == "t5-small" else (12, 768)
    assert shapes == {
        "attention_mask": (2, 5),
        "decoder_input_ids": (2, 1),
        "encoder_outputs.last_hidden_state": (2, 5, width),
        **{f"past_key_values.0.decoder.{what}": (2, heads, 7, 64) for what in ("key", "value")},
        **{f"past_key_values.0.encoder.{what}": (2, heads, 5, 64) for what in ("key", "value")},
    }
    assert cached_length(shapes) == 7
    first, second = built.first_outputs(), built.first_outputs()
    assert first["logits"].shape[:2] == (2, 1)
    assert first["present.0.decoder.key"].shape == (2, heads, 8, 64)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert built._restore is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"location": "bert-base-uncased", "task": ""}, "bert-base-uncased keeps no cache"),
        (
            {"location": "bart-base", "cache_length": 1024, "seq_len": 4},
            "decoder has 1024 positions, --cache-length asks for 1024",
        ),
        ({"cache_length": 1024}, "the model has 1024 positions, --cache-length and --seq-len ask for 1025"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(changes, said):
    from attrib.capture.workload.build import build

    with pytest.raises(AttribError, match=said) as refused:
        build(recipe(**changes))
    assert refused.value.hint


@pytest.mark.parametrize(
    ("shapes", "length"),
    [
        ({}, 0),
        ({"x": (1, 2, 3, 4)}, 0),
        ({"past_key_values.0.key": (1, 2, 9, 4)}, 9),
        ({"past_key_values.0.decoder.key": (1, 2, 9, 4)}, 9),
        ({"past_key_values.0.key": (9,)}, 0),
    ],
)
def test_the_length_is_that_of_the_first_layers_keys(shapes, length):
    assert cached_length(shapes) == length
