"""The view model: everything that a reader is shown, computed once from a document. No markup in here."""

from collections.abc import Iterable

import msgspec

from attrib.model.document import CauseRow, Check, Document, Finding, FindingState, Gap
from attrib.model.manifest import ROLES, Role
from attrib.report.view.breakdown import Breakdown, breakdowns_of
from attrib.report.view.experiment_row import ExperimentRow
from attrib.report.view.experiments import Experiments, experiments_of
from attrib.report.view.facts import Facts, machine_facts, method_facts, shape_of, side_facts, subtitle_of
from attrib.report.view.modules import (
    NODE_LIMIT,
    ModuleNode,
    module_tree,
    prune_tree,
)
from attrib.report.view.operators import OperatorLine, OperatorTable, operator_table, unique_anchors
from attrib.report.view.roofline import RooflineView, roofline_of
from attrib.report.view.strip import Strip, strip_of
from attrib.report.view.timeline import TimelineView, timeline_of
from attrib.report.view.unmatched import UnmatchedView, unmatched_of
from attrib.report.view.verdict import (
    REMAINDERS,
    Alert,
    Verdict,
    alerts_of,
    order_causes,
    side_names,
    verdict_of,
)
from attrib.report.view.waterfall import Waterfall, waterfall_of
from attrib.units import MICROSECONDS, MILLISECONDS, Unit, format_interval, format_ns, format_percent
from attrib.wording import counted


class Gain(msgspec.Struct, frozen=True):
    """What a finding is worth in time: the words before its figure, the figure, and the words after it."""

    before: str
    figure: str
    after: str

    @property
    def text(self) -> str:
        """All of it, e.g. `saves at most 3.45 ± 0.23 ms, not tried yet`."""
        return f"{self.before} {self.figure}{self.after}"


class FindingView(msgspec.Struct, frozen=True, kw_only=True):
    """A finding, its link fragment, its experiments, the lines that show its rows, and those rows' places in the table."""

    anchor: str
    finding: Finding
    lines: tuple[OperatorLine, ...]
    positions: tuple[int, ...]
    experiments: tuple[ExperimentRow, ...] = ()

    @property
    def tone(self) -> str:
        """Whether what it explains makes ONNX Runtime slower, faster, or neither."""
        explains = self.finding.explains_ns
        return "slower" if explains > 0 else "faster" if explains < 0 else "same"

    @property
    def gain(self) -> Gain | None:
        """The most that its fix can save, or else what it explains; None where it is about no time."""
        finding = self.finding
        if finding.saving_ns:
            untried = not self.experiments and finding.verified is None
            saving = format_interval(finding.saving_ns, finding.low_ns, finding.high_ns, sign=False)
            return Gain("saves at most", saving, ", not tried yet" if untried else "")
        if finding.explains_ns:
            return Gain("explains", format_ns(finding.explains_ns, sign=True), " of the difference")
        return None


class FoldedChecks(msgspec.Struct, frozen=True):
    """Checks with nothing to tell but that they were made: a mark, its tone, one sentence, and each one's id and text."""

    mark: str
    tone: str
    sentence: str
    items: tuple[tuple[str, str], ...]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What every rendering shows, in the order of the page.

    `causes` are without the remainders, which are no causes: `remainders`. `links` gives the link fragment of the line that
    shows a row, by the row's id; `cause_rows` that of the largest line of each cause.
    """

    title: str
    shape: str
    subtitle: tuple[str, ...]
    names: dict[Role, str]
    verdict: Verdict
    alerts: tuple[Alert, ...]
    gaps: tuple[Gap, ...]
    strip: Strip | None
    waterfall: Waterfall | None
    matched: str
    causes: tuple[CauseRow, ...]
    remainders: tuple[CauseRow, ...]
    cause_rows: dict[str, str]
    findings: tuple[FindingView, ...]
    experiments: Experiments | None
    provable: bool
    timeline: TimelineView | None
    modules: ModuleNode | None
    module_scale: int
    operators: OperatorTable
    line_scale: int
    links: dict[str, str]
    places: dict[str, int]
    roofline: RooflineView | None
    unmatched: UnmatchedView | None
    breakdowns: tuple[Breakdown, ...]
    passed: tuple[Finding, ...]
    checks: tuple[Check, ...]
    unknown_checks: tuple[Check, ...]
    folded_checks: tuple[FoldedChecks, ...]
    not_applicable: tuple[Finding, ...]
    errors: tuple[Finding, ...]
    sides: tuple[tuple[str, Facts], ...]
    machine: Facts
    packages: Facts
    method: Facts
    inputs: Facts
    command: str
    provider: str
    unit: Unit
    has_delta: bool


def view_of(document: Document) -> View:
    """Compute the view of a document; pure, and the same for the same document."""
    names, causes = side_names(document), order_causes(document)
    table = operator_table(document.ledger, unique_anchors(row.id for row in document.ledger))
    tree = module_tree(document.ledger, document.workload.model) if document.ledger else None
    tried = experiments_of(document)
    findings = failed_findings(document, table, tried.by_finding if tried else {})
    providers = {provider for row in document.ledger for provider in row.providers}
    sides = [(names[role], side_facts(document.sides[role])) for role in ROLES if role in document.sides]
    return View(
        title=document.workload.model,
        shape=shape_of(document),
        subtitle=subtitle_of(document),
        names=names,
        verdict=verdict_of(document),
        alerts=alerts_of(document),
        gaps=document.gaps,
        strip=strip_of(document),
        waterfall=waterfall_of(document),
        matched=describe_matched(document),
        causes=tuple(cause for cause in causes if cause.cause not in REMAINDERS),
        remainders=tuple(cause for cause in causes if cause.cause in REMAINDERS),
        cause_rows={line.row.cause: line.anchor for line in reversed(table.lines)},
        findings=findings,
        experiments=tried,
        provable=tried is None and document.protocol is not None and any_is_provable(findings),
        timeline=timeline_of(document),
        modules=prune_tree(tree, NODE_LIMIT) if tree else None,
        module_scale=max((abs(child.delta_ns) for child in tree.children), default=0) if tree else 0,
        operators=table,
        line_scale=max((abs(line.row.delta_ns) for line in table.lines), default=0),
        links={table.rows[place].row.id: line.anchor for line in table.lines for place in line.members},
        places={row.id: place for place, row in enumerate(document.ledger)},
        roofline=roofline_of(document),
        unmatched=unmatched_of(document),
        breakdowns=breakdowns_of(document, names),
        passed=findings_in(document, "passed"),
        checks=tuple(check for check in document.comparability if check.state == "passed"),
        unknown_checks=tuple(check for check in document.comparability if check.state == "unknown"),
        folded_checks=tuple(folded_checks(document)),
        not_applicable=findings_in(document, "not_applicable"),
        errors=findings_in(document, "error"),
        sides=tuple(sides),
        machine=machine_facts(document),
        packages=tuple(sorted(document.environment.packages.items())),
        method=method_facts(document),
        inputs=tuple((spec.name, str(spec.tensor)) for spec in document.workload.inputs),
        command=document.command,
        provider=providers.pop() if len(providers) == 1 else "",
        unit=table_unit(document),
        has_delta=document.latency.delta_ns is not None,
    )


def table_unit(document: Document) -> Unit:
    """The unit of every table: milliseconds where a step takes one, else microseconds."""
    estimates = (document.latency.torch_ns, document.latency.onnxruntime_ns)
    longest = max((e.median for e in estimates if e), default=0)
    longest = max(longest, *(max(t.steps_ns, default=0) for t in document.profiled.values()), 0)
    return MILLISECONDS if longest >= MILLISECONDS.size else MICROSECONDS


def findings_in(document: Document, state: FindingState) -> tuple[Finding, ...]:
    """The findings of one state, by id."""
    return tuple(sorted((f for f in document.findings if f.state == state), key=lambda f: f.id))


def folded_checks(document: Document) -> Iterable[FoldedChecks]:
    """What passed and what does not apply, each kind in one line."""
    kinds: tuple[tuple[FindingState, str, str, str, str], ...] = (
        ("passed", "✓", "ok", "rule found nothing to change", "rules found nothing to change"),
        ("not_applicable", "–", "", "rule does not apply here", "rules do not apply here"),
    )
    for state, mark, tone, one, several in kinds:
        if findings := findings_in(document, state):
            items = tuple((f.id, _told(f.title, f.reason or f.summary)) for f in findings)
            yield FoldedChecks(mark, tone, counted(len(items), one, several), items)
    if held := [check for check in document.comparability if check.state == "passed"]:
        sentence = counted(
            len(held), "condition of a fair comparison holds", "conditions of a fair comparison hold"
        )
        yield FoldedChecks("✓", "ok", sentence, tuple(("", _told(c.check, c.detail)) for c in held))


def _told(title: str, detail: str) -> str:
    return f"{title}: {detail}" if detail else title


def failed_findings(
    document: Document, table: OperatorTable, tried: dict[str, tuple[ExperimentRow, ...]]
) -> tuple[FindingView, ...]:
    """The failed rules: those whose fix was measured and saves first, then by what it can save, then by what they explain.

    Args:
        document: Where they are from.
        table: The operator table, for the rows that they name.
        tried: The experiments of each finding, by its id.
    """
    failed = sorted(
        findings_in(document, "failed"),
        key=lambda f: (not _proven(f), -f.saving_ns, -abs(f.explains_ns), f.id),
    )
    anchors = unique_anchors(finding.id for finding in failed)
    places = {item.row.id: position for position, item in enumerate(table.rows)}
    views = []
    for finding in failed:
        named = {places[row] for piece in finding.evidence for row in piece.rows if row in places}
        view = FindingView(
            anchor=anchors[finding.id],
            finding=finding,
            lines=tuple(line for line in table.lines if not named.isdisjoint(line.members)),
            positions=tuple(sorted(named)),
            experiments=tried.get(finding.id, ()),
        )
        views.append(view)
    return tuple(views)


def _proven(finding: Finding) -> bool:
    """Whether its fix was applied, saved time for certain, and left the outputs as they were."""
    tried = finding.verified
    return tried is not None and tried.low_ns > 0 and tried.outputs_equal


def any_is_provable(findings: Iterable[FindingView]) -> bool:
    """Whether `attrib verify` has an experiment for one of these findings."""
    from attrib.findings.registry import RULES  # numpy, which a report that is only drawn can do without

    proved = {rule.id for rule in RULES if rule.experiments}
    return any(item.finding.id in proved for item in findings)


def describe_matched(document: Document) -> str:
    """How much of either engine's time has a counterpart on the other side, and for how much the numbers prove it."""
    names, cover = side_names(document), document.coverage
    nodes = f"{format_percent(cover.ort_node_time_mapped)} of {names['onnxruntime']}'s node time"
    found = f"{nodes}, {format_percent(cover.torch_call_time_mapped)} of {names['torch']}'s call time"
    if cover.ort_node_time_verified is None or cover.torch_call_time_verified is None:
        return found
    proved = (format_percent(cover.ort_node_time_verified), format_percent(cover.torch_call_time_verified))
    return f"{found}; verified by values: {proved[0]} and {proved[1]}"
