"""The goals of `check.py`, which gates it asks for, and the slower build that it plants."""

import json
import subprocess
import time

import check
import pytest
from check_build import interpreter
from check_stretch import stretched

P, F, N = check.PASSED, check.FAILED, check.INCONCLUSIVE


@pytest.mark.parametrize(
    ("kind", "codes", "met"),
    [
        ("A/A", [P, P, N], True),
        ("A/A", [P, P, P, F], False),
        ("A/A", [P, N], False),  # half is not most
        ("A/A in turns", [N, N, N], False),
        ("+10 %", [N, F, N], True),
        ("+10 %", [N, P], False),
        ("+10 % in turns", [F, F], True),
        ("+10 % in turns", [F, N], False),
        ("+1 %, busy", [N, N], True),
        ("+1 %, busy", [N, P], False),
        ("no baseline", [check.MISSING], True),
        ("no baseline", [70], False),
    ],
)
def test_goals(kind, codes, met):
    assert check.GOALS[kind].met(codes) is met
    last = check.table({kind: codes}, {kind: "5%"}).splitlines()[-1]
    assert last.endswith("| yes |" if met else "| **no** |")


@pytest.mark.parametrize("kind", check.GOALS)
def test_no_gate_meets_no_goal(kind):
    assert not check.GOALS[kind].met([])


def test_exit_codes_that_are_no_answer_are_shown(tmp_path):
    text = check.table({"A/A": [P, 70, 70]}, {"A/A": "15%"})
    assert "| 3 | 1 | 0 | 0 | 70 (2) |" in text


def test_each_capture_is_held_against_the_one_that_it_belongs_to(tmp_path):
    for group, count in {"even": 3, "slower": 1, "turns-slower": 1, "busy": 1}.items():
        for number in range(count):
            (tmp_path / group / f"{number:02}" / "verify").mkdir(parents=True)
            (tmp_path / group / f"{number:02}" / "report.json").touch()
    (tmp_path / "turns-slower/00/verify/against-onnxruntime-1.json").touch()
    found = list(check.asked(tmp_path, "15%", "5%"))
    said = [(one.kind, one.limit, " ".join(one.arguments).replace(f"{tmp_path}/", "")) for one in found]
    assert said == [
        ("A/A", "15%", "even/01/report.json --baseline even/00/report.json"),
        ("A/A", "15%", "even/02/report.json --baseline even/01/report.json"),
        ("+10 %", "5%", "slower/00/report.json --baseline even/00/report.json"),
        ("+10 % in turns", "5%", "turns-slower/00/report.json --experiment against-onnxruntime-1"),
        ("+1 %, busy", "15%", "busy/00/report.json --baseline even/00/report.json"),
        ("no baseline", "15%", "even/00/report.json --baseline nowhere"),
    ]


def test_a_stretched_run_takes_its_share_longer_and_returns_the_same():
    begin = time.perf_counter()
    assert stretched(lambda value, *, more: (time.sleep(0.02), value, more), 1.0)(1, more=2)[1:] == (1, 2)
    assert time.perf_counter() - begin >= 0.04


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_only_the_planted_environment_stretches_its_runs(tmp_path, share):
    python = interpreter(tmp_path / "build", share)
    question = (
        "import json, onnxruntime as o; s = o.InferenceSession\n"
        "print(json.dumps([s.run.__module__, s.run_with_iobinding.__module__, o.__version__]))"
    )
    done = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True)
    import onnxruntime

    *modules, version = json.loads(done.stdout)
    assert version == onnxruntime.__version__
    assert modules == ["check_stretch" if share else "onnxruntime.capi.onnxruntime_inference_collection"] * 2
    assert interpreter(tmp_path / "build", share) == python
