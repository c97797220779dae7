"""`prune-heads`: leave out a quarter of the attention heads of every layer, those with the smallest weights.

From each attention the heads are followed back to the products that make query, key and value, and forward to the
product that mixes the heads. Their weights lose the columns and rows of the pruned heads, and the Reshapes on the way lose
the heads.
That this is what was done, and nothing else, is checked: the graph as it was, with zeros for the pruned heads in the
weight that mixes them, must give the same outputs.
"""

from pathlib import Path
from typing import Any

import numpy as np

from attrib.errors import AttribError
from attrib.rewrite.files import INLINE
from attrib.rewrite.registry import Job, Outcome
from attrib.rewrite.surgery.graph import (
    largest_difference,
    load_model,
    operate,
    run_probe,
    tolerance_of,
)
from attrib.rewrite.surgery.head_flow import Block, find_blocks
from attrib.wording import counted

SHARE = 0.25
"""Share of the heads of a layer that is left out."""


def prune_heads(job: Job) -> Outcome:
    """Prune the heads, and check on the workload's inputs that this is the same as silencing them."""
    import onnx_ir as ir

    outcome = operate(job, lambda model: _prune(model, job))
    # The graph as it was, with zeros for the pruned heads in the weights that mix them, must give the same.
    model = load_model(job)
    for block in find_blocks(model.graph, lambda: job.architecture().heads):
        kept = kept_heads(block)
        block.mixing.silence(model.graph, [head for head in range(block.heads) if head not in kept])

    def write(file: Path) -> None:
        ir.save(model, file, external_data=f"{file.name}.data", size_threshold_bytes=INLINE)

    apart = largest_difference(run_probe(job, write), job.run(job.target))
    if not apart <= tolerance_of(job.source):
        raise AttribError(
            "leaving out the heads is not the same as silencing them: an output differs by"
            f" {apart:.2g} of its largest value",
            hint="this graph holds attention of a form that attrib does not know: leave out --optimize prune-heads",
        )
    note = (
        f"--optimize prune-heads left out {outcome.settings['pruned']}: this changes the outputs; only the model's"
        " accuracy on real data can say whether it is still good enough"
    )
    return Outcome(settings=outcome.settings, notes=(note,))


def _prune(model: Any, job: Job) -> Outcome:
    blocks = find_blocks(model.graph, lambda: job.architecture().heads)
    counts = sorted({f"{b.heads - len(kept_heads(b))} of {b.heads}" for b in blocks})
    for block in blocks:
        block.prune(model.graph, kept_heads(block))
    return Outcome(
        settings={
            "pruned": f"{', '.join(counts)} heads in {counted(len(blocks), 'layer')}",
            "share": f"{SHARE:g}",
            "choice": "smallest norm of a head's query, key, value and output weights",
        }
    )


def kept_heads(block: Block) -> list[int]:
    """The heads that stay: all but the share whose weights have the smallest norm; at least one goes."""
    norms = np.zeros(block.heads)
    for weight in block.weights:
        if weight.is_matrix:
            norms += np.square(weight.by_head()).sum(axis=1)
    gone = max(1, round(block.heads * SHARE))
    return sorted(np.argsort(norms, kind="stable")[gone:].tolist())
