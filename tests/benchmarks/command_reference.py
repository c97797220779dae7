"""What `attrib profile --model bert-base-uncased` cannot do without, as plainly as one would write it by hand.

    python tests/benchmarks/command_reference.py --plan PLAN.json

Three processes, as attrib has: one runs PyTorch, one exports, one runs ONNX Runtime. Each imports its engine and builds the
model or opens the sessions; then the steps of the plan follow, one block at a time, under the engines' own profilers where
the plan says so. There is no attrib in it, no analysis, no report. Prints the seconds of each part as one line of JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("HF_HUB_OFFLINE", "1")

TORCH, EXPORT, ORT = "torch", "export", "onnxruntime"
Serve = Callable[[dict[str, Any]], dict[str, Any]]


def model(plan: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """BERT-base with seeded random weights, every vector of them distinct, and one input."""
    import torch
    from transformers import BertConfig, BertModel

    torch.set_num_threads(plan["threads"])
    torch.manual_seed(0)
    options = {"num_hidden_layers": plan["layers"]} if plan["layers"] else {}
    module = BertModel(BertConfig(use_cache=False, **options)).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim <= 1:
                parameter.add_(torch.randn(parameter.shape) * 0.02)
    tokens = torch.randint(0, module.config.vocab_size, (1, plan["seq_len"]))
    rest = {"attention_mask": torch.ones_like(tokens), "token_type_ids": torch.zeros_like(tokens)}
    return module, {"input_ids": tokens, **rest}


def serve_torch(plan: dict[str, Any]) -> Serve:
    """Run blocks of steps, each profiled one under a profiler of its own whose trace is written."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    module, inputs = model(plan)
    trace = str(Path(plan["folder"]) / "block.json")

    def timed(count: int) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            module(**inputs)
        return time.perf_counter() - begin

    def run(command: dict[str, Any]) -> dict[str, Any]:
        with torch.inference_mode():
            took = timed(command["lead_in"])
            if not command["profiled"]:
                return {"steps": took + timed(command["steps"])}
            with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
                took += timed(command["steps"])
            profiler.export_chrome_trace(trace)
        return {"steps": took}

    return run


def serve_export(plan: dict[str, Any]) -> Serve:
    """Export when told to."""
    import torch

    module, inputs = model(plan)

    def run(command: dict[str, Any]) -> dict[str, Any]:
        program = torch.onnx.export(
            module, (), kwargs=inputs, input_names=list(inputs), dynamo=True, verbose=False
        )
        program.save(command["model"], external_data=True)
        return {}

    return run


def serve_ort(plan: dict[str, Any]) -> Serve:
    """Open a plain and a profiled session, the latter saving its graph, then run blocks on either."""
    import numpy as np
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    sessions: list[Any] = []
    tokens = np.ones((1, plan["seq_len"]), dtype=np.int64)

    def opened(file: str, *, profiled: bool) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = plan["threads"]
        options.inter_op_num_threads = 1
        if profiled:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(plan["folder"]) / "profile")
            options.optimized_model_filepath = str(Path(plan["folder"]) / "optimized.onnx")
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def run(command: dict[str, Any]) -> dict[str, Any]:
        if "model" in command:
            sessions.extend(opened(command["model"], profiled=profiled) for profiled in (False, True))
            return {}
        if "end" in command:
            return {"profile": sessions[1].end_profiling()}
        session = sessions[command["profiled"]]
        feeds = {entry.name: tokens for entry in session.get_inputs()}
        begin = time.perf_counter()
        for _ in range(command["lead_in"] + command["steps"]):
            session.run(None, feeds)
        return {"steps": time.perf_counter() - begin}

    return run


SERVERS = {TORCH: serve_torch, EXPORT: serve_export, ORT: serve_ort}


def serve(role: str, plan: dict[str, Any]) -> None:
    """Answer commands until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what the libraries print is no answer
    run = SERVERS[role](plan)
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)


class Process:
    """One of the three."""

    def __init__(self, role: str, plan: Path) -> None:
        command = [sys.executable, __file__, "--plan", str(plan), "--role", role]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def send(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else _ended()

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _ended() -> NoReturn:
    raise RuntimeError("a process of the reference ended early")


def drive(plan: dict[str, Any], file: Path) -> dict[str, float]:
    """Run the plan; seconds of each part, and of the steps alone."""
    parts: dict[str, float] = {}
    clock = time.perf_counter()

    def part(name: str) -> None:
        nonlocal clock
        parts[name] = time.perf_counter() - clock
        clock = time.perf_counter()

    roles = {role: Process(role, file) for role in (TORCH, EXPORT, ORT)}
    exported = str(Path(plan["folder"]) / "exported.onnx")
    roles[EXPORT].send(model=exported)
    for role in (TORCH, EXPORT, ORT, EXPORT):
        roles[role].receive()
    roles[EXPORT].end()
    part("load and export")
    roles[ORT].send(model=exported)
    roles[ORT].receive()
    part("sessions")
    steps = 0.0
    for name in ("warm-up", "measure"):
        for block in plan[name]:
            roles[block["role"]].send(**block)
            steps += roles[block["role"]].receive()["steps"]
        part(name)
    roles[ORT].send(end=True)
    roles[ORT].receive()
    for role in (TORCH, ORT):
        roles[role].end()
    part("end")
    return parts | {"steps": steps}


def main() -> None:
    """One of the processes, or the one that drives them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--role", choices=SERVERS)
    options = parser.parse_args()
    plan = json.loads(options.plan.read_bytes())
    if options.role:
        serve(options.role, plan)
        return
    with tempfile.TemporaryDirectory(prefix="attrib-bench-") as folder:
        file = Path(folder) / "plan.json"
        file.write_text(json.dumps(plan | {"folder": folder}))
        sys.stdout.write(json.dumps(drive(plan | {"folder": folder}, file)) + "\n")


if __name__ == "__main__":
    main()
