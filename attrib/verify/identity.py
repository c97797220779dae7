"""Checks that what attrib is about to measure is what was captured: the same inputs, the same graph."""

from pathlib import Path

from attrib.capture.session.request_from_manifest import CAPTURE_AGAIN, OWN_INPUTS
from attrib.errors import AttribError
from attrib.model.manifest import Manifest


def check_inputs(manifest: Manifest, sha256: str) -> None:
    """Check that the model makes the inputs that the capture had.

    Raises:
        AttribError: It makes others; the message says which option is likely missing.
    """
    workload = manifest.workload
    if not workload.inputs_sha256:
        raise AttribError("manifest.json holds no hash of the inputs", hint=CAPTURE_AGAIN)
    if sha256 == workload.inputs_sha256:
        return
    if workload.text:
        hint = "--text with the sentences of the capture, in the same order"
    elif workload.source in OWN_INPUTS:
        hint = "--model with the factory of the capture; it must make the same inputs each time: seed it"
    elif workload.source != "built-in":
        hint = "--model with the directory of the capture"
    else:
        hint = "the versions of torch, transformers and numpy may have changed: " + CAPTURE_AGAIN
    raise AttribError(
        "the model gets other inputs than in the capture, so the two cannot be compared", hint=hint
    )


def check_graph(captured: bytes | None, file: Path) -> None:
    """Check that the user's ONNX file holds the graph that was captured.

    Args:
        captured: The first graph of the trace directory; None where it holds none.
        file: What the user named.

    Raises:
        AttribError: It is another graph.
    """
    from attrib.analysis.lineage.reader import graph_from_bytes
    from attrib.capture.export.user_graph import check_user_graph
    from attrib.rewrite.files import strip_graph

    if captured is None:
        return
    check_user_graph(file)
    ours = graph_from_bytes(captured, "onnx/exported.onnx")
    theirs = graph_from_bytes(strip_graph(file), file.name)
    shapes = [[(n.op, n.inputs, n.outputs) for n in graph.nodes] for graph in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise AttribError(
            f"{file.name} holds another graph than the one that was captured",
            hint="--onnx with the file of the capture",
        )
