import pytest

pytestmark = pytest.mark.engines


@pytest.fixture(autouse=True)
def torch():
    return pytest.importorskip("torch")


def watch(module, *inputs):
    from attrib.capture.pytorch.dataflow_tracer import trace_dataflow

    return trace_dataflow(module, inputs, lambda: module(*inputs))


def unused(module, *inputs):
    found = watch(module, *inputs)
    return found if found is None else [(m.name, m.kind, m.parameters) for m in found.unused]


def test_branch_that_is_not_taken_is_named_with_its_weights(torch):
    from attrib.zoo.modules import BUILDERS

    module, inputs = BUILDERS["two-branches"](4)
    assert unused(module, inputs["x"]) == [("if_false", "Linear", 256 * 128 + 128)]
    module.chosen = False
    assert unused(module, inputs["x"]) == [("if_true", "Linear", 256 * 128 + 128)]


def test_branch_of_several_layers_is_one_module(torch):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.taken = torch.nn.Linear(4, 4)
            self.other = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))
            self.others = torch.nn.Linear(4, 4)

        def forward(self, x):
            return self.others(self.taken(x))

    assert unused(Model(), torch.zeros(2, 4)) == [("other", "Sequential", 40)]


def test_weights_that_are_read_without_calling_their_module_are_used(torch):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(8, 4)
            self.head = torch.nn.Linear(4, 8, bias=False)
            self.head.weight = self.table.weight

        def forward(self, x):
            return torch.nn.functional.linear(x, self.head.weight)

    assert unused(Tied(), torch.zeros(2, 4)) == []


def test_attention_whose_projection_is_used_from_outside_is_used(torch):
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.randn(1, 3, 8)
    assert unused(attention, x, x, x) == []


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_script_is_watched_inside(torch):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.script = torch.jit.trace(torch.nn.Linear(4, 4), torch.zeros(2, 4))
            self.other = torch.nn.Linear(4, 4)

        def forward(self, x):
            return self.script(x)

    found = unused(Model(), torch.zeros(2, 4))
    assert [name for name, _, _ in found] == ["other"]


def test_model_whose_weights_nobody_sees_being_read_is_not_judged(torch):
    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)

        def forward(self, x):
            return x + 1

    assert unused(Hidden(), torch.zeros(2, 4)) is None


def test_model_without_weights_has_no_unused_one(torch):
    assert unused(torch.nn.ReLU(), torch.zeros(2, 4)) == []


def test_model_that_refuses_to_be_watched_is_not_judged(torch):
    class Refusing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)

        def forward(self, x):
            from torch.utils._python_dispatch import _get_current_dispatch_mode

            if _get_current_dispatch_mode() is not None:
                raise RuntimeError("not here")
            return self.linear(x)

    assert unused(Refusing(), torch.zeros(2, 4)) is None


def test_calls_that_depend_on_no_input_are_told(torch):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.positions = torch.nn.Embedding(8, 4)
            self.words = torch.nn.Embedding(8, 4)
            self.register_buffer("ids", torch.arange(8).expand((1, -1)))

        def forward(self, x):
            mask = torch.ones_like(x, dtype=torch.float32)
            mask[:, 0] = x[:, 0].float()
            return self.words(x) + self.positions(self.ids[:, : x.shape[1]]) * mask.unsqueeze(-1)

    found = watch(Model().eval(), torch.tensor([[1, 2, 3]])).flow.input_free
    assert "positions/aten::embedding#0" in found
    assert "/aten::ones_like#0" in found  # it takes the shape only
    assert "words/aten::embedding#0" not in found
    assert "/aten::mul#0" not in found  # the input was written into the mask
    assert "/aten::add#0" not in found


def test_what_is_drawn_could_not_be_stored(torch):
    class Model(torch.nn.Module):
        def forward(self, x):
            noise = torch.normal(0.0, 1.0, size=(2, 4)) * 2
            attention = torch.nn.functional.scaled_dot_product_attention
            ones = torch.ones(1, 1, 2, 4)
            dropped = torch.nn.functional.dropout(torch.zeros(2, 4), 0.5, training=True)
            return x + noise + attention(ones, ones, ones)[0, 0] + dropped

    found = watch(Model().eval(), torch.randn(2, 4)).flow.input_free
    assert {"/aten::ones#0", "/aten::zeros#0", "/aten::scaled_dot_product_attention#0"} <= found
    assert found.isdisjoint({"/aten::normal#0", "/aten::mul#0", "/aten::dropout#0"})


def test_ids_are_those_of_the_profile(torch):
    """The n-th call of an op in a module, nested calls left out."""
    module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)).eval()
    module.forward = lambda x: x + module[0](torch.ones(2, 4)) + module[1](torch.zeros(2, 4)).softmax(-1)
    found = watch(module, torch.randn(2, 4)).flow.input_free
    assert {call for call in found if "detach" not in call} == {
        "/aten::ones#0", "0/aten::linear#0", "/aten::zeros#0", "1/aten::linear#0", "/aten::softmax#0",
    }  # fmt: skip


def test_each_call_says_whose_result_it_reads(torch):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 6)

        def forward(self, x):
            a, b, c = self.linear(x).split(2, dim=-1)
            return c.transpose(0, 1) @ a.relu_() + b.sum()

    calls = watch(Model().eval(), torch.randn(2, 4)).flow.calls
    position = {call.id: i for i, call in enumerate(calls)}
    split, left, right = (position[f"/aten::{op}#0"] for op in ("split", "transpose", "relu_"))
    assert calls[split].sources == ((position["linear/aten::linear#0"], 0),)
    assert calls[left].sources == ((split, 2),)
    assert calls[right].sources == ((split, 0),)
    assert calls[position["/aten::matmul#0"]].sources == ((left, 0), (right, 0))
