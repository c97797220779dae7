"""The worked example of docs/method.md, printed from a sample: `python docs/worked_example.py`."""

import sys
from pathlib import Path

import attrib

ROOT = Path(__file__).resolve().parent.parent
REGION = "encoder.layer.0.intermediate.dense/linear"


def example() -> str:
    """Every step from the plain steps to the sum of the rows, for the BERT-base sample."""
    document = attrib.load(ROOT / "sample_traces" / "bert-base-uncased").document
    latency = document.latency
    lines = ["plain step (ns): the mean over launches of the median"]
    for name, side in (("PyTorch", latency.torch_ns), ("ONNX Runtime", latency.onnxruntime_ns)):
        lines.append(f"  {f'{name}, {side.n} steps in {latency.launches} launches':<44}{side.median:>16,}")
    lines += [f"  {'delta (ONNX Runtime minus PyTorch)':<44}{latency.delta_ns.median:>16,}", ""]
    lines += [f"one region: {REGION}"]
    for row in (r for r in document.ledger if r.region == REGION):
        lines.append(f"  cause {row.cause}")
        lines += [f"    PyTorch      {row.torch_ns:>14,}  {', '.join(row.torch_calls) or '-'}"]
        lines += [f"    ONNX Runtime {row.onnxruntime_ns:>14,}  {', '.join(row.onnx_nodes) or '-'}"]
        lines += [f"    delta        {row.delta_ns:>14,}  between {row.low_ns:,} and {row.high_ns:,}"]
    lines += [f"  matched by {row.match.method}, confidence {row.match.confidence}:"]
    lines += [f"    {line}" for line in row.match.evidence[:3]]
    lines += ["", f"all {len(document.ledger)} rows by cause (ns)"]
    for cause in document.causes:
        lines.append(
            f"  {cause.cause:<18}{cause.torch_ns:>14,} ->{cause.onnxruntime_ns:>14,}{cause.delta_ns:>16,}"
        )
    torch, ort, delta = (
        sum(getattr(c, key) for c in document.causes) for key in ("torch_ns", "onnxruntime_ns", "delta_ns")
    )
    lines.append(f"  {'sum':<18}{torch:>14,} ->{ort:>14,}{delta:>16,}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(example())
