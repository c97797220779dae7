"""What the engines left in the temporary folder, as artifacts of the trace directory."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from attrib.capture.ort.placement import differing_names
from attrib.capture.ort.profile_merge import LaunchProfile, merge_profiles
from attrib.capture.pytorch.kineto_merge import merge_kineto
from attrib.capture.storage.writer import TraceWriter, deterministic_gzip
from attrib.capture.workers.messages import Opened
from attrib.model.manifest import PARTITIONED, OutputDifference, Role
from attrib.model.placement import PLACEMENT_FILE, Placement
from attrib.rewrite.files import load_graph, strip_graph
from attrib.scrub import scrub


def write_placement(directory: TraceWriter, folder: str, opened: Opened) -> None:
    """Write which provider took which nodes, and the graph that these nodes are of; or why that is not known."""
    path = f"{folder}/{PLACEMENT_FILE}"
    if not opened.placement:
        if opened.no_placement:
            directory.note_missing(path, scrub(opened.no_placement))
        return
    placed = Path(opened.placement).read_bytes()
    directory.write(path, placed)
    if opened.partitioned and PARTITIONED not in directory.files:
        file = Path(opened.partitioned)
        graph = {str(node.name): str(node.op_type) for node in load_graph(file).graph.node}
        # A graph is of use only where each node of the placement is in it by its name.
        if others := differing_names(msgspec.json.decode(placed, type=Placement), graph):
            reason = f"{others} nodes of the graph that was partitioned have other names in it"
            directory.note_missing(PARTITIONED, reason)
        else:
            directory.write(PARTITIONED, strip_graph(file))
    elif opened.no_partitioned:
        directory.note_missing(PARTITIONED, scrub(opened.no_partitioned))


DEVICE_TRACE = "device.json.gz"
"""What Kineto recorded around ONNX Runtime's runs."""


class SideProfiles(NamedTuple):
    """What the processes of one side recorded.

    Attributes:
        engine: Which engine they ran.
        blocks: Kineto's files, one a profiled block.
        profiles: ONNX Runtime's, one a launch.
        others: What else is known of the model that ran: files that are named as in the trace directory.
    """

    engine: Role
    blocks: Sequence[str]
    profiles: Sequence[LaunchProfile]
    others: Sequence[Path] = ()


def write_profiles(directory: TraceWriter, folder: str, recorded: SideProfiles) -> None:
    """Write a side's profiles, those of all blocks and launches as one."""
    if recorded.blocks:
        path = f"{folder}/{'trace.json.gz' if recorded.engine == 'torch' else DEVICE_TRACE}"
        with directory.create(path) as stream, deterministic_gzip(stream) as packed:
            merge_kineto([Path(block) for block in recorded.blocks], packed)
    path = f"{folder}/profile.json.gz"
    if len(recorded.profiles) == 1:
        directory.write_gzip(path, recorded.profiles[0].file)
    elif recorded.profiles:
        with directory.create(path) as stream, deterministic_gzip(stream) as packed:
            merge_profiles(recorded.profiles, packed)
    for file in recorded.others:
        directory.write(f"{folder}/{file.name}", file.read_bytes())


def write_outputs(directory: TraceWriter, rows: tuple[OutputDifference, ...]) -> None:
    """Write how far the outputs are apart."""
    directory.write("outputs.json", msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")
