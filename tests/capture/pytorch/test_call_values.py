"""What the calls of a step take and return, as it is written for the comparison."""

import pytest

pytestmark = pytest.mark.engines


@pytest.fixture(autouse=True)
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def recorded(tmp_path):
    """Records one step of a module; the index, and the tensors."""
    from attrib.capture.pytorch.call_values import record_step
    from attrib.capture.workload.recorded_step import read_index, read_tensors

    def record(module, *inputs, most_bytes=1 << 20):
        index = record_step(module, inputs, lambda: module(*inputs), tmp_path, most_bytes)
        return read_index(index), read_tensors(index)

    return record


def module_of(torch, forward):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(8, 8)

        def forward(self, *inputs):
            return forward(self, *inputs)

    torch.manual_seed(0)
    return Model().eval()


def test_calls_have_the_ids_of_the_flow_and_the_numbers_that_they_made(torch, recorded):
    from attrib.capture.pytorch.dataflow_tracer import trace_dataflow

    module = module_of(torch, lambda self, x: torch.relu(self.linear(x)))
    x = torch.randn(4, 8)
    step, tensors = recorded(module, x)
    flow = trace_dataflow(module, [x], lambda: module(x)).flow
    assert [call.id for call in step.calls] == [call.id for call in flow.calls]
    linear, relu = step.calls
    (taken,), (made,) = linear.inputs, linear.outputs
    assert (tensors[taken] == x.numpy()).all()
    with torch.inference_mode():
        assert (tensors[made] == module.linear(x).numpy()).all()
        assert (tensors[relu.outputs[0]] == module(x).numpy()).all()
    assert relu.inputs == (made,)


def test_views_of_one_result_are_one_tensor_with_the_most_axes(torch, recorded):
    module = module_of(torch, lambda self, x: self.linear(x).view(4, 2, 4).transpose(1, 2).unsqueeze(0) + 1)
    step, tensors = recorded(module, torch.randn(4, 8))
    linear, view, transpose, unsqueeze, _ = step.calls
    assert linear.outputs == view.outputs == transpose.outputs == unsqueeze.outputs
    assert tensors[linear.outputs[0]].shape == (4, 2, 4)


def test_parts_of_a_result_are_tensors_of_their_own(torch, recorded):
    module = module_of(torch, lambda self, x: torch.cat([*self.linear(x).split(4, -1)][::-1], -1))
    step, tensors = recorded(module, torch.randn(4, 8))
    linear, split, cat = step.calls
    assert len({*linear.outputs, *split.outputs, *cat.outputs}) == 4
    assert tensors[split.outputs[1]].shape == (4, 4)
    assert cat.inputs == split.outputs[::-1]


def test_a_tensor_that_is_written_into_is_another_one_from_then_on(torch, recorded):
    def forward(self, x):
        made = self.linear(x)
        rows = made[:2]
        rows.mul_(2)
        return made + rows.sum()

    step, tensors = recorded(module_of(torch, forward), torch.randn(4, 8))
    linear, _, mul, _, add = step.calls
    assert mul.outputs != mul.inputs[:1]
    before, after = tensors[linear.outputs[0]], tensors[add.inputs[0]]
    assert (before[:2] * 2 == after[:2]).all()
    assert (before[2:] == after[2:]).all()


def test_types_that_numpy_lacks_are_written_as_float(torch, recorded):
    step, tensors = recorded(
        module_of(torch, lambda self, x: self.linear(x).bfloat16() * 2), torch.randn(4, 8)
    )
    assert str(tensors[step.calls[-1].outputs[0]].dtype) == "float32"


def test_what_has_no_place_is_left_out_and_counted(torch, recorded):
    step, tensors = recorded(
        module_of(torch, lambda self, x: torch.relu(self.linear(x))), torch.randn(4, 8), most_bytes=300
    )
    assert step.left_out == 1
    assert step.calls[-1].outputs == (-1,)
    assert len(tensors) == 2
