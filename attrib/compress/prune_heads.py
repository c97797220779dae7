"""`prune-heads`: leave out the attention heads that matter least by their weights, a share of each layer.

Query, key and value lose the rows of the heads that go, the layer that mixes the heads loses their columns: products
become smaller, and nothing is masked. Which heads go is a rule about weights alone: what head `h` adds to the output of
its layer is `A_h X V_h O_h`, and those go whose `V_h O_h` has the smallest Frobenius norm. Biases do not count.

That a layer is what it looks like is proved on the workload's inputs: the model as it was, with zeros in the columns that
mix the heads that go, must give the same outputs.

An attention layer is a module that says how wide a head is, with one layer for each of query, key and value, or one for all
three in this order (GPT-2), and one layer that mixes the heads. Attention with fewer key and value heads than query heads
is left alone, and so is `torch.nn.MultiheadAttention`, whose width is that of its input.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import Linear, Parameter

from attrib.compress.subject import Subject, largest_difference
from attrib.errors import AttribError
from attrib.model.manifest import TOLERANCES
from attrib.wording import counted

_WIDTHS = ("head_dim", "attention_head_size")
_COUNTS = ("num_attention_heads", "num_heads", "n_heads", "n_head")
_TOTALS = ("all_head_size", "split_size")
"""How the modules of transformers call the width of a head, the number of heads, and the width of all heads."""

_MIXING = ("o_proj", "out_proj", "out_lin", "c_proj", "dense", "o")
"""How they call the layer that mixes the heads. BERT and its kin have it beside the module, as `output.dense`."""

_FUSED = "c_attn"
"""How GPT-2 calls the one layer that makes query, key and value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionLayer:
    """One attention layer.

    Attributes:
        module: The module that holds it.
        projections: The layers that make query, key and value in this order, or the one that makes all three.
        mixing: The layer that mixes the heads.
        heads: How many heads it has.
        width: How wide one is.
    """

    module: Any
    projections: tuple[Any, ...]
    mixing: Any
    heads: int
    width: int

    def order(self) -> list[int]:
        """The heads, the one first whose value and output weights have the smallest product."""
        value = _by_output(self.projections[-1])[-self.heads * self.width :].unflatten(
            0, (self.heads, self.width)
        )
        mixed = _by_output(self.mixing).unflatten(1, (self.heads, self.width)).movedim(1, 0)
        # ‖O V‖² is the sum of the elementwise product of OᵀO and V Vᵀ, which are only as wide as a head.
        norms = ((mixed.mT @ mixed) * (value @ value.mT)).sum(dim=(1, 2))
        return [int(head) for head in norms.argsort(stable=True)]

    def silence(self, heads: list[int]) -> None:
        """Put zeros where the mixing layer reads these heads."""
        columns = self._columns(heads)
        weight = self.mixing.weight.detach().clone()
        weight.index_fill_(_axis(self.mixing, "in"), columns, 0)
        self.mixing.weight = Parameter(weight, requires_grad=False)

    def keep(self, heads: list[int]) -> None:
        """Keep these heads only."""
        columns = self._columns(heads)
        for layer in self.projections:
            blocks = _size(layer, "out") // (self.heads * self.width)
            rows = [columns + block * self.heads * self.width for block in range(blocks)]
            _take(layer, "out", torch.cat(rows))
        _take(self.mixing, "in", columns)
        for names, before, after in (
            (_COUNTS, self.heads, len(heads)),
            (_TOTALS, self.heads * self.width, len(heads) * self.width),
        ):
            for name in names:
                if vars(self.module).get(name) == before:
                    setattr(self.module, name, after)

    def _columns(self, heads: list[int]) -> Any:
        device = self.mixing.weight.device
        first = torch.tensor(sorted(heads), device=device) * self.width
        return (first[:, None] + torch.arange(self.width, device=device)).flatten()


def layers(module: Any) -> list[AttentionLayer]:
    """Every attention layer of a module whose heads could be pruned."""
    named = dict(module.named_modules())
    return [found for name in named if (found := _attention_at(name, named))]


def _attention_at(name: str, named: Mapping[str, Any]) -> AttentionLayer | None:
    part = named[name]
    width = next((value for key in _WIDTHS if isinstance(value := vars(part).get(key), int)), 0)
    held = {key: child for key, child in part.named_children() if _is_layer(child)}
    mixing = next((held.pop(key) for key in _MIXING if key in held), None)
    outer, _, last = name.rpartition(".")
    if mixing is None and last == "self":
        mixing = named.get(f"{outer}.output.dense".removeprefix("."))
    if width < 1 or mixing is None or not _is_layer(mixing):
        return None
    heads, rest = divmod(_size(mixing, "in"), width)
    of_each = [_size(layer, "out") for layer in held.values()]
    if list(held) == [_FUSED]:
        projections = tuple(held.values())
        fits = of_each == [3 * heads * width]
    else:
        projections = tuple(held[key] for letter in "qkv" for key in held if key.startswith(letter))
        fits = len(projections) == len(held) == 3 and set(of_each) == {heads * width}  # noqa: PLR2004
    if rest or heads < 2 or not fits:  # noqa: PLR2004
        return None
    return AttentionLayer(module=part, projections=projections, mixing=mixing, heads=heads, width=width)


def compress(subject: Subject, attentions: list[AttentionLayer], share: float) -> str:
    """Prune a share of the heads of each, at least one and never all, and prove it; what was done.

    Raises:
        AttribError: The pruned model is not the one with the heads silenced.
    """
    counts, kept = [], []
    for attention in attentions:
        count = min(max(1, round(attention.heads * share)), attention.heads - 1)
        order = attention.order()
        attention.silence(order[:count])
        kept.append(order[count:])
        counts.append(f"{count} of {attention.heads}")
    silenced = subject.step()
    for attention, heads in zip(attentions, kept, strict=True):
        attention.keep(heads)
    apart = largest_difference(silenced, subject.step())
    if not apart <= TOLERANCES[subject.precision]:
        raise AttribError(
            f"without the heads the outputs are not those with the heads silenced: {apart:.2g} of the largest value apart",
            hint="the model holds attention of a form that attrib does not know: leave out --compress prune-heads",
        )
    each, where = ", ".join(dict.fromkeys(counts)), counted(len(attentions), "attention layer")
    return f"left out {each} heads in {where}, those with the smallest weights"


def _is_layer(module: Any) -> bool:
    """Whether a module multiplies by one weight of its own: a Linear, or transformers' Conv1D, which is one transposed."""
    kind = type(module)
    conv = kind.__name__ == "Conv1D" and kind.__module__ == "transformers.pytorch_utils"
    return (kind is Linear or conv) and module._parameters.get("weight") is not None  # noqa: SLF001


def _axis(layer: Any, side: str) -> int:
    """The axis of a layer's weight along which its results (`out`) or what it reads (`in`) lie."""
    return int((side == "in") == (type(layer) is Linear))


def _size(layer: Any, side: str) -> int:
    return int(layer.weight.shape[_axis(layer, side)])


def _by_output(layer: Any) -> Any:
    """A layer's weight as float64 on the host, `[out, in]`."""
    return layer.weight.detach().movedim(_axis(layer, "out"), 0).to("cpu", torch.float64)


def _take(layer: Any, side: str, positions: Any) -> None:
    """Keep these positions of a layer's results or of what it reads."""
    weight = layer.weight.detach().index_select(_axis(layer, side), positions)
    layer.weight = Parameter(weight, requires_grad=False)
    if side == "out" and layer.bias is not None:
        layer.bias = Parameter(layer.bias.detach()[positions], requires_grad=False)
    names = {"out": ("out_features", "nf"), "in": ("in_features", "nx")}[side]
    for name in names:
        if hasattr(layer, name):
            setattr(layer, name, len(positions))
