"""`compiled.json`: what the kernels of a compiled PyTorch model compute, as its compiler recorded it.

One file a side (`torch/compiled.json`), JSON, for example:

    {"format_version": 1, "compiler": "inductor",
     "graphs": [{"region": "Torch-Compiled Region: 0/0",
                 "launches": [{"kernel": "graph_0_cpp_fused_gelu_view_3",
                               "members": [{"scope": "encoder.layer.0.intermediate.intermediate_act_fn",
                                            "op": "aten::gelu", "name": "hidden_states_4"}],
                               "partial": []}],
                 "elided": [{"scope": "encoder.layer.0.attention.self", "op": "aten::view", "name": "attn_output_1"}]}]}

A kernel is found in the trace by its event's name and, where it is launched more than once, by its turn.
"""

import msgspec

from attrib.model.work import Member

# Format history
# 1  first version
COMPILED_VERSION = 1

COMPILED_FILE = "compiled.json"
"""Its name in the folder of its side."""

_KEY_LENGTH = 60


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    pass


class KernelLaunch(_Struct, frozen=True, kw_only=True):
    """One launch of a kernel, or one call of a library's operator.

    Attributes:
        kernel: Name of its event in the trace: `graph_0_cpp_fused_gelu_view_3`, `aten::addmm`, `fused_mul_add`.
        members: Ops of the traced program whose result it computes, in program order. `scope` is the qualified module
            name as eager's hooks spell it; empty for code outside every module that the compiler saw being called: that
            belongs to the module in which the graph runs.
        partial: Ops of which it computes a part, and another launch the result (the mask inside an attention).
    """

    kernel: str
    members: tuple[Member, ...] = ()
    partial: tuple[Member, ...] = ()


class CompiledGraph(_Struct, frozen=True, kw_only=True):
    """One compiled graph.

    Attributes:
        region: Name of the event around each of its runs: `Torch-Compiled Region: 0/0`, `forward` (TorchScript).
        launches: In the order in which the generated code launches them.
        elided: Ops for which nothing is launched: views, and what was folded.
    """

    region: str
    launches: tuple[KernelLaunch, ...] = ()
    elided: tuple[Member, ...] = ()


class Compiled(_Struct, frozen=True, kw_only=True):
    """Every graph that one capture compiled; `compiler` is `inductor` or `torchscript`."""

    format_version: int = COMPILED_VERSION
    compiler: str
    graphs: tuple[CompiledGraph, ...] = ()


def kernel_key(name: str) -> str:
    """What identifies a kernel's name: TorchScript ends a long one with a hash that cannot be predicted.

    Kernels are told apart by their turn among those of one key, so that a key shared by two names does no harm.
    """
    return name[:_KEY_LENGTH]
