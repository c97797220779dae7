"""What slower-kernel and faster-kernel say of the limit."""

import dataclasses

import msgspec
import pytest

from attrib.findings.evidence.kernels import limit_sentence
from attrib.model.manifest import Side
from attrib.model.work import Work
from tests.findings import evidence_factory as given

G, MB = given.G, given.MB
MS = given.MS


PEAKS, rate = given.PEAKS, given.rate
LINEAR = Work(
    id="c", engine="torch", op="aten::linear",
    inputs=(given.tensor(1, 128, 768), given.tensor(3072, 768), given.tensor(3072)),
)  # fmt: skip
GEMM = Work(
    id="n", engine="onnxruntime", op="Gemm", inputs=(given.tensor(128, 768), given.tensor(3072)),
    outputs=(given.tensor(128, 3072),),
)  # fmt: skip
GELU = Work(id="g", engine="torch", op="aten::gelu", inputs=(given.tensor(1, 128, 3072),))
BIG_GELU = Work(id="b", engine="torch", op="aten::gelu", inputs=(given.tensor(64, 512, 3072),))
LIMIT_MS = 603_979_776 / 400e9 * 1e3


def evidence(*rows, peaks=PEAKS):
    found = given.evidence(*rows)
    sides = {
        role: Side(engine=role, state="complete", folder=role, peaks=peaks)
        for role in ("torch", "onnxruntime")
    }
    return dataclasses.replace(
        found,
        manifest=msgspec.structs.replace(given.manifest(), sides=sides),
        work={"torch": {w.id: w for w in (LINEAR, GELU, BIG_GELU)}, "onnxruntime": {"n": GEMM}},
    )


def linear(torch_ms, ort_ms, name="r"):
    return given.row(
        "kernel", int(torch_ms * MS), int(ort_ms * MS), calls=[("c", "aten::linear")], nodes=[("n", "Gemm")],
        name=name,
    )  # fmt: skip


def sentence(*rows, **options):
    return limit_sentence(evidence(*rows, **options), rows)


def test_both_engines_are_named_with_what_they_reach():
    row = linear(LIMIT_MS / 0.71, LIMIT_MS / 0.48)
    assert (
        sentence(row)
        == "PyTorch reaches 71 % of what this machine's matrix products can do, ONNX Runtime 48 %"
    )


def test_rows_are_summed_by_their_time():
    rows = (linear(LIMIT_MS * 2, LIMIT_MS, "a"), linear(LIMIT_MS * 6, LIMIT_MS, "b"))
    assert sentence(*rows).startswith("PyTorch reaches 25 % ")


def test_an_engine_without_time_is_left_out():
    row = linear(LIMIT_MS * 2, 0)
    assert sentence(row) == "PyTorch reaches 50 % of what this machine's matrix products can do"


@pytest.mark.parametrize(("work", "where"), [("g", "caches"), ("b", "memory")])
def test_work_that_moves_data_is_measured_by_what_holds_it(work, where):
    row = given.row("kernel", 20 * MS, 0, calls=[(work, "aten::gelu")], name="r")
    assert f"this machine's {where} can deliver" in sentence(row)


def test_more_than_the_limit_is_explained():
    assert "the machine was busier when its peaks were measured" in sentence(linear(LIMIT_MS / 1.2, LIMIT_MS))


def test_nothing_is_said_without_peaks_rows_or_a_common_limit():
    mixed = (linear(LIMIT_MS, LIMIT_MS), given.row("kernel", MS, 0, calls=[("g", "aten::gelu")], name="g"))
    unknown = (linear(LIMIT_MS, LIMIT_MS), given.row("kernel", MS, 0, calls=[("x", "aten::x")], name="x"))
    assert sentence() == sentence(*mixed) == sentence(*unknown) == ""
    assert sentence(linear(LIMIT_MS, LIMIT_MS), peaks=None) == ""


def test_too_little_work_has_no_limit_worth_naming():
    slow_start = msgspec.structs.replace(PEAKS, floor_ns=1e9)
    assert sentence(linear(LIMIT_MS, LIMIT_MS), peaks=slow_start) == ""
