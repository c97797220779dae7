"""unbound-inputs: inputs and outputs that travel between host and device in every call because nothing is bound."""

from collections.abc import Iterable
from dataclasses import dataclass

from attrib.findings.comparability.check import is_on
from attrib.findings.evidence.ledger_queries import ids
from attrib.findings.evidence.numerics import bytes_of
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.model.estimate import Delta
from attrib.model.manifest import Side
from attrib.model.tensor import Tensor
from attrib.traces.inspection.summary import ASYNCHRONOUS
from attrib.units import format_ns

COPYING_ROWS = ("(framework)/ort session", "(framework)/ort api")
"""Regions of the time around the nodes: the session moves feeds and outputs between devices before and after them."""

SLOWEST_COPY = 1.0
"""Bytes a nanosecond (GB/s). Copying pageable memory to a device, or into new memory, is hardly slower than that."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the time around the nodes, held to what copying inputs and outputs can take at most."""
    side = evidence.manifest.sides.get("onnxruntime") if evidence.manifest else None
    if side is None or "io_binding" not in side.settings:
        return RuleResult(
            failed=False, lacks="needs to know how the session was fed: `attrib profile` notes it"
        )
    if is_on(side.settings["io_binding"].lower()):
        return RuleResult(failed=False, summary="Inputs and outputs were bound: no call copies them.")
    if _on_host(side):
        return RuleResult(failed=False, summary=ON_HOST)
    moved = _moved(evidence)
    if moved is None:
        return RuleResult(
            failed=False, lacks="needs the sizes of the outputs: keep outputs.json or onnx/optimized.onnx"
        )
    rows = [row for row in evidence.ledger.rows if row.region in COPYING_ROWS]
    claim, spent = _claim(evidence, rows, moved), format_ns(sum(row.onnxruntime_ns for row in rows))
    size = f"{moved.own / 1e6:,.1f} MB"
    return RuleResult(
        failed=bool(rows) and claim.median > 0,
        rows=ids(rows),
        claim=claim,
        detail=size,
        summary=f"Numpy arrays of {size} travel between host and device in every call; around the nodes it "
        f"takes {spent}.",
        evidence=(
            EvidenceRow(text=f"{spent} in the session and its API, outside the nodes", rows=ids(rows)),
        ),
        fix="Bind them once: `attrib profile --io-binding`; in your code `binding = session.io_binding()`, "
        "`bind_ortvalue_input`, `bind_output(name, 'cuda')`, `session.run_with_iobinding(binding)`. Leave out "
        "outputs that "
        "nobody reads: `session.run([names], feeds)` or `--optimize drop-unused-outputs`.",
    )


ON_HOST = (
    "On the CPU nothing is copied: ONNX Runtime reads numpy arrays where they are and hands its own memory out. "
    "Binding saves "
    "some microseconds a call (3 to 5 here with 0.4 MB of outputs, 12 with 3 MB)."
)
"""Measured with ONNX Runtime 1.20.1 and 1.31.1: `run` against `run_with_iobinding`, outputs of 3 kB to 12 MB."""


def _on_host(side: Side) -> bool:
    """Providers without a device of their own read and write host memory: nothing is copied to them."""
    return not side.providers or side.providers[0] not in ASYNCHRONOUS


@dataclass(frozen=True, slots=True)
class _Moved:
    """Bytes of a call: of the outputs that PyTorch gives too, and of everything that is copied."""

    own: int
    everything: int


def _moved(evidence: Evidence) -> _Moved | None:
    """What a call copies; None where a size is unknown. Outputs that only the graph has are the rule unused-outputs'."""
    graph = evidence.optimized
    types = graph.values if graph is not None else {}
    shapes = {output.name: output.shape for output in evidence.outputs}
    names = graph.outputs if graph is not None else tuple(shapes)
    outputs = {name: _tensor(types.get(name), shapes.get(name)) for name in names}
    shared = {name: tensor for name, tensor in outputs.items() if name in shapes or not shapes}
    inputs = evidence.manifest.workload.inputs if evidence.manifest else ()
    fed = sum(bytes_of(spec.tensor) for spec in inputs)
    own, everything = (sum(map(bytes_of, them.values())) + fed for them in (shared, outputs))
    known = all(size >= 0 for tensor in outputs.values() for size in tensor.shape)
    return _Moved(own, everything) if own and known else None


def _tensor(stated: Tensor | None, shape: tuple[int, ...] | None) -> Tensor:
    """The type that the graph states, with the shape that was really given."""
    return Tensor(stated.dtype if stated else "float", shape or (stated.shape if stated else (-1,)))


def _claim(evidence: Evidence, rows: Iterable[LedgerRow], moved: _Moved) -> Delta:
    """The time in proportion to the bytes, and no more than copying them can take."""
    total = evidence.ledger.total([row.id for row in rows])
    share, limit = moved.own / moved.everything, round(moved.own / SLOWEST_COPY)
    low, middle, high = (min(round(value * share), limit) for value in (total.low, total.median, total.high))
    return Delta(median=middle, low=low, high=high)


RULE = Rule(
    id="unbound-inputs",
    passed="Copying inputs and outputs costs no measurable time",
    failed="{} travel between host and device in every call, because nothing is bound",
    example="5.1 MB",
    about=(
        "With a provider on another device `session.run` sends numpy inputs there and brings the outputs back "
        "in every call, "
        "and waits for both: most of the time in microsoft/onnxruntime#8166 and #25852. The rule weighs the "
        "time of the "
        "session and its API outside the nodes, held to what copying that many bytes can take. On the CPU "
        "nothing is copied, "
        "and the rule says so. Copies between the nodes are memcpy-nodes."
    ),
    cause="framework",
    needs=("delta", "partitions", "manifest"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C4",),
    experiments=("io-binding",),
)
