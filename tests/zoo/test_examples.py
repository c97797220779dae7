import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest

from attrib.capture.workload.sources import resolve_source
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions
from attrib.zoo.examples import EXAMPLE_BATCH, EXAMPLES
from attrib.zoo.names import BUILT_IN


def test_names_of_examples_are_names_of_no_published_model():
    assert len(set(BUILT_IN)) == len(BUILT_IN)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_found_by_name_with_a_batch_that_shows_something(name):
    source = resolve_source(CaptureOptions(model=name))
    assert (source.kind, source.source, source.batch_size) == ("example", "built-in", EXAMPLE_BATCH)
    assert EXAMPLES[name].about


@pytest.mark.parametrize(
    "given", [{"seq_len": 8}, {"layers": 1}, {"task": "fill-mask"}, {"padding": 0.5}, {"text": ("a",)}]
)
def test_option_that_an_example_has_no_room_for_is_refused(given):
    option = next(iter(given)).replace("_", "-")
    with pytest.raises(UsageError, match=f"--{option} does not apply to two-linears"):
        resolve_source(CaptureOptions(model="two-linears", **given))


def test_table_of_examples_imports_no_engine():
    code = "import sys, attrib.zoo.names; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.engines
class TestModules:
    def built(self, name, rows=4):
        import torch

        from attrib.zoo.modules import BUILDERS

        torch.manual_seed(0)
        module, inputs = BUILDERS[name](rows)
        return module.eval(), inputs

    def test_every_example_has_a_module(self):
        from attrib.zoo.modules import BUILDERS

        assert BUILDERS.keys() == EXAMPLES.keys()

    @pytest.mark.parametrize("name", EXAMPLES)
    def test_batch_is_the_number_of_rows_and_no_two_weights_are_equal(self, name):
        module, inputs = self.built(name, 6)
        assert module(**inputs).shape[0] == inputs["x"].shape[0] == 6
        weights = [tuple(p.flatten()[:4].tolist()) for p in module.parameters()]
        assert len(set(weights)) == len(weights)

    def test_the_tensor_chooses_the_branch(self):
        import torch

        module, inputs = self.built("two-branches-if")
        both, _ = self.built("two-branches-where")
        both.load_state_dict(module.state_dict())
        for chosen in (torch.tensor(True), torch.tensor(False)):
            expected = (module.if_true if chosen else module.if_false)(inputs["x"])
            assert torch.equal(module(inputs["x"], chosen), expected)
            assert torch.equal(both(inputs["x"], chosen), expected)

    @pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
    @pytest.mark.parametrize(
        ("name", "ops"), [("two-branches", {"Gemm": 1}), ("two-branches-where", {"Gemm": 2, "Where": 1})]
    )
    def test_exporters_write_what_the_example_is_for(self, name, ops, exporter, tmp_path):
        assert self.exported(name, exporter, tmp_path) == ops

    @pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
    def test_either_exporter_writes_the_choice_as_an_if_with_both_branches(self, exporter, tmp_path):
        ops = self.exported("two-branches-if", exporter, tmp_path)
        assert (ops["If"], ops["Gemm"]) == (1, 2)

    def exported(self, name, exporter, folder):
        from attrib.analysis.lineage.reader import graph_from_bytes
        from attrib.capture.export.engine import ExportEngine
        from attrib.capture.workers.messages import Export, Recipe

        recipe = Recipe(
            kind="example", location=name, task="", batch_size=4, seq_len=None, device="cpu", precision="fp32",
            attention="sdpa", seed=0, padding=0.0,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporters' own
            done = ExportEngine().export(
                Export(recipe=recipe, exporter=exporter, opset=None, folder=str(folder))
            )
        graph = graph_from_bytes(Path(done.model).read_bytes(), "g")
        return Counter(node.op for node in graph.nodes if node.op != "Cast")
