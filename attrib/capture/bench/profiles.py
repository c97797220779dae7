"""What two builds of ONNX Runtime recorded while they were measured side by side: a profile a launch, and their graphs."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from attrib.capture.bench.sides import Plan, ReadySide
from attrib.capture.ort.profile_merge import LaunchProfile, merge_profiles
from attrib.capture.workers.messages import Finish, Open, Ready, Written
from attrib.model.latency import LatencyTable
from attrib.model.manifest import PROFILE_ZERO


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProfiledSide:
    """One of the two.

    Attributes:
        facts: Version, package and interpreter, as its process says them.
        profile: The profiles of all launches in one file.
        zero_ns: Epoch time of the zero of its times.
        optimized: The graph that it made, with the weights that it put into it; None where it cannot be saved.
    """

    facts: Ready
    profile: Path
    zero_ns: int
    optimized: Path | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ProfiledPair:
    """Both, with what is common to them. The files go with the bench.

    Attributes:
        sides: The baseline and the variant.
        latencies: Every timed step; a role only names the side, as in an A/A capture.
        graphs: The graph as exported and after each rewrite; both open the last.
    """

    sides: tuple[ProfiledSide, ProfiledSide]
    latencies: LatencyTable
    graphs: tuple[Path, ...]


def profiled_plan(plan: Plan) -> Plan:
    """The plan of ONNX Runtime, with a profiled session beside the plain one."""
    assert isinstance(plan.command, Open)  # noqa: S101  (only ONNX Runtime is profiled here)
    return replace(plan, command=msgspec.structs.replace(plan.command, profiled=True))


class ProfileKeeper:
    """Takes the profile of each launch of one side before its process ends."""

    def __init__(self, file: Path) -> None:
        """Prepare; the merged profile goes into `file`, those of the launches beside it."""
        self._file = file
        self._kept: list[LaunchProfile] = []

    def take(self, side: ReadySide) -> None:
        """Let the process write what it recorded; its profiled session is at its end.

        Raises:
            WorkerError: It could not.
        """
        (written,) = side.worker.ask(Finish(), Written).files
        kept = self._file.with_name(f"{self._file.stem}-{len(self._kept)}.json")
        shutil.move(written, kept)
        self._kept.append(LaunchProfile(kept, int(side.settings[PROFILE_ZERO])))

    def end(self, side: ReadySide) -> ProfiledSide:
        """Put the profiles of all launches together; `side` is as it was in the last one."""
        assert side.worker.facts is not None  # noqa: S101  (it was ready before it was measured)
        with self._file.open("wb") as stream:
            merge_profiles(self._kept, stream)
        return ProfiledSide(
            facts=side.worker.facts,
            profile=self._file,
            zero_ns=self._kept[0].zero_ns,
            optimized=side.optimized,
        )


def pair_of(
    keepers: Sequence[ProfileKeeper], sides: Sequence[ReadySide], latencies: LatencyTable
) -> ProfiledPair:
    """Put both sides together, as they are after the last launch."""
    baseline, variant = (keeper.end(side) for keeper, side in zip(keepers, sides, strict=True))
    made = sides[0].plan.made
    return ProfiledPair(
        sides=(baseline, variant), latencies=latencies, graphs=made.chain.files if made else ()
    )
