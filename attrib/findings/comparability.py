"""What makes the comparison fair, checked before anything is attributed. Each check is one row of `CHECKS`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from attrib.findings.output_mismatch import describe
from attrib.findings.select import ENGINE_NAMES, counted
from attrib.findings.stability import DRIFT_LIMIT, IDLE_LIMIT, LOAD_LIMIT, drift, load_per_core
from attrib.model.document import Check, CheckState
from attrib.model.manifest import ROLES, Manifest, OutputDifference, Role, Side
from attrib.units import format_percent

PlainNs = Mapping[Role, tuple[tuple[int, ...], ...]]
Answer = tuple[CheckState, str]

NOT_RECORDED = "the capture does not say"

CPU_PROVIDER = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the checks read; a side that is absent is absent here too."""

    manifest: Manifest | None
    outputs: Sequence[OutputDifference]
    plain_ns: PlainNs

    @property
    def sides(self) -> dict[Role, Side]:
        return {role: side for role, side in self._all_sides().items() if side.state == "complete"}

    def _all_sides(self) -> Mapping[Role, Side]:
        return self.manifest.sides if self.manifest else {}

    def setting(self, role: Role, key: str) -> str:
        """A setting of one side in lower case; empty where it was not recorded."""
        side = self.sides.get(role)
        return side.settings.get(key, "").lower() if side else ""


def checks(
    manifest: Manifest | None, outputs: Sequence[OutputDifference], plain_ns: PlainNs
) -> tuple[Check, ...]:
    """Every condition for a fair comparison, in the order in which a reader should doubt them.

    Args:
        manifest: What the capture says of itself; None where attrib did not record.
        outputs: How far the outputs are apart.
        plain_ns: Plain steps of either side, one tuple a block.
    """
    facts = _Facts(manifest=manifest, outputs=outputs, plain_ns=plain_ns)
    return tuple(
        Check(check=name, state=state, detail=detail)
        for name, (state, detail) in ((name, check(facts)) for name, check in CHECKS)
    )


def _outputs_agree(facts: _Facts) -> Answer:
    if not facts.outputs:
        return "unknown", "the outputs were not compared"
    wrong = [output for output in facts.outputs if not output.equal]
    if wrong:
        return "failed", f"{len(wrong)} of {counted(len(facts.outputs), 'output')}: {describe(wrong[0])}"
    worst = max(facts.outputs, key=lambda output: output.max_rel)
    return "passed", f"{counted(len(facts.outputs), 'output')}; {describe(worst)}"


def _same_inputs(facts: _Facts) -> Answer:
    workload = facts.manifest.workload if facts.manifest else None
    if workload is None or not workload.inputs_sha256:
        return "unknown", NOT_RECORDED
    return "passed", f"both engines read one file of inputs (sha256 {workload.inputs_sha256[:12]})"


def _inference_mode(facts: _Facts) -> Answer:
    training, mode = facts.setting("torch", "training"), facts.setting("torch", "inference_mode")
    if _is_on(training):
        return "failed", "PyTorch ran in training mode: call `model.eval()`, dropout is work that ONNX lacks"
    if _is_off(mode):
        return "failed", "PyTorch recorded gradients: wrap the call in `torch.inference_mode()`"
    if _is_off(training) and _is_on(mode):
        return "passed", "PyTorch ran in eval mode under inference_mode"
    return "unknown", NOT_RECORDED


def _same_threads(facts: _Facts) -> Answer:
    threads = {role: side.threads for role, side in facts.sides.items() if side.threads}
    if len(threads) < len(ROLES):
        return "unknown", NOT_RECORDED
    if len(set(threads.values())) > 1:
        counts = ", ".join(f"{ENGINE_NAMES[role]} {count}" for role, count in threads.items())
        return "failed", f"{counts}: set both with `--threads N`"
    return "passed", f"{counted(threads['torch'], 'intra-op thread')} on either side"


def _threads_fit(facts: _Facts) -> Answer:
    most = max((side.threads for side in facts.sides.values()), default=0)
    cores = facts.manifest.environment.usable_cores if facts.manifest else 0.0
    if not most or not cores:
        return "unknown", NOT_RECORDED
    if most > max(cores, 1):
        fitting = max(int(cores), 1)
        return "failed", f"{counted(most, 'thread')} on {cores:g} usable cores: `--threads {fitting}`"
    return "passed", f"{counted(most, 'thread')} on {cores:g} usable cores (affinity and cgroup quota)"


def _same_precision(facts: _Facts) -> Answer:
    own = {role: facts.setting(role, "precision") for role in facts.sides}
    stated = {precision for precision in own.values() if precision}
    if len(stated) > 1:
        return "failed", ", ".join(f"{ENGINE_NAMES[role]} {precision}" for role, precision in own.items())
    precision = next(iter(stated), facts.manifest.workload.precision if facts.manifest else "")
    return ("passed", f"{precision} on either side") if precision else ("unknown", NOT_RECORDED)


def _matmul_precision(facts: _Facts) -> Answer:
    if facts.manifest is None:
        return "unknown", NOT_RECORDED
    if facts.manifest.workload.precision != "fp32":
        return "passed", f"does not apply to {facts.manifest.workload.precision}"
    torch = facts.setting("torch", "matmul_precision")
    if not torch:
        return "unknown", NOT_RECORDED
    return _tf32(facts, torch)


def _tf32(facts: _Facts, torch: str) -> Answer:
    """ONNX Runtime's CUDA provider rounds to TF32 unless `use_tf32` is 0; PyTorch does so below `highest`."""
    providers = facts.sides["onnxruntime"].providers if "onnxruntime" in facts.sides else ()
    on_gpu = any(provider.startswith(("CUDA", "Tensorrt", "NvTensorRt")) for provider in providers)
    ort_rounds = on_gpu and not _is_off(facts.setting("onnxruntime", "use_tf32"))
    torch_rounds = torch != "highest"
    if torch_rounds and not ort_rounds:
        return (
            "failed",
            f"PyTorch's matmul precision is {torch}: `torch.set_float32_matmul_precision('highest')`",
        )
    if ort_rounds and not torch_rounds:
        return "failed", "ONNX Runtime may round to TF32 and PyTorch does not: provider option `use_tf32=0`"
    return "passed", "both engines round to TF32" if ort_rounds else "both engines multiply in full float32"


def _attention(facts: _Facts) -> Answer:
    attention = facts.manifest.workload.attention if facts.manifest else ""
    return ("passed", f"PyTorch's attention is {attention}") if attention else ("unknown", NOT_RECORDED)


def _provider(facts: _Facts) -> Answer:
    side = facts.sides.get("onnxruntime")
    if side is None or not side.providers:
        return "unknown", NOT_RECORDED
    missing = [name for name in side.requested_providers if name not in side.providers]
    if missing:
        return "failed", f"{', '.join(missing)} could not be loaded: `attrib doctor` says why"
    return "passed", f"the session has {', '.join(side.providers)}"


def _warm_up(facts: _Facts) -> Answer:
    if not facts.sides:
        return "unknown", NOT_RECORDED
    cold = [role for role, side in facts.sides.items() if not side.warmed_up]
    if cold:
        names = " and ".join(ENGINE_NAMES[role] for role in cold)
        return "failed", f"{names} had not settled when the first block began: raise `--warmup`"
    steps = ", ".join(f"{ENGINE_NAMES[role]} {side.warmup}" for role, side in facts.sides.items())
    return "passed", f"until the last blocks agreed (steps: {steps})"


def _no_drift(facts: _Facts) -> Answer:
    drifts = {role: drift(blocks) for role, blocks in facts.plain_ns.items() if blocks}
    if not drifts or not any(drifts.values()):
        return "unknown", "too few blocks to tell"
    text = ", ".join(f"{ENGINE_NAMES[role]} {format_percent(d, sign=True)}" for role, d in drifts.items())
    if max(abs(d) for d in drifts.values()) > DRIFT_LIMIT:
        return "failed", f"from the first third of the blocks to the last: {text}; raise `--warmup`"
    return "passed", f"from the first third of the blocks to the last: {text}"


def _idle_worker(facts: _Facts) -> Answer:
    if not facts.sides:
        return "unknown", NOT_RECORDED
    busy = {role: side.idle_cpu_share for role, side in facts.sides.items()}
    text = ", ".join(f"{ENGINE_NAMES[role]} {format_percent(share)}" for role, share in busy.items())
    if max(busy.values()) > IDLE_LIMIT:
        return "failed", f"processor time of the waiting worker: {text}; lower `--threads`"
    return "passed", f"processor time of the waiting worker: {text}"


def _machine_load(facts: _Facts) -> Answer:
    environment = facts.manifest.environment if facts.manifest else None
    if environment is None or not environment.usable_cores:
        return "unknown", NOT_RECORDED
    text = f"load {environment.load_before:g} on {environment.usable_cores:g} usable cores before the capture"
    if facts.manifest is not None and load_per_core(facts.manifest) > LOAD_LIMIT:
        return "failed", f"{text}: stop other programs"
    return "passed", text


def _weights(facts: _Facts) -> Answer:
    weights = facts.manifest.workload.weights if facts.manifest else ""
    if not weights:
        return "unknown", NOT_RECORDED
    if "random" in weights:
        return "passed", f"declared: {weights}; speed does not depend on their values, outputs mean nothing"
    return "passed", weights


def _is_on(setting: str) -> bool:
    return setting in ("1", "true", "yes", "on")


def _is_off(setting: str) -> bool:
    return setting in ("0", "false", "no", "off")


CHECKS: tuple[tuple[str, Callable[[_Facts], Answer]], ...] = (
    ("Outputs agree", _outputs_agree),
    ("Same inputs", _same_inputs),
    ("Evaluation and inference mode", _inference_mode),
    ("Same precision", _same_precision),
    ("Same rounding of float32 products", _matmul_precision),
    ("Attention implementation declared", _attention),
    ("Requested provider used", _provider),
    ("Same threads", _same_threads),
    ("Threads fit the usable cores", _threads_fit),
    ("Warm-up reached", _warm_up),
    ("No drift", _no_drift),
    ("The waiting worker is idle", _idle_worker),
    ("Machine not loaded", _machine_load),
    ("Weights declared", _weights),
)
