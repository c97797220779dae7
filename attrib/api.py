"""The Python interface: `load` a trace directory, `profile` a model, and write the reports.

`load` needs numpy, onnx and pyarrow, and no engine; pandas is imported when a table is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib.analysis.pipeline import analyze
from attrib.errors import UsageError
from attrib.traces.directory.trace_directory import open_directory

if TYPE_CHECKING:
    import pandas as pd

    from attrib.analysis.attribution.ledger.rows import Ledger
    from attrib.analysis.provenance import Chain
    from attrib.findings.protocol import Evidence
    from attrib.model.document import Document
    from attrib.model.manifest import Role
    from attrib.model.provenance import RegionTrail
    from attrib.model.region import Region
    from attrib.model.work import Partition
    from attrib.report.view.explain import Explanation
    from attrib.traces.directory.trace_directory import TraceDirectory
    from attrib.traces.io.source import Progress


@dataclass(frozen=True, eq=False, repr=False)
class Analysis:
    """Everything that attrib knows about one trace directory.

    Attributes:
        directory: Where it comes from.
        partitions: The profiled steps of the sides that there are.
        regions: Calls and nodes that compute the same tensors.
        ledger_rows: The ledger with its intervals.
        chain: The captured graphs and what turned each into the next.
        trails: What is behind each region, whole; the document holds the same with long lists cut.
        evidence: What the rules read.
        document: The report as data.
    """

    directory: TraceDirectory
    partitions: dict[Role, Partition]
    regions: tuple[Region, ...]
    ledger_rows: Ledger
    chain: Chain
    trails: tuple[RegionTrail, ...]
    evidence: Evidence
    document: Document

    def __repr__(self) -> str:
        from attrib.report.view.text import one_line
        from attrib.report.view.verdict import verdict_of

        verdict = verdict_of(self.document)
        return f"<attrib.Analysis of {self.directory.root.name}: {one_line(verdict.sentence)} ({verdict.figures})>"

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """The ledger, one row a region and cause; durations in nanoseconds."""
        return _frame([_columns(row) for row in self.ledger_rows.rows])

    @cached_property
    def nodes(self) -> pd.DataFrame:
        """Nodes that ONNX Runtime executed, with the mean profiled time in nanoseconds."""
        return self._work("onnxruntime")

    @cached_property
    def calls(self) -> pd.DataFrame:
        """PyTorch calls, with the mean profiled time in nanoseconds."""
        return self._work("torch")

    def explain(self, name: str) -> Explanation:
        """What is behind one name: a node, call, module, value, fx node, region or ledger row.

        Raises:
            UsageError: Nothing has that name, or several things do.
        """
        from attrib.report.view.explain import Explainer

        return Explainer(
            self.regions,
            self.trails,
            self.chain,
            self.ledger_rows,
            findings=self.document.findings,
            experiments=self.document.experiments,
        ).explain(name)

    def _work(self, role: Role) -> pd.DataFrame:
        partition = self.partitions.get(role)
        if partition is None:
            return _frame([])
        region_of = {i: r.id for r in self.regions for i in (r.calls if role == "torch" else r.nodes)}
        means = partition.work_ns.mean(axis=1)
        return _frame([
            _columns(work) | {"region": region_of[work.id], "mean_ns": float(mean)}
            for work, mean in zip(partition.work, means, strict=True)
        ])  # fmt: skip

    def save(self, path: str | Path, *, static: bool = False) -> Path:
        """Write the report; the format follows the suffix: `.html`, `.json` or `.md`."""
        from attrib.report.files import write

        return write(self.document, Path(path), static=static)


def load(trace_dir: str | Path, *, lenient: bool = False, progress: Progress | None = None) -> Analysis:
    """Analyze a trace directory.

    Args:
        trace_dir: What `attrib profile` wrote, or a directory with a Kineto trace and an ORT profile.
        lenient: Recover every whole event of a damaged trace; the document's `damage` says what was lost.
        progress: Told the bytes read so far of each trace, and how many it has.

    Raises:
        AttribError: The directory cannot be used; the message says why.
    """
    state = analyze(open_directory(Path(trace_dir), lenient=lenient, progress=progress))
    return Analysis(
        state.directory,
        state.partitions,
        state.regions,
        state.ledger,
        state.chain,
        state.trails,
        state.evidence,
        state.document,
    )


def profile(model: Any, inputs: Any = None, *, output: str | Path | None = None, **options: Any) -> Analysis:
    """Run a model in PyTorch and in ONNX Runtime, and analyze the difference.

    Args:
        model: A name, directory, hub id or `file.py:factory`, as for `attrib profile --model`; or a live module whose
            class can be imported.
        inputs: Example inputs of a live module: a mapping by name, or a sequence by position.
        output: The trace directory to write; by default `attrib-<model>-<date>-<time>`.
        options: Further fields of `attrib.capture.CaptureOptions`, e.g. `batch_size=8`.

    Raises:
        AttribError: Nothing could be measured, or an option is wrong.
    """
    from attrib.capture import CaptureOptions, Handover, capture

    named = isinstance(model, str | Path)
    if named != (inputs is None):
        raise UsageError("a model by name brings its own inputs, and a live module needs some")
    known: dict[str, Any] = {
        "output": Path(output) if output else None,
        "model": str(model) if named else type(model).__name__,
    }
    unknown = sorted(set(options) - set(CaptureOptions.__struct_fields__))
    if unknown:
        raise UsageError(f"unknown option {', '.join(unknown)}", hint="see attrib.capture.CaptureOptions")
    return load(
        capture(CaptureOptions(**options, **known), handover=None if named else Handover(model, inputs))
    )


def _columns(struct: Any) -> dict[str, Any]:
    import msgspec

    return {name: getattr(struct, name) for name in struct.__struct_fields__} | {
        f"match_{k}": v for k, v in msgspec.to_builtins(getattr(struct, "match", {})).items()
    }


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows).drop(columns=["match"], errors="ignore")
