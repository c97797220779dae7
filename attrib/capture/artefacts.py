"""What the engines left in the temporary folder, as artefacts of the trace directory."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from attrib.capture.graph_files import strip_graph
from attrib.capture.kineto_merge import merge_kineto
from attrib.capture.writer import TraceDirectory, deterministic_gzip
from attrib.model.compiled import COMPILED_FILE
from attrib.model.flow import FLOW_FILE
from attrib.model.manifest import OutputDifference


def write_graph(directory: TraceDirectory, path: str, file: Path) -> None:
    """A graph without its weights; nothing where ONNX Runtime wrote none."""
    if file.exists():
        directory.write(path, strip_graph(file))


def write_profiles(
    directory: TraceDirectory, folder: str, blocks: Sequence[str], files: Sequence[str]
) -> None:
    """A side's profile: PyTorch wrote one file a profiled block, ONNX Runtime one for all."""
    if blocks:
        path = f"{folder}/trace.json.gz"
        with directory.create(path) as stream, deterministic_gzip(stream) as packed:
            merge_kineto([Path(block) for block in blocks], packed)
    for file in map(Path, files):
        if file.name in (COMPILED_FILE, FLOW_FILE):
            directory.write(f"{folder}/{file.name}", file.read_bytes())
        else:
            directory.write_gzip(f"{folder}/profile.json.gz", file)


def write_outputs(directory: TraceDirectory, rows: tuple[OutputDifference, ...]) -> None:
    """How far the outputs are apart."""
    directory.write("outputs.json", msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
