"""`attrib verify --against-ort` with real engines: the same build in another environment, which must show no difference."""

import json
import subprocess
import sys

import msgspec
import pytest

from attrib.api import load
from attrib.model.experiment import ExperimentResult
from attrib.report.files import render

pytestmark = [pytest.mark.engines, pytest.mark.slow]


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """The interpreter of an environment that has this one's packages."""
    folder = tmp_path_factory.mktemp("twin")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    paths = [path for path in sys.path if path.endswith("site-packages")]
    (site / "here.pth").write_text("\n".join(paths))
    return folder / "bin/python"


@pytest.fixture(scope="module")
def measured(twin, cli, tmp_path_factory):
    """A capture that was compared with its own build, and what was printed."""
    root = tmp_path_factory.mktemp("builds") / "trace"
    done = cli("profile", "--model", "bert-base-uncased", "--layers", "1", "--seq-len", "16", "-o", root)
    assert done.returncode == 0, done.stderr
    done = cli("verify", root, "--against-ort", twin, "--launches", "2", "--rounds", "4")
    assert done.returncode == 0, done.stderr
    return root, done.stdout


@pytest.fixture(scope="module")
def result(measured):
    (file,) = (measured[0] / "verify").glob("against-*.json")
    return msgspec.json.decode(file.read_bytes(), type=ExperimentResult)


def test_same_build_is_named_as_such_and_computes_the_same(measured, result):
    assert "against itself (A/A" in measured[1]
    assert result.builds.same
    assert result.outputs
    assert all(output.max_abs == 0 for output in result.outputs)


def test_nodes_sum_to_what_was_profiled_and_are_the_same_ones(result):
    builds = result.builds
    for side in ("before", "after"):
        whole = sum(getattr(change, side).ns for change in builds.changes)
        assert whole == getattr(builds, side).node_ns
    assert builds.matched == "graph"
    assert not any(change.rewritten for change in builds.changes)
    assert sum(len(c.before.nodes) + c.before.more for c in builds.changes) == builds.before.nodes
    assert any("attention" in change.module for change in builds.changes)
    assert builds.before.node_ns < builds.before.node_ns + builds.before.outside_ns


def test_report_shows_it_in_every_form_and_says_no_place(measured, result, twin):
    document = load(measured[0]).document
    for form in ("html", "markdown", "json"):
        text = render(document, form).decode()
        assert result.builds.after.name in text
        assert str(twin.parent.parent) not in text
    assert str(twin.parent.parent) not in json.dumps(msgspec.to_builtins(result))
