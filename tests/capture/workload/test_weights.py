import pytest

from attrib.capture.workload.weights import (
    denormal_count,
    fingerprint,
    make_distinct,
    seed_everything,
)

pytestmark = pytest.mark.engines


def small_bert():
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, vocab_size=500
    )
    seed_everything(0)
    return BertForMaskedLM(config)


def values(module):
    return [parameter.detach().numpy().tobytes() for parameter in module.parameters()]


def test_no_two_tensors_are_equal():
    module = small_bert()
    assert len(set(values(module))) < len(values(module))
    make_distinct(module, 0)
    assert len(set(values(module))) == len(values(module))


def test_no_value_is_denormal():
    import torch

    module = small_bert()
    make_distinct(module, 0)
    tiny = torch.finfo(torch.float32).tiny
    embeddings = module.get_input_embeddings()
    for name, parameter in module.named_parameters():
        # Transformers zeroes the embedding of the padding token; zero is not denormal.
        wrong = (parameter != 0) & (parameter.abs() < tiny)
        assert not wrong.any(), name
    assert embeddings.weight.std() > 0


def test_tied_weights_stay_tied():
    module = small_bert()
    make_distinct(module, 0)
    assert module.get_input_embeddings().weight is module.get_output_embeddings().weight


def test_one_seed_gives_one_model():
    first, second = small_bert(), small_bert()
    make_distinct(first, 0)
    make_distinct(second, 0)
    assert fingerprint(first) == fingerprint(second)


def test_another_seed_gives_another_model():
    first, second = small_bert(), small_bert()
    make_distinct(first, 0)
    make_distinct(second, 1)
    assert fingerprint(first) != fingerprint(second)


@pytest.mark.parametrize(
    ("dtype", "denormal"),
    [("float64", 1), ("float32", 2), ("bfloat16", 2), ("float16", 0), ("float8_e4m3fn", 0)],
)
def test_denormal_is_what_the_processor_computes_with(dtype, denormal):
    """In float16 and float8 the smallest numbers are denormal, and ordinary once they are converted to float32."""
    import torch

    smallest = torch.tensor([1.0, 2e-3, 1e-7, 1e-39, 4e-39, 0.0], dtype=torch.float64)
    if dtype == "float64":
        smallest[3] = 1e-310
    assert denormal_count([smallest.to(getattr(torch, dtype))]) == denormal
    assert denormal_count([torch.arange(4)]) == 0
