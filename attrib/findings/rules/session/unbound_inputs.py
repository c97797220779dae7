"""unbound-inputs: inputs and outputs that travel between host and device in every call because nothing is bound."""

from attrib.findings.comparability.check import is_on
from attrib.findings.evidence.ledger_queries import ids, side_ns
from attrib.findings.evidence.numerics import bytes_of
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.estimate import Delta
from attrib.model.execution_providers import asynchronous_of
from attrib.model.tensor import Tensor
from attrib.units import format_ns

COPYING_ROWS = ("(framework)/ort session", "(framework)/ort api")
"""Regions of the time around the nodes: the session moves feeds and outputs between devices before and after them."""

SLOWEST_COPY = 1.0
"""Bytes a nanosecond (GB/s). Copying pageable memory to a device, or into new memory, is hardly slower than that."""

ON_HOST = (
    "On the CPU nothing is copied: ONNX Runtime reads numpy arrays where they are and hands its own memory out. Binding"
    " saves some microseconds a call (3 to 5 with 0.4 MB of outputs on the machine of attrib's tests, 12 with 3 MB)."
)
"""Measured with ONNX Runtime 1.20.1 and 1.31.1: `run` against `run_with_iobinding`, outputs of 3 kB to 12 MB."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the time around the nodes, held to what copying inputs and outputs can take at most."""
    side = evidence.side("onnxruntime")
    if side is None or "io_binding" not in side.settings:
        return RuleResult(
            failed=False, lacks="needs to know how the session was fed: `attrib profile` notes it"
        )
    if is_on(side.settings["io_binding"].lower()):
        return RuleResult(failed=False, summary="Inputs and outputs were bound: no call copies them.")
    if not asynchronous_of(side.providers[:1]):
        # providers without a device of their own read and write host memory: nothing is copied to them
        return RuleResult(failed=False, summary=ON_HOST)
    own, everything = moved_bytes(evidence)
    if not own:
        return RuleResult(
            failed=False, lacks="needs the sizes of the outputs: keep outputs.json or onnx/optimized.onnx"
        )
    rows = [row for row in evidence.ledger.rows if row.region in COPYING_ROWS]
    total = evidence.ledger.total(ids(rows))
    share, limit = own / everything, round(own / SLOWEST_COPY)
    low, middle, high = (min(round(value * share), limit) for value in (total.low, total.median, total.high))
    spent, size = format_ns(side_ns(rows, "onnxruntime")), f"{own / 1e6:,.1f} MB"
    return RuleResult(
        failed=bool(rows) and middle > 0,
        rows=ids(rows),
        claim=Delta(median=middle, low=low, high=high),
        detail=size,
        summary=f"Numpy arrays of {size} travel between host and device in every call. The session and its API take {spent}"
        " outside the nodes.",
        evidence=(
            EvidenceRow(text=f"{spent} in the session and its API, outside the nodes", rows=ids(rows)),
        ),
        fix="Bind them once: `attrib profile --io-binding`; in your code `binding = session.io_binding()`,"
        " `binding.bind_ortvalue_input(name, value)`, `binding.bind_output(name, 'cuda')`,"
        " `session.run_with_iobinding(binding)`. Leave out outputs that nobody reads: `session.run(names, inputs)`.",
    )


def moved_bytes(evidence: Evidence) -> tuple[int, int]:
    """Bytes that a call copies: without the outputs that only the graph has (see unused-outputs), and with them.

    Returns:
        Both 0 where a size is unknown.
    """
    graph = evidence.optimized
    types = graph.values if graph is not None else {}
    shapes = {output.name: output.shape for output in evidence.outputs}
    outputs = {}
    for name in graph.outputs if graph is not None else shapes:
        # the type that the graph states, with the shape that was really given
        stated, shape = types.get(name), shapes.get(name)
        outputs[name] = Tensor(
            stated.dtype if stated else "float", shape or (stated.shape if stated else (-1,))
        )
    if any(size < 0 for tensor in outputs.values() for size in tensor.shape):
        return 0, 0
    fed = sum(
        bytes_of(spec.tensor) for spec in (evidence.manifest.workload.inputs if evidence.manifest else ())
    )
    shared = (tensor for name, tensor in outputs.items() if name in shapes or not shapes)
    return sum(map(bytes_of, shared)) + fed, sum(map(bytes_of, outputs.values())) + fed


RULE = Rule(
    id="unbound-inputs",
    passed="Copying inputs and outputs costs no measurable time",
    failed="{} travel between host and device in every call, because nothing is bound",
    example="5.1 MB",
    about=(
        "With a provider on another device `session.run` sends numpy inputs there and brings the outputs back in every"
        " call, and waits for both: most of the time in microsoft/onnxruntime#8166 and #25852. The rule weighs the time of"
        " the session and its API outside the nodes, held to what copying that many bytes can take. On the CPU nothing is"
        " copied, and the rule says so. Copies between the nodes are memcpy-nodes."
    ),
    cause="framework",
    needs=("delta", "partitions", "manifest"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C4",),
    experiments=("io-binding",),
)
