"""Plants of the benchmark of truth: they keep what the graph computes, and ONNX Runtime does not take them out."""

from functools import partial

import numpy as np
import planting
import pytest
from onnx import TensorProto
from plants import casts, decomposed
from plants.graphs import void_reason, write_planted
from plants.plant import Plant
from plants.table import PLANTS

IN_GRAPH = [plant for plant in PLANTS if plant.edit]
ROUNDING = 0.02
"""What a rounding to bfloat16 may change in outputs of the size of one."""


@pytest.fixture(scope="module")
def unplanted(tiny_bert):
    optimized = tiny_bert.with_name("unplanted_ran.onnx")
    return planting.ran(tiny_bert, optimized), optimized


def planted(plant, exported):
    graph = write_planted(plant, exported, exported.with_name(f"{plant.name}.onnx"))
    optimized = graph.with_name(f"{plant.name}_ran.onnx")
    return planting.ran(graph, optimized, plant.options.get("opt_level", "all")), optimized


@pytest.mark.parametrize("plant", IN_GRAPH, ids=lambda plant: plant.name)
def test_plant_is_executed_and_keeps_the_outputs(plant, tiny_bert, unplanted):
    outputs, optimized = planted(plant, tiny_bert)
    before, unplanted_ran = unplanted
    assert void_reason(plant, optimized, unplanted_ran) == ""
    tolerance = ROUNDING if plant.changes_numbers else 1e-4
    for name, expected in before.items():
        np.testing.assert_allclose(outputs[name], expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    "edit",
    [
        partial(casts.pairs_before, linears=("encoder.layer.0.output.dense",), to=(TensorProto.DOUBLE,)),
        partial(casts.pairs_before, linears=()),
    ],
    ids=["pair that loses nothing", "nothing at all"],
)
def test_a_plant_that_onnxruntime_removes_is_void(edit, tiny_bert, unplanted):
    plant = Plant(name="void", kind="", place="", findings=(), causes=(), where=(), edit=edit)
    _, optimized = planted(plant, tiny_bert)
    assert void_reason(plant, optimized, unplanted[1])


def test_a_plant_that_is_executed_less_often_than_it_says_is_void(tiny_bert, unplanted):
    edit = partial(decomposed.gelus, modules=("encoder.layer.0.intermediate.intermediate_act_fn",))
    plant = Plant(
        name="half", kind="", place="", findings=(), causes=(), where=(), edit=edit, adds={"Erf": 2}
    )
    _, optimized = planted(plant, tiny_bert)
    assert void_reason(plant, optimized, unplanted[1]) == "ONNX Runtime removed Erf"


def test_plants_have_names_of_their_own():
    assert len({plant.name for plant in PLANTS}) == len(PLANTS)
