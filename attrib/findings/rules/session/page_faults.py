"""page-faults: an engine gets memory from the system anew in each step, page by page."""

from attrib.findings.evidence.ledger_queries import ids
from attrib.findings.evidence.page_faults import ARENA, KEEP_MEMORY, fault_cost, is_arena_off, why_not_kept
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import ENGINE_NAMES, ROLES, Role
from attrib.units import format_ns, format_percent


def audit(evidence: Evidence) -> RuleResult:
    """Price the page faults of each engine's plain steps, and hold them against its step."""
    known = {role: found for role in ROLES if (found := fault_cost(evidence, role)) is not None}
    if not known:
        return RuleResult(
            failed=False,
            lacks="needs the page faults of each step and what one costs: `attrib profile` counts and measures both",
        )
    wasting = {role: its for role, its in known.items() if its.is_much and its.is_sure}
    by_luck = {role: its for role, its in known.items() if its.is_much and not its.is_sure}
    rows = ids(row for row in evidence.ledger.rows if row.onnxruntime_ns > 0)
    slows = "onnxruntime" in wasting
    return RuleResult(
        failed=bool(wasting),
        rows=rows if slows else (),
        claim=wasting["onnxruntime"].cost_ns if slows else None,
        explains_delta=False,
        detail=" and ".join(
            f"{format_ns(its.cost_ns.median)} of a step of {ENGINE_NAMES[role]} ({format_percent(its.share)}),"
            f" {its.count:,.0f} of them"
            for role, its in wasting.items()
        ),
        summary=" ".join(
            f"A step of {ENGINE_NAMES[role]} takes {its.count:,.0f} page faults of {format_ns(round(its.price_ns))} each,"
            f" {format_percent(its.share)} of its time."
            for role, its in known.items()
        )
        + "".join(
            f" That is luck of a process: in its launches the steps of {ENGINE_NAMES[role]} took {its.told}, so that another"
            " capture may have none."
            for role, its in by_luck.items()
        ),
        evidence=tuple(
            EvidenceRow(
                text=f"page faults of a step of {ENGINE_NAMES[role]}, launch by launch: {its.told}",
                value_ns=its.cost_ns.median,
            )
            for role, its in wasting.items()
        ),
        fix=" ".join(dict.fromkeys(_fix(evidence, role) for role in wasting)),
    )


def _fix(evidence: Evidence, role: Role) -> str:
    """What keeps the memory; only what was not in force already."""
    if role == "onnxruntime" and is_arena_off(evidence.manifest):
        return (
            f"Let ONNX Runtime keep its memory: `attrib profile --session-option {ARENA}=1`; in your code"
            f" `session_options.{ARENA} = True`, which is its default."
        )
    if why := why_not_kept(evidence.manifest):
        return f"Let the allocator of the process keep what is freed; attrib knows no setting for that here: {why}."
    flags = " ".join(f"--env {name}={value}" for name, value in KEEP_MEMORY.items())
    words = " ".join(f"{name}={value}" for name, value in KEEP_MEMORY.items())
    return (
        f"Let the process keep what is freed: `attrib profile {flags}`; for your own, `export {words}` before it"
        " starts. It then stays as large as it once was."
    )


RULE = Rule(
    id="page-faults",
    passed="No engine surely spends its step on getting memory from the system",
    failed="Page faults take {}",
    example="4.3 ms of a step of PyTorch (51 %), 3,040 of them",
    about=(
        "A C library may give freed memory back to the system at once: glibc does so with results above a threshold that it"
        " moves by itself, and with what lies at the end of the heap. The next result then gets fresh pages, each by an"
        " interrupt in which the system finds and clears it. Whether that happens is luck of where memory lies in a process."
        " The rule multiplies the page faults of a plain step by what one costs on this machine, which the capture measures."
        " No profile says which call paid. What profiled steps did not have of these page faults is the cause `page_faults`;"
        " the rest is in the time of the calls that write a result for the first time. Where some launches have many and"
        " others none, no finding is made of them: `unstable-measurement` names them."
    ),
    cause=None,
    needs=("plain",),
    direction="any",
    audit=audit,
    tier="cause",
    experiments=("kept-memory", "torch-kept-memory", "arena-on"),
)
