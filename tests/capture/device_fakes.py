"""A session with a CUDA provider that needs no GPU: it notes what it is asked for, in order."""

from types import SimpleNamespace

import numpy as np


class Value:
    """A tensor somewhere."""

    def __init__(self, array, place):
        self.array, self.place = array, place

    def is_tensor(self):
        return True

    def shape(self):
        return list(self.array.shape)

    def element_type(self):
        return 1


class Binding:
    def __init__(self, session):
        self.session = session

    def bind_cpu_input(self, name, array):
        self.session.asked.append(("input", name, "cpu"))

    def bind_ortvalue_input(self, name, value):
        self.session.asked.append(("input", name, getattr(value, "place", "cpu")))

    def bind_output(self, name, device="cpu", index=0):
        self.session.asked.append(("output", name, f"{device}:{index}"))

    def bind_ortvalue_output(self, name, value):
        self.session.asked.append(("preallocated", name, value.place))

    def synchronize_inputs(self):
        self.session.asked.append(("synchronize", "inputs"))

    def synchronize_outputs(self):
        self.session.asked.append(("synchronize", "outputs"))

    def get_outputs(self):
        return [Value(np.zeros((1, 2), np.float32), "first run")]

    def copy_outputs_to_cpu(self):
        return [np.zeros((1, 2), np.float32)]


class Session:
    def __init__(self, *providers, options=None):
        self.providers = [*providers, "CPUExecutionProvider"]
        self.options = options or {}
        self.asked = []

    def get_providers(self):
        return self.providers

    def get_provider_options(self):
        return self.options

    def get_inputs(self):
        return [SimpleNamespace(name="x", type="tensor(float)", shape=[1, 2])]

    def get_outputs(self):
        return [SimpleNamespace(name="y", type="tensor(float)", shape=[1, 2])]

    def io_binding(self):
        return Binding(self)

    def run(self, names, feeds):
        self.asked.append(("run", "unbound"))
        return [np.zeros((1, 2), np.float32)]

    def run_with_iobinding(self, binding, options=None):
        self.asked.append(
            ("run", "graph" if options is None else options.get_run_config_entry("gpu_graph_id"))
        )
