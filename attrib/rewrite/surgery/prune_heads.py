"""`prune-heads`: a quarter of the attention heads less in every layer, those whose weights are smallest.

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
    Array,
    counted,
    largest_difference,
    load_model,
    operate,
    run_file,
    tolerance_of,
)
from attrib.rewrite.surgery.head_flow import Block, find_blocks

SHARE = 0.25
"""Share of the heads of a layer that goes."""


def prune_heads(job: Job) -> Outcome:
    """Prune the heads, and check it on the workload's inputs."""
    outcome = operate(job, lambda model: _prune(model, job))
    apart = largest_difference(_silenced(job), run_file(job.target, job.inputs))
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
    """The heads that stay: all but the share whose weights have the smallest norm, and one less at least."""
    norms = np.zeros(block.heads)
    for weight in block.weights:
        if weight.is_matrix:
            norms += np.square(weight.by_head()).sum(axis=1)
    gone = max(1, round(block.heads * SHARE))
    return sorted(np.argsort(norms, kind="stable")[gone:].tolist())


def _silenced(job: Job) -> dict[str, Array]:
    """The outputs of the graph as it was, the pruned heads multiplied by zeros where they are mixed."""
    import onnx_ir as ir

    model = load_model(job)
    for block in find_blocks(model.graph, lambda: job.architecture().heads):
        kept = kept_heads(block)
        block.mixing.silence(model.graph, [head for head in range(block.heads) if head not in kept])
    probe = job.source.with_name(f"{job.target.stem}-silenced.onnx")
    data = Path(f"{probe}.data")
    try:
        ir.save(model, probe, external_data=data.name, size_threshold_bytes=INLINE)
        return run_file(probe, job.inputs)
    finally:
        probe.unlink(missing_ok=True)
        data.unlink(missing_ok=True)
