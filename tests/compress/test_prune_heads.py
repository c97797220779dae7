"""Pruned heads: the smaller module computes what the whole one does with those heads silenced, for every known form."""

import pytest
import torch

from attrib.compress.prune_heads import layers
from attrib.compress.run import compress, compressible
from attrib.compress.subject import largest_difference
from attrib.errors import AttribError
from tests.compress.models import model_of, subject_of

KNOWN = ("bert", "distilbert", "gpt2", "vit")


def silenced_by_hand(family, share_heads):
    """Outputs of the family's model whose heads with these numbers reach no further than the layer that mixes them."""
    module, step = model_of(family)
    hooks = []
    for layer, gone in zip(layers(module), share_heads, strict=True):
        dead = [head * layer.width + i for head in gone for i in range(layer.width)]

        def without(_, given, dead=dead):
            (value,) = given
            value = value.clone()
            value[..., dead] = 0
            return (value,)

        hooks.append(layer.mixing.register_forward_pre_hook(without))
    return step()


@pytest.mark.parametrize("family", KNOWN)
def test_pruned_module_is_the_whole_one_with_those_heads_silenced(family):
    module, step = model_of(family)
    whole = step()
    gone = [layer.order()[:2] for layer in layers(module)]
    before = sum(parameter.numel() for parameter in module.parameters())
    (done,) = compress(subject_of(module, step), ("prune-heads=0.5",))
    assert done.what == "left out 2 of 4 heads in 2 attention layers, those with the smallest weights"
    assert largest_difference(silenced_by_hand(family, gone), step()) < 1e-5
    assert done.apart == largest_difference(whole, step()) > 1e-3
    # Two of four heads of width 8: half of the four matrices of 32 x 32 and of three biases, twice.
    after = sum(parameter.numel() for parameter in module.parameters())
    assert before - after == 2 * (4 * 32 * 16 + 3 * 16)


@pytest.mark.parametrize("family", KNOWN)
def test_those_heads_go_whose_value_and_output_weights_have_the_smallest_product(family):
    module, _ = model_of(family)
    for layer in layers(module):
        value = layer.projections[-1].weight
        mixed = layer.mixing.weight
        if (
            family == "gpt2"
        ):  # Conv1D holds its weight transposed, and all three of query, key and value in one
            value, mixed = value.T[-32:], mixed.T
        norms = [
            torch.linalg.norm(mixed[:, first : first + 8] @ value[first : first + 8])
            for first in range(0, 32, 8)
        ]
        assert layer.order() == sorted(range(4), key=lambda head, norms=norms: float(norms[head]))


def test_at_least_one_head_goes_and_at_least_one_stays():
    for share, what in (("0.01", "1 of 4"), ("0.99", "3 of 4")):
        (done,) = compress(subject_of(*model_of("bert")), (f"prune-heads={share}",))
        assert f"left out {what} heads" in done.what


def test_a_second_time_prunes_what_is_left():
    module, step = model_of("bert")
    first, second = compress(subject_of(module, step), ("prune-heads=0.5", "prune-heads=0.5"))
    assert ("2 of 4" in first.what, "1 of 2" in second.what) == (True, True)
    assert compressible(module) == ("int8-dynamic", "int8-weight-only")  # a single head cannot be pruned


def test_attention_with_shared_key_and_value_heads_is_left_alone():
    module, _ = model_of("mistral")
    assert layers(module) == []
    assert "prune-heads" not in compressible(module)


class Mixer(torch.nn.Module):
    """Looks like an attention layer, but its heads are interleaved: no range of rows belongs to one head."""

    def __init__(self):
        super().__init__()
        self.head_dim = 4
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (torch.nn.Linear(16, 16) for _ in range(4))

    def forward(self, x):
        made = (layer(x) for layer in (self.q_proj, self.k_proj, self.v_proj))
        parts = (value.unflatten(-1, (self.head_dim, -1)).movedim(-1, 1) for value in made)
        mixed = torch.nn.functional.scaled_dot_product_attention(*parts)
        return self.o_proj(mixed.movedim(1, -1).flatten(-2))


def test_a_layer_that_only_looks_like_attention_is_refused():
    torch.manual_seed(0)
    module = Mixer().eval().requires_grad_(requires_grad=False)
    outer, x = torch.nn.Sequential(module), torch.randn(2, 5, 16)
    assert len(layers(outer)) == 1
    with pytest.raises(
        AttribError, match=r"--compress prune-heads: without the heads the outputs are not those"
    ) as caught:
        compress(subject_of(outer, lambda: {"output": outer(x)}), ("prune-heads",))
    assert "leave out --compress prune-heads" in caught.value.hint


def test_model_without_attention_is_refused_in_one_line():
    module = torch.nn.Sequential(torch.nn.Linear(8, 8))
    with pytest.raises(
        AttribError, match="the model has no attention layer of a form that it can compress"
    ) as caught:
        compress(subject_of(module, dict), ("prune-heads",))
    assert caught.value.hint == "leave out --compress prune-heads"
