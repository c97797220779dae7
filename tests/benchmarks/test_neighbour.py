"""Planted neighbours end for certain; what is asked of captures beside them is asked of the right figures."""

import os
import signal
import subprocess
import time
from contextlib import suppress

import neighbour_loads
import pytest
from captures import Figures, Share, Taken, spent
from neighbour import capture, plan, starts
from neighbour_loads import LOADS, planted
from neighbour_table import CONDITIONS, Outcome, holds, judge, largest, outcome_table, table


def figures(ratio=1.3, bounds=(1.25, 1.35), seconds=60.0, causes=None, **more):
    causes = {"kernel": -30, "framework": 10, "layout": 5} if causes is None else causes
    shares = tuple(Share(cause=n, delta_ns=d, low_ns=d - 1, high_ns=d + 1) for n, d in causes.items())
    return Figures(
        seconds=seconds, ratio=ratio, bounds=bounds, step_ns=200, delta_ns=(-50, -60, -40), causes=shares,
        named=more.pop("named", tuple(causes)), significant=True, **more,
    )  # fmt: skip


def met(outcomes):
    return {(outcome.condition, outcome.asked): outcome.met for outcome in outcomes}


def group_is_gone(group):
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)  # the system takes a moment for grandchildren
    return False


def ended(group):
    """The signal that ended the leader of a group; it stays there, as a process that nobody has waited for."""
    return os.waitid(os.P_PID, group, os.WEXITED | os.WNOWAIT).si_status


@pytest.mark.parametrize("name", [name for name in LOADS if name != "bandwidth"])
def test_a_neighbour_is_there_during_the_block_and_gone_after_it(name):
    with planted(name, every=0.1) as group:
        os.killpg(group, 0)
        time.sleep(0.3)
    assert group_is_gone(group)


def test_a_neighbour_is_gone_after_a_block_that_fails():
    with suppress(ZeroDivisionError), planted("full") as group:
        _ = 1 / 0
    assert group_is_gone(group)


def test_a_neighbour_that_ends_early_spoils_the_capture():
    def killed():
        with planted("half") as group:
            os.killpg(group, signal.SIGKILL)
            ended(group)

    with pytest.raises(RuntimeError, match="ended before"):
        killed()


def test_a_neighbour_ends_with_the_process_that_planted_it(monkeypatch):
    started = []

    class Remembered(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)

    monkeypatch.setattr(neighbour_loads.subprocess, "Popen", Remembered)
    with suppress(RuntimeError), planted("full") as group:
        started[0].stdin.close()  # as the system does when the process dies
        assert ended(group) == signal.SIGKILL


def test_a_pass_holds_every_condition_once_in_another_order_and_the_first_is_quiet():
    order = list(plan(CONDITIONS, 4, seed=1))
    passes = [[name for number, name in order if number == i] for i in range(4)]
    assert all(sorted(names) == sorted(CONDITIONS) for names in passes)
    assert passes[0][0] == "quiet"
    assert len({tuple(names) for names in passes}) > 1


def test_helpers_start_spread_over_the_time_that_a_capture_measures():
    quiet = [figures(begin_s=10.0, measure_s=20.0), figures(begin_s=12.0, measure_s=24.0)]
    after, every = starts(quiet)
    times = [after + i * every for i in range(4)]
    assert times[0] > 11.0
    assert times[-1] + every / 2 == pytest.approx(11.0 + 22.0)


def test_helpers_need_a_quiet_capture_first():
    with pytest.raises(RuntimeError, match="--only quiet"):
        capture("starting", 0, Taken(options=()))


def test_what_was_spent_before_the_rounds_ends_with_the_phase_that_holds_them():
    phases = [
        ("load", 2.0),
        ("export", 8.0),
        ("measure", 5.0),
        ("warm-up", 1.0),
        ("measure", 4.0),
        ("write", 9.0),
    ]
    assert spent(phases) == (10.0, 10.0)
    assert spent([("load", 2.0)]) == (2.0, 0.0)


def test_the_largest_causes_are_those_that_most_captures_may_name():
    captures = [
        figures(causes={"kernel": -30, "cast": 20, "layout": 5}),
        figures(causes={"kernel": -10, "cast": 25, "layout": 5}),
        figures(causes={"kernel": -40, "cast": 90, "layout": 5}, named=("kernel", "layout")),
    ]
    assert largest(captures) == ("kernel", "cast", "layout")
    unnamed = [figures(named=("layout",)), *captures[2:]]
    assert largest(unnamed) == ("layout",)


def test_bursts_must_leave_ratio_and_causes_and_take_no_longer():
    quiet = [figures(seconds=60.0)] * 3
    good = met(judge({"quiet": quiet, "bursts": [figures(ratio=1.36, seconds=170.0)] * 3}))
    assert list(good.values()) == [True, True, True]
    other = {"kernel": -30, "framework": 10, "cast": 5}
    bad = met(judge({"quiet": quiet, "bursts": [figures(ratio=1.38, seconds=190.0, causes=other)] * 3}))
    assert list(bad.values()) == [False, False, False]


def test_one_bad_capture_of_five_does_not_move_a_median():
    captures = [*[figures(ratio=1.31)] * 4, figures(ratio=5.0, seconds=600.0)]
    assert all(met(judge({"quiet": [figures()], "starting": captures})).values())


def test_no_causes_at_all_are_not_the_same_causes():
    nameless = [figures(named=())]
    found = met(judge({"quiet": nameless, "bursts": nameless}))
    assert found[("bursts", "the same 3 largest causes")] is False


def test_a_steady_neighbour_needs_every_interval_or_the_word_busy():
    quiet = [figures(ratio=1.3)]
    wide, off = figures(ratio=1.1, bounds=(1.0, 1.31)), figures(ratio=1.1, bounds=(1.0, 1.2))
    busy = figures(ratio=1.1, bounds=(1.0, 1.2), busy=True)
    assert all(met(judge({"quiet": quiet, "half": [wide, busy]})).values())
    assert not any(met(judge({"quiet": quiet, "bandwidth": [wide, off]})).values())


def test_a_full_machine_must_be_called_inconclusive_every_time():
    quiet, silent = [figures()], figures(inconclusive=True, busy=True)
    assert all(met(judge({"quiet": quiet, "full": [silent, silent]})).values())
    assert not any(met(judge({"quiet": quiet, "full": [silent, figures(busy=True)]})).values())


def test_a_ratio_without_an_interval_holds_nothing():
    assert not holds(figures(bounds=None), 1.3)


def test_the_tables_say_what_was_found():
    by = {"quiet": [figures()] * 2, "bursts": [figures(ratio=1.365, busy=True)] * 2}
    row = table(by).splitlines()[-1]
    assert "+5.0%" in row
    assert "2 x busy, significant" in row
    assert outcome_table([Outcome("full", "a", "b", False)]).endswith("| full | a | b | NO |")


def test_captures_of_another_model_are_not_added_to_a_file(tmp_path):
    file = tmp_path / "taken.json"
    taken = Taken.resumed(file, ["--model", "a"]).added("quiet", figures(), file)
    assert Taken.resumed(file, ["--model", "a"]) == taken
    with pytest.raises(RuntimeError, match="name another file"):
        Taken.resumed(file, ["--model", "b"])
