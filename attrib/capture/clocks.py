"""The check that the two traces of one side of ONNX Runtime tell the time alike, made when both are written."""

from pathlib import Path
from typing import NamedTuple

from attrib.traces.clocks import RESIDUAL_LIMIT_NS, join_clocks
from attrib.traces.kineto import read_kineto
from attrib.traces.ort_profile import read_ort_profile
from attrib.traces.runs import gpu_rows
from attrib.units import format_ns

CLOCK_RESIDUAL = "clock_residual_ns"
"""Key of a side's settings: how far a run reaches out of the range recorded around it, at worst."""

DEVICE_EVENTS = "device_events"
"""Key of a side's settings: how many kernels, copies and fills were recorded around ONNX Runtime's runs."""


class ClockCheck(NamedTuple):
    """What the side's settings get, and what the user should know."""

    settings: dict[str, str]
    warnings: tuple[str, ...] = ()


def check_clocks(profile: Path, device: Path, zero_ns: int) -> ClockCheck:
    """Compare the profile of ONNX Runtime with the device's trace that was recorded around its runs.

    Args:
        profile: The profile.
        device: The Kineto trace.
        zero_ns: Epoch time of the profile's zero.

    Raises:
        AttribError: One of them cannot be read.
    """
    table = read_kineto(device)
    join = join_clocks(read_ort_profile(profile), zero_ns, table)
    work = gpu_rows(table).size
    settings = {
        CLOCK_RESIDUAL: str(join.residual_ns),
        "clock_residual_median_ns": str(join.typical_ns),
        "recorded_runs": str(join.ranges.size),
        DEVICE_EVENTS: str(work),
    }
    warnings = []
    if not work:
        warnings.append(
            "no kernel of ONNX Runtime was recorded, so its nodes' times are times to enqueue: CUPTI may be in use by"
            " another tool or not permitted (NVreg_RestrictProfilingToAdminUsers=0)"
        )
    if join.unpaired or not join.ranges.size:
        warnings.append(
            f"{join.unpaired} of {join.unpaired + join.ranges.size} recorded runs are not in ONNX Runtime's profile:"
            " capture again with fewer --iterations"
        )
    elif not join.agrees:
        beyond = int((join.outside_ns > RESIDUAL_LIMIT_NS).sum())
        warnings.append(
            f"the clocks of ONNX Runtime's profile and the device's trace disagree by {format_ns(join.residual_ns)} in"
            f" {beyond} of {join.ranges.size} runs, so kernels may be laid to the wrong node: capture again on a quiet"
            " machine"
        )
    return ClockCheck(settings, tuple(warnings))
