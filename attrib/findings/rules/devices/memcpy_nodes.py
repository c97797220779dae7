"""memcpy-nodes: copies between host and device inside the graph."""

from collections import Counter

from attrib.findings.evidence.advice import either, fixed_sizes, phrase
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, ids, nodes_line, op_of, rows_with_nodes
from attrib.findings.evidence.placement import copy_nodes, copy_partners, executed_nodes
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the copy nodes, and say which nodes on the host they serve."""
    found = copy_nodes(evidence)
    if not found:
        count = counted(len(executed_nodes(evidence)), "node")
        return RuleResult(failed=False, summary=f"None of {count} copies between devices.")
    names = [node.id for node in found]
    claim = evidence.ledger.work("onnxruntime", names)
    directions = Counter(node.op for node in found)
    partners = copy_partners(evidence)
    groups: dict[tuple[str, str], list[str]] = {}
    for node in found:
        served = dict.fromkeys(op_of(evidence, "onnxruntime", name) for name in partners[node.id])
        edge = "the outputs of the model" if node.op == "MemcpyToHost" else "the inputs of the model"
        groups.setdefault((node.op, " + ".join(served) or edge), []).append(node.id)
    frequent = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))[:MOST_GROUPS]
    return RuleResult(
        failed=True,
        rows=ids(rows_with_nodes(evidence, names)),
        claim=claim,
        works=tuple(names),
        detail=counted(len(found), "copy node"),
        summary=f"{directions['MemcpyToHost']} to the host, {directions['MemcpyFromHost']} from it."
        " Each makes the host wait for the device, and keeps CUDA graphs from being used.",
        price="In the profile they take {}.",
        evidence=tuple(
            nodes_line(evidence, f"{len(copies)} times {op} for {what}: ", copies)
            for (op, what), copies in frequent
        ),
        fix=either(
            "remove the nodes on the host that they serve (see fallback-nodes)"
            + phrase(", such as those that compute sizes: {}", fixed_sizes(evidence)),
            "feed what only the host needs from there: `binding.bind_cpu_input(name, array)`",
        ),
    )


RULE = Rule(
    id="memcpy-nodes",
    passed="No measurable time is spent on copies between host and device inside the graph",
    failed="{} between host and device",
    example="24 copy nodes",
    about=(
        "Where a node on the host stands between nodes on the device, ONNX Runtime puts MemcpyToHost and MemcpyFromHost"
        " around it (its log: `N Memcpy nodes are added to the graph`), and each boundary synchronizes. Placing shape"
        " arithmetic on the host took one model from 4 s to 0.6 s (microsoft/onnxruntime#19769). The rule adds up the copy"
        " nodes and names the nodes that they serve: removing those removes the copies."
    ),
    cause="memcpy",
    needs=("nodes",),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C3",),
    experiments=("nan-guard", "double-islands", "opset", "static-shapes"),
)
