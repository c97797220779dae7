"""Module scopes through the real profiler: every way in which modules are called, and what its calls become."""

from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from attrib.analysis.attribution.host.torch_partition import torch_steps
from attrib.analysis.attribution.partitions import step_windows
from attrib.capture.pytorch.scopes import ModuleNames, module_scopes
from attrib.traces import read_kineto

X = torch.randn(2, 4)


@dataclass
class Result:
    hidden: torch.Tensor
    rest: tuple


class Returning(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(torch.relu(x))


class Chain(nn.Module):
    """Calls its children by hand, as `forward` says."""

    def __init__(self, forward, **children):
        super().__init__()
        for name, child in children.items():
            setattr(self, name, child)
        self.how = forward

    def forward(self, x):
        return self.how(self, x)


def calls(module, tmp_path, *inputs):
    """`(scope, op)` of the calls of one step."""
    module.eval()
    with (
        torch.inference_mode(),
        module_scopes(module),
        profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler,
        record_function("attrib.step#0"),
    ):
        module(*(inputs or (X,)))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())
    file = tmp_path / "trace.json"
    profiler.export_chrome_trace(str(file))
    table = read_kineto(file)
    found = torch_steps(table, step_windows(table, table.steps(), [])).partition
    found.self_check()
    return [(w.scope, w.op) for w in found.work]


@pytest.mark.parametrize(
    "make",
    [
        lambda x: (x, None, [x]), lambda x: Result(x, (x, 3)), lambda x: OrderedDict(hidden=x), lambda _: None,
        lambda x: {"a": {"b": x}},
    ],
    ids=["tuple", "dataclass", "mapping", "none", "nested"],
)  # fmt: skip
def test_whatever_a_module_returns_its_calls_keep_their_scope(make, tmp_path):
    module = Chain(lambda self, x: (self.inner(x), torch.neg(x)), inner=Returning(make))
    assert calls(module, tmp_path) == [("inner", "aten::relu"), ("", "aten::neg")]


def test_a_module_that_is_called_again_keeps_its_name(tmp_path):
    module = Chain(lambda self, x: self.act(self.act(x) + 1), act=nn.ReLU())
    assert calls(module, tmp_path) == [("act", "aten::relu"), ("", "aten::add"), ("act", "aten::relu")]


def test_a_shared_module_has_the_name_under_its_caller(tmp_path):
    shared = nn.ReLU()
    left = Chain(lambda self, x: self.act(x), act=shared)
    right = Chain(lambda self, x: self.steps[1](x), steps=nn.ModuleList([nn.Identity(), shared]))
    module = Chain(lambda self, x: self.own(self.right(self.left(x))), left=left, right=right, own=shared)
    assert [scope for scope, _ in calls(module, tmp_path)] == ["left.act", "right.steps.1", "own"]


def test_modules_inside_a_shared_module_follow_its_name(tmp_path):
    block = Chain(lambda self, x: self.act(x), act=nn.ReLU())
    module = Chain(lambda self, x: self.second(self.first(x)), first=block, second=Chain(
        lambda self, x: self.inner(x), inner=block
    ))  # fmt: skip
    assert [scope for scope, _ in calls(module, tmp_path)] == ["first.act", "second.inner.act"]


def test_two_names_in_one_place_cannot_be_told_apart_and_give_the_first(tmp_path):
    shared = nn.ReLU()
    module = Chain(lambda self, x: self.two(self.one(x)), one=shared, two=shared)
    assert [scope for scope, _ in calls(module, tmp_path)] == ["one", "one"]


def test_a_module_that_calls_itself(tmp_path):
    class Recursive(nn.Module):
        def forward(self, x, depth=2):
            return self(torch.relu(x), depth - 1) if depth else torch.neg(x)

    module = Chain(lambda self, x: torch.abs(self.inner(x)), inner=Recursive())
    assert calls(module, tmp_path) == [
        ("inner", "aten::relu"), ("inner", "aten::relu"), ("inner", "aten::neg"), ("", "aten::abs"),
    ]  # fmt: skip


def test_a_forward_that_raises_closes_its_scopes(tmp_path):
    class Raising(nn.Module):
        def forward(self, x):
            torch.relu(x)
            raise ValueError("no")

    def survive(self, x):
        try:
            self.outer(x)
        except ValueError:
            return self.after(x)

    def tried(self, x):
        return self.raising(x)

    outer = Chain(tried, raising=Raising())
    for shared in (False, True):
        module = Chain(survive, outer=outer, after=nn.Tanh())
        if shared:
            module.again = outer
        assert calls(module, tmp_path) == [("outer.raising", "aten::relu"), ("after", "aten::tanh")]


def test_a_model_that_raises_leaves_no_hooks():
    module = Chain(lambda _self, _x: 1 / 0, inner=nn.ReLU())
    with pytest.raises(ZeroDivisionError), module_scopes(module):
        module(X)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_in_place_and_out_variants_are_calls_of_their_module(tmp_path):
    def variants(_self, x):
        y = x.clone()
        y.add_(1)
        torch.add(x, 1, out=y)
        y += x
        return torch.nn.functional.relu_(y)

    module = Chain(lambda self, x: self.inner(x), inner=Chain(variants))
    found = calls(module, tmp_path)
    assert {scope for scope, _ in found} == {"inner"}
    assert [op for _, op in found] == ["aten::clone", "aten::add_", "aten::add", "aten::add_", "aten::relu_"]


def test_functional_code_outside_modules_belongs_to_whom_it_is_called_by(tmp_path):
    weight = torch.randn(4, 4)

    def attention(x):
        return torch.nn.functional.linear(x, weight).softmax(-1)

    module = Chain(lambda self, x: attention(self.inner(x)), inner=Chain(lambda _self, x: attention(x)))
    expected = ["aten::linear", "aten::softmax"]
    assert calls(module, tmp_path) == [(scope, op) for scope in ("inner", "") for op in expected]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_submodule_is_named_and_its_ops_are_calls(tmp_path):
    module = Chain(lambda self, x: torch.neg(self.inner(x)), inner=torch.jit.trace(nn.Tanh(), X))
    found = calls(module, tmp_path)
    assert found == [("inner", "aten::tanh"), ("", "aten::neg")]


def test_names_by_identity_and_path():
    shared = nn.ReLU()
    module = Chain(None, left=Chain(None, act=shared), right=Chain(None, act=shared))
    names = ModuleNames(module)
    assert names.of(id(shared), "L['self'].right.act") == "right.act"
    assert names.of(id(shared), "L['___stack0']") == "left.act"
    assert names.of(id(module), "L['self']") == ""
    assert names.of(id(nn.ReLU()), "L['self'].left.act") is None
