"""One cell of the mapping matrix: a real capture, its regions, and the check of their numbers."""

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
from mapping_cells import Cell
from mapping_figures import Figures, correct_share, figures
from msgspec.structs import replace

from attrib.analysis.attribution.ledger.profiled import mapped_share
from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.analysis.match.step_values import StepValues
from attrib.analysis.match.value_check import ValueCheck, ValueVerdict
from attrib.api import Analysis, load
from attrib.capture import CaptureOptions, capture
from attrib.model.region import Region
from attrib.model.values import ROUGH
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
    row = _checked(row, found, found if cell.kind == "renamed" else truth)
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


def _checked(row: Figures, found: Analysis, recorded: Analysis) -> Figures:
    """The row with what the numbers of a capture say of the regions that were found."""
    values = recorded.directory.values("onnxruntime")
    if values is None:
        return row
    partition = found.partitions["onnxruntime"]
    graphs = {name: graph_from_bytes(data, name) for name, data in recorded.directory.graphs().items()}
    flow = recorded.directory.flow("torch")
    check = ValueCheck(
        StepValues(values),
        found.partitions["torch"].work,
        graphs,
        rough=values.tolerance > ROUGH,
        free=flow.input_free if flow else (),
    )
    verdicts = check.verdicts(found.regions)
    verified = {region for region, verdict in verdicts.items() if verdict.state == "verified"}
    both = [region for region in found.regions if region.origin == "both"]
    return replace(
        row,
        states=dict(Counter(verdict.state for verdict in verdicts.values())),
        reasons=dict(Counter(v.reason for v in verdicts.values() if v.state == "unchecked")),
        verified_time=mapped_share(
            partition, {n for r in found.regions if r.id in verified for n in r.nodes}
        ),
        verified_calls=mapped_share(
            found.partitions["torch"], {c for r in found.regions if r.id in verified for c in r.calls}
        ),
        wrong=tuple(
            _told(region, verdicts[region.id])
            for region in both
            if verdicts[region.id].state in ("wrong", "loose")
        ),
    )


def _told(region: Region, verdict: ValueVerdict) -> str:
    """One line on a region whose numbers do not agree."""
    words = [region.id, verdict.state, verdict.reason, verdict.value]
    sides = [f"its calls {', '.join(region.calls[:4])}", f"its nodes {', '.join(region.nodes[:4])}"]
    return "; ".join([*words, *sides, f"returned by {', '.join(verdict.elsewhere[:4]) or 'none'}"])
