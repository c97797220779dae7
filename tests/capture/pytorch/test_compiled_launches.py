"""From a compiler's record to launches and members."""

import msgspec
import pytest
import torch
from torch import nn

from attrib.capture.pytorch.compiled_graphs import LoweredNode, TracedNode, traced_ops
from attrib.capture.pytorch.compiled_launches import LoweredGraph, event_name, extern_op, launches_from_record
from attrib.capture.pytorch.modes import prepare
from attrib.capture.pytorch.scopes import ModuleNames
from attrib.capture.pytorch.torchscript_nodes import scope_of
from attrib.capture.workload.arguments import Arguments
from attrib.capture.workload.build import Built
from attrib.errors import AttribError
from attrib.model.compiled import Compiled
from tests.capture.pytorch.test_scopes import Chain

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def compute(name, op, *inputs):
    return LoweredNode(name, op, view=False, inputs=inputs)


def view(name, *inputs):
    return LoweredNode(name, "aten::view", view=True, inputs=inputs)


def named(launches):
    return [
        (launch.kernel, [m.name for m in launch.members], [m.name for m in launch.partial])
        for launch in launches
    ]


ATTENTION = "torch.ops.aten.attention.default:3"


def test_origins_of_inputs_are_not_what_a_kernel_computes():
    """A projection, a mask and an attention, with the origins that Inductor writes for them."""
    nodes = (
        compute("addmm", "aten::addmm"), view("view", "addmm"), view("permute", "view"),
        compute("ge", "aten::ge"), compute("where", "aten::where", "ge"),
        compute("attention", "aten::attention", "permute", "where"), view("view_1", "attention"),
        compute("gelu", "aten::gelu", "view_1"),
    )  # fmt: skip
    traced = tuple(
        TracedNode(name, "s", (f"aten::{name}",)) for name in ("linear", "heads", "ge", "sdpa", "flat", "act")
    )
    everything = ["attention", "permute", "view", "where", "ge"]
    launches, elided = launches_from_record(traced, LoweredGraph(
        nodes=nodes,
        sources={"addmm": ["linear"], "view": ["linear"], "permute": ["heads"], "ge": ["ge"], "where": ["sdpa"],
                 "attention": ["sdpa"], "view_1": ["flat"], "gelu": ["act"]},
        kernels={"extern_kernels.addmm:1": ["addmm"], "cpp_fused_mask_0:2": everything, ATTENTION: everything,
                 "cpp_fused_gelu_1:4": ["gelu"]},
        prefix="graph_7_",
    ))  # fmt: skip
    assert named(launches) == [
        ("aten::addmm", ["linear"], []), ("graph_7_cpp_fused_mask_0", ["ge"], ["sdpa"]),
        ("aten::attention", ["heads", "sdpa"], []), ("graph_7_cpp_fused_gelu_1", ["act"], []),
    ]  # fmt: skip
    assert [m.name for m in elided] == ["flat"]


def test_an_op_that_several_kernels_compute_is_listed_in_each():
    traced = (
        TracedNode("scale", "a", ("aten::mul",)),
        TracedNode("one", "b", ("aten::add",)),
        TracedNode("two", "c", ("aten::sub",)),
    )
    launches, elided = launches_from_record(traced, LoweredGraph(
        nodes=(compute("mul", "aten::mul"), compute("add", "aten::add", "mul"), compute("sub", "aten::sub", "mul")),
        sources={"mul": ["scale"], "add": ["one"], "sub": ["two"]},
        kernels={"triton_poi_fused_0:1": ["add", "mul"], "triton_poi_fused_0:2": ["mul", "sub"]},
        prefix="graph_0_",
    ))  # fmt: skip
    assert named(launches) == [
        ("triton_poi_fused_0", ["scale", "one"], []), ("triton_poi_fused_0", ["scale", "two"], []),
    ]  # fmt: skip
    assert elided == ()


def test_a_library_call_with_two_candidates_keeps_what_is_listed():
    traced = (TracedNode("x", "", ("aten::mm",)), TracedNode("y", "", ("aten::mm",)))
    launches, _ = launches_from_record(traced, LoweredGraph(
        nodes=(compute("mm", "aten::mm"), compute("mm_1", "aten::mm")), sources={"mm": ["x"], "mm_1": ["y"]},
        kernels={"extern_kernels.mm:1": ["mm", "mm_1"]}, prefix="",
    ))  # fmt: skip
    assert named(launches) == [("aten::mm", ["x", "y"], [])]


def test_a_kernel_that_prepares_a_library_call_has_a_part_in_it():
    traced = (TracedNode("conv", "stem", ("aten::conv2d",)),)
    launches, _ = launches_from_record(traced, LoweredGraph(
        nodes=(compute("convolution", "aten::convolution"),), sources={"convolution": ["conv"]},
        kernels={"cpp_fused_convolution_0:1": ["convolution"], "extern_kernels.convolution:2": ["convolution"]},
        prefix="",
    ))  # fmt: skip
    assert named(launches) == [("cpp_fused_convolution_0", [], ["conv"]), ("aten::convolution", ["conv"], [])]


@pytest.mark.parametrize(
    ("kernel", "op", "event"),
    [
        ("extern_kernels.addmm:12", "aten::addmm", "aten::addmm"),
        ("extern_kernels.bias_addmm:1", "aten::addmm", "aten::addmm"),
        ("torch.ops.mkldnn._linear_pointwise.default:3", "mkldnn::_linear_pointwise", "mkldnn::_linear_pointwise"),
        ("cpp_fused_gelu_view_3:10", "", "graph_0_cpp_fused_gelu_view_3"),
        ("triton_per_fused_add_0:4", "", "triton_per_fused_add_0"),
    ],
)  # fmt: skip
def test_how_a_kernel_is_called_in_the_trace(kernel, op, event):
    assert extern_op(kernel.rpartition(":")[0]) == op
    assert event_name(kernel, "graph_0_") == event


def test_scopes_of_a_trace_lose_the_wrapper():
    path = "__module.model/__module.model.encoder/__module.model.encoder.layer.0"
    assert [scope_of(path, "model"), scope_of("__module.model", "model"), scope_of("", "model")] == [
        "encoder.layer.0", "", "",
    ]  # fmt: skip


class Block(nn.Module):
    """Views, a table of ops, functional code, and modules: a little of everything that is traced."""

    def __init__(self):
        super().__init__()
        self.dense, self.norm, self.act = nn.Linear(16, 16), nn.LayerNorm(16), nn.GELU()

    def forward(self, x):
        heads = self.dense(x).view(2, 4, 2, 8).transpose(1, 2)
        mixed = nn.functional.scaled_dot_product_attention(heads, heads, heads)
        flat = mixed.transpose(1, 2).reshape(2, 4, 16)
        flat += x
        kept = (x[:, :1] > 0) & (x[:, :1] < 2)
        return self.act(self.norm(flat)).masked_fill(kept, 0.0)


def model():
    torch.manual_seed(0)
    return Chain(lambda self, x: self.blocks(x) * 2, blocks=nn.Sequential(Block(), Block())).eval()


INPUT = torch.randn(2, 4, 16)


def prepared(mode, **options):
    built = Built(module=model(), inputs={"x": INPUT}, arguments=Arguments.by_position(["x"]), weights="")
    return built, prepare(built, mode, options.get("autocast"))


def eager_calls(tmp_path):
    from tests.capture.pytorch.test_scopes import calls

    return calls(model(), tmp_path, INPUT)


def test_the_traced_program_is_told_as_eager_would_show_it(tmp_path):
    module, seen = model(), []

    def backend(graph, _inputs):
        seen.extend(traced_ops(graph.graph, ModuleNames(module)))
        return graph.forward

    torch._dynamo.reset()
    with torch.inference_mode():
        torch.compile(module, backend=backend)(INPUT)
    assert [(t.scope, op) for t in seen for op in t.ops] == eager_calls(tmp_path)


def test_without_a_replay_the_node_says_what_it_is():
    graph = torch.fx.Graph()
    node = graph.call_function(torch.nn.functional.gelu, (graph.placeholder("x"),))
    graph.call_method("view", (node, 2))
    graph.call_function(torch.ops.aten.relu.default, (node,))
    names = ModuleNames(nn.Module())
    assert [t.ops for t in traced_ops(graph, names)] == [("aten::gelu",), ("aten::view",), ("aten::relu",)]


def steps_of(ready, tmp_path):
    from torch.profiler import ProfilerActivity, profile, record_function

    from attrib.analysis.attribution.host.torch_partition import torch_steps
    from attrib.analysis.attribution.partitions import step_windows
    from attrib.traces import read_kineto

    with torch.inference_mode():
        ready.step()
        with (
            ready.scopes(),
            profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler,
            record_function("attrib.step#0"),
        ):
            ready.step()
    file = tmp_path / "compiled_trace.json"
    profiler.export_chrome_trace(str(file))
    table = read_kineto(file)
    found = torch_steps(table, step_windows(table, table.steps(), []), ready.compiled()).partition
    found.self_check()
    return found


@pytest.mark.slow
@pytest.mark.engines
def test_kernels_cover_what_eager_calls_and_nothing_is_lost(tmp_path):
    torch._dynamo.reset()
    _, ready = prepared("compile")
    found = steps_of(ready, tmp_path)
    compiled = ready.compiled()
    assert msgspec.json.decode(msgspec.json.encode(compiled), type=Compiled) == compiled
    launched = {m for w in found.work for m in w.members}
    elided = {m for graph in compiled.graphs for m in graph.elided}
    assert not launched & elided
    told = sorted((m.scope, m.op) for m in launched | elided)
    assert told == sorted(eager_calls(tmp_path))
    assert all(w.members for w in found.work)
    linear = [w for w in found.work if "aten::linear" in [m.op for m in w.members]]
    assert [w.scope for w in linear] == ["blocks.0.dense", "blocks.1.dense"]
    with torch.inference_mode():
        torch.testing.assert_close(ready.step(), model()(INPUT))


def test_a_trace_has_eagers_calls_in_eagers_scopes(tmp_path):
    _, ready = prepared("jit")
    found = steps_of(ready, tmp_path)
    eager = eager_calls(tmp_path)
    assert [(w.scope, w.op) for w in found.work if w.op in ("aten::linear", "aten::layer_norm", "aten::gelu")] == [
        call for call in eager if call[1] in ("aten::linear", "aten::layer_norm", "aten::gelu")
    ]  # fmt: skip
    with torch.inference_mode():
        torch.testing.assert_close(ready.step()["output"], model()(INPUT))


def test_an_op_that_the_executor_takes_apart_is_told_as_one(tmp_path):
    inner = Chain(lambda self, x: torch.addmm(self.bias, x, self.weight))
    inner.weight, inner.bias = nn.Parameter(torch.randn(8, 8)), nn.Parameter(torch.randn(8))
    module = Chain(lambda self, x: torch.tanh(self.one(self.one(x))), one=inner).requires_grad_(False).eval()
    built = Built(
        module=module, inputs={"x": torch.randn(4, 8)}, arguments=Arguments.by_position(["x"]), weights=""
    )
    found = steps_of(prepare(built, "jit", None), tmp_path)
    assert [(w.scope, w.op) for w in found.work] == [
        ("one", "aten::mm"), ("one", "aten::add"), ("one", "aten::mm"), ("one", "aten::add"), ("", "aten::tanh"),
    ]  # fmt: skip
    told = [w.members for w in found.work[:4]]
    assert {m.op for members in told for m in members} == {"aten::addmm"}
    assert told[0] == told[1] != told[2] == told[3]


@pytest.mark.engines
def test_a_container_of_torchs_own_is_compiled_too():
    torch._dynamo.reset()
    module = nn.Sequential(nn.Flatten(), nn.ReLU()).eval()
    ready = prepare(
        Built(module=module, inputs={"x": INPUT}, arguments=Arguments.by_position(["x"]), weights=""),
        "compile",
        None,
    )
    compiled = ready.compiled()
    assert compiled is not None
    launches = [launch for graph in compiled.graphs for launch in graph.launches]
    assert [(m.scope, m.op) for launch in launches for m in launch.members] == [
        ("0", "aten::flatten"), ("1", "aten::relu"),
    ]  # fmt: skip


@pytest.fixture
def fusing_on_cpu():
    """TorchScript fuses on the CPU only if asked, and without LLVM only if that is allowed, too."""
    torch._C._jit_override_can_fuse_on_cpu(True)
    torch._C._jit_set_te_must_use_llvm_cpu(False)
    yield
    torch._C._jit_override_can_fuse_on_cpu(False)
    torch._C._jit_set_te_must_use_llvm_cpu(True)


@pytest.mark.usefixtures("fusing_on_cpu")
def test_a_fused_group_is_a_call_with_members(tmp_path):
    module = Chain(lambda self, x: torch.sigmoid(self.act(self.dense(x))) + x, dense=nn.Linear(8, 8), act=Chain(
        lambda _self, x: torch.relu(x * 2 + 1)
    )).requires_grad_(False)  # fmt: skip
    built = Built(
        module=module.eval(),
        inputs={"x": torch.randn(4, 8)},
        arguments=Arguments.by_position(["x"]),
        weights="",
    )
    found = steps_of(prepare(built, "jit", None), tmp_path)
    assert [(w.scope, w.op) for w in found.work] == [
        ("dense", "aten::linear"),
        ("", "fused_mul_add_relu_sigmoid_add"),
    ]
    assert [(m.scope, m.op) for m in found.work[1].members] == [
        ("act", "aten::mul"), ("act", "aten::add"), ("act", "aten::relu"), ("", "aten::sigmoid"), ("", "aten::add"),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["eager", "jit"])
def test_autocast_lowers_the_result_and_leaves_the_weights(mode, tmp_path):
    built, ready = prepared(mode, autocast="bf16")
    found = steps_of(ready, tmp_path)
    assert {p.dtype for p in built.module.parameters()} == {torch.float32}
    linear = [w for w in found.work if w.op == "aten::linear"]
    assert [w.scope for w in linear] == ["blocks.0.dense", "blocks.1.dense"]
    if mode == "eager":
        assert all("aten::to" in w.inner for w in linear)


def test_a_model_that_cannot_be_traced_says_which_option_helps():
    module = Chain(lambda _self, x: 1 / 0 if torch.jit.is_tracing() else x)
    built = Built(
        module=module.eval(), inputs={"x": torch.randn(4)}, arguments=Arguments.by_position(["x"]), weights=""
    )
    with pytest.raises(AttribError, match=r"torch\.jit\.trace failed") as caught:
        prepare(built, "jit", None)
    assert "--torch-mode" in caught.value.hint
