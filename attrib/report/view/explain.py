"""What is behind one name: its regions with their figures, rows and trails."""

from collections.abc import Sequence

import msgspec

from attrib.analysis.attribution.ledger.rows import Ledger
from attrib.analysis.provenance import STAGE_NAMES, Chain
from attrib.model.document import CauseRow, Finding, LedgerRow
from attrib.model.experiment import ExperimentResult
from attrib.model.manifest import OPTIMIZED
from attrib.model.provenance import RegionTrail, TrailStage
from attrib.model.region import Match, Region
from attrib.report.view.names import ROOT, NameKind, Names, NameTarget, find, names_of
from attrib.report.view.operators import sum_rows

_NO_ROW = Match(method="none", confidence=0.0)
_NOTHING_LEFT = "ONNX Runtime ran no node for it, and no PyTorch call was linked to it"
_UNTRACED = "the graph that ran was not recorded: what became of this node is not known"


class ExplainedRegion(msgspec.Struct, frozen=True, kw_only=True):
    """One region: its sums with the interval of the difference, its match, its ledger rows, and its whole trail."""

    torch_ns: int = 0
    onnxruntime_ns: int = 0
    delta_ns: int = 0
    low_ns: int = 0
    high_ns: int = 0
    match: Match = _NO_ROW
    rows: tuple[LedgerRow, ...] = ()
    trail: RegionTrail


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one query.

    Attributes:
        query: What was asked for.
        kind: What it turned out to be.
        name: Its full name.
        torch_ns: Sum over the regions.
        onnxruntime_ns: Likewise.
        delta_ns: Likewise, with the interval of the sum in `low_ns` and `high_ns`.
        causes: The same by cause.
        shared: Of a module: regions that hold work of other modules, too.
        regions: The largest difference first.
        findings: Failed rules that name one of the rows.
        experiments: What was tried for these findings, or predicted from one of the rows; without its script.
    """

    query: str
    kind: NameKind
    name: str
    torch_ns: int = 0
    onnxruntime_ns: int = 0
    delta_ns: int = 0
    low_ns: int = 0
    high_ns: int = 0
    causes: tuple[CauseRow, ...] = ()
    shared: int = 0
    regions: tuple[ExplainedRegion, ...] = ()
    findings: tuple[Finding, ...] = ()
    experiments: tuple[ExperimentResult, ...] = ()


class Explainer:
    """Answers queries about one trace directory.

    Args:
        regions: Its regions.
        trails: Their trails, in the same order.
        chain: Its graphs.
        ledger: Its ledger.
        findings: What the rules said of it.
        experiments: What was tried on it.
    """

    def __init__(
        self,
        regions: Sequence[Region],
        trails: Sequence[RegionTrail],
        chain: Chain,
        ledger: Ledger,
        *,
        findings: Sequence[Finding] = (),
        experiments: Sequence[ExperimentResult] = (),
    ) -> None:
        self.names: Names = names_of(regions, trails, chain, ledger.rows)
        self._chain, self._ledger = chain, ledger
        self._findings = [finding for finding in findings if finding.state == "failed"]
        self._experiments = experiments
        self._trails = {trail.id: trail for trail in trails}
        self._rows: dict[str, list[LedgerRow]] = {}
        for row in ledger.rows:
            self._rows.setdefault(row.region, []).append(row)

    def explain(self, query: str) -> Explanation:
        """Find what is behind a name.

        Raises:
            UsageError: Nothing has that name, or several things do.
        """
        kind, name = find(query, self.names)
        found = sorted(
            (self._region(target) for target in self.names[kind][name]),
            key=lambda region: (-abs(region.delta_ns), region.trail.id),
        )
        rows = [row for region in found for row in region.rows]
        ids = {row.id for row in rows}
        sums, total = sum_rows(rows), self._ledger.total(row.id for row in rows)
        findings = tuple(
            finding for finding in self._findings
            if any(row in ids for piece in finding.evidence for row in piece.rows)
        )  # fmt: skip
        named = {finding.id for finding in findings}
        experiments = tuple(
            msgspec.structs.replace(result, snippet="")
            for result in self._experiments
            if named.intersection(result.findings)
            or (result.predicted is not None and ids.intersection(result.predicted.rows))
        )
        shared = 0
        if (
            kind == "module" and name != ROOT
        ):  # how many regions hold calls of modules that are not inside this one
            inside = f"{name}."
            shared = sum(
                any(call.module != name and not call.module.startswith(inside) for call in region.trail.calls)
                for region in found
            )
        return Explanation(
            query=query,
            kind=kind,
            name=name,
            torch_ns=sums.torch_ns,
            onnxruntime_ns=sums.onnxruntime_ns,
            delta_ns=total.median,
            low_ns=total.low,
            high_ns=total.high,
            causes=self._ledger.causes(rows),
            shared=shared,
            regions=tuple(found),
            findings=findings,
            experiments=experiments,
        )

    def _region(self, target: NameTarget) -> ExplainedRegion:
        if not target.region:
            return ExplainedRegion(trail=trail_of_vanished(self._chain, target))
        rows = self._rows.get(target.region, [])
        sums, total = sum_rows(rows), self._ledger.total(row.id for row in rows)
        return ExplainedRegion(
            torch_ns=sums.torch_ns,
            onnxruntime_ns=sums.onnxruntime_ns,
            delta_ns=total.median,
            low_ns=total.low,
            high_ns=total.high,
            match=rows[0].match if rows else _NO_ROW,
            rows=tuple(rows),
            trail=self._trails.get(target.region, RegionTrail(id=target.region)),
        )


def trail_of_vanished(chain: Chain, target: NameTarget) -> RegionTrail:
    """The trail of a node that is in no region: what the rewrites made of it."""
    lineage = chain.lineage(target.graph, target.node)
    stages = tuple(
        TrailStage(name=name, nodes=tuple(chain.nodes(k, positions)))
        for k, (name, positions) in enumerate(zip(chain.names, lineage, strict=True))
        if positions
    )
    node = chain.graphs[target.graph].nodes[target.node]
    return RegionTrail(
        id="",
        module=node.scope or "",
        origin="onnxruntime",
        reason=_NOTHING_LEFT if chain.names[-1] == STAGE_NAMES[OPTIMIZED] else _UNTRACED,
        stages=stages,
        steps=tuple(chain.steps_of(lineage)),
    )
