"""Changes of the capture that a fix may name: each as the text of its command, empty where its precondition does not hold.

A rule says what changes, and `attrib.findings.commands` makes the whole command of it. What is asked for already, what needs
another kind of model or graph, and what needs a package that is not installed is not advised.
"""

from collections.abc import Collection, Iterable

from attrib.findings.evidence.attention import WHOLE_ATTENTION_OPSET, attention_regions, is_whole
from attrib.findings.evidence.placement import executed_nodes
from attrib.findings.protocol import Evidence
from attrib.model.execution_providers import CUDA_PROVIDER
from attrib.model.manifest import COMPILED_BY_MODEL, Role, Workload
from attrib.zoo.examples import EXAMPLES

_OTHER_EXPORTER = {"dynamo": "torchscript", "torchscript": "dynamo"}
_PACKAGES = {"onnxscript": "onnxscript", "onnxslim": "onnxslim"}
"""Rewrites that another package does, which need not be installed."""

SPINNING = "session.intra_op.allow_spinning"
"""Session configuration entry: whether ONNX Runtime's threads spin while they wait for work."""

_INTEGER = "int8"
"""What the names of quantizing rewrites begin with: one follows on another only to quantize twice."""


def change(flags: str, *, when: bool = True) -> str:
    """The text of a capture with other flags; empty where it must not be advised."""
    return f"`attrib profile {flags}`" if when else ""


def either(*ways: str) -> str:
    """The ways that there are, with semicolons between them, as one sentence; empty where there is none."""
    kept = [way for way in ways if way]
    text = "; or ".join(kept)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def phrase(text: str, command: str) -> str:
    """A text with `{}` for a command; empty where there is no command."""
    return text.replace("{}", command) if command else ""


def try_compiled(evidence: Evidence, sentence: str) -> str:
    """A sentence with `{}` for the command that compiles PyTorch's model; empty where it is compiled already."""
    side = evidence.side("torch")
    eager = side is None or (side.mode in ("", "eager") and COMPILED_BY_MODEL not in side.settings)
    return phrase(f" {sentence}", change("--torch-mode compile", when=eager))


def exporter_of(evidence: Evidence) -> str:
    """Which of torch's exporters wrote the graph; empty where somebody else did, or nobody says."""
    side = evidence.side("onnxruntime")
    return side.exporter if side is not None and side.exporter in _OTHER_EXPORTER else ""


def other_exporter(evidence: Evidence) -> str:
    """Export with torch's other exporter."""
    exporter = exporter_of(evidence)
    return change(f"--exporter {_OTHER_EXPORTER.get(exporter)}", when=bool(exporter))


def whole_attention(evidence: Evidence) -> str:
    """Export in an opset that has an Attention operator: only the dynamo exporter uses it, for PyTorch's fused attention."""
    side = evidence.side("onnxruntime")
    older = exporter_of(evidence) == "dynamo" and side is not None and side.opset < WHOLE_ATTENTION_OPSET
    taken_apart = any(not is_whole(rows) for rows in attention_regions(evidence.ledger.rows).values())
    return change(f"--opset {WHOLE_ATTENTION_OPSET}", when=older and taken_apart)


def rewritten(evidence: Evidence, name: str) -> str:
    """Rewrite the graph, where that rewrite was not used and its package is there."""
    side = evidence.side("onnxruntime")
    if side is None or evidence.manifest is None or not side.exporter:
        return ""
    used, packages = [rewrite.name for rewrite in side.rewrites], evidence.manifest.environment.packages
    missing = name in _PACKAGES and bool(packages) and _PACKAGES[name] not in packages
    before = [other for other in used if other.startswith(_INTEGER)] if name.startswith(_INTEGER) else []
    text = change(f"--optimize {name}", when=name not in used and not missing and len(before) < 2)  # noqa: PLR2004
    return f"{text} in place of `--optimize {before[0]}`" if text and before else text


def fused_as_transformer(evidence: Evidence) -> str:
    """Fuse a model of the transformers library, as ONNX Runtime's tool for those does."""
    return rewritten(evidence, "ort-transformers") if _is_transformer(evidence) else ""


def eager_attention(evidence: Evidence) -> str:
    """Export from the model's eager attention, where it has a choice and runs another."""
    workload = evidence.manifest.workload if evidence.manifest else None
    other = workload is not None and workload.attention not in ("", "eager")
    return change("--attention eager", when=other and bool(exporter_of(evidence)))


def fused_from_eager(evidence: Evidence) -> str:
    """Export eager attention by TorchScript, whose pattern the tool for transformers knows, and fuse it."""
    exported = bool(exporter_of(evidence)) and bool(fused_as_transformer(evidence))
    return change("--exporter torchscript --attention eager --optimize ort-transformers", when=exported)


def free_sizes(evidence: Evidence) -> bool | None:
    """Whether the graph that the session opened has inputs of unknown size; None where there is no such graph."""
    graph = evidence.loaded
    if graph is None:
        return None
    return any(-1 in graph.values[name].shape for name in graph.inputs if name in graph.values)


def fixed_sizes(evidence: Evidence) -> str:
    """Export for the sizes of the workload, where they were left free."""
    return (
        "`attrib profile` without `--dynamic-shapes`"
        if free_sizes(evidence) and exporter_of(evidence)
        else ""
    )


def fewer_tokens(evidence: Evidence, count: int) -> str:
    """Record with rows of another length, where attrib makes rows of tokens."""
    workload = _own_inputs(evidence)
    sized = workload is not None and workload.seq_len > 0 and workload.model not in EXAMPLES
    return change(f"--seq-len {count}", when=sized)


def more_work(evidence: Evidence) -> str:
    """Record with twice the rows, where attrib makes the inputs."""
    workload = _own_inputs(evidence)
    return change(f"--batch-size {2 * workload.batch_size}") if workload is not None else ""


def longer_blocks(evidence: Evidence) -> str:
    """Words for twice the steps in a block, with the command where the number is known."""
    protocol = evidence.manifest.protocol if evidence.manifest else None
    steps = protocol.iterations if protocol is not None else 0
    return "more steps in a block" + phrase(": {}", change(f"--iterations {2 * steps}", when=steps > 0))


def longer_warm_up(evidence: Evidence) -> str:
    """Words for a warm-up of twice the steps, with the command where the number is known."""
    steps = (
        max((side.warmup for side in evidence.manifest.sides.values()), default=0) if evidence.manifest else 0
    )
    return "a longer warm-up" + phrase(": {}", change(f"--warmup {2 * steps}", when=steps > 0))


def more_launches(evidence: Evidence) -> str:
    """Words for twice the launches, with the command where the number is known."""
    protocol = evidence.manifest.protocol if evidence.manifest else None
    launches = protocol.launches if protocol is not None else 0
    flags = f"--launches {2 * launches} --rounds {2 * protocol.rounds}" if protocol is not None else ""
    return "more launches" + phrase(": {}", change(flags, when=launches > 0))


def in_float(evidence: Evidence) -> str:
    """Run the model in float32, where it runs in another precision."""
    lower = evidence.manifest is not None and evidence.manifest.workload.precision not in ("", "fp32")
    return _in_float(evidence) if lower else ""


def in_one_precision(evidence: Evidence, rewrite: str = "") -> str:
    """Leave out the rewrite that converts the graph alone; without one, run both engines in float32."""
    return f"`attrib profile` without `--optimize {rewrite}`" if rewrite else _in_float(evidence)


def _in_float(evidence: Evidence) -> str:
    """Run in float32, to which autocast is no choice."""
    side = evidence.side("torch")
    cast = side is not None and side.settings.get("autocast")
    return change("--precision fp32") + (" in place of `--autocast`" if cast else "")


def with_entry(evidence: Evidence, entry: str, value: str) -> str:
    """Set a configuration entry of the session, where it has another value."""
    side = evidence.side("onnxruntime")
    return change(
        f"--session-option {entry}={value}", when=side is None or side.session_options.get(entry) != value
    )


def spinning_off(evidence: Evidence, busy: Collection[Role]) -> str:
    """Stop ONNX Runtime's waiting threads from spinning, where it is one of the engines that keep cores busy."""
    return with_entry(evidence, SPINNING, "0") if "onnxruntime" in busy else ""


def replayed(evidence: Evidence) -> str:
    """Let ONNX Runtime replay a CUDA graph, where its first provider can, and has every node."""
    side = evidence.side("onnxruntime")
    providers = {node.provider for node in executed_nodes(evidence)}
    able = (
        side is not None and side.requested_providers[:1] == (CUDA_PROVIDER,) and providers == {CUDA_PROVIDER}
    )
    used = side is not None and side.settings.get("enable_cuda_graph") == "1"
    return change("--cuda-graph", when=able and not used)


def bound(evidence: Evidence) -> str:
    """Bind inputs and outputs, where they are not."""
    side = evidence.side("onnxruntime")
    return change("--io-binding", when=side is not None and side.settings.get("io_binding") != "true")


def verified(*experiments: str) -> str:
    """The command that measures some experiments on a capture."""
    return f"`attrib verify TRACE_DIR {' '.join(f'--experiment {name}' for name in experiments)}`"


def joined(ways: Iterable[str]) -> str:
    """Ways that there are, each once, with semicolons between them."""
    return "; ".join(dict.fromkeys(way for way in ways if way))


def _is_transformer(evidence: Evidence) -> bool:
    """Whether the transformers library made the model: only those name their attention."""
    return evidence.manifest is not None and bool(evidence.manifest.workload.attention)


def _own_inputs(evidence: Evidence) -> Workload | None:
    """The workload whose inputs attrib makes; None for a factory, which brings its own."""
    workload = evidence.manifest.workload if evidence.manifest else None
    return workload if workload is not None and workload.source in ("built-in", "directory", "hub") else None
