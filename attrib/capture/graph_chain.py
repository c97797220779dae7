"""The graphs of one capture: as exported or as the user brought it, after each rewrite, up to the one that is opened."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attrib.capture.commands import weights_precision
from attrib.capture.graph_files import shapes_of
from attrib.capture.messages import Exported, Optimized
from attrib.capture.options import CaptureOptions
from attrib.capture.rewrites import lowest_precision
from attrib.model.manifest import Rewrite


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphChain:
    """What ONNX Runtime opens, and how it came to be.

    Attributes:
        exporter: Who exported it; `file` for the user's own.
        opset: Opset of the first graph.
        files: One file a graph, weights beside it; ONNX Runtime opens the last.
        rewrites: What led from each file to the next.
    """

    exporter: str
    opset: int
    files: tuple[Path, ...]
    rewrites: tuple[Rewrite, ...] = ()

    def rewritten(self, optimized: Optimized) -> "GraphChain":
        """The chain with the graphs that the rewrites wrote."""
        files = (*self.files, *map(Path, optimized.models))
        return replace(self, files=files, rewrites=optimized.rewrites)

    def side(self, options: CaptureOptions) -> dict[str, Any]:
        """What the manifest says of it on the side that runs it, `settings` to be merged with the engine's."""
        return {
            "exporter": self.exporter,
            "opset": self.opset,
            "rewrites": self.rewrites,
            "settings": {
                "precision": lowest_precision(weights_precision(options), options.optimize),
                "shapes": shapes_of(self.files[-1]),
            },
        }


def exported_chain(options: CaptureOptions, exported: Exported) -> GraphChain:
    """The chain that begins with an export."""
    return GraphChain(exporter=options.exporter, opset=exported.opset, files=(Path(exported.model),))


def user_chain(file: Path, opset: int) -> GraphChain:
    """The chain that begins with the user's file."""
    return GraphChain(exporter="file", opset=opset, files=(file,))
