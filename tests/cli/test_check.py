"""`attrib check` as continuous integration meets it: one line a limit, and the exit code."""

import json

import msgspec
import pytest

from attrib.model.document import Judgement
from attrib.model.estimate import Delta, Estimate
from attrib.model.experiment import ExperimentResult
from attrib.report.json_report import from_json, to_json


@pytest.fixture(scope="module")
def saved(sample_analysis, tmp_path_factory):
    """report.json of the sample, as if its step were known to half a percent."""
    doc = sample_analysis.document
    ort = doc.latency.onnxruntime_ns
    known = msgspec.structs.replace(ort, low=round(ort.median * 0.995), high=round(ort.median * 1.005))
    latency = msgspec.structs.replace(doc.latency, onnxruntime_ns=known)
    path = tmp_path_factory.mktemp("saved") / "report.json"
    path.write_bytes(
        to_json(msgspec.structs.replace(doc, latency=latency, judgement=Judgement(significant=True)))
    )
    return path


@pytest.fixture
def slower(saved, tmp_path):
    """Writes the report with another step of ONNX Runtime; the fixture is called with the factor."""

    def write(factor, **changes):
        doc = from_json(saved.read_bytes())
        ort = doc.latency.onnxruntime_ns
        scaled = {name: round(getattr(ort, name) * factor) for name in ("median", "low", "high")}
        latency = msgspec.structs.replace(doc.latency, onnxruntime_ns=msgspec.structs.replace(ort, **scaled))
        path = tmp_path / "report.json"
        path.write_bytes(to_json(msgspec.structs.replace(doc, latency=latency, **changes)))
        return path

    return write


def test_a_capture_beside_itself_passes(cli, saved):
    done = cli("check", saved, "--baseline", saved, "--max-delta", "5%")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith("passed: max-delta: ONNX Runtime's step changed by")


def test_a_regression_fails_with_1(cli, saved, slower):
    done = cli("check", slower(1.2), "--baseline", saved, "--max-delta", "5%")
    assert done.returncode == 1
    assert done.stdout.startswith("failed: max-delta")
    assert "broken: max-delta" in done.stderr


def test_a_busy_machine_is_inconclusive_with_4_and_the_way_to_decide(cli, saved, slower):
    done = cli(
        "check", slower(1.01, judgement=Judgement(busy=True)), "--baseline", saved, "--max-delta", "5%"
    )
    assert done.returncode == 4
    assert "to decide it, on a machine that does nothing else: `attrib profile" in done.stdout


def in_turns(change):
    """An experiment that changes a step of 10 ms by this share, give or take half a percent."""
    step, ns = Estimate(median=10_000_000, low=9_000_000, high=11_000_000, n=60), round(-change * 10_000_000)
    return ExperimentResult(
        id="against-onnxruntime-1.22.1", title="Another build", side="onnxruntime", state="measured",
        baseline_ns=step, variant_ns=step, saving_ns=Delta(median=ns, low=ns - 50_000, high=ns + 50_000),
    )  # fmt: skip


@pytest.mark.parametrize(("change", "code", "state"), [(0.1, 1, "failed"), (0.0, 0, "passed")])
def test_what_was_measured_in_turns_settles_a_few_percent(cli, slower, change, code, state):
    report = slower(1.0, experiments=(in_turns(change),))
    done = cli("check", report, "--experiment", "against-onnxruntime-1.22.1", "--max-delta", "5%")
    assert done.returncode == code, done.stderr
    assert done.stdout.startswith(f"{state}: max-delta: Another build: ONNX Runtime's step changes by")


def test_a_baseline_in_a_file_is_not_that_of_an_experiment(cli, slower, tmp_path):
    (tmp_path / "attrib.toml").write_text('[check]\nmax-delta = "5%"\nbaseline = "nowhere"\n')
    report = slower(1.0, experiments=(in_turns(0.1),))
    done = cli("check", report, "--experiment", "against-onnxruntime-1.22.1", cwd=tmp_path)
    assert (done.returncode, "limit +5 %" in done.stdout) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--experiment", "against-onnxruntime-1.22.2", "--max-delta", "5%"), "did you mean against-onnxruntime-1.22.1?"),
        (("--experiment", "x", "--max-delta", "5%"), "measured are against-onnxruntime-1.22.1"),
        (("--experiment", "x", "--max-ratio", "1"), "--max-delta is its limit"),
        (("--experiment", "x", "--max-delta", "5%", "--baseline", "y"), "takes the place of --baseline"),
    ],
)  # fmt: skip
def test_an_experiment_that_cannot_be_held_against_a_limit_is_2(cli, slower, args, said):
    done = cli("check", slower(1.0, experiments=(in_turns(0.0),)), *args)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_missing_baseline_or_capture_is_3(cli, saved, tmp_path):
    assert cli("check", saved, "--baseline", tmp_path / "none", "--max-delta", "5%").returncode == 3
    assert cli("check", tmp_path / "none", "--max-delta", "5%").returncode == 3


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "no limit to check"),
        (("--max-delta", "five"), "is no limit"),
        (("--rule", "nothing=fail"), "there is no rule"),
        (("--rule", "layout-churn=loud"), "is no level"),
        (("--rule", "layout-churn"), "no level"),
        (("--max-ratio", "-1"), "no positive number"),
    ],
)
def test_what_makes_no_sense_is_2_and_one_line(cli, saved, tmp_path, args, said):
    done = cli("check", saved, *args, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "table"), [("pyproject.toml", "tool.attrib.check"), ("attrib.toml", "check")]
)
def test_limits_may_stand_in_a_file_and_options_come_first(cli, saved, slower, tmp_path, name, table):
    report = slower(1.2)
    (tmp_path / name).write_text(
        f'[{table}]\nmax-delta = "5%"\nbaseline = "{saved.as_posix()}"\n[{table}.rules]\nlayout-churn = "ignore"\n'
    )
    assert cli("check", report, cwd=tmp_path).returncode == 1
    assert cli("check", report, "--max-delta", "50%", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "not toml [",
        "[tool.attrib]\ncheck = 3\n",
        "[tool.attrib.check]\nfaster = true\n",
        '[tool.attrib.check]\nrules = "all"\n',
        "[tool.attrib.check.rules]\nlayout-churn = 3\n",
    ],
)
def test_a_broken_file_is_one_line(cli, saved, tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    done = cli("check", saved, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_level_on_the_command_line_leaves_the_file_s_levels_of_other_rules(cli, saved, tmp_path):
    (tmp_path / "attrib.toml").write_text('[check.rules]\nlayout-churn = "loud"\n')
    done = cli("check", saved, "--rule", "page-faults=ignore", cwd=tmp_path)
    assert (done.returncode, "layout-churn: 'loud' is no level" in done.stderr) == (2, True), done.stderr


def test_a_baseline_in_a_file_lies_beside_that_file(cli, saved, tmp_path):
    (tmp_path / "perf").mkdir()
    (tmp_path / "perf/base.json").write_bytes(saved.read_bytes())
    (tmp_path / "attrib.toml").write_text('[check]\nmax-delta = "5%"\nbaseline = "perf/base.json"\n')
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)
    done = cli("check", saved, cwd=below)
    assert done.returncode == 0, done.stderr
    assert "passed: max-delta" in done.stdout


def test_quiet_prints_what_does_not_hold_only(cli, saved, slower):
    limits = ("--baseline", saved, "--max-delta", "5%", "--max-ratio", "0.9")
    done = cli("check", "-q", saved, *limits)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    broken = cli("check", "-q", slower(1.2), *limits)
    assert broken.returncode == 1
    assert [line.split(": ")[:2] for line in broken.stdout.splitlines()] == [["failed", "max-delta"]]
    every = cli("check", "-q", saved, *limits, "--format", "json")
    assert len(json.loads(every.stdout)) == 2


def test_json_and_markdown(cli, saved):
    done = cli("check", saved, "--max-ratio", "0.9", "--format", "json")
    assert json.loads(done.stdout)[0]["name"] == "max-ratio"
    assert "**max-ratio** passed" in cli("check", saved, "--max-ratio", "0.9", "--format", "markdown").stdout
