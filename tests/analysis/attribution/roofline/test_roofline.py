"""Limits of ledger rows: what binds them, whose way counts, and that both sides of a real capture agree."""

from pathlib import Path

import msgspec
import pytest

from attrib.analysis.attribution.roofline.cost import Cost
from attrib.analysis.attribution.roofline.ops import cost_of
from attrib.analysis.attribution.roofline.peaks import machine_limits
from attrib.analysis.attribution.roofline.roofline import limit_of, rooflines, row_limits
from attrib.api import load
from attrib.model.document import LedgerRow
from attrib.model.manifest import Side
from attrib.model.region import Match
from attrib.model.roofline import Peaks, Rate, Stream
from attrib.model.tensor import Tensor
from attrib.model.work import Work

SAMPLES = Path(__file__).parents[4] / "sample_traces"
G, MB = 1e9, 1 << 20


def rate(per_s, math=""):
    return Rate(per_s=per_s, typical_per_s=per_s * 0.9, samples=9, math=math)


def peaks(products=None, streams=((1, 200), (16, 100), (128, 40)), device="cpu", floor=0.0):
    return Peaks(
        device=device,
        threads=2,
        products=products or {"float": rate(400 * G)},
        streams=tuple(Stream(bytes=size * MB, rate=rate(speed * G)) for size, speed in streams),
        floor_ns=floor,
    )


def side(engine, measured):
    return Side(engine=engine, state="complete", folder=engine, peaks=measured)


def row(torch_ns, ort_ns, calls=(), nodes=(), cause="kernel"):
    return LedgerRow(
        id="r", region="r", module="", cause=cause, torch_calls=calls, onnx_nodes=nodes, torch_ns=torch_ns,
        onnxruntime_ns=ort_ns, delta_ns=ort_ns - torch_ns, low_ns=0, high_ns=0,
        match=Match(method="identity", confidence=1.0),
    )  # fmt: skip


def floats(*shape, dtype="float"):
    return Tensor(dtype, shape)


LINEAR = Work(
    id="c", engine="torch", op="aten::linear",
    inputs=(floats(1, 128, 768), floats(3072, 768), floats(3072)),
)  # fmt: skip
GEMM = Work(
    id="n", engine="onnxruntime", op="Gemm", provider="CPUExecutionProvider",
    inputs=(floats(128, 768), floats(3072)), outputs=(floats(128, 3072),),
)  # fmt: skip
WORKS = {"torch": {"c": LINEAR}, "onnxruntime": {"n": GEMM}}
OPS, MOVED = 603_979_776, 11_415_552


class TestBandwidth:
    def test_is_that_of_the_nearest_larger_set(self):
        assert peaks().bandwidth(3 * MB).per_s == 100 * G
        assert peaks().bandwidth(MB).per_s == 200 * G

    def test_beyond_every_cache_is_the_memorys(self):
        assert peaks().bandwidth(1000 * MB).per_s == peaks().memory.per_s == 40 * G

    def test_what_a_larger_set_reaches_a_smaller_one_reaches_too(self):
        assert peaks(streams=((1, 50), (16, 100), (128, 40))).bandwidth(10).per_s == 100 * G

    def test_is_unknown_where_nothing_was_measured(self):
        assert peaks(streams=()).bandwidth(10) is None
        assert peaks(streams=()).memory is None


class TestLimit:
    def test_of_many_operations_is_arithmetic(self):
        limit = limit_of([Cost(ops=OPS, bytes=MOVED, products=OPS, kind="float")], peaks())
        assert limit.bound == "compute"
        assert limit.ns == pytest.approx(OPS / 400)

    def test_of_few_operations_is_the_memory_that_holds_the_bytes(self):
        far = limit_of([Cost(ops=10, bytes=400 * MB)], peaks())
        near = limit_of([Cost(ops=10, bytes=MB)], peaks())
        assert (far.bound, near.bound) == ("memory", "cache")
        assert far.ns == pytest.approx(400 * MB / 40)
        assert near.ns == pytest.approx(MB / 200)

    def test_of_several_units_is_their_sum_and_the_larger_part_names_it(self):
        compute = Cost(ops=OPS, bytes=MOVED, products=OPS, kind="float")
        moving = Cost(ops=0, bytes=400 * MB)
        both = limit_of([compute, moving], peaks())
        assert both.ns == pytest.approx(limit_of([compute], peaks()).ns + limit_of([moving], peaks()).ns)
        assert both.bound == "memory"

    def test_below_the_cost_of_starting_is_latency(self):
        assert limit_of([Cost(ops=1, bytes=800)], peaks(floor=700.0)).bound == "latency"

    def test_is_unknown_without_a_peak_for_the_element_type(self):
        assert limit_of([Cost(ops=9, bytes=9, products=9, kind="float16")], peaks()) is None
        assert limit_of([Cost(ops=9, bytes=9)], peaks(streams=())) is None


class TestMachine:
    def test_takes_the_better_of_both_engines(self):
        sides = {
            "torch": side("torch", peaks({"float": rate(190 * G)}, ((1, 200), (128, 40)))),
            "onnxruntime": side("onnxruntime", peaks({"float": rate(450 * G)}, ((1, 100), (128, 50)))),
        }
        for limit in machine_limits(sides).values():
            assert limit.products["float"].per_s == 450 * G
            assert limit.products["float"].engine == "onnxruntime"
            assert [(s.rate.per_s, s.rate.engine) for s in limit.streams] == [
                (200 * G, "torch"), (50 * G, "onnxruntime"),
            ]  # fmt: skip

    def test_does_not_judge_exact_products_by_rounded_ones(self):
        sides = {
            "torch": side("torch", peaks({"float": rate(50 * G)}, device="cuda")),
            "onnxruntime": side("onnxruntime", peaks({"float": rate(400 * G, "tf32")}, device="cuda")),
        }
        limits = machine_limits(sides)
        assert limits["torch"].products["float"].per_s == 50 * G
        assert limits["onnxruntime"].products["float"].per_s == 400 * G

    def test_does_not_mix_devices(self):
        sides = {
            "torch": side("torch", peaks({"float": rate(5000 * G)}, device="cuda")),
            "onnxruntime": side("onnxruntime", peaks()),
        }
        assert machine_limits(sides)["onnxruntime"].products["float"].per_s == 400 * G

    def test_one_engine_is_enough_for_both(self):
        sides = {"torch": side("torch", None), "onnxruntime": side("onnxruntime", peaks())}
        assert machine_limits(sides).keys() == {"torch", "onnxruntime"}
        assert machine_limits({"torch": side("torch", None)}) == {}

    def test_an_older_manifest_has_none(self):
        old = msgspec.json.decode(b'{"engine": "torch", "state": "complete", "folder": "t"}', type=Side)
        assert old.peaks is None


class TestRows:
    LIMITS = machine_limits({"torch": side("torch", peaks()), "onnxruntime": side("onnxruntime", peaks())})

    def of(self, row, works=None, limits=None):
        return rooflines([row], works or WORKS, limits or self.LIMITS).get("r")

    def test_share_is_limit_by_time(self):
        found = self.of(row(3_019_899, 2_013_266, ("c",), ("n",)))
        assert (found.ops, found.bytes, found.bound) == (OPS, MOVED, "compute")
        assert found.limit_ns == round(OPS / 400)
        assert (found.torch_share, found.onnxruntime_share) == (0.5, 0.75)

    def test_a_share_above_the_limit_is_said_as_it_was_measured(self):
        assert self.of(row(1_000_000, 2_000_000, ("c",), ("n",))).torch_share == pytest.approx(1.51, rel=1e-3)

    def test_the_lesser_way_counts_for_both(self):
        add = Work(id="a", engine="torch", op="aten::add", inputs=(floats(1, 128, 768),) * 2)
        norm = Work(
            id="l", engine="torch", op="aten::layer_norm",
            inputs=(floats(1, 128, 768), floats(768), floats(768)),
        )  # fmt: skip
        skip = Work(
            id="s", engine="onnxruntime", op="SkipLayerNormalization",
            inputs=(*(floats(1, 128, 768),) * 2, floats(768), floats(768)), outputs=(floats(1, 128, 768),),
        )  # fmt: skip
        works = {"torch": {"a": add, "l": norm}, "onnxruntime": {"s": skip}}
        found = self.of(row(100_000, 100_000, ("a", "l"), ("s",), "fused"), works)
        assert found.bytes == cost_of(skip).bytes < cost_of(add).bytes + cost_of(norm).bytes
        assert found.torch_share == found.onnxruntime_share

    def test_each_side_has_its_own_limit_where_the_arithmetic_differs(self):
        integer = msgspec.structs.replace(
            GEMM, op="MatMulIntegerToFloat", inputs=(floats(128, 768, dtype="uint8"), floats(3072))
        )
        limits = dict.fromkeys(self.LIMITS, peaks({"float": rate(400 * G), "int8": rate(1600 * G)}))
        works = {"torch": {"c": LINEAR}, "onnxruntime": {"n": integer}}
        found = row_limits(row(1, 1, ("c",), ("n",)), works, limits)
        assert found["torch"].ns == pytest.approx(4 * found["onnxruntime"].ns)

    def test_a_side_whose_cost_is_unknown_is_judged_by_the_others(self):
        compiled = msgspec.structs.replace(GEMM, op="OpenVINO-EP-subgraph_1")
        works = {"torch": {"c": LINEAR}, "onnxruntime": {"n": compiled}}
        found = self.of(row(3_000_000, 3_019_899, ("c",), ("n",)), works)
        assert found.onnxruntime_share == 0.5

    def test_but_not_with_arithmetic_that_it_does_not_use(self):
        opaque = msgspec.structs.replace(GEMM, op="Opaque", inputs=(floats(128, 768, dtype="int8"),))
        works = {"torch": {"c": LINEAR}, "onnxruntime": {"n": opaque}}
        found = self.of(row(3_019_899, 1, ("c",), ("n",)), works)
        assert (found.torch_share, found.onnxruntime_share) == (0.5, None)

    def test_a_node_that_fell_back_to_the_host_is_not_judged_by_the_device(self):
        device = dict.fromkeys(self.LIMITS, peaks(device="cuda"))
        found = rooflines([row(0, 1_000_000, (), ("n",), "fallback")], WORKS, device)
        assert found == {}

    def test_rows_that_only_one_side_needs_have_no_limit(self):
        assert self.of(row(0, 1_000_000, (), ("n",), "extra_work")) is None
        assert self.of(row(1, 1, ("c",), ("n",), "layout")) is None

    def test_work_that_nobody_knows_has_no_limit(self):
        assert self.of(row(1, 1, ("gone",), ("gone",))) is None
        assert self.of(row(1, 1, ("c",), ("n",)), limits={"torch": peaks(streams=())}) is None


@pytest.mark.parametrize("name", ["bert-base-uncased", "distilbert-base-uncased"])
def test_both_sides_of_a_capture_need_the_same_products(name):
    analysis = load(SAMPLES / name)
    compared = 0
    for region in analysis.regions:
        ours = [cost_of(analysis.evidence.work["torch"][call]) for call in region.calls]
        theirs = [cost_of(analysis.evidence.work["onnxruntime"][node]) for node in region.nodes]
        products = [sum(cost.products for cost in costs if cost) for costs in (ours, theirs)]
        assert products[0] == products[1], region.id
        compared += bool(products[0])
    linears = sum(work.op == "aten::linear" for work in analysis.evidence.work["torch"].values())
    assert compared > linears  # those, and attention


def test_every_computing_call_and_node_of_a_capture_has_a_cost():
    work = load(SAMPLES / "bert-base-uncased").evidence.work
    assert all(cost_of(call) for call in work["torch"].values())
    unknown = {node.op for node in work["onnxruntime"].values() if cost_of(node) is None}
    assert unknown <= {"Cast", "Transpose", "Reshape"}  # moves without a counterpart


def test_a_capture_without_peaks_says_so_and_has_no_limits():
    analysis = load(SAMPLES / "distilbert-base-uncased")
    bare = {role: msgspec.structs.replace(s, peaks=None) for role, s in analysis.document.sides.items()}
    assert machine_limits(bare) == {}
    assert rooflines(analysis.ledger_rows.rows, analysis.evidence.work, {}) == {}
