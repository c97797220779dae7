"""`attrib diff` as a user meets it."""

import json

import pytest


@pytest.fixture(scope="module")
def reports(cli, tmp_path_factory, sample):
    """report.json of the sample, in a directory as a user has it."""
    folder = tmp_path_factory.mktemp("saved")
    done = cli("report", sample, "-o", folder / "report.json")
    assert done.returncode == 0, done.stderr
    return folder / "report.json"


def test_a_capture_and_its_own_report_are_the_same(cli, sample, reports):
    done = cli("diff", sample, reports)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("No significant change of ONNX Runtime and PyTorch")
    assert "Nothing that a capture records is different." in done.stdout
    assert f"before: {sample.name} · after: {reports.parent.name}" in done.stdout


def test_two_models_are_not_compared_and_strict_says_so_by_its_exit_code(cli, sample):
    other = sample.with_name("distilbert-base-uncased")
    done = cli("diff", sample, other)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "These captures cannot be compared: the steps did different work (model: bert-base"
    )
    strict = cli("diff", sample, other, "--strict")
    assert strict.returncode == 4
    assert "cannot be compared" in strict.stderr
    assert "Traceback" not in strict.stderr


@pytest.mark.parametrize("suffix", ["html", "md", "json", "txt"])
def test_the_suffix_chooses_the_format(cli, sample, reports, tmp_path, suffix):
    target = tmp_path / f"diff.{suffix}"
    done = cli("diff", sample, reports, "-o", target)
    assert (done.returncode, done.stdout.strip()) == (0, str(target)), done.stderr
    assert target.stat().st_size
    again = cli("diff", sample, reports, "-o", target)
    assert again.returncode == 2
    assert "exists" in again.stderr
    assert cli("diff", sample, reports, "-o", target, "--force").returncode == 0


def test_stdout_takes_any_format(cli, sample, reports):
    done = cli("diff", sample, reports, "-o", "-", "--format", "json")
    found = json.loads(done.stdout)
    assert sum(work["change_ns"]["median"] for work in found["work"]) == found["delta_ns"]["median"] == 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nowhere", None, "cannot be read"),
        ("report.json", b"not json", "report.json cannot be read"),
        ("report.json", b'{"schema_version": 99}', "schema version"),
    ],
)
def test_what_is_no_capture_is_one_line(cli, sample, tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = cli("diff", sample, path)
    assert done.returncode == 3
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("kind", ["report", "diff"])
def test_the_schemas_are_printed(cli, kind):
    done = cli("schema", kind)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["title"] == f"attrib {kind}, version 1"
