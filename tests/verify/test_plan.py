"""Which experiments a request means, and what a whole run does with them."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from attrib.errors import UsageError
from attrib.findings.protocol import Rule, RuleResult
from attrib.model.document import Finding
from attrib.verify.baseline import Baseline, Settings
from attrib.verify.plan import Request, offers, plan
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant
from attrib.verify.verification import Verification
from tests.verify import fakes


def rule(name, *experiments):
    return Rule(
        id=name, passed="p", failed="f", example="", about="", cause=None, needs=(), direction="any",
        audit=lambda _: RuleResult(failed=False), experiments=experiments,
    )  # fmt: skip


def family(name, variants, **facts):
    return Experiment(
        id=name, title=name, about="", side=facts.pop("side", "onnxruntime"), variants=variants, **facts
    )


def variant(name, saving=None, **changes):
    prediction = fakes.predicted(saving - 1, saving, saving + 1) if saving is not None else None
    return lambda context: Variant(
        id=name, title=name, options=fakes.replace(context.options, **changes), predicted=prediction
    )


def variants(*made):
    return lambda context: tuple(one(context) for one in made)


def broken(context):
    raise KeyError(context.options.model)


EXPERIMENTS = (
    family("opset", variants(variant("opset-22", 5, opset=22), variant("opset-23", 50, opset=23))),
    family("spinning-off", variants(variant("spinning-off", None, threads=1))),
    family("static-shapes", lambda _: Inapplicable(reason="they are static already")),
    family("lacking", variants(), packages=("no-such-distribution",)),
    family("broken", broken),
    family("empty", variants()),
)
RULES = (
    rule("slow", "opset"),
    rule("fine", "spinning-off"),
    rule("idle", "static-shapes", "lacking"),
    rule("bare"),
)
FINDINGS = tuple(
    Finding(id=name, state=state, title="t")
    for name, state in (("slow", "failed"), ("fine", "passed"), ("idle", "failed"), ("bare", "failed"))
)


def offered(manifest=None):
    context = ExperimentContext(
        options=fakes.ORIGINAL, manifest=manifest or fakes.manifest_of(), evidence=None, chain=None, trails=()
    )
    return offers(context, EXPERIMENTS, RULES, FINDINGS)


def ids(**request):
    return [item.id for item in plan(offered(), Request(**request), RULES, FINDINGS)]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({}, ["opset-23", "opset-22", "static-shapes", "lacking"]),
        ({"findings": ("fine",)}, ["spinning-off"]),
        ({"findings": ("bare",)}, []),
        ({"experiments": ("opset-22",)}, ["opset-22"]),
        ({"experiments": ("opset", "static-shapes")}, ["opset-23", "opset-22", "static-shapes"]),
        ({"findings": ("fine",), "experiments": ("opset-23",)}, ["opset-23", "spinning-off"]),
        ({"everything": True}, ["opset-23", "opset-22", "spinning-off", "static-shapes", "lacking"]),
        ({"ablate": ("a node",)}, []),
    ],
)
def test_request_means_these_experiments_the_most_promising_first(request_, expected):
    assert ids(**request_) == expected


def test_findings_that_ask_are_noted_with_the_experiment():
    found = {item.id: item for item in plan(offered(), Request(findings=("fine",)), RULES, FINDINGS)}
    assert found["spinning-off"].findings == ("fine",)
    found = {item.id: item for item in plan(offered(), Request(everything=True), RULES, FINDINGS)}
    assert (found["opset-23"].findings, found["spinning-off"].findings) == (("slow",), ())


@pytest.mark.parametrize(
    ("name", "state", "says"),
    [
        ("static-shapes", "not_applicable", "they are static already"),
        ("lacking", "unavailable", "pip install no-such-distribution"),
        ("broken", "failed", "this is a bug in attrib: KeyError"),
        ("empty", "not_applicable", "it would change nothing here"),
    ],
)
def test_experiment_without_variants_says_why(name, state, says):
    (item,) = plan(offered(), Request(experiments=(name,)), RULES, FINDINGS)
    assert (item.variant, item.state) == (None, state)
    assert says in item.reason


def test_engine_that_was_not_measured_has_no_experiments():
    manifest = fakes.manifest_of()
    failed = fakes.replace(manifest.sides["onnxruntime"], state="failed", error="no kernel")
    manifest = fakes.replace(manifest, sides=manifest.sides | {"onnxruntime": failed})
    assert {(one.state, one.reason) for one in offered(manifest)} == {
        ("not_applicable", "its engine was not measured in the capture: no kernel")
    }


@pytest.mark.parametrize("request_", [{"findings": ("slw",)}, {"experiments": ("opset-32",)}])
def test_name_that_there_is_not_gets_the_nearest(request_):
    with pytest.raises(UsageError, match="is named") as caught:
        ids(**request_)
    assert caught.value.hint.startswith("did you mean")


# A whole run on a sample, with a bench that knows what everything costs


def cost(options):
    share = {22: 0.9, 23: 0.8}.get(options.opset, 1.0) * (0.9 if options.io_binding else 1.0)
    return fakes.STEP * share * (0.5 if options.optimize else 1.0)


OWN = (
    EXPERIMENTS[0],
    family("io-binding", variants(variant("io-binding", None, io_binding=True))),
    family("int8", variants(variant("int8", None, optimize=("int8-dynamic",))), changes_numbers=True),
    family("torch-compile", variants(variant("torch-compile", None, torch_mode="compile")), side="torch"),
)


def performed(sample, bench, request, *, best=False, **settings):
    baseline = Baseline(root=sample, settings=Settings(rounds=6, **settings), experiments=OWN)
    bench.inputs_sha256 = baseline.manifest.workload.inputs_sha256
    with Verification(baseline, start_bench=lambda *_: nullcontext(bench)) as run:
        return run.perform(request, best=best)


def test_best_is_stacked_from_what_keeps_the_numbers_and_found_again_without_measuring(sample_copy):
    bench = fakes.FakeBench(cost)
    results = performed(sample_copy, bench, Request(), best=True)
    assert [result.id for result in results] == ["opset-23", "opset-22", "io-binding", "best"]
    assert results[-1].parts == ("opset-23", "io-binding")
    assert (sample_copy / "verify/best.py").read_text() == results[-1].snippet
    again = fakes.FakeBench(cost)
    assert performed(sample_copy, again, Request(), best=True) == results
    assert again.compared == []


def test_changed_numbers_are_shown_beside_the_best_or_taken_in_where_accepted(sample_copy):
    performed(sample_copy, fakes.FakeBench(cost), Request(experiments=("int8",)))
    results = performed(sample_copy, fakes.FakeBench(cost), Request(), best=True)
    assert [result.id for result in results][-2:] == ["int8", "best"]
    assert "int8" not in results[-1].parts
    accepted = performed(
        sample_copy, fakes.FakeBench(cost), Request(), best=True, accept_changed_numbers=True
    )
    assert accepted[-1].parts == ("int8", "opset-23", "io-binding")
    assert accepted[-1].changes_numbers is True


def test_other_inputs_end_the_run_before_anything_is_written(sample_copy):
    baseline = Baseline(root=sample_copy, experiments=OWN)
    bench = fakes.FakeBench(cost, inputs_sha256="others")
    with pytest.raises(Exception, match="other inputs"), Verification(
        baseline, start_bench=lambda *_: nullcontext(bench)
    ) as run:  # fmt: skip
        run.perform(Request(experiments=("int8",)))
    assert not Path(sample_copy, "verify").exists()
