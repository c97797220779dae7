"""Rewrites that fuse and fold: onnxruntime's transformer optimizer, the levels of optimum, onnxscript, onnxslim."""

from typing import Any

from attrib.rewrite.files import graphs_of, load_graph, save_graph
from attrib.rewrite.registry import Job, Outcome

_GPU_ONLY = (
    "optimum-cli refuses O4 without a GPU: ONNX Runtime's CPU provider casts around most float16 nodes"
)

_OPTIMUM: dict[str, dict[str, Any]] = {
    "o1": {"opt_level": 1, "only_onnxruntime": True},
    "o2": {"opt_level": 2, "only_onnxruntime": False},
    "o3": {"opt_level": 2, "only_onnxruntime": False},
    "o4": {"opt_level": 2, "only_onnxruntime": False},
}
"""What `optimum-cli export onnx --optimize O1..O4` asks onnxruntime's optimizer for: O1 is ORT's basic level alone; from
O2 the extended level and the transformer fusions, EmbedLayerNormalization left out; O3 adds the tanh form of GELU."""


def ort_transformers(job: Job) -> Outcome:
    """Run the python fusions of `onnxruntime.transformers.optimizer`, with its default options."""
    model, settings = _fuse(job, {"opt_level": 0, "only_onnxruntime": False}, embed=True, tanh=False)
    save_graph(model.model, job.target)
    return Outcome(settings=settings | _fusions(model))


def optimum_o1(job: Job) -> Outcome:
    """Run ONNX Runtime's basic level."""
    return _optimum(job, "o1")


def optimum_o2(job: Job) -> Outcome:
    """Run ONNX Runtime's extended level, then the transformer fusions."""
    return _optimum(job, "o2")


def optimum_o3(job: Job) -> Outcome:
    """Run what O2 runs, with GELU by tanh."""
    return _optimum(job, "o3", tanh=True)


def optimum_o4(job: Job) -> Outcome:
    """Run what O3 runs, then convert to float16; inputs and outputs keep their types."""
    return _optimum(job, "o4", tanh=True, half=True)


def _optimum(job: Job, level: str, *, tanh: bool = False, half: bool = False) -> Outcome:
    """Run one of the levels of optimum."""
    model, settings = _fuse(job, _OPTIMUM[level], embed=False, tanh=tanh)
    if half:
        model.convert_float_to_float16(use_symbolic_shape_infer=True, keep_io_types=True)
        settings |= {"float16": "true", "keep_io_types": "true"}
    rename_invented(model.model.graph, load_graph(job.source).graph, job.target.stem)
    save_graph(model.model, job.target)
    return Outcome(settings=settings | _fusions(model), notes=(_GPU_ONLY,) if half and not job.gpu else ())


def rename_invented(graph: Any, source: Any, suffix: str) -> None:
    """Give the values that ONNX Runtime added names of their own.

    It numbers them from 0 in every session, so the session that opens this graph would meet its own names again:
    ONNX Runtime 1.31 then refuses the graph ("Attempt to replace the existing tensor").
    """
    fresh = {name: f"{name}/{suffix}" for name in _names(graph) - _names(source)}
    for part in graphs_of(graph):
        for entry in (*part.initializer, *part.value_info):
            entry.name = fresh.get(entry.name, entry.name)
        for node in part.node:
            node.input[:] = [fresh.get(name, name) for name in node.input]
            node.output[:] = [fresh.get(name, name) for name in node.output]


def _names(graph: Any) -> set[str]:
    """The names of all values of a graph and its subgraphs: inputs, outputs, initializers, results of nodes."""
    parts = list(graphs_of(graph))
    named = {value.name for part in parts for value in (*part.input, *part.output, *part.initializer)}
    return named | {name for part in parts for node in part.node for name in node.output if name}


def _fuse(job: Job, asked: dict[str, Any], *, embed: bool, tanh: bool) -> tuple[Any, dict[str, str]]:
    """Run `optimize_model`; returns the optimizer that holds the result, and the settings for the manifest."""
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import MODEL_TYPES, optimize_model

    found = job.architecture()
    model_type = _ORT_TYPES.get(found.model_type, found.model_type)
    known = model_type in MODEL_TYPES
    model_type = model_type if known else "bert"
    options = FusionOptions(model_type)
    options.enable_embed_layer_norm = options.enable_embed_layer_norm and embed
    options.enable_gelu_approximation = tanh
    model = optimize_model(
        str(job.source),
        model_type=model_type,
        num_heads=found.heads,
        hidden_size=found.hidden,
        optimization_options=options,
        use_gpu=job.gpu,
        **asked,
    )
    return model, {
        "model_type": model_type if known else f"{model_type} (assumed)",
        "num_heads": str(found.heads or "detected"),
        "hidden_size": str(found.hidden or "detected"),
        "opt_level": str(asked["opt_level"]),
        "python_fusions": str(not asked["only_onnxruntime"]).lower(),
        "embed_layer_norm": str(options.enable_embed_layer_norm).lower(),
        "gelu_approximation": str(tanh).lower(),
        "use_gpu": str(job.gpu).lower(),
    }


_ORT_TYPES = (
    dict.fromkeys(
        (
            "albert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "mpnet", "nomic_bert", "nystromformer",
            "roberta", "xlm-roberta",
        ),
        "bert",
    )
    | dict.fromkeys(("codegen", "gpt_bigcode", "gpt_neo", "gptj", "llama", "mistral", "opt"), "gpt2")
    | dict.fromkeys(("mbart", "marian", "whisper"), "bart")
    | {"mt5": "t5", "dinov2": "vit", "deit": "vit"}
)  # fmt: skip
"""transformers' model type -> the type whose fusions in onnxruntime fit its layers, where the names differ."""


def _fusions(model: Any) -> dict[str, str]:
    """Count the nodes of each fused operator, for the manifest."""
    from collections import Counter

    counts = Counter(node.op_type for node in model.model.graph.node if node.domain == "com.microsoft")
    return {"fused": ", ".join(f"{count} {op}" for op, count in sorted(counts.items())) or "nothing"}


def onnxscript(job: Job) -> Outcome:
    """Run the transformer fusions of onnxscript, `optimize_for_ort`."""
    import onnx_ir
    from onnxscript.rewriter.ort_fusions import optimize_for_ort

    model, counts = optimize_for_ort(onnx_ir.load(job.source))
    onnx_ir.save(model, job.target, external_data=f"{job.target.name}.data")
    fused = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return Outcome(settings={"fused": fused or "nothing"})


def onnxslim(job: Job) -> Outcome:
    """Run `onnxslim` with its defaults: it folds, removes and fuses nodes, with its own shape inference."""
    import onnxslim as tool

    save_graph(tool.slim(str(job.source)), job.target)
    return Outcome(settings={"shape_inference": "true"})
