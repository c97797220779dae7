"""Measuring what the machine can do: the sampling with a clock of its own, and the real thing on both engines."""

import ctypes
import json
import subprocess
import sys

import msgspec
import pytest

from attrib.capture.session.phase_write import measure_peaks, write_graphs
from attrib.capture.system import peaks
from attrib.capture.system.peaks import (
    SIDES,
    STREAM_BYTES,
    best_product,
    beyond_caches,
    rate_of,
    sample_times,
    streams_of,
)
from attrib.capture.workers.messages import MeasurePeaks
from attrib.model.disturbance import UNSEEN
from attrib.model.roofline import Peaks

MB = 1 << 20


def clock(ns_of_call):
    """`Timed` where each call says itself how long it takes, and how often it was called."""
    calls = []

    def timed(call, times):
        calls.extend([call] * times)
        return sum(ns_of_call(call()) for _ in range(times))

    timed.calls = calls
    return timed


class TestPageFaults:
    @pytest.mark.parametrize("threads", [1, 2])
    def test_fresh_memory_has_a_price(self, threads):
        assert peaks.fault_cost(threads) > 0

    def test_nothing_is_priced_that_is_not_counted(self, monkeypatch):
        monkeypatch.setattr(peaks, "page_faults", lambda: UNSEEN)
        assert peaks.fault_cost(1) == 0

    def test_each_thread_writes_its_own_part(self):
        memory = bytearray(12)
        view = (ctypes.c_char * 12).from_buffer(memory)
        peaks._touch_at_once(ctypes.addressof(view), 3, 4)
        assert memory == b"\x01" * 12


class TestSampling:
    def test_a_short_call_is_repeated_within_a_sample(self):
        timed = clock(lambda _: 100.0)
        found = sample_times(lambda: None, timed)
        assert set(found) == {100.0}
        assert len(timed.calls) > 1000 * len(found)

    def test_a_long_call_is_not(self):
        timed = clock(lambda _: 50e6)
        found = sample_times(lambda: None, timed)
        assert len(found) >= 3
        assert len(timed.calls) == len(found) + 1

    def test_the_quiet_samples_make_the_rate_and_the_median_shows_the_spread(self):
        rate = rate_of([1000.0] * 6 + [2000.0] * 9, 5000)
        assert (rate.per_s, rate.typical_per_s, rate.samples) == (5_000_000_000, 2_500_000_000, 15)


class TestProducts:
    @staticmethod
    def machine(flops_per_ns, start_ns=0.0):
        made = []

        def product(side):
            made.append(side)
            return lambda: 2 * side**3 / flops_per_ns + start_ns

        return product, made

    def test_a_fast_machine_is_measured_with_large_products(self):
        product, made = self.machine(flops_per_ns=100_000, start_ns=5_000)
        rate = best_product(product, clock(float))
        assert made[-1] == SIDES[-1]
        assert rate.per_s == pytest.approx(100_000e9, rel=0.01)

    def test_a_slow_machine_stops_before_it_takes_long(self):
        product, made = self.machine(flops_per_ns=5)
        rate = best_product(product, clock(float))
        assert made[0] == SIDES[0]
        assert max(made) <= 512
        assert rate.per_s == pytest.approx(5e9, rel=0.01)

    def test_one_disturbed_start_does_not_end_the_search(self):
        slow = {SIDES[0]: 14e6}
        rate = best_product(lambda side: lambda: slow.get(side, 2 * side**3 / 400), clock(float))
        assert rate.per_s == pytest.approx(400e9, rel=0.01)


class TestStreams:
    def test_the_best_way_counts_for_every_size(self):
        def calls(size):
            yield lambda: size / 10
            yield lambda: size / 40

        found = streams_of(calls, 128 * MB, clock(float))
        assert [stream.bytes for stream in found] == [*STREAM_BYTES, 128 * MB]
        assert all(stream.rate.per_s == pytest.approx(40e9, rel=0.01) for stream in found)

    @pytest.mark.parametrize(
        ("cache", "expected"),
        [(0, 128 * MB), (32 * MB, 128 * MB), (96 * MB, 384 * MB), (4096 * MB, 1024 * MB)],
    )
    def test_the_last_size_is_beyond_the_caches_and_bounded(self, cache, expected):
        assert beyond_caches(cache) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [("32768K", 32 * MB), ("1024K", MB), ("48K", 48 << 10), ("2M", 2 * MB), ("", 0), ("?", 0)],
    )
    def test_sizes_of_caches_are_read_as_the_system_writes_them(self, text, expected):
        assert peaks._bytes(text) == expected


def test_the_graphs_are_small_and_leave_the_weights_to_the_worker(tmp_path):
    onnx = pytest.importorskip("onnx")
    write_graphs(tmp_path, ("float", "int8"))
    files = sorted(tmp_path.glob("*.onnx"))
    assert len(files) == 2 * len(SIDES) + 1
    assert max(file.stat().st_size for file in files) < 1000
    graph = onnx.load(tmp_path / "product-int8-512.onnx", load_external_data=False).graph
    assert (graph.node[0].op_type, list(graph.initializer[0].dims)) == ("MatMulInteger", [512, 512])


class FakeWorker:
    """Answers with what it was asked."""

    def ask(self, command, kind):
        self.command = command
        return kind(peaks=Peaks(device=command.device, threads=1))


def test_every_element_type_in_use_is_measured_once(tmp_path):
    worker = FakeWorker()
    measure_peaks(worker, tmp_path, "cpu", {"fp32", "int8"})
    assert worker.command == MeasurePeaks(device="cpu", folder=str(tmp_path), dtypes=("float", "int8"))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Twice what either engine reaches on one thread, where nothing waits for another thread on a busy machine."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    code = (
        "import json, sys; from pathlib import Path; import msgspec\n"
        "engine, folder = sys.argv[1], Path(sys.argv[2])\n"
        "if engine == 'torch':\n"
        "    import torch; torch.set_num_threads(1)\n"
        "    from attrib.capture.pytorch.peaks import peaks_of\n"
        "    found = [peaks_of('cpu', ('float', 'bfloat16')) for _ in range(2)]\n"
        "else:\n"
        "    import onnxruntime as ort\n"
        "    from attrib.capture.ort.peaks import peaks_of\n"
        "    from attrib.capture.system.peaks import stream_file\n"
        "    like = ort.InferenceSession(str(stream_file(folder)), providers=['CPUExecutionProvider'])\n"
        "    found = [peaks_of(like, 1, folder, ('float', 'int8', 'float8e4m3fn')) for _ in range(2)]\n"
        "sys.stdout.write(msgspec.json.encode(found).decode())\n"
    )
    return {
        engine: _run(code, engine, tmp_path_factory.mktemp(engine)) for engine in ("torch", "onnxruntime")
    }


def _run(code, engine, folder):
    write_graphs(folder, ("float", "int8"))
    done = subprocess.run(
        [sys.executable, "-c", code, engine, str(folder)], check=True, capture_output=True, text=True
    )
    return msgspec.convert(json.loads(done.stdout), type=list[Peaks])


@pytest.mark.engines
class TestEngines:
    def test_the_figures_are_plausible(self, measured):
        for engine in measured.values():
            for found in engine:
                assert found.device == "cpu"
                assert 1e8 < found.products["float"].per_s < 1e13
                assert all(1e8 < stream.rate.per_s < 1e13 for stream in found.streams)
                assert all(s.rate.typical_per_s <= s.rate.per_s for s in found.streams)
                assert found.streams[-1].bytes >= 128 * MB

    def test_they_repeat_within_a_factor(self, measured):
        for first, second in measured.values():
            pairs = [(first.products["float"], second.products["float"]), (first.memory, second.memory)]
            for one, other in pairs:
                assert 1 / 8 < one.per_s / other.per_s < 8

    def test_what_an_engine_cannot_compute_is_left_out(self, measured):
        torch, ort = measured["torch"][0], measured["onnxruntime"][0]
        assert torch.products.keys() == {"float", "bfloat16"}
        assert ort.products.keys() == {"float", "int8"}  # there is no graph for the third

    def test_starting_an_operator_takes_a_while(self, measured):
        assert 50 < measured["torch"][0].floor_ns < 1e6


@pytest.mark.engines
def test_the_manifest_of_a_capture_holds_them_and_the_report_the_limits(two_linears):
    from attrib import load

    document = load(two_linears / "trace").document
    for side in document.sides.values():
        assert side.peaks.threads == 1
        assert side.peaks.products["float"].per_s > 0
    assert document.rooflines
    assert not [gap for gap in document.gaps if "peaks" in gap.what]
    known = {row.id: row for row in document.ledger}
    assert all(known[name].cause in ("kernel", "fused", "decomposed") for name in document.rooflines)
