"""What is measured becomes a result: how long it is measured, and what is too wide to say anything."""

from msgspec.structs import replace

from attrib.capture.bench.launches import Effort
from attrib.model.experiment import ExperimentResult
from attrib.verify.measuring import Measuring, Setup, judge, with_figures
from tests.verify import fakes

MS = 1_000_000
SETUP = Setup(options=fakes.ORIGINAL, captured_ns={"onnxruntime": 100 * MS})
ROW = ExperimentResult(id="x", title="x", side="onnxruntime", state="measured")
FOUR_LAUNCHES = (0, 0, 1, 1, 2, 2, 3, 3)


def comparison(saved, luck=0.0, **facts):
    """Four launches of a step of 100 ms: the variant saves a share, and each second launch is slower by `luck`."""
    baseline = tuple((100 * MS,) * 3 for _ in FOUR_LAUNCHES)
    variant = tuple((round(100 * MS * (1 - saved + luck * (launch % 2))),) * 3 for launch in FOUR_LAUNCHES)
    return fakes.FakeComparison(
        baseline, variant, (fakes.difference(equal=True),), launches=FOUR_LAUNCHES, **facts
    )


def predicted(low, median, high, kind="estimate"):
    return replace(ROW, predicted=fakes.predicted(low * MS, median * MS, high * MS, kind))


def test_large_saving_need_not_be_measured_as_finely_as_a_small_one():
    def tolerance(prediction):
        return SETUP.effort_for("onnxruntime", prediction).tolerance

    assert tolerance(None) == tolerance(fakes.predicted(0, 1 * MS, 2 * MS)) == 0.02
    assert tolerance(fakes.predicted(30 * MS, 40 * MS, 50 * MS)) == 0.10
    assert tolerance(fakes.predicted(-50 * MS, -40 * MS, -30 * MS)) == 0.10
    assert SETUP.effort_for("torch", fakes.predicted(0, 40 * MS, 80 * MS)).tolerance == 0.02


def test_job_is_measured_with_the_effort_of_the_run_and_its_prediction():
    bench = fakes.FakeBench(lambda _: fakes.STEP)
    setup = Setup(
        options=fakes.ORIGINAL,
        captured_ns={"onnxruntime": fakes.STEP},
        effort=Effort(launches=5, max_time=9.0, tolerance=0.01),
    )
    prediction = fakes.predicted(0, 200_000, 300_000)
    job = Measuring(setup, lambda: bench).job(fakes.planned("opset-23", prediction=prediction, opset=23))
    job.measure()
    (effort,) = bench.efforts
    assert (effort.launches, effort.max_time, effort.tolerance) == (5, 9.0, 0.05)


def test_ratio_and_interval_are_those_of_the_launches():
    result = with_figures(ROW, comparison(0.2, luck=0.01))
    assert result.launches == FOUR_LAUNCHES
    assert 1.2 < result.ratio.low < result.ratio.value < 1.25 < result.ratio.high < 1.3
    assert result.saving_ns.low < 19 * MS < result.saving_ns.high
    assert result.significant
    assert result.settled


def test_wide_result_neither_agrees_nor_misses_and_says_why():
    """Measured as 1 ms, give or take 6 ms, beside a prediction of 1 ms."""
    result = judge(predicted(0.5, 1, 1.5), comparison(0.03, luck=0.04, notes=("two rounds were odd",)), SETUP)
    assert result.saving_ns.low < 0 < 1.5 * MS < result.saving_ns.high
    assert (result.settled, result.agrees) == (False, None)
    assert "more than half of what is predicted; two rounds were odd; " in result.note
    assert "--max-time" in result.note


def test_narrow_result_of_the_same_place_agrees():
    result = judge(predicted(0.5, 1, 1.5), comparison(0.01, luck=0.001), SETUP)
    assert (result.settled, result.agrees, result.note) == (True, True, "")


def test_wide_result_that_is_nowhere_near_is_a_miss_all_the_same():
    result = judge(predicted(0.5, 1, 1.5), comparison(0.5, luck=0.04), SETUP)
    assert (result.settled, result.agrees) == (True, False)


def test_without_a_prediction_a_wide_result_that_may_save_nothing_is_not_settled():
    wide = with_figures(ROW, comparison(0.03, luck=0.04))
    assert (wide.settled, wide.significant) == (False, False)
    assert "more than 2 % of the step" in wide.note
    assert with_figures(ROW, comparison(0.5, luck=0.04)).settled
    assert with_figures(ROW, comparison(0.0, luck=0.001)).settled


def test_figures_of_one_launch_have_the_interval_of_its_rounds():
    found = comparison(0.1, luck=0.02)
    alone = with_figures(
        ROW, fakes.FakeComparison(found.baseline_ns, found.variant_ns, (), launches=(0,) * 8)
    )
    assert alone.saving_ns.half_width < with_figures(ROW, found).saving_ns.half_width


def test_busy_machine_settles_nothing():
    """A busy machine makes one thread faster than two: that says nothing of the prediction."""
    busy = comparison(0.5, busy=True, notes=("the machine was busy, and 6 of 6 rounds stayed disturbed",))
    result = judge(predicted(-60, -50, -40), busy, SETUP)
    assert (result.busy, result.settled, result.agrees) == (True, False, None)
    assert result.note.startswith("the machine was busy, and 6 of 6 rounds")
    assert not with_figures(ROW, busy).settled
