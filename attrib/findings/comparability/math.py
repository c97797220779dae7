"""Whether both engines computed with the same numbers."""

from attrib.findings.comparability.check import Answer, Facts, failed, is_off, is_on, passed, unknown
from attrib.findings.evidence.advice import in_one_precision
from attrib.model.manifest import ENGINE_NAMES

LOW_PRECISION_REWRITES = {
    "int8": "int8",
    "fp16": "fp16",
    "bf16": "bf16",
    "float16": "fp16",
    "optimum-o4": "fp16",
}
"""Part of a rewrite's name -> the precision in which the graph computes after it."""

BF16_UNITS = ("amx_bf16", "avx512_bf16", "bf16", "svebf16")
"""Processor flags without which a bfloat16 product is not faster (x86: /proc/cpuinfo flags; ARM: Features)."""

ARM_FAST_MATH = "mlas.enable_gemm_fastmath_arm64_bfloat16"
"""Session configuration entry that lets ONNX Runtime round float32 products to bfloat16
(onnxruntime_session_options_config_keys.h)."""


def same_precision(facts: Facts) -> Answer:
    """Check that both sides computed in one precision."""
    own = {role: facts.setting(role, "precision") for role in facts.sides}
    lowered, rewrite = _lowered(facts)
    own |= {"onnxruntime": lowered} if lowered else {}
    stated = {precision for precision in own.values() if precision}
    overall = facts.manifest.workload.precision if facts.manifest else ""
    if lowered and overall and not own.get("torch"):
        stated |= {overall}
    if len(stated) > 1:
        return failed(
            ", ".join(f"{ENGINE_NAMES[role]} {own[role] or overall}" for role in own),
            "The lower precision looks faster where the hardware has kernels for it (up to four times for int8), and "
            "slower where it has none: part of the difference is the choice of numbers, not the engine.",
            f"{in_one_precision(facts.evidence, rewrite)} compares the engines alone",
        )
    precision = next(iter(stated), overall)
    return passed(f"{precision} on either side") if precision else unknown()


def _lowered(facts: Facts) -> tuple[str, str]:
    """The precision that a rewrite gave to the graph, and the rewrite; empty where none did."""
    side = facts.sides.get("onnxruntime")
    names = [rewrite.name for rewrite in side.rewrites] if side else []
    found = ((low, name) for name in names for part, low in LOW_PRECISION_REWRITES.items() if part in name)
    return next(found, ("", ""))


def autocast_alike(facts: Facts) -> Answer:
    """Check that PyTorch did not choose the precision op by op (autocast), which the graph cannot do."""
    if not facts.sides or "torch" not in facts.sides:
        return unknown()
    autocast = facts.setting("torch", "autocast")
    if not autocast:
        return passed("PyTorch ran without autocast")
    return failed(
        f"PyTorch chose {autocast} op by op (autocast), the graph keeps float32",
        "Either direction: PyTorch saves time in products and spends some on casts in every step.",
        in_one_precision(facts.evidence),
    )


def same_rounding(facts: Facts) -> Answer:
    """Check that both engines round float32 products alike."""
    if facts.manifest is None:
        return unknown()
    if facts.manifest.workload.precision != "fp32":
        return passed(f"does not apply to {facts.manifest.workload.precision}")
    torch = facts.setting("torch", "matmul_precision")
    if not torch:
        return unknown()
    return _on_gpu(facts, torch) if facts.on_gpu else _on_cpu(facts, torch)


def _on_gpu(facts: Facts, torch: str) -> Answer:
    """Compare the rounding on a GPU.

    ONNX Runtime's CUDA provider rounds to TF32 unless `use_tf32` is 0; PyTorch does so below `highest`.
    """
    ort_rounds, torch_rounds = not is_off(facts.setting("onnxruntime", "use_tf32")), torch != "highest"
    effect = (
        "The engine that rounds to TF32 looks faster: its tensor cores are up to eight times as fast in large products, "
        "with differences near 1e-3."
    )
    if torch_rounds and not ort_rounds:
        detail = f"PyTorch's matmul precision is {torch}"
        return failed(detail, effect, "`torch.set_float32_matmul_precision('highest')`")
    if ort_rounds and not torch_rounds:
        detail = "ONNX Runtime may round to TF32 and PyTorch does not"
        return failed(
            detail, effect, "`providers=[('CUDAExecutionProvider', {'use_tf32': '0'})]` for the session"
        )
    return passed("both engines round to TF32" if ort_rounds else "both engines multiply in full float32")


def _on_cpu(facts: Facts, torch: str) -> Answer:
    """Compare the rounding on a CPU.

    Below `highest` oneDNN may use bfloat16 units; ONNX Runtime does so on ARM, and only where a session option asks for it.
    """
    assert facts.manifest is not None  # noqa: S101  (asked by same_rounding)
    flags = facts.manifest.environment.cpu_flags
    units = [flag for flag in flags if flag in BF16_UNITS]
    ort = facts.sides["onnxruntime"].session_options if "onnxruntime" in facts.sides else {}
    ort_rounds = is_on(ort.get(ARM_FAST_MATH, "").lower())
    if ort_rounds == (torch != "highest"):
        said = "both engines may round to bfloat16" if ort_rounds else "both engines multiply in full float32"
        if units:
            return passed(f"{said}; the processor has {', '.join(units)}")
        return passed(f"{said}; the processor has no bfloat16 units" if flags else said)
    detail = (
        f"PyTorch's matmul precision is {torch}"
        if torch != "highest"
        else f"ONNX Runtime rounds products to bfloat16 ({ARM_FAST_MATH})"
    )
    effect = (
        "The engine that rounds may look faster in large products, but little: the processor has no bfloat16 units."
        if flags and not units
        else "The engine that rounds looks faster in large products, several times with AMX, and its outputs differ by up"
        " to 1e-2."
    )
    return failed(
        detail,
        effect,
        "`torch.set_float32_matmul_precision('highest')`"
        if torch != "highest"
        else f"leave out the session option {ARM_FAST_MATH}",
    )


def same_attention(facts: Facts) -> Answer:
    """Check that the graph was exported from the attention implementation that PyTorch ran."""
    torch = facts.setting("torch", "attention") or (
        facts.manifest.workload.attention if facts.manifest else ""
    )
    exported = facts.setting("onnxruntime", "attention")
    if not torch:
        return unknown()
    if exported and exported != torch:
        return failed(
            f"PyTorch's attention is {torch}, the graph was exported from {exported}",
            "Part of the difference is the attention that was chosen: a few percent of the step at 128 tokens, "
            "growing with the square of the length.",
            f"`attrib profile --attention {torch}` exports what PyTorch runs",
        )
    return passed(f"PyTorch's attention is {torch}" + (", and so is the graph's" if exported else ""))
