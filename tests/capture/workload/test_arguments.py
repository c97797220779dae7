"""Inputs as people really nest them: what is a tensor, what is a constant, and what each is called."""

import dataclasses
from collections import OrderedDict, namedtuple

import pytest

from attrib.errors import AttribError

pytestmark = pytest.mark.engines


@pytest.fixture(autouse=True)
def torch():
    return pytest.importorskip("torch")


def split(args, kwargs=None, parameters=("x", "state")):
    from attrib.capture.workload.arguments import split_call

    return split_call(args, kwargs or {}, parameters, "factory f")


@dataclasses.dataclass
class State:
    hidden: object
    cell: object
    name: str = "lstm"


Pair = namedtuple("Pair", ["first", "second"])


def test_tensors_have_the_names_of_their_parameters(torch):
    x, y = torch.zeros(1), torch.ones(1)
    arguments, tensors = split([x], {"mask": y})
    assert list(tensors) == ["x", "mask"]
    assert not arguments.is_fresh
    args, kwargs = arguments.fill(list(tensors.values()))
    assert args == (x,)
    assert kwargs == {"mask": y}


@pytest.mark.parametrize(
    ("state", "names"),
    [
        (lambda a, b: (a, b), ["state.0", "state.1"]),
        (lambda a, b: [a, [b]], ["state.0", "state.1.0"]),
        (lambda a, b: {"h": a, "c": b}, ["state.h", "state.c"]),
        (lambda a, b: OrderedDict(h=a, c=b), ["state.h", "state.c"]),
        (Pair, ["state.first", "state.second"]),
        (State, ["state.hidden", "state.cell"]),
        (lambda a, b: (a, None, 3, "text", 1.5, True, b), ["state.0", "state.6"]),
    ],
)
def test_nested_tensors_are_named_by_the_way_to_them(torch, state, names):
    x, a, b = (torch.full((1,), float(i)) for i in range(3))
    arguments, tensors = split([x, state(a, b)])
    assert list(tensors) == ["x", *names]
    assert [float(t) for t in tensors.values()] == [0, 1, 2]
    assert not arguments.is_fresh
    args, _ = arguments.fill([x, b, a])
    assert type(args[1]) is type(state(a, b))
    again, swapped = split(args)
    assert [float(t) for t in swapped.values()] == [0, 2, 1]
    assert again.names == arguments.names


class Cache:
    """What a model may change by its methods, as transformers' caches are."""

    def __init__(self, keys, values):
        self.keys, self.values = keys, values


def test_a_registered_class_is_made_anew_for_each_call(torch):
    from torch.utils import _pytree

    def named(it):
        return [(_pytree.GetAttrKey("keys"), it.keys), (_pytree.GetAttrKey("values"), it.values)], None

    _pytree.register_pytree_node(
        Cache,
        lambda it: ([it.keys, it.values], None),
        lambda both, _: Cache(*both),
        flatten_with_keys_fn=named,
    )
    arguments, tensors = split([torch.zeros(1), Cache(torch.ones(1), torch.full((1,), 2.0))])
    assert list(tensors) == ["x", "state.keys", "state.values"]
    assert arguments.is_fresh
    first, second = (arguments.fill(list(tensors.values()))[0][1] for _ in range(2))
    assert first is not second
    assert float(second.values) == 2.0


def test_a_cache_of_transformers_is_taken_apart_by_transformers_own_code(torch):
    from attrib.capture.workload.build import named_outputs

    transformers = pytest.importorskip("transformers")
    cache = transformers.DynamicCache()
    cache.update(torch.ones(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), 0)
    arguments, tensors = split([torch.zeros(1)], {"past_key_values": cache})
    assert list(tensors) == ["x", "past_key_values.0.key", "past_key_values.0.value"]
    assert arguments.is_fresh
    _, given = arguments.fill(list(tensors.values()))
    given["past_key_values"].update(torch.ones(1, 2, 1, 4), torch.ones(1, 2, 1, 4), 0)
    assert given["past_key_values"].get_seq_length() == 4
    _, again = arguments.fill(list(tensors.values()))
    assert again["past_key_values"].get_seq_length() == 3
    # A model that was given a cache returns it: its tensors are outputs.
    outputs = named_outputs({"logits": torch.zeros(2), "past_key_values": given["past_key_values"]})
    assert {name: tuple(tensor.shape) for name, tensor in outputs.items()} == {
        "logits": (2,),
        "present.0.key": (1, 2, 4, 4),
        "present.0.value": (1, 2, 4, 4),
    }


def test_what_holds_tensors_that_nobody_can_see_is_refused(torch):
    class Opaque:
        held = torch.zeros(1)

    with pytest.raises(AttribError, match="factory f gave a Opaque as input 'state'") as refused:
        split([torch.zeros(1), Opaque()])
    assert "register_pytree_node" in refused.value.hint


def test_a_call_without_any_tensor_is_a_call(torch):
    arguments, tensors = split([], {"training": False})
    assert tensors == {}
    assert arguments.fill([]) == ((), {"training": False})


def test_names_that_read_alike_stay_two(torch):
    _, tensors = split([], {"a": {"b": torch.zeros(1)}, "a.b": torch.ones(1)})
    assert len(tensors) == 2


def test_an_output_that_is_called_like_an_input_has_a_name_of_its_own(torch):
    from attrib.capture.workload.build import Built

    class Doubling(torch.nn.Module):
        def forward(self, x):
            return {"x": x + x, "y": x}

    arguments, tensors = split([], {"x": torch.ones(1)})
    built = Built(module=Doubling(), inputs=tensors, arguments=arguments, weights="")
    assert list(built.first_outputs()) == ["x.returned", "y"]
