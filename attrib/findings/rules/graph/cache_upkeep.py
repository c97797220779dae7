"""cache-upkeep: nodes that only keep the cache of a language model take longer than PyTorch's calls for the same."""

from attrib.findings.evidence.advice import either, phrase, whole_attention
from attrib.findings.evidence.ledger_queries import (
    both_times,
    delta_ns,
    ids,
    module_lines,
    nodes_of,
    op_counts,
    op_of,
    rows_of,
)
from attrib.findings.evidence.numerics import bytes_of
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.wording import counted

_APPENDS = "Concat"
_REPEATS = frozenset({"Expand", "Tile"})
"""How graphs give each of several heads the keys and values that they share."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the work that keeps a cache in one engine against that in the other."""
    rows = rows_of(evidence, "cache")
    workload = evidence.manifest.workload if evidence.manifest else None
    if not rows:
        return RuleResult(
            failed=False, lacks="needs a step with a cache: `attrib profile --cache-length N` records one"
        )
    nodes = nodes_of(rows)
    appending = [node for node in nodes if op_of(evidence, "onnxruntime", node) == _APPENDS]
    repeating = any(op_of(evidence, "onnxruntime", node) in _REPEATS for node in nodes)
    works = evidence.work.get("onnxruntime", {})
    copied = sum(bytes_of(tensor) for node in appending for tensor in works[node].outputs)
    length = f" of {workload.cache_length} tokens" if workload is not None and workload.cache_length else ""
    summary = (
        f"{op_counts(evidence, 'onnxruntime', nodes)}: keeping the cache{length} takes {both_times(rows)}."
    )
    if copied:
        writing = (
            f"{counted(len(appending), _APPENDS, _APPENDS)} write {copied / 1e6:,.1f} MB anew in each step"
        )
        summary += f" {writing}, to add one token to each."
    return RuleResult(
        failed=delta_ns(rows) > 0,
        rows=ids(rows),
        detail=counted(len(nodes), "node"),
        summary=summary,
        evidence=module_lines(evidence, rows),
        fix=either(
            phrase(
                "an attention that stays whole repeats no keys and values for groups of heads: {}",
                whole_attention(evidence) if repeating else "",
            ),
            "write each new token into a buffer of full length, as GroupQueryAttention and TensorScatter (opset 24) do: a"
            " step then moves one token instead of all"
            if appending
            else "",
        ),
    )


RULE = Rule(
    id="cache-upkeep",
    passed="No measurable time is lost to keeping the cache",
    failed="Keeping the cache takes longer than in PyTorch: {}",
    example="24 nodes",
    about=(
        "A language model that generates keeps the keys and values of all tokens so far. Where a graph appends the new"
        " token's by Concat, each step copies all of them, and turns, repeats or converts them on the way to attention, so"
        " that a step takes the longer the more tokens there were; PyTorch does the like with a dynamic cache. The rule"
        " adds up the ledger rows of the cause `cache`: what the graph proves to move nothing but what the cache holds."
    ),
    cause="cache",
    needs=("delta", "partitions"),
    direction="slower",
    audit=audit,
    experiments=("opset", "attention"),
)
