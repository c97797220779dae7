"""What `regions` gets of a capture with compiled partitions, in one small file.

`python tests/analysis/match/record_compiled.py TRACE_DIR -o tests/analysis/match/compiled/NAME.json.gz` records a capture.
"""

import argparse
import gzip
from pathlib import Path

import msgspec

from attrib.analysis.lineage.graph import Graph
from attrib.model.flow import Flow
from attrib.model.placement import Placement
from attrib.model.work import Work

FOLDER = Path(__file__).with_name("compiled")


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides' work, the chain of graphs, and what the capture said of them."""

    calls: tuple[Work, ...]
    nodes: tuple[Work, ...]
    graphs: tuple[Graph, ...]
    placement: Placement
    flow: Flow | None


def recorded(name: str) -> Recorded:
    """A recorded capture."""
    return msgspec.json.decode(gzip.decompress((FOLDER / f"{name}.json.gz").read_bytes()), type=Recorded)


def record(trace_dir: Path) -> Recorded:
    """The parts of a capture."""
    from attrib import load

    analysis = load(trace_dir)
    return Recorded(
        calls=analysis.partitions["torch"].work,
        nodes=analysis.partitions["onnxruntime"].work,
        graphs=tuple(analysis.evidence.graphs.values()),
        placement=analysis.evidence.placement or Placement(),
        flow=analysis.directory.flow("torch"),
    )


def main() -> None:
    """Record one capture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace_dir", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args()
    given.output.parent.mkdir(exist_ok=True)
    given.output.write_bytes(gzip.compress(msgspec.json.encode(record(given.trace_dir)), mtime=0))


if __name__ == "__main__":
    main()
