"""Names of everything that a capture and its reports leave in a directory, so that it can be removed and nothing else."""

from pathlib import Path

from attrib.capture.durable import PARTIAL
from attrib.model.manifest import EXPORTED, LATENCY, OPTIMIZED, PARTITIONED

MANIFEST = "manifest.json"
ARTEFACTS = (
    MANIFEST, "inputs.npz", LATENCY, "latency/*.parquet", "outputs.json", EXPORTED, "onnx/rewritten-[0-9]*.onnx",
    OPTIMIZED, "torch/trace.json.gz", "torch-2/trace.json.gz", "torch/compiled.json", "torch-2/compiled.json",
    "torch/flow.json", "torch-2/flow.json", "ort/placement.json", "ort-2/placement.json", PARTITIONED,
    "ort/profile.json.gz", "ort-2/profile.json.gz", "ort/device.json.gz", "report.html", "report.json",
    "verify/*.json", "verify/best.py",
)  # fmt: skip
"""Everything that a capture and its report can leave behind, as glob patterns."""

_UNFINISHED_REPORTS = (".report.html.*", ".report.json.*")
"""What a killed `attrib report` leaves; see `attrib.report.files.atomic_write`."""

DERIVED = (MANIFEST, "report.html", "report.json")
"""What no manifest lists."""


def found_artefacts(root: Path) -> list[Path]:
    """Artefacts of any capture and their unfinished forms; nothing else that lies there."""
    patterns = (*ARTEFACTS, *(pattern + PARTIAL for pattern in ARTEFACTS), *_UNFINISHED_REPORTS)
    found = (path for pattern in patterns for path in sorted(root.glob(pattern)))
    return [path for path in found if path.parent == root or not path.parent.is_symlink()]
