"""Records one Kineto trace of a given size, in a process of its own: torch.profiler around BERT-base.

    python tests/benchmarks/recordings_kineto.py --size 300000000 --output bert.json

Random weights, shapes and stacks on, as people record when they look for something. The number of steps follows from the
bytes that a step was measured to take. Prints one line of JSON: what was recorded.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

PROBES = (2, 10)
"""Steps of the two recordings that measure a step's bytes: their difference leaves out what every file holds once."""

TOKENS = 16
"""Short sequences: the events of a step are the same, the recording is quick."""


def bert() -> tuple[Any, dict[str, Any]]:
    """BERT-base with random weights, and one input."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    module = BertModel(BertConfig()).eval()
    tokens = torch.randint(0, module.config.vocab_size, (1, TOKENS))
    return module, {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


def record(module: Any, inputs: dict[str, Any], steps: int, output: Path) -> int:
    """Record so many steps after one that warms the profiler up; bytes of the trace."""
    import torch
    from torch.profiler import ProfilerActivity, profile, schedule

    with (
        torch.inference_mode(),
        profile(
            activities=[ProfilerActivity.CPU],
            record_shapes=True,
            with_stack=True,
            schedule=schedule(wait=0, warmup=1, active=steps),
        ) as profiler,
    ):
        for step in range(steps + 1):
            module(**inputs)
            if step < steps:
                profiler.step()
    profiler.export_chrome_trace(str(output))
    return output.stat().st_size


def steps_for(size: int, sizes: tuple[int, int]) -> int:
    """Steps that give a trace of at least `size` bytes, from the sizes of the two probes."""
    per_step = (sizes[1] - sizes[0]) / (PROBES[1] - PROBES[0])
    once = sizes[0] - PROBES[0] * per_step
    return max(1, int((size - once) / per_step) + 1)


def main() -> None:
    """Probe, record, and say what was recorded."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    import torch

    module, inputs = bert()
    with torch.inference_mode():
        module(**inputs)
    probe = options.output.with_suffix(".probe.json")
    sizes = tuple(record(module, inputs, steps, probe) for steps in PROBES)
    probe.unlink()
    steps = steps_for(options.size, (sizes[0], sizes[1]))
    record(module, inputs, steps, options.output)
    engine = f"torch {torch.__version__}"
    sys.stdout.write(json.dumps({"steps": steps, "engine": engine}) + "\n")


if __name__ == "__main__":
    main()
