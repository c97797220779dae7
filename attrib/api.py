"""The Python interface: `load` a trace directory, `profile` a model, and write the reports.

`load` needs numpy, onnx and pyarrow, and no engine; pandas is imported when a table is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib.analysis.pipeline import analyze
from attrib.errors import AttribError, UsageError
from attrib.model.execution_providers import CPU_PROVIDER
from attrib.traces.directory.trace_directory import open_directory

if TYPE_CHECKING:
    import pandas as pd

    from attrib.analysis.attribution.ledger.rows import Ledger
    from attrib.analysis.provenance import Chain
    from attrib.findings.protocol import Evidence
    from attrib.model.diff import Diff
    from attrib.model.document import CauseRow, Document, Finding
    from attrib.model.manifest import Role
    from attrib.model.provenance import RegionTrail
    from attrib.model.region import Region
    from attrib.model.work import Partition
    from attrib.report.json_report import VerdictText
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

    def _repr_html_(self) -> str:
        """The report for a notebook, in a frame that may run nothing, open nothing and reach nothing around it."""
        from html import escape

        from attrib.report.html.page import to_html

        page = escape(to_html(self.document, interactive=False).decode(), quote=True)
        title = escape(repr(self), quote=True)
        return f'<iframe sandbox="" title="{title}" srcdoc="{page}" width="100%" height="720" style="border:0"></iframe>'

    @property
    def verdict(self) -> VerdictText:
        """The first line of the report as data: its sentence, the ratio, the interval, and what speaks against it."""
        from attrib.report.json_report import verdict_text

        return verdict_text(self.document)

    @property
    def causes(self) -> tuple[CauseRow, ...]:
        """What each cause makes of the difference, the largest first."""
        return self.document.causes

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the rules found: the failed ones, those that save most first."""
        return tuple(finding for finding in self.document.findings if finding.state == "failed")

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

    @property
    def results(self) -> dict[str, tuple[str, ...]]:
        """Names of the results of each node of the last captured graph, by the node's name."""
        graphs = self.chain.graphs[-1:]
        return {node.name: node.outputs for graph in graphs for node in graph.nodes if node.name}

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


def diff(before: str | Path | Document, after: str | Path | Document) -> Diff:
    """Say what is not the same about two captures, and what that changed.

    Args:
        before: A trace directory, a `report.json`, or the document of an analysis.
        after: The same, for the second capture.

    Raises:
        AttribError: One of them cannot be read.
    """
    from attrib.comparison import compare

    (first, earlier), (second, later) = (
        (_label(Path(its)), document_at(Path(its))) if isinstance(its, str | Path) else (name, its)
        for its, name in ((before, "before"), (after, "after"))
    )
    return compare(earlier, later, names=(first, second))


def _label(path: Path) -> str:
    """What a reader calls a capture: the name of its directory, also where its report lies in there."""
    whole = path.resolve()
    return whole.parent.name if whole.name == "report.json" else whole.name


def document_at(path: Path) -> Document:
    """The document of a trace directory, or of a `report.json`.

    Raises:
        AttribError: It is neither, or cannot be used.
    """
    if path.is_dir():
        return load(path).document
    from attrib.report.json_report import from_json

    try:
        data = path.read_bytes()
    except OSError as error:
        hint = "name a trace directory, or a report.json"
        raise AttribError(f"{path}: cannot be read: {error.strerror}", hint=hint) from error
    return from_json(data)


def profile(
    model: Any = None, inputs: Any = None, *, output: str | Path | None = None, **options: Any
) -> Analysis:
    """Run a model in PyTorch and in ONNX Runtime, and analyze the difference.

    Args:
        model: A name, directory, hub id or `file.py:factory`, as for `attrib profile --model`; or a live module whose
            class can be imported.
        inputs: Example inputs of a live module: a mapping by name, or a sequence by position.
        output: The trace directory to write; by default `attrib-<model>-<date>-<time>`.
        options: Further fields of `attrib.capture.CaptureOptions`, e.g. `batch_size=8`; `sentence_transformer="DIR"` stands
            for a model.

    Raises:
        AttribError: Nothing could be measured, or an option is wrong.
    """
    from attrib.capture import CaptureOptions, Handover, capture

    named = model is None or isinstance(model, str | Path)
    if named != (inputs is None):
        raise UsageError("a model by name brings its own inputs, and a live module needs some")
    known: dict[str, Any] = {
        "output": Path(output) if output else None,
        "model": str(model or "") if named else type(model).__name__,
    }
    unknown = sorted(set(options) - set(CaptureOptions.__struct_fields__))
    if unknown:
        raise UsageError(f"unknown option {', '.join(unknown)}", hint="see attrib.capture.CaptureOptions")
    return load(
        capture(CaptureOptions(**options, **known), handover=None if named else Handover(model, inputs))
    )


def compare(
    module: Any, model: Any, inputs: Any, *, output: str | Path | None = None, **options: Any
) -> Analysis:
    """Run a live module and an ONNX model on the same inputs, and analyze the difference.

    Args:
        module: A PyTorch module whose class can be imported.
        model: An ONNX file, or an `onnxruntime.InferenceSession` that was made of one: a session like it is made, with its
            providers, threads and optimization level.
        inputs: Example inputs: a mapping by name, or a sequence by position.
        output: The trace directory to write.
        options: Further fields of `attrib.capture.CaptureOptions`; they come before what the session says.

    Raises:
        UsageError: The session was made of bytes.
        AttribError: Nothing could be measured.
    """
    settings = {"onnx": Path(model)} if isinstance(model, str | Path) else _settings_of(model)
    return profile(module, inputs, output=output, **{**settings, **options})


_LEVELS = {"ORT_DISABLE_ALL": "disabled", "ORT_ENABLE_BASIC": "basic", "ORT_ENABLE_EXTENDED": "extended"}


def _settings_of(session: Any) -> dict[str, Any]:
    """The options of a capture whose session is like this one."""
    path = getattr(session, "_model_path", None)
    if not path:
        raise UsageError(
            "the session was made of bytes, or is none", hint="write the model to a file and name that"
        )
    given = session.get_session_options()
    providers = tuple(session.get_providers())
    level = given.graph_optimization_level.name
    return {
        "onnx": Path(path),
        "providers": () if providers == (CPU_PROVIDER,) else providers,
        "threads": given.intra_op_num_threads or None,
        "opt_level": _LEVELS.get(level, "all"),
    }


def _columns(struct: Any) -> dict[str, Any]:
    import msgspec

    return {name: getattr(struct, name) for name in struct.__struct_fields__} | {
        f"match_{k}": v for k, v in msgspec.to_builtins(getattr(struct, "match", {})).items()
    }


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows).drop(columns=["match"], errors="ignore")
