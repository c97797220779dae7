"""Providers by name, their options and libraries, what they took, and whether they found a compiled engine."""

from types import SimpleNamespace

import msgspec
import pytest

from attrib.capture.config.options import check_options
from attrib.capture.config.provider_options import provider_libraries, provider_options
from attrib.capture.ort.engine import CacheWatch
from attrib.capture.ort.placement import (
    compiles,
    differing_names,
    partitioned_level,
    placement_of,
    write_placement,
)
from attrib.capture.session.commands import new_side, open_command, providers_of
from attrib.capture.system.probe import MODEL
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions
from attrib.model.execution_providers import provider_name
from attrib.model.placement import Part, PlacedNode, Placement

OPENVINO, CPU = "OpenVINOExecutionProvider", "CPUExecutionProvider"


@pytest.mark.parametrize(
    ("named", "full"),
    [
        ("openvino", OPENVINO),
        ("CPU", CPU),
        (OPENVINO, OPENVINO),
        ("MyOwnExecutionProvider", "MyOwnExecutionProvider"),
    ],
)
def test_short_names_stand_for_full_ones(named, full):
    assert provider_name(named) == full
    assert providers_of(CaptureOptions(model="m", providers=(named,))) == (full,)


@pytest.mark.parametrize(("device", "provider"), [("cpu", CPU), ("cuda", "CUDAExecutionProvider")])
def test_without_a_provider_it_is_the_device_s(device, provider):
    assert providers_of(CaptureOptions(model="m", device=device)) == (provider,)


def test_options_are_given_by_provider_and_the_last_one_holds():
    pairs = ["num_streams=1", "cpu:use_arena=0", f"{OPENVINO}:num_streams=2", "load=a=b"]
    assert provider_options(pairs, (OPENVINO, CPU)) == {
        OPENVINO: {"num_streams": "2", "load": "a=b"},
        CPU: {"use_arena": "0"},
    }


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("key", "is no"), ("=value", "is no"), (":key=value", "is no"), (f"{OPENVINO}:=x", "is no"),
        ("cuda:device_id=0", "CUDAExecutionProvider is not requested"),
    ],
)  # fmt: skip
def test_option_that_cannot_be_given_is_refused(pair, says):
    with pytest.raises(UsageError, match=says) as caught:
        check_options(CaptureOptions(model="m", providers=("openvino",), provider_options=(pair,)))
    assert caught.value.hint


def test_provider_of_an_option_that_is_nearly_right_is_suggested():
    with pytest.raises(UsageError) as caught:
        provider_options([f"{OPENVINO[:-1]}:a=b"], (OPENVINO,))
    assert caught.value.hint == f"did you mean {OPENVINO}?"


def test_library_must_be_a_file(tmp_path):
    file = tmp_path / "lib.so"
    file.touch()
    assert provider_libraries([f"openvino={file}"]) == {OPENVINO: str(file)}
    for pair in (f"x={tmp_path}", "x=", "=y", "x", f"x={file}.1"):
        with pytest.raises(UsageError):
            provider_libraries([pair])


@pytest.mark.parametrize(
    "given",
    [{"provider_options": ("a=b",)}, {"ort_python": "python"}, {"provider_libraries": ("a=/bin/sh",)}],
)
def test_provider_s_options_have_no_use_for_pytorch_alone(given):
    with pytest.raises(UsageError, match="no use when PyTorch is compared with itself"):
        check_options(CaptureOptions(model="m", against_itself="torch", **given))


def test_session_gets_the_options_and_the_manifest_no_path(tmp_path):
    library = tmp_path / "lib.so"
    library.touch()
    options = CaptureOptions(
        model="m", providers=("openvino",), provider_options=(f"cache_dir={tmp_path}/engines", "num_streams=1"),
        provider_libraries=(f"openvino={library}",),
    )  # fmt: skip
    command = open_command(options, tmp_path / "m.onnx", tmp_path / "i.npz", 2, "")
    side = new_side(options, "onnxruntime", "ort", 2)
    assert command.provider_options == {OPENVINO: {"cache_dir": f"{tmp_path}/engines", "num_streams": "1"}}
    assert command.provider_libraries == {OPENVINO: str(library)}
    assert side.provider_options == {OPENVINO: {"cache_dir": "engines", "num_streams": "1"}}
    assert side.provider_libraries == (OPENVINO,)


def session_with(*parts):
    """A session that says this of its placement."""

    def tell():
        for provider, *nodes in parts:
            held = [SimpleNamespace(name=name, op_type=op, domain="") for name, op in nodes]
            yield SimpleNamespace(ep_name=provider, get_nodes=lambda held=held: held)

    return SimpleNamespace(get_provider_graph_assignment_info=tell)


def test_placement_is_what_the_session_says(tmp_path):
    session = session_with((OPENVINO, ("a", "Add"), ("b", "Mul")), (CPU, ("n", "IsNaN")))
    placement, reason = placement_of(session)
    assert reason == ""
    assert [(part.provider, [node.name for node in part.nodes]) for part in placement.parts] == [
        (OPENVINO, ["a", "b"]),
        (CPU, ["n"]),
    ]
    write_placement(placement, tmp_path / "placement.json")
    assert msgspec.json.decode((tmp_path / "placement.json").read_bytes(), type=Placement) == placement


def test_version_that_cannot_tell_gives_the_reason():
    placement, reason = placement_of(SimpleNamespace())
    assert placement is None
    assert "since version 1.24" in reason


def test_session_that_fails_to_tell_costs_no_capture():
    def tell():
        raise RuntimeError("not recorded")

    placement, reason = placement_of(SimpleNamespace(get_provider_graph_assignment_info=tell))
    assert placement is None
    assert "not recorded" in reason


def placement(*parts):
    return Placement(
        parts=tuple(
            Part(provider=name, nodes=tuple(PlacedNode(name=n, op="Op") for n in nodes))
            for name, *nodes in parts
        )
    )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([(OPENVINO, "a", "b")], True),
        ([(OPENVINO, "a"), (CPU, "b")], False),
        ([(CPU, "a", "b")], False),
        ([], False),
    ],
)
def test_provider_that_took_several_nodes_compiles_them(parts, expected):
    assert compiles(placement(*parts)) is expected


def test_nothing_is_known_to_compile_without_a_placement():
    assert not compiles(None)


def test_names_that_a_graph_lacks_are_counted():
    held = placement((OPENVINO, "a", "b"), (CPU, "c"))
    assert differing_names(held, {"a": "Op", "b": "Op", "c": "Op", "d": "Op"}) == 0
    assert differing_names(held, {"a": "Op", "b": "Other"}) == 2


@pytest.mark.parametrize(
    ("level", "expected"),
    [("disabled", "disabled"), ("basic", "basic"), ("extended", "basic"), ("all", "basic")],
)
def test_graph_is_partitioned_after_the_basic_optimizations(level, expected):
    assert partitioned_level(level) == expected


def watched(options, providers=(OPENVINO,), writes=()):
    watch = CacheWatch({OPENVINO: options}, providers)
    for file in writes:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return watch.state()


def test_cache_is_cold_then_warm_then_partly_warm(tmp_path):
    options = {"cache_dir": str(tmp_path / "cache")}
    assert watched(options, writes=[tmp_path / "cache/a.blob"]) == "cold"
    assert watched(options) == "warm"
    assert watched(options, writes=[tmp_path / "cache/deep/b.blob"]) == "partly warm"


def test_cache_that_was_not_asked_for_is_off():
    assert watched({}) == "off"


def test_cache_of_a_provider_that_attrib_does_not_know_is_not_told():
    assert watched({}, ("MyOwnExecutionProvider",)) == ""


@pytest.mark.parametrize(("enabled", "state"), [("1", "cold"), ("True", "cold"), ("0", "off")])
def test_tensorrt_keeps_engines_where_its_options_say(tmp_path, enabled, state):
    provider = "TensorrtExecutionProvider"
    options = {"trt_engine_cache_enable": enabled, "trt_engine_cache_path": str(tmp_path)}
    watch = CacheWatch({provider: options}, (provider,))
    (tmp_path / "x.engine").touch()
    assert watch.state() == state


def test_model_of_the_probe_is_the_product_that_it_says():
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "x"], ["y"])], "probe", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    assert model.SerializeToString() == MODEL
