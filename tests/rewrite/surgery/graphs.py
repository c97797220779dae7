"""Small graphs for the surgeries, and a rewrite as the worker does it."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from attrib.capture.ort.run_once import read_feeds, run_once
from attrib.capture.workload.inputs import save_inputs
from attrib.rewrite.registry import Job, ModelArchitecture
from attrib.rewrite.run import run_rewrites

N = helper.make_node
FLOAT, DOUBLE, HALF, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.INT64


def const(name, value, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def model_of(nodes, outputs, *, inputs=(("x", FLOAT, [2, 3, 4]),), constants=(), opset=20):
    """Outputs by name with their types; shapes are left to inference."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs],
        list(constants),
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


class Bed:
    """A folder in which rewrites are run on hand-made graphs."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    def rewrite(self, name, model, inputs, *, outputs=(), heads=0):
        """Rewrite; the new model, its settings and notes, and what both graphs give on the inputs."""
        self.count += 1
        own = self.folder / str(self.count)
        own.mkdir()
        onnx.save(model, own / "given.onnx")
        save_inputs(own / "inputs.npz", inputs)
        job = Job(
            source=own / "given.onnx",
            target=own / "rewritten.onnx",
            run=lambda file: run_once(file, own / "inputs.npz"),
            feeds=lambda file: read_feeds(file, own / "inputs.npz"),
            seed=0,
            gpu=False,
            architecture=lambda: ModelArchitecture(model_type="bert", heads=heads),
            outputs=lambda: tuple(outputs),
        )
        (done,) = run_rewrites((name,), job)
        before, after = (job.run(file) for file in (job.source, done.file))
        return Done(onnx.load(done.file), done.entry.settings, done.notes, before, after)


class Done:
    def __init__(self, model, settings, notes, before, after):
        self.model, self.settings, self.notes = model, settings, notes
        self.before, self.after = before, after

    @property
    def ops(self):
        return [node.op_type for node in self.model.graph.node]

    def assert_bit_equal(self):
        assert self.after.keys() == self.before.keys()
        for name, own in self.before.items():
            np.testing.assert_array_equal(own, self.after[name])
            assert own.dtype == self.after[name].dtype


def random_input(shape=(2, 3, 4), seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
