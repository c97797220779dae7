"""padded-tokens: both engines compute on tokens that the mask hides."""

from collections.abc import Iterable, Mapping

from attrib.findings.evidence.advice import fewer_tokens, phrase
from attrib.findings.evidence.ledger_queries import ids, nodes_line, rows_with_nodes
from attrib.findings.evidence.placement import executed_nodes
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.estimate import Delta
from attrib.model.manifest import Workload
from attrib.model.work import Work
from attrib.units import format_percent

LEAST_SHARE = 0.02
"""Of 128 tokens two or three: rounding a length up to a multiple of eight costs more."""

LEAST_SAVED = 0.7
"""Of what would go away with the tokens if time followed their number: smaller products use a processor less well."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the time of nodes whose tensors have the length of the sequence, by the share of masked tokens."""
    assert evidence.manifest is not None  # noqa: S101  (needs: tokens)
    workload = evidence.manifest.workload
    share, everywhere = masked_shares(evidence)
    if not share:
        return RuleResult(failed=False, summary="The mask hides no token.")
    weights = saved_shares(executed_nodes(evidence), workload, share)
    whole = evidence.ledger.weigh({"onnxruntime": weights})
    linear = [node for node, weight in weights.items() if weight <= share]
    squares = [node for node, weight in weights.items() if weight > share]
    kinds = ((linear, "grow with the tokens"), (squares, "grow with their square"))
    lines = [nodes_line(evidence, f"{len(nodes)} nodes {what}: ", nodes) for nodes, what in kinds if nodes]
    kept = max(1, round(workload.seq_len * (1 - everywhere)))
    ways = []
    if everywhere > 0:
        ways.append(
            "Pad to the longest row of the batch: `tokenizer(texts, padding='longest')`"
            + phrase("; {} shows it", fewer_tokens(evidence, kept))
            + "."
        )
    if everywhere < share:
        ways.append(
            "Put rows of like length into one batch (bucketing), or pack sequences into one row without padding."
        )
        text = (
            f"{format_percent(everywhere)} of the length is padding in every row; the rest lies in rows that are shorter"
            " than the longest of their batch"
        )
        lines.append(EvidenceRow(text=text))
    return RuleResult(
        failed=bool(weights) and share >= LEAST_SHARE,
        rows=ids(rows_with_nodes(evidence, weights)),
        claim=Delta(median=whole.median, low=round(whole.low * LEAST_SAVED), high=whole.high),
        explains_delta=False,
        detail=format_percent(share),
        summary=f"{format_percent(share)} of the tokens are padding, and both engines compute on them.",
        price=f"{{}} of ONNX Runtime's step follows their number ({len(weights)} nodes, {len(squares)} of attention with its"
        " square).",
        evidence=tuple(lines),
        fix=" ".join(ways),
    )


def masked_shares(evidence: Evidence) -> tuple[float, float]:
    """Share of the tokens that the mask hides, and share of the length that it hides in every row; 0 to 1."""
    assert evidence.manifest is not None  # noqa: S101  (needs: tokens)
    workload, torch = evidence.manifest.workload, evidence.side("torch")
    settings = torch.settings if torch is not None else {}
    share = _share(settings.get("masked_tokens", ""), workload.padding)
    return share, _share(settings.get("masked_in_all", ""), share if workload.batch_size == 1 else 0.0)


def _share(text: str, otherwise: float) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return otherwise


def saved_shares(nodes: Iterable[Work], workload: Workload, share: float) -> Mapping[str, float]:
    """For each node that works on tokens the share of its time that goes away with the masked ones.

    A tensor of tokens by tokens (the scores of attention) shrinks with the square.
    """
    length, tokens = workload.seq_len, workload.seq_len * workload.batch_size
    found = {}
    for node in nodes:
        shapes = [tensor.shape for tensor in (*node.outputs, *node.inputs)]
        if any(shape[-2:] == (length, length) for shape in shapes):
            found[node.id] = 1 - (1 - share) ** 2
        elif any(length in tensor.shape or tokens in tensor.shape for tensor in node.outputs):
            found[node.id] = share
    return found


RULE = Rule(
    id="padded-tokens",
    passed="No measurable time goes into padding",
    failed="{} of the tokens are padding, and are computed like the others",
    example="50 %",
    about=(
        "Padding to a fixed length costs both engines time for tokens that the mask hides afterward; attention pays with"
        " the square of the length. Padding to `max_length` took one service from 20 s to 80 s (huggingface/setfit#360)."
        " The rule reads the mask's share and weighs the nodes whose tensors have the length of the sequence. It explains"
        " nothing of the difference between the engines: both compute on padding."
    ),
    cause=None,
    needs=("manifest", "tokens", "nodes"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C21",),
    unproved="Inputs without padding are another workload, which `attrib profile --padding 0 --seq-len N` measures.",
)
