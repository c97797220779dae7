"""thread-mismatch: the engines compute with different threads, or with more than there are cores."""

from attrib.findings.evidence.kernels import is_product
from attrib.findings.evidence.ledger_queries import ids, rows_holding
from attrib.findings.evidence.stability import threads_by_role
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.estimate import Delta
from attrib.model.manifest import ENGINE_NAMES, Manifest, Role
from attrib.model.work import Work

PARALLEL_ELEMENTS = 32_768
"""Smaller tensors are computed by one thread: the grain size of PyTorch's loops (`at::internal::GRAIN_SIZE`)."""

SCALING, LEAST_SCALING = 0.9, 0.5
"""What each further thread adds, in threads: of large matrix products on cores of their own, and where caches, memory or
hardware threads of one core are shared."""


def audit(evidence: Evidence) -> RuleResult:
    """Compare the threads of both sides with each other and with the machine; weigh what the missing ones cost."""
    manifest = evidence.manifest
    threads = threads_by_role(manifest) if manifest else {}
    if manifest is None or not threads or len(threads) < len(manifest.sides):
        return RuleResult(
            failed=False, lacks="needs the threads of both engines: `attrib profile` notes them"
        )
    wrong = problems(manifest)
    cores = manifest.environment.usable_cores
    fitting = max(int(cores), 1) if cores else min(threads.values())
    counts = ", ".join(f"{ENGINE_NAMES[role]} {count}" for role, count in threads.items())
    summary = f"Intra-op threads: {counts}" + (f"; usable cores: {cores:g}." if cores else ".")
    works, claim = missing_threads(evidence, manifest)
    price = ""
    if claim is not None:
        name = ENGINE_NAMES["onnxruntime" if claim.median > 0 else "torch"]
        price = f"The threads that {name} lacks cost it an estimated {{}}: it looks slower by that much."
    return RuleResult(
        failed=bool(wrong),
        rows=ids(rows_holding(evidence, works)),
        claim=claim,
        detail="; ".join(wrong),
        summary=summary,
        price=price,
        evidence=tuple(EvidenceRow(text=text) for text in wrong),
        fix=f"Record again with `attrib profile --threads {fitting}`: it sets both engines. Neither the model"
        " (`torch.set_num_threads`) nor a session option (`intra_op_num_threads`) may change it afterward.",
    )


def problems(manifest: Manifest) -> tuple[str, ...]:
    """What is wrong with the threads, one phrase each."""
    threads = {ENGINE_NAMES[role]: count for role, count in threads_by_role(manifest).items()}
    found = []
    if len(set(threads.values())) > 1:
        found.append(
            "the engines use " + " and ".join(f"{count} ({name})" for name, count in threads.items())
        )
    cores = manifest.environment.usable_cores
    if cores and threads and max(threads.values()) > max(cores, 1):
        found.append(f"{max(threads.values())} threads share {cores:g} usable cores")
    return tuple(found)


def missing_threads(evidence: Evidence, manifest: Manifest) -> tuple[tuple[str, ...], Delta | None]:
    """Work of the engine with fewer threads that more of them would speed up, and what their absence adds to the delta.

    Amdahl: that work would take 1/S of its time, S = 1 + SCALING x (threads / fewer threads - 1).
    """
    threads = threads_by_role(manifest)
    cores = manifest.environment.usable_cores or max(threads.values())
    fewer, more = min(threads.values()), min(max(threads.values()), max(int(cores), 1))
    role: Role = min(threads, key=lambda role: threads[role])
    if fewer >= more:
        return (), None
    works = tuple(work.id for work in evidence.work.get(role, {}).values() if is_parallel(work))
    spent = evidence.ledger.work(role, works)
    if not spent.median:
        return (), None
    low, middle, high = (
        round(value * (1 - 1 / (1 + scaling * (more / fewer - 1))))
        for value, scaling in ((spent.low, LEAST_SCALING), (spent.median, SCALING), (spent.high, 1.0))
    )
    if role == "onnxruntime":
        return works, Delta(median=middle, low=low, high=high)
    return works, Delta(median=-middle, low=-high, high=-low)


def is_parallel(work: Work) -> bool:
    """Whether an engine splits this work between threads: matrix products, and whatever is large."""
    elements = max((tensor.elements for tensor in (*work.inputs, *work.outputs)), default=0)
    return is_product(work) or elements > PARALLEL_ELEMENTS


RULE = Rule(
    id="thread-mismatch",
    passed="Both engines use the same threads, and the machine has the cores",
    failed="The thread counts are not fair: {}",
    example="4 threads share 2 usable cores",
    about=(
        "The engines size their pools differently: ONNX Runtime from the host's cores even in a container that may use two"
        " of them, PyTorch from OMP_NUM_THREADS. With unequal pools the comparison is of thread counts; with more threads"
        " than usable cores both engines wait for their own threads. The rule reads the manifest: threads of either side,"
        " affinity and cgroup quota. What the missing threads of one engine cost is estimated from the time of its large"
        " operators (Amdahl's law, with room for imperfect scaling)."
    ),
    cause=None,
    needs=("manifest",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C15",),
    experiments=("threads", "torch-threads"),
)
