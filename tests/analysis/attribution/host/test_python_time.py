"""Modules that spend time in their own Python get a part of their own."""

import msgspec
import numpy as np
import pytest

from attrib.analysis.attribution.host.python_time import (
    conspicuous_modules,
    module_of_part,
    own_python,
    with_module_parts,
)
from attrib.model.work import ModulePython, Partition, Work

US = 1_000


def numbers(*values):
    return np.array(values, dtype=np.int64)


def partition(own_us, *, calls=None, marks=None, steps=3, wall_us=10_000, names=None):
    """One call of 1 ms, and modules with so many microseconds of Python each."""
    modules = tuple(names or (f"m{i}" for i in range(len(own_us))))
    python = ModulePython(
        modules=modules,
        own_ns=np.repeat(numbers(*own_us)[:, None] * US, steps, axis=1),
        calls=numbers(*(calls or [1] * len(own_us))),
        marks=numbers(*(marks or [0] * len(own_us))),
    )
    dispatch = np.full((1, steps), (wall_us - 1_000) * US)
    return Partition(
        engine="torch",
        work=(Work(id="c", engine="torch", op="aten::linear"),),
        parts=("torch dispatch",),
        work_ns=np.full((1, steps), 1_000 * US),
        parts_ns=dispatch,
        walls_ns=np.full(steps, wall_us * US),
        blocks=np.arange(steps),
        inside=numbers(1, 0),
        outside=numbers(0, len(own_us)),
        scopes=numbers(0, len(own_us)),
        python=python,
    )


class TestOwnPython:
    def test_gaps_belong_to_the_innermost_module(self):
        # outer 0-100 holds inner 20-60; calls: one of 10 in outer, one of 15 in inner
        own, calls, marks = own_python(
            numbers(0, 20), numbers(100, 60), numbers(0, 1), numbers(10, 15), begin=0, end=100
        )
        assert own.tolist() == [100 - 40 - 10, 40 - 15]
        assert calls.tolist() == [1, 1]
        assert marks.tolist() == [1, 0]

    def test_a_call_outside_every_module_is_nobodys(self):
        own, _, _ = own_python(numbers(50), numbers(60), numbers(-1), numbers(10), begin=0, end=100)
        assert own.tolist() == [10]

    def test_marks_are_cut_to_the_step(self):
        own, _, _ = own_python(numbers(0), numbers(100), numbers(), numbers(), begin=20, end=90)
        assert own.tolist() == [70]


class TestConspicuous:
    def test_one_busy_module(self):
        assert conspicuous_modules(partition([20, 22, 18, 900, 21])) == ("m3",)

    def test_the_model_itself_may_be_it(self):
        assert conspicuous_modules(partition([20, 22, 18, 900, 21], names=("a", "b", "c", "", "e"))) == ("",)

    def test_a_module_that_calls_much_may_spend_more(self):
        busy = partition([20, 22, 18, 900, 21], calls=[1, 1, 1, 20, 1], marks=[0, 0, 0, 12, 0])
        assert conspicuous_modules(busy) == ()

    def test_all_alike_and_a_small_share_pass(self):
        assert conspicuous_modules(partition([300] * 5)) == ()
        assert conspicuous_modules(partition([1, 1, 1, 40, 1])) == ()  # 0.4 % of the step

    def test_without_marks_nothing_is_known(self):
        bare = msgspec.structs.replace(partition([20]), python=None)
        assert conspicuous_modules(bare) == ()


class TestParts:
    def test_the_part_is_taken_out_of_dispatch(self):
        split = with_module_parts({"torch": partition([20, 22, 18, 900, 21])})["torch"]
        assert split.parts == ("torch dispatch", "Python of m3")
        assert split.parts_ns[:, 0].tolist() == [(9_000 - 900) * US, 900 * US]
        split.self_check()
        assert split.outside.tolist() == [0, 4, 1]
        assert len(split.inside) == len(split.scopes) == 3

    def test_both_sides_of_one_engine_get_the_same_parts(self):
        sides = with_module_parts(
            {
                "torch": partition([20, 22, 18, 900, 21]),
                "onnxruntime": partition([20, 22, 18, 25, 21]),
            }
        )
        assert sides["torch"].parts == sides["onnxruntime"].parts

    def test_nothing_conspicuous_leaves_everything_as_it_was(self):
        given = partition([300] * 5)
        assert with_module_parts({"torch": given})["torch"] is given

    def test_more_python_than_dispatch_is_not_believed(self):
        crooked = partition([20, 22, 18, 9_500, 21])
        split = with_module_parts({"torch": crooked})["torch"]
        split.self_check()
        assert split.parts_ns.min() >= 0

    @pytest.mark.parametrize(
        ("part", "module"), [("Python of a.b", "a.b"), ("Python of (root)", ""), ("torch dispatch", "")]
    )
    def test_module_of_a_part(self, part, module):
        assert module_of_part(part) == module
