"""What an interrupted capture left: what of it stays, and whether what runs here is what ran there."""

from dataclasses import dataclass
from datetime import UTC, datetime

from attrib.capture.session.latencies import Latencies
from attrib.capture.session.record import BROUGHT_BY_RUNTIMES, CREATED, Record
from attrib.capture.storage.writer import TraceWriter
from attrib.errors import AttribError
from attrib.model.latency import StepPhase
from attrib.model.manifest import LATENCY, LATENCY_PARTS, Environment, Manifest, Role
from attrib.version import __version__

AGAIN = "capture again with `attrib profile`, or resume it where it was begun"

_MACHINE = {
    "cpu": "processor",
    "logical_cores": "number of cores",
    "usable_cores": "number of usable cores",
    "memory_bytes": "memory",
    "system": "operating system",
    "accelerators": "accelerators",
    "cpu_flags": "instruction sets",
    "affinity": "processors that may be used",
    "cpu_quota": "quota of the processor",
    "python": "version of Python",
}
"""Fields of the environment that must be the same for rounds of two launches to be one measurement."""

_OF_A_SIDE = ("trace.json.gz", "profile.json.gz", "device.json.gz", "compiled.json", "flow.json")
"""What belongs to the process that recorded it."""


@dataclass(slots=True, eq=False)
class Checkpoint:
    """What an interrupted capture left, and the checks that a capture which goes on with it is the same.

    Attributes:
        directory: Open to be added to.
        manifest: As it was found.
        latencies: The steps that stay.
        profiled: The profiles are whole and stay, and with them the sides' records.
    """

    directory: TraceWriter
    manifest: Manifest
    latencies: Latencies
    profiled: bool = False

    def record(self) -> Record:
        """The record to go on with."""
        manifest = self.manifest
        return Record(
            created=datetime.strptime(manifest.created, CREATED).replace(tzinfo=UTC),
            workload=manifest.workload,
            loaded=bool(manifest.workload.inputs_sha256),
            sides=dict(manifest.sides),
            protocol=manifest.protocol,
            warnings=[*manifest.warnings],
            command=manifest.command,
            fingerprint=manifest.fingerprint,
            launches=[*manifest.launches],
        )

    def missing(self) -> dict[StepPhase, set[int]]:
        """Numbers of the rounds that are not measured, by phase; without a protocol none is."""
        protocol = self.manifest.protocol
        rounds = set(range(protocol.rounds)) if protocol else set()
        return {
            "plain": rounds - self.latencies.rounds("plain"),
            "profiled": set() if self.profiled else rounds,
        }

    @property
    def is_measured(self) -> bool:
        """Whether nothing is left to time."""
        return self.manifest.protocol is not None and not any(self.missing().values())

    def drop_what_is_measured_again(self, launch: int) -> None:
        """Keep the steps of whole rounds, and leave out the profiles that are recorded anew.

        The files that go are removed when the next manifest no longer lists them.

        Args:
            launch: Number of the launch that goes on; names the file that takes the steps over.
        """
        every, whole = len(self.latencies.rows), self.latencies.rounds("plain")
        self.latencies.keep(
            lambda row: {"warmup": True, "plain": row[2] in whole, "profiled": self.profiled}[row[1]]
        )
        files = self.directory.files
        if not self.profiled:
            own = {f"{side.folder}/{name}" for side in self.manifest.sides.values() for name in _OF_A_SIDE}
            self.directory.drop([name for name in files if name in own])
        if len(self.latencies.rows) == every and LATENCY not in files:
            return
        old = [name for name in files if name == LATENCY or name.startswith(LATENCY_PARTS)]
        if self.latencies.rows:
            with self.directory.create(f"{LATENCY_PARTS}{launch:03d}-000.parquet") as stream:
                self.latencies.write(stream)
        self.directory.drop(old)

    def check_environment(self, environment: Environment) -> None:
        """Check the machine and the versions, before anything is started.

        Raises:
            AttribError: They are not those of the capture.
        """
        if self.manifest.attrib_version != __version__:
            raise _mismatch("version of attrib", self.manifest.attrib_version, __version__)
        old = self.manifest.environment
        for name, meaning in _MACHINE.items():
            if getattr(old, name) != getattr(environment, name):
                raise _mismatch(meaning, getattr(old, name), getattr(environment, name))
        request = self.manifest.asked
        elsewhere = request is not None and request.ort_python
        for name in sorted(old.packages.keys() & environment.packages.keys()):
            if elsewhere and name.startswith(BROUGHT_BY_RUNTIMES):
                continue  # `check_engine` compares what really ran
            if old.packages[name] != environment.packages[name]:
                raise _mismatch(f"version of {name}", old.packages[name], environment.packages[name])

    def check_model(self, inputs_sha256: str, fingerprint: str) -> None:
        """Check that the model makes the same inputs, and has the same weights.

        Raises:
            AttribError: It does not.
        """
        expected = self.manifest.workload.inputs_sha256
        if expected and inputs_sha256 != expected:
            raise AttribError(
                "the model gets other inputs than in the capture, so it cannot be resumed",
                hint="name the model of the capture; a factory must make the same inputs each time: seed it",
            )
        if self.manifest.fingerprint and fingerprint != self.manifest.fingerprint:
            raise AttribError(
                "the model has other weights than in the capture, so it cannot be resumed",
                hint="name the model of the capture; a factory must make the same weights each time: seed it",
            )

    def check_engine(self, role: Role, version: str) -> None:
        """Check an engine's own word on its version.

        Raises:
            AttribError: It is another one.
        """
        side = self.manifest.sides.get(role)
        if side is not None and side.version and side.version != version:
            raise _mismatch(f"version of {side.package or side.engine}", side.version, version)

    def check_graph(self, path: str, data: bytes) -> None:
        """Check a graph against the one of that name in the directory; its bytes may differ, its nodes not.

        Raises:
            AttribError: It is another graph.
        """
        captured = (self.directory.root / path).read_bytes()
        if captured != data and _nodes(captured) != _nodes(data):
            raise AttribError(
                f"{path}: the graph that was made here is another one than in the capture, so it cannot be resumed",
                hint="capture again with `attrib profile`",
            )


def _nodes(data: bytes) -> list[tuple[str, ...]]:
    import onnx

    graph = onnx.load_model_from_string(data).graph
    return [(node.domain, node.op_type, *node.input, "", *node.output) for node in graph.node]


def _mismatch(what: str, captured: object, here: object) -> AttribError:
    return AttribError(
        f"the {what} is not that of the capture ({captured}, here {here}), so it cannot be resumed",
        hint=AGAIN,
    )
