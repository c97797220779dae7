"""The two sides of a capture: which engine runs on each, and what the manifest says of them as they go on."""

from typing import Any

import msgspec

from attrib.capture.session.commands import new_side
from attrib.capture.session.measure import BlockRunner
from attrib.capture.session.record import Record
from attrib.errors import AttribError
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import ENGINE_NAMES, ROLES, Overhead, Role
from attrib.model.roofline import Peaks
from attrib.scrub import scrub


class Sides:
    """Notes in the record how both sides go on.

    Attributes:
        engines: Role -> engine: themselves, or one engine on both sides of an A/A capture.
        failures: Why a side was given up.
    """

    def __init__(self, options: CaptureOptions, threads: int, record: Record) -> None:
        self._options = options
        self._threads = threads
        self._record = record
        self.engines: dict[Role, Role] = {role: options.against_itself or role for role in ROLES}
        self.failures: dict[Role, AttribError] = {}

    def roles_of(self, engine: Role) -> list[Role]:
        """The sides on which an engine runs."""
        return [role for role, own in self.engines.items() if own == engine]

    def title(self, role: Role) -> str:
        """What a reader calls the engine of a side."""
        return ENGINE_NAMES[self.engines[role]]

    def folder(self, role: Role) -> str:
        """Where a side's traces go: `torch` and `ort`, or `torch` and `torch-2`."""
        name = "torch" if self.engines[role] == "torch" else "ort"
        return f"{name}-2" if self._options.against_itself and role == ROLES[1] else name

    def begin(self, role: Role, **facts: Any) -> None:
        """Begin the record of a side that has not run yet; `facts` are fields of it."""
        side = new_side(self._options, self.engines[role], self.folder(role), self._threads)
        self._record.sides[role] = msgspec.structs.replace(side, **facts)

    def note_measured(self, runner: BlockRunner) -> None:
        """Note how a side was warmed up, and how busy it was while the other one ran."""
        share = round(runner.idle_cpu_share, 4)
        self._note(runner.role, warmup=runner.warmup, warmed_up=runner.warmed_up, idle_cpu_share=share)

    def note_overhead(self, role: Role, overhead: Overhead) -> None:
        """Note what the profiler costs per event."""
        self._note(role, overhead=overhead)

    def note_peaks(self, role: Role, peaks: Peaks) -> None:
        """Note what the engine reached of what the machine can do."""
        self._note(role, peaks=peaks)

    def note_settings(self, role: Role, settings: dict[str, str]) -> None:
        """Note settings that were only known at the end."""
        self._note(role, settings=self._record.sides[role].settings | settings)

    def complete(self, role: Role) -> None:
        """Note that a side has everything."""
        self._note(role, state="complete")

    def fail(self, role: Role, error: AttribError) -> None:
        """Give a side up, and note why."""
        self.failures[role] = error
        if role not in self._record.sides:
            self.begin(role)
        self._note(role, state="failed", error=scrub(str(error)))

    def _note(self, role: Role, **facts: Any) -> None:
        self._record.sides[role] = msgspec.structs.replace(self._record.sides[role], **facts)
