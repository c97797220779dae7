"""thread-mismatch: the engines compute with different threads, or with more than there are cores."""

from attrib.findings.protocol import Evidence, Rule, Verdict
from attrib.model.document import EvidenceRow
from attrib.model.manifest import Manifest


def audit(evidence: Evidence) -> Verdict:
    """Compare the threads of both sides with each other and with the machine."""
    manifest = evidence.manifest
    if manifest is None or not all(side.threads for side in manifest.sides.values()):
        return Verdict(failed=False, summary="The manifest does not say how many threads both engines used.")
    wrong = problems(manifest)
    counts = ", ".join(f"{side.engine} {side.threads}" for side in manifest.sides.values())
    cores = manifest.environment.usable_cores
    fitting = max(int(cores), 1) if cores else min(side.threads for side in manifest.sides.values())
    return Verdict(
        failed=bool(wrong),
        detail="; ".join(wrong),
        summary=f"Intra-op threads: {counts}; usable cores: {cores:g}."
        if cores
        else f"Intra-op threads: {counts}.",
        evidence=tuple(EvidenceRow(text=text) for text in wrong),
        fix=f"Record again with `attrib profile --threads {fitting}`: it sets both engines.",
    )


def problems(manifest: Manifest) -> tuple[str, ...]:
    """What is wrong with the threads, one phrase each."""
    threads = {side.engine: side.threads for side in manifest.sides.values() if side.threads}
    found = []
    if len(set(threads.values())) > 1:
        found.append(
            "the engines use " + " and ".join(f"{count} ({name})" for name, count in threads.items())
        )
    cores = manifest.environment.usable_cores
    if cores and threads and max(threads.values()) > max(cores, 1):
        found.append(f"{max(threads.values())} threads share {cores:g} usable cores")
    return tuple(found)


RULE = Rule(
    id="thread-mismatch",
    passed="Both engines use the same threads, and the machine has the cores",
    failed="The thread counts are not fair: {}",
    example="4 threads share 2 usable cores",
    about=(
        "The engines size their pools differently: ONNX Runtime from the host's cores even in a container "
        "that may use two of them, PyTorch from OMP_NUM_THREADS. With unequal pools the comparison is of "
        "thread counts; with more threads than usable cores both engines wait for their own threads. The "
        "rule reads the manifest: threads of either side, affinity and cgroup quota."
    ),
    cause=None,
    needs=("manifest",),
    direction="any",
    audit=audit,
)
