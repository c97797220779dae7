"""One cell of the mapping matrix: a real capture, its regions, and the check of their numbers."""

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
from mapping_cells import Cell
from mapping_figures import Figures, correct_share, figures, node_times
from msgspec.structs import replace

from attrib.api import Analysis, load
from attrib.capture import CaptureOptions, capture
from tests.numeric.captured import Numbers, numbers_of
from tests.numeric.verdicts import Verdict
from tests.renaming import renamed

GRAPHS = ("onnx/exported.onnx", "onnx/optimized.onnx")
TRACES = ("torch/trace.json.gz", "ort/profile.json.gz")


def run_cell(cell: Cell, folder: Path) -> Figures:
    """Capture, analyze and check one cell.

    Raises:
        AttribError: The capture failed.
    """
    begin = time.perf_counter()
    truth = _captured(cell.options, folder / "truth")
    if cell.kind == "renamed":
        file = _renamed(folder / "truth-models" / "exported.onnx")
        options = {k: v for k, v in cell.options.items() if k not in ("opset", "dynamic_shapes")}
        found = _captured(options | {"onnx": file}, folder / "found")
    elif cell.kind == "capture":
        found = truth
    else:
        found = load(_stranger(folder / "truth", folder / "found", cell))
    captured = time.perf_counter()
    row = figures(found)
    if found is not truth:
        row = replace(row, correct=correct_share(truth, found))
    name = "found" if cell.kind == "renamed" else "truth"
    row = _checked(row, found, _options(cell.options, folder / name))
    done = time.perf_counter()
    return replace(row, seconds=(round(captured - begin, 1), round(done - captured, 1)))


def _renamed(file: Path) -> Path:
    """The model without any name, beside the original, whose weights it shares."""
    target = file.with_name("renamed.onnx")
    onnx.save(renamed(onnx.load(file, load_external_data=False)).model, target)
    return target


def _captured(options: dict[str, Any], folder: Path) -> Analysis:
    """A short real capture, its models beside it."""
    return load(capture(_options(options, folder)))


def _options(options: dict[str, Any], folder: Path) -> CaptureOptions:
    models = folder.with_name(f"{folder.name}-models")
    return CaptureOptions(
        **options,
        output=folder,
        save_models=models,
        rounds=2,
        iterations=1,
        warmup=1,
        launches=1,
        max_time=0.0,
    )


def _stranger(capture_dir: Path, folder: Path, cell: Cell) -> Path:
    """The traces of a capture as someone else would hand them over: no manifest, no graphs unless the cell has them."""
    for name in (*TRACES, *(GRAPHS if cell.kind == "foreign-graphs" else ())):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(capture_dir / name, folder / name)
    return folder


def _checked(row: Figures, found: Analysis, options: CaptureOptions) -> Figures:
    """The row with what the numbers say of the regions that were found."""
    assert options.output is not None
    assert options.save_models is not None
    numbers = numbers_of(options, options.output, options.save_models, found)
    verdicts = {verdict.region: verdict for verdict in numbers.verdicts()}
    return replace(
        row,
        states=dict(Counter(verdict.state for verdict in verdicts.values())),
        reasons=dict(Counter(v.reason for v in verdicts.values() if v.state == "unchecked")),
        verified_time=_verified_time(numbers, {k for k, v in verdicts.items() if v.state == "verified"}),
        wrong=tuple(_told(v, numbers) for v in verdicts.values() if v.state in ("wrong", "loose")),
    )


def _told(verdict: Verdict, numbers: Numbers) -> str:
    """One line on a region whose numbers do not agree."""
    region = next(region for region in numbers.matched if region.id == verdict.region)
    words = [verdict.region, verdict.state, verdict.reason, verdict.value]
    sides = [f"its calls {', '.join(region.calls[:4])}", f"its nodes {', '.join(region.nodes[:4])}"]
    return "; ".join([*words, *sides, f"returned by {', '.join(verdict.elsewhere[:4]) or 'none'}"])


def _verified_time(numbers: Numbers, verified: set[str]) -> float:
    times = node_times(numbers.analysis.partitions["onnxruntime"])
    spent = {region.id: sum(times[node] for node in region.nodes) for region in numbers.matched}
    return sum(ns for region, ns in spent.items() if region in verified) / (sum(spent.values()) or 1)
