"""`--torch-mode` and `--autocast` through whole captures, and what the options mean to the workers."""

import pytest

from attrib.capture import CaptureOptions, capture
from attrib.capture.config.options import check_options
from attrib.capture.session.commands import export_command, load_command, open_command
from attrib.capture.workload.sources import resolve_source
from attrib.errors import UsageError
from attrib.traces import open_directory


def test_autocast_needs_a_lower_precision():
    with pytest.raises(UsageError, match="lower precision") as caught:
        check_options(CaptureOptions(model="m", autocast=True))
    assert "bf16" in caught.value.hint


@pytest.mark.parametrize(("autocast", "weights"), [(True, "fp32"), (False, "bf16")])
def test_under_autocast_the_model_is_built_and_exported_in_fp32(factories, tmp_path, autocast, weights):
    options = CaptureOptions(model=f"{factories}:positional", precision="bf16", autocast=autocast)
    source = resolve_source(options)
    load = load_command(options, source, 1, "")
    assert load.recipe.precision == weights
    assert load.autocast == ("bf16" if autocast else None)
    assert export_command(options, source, "").recipe.precision == weights
    assert open_command(options, tmp_path, tmp_path, 1, "").precision == weights


@pytest.mark.engines
@pytest.mark.parametrize("autocast", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_traced_model_is_captured_with_what_its_calls_cover(factories, tmp_path, autocast):
    options = CaptureOptions(
        model=f"{factories}:positional", output=tmp_path / "trace", torch_mode="jit", iterations=3, rounds=3,
        warmup=3, launches=1, max_time=0.0, threads=1, precision="bf16" if autocast else "fp32", autocast=autocast,
    )  # fmt: skip
    found = open_directory(capture(options))
    assert found.manifest is not None
    side = found.manifest.sides["torch"]
    assert (side.mode, side.settings["kernel_origins"]) == ("jit", "recorded by torchscript")
    assert side.settings.get("autocast") == ("bf16" if autocast else None)
    compiled = found.compiled("torch")
    assert compiled is not None
    scopes = {m.scope for graph in compiled.graphs for launch in graph.launches for m in launch.members}
    assert scopes == {"", "first", "second"}
    assert all(row.equal for row in found.outputs())
