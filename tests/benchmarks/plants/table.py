"""Every plant: a row each. Modules are those of BERT with two layers."""

from functools import partial

from attrib.model.document import CAUSES, Cause
from plants import casts, decomposed, layout, surplus
from plants.plant import EVERYWHERE, Plant

LAYERS = ("encoder.layer.0", "encoder.layer.1")
EVERY_CAUSE: tuple[Cause, ...] = tuple(cause for cause in CAUSES if cause != "profiler_overhead")
COMPUTING: tuple[Cause, ...] = ("kernel", "decomposed", "fused", "extra_work", "missing_work")
"""What the same computation is counted under, as the number of nodes changes."""


def _each(*parts: str, layers: tuple[str, ...] = LAYERS) -> tuple[str, ...]:
    """Names of the same modules in several layers."""
    return tuple(f"{layer}.{part}" for layer in layers for part in parts)


QUERY_KEY_VALUE = ("attention.self.query", "attention.self.key", "attention.self.value")
FIRST, SECOND = LAYERS[:1], LAYERS[1:]
UP, DOWN = "intermediate.dense", "output.dense"
GELU = "intermediate.intermediate_act_fn"
ATTENTION = "attention.self"
NORMS = ("attention.output.LayerNorm", "output.LayerNorm")
NORM_REGIONS = ("attention.output", "output")
"""ONNX Runtime fuses a layer norm with the residual before it; the modules of both."""


CAST_ROWS = (
    Plant(
        name="casts-one-linear",
        kind="Cast pairs",
        place="eight pairs before one feed-forward linear, 3,072 wide",
        findings=("redundant-casts",),
        causes=("cast",),
        where=_each("intermediate", "output", layers=FIRST),
        edit=partial(casts.pairs_before, linears=_each(DOWN, layers=FIRST), pairs=8),
        adds={"Cast": 9},
        changes_numbers=True,
    ),
    Plant(
        name="casts-attention",
        kind="Cast pairs",
        place="eight pairs before the query, key and value of every layer, which share them",
        findings=("redundant-casts",),
        causes=("cast",),
        where=LAYERS,
        edit=partial(casts.pairs_before, linears=_each(*QUERY_KEY_VALUE), pairs=8),
        adds={"Cast": 18},
        changes_numbers=True,
    ),
    Plant(
        name="casts-all-linears",
        kind="Cast pairs",
        place="four pairs before every linear",
        findings=("redundant-casts",),
        causes=("cast",),
        where=LAYERS,
        edit=partial(
            casts.pairs_before, linears=_each(*QUERY_KEY_VALUE, "attention.output.dense", UP, DOWN), pairs=4
        ),
        adds={"Cast": 40},
        changes_numbers=True,
    ),
    Plant(
        name="casts-anonymous",
        kind="Cast pairs",
        place="after every feed-forward linear, in nodes that name no module",
        findings=("redundant-casts",),
        causes=("cast",),
        where=LAYERS,
        edit=partial(casts.anonymous_pairs_after, linears=_each(UP, DOWN)),
        adds={"Cast": 8},
        changes_numbers=True,
    ),
)

LAYOUT_ROWS = (
    Plant(
        name="transposes-one-linear",
        kind="Transpose pairs",
        place="after one feed-forward linear, 3,072 wide",
        findings=("layout-churn",),
        causes=("layout", *COMPUTING),
        where=_each("intermediate", layers=SECOND),
        edit=partial(layout.pairs_after, linears=_each(UP, layers=SECOND)),
        adds={"Transpose": 2},
    ),
    Plant(
        name="transposes-attention",
        kind="Transpose pairs",
        place="after the output projection of every attention, 768 wide",
        findings=("layout-churn",),
        causes=("layout", *COMPUTING),
        where=_each("attention.output"),
        edit=partial(layout.pairs_after, linears=_each("attention.output.dense")),
        adds={"Transpose": 4},
    ),
    Plant(
        name="transposes-all-linears",
        kind="Transpose pairs",
        place="after every linear but query, key and value",
        findings=("layout-churn",),
        causes=("layout", *COMPUTING),
        where=LAYERS,
        edit=partial(layout.pairs_after, linears=_each("attention.output.dense", UP, DOWN)),
        adds={"Transpose": 12},
    ),
    Plant(
        name="turned-linears",
        kind="Linear on transposed tensors",
        place="both feed-forward linears of the first layer",
        findings=("layout-churn", "slower-kernel"),
        causes=("layout", *COMPUTING),
        where=_each("intermediate", "output", layers=FIRST),
        edit=partial(layout.turned_linears, linears=_each(UP, DOWN, layers=FIRST)),
        adds={"Transpose": 1},
    ),
)

DECOMPOSED_ROWS = (
    Plant(
        name="norm-apart",
        kind="LayerNorm taken apart",
        place="one of five",
        findings=("unfused-layers",),
        causes=COMPUTING,
        where=_each("attention.output", layers=FIRST),
        edit=partial(decomposed.norms, modules=_each("attention.output.LayerNorm", layers=FIRST)),
        adds={"ReduceMean": 2, "Sqrt": 1},
    ),
    Plant(
        name="norms-apart",
        kind="LayerNorm taken apart",
        place="all of them",
        findings=("unfused-layers",),
        causes=COMPUTING,
        where=("embeddings", *_each(*NORM_REGIONS)),
        edit=partial(decomposed.norms, modules=("embeddings.LayerNorm", *_each(*NORMS))),
        adds={"ReduceMean": 10, "Sqrt": 5},
    ),
    Plant(
        name="gelu-apart",
        kind="Gelu taken apart",
        place="one of two",
        findings=("unfused-layers",),
        causes=COMPUTING,
        where=_each("intermediate", layers=SECOND),
        edit=partial(decomposed.gelus, modules=_each(GELU, layers=SECOND)),
        adds={"Erf": 1, "Mul": 3},
    ),
    Plant(
        name="gelus-apart",
        kind="Gelu taken apart",
        place="all of them",
        findings=("unfused-layers",),
        causes=COMPUTING,
        where=_each("intermediate"),
        edit=partial(decomposed.gelus, modules=_each(GELU)),
        adds={"Erf": 2, "Mul": 6},
    ),
    Plant(
        name="einsum-feed-forward",
        kind="Linear as Einsum",
        place="both feed-forward linears of the first layer",
        findings=("einsum-products",),
        causes=("layout", *COMPUTING),
        where=_each("intermediate", "output", layers=FIRST),
        edit=partial(decomposed.einsums, linears=_each(UP, DOWN, layers=FIRST)),
        adds={"Einsum": 2},
    ),
    Plant(
        name="einsum-attention",
        kind="Linear as Einsum",
        place="query, key and value of every layer, and the scores",
        findings=("einsum-products",),
        causes=("layout", *COMPUTING),
        where=_each("attention"),
        edit=lambda editing: (
            decomposed.einsums(editing, _each(*QUERY_KEY_VALUE)),
            decomposed.einsum_scores(editing, _each(ATTENTION)),
        )[0],
        adds={"Einsum": 8},
    ),
)

DOUBLE_ROWS = (
    Plant(
        name="double-linear",
        kind="Double-precision island",
        place="one feed-forward linear",
        findings=("double-precision",),
        causes=("cast", "layout", *COMPUTING),
        where=_each("intermediate", layers=FIRST),
        edit=partial(casts.double_linears, linears=_each(UP, layers=FIRST)),
        adds={"Cast": 2},
    ),
    Plant(
        name="double-softmax",
        kind="Double-precision island",
        place="the softmax of every layer",
        findings=("double-precision",),
        causes=("cast", *COMPUTING),
        where=_each(ATTENTION),
        edit=partial(casts.double_softmax, attentions=_each(ATTENTION)),
        adds={"Cast": 4},
    ),
    Plant(
        name="double-norms",
        kind="Double-precision island",
        place="every layer norm of the second layer",
        findings=("double-precision",),
        causes=("cast", *COMPUTING),
        where=_each(*NORM_REGIONS, layers=SECOND),
        edit=partial(casts.double_norms, norms=_each(*NORMS, layers=SECOND)),
        adds={"Cast": 4},
    ),
)

SURPLUS_ROWS = (
    Plant(
        name="duplicated-feed-forward",
        kind="Duplicated branch",
        place="half a feed-forward block: a linear and its Gelu",
        findings=("duplicated-work",),
        causes=("layout", *COMPUTING),
        where=_each("intermediate", layers=FIRST),
        edit=partial(surplus.copied_feed_forward, layers=FIRST),
        adds={"Max": 1, "Gelu": 1},
    ),
    Plant(
        name="duplicated-query-key",
        kind="Duplicated branch",
        place="query and key of the second layer",
        findings=("duplicated-work",),
        causes=("layout", *COMPUTING),
        where=_each("attention", layers=SECOND),
        edit=partial(
            surplus.copied_linears, linears=_each("attention.self.query", "attention.self.key", layers=SECOND)
        ),
        adds={"Max": 2},
    ),
    Plant(
        name="all-hidden-states",
        kind="Extra outputs",
        place="hidden states of every layer",
        findings=("unused-outputs",),
        causes=EVERY_CAUSE,
        where=EVERYWHERE,
        edit=partial(
            surplus.shown,
            modules=(
                ("LayerNormalization", "embeddings.LayerNorm"),
                ("LayerNormalization", "encoder.layer.0.output.LayerNorm"),
            ),
        ),
    ),
    Plant(
        name="all-activations",
        kind="Extra outputs",
        place="hidden states, attention probabilities and feed-forward activations of every layer",
        findings=("unused-outputs",),
        causes=EVERY_CAUSE,
        where=EVERYWHERE,
        edit=partial(
            surplus.shown,
            modules=(
                ("LayerNormalization", "embeddings.LayerNorm"),
                *(("LayerNormalization", name) for name in _each(*NORMS)[:3]),
                *(("Softmax", name) for name in _each(ATTENTION)),
                *(("Gelu", name) for name in _each(GELU)),
                *(("Add", name) for name in _each(UP)),
            ),
        ),
    ),
)

OPTION_ROWS = (
    Plant(
        name="optimization-disabled",
        kind="Optimization disabled",
        place="the whole graph",
        findings=("blocked-optimization",),
        causes=EVERY_CAUSE,
        where=EVERYWHERE,
        options={"opt_level": "disabled"},
        adds={"LayerNormalization": 5},
    ),
    Plant(
        name="optimization-basic",
        kind="Optimization disabled",
        place="fusions only (level basic)",
        findings=("blocked-optimization", "unfused-layers"),
        causes=EVERY_CAUSE,
        where=EVERYWHERE,
        options={"opt_level": "basic"},
        adds={"LayerNormalization": 5},
    ),
    Plant(
        name="one-thread-onnxruntime",
        kind="One thread instead of two",
        place="ONNX Runtime",
        findings=("thread-mismatch",),
        causes=EVERY_CAUSE,
        where=EVERYWHERE,
        options={"session_options": ("intra_op_num_threads=1",)},
    ),
    Plant(
        name="int8-dynamic",
        kind="Dynamic int8",
        place="every linear",
        findings=("unfused-quantization",),
        causes=EVERY_CAUSE,
        where=EVERYWHERE,
        options={"optimize": ("int8-dynamic",)},
        adds={"DynamicQuantizeLinear": 1},
        changes_numbers=True,
    ),
)

INPUT_ROWS = (
    Plant(
        name="padding",
        kind="Padding",
        place="30 % of the tokens",
        findings=("padded-tokens",),
        causes=EVERY_CAUSE,
        where=EVERYWHERE,
        factory="padded",
        baseline="trimmed",
        changes_numbers=True,
    ),
)

TORCH_ROWS = (
    Plant(
        name="one-thread-torch",
        kind="One thread instead of two",
        place="PyTorch",
        side="torch",
        findings=("thread-mismatch",),
        causes=EVERY_CAUSE,
        where=EVERYWHERE,
        factory="one_thread",
    ),
    Plant(
        name="busy-layer",
        kind="Python in `forward`",
        place="much of it in one layer",
        side="torch",
        findings=("python-overhead", "framework-overhead"),
        causes=("framework",),
        where=EVERYWHERE,
        factory="busy_layer",
    ),
    Plant(
        name="busy-linears",
        kind="Python in `forward`",
        place="a little in every linear",
        side="torch",
        findings=("python-overhead", "framework-overhead"),
        causes=("framework",),
        where=EVERYWHERE,
        factory="busy_linears",
    ),
    Plant(
        name="slow-gelu",
        kind="Slow PyTorch module",
        place="Gelu by hand in one layer",
        side="torch",
        findings=("slow-module", "fused-operators"),
        causes=COMPUTING,
        where=_each("intermediate", layers=FIRST),
        factory="slow_gelu",
    ),
    Plant(
        name="slow-gelus",
        kind="Slow PyTorch module",
        place="Gelu by hand in every layer",
        side="torch",
        findings=("slow-module", "fused-operators"),
        causes=COMPUTING,
        where=_each("intermediate"),
        factory="slow_gelus",
    ),
    Plant(
        name="slow-norms",
        kind="Slow PyTorch module",
        place="every layer norm by hand",
        side="torch",
        findings=("slow-module", "fused-operators"),
        causes=COMPUTING,
        where=("embeddings", *_each(*NORM_REGIONS)),
        factory="slow_norms",
    ),
    Plant(
        name="chunked-linear",
        kind="Slow PyTorch module",
        place="one feed-forward linear in 48 pieces",
        side="torch",
        findings=("slow-module", "fused-operators"),
        causes=("layout", *COMPUTING),
        where=_each("intermediate", layers=SECOND),
        factory="chunked_linear",
    ),
    Plant(
        name="double-linear-torch",
        kind="Double-precision island",
        place="one feed-forward linear of PyTorch",
        side="torch",
        findings=("double-in-pytorch",),
        causes=("cast", "layout", *COMPUTING),
        where=_each("output", layers=FIRST),
        factory="double_linear",
    ),
)

PLANTS: tuple[Plant, ...] = (
    *CAST_ROWS,
    *LAYOUT_ROWS,
    *DECOMPOSED_ROWS,
    *DOUBLE_ROWS,
    *SURPLUS_ROWS,
    *OPTION_ROWS,
    *INPUT_ROWS,
    *TORCH_ROWS,
)
"""Every plant; the names are unique."""
