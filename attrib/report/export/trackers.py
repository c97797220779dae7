"""Figures for programs that track benchmarks over time.

- `bmf`: Bencher Metric Format, https://bencher.dev/docs/reference/bencher-metric-format: benchmark, measure, then value with
  its lower and upper end; latencies in nanoseconds.
- `github-action-benchmark`: its `customSmallerIsBetter` list, one entry a figure.
"""

import msgspec

from attrib.model.document import CAUSES, Document
from attrib.model.estimate import Estimate
from attrib.model.manifest import Role
from attrib.report.view.text import one_line, shorten
from attrib.report.view.verdict import side_names

_NAME_LIMIT = 200
_NS_PER_MS = 1_000_000


def to_bmf(document: Document) -> bytes:
    """The steps with their intervals, and the ratio of the engines."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, step in _steps(document):
        found[name] = {"latency": {"value": step.median, "lower_value": step.low, "upper_value": step.high}}
    if (ratio := document.latency.ratio) is not None:
        found[_named(document, "speedup")] = {
            "ratio": {"value": ratio.value, "lower_value": ratio.low, "upper_value": ratio.high}
        }
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def to_github_action_benchmark(document: Document) -> bytes:
    """The steps, and what each named cause makes of their difference, in milliseconds; smaller is better."""
    found = [
        {
            "name": name,
            "unit": "ms",
            "value": step.median / _NS_PER_MS,
            "range": f"{step.low / _NS_PER_MS:.6g} to {step.high / _NS_PER_MS:.6g}",
        }
        for name, step in _steps(document)
    ]
    by_cause = {row.cause: row for row in document.causes}
    found += [
        {
            "name": _named(document, f"ONNX Runtime minus PyTorch: {CAUSES[cause].title}"),
            "unit": "ms",
            "value": by_cause[cause].delta_ns / _NS_PER_MS,
            "range": f"{by_cause[cause].low_ns / _NS_PER_MS:.6g} to {by_cause[cause].high_ns / _NS_PER_MS:.6g}",
        }
        for cause in document.judgement.named
        if cause in by_cause
    ]
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def _steps(document: Document) -> list[tuple[str, Estimate]]:
    names = side_names(document)
    pairs: tuple[tuple[Role, Estimate | None], ...] = (
        ("torch", document.latency.torch_ns),
        ("onnxruntime", document.latency.onnxruntime_ns),
    )
    return [(_named(document, names[role]), step) for role, step in pairs if step is not None]


def _named(document: Document, what: str) -> str:
    """A name that stays the same from commit to commit: model, shape, precision, and what was measured."""
    work = document.workload
    parts = [
        work.model,
        f"batch {work.batch_size}",
        f"sequence {work.seq_len}" if work.seq_len else "",
        f"cache {work.cache_length}" if work.cache_length else "",
        work.precision,
        what,
    ]
    return shorten(one_line(", ".join(part for part in parts if part)), _NAME_LIMIT)
