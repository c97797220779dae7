"""Whether both engines were given the same way to and from a device."""

from attrib.findings.comparability.check import Answer, Facts, failed, is_on, passed, unknown

_NO_DEVICE = "does not apply: ONNX Runtime ran on the host"
_REPLAYS = ("enable_cuda_graph", "trt_cuda_graph_enable")
"""Options of NVIDIA's providers, as the session's settings record them."""


def fed_alike(facts: Facts) -> Answer:
    """Check that the inputs and outputs of both engines lay on the device, so that no call copied them."""
    if "onnxruntime" not in facts.sides:
        return unknown()
    if not facts.on_gpu:
        return passed(_NO_DEVICE)
    device, bound = facts.setting("torch", "device"), facts.setting("onnxruntime", "io_binding")
    if not device or not bound:
        return unknown()
    if device == "cpu":
        return failed(
            "PyTorch ran on the CPU and ONNX Runtime on the GPU",
            "The two devices are compared, not the two engines.",
            "`attrib profile --device cuda`",
        )
    if is_on(bound) and facts.setting("onnxruntime", "bound_on"):
        return passed("inputs and outputs lay on the device for both engines (measured with IO binding)")
    was = "bound in the host's memory" if is_on(bound) else "numpy arrays (measured without IO binding)"
    return failed(
        f"PyTorch's inputs and outputs stayed on the device; ONNX Runtime's were {was}",
        "ONNX Runtime looks slower: every call copies the inputs to the device and the outputs back, and waits for both. "
        "That is fair if the application does so, too.",
        "`attrib profile --io-binding`",
    )


def launched_alike(facts: Facts) -> Answer:
    """Check that no engine replayed a recorded graph of kernels while the other one launched each of them."""
    if "onnxruntime" not in facts.sides:
        return unknown()
    if not facts.on_gpu:
        return passed(_NO_DEVICE)
    if not any(is_on(facts.setting("onnxruntime", name)) for name in _REPLAYS):
        return passed("both engines launched every kernel in every step")
    return failed(
        "ONNX Runtime replayed a CUDA graph in the timed runs, PyTorch launched every kernel",
        "ONNX Runtime looks faster by the launches that it saved, some microseconds a kernel: much in a small model, little "
        "where the device is busy anyway. The profiled runs launch every kernel, so the row `profiler overhead` holds what "
        "the replay saved.",
        "`attrib profile` without `--cuda-graph`; in PyTorch `torch.cuda.CUDAGraph` or "
        "`torch.compile(mode='reduce-overhead')` saves as much",
    )
