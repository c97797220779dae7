"""Records one ONNX Runtime profile of a given size, in a process of its own: BERT-base on the CPU provider.

    python tests/benchmarks/recordings_ort.py --model bert.onnx --size 300000000 --output profile.json
    python tests/benchmarks/recordings_ort.py --model bert.onnx --events 1000000 --output profile.json

The model is exported first where its file is not there. ONNX Runtime stops recording at 1,000,000 events; `--events`
of that many runs a little longer, so that the limit is really met. Prints one line of JSON: what was recorded.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from recordings_kineto import TOKENS, bert

os.environ.setdefault("HF_HUB_OFFLINE", "1")

PROBES = (2, 12)
"""Runs of the two recordings that measure a run's bytes and events."""

BEYOND = 1.01
"""How much longer than asked to run, so that a limit on events is met."""


def export(model: Path) -> None:
    """Write BERT-base with random weights as an ONNX file."""
    import torch

    module, inputs = bert()
    program = torch.onnx.export(
        module, (), kwargs=inputs, input_names=list(inputs), dynamo=True, verbose=False
    )
    program.save(str(model), external_data=True)


def record(model: Path, runs: int, output: Path) -> Path:
    """Profile so many runs of a new session; the profile, moved to where it was asked for."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(output.with_suffix(""))
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    feeds = inputs_of(session)
    for _ in range(runs):
        session.run(None, feeds)
    return Path(session.end_profiling()).replace(output)


def inputs_of(session: Any) -> dict[str, Any]:
    """Tokens for every input of the session."""
    tokens = np.ones((1, TOKENS), dtype=np.int64)
    return {entry.name: tokens for entry in session.get_inputs()}


def measured(model: Path, output: Path) -> list[tuple[int, int]]:
    """Bytes and events of the two probes."""
    found = []
    for runs in PROBES:
        probe = record(model, runs, output.with_suffix(".probe.json"))
        found.append((probe.stat().st_size, len(json.loads(probe.read_bytes()))))
        probe.unlink()
    return found


def runs_for(wanted: int, probes: tuple[int, int]) -> int:
    """Runs that give at least so many bytes, or events, from those of the two probes."""
    per_run = (probes[1] - probes[0]) / (PROBES[1] - PROBES[0])
    once = probes[0] - PROBES[0] * per_run
    return max(1, int((wanted - once) / per_run) + 1)


def main() -> None:
    """Export if need be, probe, record, and say what was recorded."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--size", type=int, default=0)
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    import onnxruntime

    if not options.model.is_file():
        export(options.model)
    first, second = measured(options.model, options.output)
    column, wanted = (1, int(options.events * BEYOND)) if options.events else (0, options.size)
    runs = runs_for(wanted, (first[column], second[column]))
    record(options.model, runs, options.output)
    engine = f"onnxruntime {onnxruntime.__version__}"
    sys.stdout.write(json.dumps({"steps": runs, "engine": engine}) + "\n")


if __name__ == "__main__":
    main()
