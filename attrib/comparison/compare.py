"""`compare`: two documents, and what changed from one to the other."""

from collections.abc import Sequence

from attrib.analysis.attribution.ledger.sampling import RESAMPLES
from attrib.comparison.conditions import conditions_of, obstacles_of, remarks_of, steps_of
from attrib.comparison.figures import Judge, as_ratio, change_of, excludes_zero, quotient
from attrib.comparison.work import SharedWork, alike, shared_work, side_of
from attrib.findings.runner import DIFFERENT_SHARE
from attrib.model.diff import CauseChange, Diff, FindingChange, FindingKind, Snapshot, StepChange, WorkChange
from attrib.model.document import Cause, CauseRow, Document, Finding
from attrib.model.estimate import Delta
from attrib.model.manifest import ROLES
from attrib.version import __version__


def compare(before: Document, after: Document, *, names: tuple[str, str] = ("before", "after")) -> Diff:
    """Say what is not the same about two captures, and what that changed.

    Args:
        before: The first document, whose rows sum to its headline.
        after: The second one.
        names: What a reader calls them.
    """
    conditions = conditions_of(before, after)
    obstacles = obstacles_of(before, after, conditions)
    fair = not obstacles
    first, second = before.latency.delta_ns, after.latency.delta_ns
    delta = change_of(first, second) if first is not None and second is not None else None
    launches = min(RESAMPLES, *(document.latency.launches or 1 for document in (before, after)))
    step = max((its.median for document in (before, after) for its in steps_of(document).values()), default=0)
    judge = Judge(fair=fair, launches=launches, least=round(DIFFERENT_SHARE * step))
    return Diff(
        attrib_version=__version__,
        before=_snapshot(before, names[0]),
        after=_snapshot(after, names[1]),
        conditions=conditions,
        obstacles=obstacles,
        remarks=remarks_of(conditions),
        steps=tuple(_step_changes(before, after, fair=fair)),
        delta_ns=delta,
        speedup=quotient(after.latency.ratio, before.latency.ratio),
        delta_certain=fair and delta is not None and excludes_zero(delta),
        causes=_cause_changes(before, after, judge),
        work=_work_changes(before, after, judge),
        findings=_finding_changes(before.findings, after.findings, fair=fair),
    )


def _snapshot(document: Document, name: str) -> Snapshot:
    return Snapshot(
        name=name,
        model=document.workload.model,
        created=document.created,
        attrib_version=document.attrib_version,
        engines={role: side.engine for role, side in document.sides.items()},
        steps=steps_of(document),
        delta_ns=document.latency.delta_ns,
        ratio=document.latency.ratio,
    )


def _step_changes(before: Document, after: Document, *, fair: bool) -> list[StepChange]:
    found, one, other = [], steps_of(before), steps_of(after)
    for role in ROLES:
        if role in one and role in other:
            change = change_of(one[role], other[role])
            found.append(
                StepChange(
                    role=role,
                    before=one[role],
                    after=other[role],
                    change_ns=change,
                    ratio=quotient(as_ratio(one[role]), as_ratio(other[role])),
                    certain=fair and excludes_zero(change),
                )
            )
    return found


def _cause_changes(before: Document, after: Document, judge: Judge) -> tuple[CauseChange, ...]:
    """Every cause of either, the largest change first."""
    pairs: dict[Cause, list[CauseRow | None]] = {}
    for number, document in enumerate((before, after)):
        for row in document.causes:
            pairs.setdefault(row.cause, [None, None])[number] = row
    found = []
    for cause, rows in pairs.items():
        one, other = (_delta(row) for row in rows)
        change = change_of(one, other)
        found.append(
            CauseChange(
                cause=cause,
                before_ns=one.median,
                after_ns=other.median,
                change_ns=change,
                certain=judge.certain(change, len(pairs)),
            )
        )
    return tuple(sorted(found, key=lambda change: (-abs(change.change_ns.median), change.cause)))


def _delta(row: CauseRow | None) -> Delta:
    if row is None:
        return Delta(median=0, low=0, high=0)
    return Delta(median=row.delta_ns, low=row.low_ns, high=row.high_ns)


def _work_changes(before: Document, after: Document, judge: Judge) -> tuple[WorkChange, ...]:
    """All work, the largest change first; what is certain, and what became other nodes, before the rest."""
    groups = alike(shared_work(before.ledger, after.ledger))
    found = [_work_change(group, judge, len(groups)) for group in groups]
    return tuple(
        sorted(
            found, key=lambda work: (not work.certain, -abs(work.change_ns.median), work.module, work.calls)
        )
    )


def _work_change(group: Sequence[SharedWork], judge: Judge, tests: int) -> WorkChange:
    one, other = (side_of(group, after=after) for after in (False, True))
    change = change_of(*(_sum(group, after=after) for after in (False, True)))
    rewritten = one.nodes != other.nodes
    return WorkChange(
        module=group[0].module,
        calls=group[0].calls,
        count=len(group),
        before=one,
        after=other,
        change_ns=change,
        onnxruntime_ns=other.onnxruntime_ns - one.onnxruntime_ns,
        torch_ns=other.torch_ns - one.torch_ns,
        rewritten=rewritten,
        certain=judge.certain(change, tests, small=rewritten),
    )


def _sum(group: Sequence[SharedWork], *, after: bool) -> Delta:
    """The delta of rows together. The ends of their intervals are added: no less than 95 % lies between them."""
    rows = [row for work in group for row in (work.after if after else work.before)]
    return Delta(
        median=sum(row.delta_ns for row in rows),
        low=sum(row.low_ns for row in rows),
        high=sum(row.high_ns for row in rows),
    )


_KINDS: tuple[FindingKind, ...] = ("new", "gone", "changed", "kept")


def _finding_changes(
    before: Sequence[Finding], after: Sequence[Finding], *, fair: bool
) -> tuple[FindingChange, ...]:
    """Findings that failed in either capture: new ones, gone ones, those that save another amount, and the rest."""
    failed = [
        {finding.id: finding for finding in findings if finding.state == "failed"}
        for findings in (before, after)
    ]
    found = []
    for name in {**failed[1], **failed[0]}:
        one, other = (its.get(name) for its in failed)
        change = change_of(_saving(one), _saving(other)) if one is not None and other is not None else None
        other_saving = fair and change is not None and excludes_zero(change)
        kind: FindingKind = (
            "new" if one is None else "gone" if other is None else "changed" if other_saving else "kept"
        )
        found.append(
            FindingChange(
                id=name,
                kind=kind,
                before=one.title if one is not None else "",
                after=other.title if other is not None else "",
                saving_before_ns=one.saving_ns if one is not None else 0,
                saving_after_ns=other.saving_ns if other is not None else 0,
                change_ns=change,
            )
        )
    return tuple(
        sorted(
            found,
            key=lambda its: (_KINDS.index(its.kind), -max(its.saving_before_ns, its.saving_after_ns), its.id),
        )
    )


def _saving(finding: Finding | None) -> Delta:
    """What a fix saves; nothing of a finding that only explains."""
    if finding is None or not finding.saving_ns:
        return Delta(median=0, low=0, high=0)
    return Delta(median=finding.saving_ns, low=finding.low_ns, high=finding.high_ns)
