"""`attrib export` as a user meets it."""

import json

import pytest


def test_every_format_at_once(cli, sample, tmp_path):
    done = cli(
        "export", sample, "--perfetto", tmp_path / "trace.json", "--parquet", tmp_path / "p", "--csv", tmp_path / "c",
        "--model-explorer", tmp_path / "nodes.json", "--bmf", tmp_path / "bmf.json",
        "--github-action-benchmark", tmp_path / "gab.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    paths = done.stdout.split()
    assert len(paths) == 4 + 6
    for name in ("trace.json", "nodes.json", "bmf.json", "gab.json"):
        assert json.loads((tmp_path / name).read_bytes())
    assert len(json.loads((tmp_path / "nodes.json").read_bytes())["results"]) > 100


@pytest.mark.parametrize(("args", "code"), [((), 2), (("--perfetto", "there.json"), 2)])
def test_nothing_asked_and_a_file_that_is_there(cli, sample, tmp_path, args, code):
    (tmp_path / "there.json").write_text("mine")
    done = cli("export", sample, *args, cwd=tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert (tmp_path / "there.json").read_text() == "mine"


def test_a_file_of_the_capture_is_not_replaced(cli, sample_copy):
    trace = sample_copy / "torch" / "trace.json.gz"
    before = trace.read_bytes()
    done = cli("export", sample_copy, "--perfetto", trace, "--force")
    assert done.returncode == 2
    assert "is a file of the capture" in done.stderr
    assert trace.read_bytes() == before
