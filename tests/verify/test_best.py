"""The stack holds only what saves time on top of the rest, and the answer is never slower than one change alone."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from attrib.capture.config.progress import NoProgress
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.workers.process import WorkerError
from attrib.model.estimate import Delta
from attrib.traces.directory.trace_directory import TraceDirectory
from attrib.verify.best import BEST, Search, wins_of
from attrib.verify.measuring import Measuring, Setup
from attrib.verify.results import Results
from attrib.verify.runner import ExperimentRunner, VerifyInterrupted
from attrib.verify.snippet import snippet_of
from attrib.verify.stack import Trial, Win, stack_wins
from tests.verify import fakes

OPTIMIZERS = "ABCDEF"


def optimizer(name, **facts):
    """A change that leaves out one optimizer: any two of them go together."""
    return fakes.planned(name, disabled_optimizers=(name,), **facts)


def costs(savings, pairs=None):
    """What a step costs: every optimizer left out saves its share, some pairs give part of that back."""

    def cost(options):
        out = options.disabled_optimizers
        saved = sum(savings[name] for name in out)
        lost = sum(value for pair, value in (pairs or {}).items() if set(pair) <= set(out))
        return fakes.STEP * (1 - saved + lost)

    return cost


def searched(tmp_path, bench, items, *, accept=False):
    fakes.captured(tmp_path / "trace")
    manifest = fakes.read(tmp_path / "trace")
    results = Results(tmp_path / "trace", manifest, ())
    setup = Setup(options=fakes.ORIGINAL, captured_ns={})
    with Interrupts() as interrupts:
        measuring = Measuring(setup, lambda: bench)
        runner = ExperimentRunner(results, NoProgress(), interrupts, prepare=lambda: bench)
        runner.run([measuring.job(item) for item in items])
        wins = wins_of(items, results.all, accept_changed_numbers=accept)
        best = Search(measuring, runner, lambda options: " ".join(options.disabled_optimizers)).run(wins)
    kept = TraceDirectory(root=tmp_path / "trace", manifest=fakes.read(tmp_path / "trace")).experiments()
    assert best in kept
    return best


def test_gains_that_add_up_are_stacked_the_largest_first(tmp_path):
    savings = {"A": 0.05, "B": 0.2, "C": 0.1}
    best = searched(tmp_path, fakes.FakeBench(costs(savings)), [optimizer(name) for name in savings])
    assert (best.id, best.state, best.parts) == (BEST, "measured", ("B", "C", "A"))
    assert best.flags == "--disable-optimizer B --disable-optimizer C --disable-optimizer A"
    assert best.snippet == "B C A"
    assert best.saving_ns.low <= 0.35 * fakes.STEP <= best.saving_ns.high
    assert "more than the best single change (Title of B)" in best.note


def test_gain_that_goes_beside_another_is_left_out_with_the_reason(tmp_path):
    bench = fakes.FakeBench(costs({"A": 0.2, "B": 0.1}, {"AB": 0.15}))
    best = searched(tmp_path, bench, [optimizer("A"), optimizer("B")])
    assert best.parts == ("A",)
    assert "left out: B: it saves nothing more on top of the parts before it" in best.note


def test_losers_and_what_changes_the_outputs_are_never_tried(tmp_path):
    bench = fakes.FakeBench(
        costs({"A": 0.1, "B": -0.1, "C": 0.4}), differs=lambda options: "C" in options.disabled_optimizers
    )
    best = searched(tmp_path, bench, [optimizer(name) for name in "ABC"])
    assert best.parts == ("A",)
    assert not any({"B", "C"} & set(variant.disabled_optimizers) for _, variant in bench.compared[3:])


def test_changed_numbers_are_stacked_only_where_that_is_accepted(tmp_path):
    items = [optimizer("A"), optimizer("B", changes_numbers=True)]
    bench = fakes.FakeBench(
        costs({"A": 0.1, "B": 0.4}), differs=lambda options: "B" in options.disabled_optimizers
    )
    assert searched(tmp_path / "no", bench, items).parts == ("A",)
    accepted = searched(tmp_path / "yes", bench, items, accept=True)
    assert (accepted.parts, accepted.changes_numbers, accepted.outputs_equal) == (("B", "A"), True, False)


def test_outputs_that_differ_only_together_fall_back_to_the_single_change(tmp_path):
    def differs(options):
        return set("AC") <= set(options.disabled_optimizers)

    bench = fakes.FakeBench(costs({"A": 0.3, "B": 0.2, "C": 0.1}), differs=differs)
    best = searched(tmp_path, bench, [optimizer(name) for name in "ABC"])
    assert best.parts == ("A", "B")
    assert best.outputs_equal is True
    assert "C: the outputs differ with the parts before it" in best.note


def test_change_that_fails_on_top_of_others_is_left_out(tmp_path):
    def raises(options):
        return WorkerError("cannot do both") if len(options.disabled_optimizers) > 1 else None

    best = searched(
        tmp_path,
        fakes.FakeBench(costs({"A": 0.3, "B": 0.2}), raises=raises),
        [optimizer("A"), optimizer("B")],
    )
    assert best.parts == ("A",)
    assert "B: it does not work with the parts before it: cannot do both" in best.note


def test_nothing_to_stack_is_said(tmp_path):
    best = searched(tmp_path, fakes.FakeBench(costs({"A": -0.1})), [optimizer("A")])
    assert (best.state, best.parts) == ("not_applicable", ())
    assert "no single change saves time for certain" in best.reason


def test_pytorch_experiments_are_no_parts(tmp_path):
    items = [optimizer("A"), fakes.planned("threads", side="torch", threads=1)]
    bench = fakes.FakeBench(
        lambda options: (
            fakes.STEP * (0.5 if options.threads == 1 else 1 - 0.1 * len(options.disabled_optimizers))
        )
    )
    assert searched(tmp_path, bench, items).parts == ("A",)


def test_interruption_keeps_the_single_changes(tmp_path):
    def raises(options):
        return KeyboardInterrupt() if len(options.disabled_optimizers) > 1 else None

    bench = fakes.FakeBench(costs({"A": 0.3, "B": 0.2}), raises=raises)
    with pytest.raises(VerifyInterrupted):
        searched(tmp_path, bench, [optimizer("A"), optimizer("B")])
    manifest = fakes.read(tmp_path / "trace")
    kept = TraceDirectory(root=tmp_path / "trace", manifest=manifest).experiments()
    assert [result.id for result in kept] == ["A", "B"]


# Whatever the changes do to each other


@st.composite
def worlds(draw):
    """What every set of optimizers that are left out costs: any number at all."""
    names = draw(st.lists(st.sampled_from(OPTIMIZERS), min_size=1, max_size=5, unique=True))
    table = draw(st.dictionaries(st.frozensets(st.sampled_from(names)), st.integers(10, 2000), max_size=32))
    equal = draw(st.dictionaries(st.frozensets(st.sampled_from(names)), st.booleans(), max_size=32))
    return names, table, equal


@given(worlds())
def test_every_part_was_a_gain_when_it_was_added(world):
    names, table, equal = world

    def cost(options):
        return table.get(frozenset(options.disabled_optimizers), 1000)

    def attempt(options, larger, win):
        del win
        saving = cost(options) - cost(larger)
        delta = Delta(median=saving, low=saving - 1, high=saving + 1)
        return Trial(saving=delta, outputs_equal=equal.get(frozenset(larger.disabled_optimizers), True))

    wins = []
    for name in names:
        options = optimizer(name).variant.options
        saving = 1000 - cost(options)
        if saving > 1:
            wins.append(Win(id=name, title=name, options=options, saved=saving / 1000))
    stack = stack_wins(fakes.ORIGINAL, wins, attempt)
    assert stack.options.disabled_optimizers == tuple(win.id for win in stack.parts)
    assert {win.id for win in stack.parts} | stack.left_out.keys() == {win.id for win in wins}
    assert not {win.id for win in stack.parts} & stack.left_out.keys()
    prefixes = [stack.options.disabled_optimizers[:count] for count in range(len(stack.parts) + 1)]
    steps = [table.get(frozenset(prefix), 1000) if prefix else 1000 for prefix in prefixes]
    assert all(after < before for before, after in pairwise(steps))
    if wins:
        assert steps[-1] <= min(table.get(frozenset([win.id]), 1000) for win in wins)


def test_lucky_winner_that_cannot_repeat_its_saving_is_no_answer(tmp_path):
    class Lucky(fakes.FakeBench):
        """The first measurement of A shows a saving that it does not have."""

        def compare(self, baseline, variant, role, effort):
            seen = sum(one.disabled_optimizers == ("A",) for _, one in self.compared)
            honest = self.cost
            if variant.disabled_optimizers == ("A",) and not seen:
                self.cost = costs({"A": 0.3, "B": 0.1})
            try:
                return super().compare(baseline, variant, role, effort)
            finally:
                self.cost = honest

    best = searched(tmp_path, Lucky(costs({"A": 0.0, "B": 0.1})), [optimizer("A"), optimizer("B")])
    assert best.parts == ("B",)
    assert "A: measured once more, it does not save time for certain" in best.note
    assert best.saving_ns.high < 0.15 * fakes.STEP


def test_program_of_a_configuration_names_no_private_place():
    named = replace(
        fakes.ORIGINAL, model="/home/somebody/secret/mine.py:make", onnx=Path("/home/somebody/secret/m.onnx")
    )
    program = snippet_of(replace(named, model=named.model + '\n"""\nimport os'), 2)
    assert "somebody" not in program
    compile(program, "best.py", "exec")
    assert not any(line.startswith("import os") for line in program.splitlines())
