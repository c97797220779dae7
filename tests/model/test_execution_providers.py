"""Adding an execution provider is adding one row: every place that knows providers asks the table."""

import ast
import re
from pathlib import Path

import pytest

from attrib.analysis.match.compiled import is_compiled
from attrib.capture.config.provider_options import thread_options
from attrib.capture.ort.engine import CacheWatch
from attrib.capture.ort.session import session_of
from attrib.capture.session.commands import providers_of
from attrib.capture.system import providers as probes
from attrib.capture.workers.messages import Open
from attrib.errors import AttribError
from attrib.findings.evidence.placement import nodes_outside, requested_provider
from attrib.model import execution_providers
from attrib.model.capture_options import CaptureOptions
from attrib.model.execution_providers import (
    CPU_PROVIDER,
    PROVIDERS,
    ExecutionProvider,
    asynchronous_of,
    package_of,
    provider_name,
    provider_row,
    uses_cuda,
)
from attrib.model.work import Work
from tests.findings.evidence_factory import manifest
from tests.findings.rules.devices.test_devices import finding, session

DUMMY = ExecutionProvider(
    name="DummyExecutionProvider",
    short_name="dummy",
    package="onnxruntime-dummy",
    device="cuda",
    asynchronous=True,
    thread_option="dummy_threads",
    cache_option="dummy_cache",
    systems=("Linux",),
    cure="pip install onnxruntime-dummy",
)
PART = ("DummyExecutionProvider_Dummy-subgraph_1_0", "Dummy-subgraph_1", DUMMY.name)
NODE = ("node_IsNaN", "IsNaN", CPU_PROVIDER)


@pytest.fixture
def dummy(monkeypatch):
    monkeypatch.setattr(execution_providers, "PROVIDERS", (*PROVIDERS, DUMMY))
    return DUMMY


def test_names_are_given_once():
    names = [row.name for row in PROVIDERS]
    short = [row.short_name for row in PROVIDERS if row.short_name]
    assert len(set(names)) == len(names)
    assert len(set(short)) == len(short)


def test_a_provider_without_a_row_has_the_defaults():
    row = provider_row("MyOwnExecutionProvider")
    assert (row.package, row.device, row.asynchronous) == ("onnxruntime", "", False)
    assert provider_name("") == ""


def test_its_short_name_is_accepted(dummy):
    assert providers_of(CaptureOptions(model="m", providers=(" Dummy",))) == (dummy.name,)


def test_its_package_is_named_where_the_build_lacks_it(dummy, tmp_path):
    command = Open(
        model=str(tmp_path / "m.onnx"), inputs="", precision="fp32", threads=1, opt_level="all",
        providers=(dummy.name,), io_binding=False, folder=str(tmp_path),
    )  # fmt: skip
    with pytest.raises(AttribError) as refused:
        session_of(command)
    assert "onnxruntime-dummy" in refused.value.hint
    assert package_of([CPU_PROVIDER, dummy.name]) == "onnxruntime-dummy"


def test_doctor_names_it_where_people_ask_for_it(dummy, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Linux")
    found = probes.probe_providers(probes.RuntimeInfo(available=()))
    assert "onnxruntime-dummy" in next(status.reason for status in found if status.name == dummy.name)


def test_its_threads_cache_and_device_are_known(dummy, tmp_path):
    assert thread_options([CPU_PROVIDER, dummy.name], 3) == {dummy.name: {"dummy_threads": "3"}}
    assert CacheWatch({dummy.name: {"dummy_cache": str(tmp_path)}}, (dummy.name,)).state() == "cold"
    assert uses_cuda([dummy.name])
    assert asynchronous_of([CPU_PROVIDER, dummy.name]) == {dummy.name}
    assert dummy.computes_on({}) == "cuda"


def test_its_compiled_nodes_are_recognized_and_what_ran_elsewhere_is_outside(dummy):
    assert is_compiled(Work(id=PART[0], engine="onnxruntime", op=PART[1], provider=PART[2]))
    sides = {"requested_providers": (dummy.name,), "providers": (dummy.name, CPU_PROVIDER)}
    given = session(PART, NODE, manifest=manifest(onnxruntime=sides))
    assert requested_provider(given) == dummy.name
    assert [node.id for node in nodes_outside(given, dummy.name)] == [NODE[0]]


def test_the_report_says_how_to_bring_it_back(dummy):
    fallen = manifest(onnxruntime={"requested_providers": (dummy.name,), "providers": (CPU_PROVIDER,)})
    assert dummy.cure in finding("provider-not-used", session(NODE, manifest=fallen)).fix


LITERAL = re.compile(r"\w+ExecutionProvider")


def test_no_other_module_spells_a_provider(root: Path):
    """`probe.py` runs under other interpreters and imports nothing of attrib."""
    allowed = {root / "attrib/model/execution_providers.py", root / "attrib/capture/system/probe.py"}
    spelled = [
        f"{file.relative_to(root)}:{node.lineno}"
        for file in sorted(set((root / "attrib").rglob("*.py")) - allowed)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and LITERAL.fullmatch(node.value)
    ]
    assert spelled == []
